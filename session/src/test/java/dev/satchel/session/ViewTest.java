package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.microsoft.playwright.Page;
import dev.satchel.display.record.Recording;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;

/** A real session, seen and worked in from a real Chromium. */
class ViewTest extends LiveTest {
    private String link(TestHost host, String name, boolean look) throws IOException {
        return host.with(satchel -> satchel.viewUrl(name, look));
    }

    @Test
    void isSeenAndWorkedInBeforeAndAfterAMove() throws Exception {
        String name = name("view");
        a.create(name);
        try (Chromium browser = new Chromium()) {
            try (Running here = a.resume(name)) {
                Page page = browser.open(here.result().viewUrl());
                Chromium.awaitSame("the desktop in the browser", page, a, name);
                assertThat(Chromium.canvas(page)).hasSize(640 * 480);

                here.awaitTerminal(); // the session's own, which would take the focus
                here.start(
                        "LC_ALL=C.UTF-8 exec xterm -T typing -xrm '*allowTitleOps: false' -geometry 60x20+10+10 -fa Monospace -fs 10");
                here.awaitWindow("typing");
                page.click("#screen", new Page.ClickOptions().setPosition(120, 120));
                page.keyboard().type("seq 100; echo 'Typed: äß€ {[]}' >typed\n");
                here.awaitFile("home/user/typed");
                Eventually.holds(
                        60_000,
                        "what was typed",
                        () -> here.read("home/user/typed").equals("Typed: äß€ {[]}\n"));
                Chromium.awaitSame("scrolled text in the browser", page, a, name);

                // Nothing of the viewer's is in the way, and it goes on by itself.
                here.snapshot();
                page.keyboard().type("clear; echo again >again\n");
                here.awaitFile("home/user/again");
                Chromium.awaitSame("the same page after a snapshot", page, a, name);

                here.suspend();
                page.locator("#overlay-title").getByText("Suspended").waitFor();
                // On the same host it goes on by itself.
                try (Running again = a.resume(name)) {
                    Chromium.awaitSame("the same page after a suspend", page, a, name);
                    assertThat(again.result().viewUrl()).isEqualTo(here.result().viewUrl());
                    again.suspend();
                }
            }
            try (Running there = b.resume(name)) {
                Page page = browser.open(there.result().viewUrl());
                Chromium.awaitSame("the desktop on the other host", page, b, name);
                there.start("exec xterm -geometry 40x10+300+200 -bg '#00ff00'");
                Chromium.awaitSame("a new window on the other host", page, b, name);
            }
        }
    }

    @Test
    void isRecordedUntilItIsSuspended() throws Exception {
        String name = name("record");
        a.create(name);
        Path video = Files.createTempDirectory("satchel-record-").resolve("video.webm");
        try (Chromium browser = new Chromium();
                Running here = a.resume(name)) {
            CompletableFuture<Recording.Result> recording = new CompletableFuture<>();
            Thread recorder = Thread.ofPlatform().start(() -> {
                try {
                    recording.complete(a.with(satchel -> satchel.recording(name, video, Optional.empty(), 25)));
                } catch (IOException | RuntimeException e) {
                    recording.completeExceptionally(e);
                }
            });
            Eventually.holds(60_000, "a video that has begun", () -> Files.exists(video) && Files.size(video) > 0);
            showGreen(here);
            here.snapshot();
            Thread.sleep(500);
            int[] last = a.screen(name);
            here.suspend();
            Recording.Result result = recording.join();
            recorder.join();
            assertThat(result.end()).isEqualTo(Recording.End.SUSPENDED);
            assertEndsWith(last, browser.lastFrame(video));
        } finally {
            Files.deleteIfExists(video);
            Files.deleteIfExists(video.getParent());
        }
    }

    @Test
    void isRecordedOverHttp() throws Exception {
        String name = name("record-http");
        a.create(name);
        Path video = Files.createTempDirectory("satchel-record-").resolve("video.webm");
        try (Chromium browser = new Chromium();
                Running here = a.resume(name);
                HttpClient client = HttpClient.newHttpClient()) {
            URI link = URI.create(link(a, name, false));
            String api = "http://" + link.getAuthority() + "/api/";
            String secret = link.getQuery().substring(2);
            String looking = URI.create(link(a, name, true)).getQuery().substring(2);
            // A program that has no recorder says so.
            assertThat(post(client, api + "record", secret, "{}").statusCode()).isEqualTo(500);
            // One that dies leaves nothing.
            here.supervisor.recordBy(List.of("/bin/sh", "-c", "read request"));
            assertThat(post(client, api + "record", secret, "{}").statusCode()).isEqualTo(200);
            assertThat(post(client, api + "record/end", secret, "").body()).contains("begin another video");
            assertThat(fetch(client, api + "record.webm", secret).statusCode()).isEqualTo(404);
            here.supervisor.recordBy(RecorderProcess.line());
            assertThat(post(client, api + "record/end", secret, "").statusCode())
                    .isEqualTo(404);
            assertThat(fetch(client, api + "record.webm", secret).statusCode()).isEqualTo(404);
            assertThat(post(client, api + "record", secret, "{\"seconds\":0}").statusCode())
                    .isEqualTo(400);
            assertThat(post(client, api + "record", secret, "{\"seconds\":\"3\"}")
                            .statusCode())
                    .isEqualTo(400);
            assertThat(post(client, api + "record", looking, "{}").statusCode()).isEqualTo(403);
            assertThat(post(client, api + "record", secret, "{\"fps\":30}").statusCode())
                    .isEqualTo(200);
            assertThat(post(client, api + "record", secret, "{}").statusCode()).isEqualTo(409);
            assertThat(fetch(client, api + "record.webm", secret).statusCode()).isEqualTo(409);
            Eventually.holds(60_000, "a video that has begun", ViewTest::aVideoHasBegun);
            showGreen(here);
            Thread.sleep(1_500);
            int[] last = a.screen(name);
            HttpResponse<String> ended = post(client, api + "record/end", secret, "");
            assertThat(ended.statusCode()).as(ended.body()).isEqualTo(200);
            assertThat(ended.body()).contains("\"ended\":\"interrupted\"", "\"width\":640", "\"height\":480");
            assertThat(fetch(client, api + "record.webm", looking).statusCode()).isEqualTo(404);
            HttpResponse<byte[]> made = fetch(client, api + "record.webm", secret);
            assertThat(made.statusCode()).isEqualTo(200);
            assertThat(made.headers().firstValue("content-type").orElseThrow()).isEqualTo("video/webm");
            Files.write(video, made.body());
            assertEndsWith(last, browser.lastFrame(video));
            // One that is not ended by anybody ends with the session.
            assertThat(post(client, api + "record", secret, "{}").statusCode()).isEqualTo(200);
            here.suspend();
        } finally {
            Files.deleteIfExists(video);
            Files.deleteIfExists(video.getParent());
        }
    }

    private static HttpResponse<byte[]> fetch(HttpClient client, String url, String secret) throws Exception {
        return client.send(
                HttpRequest.newBuilder(URI.create(url))
                        .header("Authorization", "Bearer " + secret)
                        .build(),
                HttpResponse.BodyHandlers.ofByteArray());
    }

    /** Has it show something that a video's last frame is known by. */
    private void showGreen(Running here) throws IOException {
        here.awaitTerminal(); // the session's own, which would be on top
        here.start("exec xterm -geometry 40x10+300+200 -bg '#00ff00'");
        Eventually.holds(60_000, "a green terminal", () -> green(a.screen(here.name)) > 10_000);
    }

    private static void assertEndsWith(int[] screen, int[] frame) {
        assertThat(frame).hasSize(screen.length);
        assertThat(green(frame)).isCloseTo(green(screen), Percentage.withPercentage(3));
    }

    private static int green(int[] pixels) {
        int count = 0;
        for (int pixel : pixels) {
            count += (pixel >> 8 & 0xff) > 0xe0 && (pixel >> 16 & 0xff) < 0x20 && (pixel & 0xff) < 0x20 ? 1 : 0;
        }
        return count;
    }

    @Test
    void theScreenTakesTheSizeThatIsAskedFor() throws Exception {
        String name = name("size");
        a.create(name);
        try (Chromium browser = new Chromium();
                Running here = a.resume(name)) {
            Page page = browser.open(here.result().viewUrl());
            Chromium.awaitSame("the desktop in the browser", page, a, name);
            page.mouse().move(500, 2);
            page.getByLabel("Screen size").first().click();
            page.locator("#modes input")
                    .last()
                    .check(new com.microsoft.playwright.Locator.CheckOptions().setForce(true));
            Eventually.holds(
                    60_000,
                    "a screen of the window's size",
                    () -> here.sh("DISPLAY=:0 xdpyinfo").contains("dimensions:    1000x700 pixels"));
            Chromium.awaitSame("the larger desktop", page, a, name);
        }
    }

    @Test
    void isSuspendedWhenItsLastViewerGoes() throws Exception {
        String name = name("close");
        a.create(new CreateRequest(
                name,
                Site.IMAGE,
                OptionalLong.empty(),
                OptionalLong.empty(),
                Optional.empty(),
                Map.of(),
                "640x480",
                "640x480",
                true));
        try (Chromium browser = new Chromium();
                Running here = a.resume(name)) {
            here.startCounting();
            Page page = browser.open(here.result().viewUrl());
            Chromium.awaitSame("the desktop in the browser", page, a, name);
            // Who comes back in time is not suspended.
            page.reload();
            Chromium.awaitSame("the desktop in the page that was loaded again", page, a, name);
            // Longer than a page that is gone is waited for.
            Thread.sleep(12_000);
            assertThat(a.state(name)).isEqualTo(SessionInfo.State.RUNNING);
            Running.Count count = here.count();
            page.close();
            here.awaitEnd();
            assertThat(a.state(name)).isEqualTo(SessionInfo.State.SUSPENDED);
            try (Running again = a.resume(name)) {
                Running.Count ignored = again.assertGoesOnFrom(count);
            }
        }
    }

    @Test
    void whoHasNoLinkIsNotLetIn() throws Exception {
        String name = name("link");
        a.create(name);
        try (Running here = a.resume(name);
                HttpClient client = HttpClient.newHttpClient()) {
            URI link = URI.create(here.result().viewUrl());
            String origin = "http://" + link.getAuthority();
            assertThat(get(client, origin + "/api/session", "").statusCode()).isEqualTo(403);
            assertThat(get(client, origin + "/?k=wrong", "").statusCode()).isEqualTo(403);
            String secret = link.getQuery().substring(2);
            assertThat(get(client, origin + "/api/session", secret).body()).contains("\"name\":\"" + name + "\"");
            String look = URI.create(link(a, name, true)).getQuery().substring(2);
            assertThat(look).isNotEqualTo(secret);
            assertThat(post(client, origin + "/api/type", look, "{\"text\":\"x\"}")
                            .statusCode())
                    .isEqualTo(403);
            assertThat(get(client, origin + "/api/clipboard", look).statusCode())
                    .isNotEqualTo(200);
            // A session's link is no other's.
            String other = name("other");
            a.create(other);
            try (Running beside = a.resume(other)) {
                String elsewhere =
                        "http://" + URI.create(beside.result().viewUrl()).getAuthority();
                assertThat(get(client, elsewhere + "/api/session", secret).statusCode())
                        .isEqualTo(403);
            }
        }
    }

    static HttpResponse<String> get(HttpClient client, String uri, String secret) throws IOException {
        return send(client, HttpRequest.newBuilder(URI.create(uri)), secret);
    }

    static HttpResponse<String> post(HttpClient client, String uri, String secret, String body) throws IOException {
        return send(
                client,
                HttpRequest.newBuilder(URI.create(uri)).POST(HttpRequest.BodyPublishers.ofString(body)),
                secret);
    }

    private static HttpResponse<String> send(HttpClient client, HttpRequest.Builder request, String secret)
            throws IOException {
        try {
            return client.send(
                    request.header("Authorization", "Bearer " + secret).build(), HttpResponse.BodyHandlers.ofString());
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
    }

    /** What the supervisor, in this process, has the recorder write to. */
    private static boolean aVideoHasBegun() throws IOException {
        try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
            for (Path fd : open.toList()) {
                try {
                    if (Files.readSymbolicLink(fd).toString().startsWith("/dev/shm/#") && Files.size(fd) > 1000) {
                        return true;
                    }
                } catch (NoSuchFileException e) {
                    // It is closed by now.
                }
            }
        }
        return false;
    }

    /** By command and by the API, which do the same. */
    @Test
    void programsDriveASession() throws Exception {
        String name = name("driven");
        a.create(name);
        try (Running here = a.resume(name);
                HttpClient client = HttpClient.newHttpClient()) {
            here.awaitTerminal(); // the session's own, which would take the focus
            here.start("exec xterm -T typing -xrm '*allowTitleOps: false' -geometry 60x20+10+10");
            here.awaitWindow("typing");
            a.with(satchel -> {
                satchel.click(name, 100, 100, 1, 1);
                satchel.type(name, "echo one >one\n");
                return true;
            });
            here.awaitFile("home/user/one");
            URI link = URI.create(link(a, name, false));
            String origin = "http://" + link.getAuthority();
            String secret = link.getQuery().substring(2);
            assertThat(post(client, origin + "/api/type", secret, "{\"text\":\"cat >two\\n\"}")
                            .statusCode())
                    .isEqualTo(200);
            // Only once the shell has let go of the terminal does Return end a line for cat.
            here.awaitFile("home/user/two");
            assertThat(post(client, origin + "/api/type", secret, "{\"text\":\"2\\n\"}")
                            .statusCode())
                    .isEqualTo(200);
            assertThat(post(client, origin + "/api/key", secret, "{\"keys\":[\"ctrl+d\"]}")
                            .statusCode())
                    .isEqualTo(200);
            Eventually.holds(
                    60_000, "what was typed", () -> here.read("home/user/two").equals("2\n"));
            HttpResponse<byte[]> png = client.send(
                    HttpRequest.newBuilder(URI.create(origin + "/api/screenshot.png"))
                            .header("Authorization", "Bearer " + secret)
                            .build(),
                    HttpResponse.BodyHandlers.ofByteArray());
            assertThat(ImageIO.read(new ByteArrayInputStream(png.body())).getWidth())
                    .isEqualTo(640);

            // Somebody takes control in a viewer: who has a link looks on then, who is on the host does not.
            String stream = origin.replace("http", "ws") + "/stream";
            WebSocket alone = client.newWebSocketBuilder()
                    .header("Authorization", "Bearer " + secret)
                    .subprotocols("satchel.1")
                    .buildAsync(URI.create(stream), new WebSocket.Listener() {})
                    .join();
            alone.sendBinary(ByteBuffer.wrap(new byte[] {1, 1, 0, 64, 0, 64, 0, 0}), true)
                    .join();
            Eventually.holds(60_000, "control of one viewer", () -> {
                // Of no effect before it is let in.
                alone.sendBinary(ByteBuffer.wrap(new byte[] {9, 1}), true).join();
                return post(client, origin + "/api/clipboard", secret, "{\"text\":\"not in\"}")
                                .statusCode()
                        == 409;
            });
            for (String input : List.of("type", "key", "click")) {
                HttpResponse<String> refused = post(client, origin + "/api/" + input, secret, "{}");
                assertThat(refused.statusCode()).as(input).isEqualTo(409);
                assertThat(refused.body()).contains("somebody has taken control");
            }
            a.with(satchel -> {
                satchel.setClipboard(name, "in");
                return true;
            });
            assertThat(here.sh("DISPLAY=:0 xclip -selection clipboard -o")).isEqualTo("in");
            alone.abort();
            Eventually.holds(
                    60_000,
                    "control given back",
                    () -> post(client, origin + "/api/click", secret, "{\"x\":600,\"y\":400,\"count\":0}")
                                    .statusCode()
                            == 200);
            here.start("printf out | xclip -quiet -selection clipboard");
            Eventually.holds(
                    60_000,
                    "what was copied",
                    () -> a.with(satchel -> satchel.clipboard(name)).equals(Optional.of("out")));

            for (String[] wrong : new String[][] {
                {"type", "{\"text\":", "no JSON object"},
                {"type", "{}", "'text' is missing"},
                {"fork", "{}", "'name' is missing"},
                {"fork", "{\"name\":\"a b\"}", "'a b' can't be a session's name"},
                {"key", "{\"keys\":\"Return\"}", "'keys' is missing or of another type"},
                {"key", "{\"keys\":[\"ctrl+nothing\"]}", "'ctrl+nothing' is no key"},
                {"click", "{\"x\":640,\"y\":10}", "640x480"},
                {"click", "{\"x\":4294967396,\"y\":10}", "at 4294967396,10"},
                {"click", "{\"x\":99999999999999999999,\"y\":10}", "no JSON object"},
                {"click", "{\"x\":1.5,\"y\":10}", "'x' is missing or of another type"},
                {"click", "{\"x\":1,\"y\":10,\"button\":10}", "buttons are 1 to 9"},
                {"click", "{\"x\":1,\"y\":10,\"count\":101}", "can't click 101 times"},
            }) {
                HttpResponse<String> refused = post(client, origin + "/api/" + wrong[0], secret, wrong[1]);
                assertThat(refused.statusCode()).as(wrong[1]).isEqualTo(400);
                assertThat(refused.body()).contains("{\"error\":").contains(wrong[2]);
            }
            assertThat(post(client, origin + "/api/fork", secret, "{\"name\":\"" + name + "\"}")
                            .statusCode())
                    .isEqualTo(409);
            here.start("head -c 2000000 /dev/zero | tr '\\0' x | xclip -quiet -selection clipboard");
            Eventually.holds(
                    60_000,
                    "text that is too long",
                    () -> get(client, origin + "/api/clipboard", secret).body().equals("{\"too_long\":true}"));
            assertThatThrownBy(() -> a.with(satchel -> satchel.clipboard(name)))
                    .hasMessageContaining("longer than 1 MiB");

            assertThatThrownBy(() -> a.with(satchel -> {
                        satchel.key(name, List.of("ctrl+nothing"));
                        return true;
                    }))
                    .hasMessageContaining("'ctrl+nothing' is no key");
            assertThatThrownBy(() -> a.with(satchel -> {
                        satchel.click(name, 640, 10, 1, 1);
                        return true;
                    }))
                    .hasMessageContaining("640x480");
            // Nothing that programs did is in the way of a suspend, and who asks for it is answered.
            HttpResponse<String> suspended = post(client, origin + "/api/suspend", secret, "");
            assertThat(suspended.statusCode()).isEqualTo(200);
            assertThat(suspended.body()).contains("\"frozen_ms\":");
            here.awaitEnd();
        }
    }

    /** By TLS, when it was asked for; here by a loopback address, as this test sends nothing elsewhere. */
    @Test
    void browsersElsewhereAreLetInByTls() throws Exception {
        String name = name("remote");
        a.create(name);
        try (Chromium browser = new Chromium()) {
            Page page;
            RemoteAccess access;
            try (Running here = a.resume(name)) {
                access = a.with(
                        satchel -> satchel.listen(name, ListenAddress.parse("127.0.0.2"), Optional.empty(), false));
                assertThat(access.url()).startsWith("https://127.0.0.2:").contains("/?k=");
                assertThat(access.ownCertificate()).isTrue();
                // Asked again it is the same.
                assertThat(a.<RemoteAccess>with(satchel ->
                                satchel.listen(name, ListenAddress.parse("127.0.0.2"), Optional.empty(), false)))
                        .isEqualTo(access);
                page = browser.openElsewhere(access.url());
                Chromium.awaitSame("the desktop in the browser", page, a, name);
                // Plain HTTP has no business there, nor has a link of this computer's.
                URI there = URI.create(access.url());
                try (HttpClient client = HttpClient.newHttpClient()) {
                    assertThatThrownBy(() -> get(client, "http://" + there.getAuthority() + "/", ""))
                            .isInstanceOf(java.io.IOException.class);
                }
                String secret = URI.create(here.result().viewUrl()).getQuery();
                assertThat(browser.openElsewhere("https://" + there.getAuthority() + "/?" + secret)
                                .locator("body")
                                .textContent())
                        .doesNotContain(name);
                assertThatThrownBy(() -> a.with(satchel -> satchel.listen(
                                name,
                                ListenAddress.parse("127.0.0.3"),
                                Optional.of(new CertificateFiles(Path.of("/nowhere.pem"), Path.of("/nowhere.key"))),
                                false)))
                        .hasMessageContaining("/nowhere.pem");
                assertThatThrownBy(() -> a.with(satchel -> satchel.listen(
                                name, ListenAddress.parse("no.such.name.invalid"), Optional.empty(), false)))
                        .hasMessageContaining("'no.such.name.invalid' is no name");
                Chromium.awaitSame("the desktop in the browser still", page, a, name);
                assertThatThrownBy(() -> a.with(satchel ->
                                satchel.listen(name, ListenAddress.parse("192.0.2.1"), Optional.empty(), false)))
                        .hasMessageContaining("can't listen at 192.0.2.1");
                // Its port is another than before, which is closed.
                access = a.with(
                        satchel -> satchel.listen(name, ListenAddress.parse("127.0.0.2"), Optional.empty(), false));
                page = browser.openElsewhere(access.url());
                Chromium.awaitSame("the desktop in the browser again", page, a, name);
                here.suspend();
                page.locator("#overlay-title").getByText("Suspended").waitFor();
            }
            try (Running again = a.resume(name)) {
                Chromium.awaitSame("the same page after a suspend", page, a, name);
                assertThat(a.<RemoteAccess>with(satchel ->
                                satchel.listen(name, ListenAddress.parse("127.0.0.2"), Optional.empty(), false)))
                        .isEqualTo(access);
                assertThat(a.<Boolean>with(satchel -> satchel.listenNoMore(name)))
                        .isTrue();
                assertThat(a.<Boolean>with(satchel -> satchel.listenNoMore(name)))
                        .isFalse();
                URI there = URI.create(access.url());
                assertThatThrownBy(() -> new java.net.Socket(there.getHost(), there.getPort()).close())
                        .isInstanceOf(java.io.IOException.class);
                again.suspend();
            }
        }
    }
}
