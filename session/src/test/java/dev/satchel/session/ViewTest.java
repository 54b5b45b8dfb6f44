package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Playwright;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;

/** A real session, seen and worked in from a real Chromium. */
class ViewTest extends LiveTest {
    private static final List<String> ARGUMENTS = List.of(
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync");

    /** What the page's copy of the screen holds, without a detour over files that may lose something. */
    private static final String CANVAS = """
            () => {
                const canvas = document.getElementById('screen');
                const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
                let text = '';
                for (let i = 0; i < data.length; i += 32768) {
                    text += String.fromCharCode(...data.subarray(i, i + 32768));
                }
                return [canvas.width, canvas.height, btoa(text)];
            }
            """;

    private static Browser chromium(Playwright playwright) {
        return playwright
                .chromium()
                .launch(new BrowserType.LaunchOptions()
                        .setExecutablePath(Path.of("/usr/bin/chromium"))
                        .setArgs(ARGUMENTS));
    }

    private static Playwright playwright() {
        return Playwright.create(
                new Playwright.CreateOptions().setEnv(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
    }

    private static Page open(Browser browser, String link) {
        Page page = browser.newPage(new Browser.NewPageOptions().setViewportSize(1000, 700));
        page.navigate(link);
        return page;
    }

    private String link(TestHost host, String name, boolean look) throws IOException {
        return host.with(satchel -> satchel.viewUrl(name, look));
    }

    private int[] screen(TestHost host, String name) throws IOException {
        Path png = Files.createTempFile(site.directory(), "screen", ".png");
        host.with(satchel -> {
            satchel.screenshot(name, png);
            return true;
        });
        BufferedImage picture = ImageIO.read(png.toFile());
        return picture.getRGB(0, 0, picture.getWidth(), picture.getHeight(), null, 0, picture.getWidth());
    }

    private static int[] canvas(Page page) {
        List<?> seen = (List<?>) page.evaluate(CANVAS);
        byte[] bytes = Base64.getDecoder().decode((String) seen.get(2));
        int[] pixels = new int[bytes.length / 4];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = 0xff000000
                    | (bytes[4 * i] & 0xff) << 16
                    | (bytes[4 * i + 1] & 0xff) << 8
                    | (bytes[4 * i + 2] & 0xff);
        }
        return pixels;
    }

    private void awaitSame(String what, Page page, TestHost host, String name) throws IOException {
        Eventually.holds(30_000, what, () -> Arrays.equals(canvas(page), screen(host, name)));
    }

    @Test
    void isSeenAndWorkedInBeforeAndAfterAMove() throws Exception {
        String name = name("view");
        a.create(name);
        try (Playwright playwright = playwright();
                Browser browser = chromium(playwright)) {
            try (Running here = a.resume(name)) {
                Page page = open(browser, here.result().viewUrl());
                awaitSame("the desktop in the browser", page, a, name);
                assertThat(canvas(page)).hasSize(640 * 480);

                here.start("LC_ALL=C.UTF-8 exec xterm -geometry 60x20+10+10 -fa Monospace -fs 10");
                Eventually.holds(
                        30_000,
                        "a terminal",
                        () -> !here.sh("DISPLAY=:0 xdotool search --onlyvisible --class xterm || true")
                                .isBlank());
                page.click("#screen", new Page.ClickOptions().setPosition(120, 120));
                page.keyboard().type("seq 100; echo 'Typed: äß€ {[]}' >typed\n");
                here.awaitFile("home/user/typed");
                Eventually.holds(
                        10_000,
                        "what was typed",
                        () -> here.read("home/user/typed").equals("Typed: äß€ {[]}\n"));
                awaitSame("scrolled text in the browser", page, a, name);

                // Nothing of the viewer's is in the way, and it goes on by itself.
                here.snapshot();
                page.keyboard().type("clear; echo again >again\n");
                here.awaitFile("home/user/again");
                awaitSame("the same page after a snapshot", page, a, name);

                here.suspend();
                page.locator("#overlay-title").getByText("Suspended").waitFor();
                // On the same host it goes on by itself.
                try (Running again = a.resume(name)) {
                    awaitSame("the same page after a suspend", page, a, name);
                    assertThat(again.result().viewUrl()).isEqualTo(here.result().viewUrl());
                    again.suspend();
                }
            }
            try (Running there = b.resume(name)) {
                Page page = open(browser, there.result().viewUrl());
                awaitSame("the desktop on the other host", page, b, name);
                there.start("exec xterm -geometry 40x10+300+200 -bg '#00ff00'");
                awaitSame("a new window on the other host", page, b, name);
            }
        }
    }

    @Test
    void theScreenTakesTheSizeThatIsAskedFor() throws Exception {
        String name = name("size");
        a.create(name);
        try (Playwright playwright = playwright();
                Browser browser = chromium(playwright);
                Running here = a.resume(name)) {
            Page page = open(browser, here.result().viewUrl());
            awaitSame("the desktop in the browser", page, a, name);
            page.mouse().move(500, 2);
            page.getByLabel("Screen size").first().click();
            page.locator("#modes input")
                    .last()
                    .check(new com.microsoft.playwright.Locator.CheckOptions().setForce(true));
            Eventually.holds(
                    20_000,
                    "a screen of the window's size",
                    () -> here.sh("DISPLAY=:0 xdpyinfo").contains("dimensions:    1000x700 pixels"));
            awaitSame("the larger desktop", page, a, name);
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
        try (Playwright playwright = playwright();
                Browser browser = chromium(playwright);
                Running here = a.resume(name)) {
            here.startCounting();
            Page page = open(browser, here.result().viewUrl());
            awaitSame("the desktop in the browser", page, a, name);
            // Who comes back in time is not suspended.
            page.reload();
            awaitSame("the desktop in the page that was loaded again", page, a, name);
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

    private static HttpResponse<String> get(HttpClient client, String uri, String secret) throws Exception {
        return send(client, HttpRequest.newBuilder(URI.create(uri)), secret);
    }

    private static HttpResponse<String> post(HttpClient client, String uri, String secret, String body)
            throws Exception {
        return send(
                client,
                HttpRequest.newBuilder(URI.create(uri)).POST(HttpRequest.BodyPublishers.ofString(body)),
                secret);
    }

    private static HttpResponse<String> send(HttpClient client, HttpRequest.Builder request, String secret)
            throws Exception {
        return client.send(
                request.header("Authorization", "Bearer " + secret).build(), HttpResponse.BodyHandlers.ofString());
    }

    /** By command and by the API, which do the same. */
    @Test
    void programsDriveASession() throws Exception {
        String name = name("driven");
        a.create(name);
        try (Running here = a.resume(name);
                HttpClient client = HttpClient.newHttpClient()) {
            here.start("exec xterm -geometry 60x20+10+10");
            Eventually.holds(
                    30_000,
                    "a terminal",
                    () -> !here.sh("DISPLAY=:0 xdotool search --onlyvisible --class xterm || true")
                            .isBlank());
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
                    10_000, "what was typed", () -> here.read("home/user/two").equals("2\n"));
            HttpResponse<byte[]> png = client.send(
                    HttpRequest.newBuilder(URI.create(origin + "/api/screenshot.png"))
                            .header("Authorization", "Bearer " + secret)
                            .build(),
                    HttpResponse.BodyHandlers.ofByteArray());
            assertThat(ImageIO.read(new ByteArrayInputStream(png.body())).getWidth())
                    .isEqualTo(640);

            a.with(satchel -> {
                satchel.setClipboard(name, "in");
                return true;
            });
            assertThat(here.sh("DISPLAY=:0 xclip -selection clipboard -o")).isEqualTo("in");
            here.start("printf out | xclip -quiet -selection clipboard");
            Eventually.holds(
                    10_000,
                    "what was copied",
                    () -> a.with(satchel -> satchel.clipboard(name)).equals(Optional.of("out")));

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
            // Nothing that programs did is in the way of a suspend.
            here.suspend();
        }
    }
}
