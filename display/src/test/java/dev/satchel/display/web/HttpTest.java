package dev.satchel.display.web;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class HttpTest {
    private static final Map<String, String> FILES = Map.of(
            "index.html",
            "<!doctype html>home",
            "viewer/app.js",
            "export {}",
            "secret",
            "no",
            "viewer/.hidden.js",
            "no");

    private final List<String> log = Collections.synchronizedList(new ArrayList<>());
    private final List<String> calls = Collections.synchronizedList(new ArrayList<>());
    private final FakeDisplay display = new FakeDisplay();
    private final HttpClient client = HttpClient.newHttpClient();
    private final ViewerServer server = server(ViewerServer.Settings.loopback("one"));

    private ViewerServer server(ViewerServer.Settings settings) {
        try {
            return new ViewerServer(
                    new ViewerServer.Settings(
                            settings.bind(),
                            settings.names(),
                            "one",
                            settings.tls(),
                            settings.earlier(),
                            60_000,
                            log::add),
                    () -> display,
                    CommandEncoder::compressing,
                    this::answer,
                    path -> {
                        String content = FILES.get(path);
                        return content == null
                                ? null
                                : new ByteArrayInputStream(content.getBytes(StandardCharsets.UTF_8));
                    });
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private Api.Response answer(Api.Request request) throws IOException {
        calls.add(request.method() + " " + request.path() + " " + request.query() + " " + request.control());
        return switch (request.path()) {
            case "echo" -> Api.Response.json(200, request.text());
            case "fails" -> throw new IOException("a \"quoted\"\nreason");
            case "bug" -> throw new IllegalStateException("oops");
            case "stream" ->
                new Api.Response(
                        200, "text/plain", -1, new ByteArrayInputStream(new byte[100_000]), Optional.of("a b\"ü.txt"));
            case "short" ->
                new Api.Response(200, "text/plain", 10, new ByteArrayInputStream(new byte[5]), Optional.empty());
            default -> Api.Response.json(200, "{}");
        };
    }

    @AfterEach
    void close() {
        server.close();
        client.close();
    }

    private URI uri(String path) {
        return URI.create("http://127.0.0.1:" + server.port() + path);
    }

    private HttpResponse<String> get(String path, String... headers) throws Exception {
        java.net.http.HttpRequest.Builder request = java.net.http.HttpRequest.newBuilder(uri(path));
        if (headers.length > 0) {
            request.headers(headers);
        }
        return client.send(request.build(), BodyHandlers.ofString());
    }

    private String cookie(boolean control) throws Exception {
        HttpResponse<String> answer = client.send(
                java.net.http.HttpRequest.newBuilder(URI.create(server.link(control)))
                        .build(),
                BodyHandlers.ofString());
        String cookie = answer.headers().firstValue("Set-Cookie").orElseThrow();
        return cookie.substring(0, cookie.indexOf(';'));
    }

    private String raw(String text) throws IOException {
        try (RawBrowser browser = new RawBrowser(server.port())) {
            return browser.request(text);
        }
    }

    @Test
    void exchangesTheSecretForACookie() throws Exception {
        assertThat(server.link(true))
                .matches("http://127\\.0\\.0\\.1:" + server.port() + "/\\?k=[A-Za-z0-9_-]{43}")
                .isNotEqualTo(server.link(false));
        HttpResponse<String> answer = client.send(
                java.net.http.HttpRequest.newBuilder(URI.create(server.link(true)))
                        .build(),
                BodyHandlers.ofString());
        assertThat(answer.statusCode()).isEqualTo(303);
        assertThat(answer.headers().firstValue("Location")).contains("/");
        assertThat(answer.headers().firstValue("Cache-Control")).contains("no-store");
        String cookie = answer.headers().firstValue("Set-Cookie").orElseThrow();
        assertThat(cookie)
                .matches("satchel-" + server.port() + "=[A-Za-z0-9_-]{43}; Path=/; HttpOnly; SameSite=Strict")
                .doesNotContain(server.secret(true));
        assertThat(get("/", "Cookie", "a=b; " + cookie.substring(0, cookie.indexOf(';')) + "; c=d")
                        .body())
                .isEqualTo("<!doctype html>home");
        assertThat(cookie(true)).isNotEqualTo(cookie(false));
        // The secret is for the link and for programs, the cookie for the page.
        assertThat(get("/", "Authorization", "Bearer " + server.secret(true)).statusCode())
                .isEqualTo(403);
        assertThat(get("/", "Cookie", "satchel-" + server.port() + "=" + server.secret(true))
                        .statusCode())
                .isEqualTo(403);
        assertThat(get("/api/x?k=" + server.secret(true)).statusCode()).isEqualTo(403);
    }

    @Test
    void saysTheSameWhateverWasWrongAndNotTooOften() throws Exception {
        String nothing = get("/").body();
        List<Integer> codes = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            HttpResponse<String> secret = get("/?k=" + server.secret(true).substring(1) + "x");
            HttpResponse<String> cookie = get("/viewer/app.js", "Cookie", cookie(true) + "x");
            assertThat(secret.body()).isEqualTo(nothing);
            assertThat(cookie.body()).isEqualTo(nothing);
            codes.add(secret.statusCode());
            codes.add(cookie.statusCode());
        }
        assertThat(codes).containsExactly(403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 429, 429);
        assertThat(get("/api/x", "Authorization", "Bearer x").statusCode()).isEqualTo(429);
        assertThat(get("/").statusCode()).isEqualTo(403);
        assertThat(get("/", "Cookie", cookie(true)).statusCode()).isEqualTo(200);
        assertThat(calls).isEmpty();
    }

    @Test
    void knowsItsOwnNamesOnly() throws Exception {
        String cookie = "\r\nCookie: " + cookie(true) + "\r\n\r\n";
        for (String host : List.of("127.0.0.1:" + server.port(), "127.0.0.1", "localhost:9000", "LOCALHOST")) {
            assertThat(raw("GET / HTTP/1.1\r\nHost: " + host + cookie)).as(host).startsWith("HTTP/1.1 200 ");
        }
        for (String host : List.of(
                "evil.example:" + server.port(),
                "",
                "127.0.0.2",
                "[::1]",
                "127.0.0.1.evil.example",
                "[",
                "a]",
                "127.0.0.1:80 ; x",
                "127.0.0.1:x")) {
            assertThat(raw("GET / HTTP/1.1\r\nHost: " + host + cookie)).as(host).startsWith("HTTP/1.1 403 ");
        }
    }

    @Test
    void refusesWhatCanBeReadInTwoWays() throws Exception {
        String start = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n";
        for (String request : List.of(
                "GET / HTTP/1.1\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n",
                "GET  / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                "GET /\r\nHost: 127.0.0.1\r\n\r\n",
                "GET http://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                "GET /%zz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                "GET /%ff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                "G@T / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                start + "No colon\r\n\r\n",
                start + "Spaced : x\r\n\r\n",
                start + "A: b\r\n folded\r\n\r\n",
                start + "A: b\nB: c\r\n\r\n",
                start + "Content-Length: -1\r\n\r\n",
                start + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
                start + "Content-Length: 9999999999999999999\r\n\r\n",
                "\r\n\r\n")) {
            assertThat(raw(request)).as(request).startsWith("HTTP/1.1 400 ");
        }
        assertThat(raw(start + "Transfer-Encoding: chunked\r\n\r\n")).startsWith("HTTP/1.1 501 ");
        assertThat(raw("GET / HTTP/2.0\r\nHost: 127.0.0.1\r\n\r\n")).startsWith("HTTP/1.1 505 ");
        assertThat(raw("GET /" + "a".repeat(20_000))).startsWith("HTTP/1.1 431 ");
        assertThat(raw(start + "A: b\r\n".repeat(200) + "\r\n")).startsWith("HTTP/1.1 431 ");
        assertThat(log).isEmpty();
    }

    @Test
    void readsOrRefusesWhateverComes() throws Exception {
        byte[] good = """
                POST /api/a%20b?x=1&y=%41 HTTP/1.1\r
                Host: 127.0.0.1\r
                Cookie: a=b; c=d\r
                Content-Length: 3\r
                Connection: close\r
                """.getBytes(StandardCharsets.ISO_8859_1);
        int read = 0;
        Random random = new Random(1);
        for (int i = 0; i < 50_000; i++) {
            byte[] head = good.clone();
            for (int changes = random.nextInt(4); changes >= 0; changes--) {
                int at = random.nextInt(head.length - 2);
                head[at] = random.nextBoolean() ? head[random.nextInt(head.length)] : (byte) random.nextInt(256);
            }
            try {
                HttpRequest request = HttpRequest.parse(head);
                assertThat(request.path()).startsWith("/");
                assertThat(request.length()).isNotNegative();
                assertThat(request.headers()).containsKey("host");
                read++;
            } catch (HttpRequest.Refused e) {
                assertThat(e.status).isBetween(400, 599);
            }
        }
        assertThat(read).isBetween(1000, 49_000);
        for (int i = 0; i < 200; i++) {
            byte[] noise = new byte[random.nextInt(2000)];
            random.nextBytes(noise);
            try (RawBrowser browser = new RawBrowser(server.port())) {
                browser.out.write(noise);
            }
        }
        assertThat(get("/", "Cookie", cookie(true)).statusCode()).isEqualTo(200);
        assertThat(log).isEmpty();
    }

    @Test
    void servesItsFilesAndNoOthers() throws Exception {
        String cookie = cookie(true);
        HttpResponse<String> file = get("/viewer/app.js", "Cookie", cookie);
        assertThat(file.statusCode()).isEqualTo(200);
        assertThat(file.body()).isEqualTo("export {}");
        assertThat(file.headers().firstValue("Content-Type")).contains("text/javascript; charset=utf-8");
        assertThat(file.headers().firstValue("X-Content-Type-Options")).contains("nosniff");
        assertThat(file.headers().firstValue("Referrer-Policy")).contains("no-referrer");
        assertThat(file.headers().firstValue("Content-Security-Policy").orElseThrow())
                .startsWith("default-src 'self'; ")
                .contains("frame-ancestors 'none'")
                .contains("connect-src 'self' ws://127.0.0.1:" + server.port() + ";");
        String tag = file.headers().firstValue("ETag").orElseThrow();
        HttpResponse<String> same = get("/viewer/app.js", "Cookie", cookie, "If-None-Match", tag);
        assertThat(same.statusCode()).isEqualTo(304);
        assertThat(same.body()).isEmpty();
        assertThat(get("/viewer/app.js", "Cookie", cookie, "If-None-Match", "\"other\"")
                        .statusCode())
                .isEqualTo(200);
        for (String path : List.of(
                "/secret",
                "/viewer/../secret",
                "/viewer/%2e%2e/secret",
                "/viewer/..%2fsecret",
                "/viewer//app.js",
                "/viewer/.hidden.js",
                "/viewer/",
                "/viewer",
                "/viewer/app.js/",
                "/viewer/app.js%00",
                "/index.html",
                "//")) {
            assertThat(raw("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: " + cookie + "\r\n\r\n"))
                    .as(path)
                    .startsWith("HTTP/1.1 404 ");
        }
        assertThat(raw("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: " + cookie + "\r\n\r\n"))
                .startsWith("HTTP/1.1 405 ");
        try (RawBrowser browser = new RawBrowser(server.port())) {
            String head = "HEAD / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: " + cookie + "\r\n\r\n";
            browser.out.write(head.getBytes(StandardCharsets.ISO_8859_1));
            browser.out.write(head.replace("HEAD", "GET").getBytes(StandardCharsets.ISO_8859_1));
            browser.socket.shutdownOutput();
            String all = new String(browser.in.readAllBytes(), StandardCharsets.ISO_8859_1);
            assertThat(all).containsOnlyOnce("home").endsWith("home");
            assertThat(all.split("HTTP/1.1 200 OK", -1)).hasSize(3);
        }
    }

    @Test
    void packsTheViewer() throws Exception {
        try (var in = ViewerFiles.PACKED.open("index.html")) {
            assertThat(in).isNotNull();
            assertThat(new String(in.readAllBytes(), StandardCharsets.UTF_8)).startsWith("<!doctype html>");
        }
    }

    @Test
    void asksTheApiForWhoMay() throws Exception {
        String cookie = cookie(true);
        assertThat(get("/api/a%20b/c?x=1%2B1&y&x=a+b", "Cookie", cookie).body()).isEqualTo("{}");
        assertThat(calls)
                .containsExactly("GET a b/c " + new java.util.HashMap<>(Map.of("x", "a b", "y", "")) + " true");
        calls.clear();
        assertThat(get("/api/x", "Authorization", "Bearer " + server.secret(false))
                        .statusCode())
                .isEqualTo(200);
        assertThat(calls).containsExactly("GET x {} false");
        calls.clear();
        String origin = server.origin();
        Object[][] cases = {
            {200, server.secret(true), "Accept", "*/*"},
            {200, server.secret(true), "Origin", origin},
            {200, server.secret(true), "Sec-Fetch-Site", "same-origin"},
            {403, server.secret(true), "Origin", "http://evil.example"},
            {403, server.secret(true), "Origin", "null"},
            {403, server.secret(true), "Origin", origin.replace("http:", "https:")},
            {403, server.secret(true), "Sec-Fetch-Site", "same-site"},
            {403, server.secret(false), "Origin", origin},
        };
        for (Object[] expected : cases) {
            HttpResponse<String> answer = client.send(
                    java.net.http.HttpRequest.newBuilder(uri("/api/echo"))
                            .headers("Authorization", "Bearer " + expected[1], (String) expected[2], (String)
                                    expected[3])
                            .POST(BodyPublishers.ofString("[\"ü\"]"))
                            .build(),
                    BodyHandlers.ofString());
            assertThat(answer.statusCode())
                    .as("%s %s", expected[2], expected[3])
                    .isEqualTo(expected[0]);
            assertThat(answer.body()).startsWith(expected[0].equals(200) ? "[\"ü\"]" : "{\"error\":");
            assertThat(answer.headers().firstValue("Cache-Control")).contains("no-store");
        }
        assertThat(calls).hasSize(3);
        assertThat(raw("PATCH /api/x HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: " + cookie + "\r\n\r\n"))
                .startsWith("HTTP/1.1 405 ");
        assertThat(get("/api/x", "Cookie", cookie, "Sec-Fetch-Site", "cross-site")
                        .statusCode())
                .isEqualTo(403);
        assertThat(calls).hasSize(3);
    }

    @Test
    void passesBodiesBothWays() throws Exception {
        String cookie = cookie(true);
        String head = " HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: " + cookie + "\r\n";
        assertThat(raw("POST /api/echo" + head + "Content-Length: 1048577\r\n\r\n"))
                .startsWith("HTTP/1.1 413 ");
        assertThat(calls).isEmpty();
        try (RawBrowser browser = new RawBrowser(server.port())) {
            assertThat(browser.request("POST /api/echo" + head + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"))
                    .isEqualTo("HTTP/1.1 100 Continue\r\n\r\n");
            assertThat(browser.request("{}")).startsWith("HTTP/1.1 200 ").endsWith("{}");
            // What is left of a body is not taken for a request.
            String answer =
                    browser.request("POST /api/unread" + head + "Content-Length: 20\r\n\r\nGET / HTTP/1.1\r\n\r\n");
            assertThat(answer).startsWith("HTTP/1.1 200 ").contains("Connection: close");
            assertThat(browser.answer()).isEqualTo("closed");
        }
        String large = "x".repeat(1 << 20);
        HttpResponse<String> echo = client.send(
                java.net.http.HttpRequest.newBuilder(uri("/api/echo"))
                        .header("Cookie", cookie)
                        .POST(BodyPublishers.ofString(large))
                        .build(),
                BodyHandlers.ofString());
        assertThat(echo.body()).isEqualTo(large);
        HttpResponse<String> stream = get("/api/stream", "Cookie", cookie);
        assertThat(stream.body()).hasSize(100_000);
        assertThat(stream.headers().firstValue("Content-Disposition"))
                .contains("attachment; filename*=UTF-8''a%20b%22%C3%BC.txt");
        HttpResponse<String> fails = get("/api/fails", "Cookie", cookie);
        assertThat(fails.statusCode()).isEqualTo(500);
        assertThat(fails.body()).isEqualTo("{\"error\":\"a \\\"quoted\\\"\\u000areason\"}");
        assertThat(log).isEmpty();
        assertThat(get("/api/bug", "Cookie", cookie).body()).doesNotContain("oops");
        assertThat(log).containsExactly("GET /api/bug: java.lang.IllegalStateException: oops");
        assertThatThrownBy(() -> get("/api/short", "Cookie", cookie)).isInstanceOf(IOException.class);
    }

    @Test
    void opensTheStreamForItsOwnPageOnly() throws Exception {
        String cookie = cookie(true);
        assertThat(upgrade(cookie, server.origin(), "satchel.1")).startsWith("HTTP/1.1 101 ");
        assertThat(upgrade(cookie, "http://localhost:" + server.port(), "satchel.1"))
                .startsWith("HTTP/1.1 403 ");
        assertThat(upgrade(cookie, "http://127.0.0.1:1", "satchel.1")).startsWith("HTTP/1.1 403 ");
        assertThat(upgrade(cookie, server.origin(), "satchel.2")).startsWith("HTTP/1.1 400 ");
        assertThat(upgrade("a=b", server.origin(), "satchel.1")).startsWith("HTTP/1.1 403 ");
        assertThat(get("/stream", "Cookie", cookie).statusCode()).isEqualTo(426);
    }

    private String upgrade(String cookie, String origin, String protocol) throws IOException {
        return raw("GET /stream HTTP/1.1\r\nHost: 127.0.0.1:" + server.port() + "\r\nOrigin: " + origin + "\r\nCookie: "
                + cookie + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " + protocol + "\r\n\r\n");
    }

    @Test
    void startsAgainWhoComesFromAnotherSite() throws Exception {
        String start = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: ";
        assertThat(raw(start + "cross-site\r\n\r\n"))
                .startsWith("HTTP/1.1 403 ")
                .contains("\r\nRefresh: 0; url=/\r\n");
        assertThat(raw(start + "same-origin\r\n\r\n"))
                .startsWith("HTTP/1.1 403 ")
                .doesNotContain("Refresh");
    }

    /** More than the server has at once; all accepted when this returns. */
    private List<RawBrowser> crowd(String from) throws IOException {
        List<RawBrowser> crowd = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            crowd.add(new RawBrowser(server.port(), from));
        }
        assertThat(raw("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")).startsWith("HTTP/1.1 403 ");
        return crowd;
    }

    @Test
    void whoOnlyConnectsTakesTheRoomOfItsOwnAddress() throws Exception {
        try (RawBrowser slow = new RawBrowser(server.port())) {
            slow.out.write("GET / HTTP/1.1\r\n".getBytes(StandardCharsets.ISO_8859_1));
            List<RawBrowser> crowd = crowd("127.0.0.2");
            try {
                assertThat(slow.request("Host: 127.0.0.1\r\n\r\n")).startsWith("HTTP/1.1 403 ");
                assertThat(crowd.getFirst().in.read()).isEqualTo(-1);
            } finally {
                for (RawBrowser one : crowd) {
                    one.close();
                }
            }
        }
    }

    @Test
    void aRequestThatWasLetInIsServedWhoeverConnects() throws Exception {
        try (RawBrowser sends = new RawBrowser(server.port())) {
            sends.out.write(("POST /api/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
                            + server.secret(true) + "\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
                    .getBytes(StandardCharsets.ISO_8859_1));
            assertThat(sends.answer()).startsWith("HTTP/1.1 100 ");
            List<RawBrowser> crowd = crowd("127.0.0.1");
            try {
                assertThat(sends.request("hello")).startsWith("HTTP/1.1 200 ").endsWith("hello");
            } finally {
                for (RawBrowser one : crowd) {
                    one.close();
                }
            }
        }
    }

    /** A peer whose every byte comes in time. */
    @Test
    void aHandshakeHasItsTimeInAll(@TempDir Path directory) throws Exception {
        TlsIdentity identity = TlsIdentity.own(directory, List.of("127.0.0.1"));
        try (ServerSocket listener = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
                RawBrowser slow = new RawBrowser(listener.getLocalPort());
                Socket accepted = listener.accept()) {
            CompletableFuture<Boolean> cutOff = CompletableFuture.supplyAsync(() -> {
                try {
                    slow.out.write(new byte[] {0x16, 3, 1, 0x3f, 0, 1, 0, 0x3e, (byte) 0xfc, 3, 3});
                    for (int i = 0; i < 200; i++) {
                        slow.out.write(0);
                        LockSupport.parkNanos(50_000_000);
                    }
                    slow.out.close();
                    return false;
                } catch (IOException e) {
                    return true;
                }
            });
            assertThatThrownBy(() -> identity.accept(accepted, 500)).isInstanceOf(IOException.class);
            assertThat(cutOff.join()).isTrue();
        }
    }

    @Test
    void speaksTlsWithACertificateOfItsOwn(@TempDir Path directory) throws Exception {
        TlsIdentity identity = TlsIdentity.own(directory, List.of("satchel.test", "127.0.0.1", "::1"));
        Path file = directory.resolve("viewer.p12");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                .isEqualTo("rw-------");
        assertThat(directory).isDirectoryContaining("glob:**viewer.p12");
        try (var list = Files.list(directory)) {
            assertThat(list).hasSize(1);
        }
        assertThat(identity.fingerprint()).matches("([0-9A-F]{2}:){31}[0-9A-F]{2}");
        assertThat(TlsIdentity.own(directory, List.of()).fingerprint()).isEqualTo(identity.fingerprint());
        assertThat(TlsIdentity.pkcs12(file, "satchel".toCharArray()).fingerprint())
                .isEqualTo(identity.fingerprint());
        ViewerServer.Settings settings = ViewerServer.Settings.loopback("one")
                .at(new InetSocketAddress(InetAddress.getByAddress(new byte[4]), 0), List.of("satchel.test"), identity);
        try (ViewerServer secure = server(settings);
                HttpClient trusting = HttpClient.newBuilder()
                        .sslContext(trusting(identity.certificate()))
                        .build()) {
            assertThat(secure.link(true)).startsWith("https://satchel.test:" + secure.port() + "/?k=");
            URI link = URI.create(secure.link(true).replace("satchel.test", "127.0.0.1"));
            HttpResponse<String> answer =
                    trusting.send(java.net.http.HttpRequest.newBuilder(link).build(), BodyHandlers.ofString());
            assertThat(answer.statusCode()).isEqualTo(303);
            String cookie = answer.headers().firstValue("Set-Cookie").orElseThrow();
            assertThat(cookie).endsWith("; Secure");
            try (RawBrowser plain = new RawBrowser(secure.port())) {
                assertThat(plain.request("GET / HTTP/1.1\r\nHost: satchel.test\r\n\r\n"))
                        .doesNotContain("HTTP/1.1");
            }
            CompletableFuture<byte[]> hello = new CompletableFuture<>();
            CompletableFuture<Integer> closed = new CompletableFuture<>();
            var socket = trusting.newWebSocketBuilder()
                    .header("Cookie", cookie.substring(0, cookie.indexOf(';')))
                    .subprotocols("satchel.1")
                    .buildAsync(
                            URI.create("wss://127.0.0.1:" + secure.port() + "/stream"),
                            new java.net.http.WebSocket.Listener() {
                                @Override
                                public CompletionStage<?> onBinary(
                                        java.net.http.WebSocket from, ByteBuffer data, boolean last) {
                                    byte[] bytes = new byte[data.remaining()];
                                    data.get(bytes);
                                    hello.complete(bytes);
                                    from.request(1);
                                    return CompletableFuture.completedStage(null);
                                }

                                @Override
                                public CompletionStage<?> onClose(
                                        java.net.http.WebSocket from, int code, String reason) {
                                    closed.complete(code);
                                    return CompletableFuture.completedStage(null);
                                }
                            })
                    .get(20, TimeUnit.SECONDS);
            assertThat(socket.getSubprotocol()).isEqualTo("satchel.1");
            socket.sendBinary(ByteBuffer.wrap(RawBrowser.HELLO), true).get(20, TimeUnit.SECONDS);
            assertThat(hello.get(20, TimeUnit.SECONDS)).startsWith(1, 1, 0).endsWith('o', 'n', 'e');
            secure.tellState(ViewerServer.STATE_STOPPED, "");
            end(secure);
            assertThat(closed.get(20, TimeUnit.SECONDS)).isEqualTo(1001);
        }
        assertThatThrownBy(() -> new ViewerServer.Settings(
                        settings.bind(), List.of(), "one", Optional.empty(), Optional.empty(), 60_000, log::add))
                .hasMessageContaining("without TLS");
        Files.writeString(file, "damaged");
        assertThatThrownBy(() -> TlsIdentity.own(directory, List.of())).hasMessageContaining(file.toString());
    }

    @Test
    void takesACertificateThatIsGiven(@TempDir Path directory) throws Exception {
        Path certificate = directory.resolve("cert.pem");
        Path key = directory.resolve("key.pem");
        Process openssl = new ProcessBuilder(
                        "openssl",
                        "req",
                        "-x509",
                        "-newkey",
                        "rsa:2048",
                        "-nodes",
                        "-days",
                        "2",
                        "-subj",
                        "/CN=given",
                        "-addext",
                        "subjectAltName=IP:127.0.0.1",
                        "-keyout",
                        key.toString(),
                        "-out",
                        certificate.toString())
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        assertThat(openssl.waitFor()).isZero();
        TlsIdentity identity = TlsIdentity.pem(certificate, key);
        try (ViewerServer secure = server(ViewerServer.Settings.loopback("one")
                        .at(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), List.of(), identity));
                HttpClient trusting = HttpClient.newBuilder()
                        .sslContext(trusting(identity.certificate()))
                        .build()) {
            HttpResponse<String> answer = trusting.send(
                    java.net.http.HttpRequest.newBuilder(URI.create(secure.link(false)))
                            .build(),
                    BodyHandlers.ofString());
            assertThat(answer.statusCode()).isEqualTo(303);
        }
        assertThatThrownBy(() -> TlsIdentity.pem(certificate, certificate)).hasMessageContaining("PKCS #8");
    }

    private static void end(ViewerServer early) {
        early.close();
    }

    private static SSLContext trusting(X509Certificate certificate) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        store.setCertificateEntry("server", certificate);
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }
}
