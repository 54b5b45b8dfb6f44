package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.microsoft.playwright.Download;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.options.FilePayload;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Files come into a session and out of it, with the rights of its user and nowhere else. */
class SessionFilesTest extends LiveTest {
    /** What a program with the session's link does. */
    record Caller(HttpClient client, String origin, String secret) {
        static Caller of(HttpClient client, String link) {
            URI uri = URI.create(link);
            return new Caller(
                    client, "http://" + uri.getAuthority(), uri.getQuery().substring(2));
        }

        private HttpResponse<byte[]> call(HttpRequest.Builder request) throws Exception {
            return client.send(
                    request.header("Authorization", "Bearer " + secret).build(),
                    HttpResponse.BodyHandlers.ofByteArray());
        }

        HttpResponse<byte[]> get(String path) throws Exception {
            return call(HttpRequest.newBuilder(URI.create(origin + "/api/files?path=" + encoded(path))));
        }

        JsonObject list(String path) throws Exception {
            HttpResponse<byte[]> answer =
                    call(HttpRequest.newBuilder(URI.create(origin + "/api/files/list?path=" + encoded(path))));
            assertThat(answer.statusCode()).isEqualTo(200);
            return Json.read(answer.body());
        }

        HttpResponse<byte[]> post(String name, byte[] bytes) throws Exception {
            return call(HttpRequest.newBuilder(URI.create(origin + "/api/files?name=" + encoded(name)))
                    .POST(HttpRequest.BodyPublishers.ofByteArray(bytes)));
        }

        private static String encoded(String text) {
            return URLEncoder.encode(text, StandardCharsets.UTF_8);
        }
    }

    private static List<String> names(JsonObject listing) {
        return ((List<?>) listing.fields().get("entries"))
                .stream().map(entry -> (String) ((Map<?, ?>) entry).get("name")).toList();
    }

    @Test
    void comeInAndGoOut() throws Exception {
        String name = name("files");
        a.create(name);
        byte[] large = new byte[5_000_003];
        new Random(1).nextBytes(large);
        try (Running here = a.resume(name);
                HttpClient client = HttpClient.newHttpClient()) {
            Caller caller = Caller.of(client, here.result().viewUrl());
            // Where there is no other place for it.
            assertThat(new String(caller.post("größe.bin", large).body(), StandardCharsets.UTF_8))
                    .contains("\"path\":\"/home/user/größe.bin\"")
                    .contains("\"bytes\":5000003");
            here.sh("mkdir ~/Downloads");
            assertThat(Json.read(caller.post("a b.txt", new byte[] {'1'}).body())
                            .text("path"))
                    .isEqualTo("/home/user/Downloads/a b.txt");
            assertThat(Json.read(caller.post("a b.txt", new byte[] {'2'}).body())
                            .text("path"))
                    .isEqualTo("/home/user/Downloads/a b (1).txt");
            assertThat(caller.post("empty", new byte[0]).statusCode()).isEqualTo(200);
            assertThat(here.sh("cd ~/Downloads; cat a*; stat -c '%U:%G %a' *; ls -A"))
                    .isEqualTo("21user:user 644\nuser:user 644\nuser:user 644\na b (1).txt\na b.txt\nempty\n");

            HttpResponse<byte[]> out = caller.get("größe.bin");
            assertThat(out.body()).isEqualTo(large);
            assertThat(out.headers().firstValue("Content-Disposition"))
                    .hasValue("attachment; filename*=UTF-8''gr%C3%B6%C3%9Fe.bin");
            assertThat(out.headers().firstValue("Content-Type")).hasValue("application/octet-stream");
            assertThat(out.headers().firstValue("X-Content-Type-Options")).hasValue("nosniff");

            JsonObject home = caller.list("");
            assertThat(home.text("path")).isEqualTo("/home/user");
            assertThat(names(home)).contains("Downloads", "größe.bin");
            assertThat(home.number("room")).isPositive();
            assertThat(names(caller.list("Downloads/../Downloads")))
                    .containsExactlyInAnyOrder("a b (1).txt", "a b.txt", "empty");

            for (String wrong : List.of("", ".", "..", "a/b", "../x", "a\nb", "x".repeat(256))) {
                assertThat(caller.post(wrong, new byte[1]).statusCode())
                        .as(wrong)
                        .isEqualTo(400);
            }
        }
    }

    @Test
    void leadNowhereElse() throws Exception {
        String name = name("inside");
        a.create(name);
        try (Running here = a.resume(name);
                HttpClient client = HttpClient.newHttpClient()) {
            Caller caller = Caller.of(client, here.result().viewUrl());
            // Links and dots stay inside, where that name is another file or none.
            here.sh("ln -s ../../../../../../../etc/debian_version up; ln -s /etc/passwd passwd; ln -s "
                    + a.host().state() + "/host-id host; ln -s . round; mkfifo pipe; mkdir -m 0 closed");
            String inside = new String(caller.get("passwd").body(), StandardCharsets.UTF_8);
            assertThat(inside).isEqualTo(here.sh("cat /etc/passwd"));
            assertThat(inside).isNotEqualTo(Files.readString(java.nio.file.Path.of("/etc/passwd")));
            assertThat(caller.get("up").body())
                    .isEqualTo(here.sh("cat /etc/debian_version").getBytes(StandardCharsets.UTF_8));
            assertThat(caller.get("host").statusCode()).isEqualTo(404);
            assertThat(caller.get("../../../../" + a.host().state() + "/host-id")
                            .statusCode())
                    .isEqualTo(404);
            assertThat(caller.get("/proc/1/environ").statusCode()).isEqualTo(404);
            assertThat(caller.get("pipe").statusCode()).isEqualTo(409);
            assertThat(caller.get("round").statusCode()).isEqualTo(409);
            // What the session's user may not do is not done for it.
            assertThat(caller.get("/etc/shadow").statusCode()).isEqualTo(403);
            assertThat(caller.get("closed/x").statusCode()).isEqualTo(403);
            here.sh("ln -s /etc Downloads");
            assertThat(caller.post("satchel-test", new byte[1]).statusCode()).isEqualTo(403);
            here.sh("rm Downloads; ln -s " + site.directory() + " Downloads");
            assertThat(caller.post("satchel-test", new byte[1]).statusCode()).isEqualTo(200);
            assertThat(site.directory().resolve("satchel-test")).doesNotExist();
            // A name that is a link leads nowhere, but is taken.
            here.sh("rm Downloads; mkdir Downloads; ln -s /etc/new Downloads/new");
            assertThat(Json.read(caller.post("new", new byte[1]).body()).text("path"))
                    .isEqualTo("/home/user/Downloads/new (1)");

            Caller looks = Caller.of(client, a.with(satchel -> satchel.viewUrl(name, true)));
            assertThat(looks.get("passwd").statusCode()).isEqualTo(404);
            assertThat(looks.post("x", new byte[1]).statusCode()).isEqualTo(403);
            assertThat(new String(
                            client.send(
                                            HttpRequest.newBuilder(URI.create(looks.origin() + "/api/files/list"))
                                                    .header("Authorization", "Bearer " + looks.secret())
                                                    .build(),
                                            HttpResponse.BodyHandlers.ofByteArray())
                                    .body(),
                            StandardCharsets.UTF_8))
                    .contains("error");
        }
    }

    @Test
    void whatBreaksOffLeavesNothing() throws Exception {
        String name = name("broken");
        a.create(name);
        try (Running here = a.resume(name);
                HttpClient client = HttpClient.newHttpClient()) {
            here.sh("mkdir Downloads");
            Caller caller = Caller.of(client, here.result().viewUrl());
            String head = "POST /api/files?name=part HTTP/1.1\r\nHost: "
                    + caller.origin().substring(7) + "\r\nAuthorization: Bearer " + caller.secret()
                    + "\r\nContent-Length: 1000000\r\n\r\n";
            try (Socket socket = begin(caller, head)) {
                assertThat(socket.isConnected()).isTrue();
            }
            // One that is under way when the session is suspended ends, and is in nobody's way.
            try (Socket socket = begin(caller, head)) {
                here.suspend();
                socket.setSoTimeout(30_000);
                InputStream answer = socket.getInputStream();
                String said = new String(answer.readAllBytes(), StandardCharsets.UTF_8);
                assertThat(said).doesNotContain(" 200 ");
            }
            try (Running again = a.resume(name)) {
                assertThat(again.sh("ls -A Downloads")).isEmpty();
                assertThat(Caller.of(client, again.result().viewUrl())
                                .post("part", new byte[] {1})
                                .statusCode())
                        .isEqualTo(200);
            }
        }
    }

    /** A request whose body is not whole. */
    private static Socket begin(Caller caller, String head) throws Exception {
        URI uri = URI.create(caller.origin());
        Socket socket = new Socket(uri.getHost(), uri.getPort());
        OutputStream out = socket.getOutputStream();
        out.write(head.getBytes(StandardCharsets.US_ASCII));
        out.write(new byte[200_000]);
        out.flush();
        return socket;
    }

    @Test
    void aSessionMayTakeLittleOrNone() throws Exception {
        String name = name("limit");
        a.create(new CreateRequest(
                name,
                Site.IMAGE,
                OptionalLong.empty(),
                OptionalLong.empty(),
                Optional.empty(),
                Map.of(),
                "640x480",
                "640x480",
                false,
                1000));
        try (Running here = a.resume(name);
                HttpClient client = HttpClient.newHttpClient()) {
            Caller caller = Caller.of(client, here.result().viewUrl());
            assertThat(caller.post("fits", new byte[1000]).statusCode()).isEqualTo(200);
            assertThat(caller.post("more", new byte[1001]).statusCode()).isEqualTo(413);
            assertThat(caller.list("").number("room")).isEqualTo(1000);
        }
        SessionFiles full = new SessionFiles(site.directory(), site.directory(), Long.MAX_VALUE);
        try (full) {
            assertThatThrownBy(() -> full.receive("huge", Long.MAX_VALUE / 2, InputStream.nullInputStream()))
                    .isInstanceOf(SessionFiles.Refused.class)
                    .hasMessageContaining("not that much room");
        }
    }

    @Test
    void aPageSendsAndFetchesThem() throws Exception {
        String name = name("page");
        a.create(name);
        try (Chromium browser = new Chromium();
                Running here = a.resume(name)) {
            here.sh("mkdir -p Downloads Documents/letters; echo hello >Documents/letters/'to you.txt'");
            Page page = browser.open(here.result().viewUrl());
            Chromium.awaitSame("the desktop in the browser", page, a, name);
            page.click("[data-panel=panel-files]");
            byte[] content = new byte[300_000];
            Arrays.fill(content, (byte) 'x');
            page.setInputFiles("#file", new FilePayload("sent.txt", "text/plain", content));
            here.awaitFile("home/user/Downloads/sent.txt");
            page.waitForSelector("#uploads >> text=Downloads/sent.txt");
            assertThat(here.read("home/user/Downloads/sent.txt")).hasSize(300_000);

            page.click("#entries >> text=Documents");
            page.click("#entries >> text=letters");
            Download download = page.waitForDownload(() -> page.click("#entries >> text=to you.txt"));
            assertThat(download.suggestedFilename()).isEqualTo("to you.txt");
            assertThat(Files.readString(download.path())).isEqualTo("hello\n");
        }
    }
}
