package dev.satchel.display.web;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The way in for VNC clients in browsers, behind which here somebody only says everything again. */
@Timeout(60)
class WebSocketBytesTest {
    private final FakeDisplay display = new FakeDisplay();
    private final ViewerServer server =
            new ViewerServer(ViewerServer.Settings.loopback("a desktop"), () -> display, Api.NONE);
    private final List<String> came = Collections.synchronizedList(new ArrayList<>());

    WebSocketBytesTest() throws IOException {
        server.onVncClient(this::sayAgain);
    }

    @AfterEach
    void close() {
        server.close();
    }

    private void sayAgain(WebSocketBytes client) {
        came.add(client.control() ? "control" : "look");
        try {
            byte[] some = new byte[1000];
            client.input().deadlineIn(20_000);
            for (int count = client.input().read(some, 0, some.length);
                    count >= 0;
                    count = client.input().read(some, 0, some.length)) {
                client.output().write(some, 0, count);
            }
            came.add("end");
        } catch (IOException e) {
            came.add(e.getMessage());
        } finally {
            ViewerServer.closeQuietly(client.socket());
        }
    }

    private String open(RawBrowser browser, String path, String... headers) throws IOException {
        StringBuilder request = new StringBuilder("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1:" + server.port()
                + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
        for (String header : headers) {
            request.append(header).append("\r\n");
        }
        return browser.request(request.append("\r\n").toString());
    }

    private int status(String path, String... headers) throws IOException {
        try (RawBrowser browser = new RawBrowser(server.port())) {
            return Integer.parseInt(open(browser, path, headers).substring(9, 12));
        }
    }

    /** @return as whom the server let it in, "control" or "look" */
    private String letIn(String path, String... headers) throws IOException {
        try (RawBrowser browser = new RawBrowser(server.port())) {
            assertThat(open(browser, path, headers)).startsWith("HTTP/1.1 101 ");
            // Once it is answered, it has come; those before may still be about to end.
            browser.send(new byte[] {7});
            assertThat(read(browser, 1)).containsExactly(7);
            synchronized (came) {
                List<String> who = new ArrayList<>(came);
                who.removeIf(word -> word.equals("end"));
                return who.getLast();
            }
        }
    }

    private String cookie(boolean control) throws IOException {
        try (RawBrowser browser = new RawBrowser(server.port())) {
            String answer = browser.request(
                    "GET /?k=" + server.secret(control) + " HTTP/1.1\r\nHost: 127.0.0.1:" + server.port() + "\r\n\r\n");
            int at = answer.indexOf("Set-Cookie: ") + 12;
            return "Cookie: " + answer.substring(at, answer.indexOf(';', at));
        }
    }

    private static byte[] read(RawBrowser browser, int count) throws IOException {
        byte[] bytes = new byte[count];
        int at = 0;
        while (at < count) {
            byte[] frame = browser.frame();
            assertThat(frame[0]).isEqualTo((byte) 0x82);
            System.arraycopy(frame, 1, bytes, at, frame.length - 1);
            at += frame.length - 1;
        }
        return bytes;
    }

    @Test
    void aSecretLetsAnyPageIn() throws Exception {
        String elsewhere = "Origin: http://elsewhere.example";
        assertThat(letIn("/rfb?k=" + server.secret(true), elsewhere)).isEqualTo("control");
        assertThat(letIn("/rfb?k=" + server.secret(false), elsewhere)).isEqualTo("look");
        assertThat(letIn("/rfb", "Authorization: Bearer " + server.secret(true)))
                .isEqualTo("control");
        assertThat(status("/rfb?k=wrong")).isEqualTo(403);
        assertThat(status("/rfb?k=wrong", cookie(true))).isEqualTo(403);
        assertThat(status("/rfb")).isEqualTo(403);
        for (int i = 0; i < 10; i++) {
            int ignored = status("/rfb?k=wrong" + i);
        }
        assertThat(status("/rfb?k=wrong")).isEqualTo(429);
    }

    @Test
    void aCookieLetsOnlyTheServersOwnPageIn() throws Exception {
        String cookie = cookie(true);
        assertThat(letIn("/rfb", cookie, "Origin: http://127.0.0.1:" + server.port()))
                .isEqualTo("control");
        assertThat(status("/rfb", cookie, "Origin: http://elsewhere.example")).isEqualTo(403);
        assertThat(status("/rfb", cookie, "Origin: http://127.0.0.1:1")).isEqualTo(403);
        assertThat(letIn("/rfb", cookie(false), "Origin: http://127.0.0.1:" + server.port()))
                .isEqualTo("look");
    }

    @Test
    void theSubprotocolIsBinaryIfThereIsOne() throws Exception {
        String path = "/rfb?k=" + server.secret(true);
        try (RawBrowser browser = new RawBrowser(server.port())) {
            assertThat(open(browser, path, "Sec-WebSocket-Protocol: base64, binary"))
                    .startsWith("HTTP/1.1 101 ")
                    .contains("Sec-WebSocket-Protocol: binary\r\n");
        }
        try (RawBrowser browser = new RawBrowser(server.port())) {
            assertThat(open(browser, path)).startsWith("HTTP/1.1 101 ").doesNotContain("Sec-WebSocket-Protocol");
        }
        assertThat(status(path, "Sec-WebSocket-Protocol: base64")).isEqualTo(400);
        try (RawBrowser browser = new RawBrowser(server.port())) {
            assertThat(browser.request("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1:" + server.port() + "\r\n\r\n"))
                    .startsWith("HTTP/1.1 426 ");
        }
    }

    @Test
    void bytesComeAsTheyWereWhateverTheirMessages() throws Exception {
        Random random = new Random(1);
        try (RawBrowser browser = new RawBrowser(server.port())) {
            assertThat(open(browser, "/rfb?k=" + server.secret(true))).startsWith("HTTP/1.1 101 ");
            for (int size : new int[] {1, 125, 126, 999, 1000, 1001, 5000, 70_000}) {
                byte[] bytes = new byte[size];
                random.nextBytes(bytes);
                browser.send(bytes);
                assertThat(read(browser, size)).isEqualTo(bytes);
            }
            // One message in three frames, an empty one, and something else in between.
            browser.out.write(RawBrowser.frame(0x02, "to".getBytes(StandardCharsets.US_ASCII)));
            browser.out.write(RawBrowser.frame(0x89, new byte[] {7}));
            browser.out.write(RawBrowser.frame(0x00, new byte[0]));
            browser.out.write(RawBrowser.frame(0x80, "gether".getBytes(StandardCharsets.US_ASCII)));
            browser.out.write(RawBrowser.frame(0x82, new byte[0]));
            browser.out.write(RawBrowser.frame(0x8a, new byte[0]));
            assertThat(browser.frame()).containsExactly(0x8a, 7);
            assertThat(new String(read(browser, 8), StandardCharsets.US_ASCII)).isEqualTo("together");
            browser.out.write(RawBrowser.frame(0x88, new byte[] {3, (byte) 0xe8}));
            assertThat(browser.closeCode()).isEqualTo(1000);
            assertThat(browser.in.read()).isEqualTo(-1);
        }
        assertThat(came).containsExactly("control", "end");
    }

    @Test
    void whatIsNoMessageEndsIt() throws Exception {
        byte[] large = Arrays.copyOf(RawBrowser.frame(0x82, new byte[WebSocketInput.MESSAGE_BYTES_MAX + 1]), 14);
        byte[][] broken = {
            {(byte) 0x82, 1, 65}, RawBrowser.frame(0xc2, new byte[1]), RawBrowser.frame(0x81, new byte[1]), large
        };
        int[] codes = {1002, 1002, 1002, 1009};
        for (int i = 0; i < broken.length; i++) {
            try (RawBrowser browser = new RawBrowser(server.port())) {
                assertThat(open(browser, "/rfb?k=" + server.secret(true))).startsWith("HTTP/1.1 101 ");
                browser.out.write(broken[i]);
                assertThat(browser.closeCode()).isEqualTo(codes[i]);
            }
        }
    }

    @Test
    void withoutAnybodyToServeThemThereIsNoWayIn() throws Exception {
        try (ViewerServer without =
                        new ViewerServer(ViewerServer.Settings.loopback("a desktop"), () -> display, Api.NONE);
                RawBrowser browser = new RawBrowser(without.port())) {
            assertThat(browser.request("GET /rfb?k=" + without.secret(true) + " HTTP/1.1\r\nHost: 127.0.0.1:"
                            + without.port() + "\r\n\r\n"))
                    .startsWith("HTTP/1.1 404 ");
        }
    }
}
