package dev.satchel.display.web;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonObject;
import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserContext;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.CDPSession;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Playwright;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The real page in Chromium, with the virtual authenticators that it has for such tests, and whoever else knocks at the port. */
class SecurityKeyPageTest {
    private static final long MILLIS_MAX = 20_000;

    private static Playwright playwright;
    private static Browser browser;

    @BeforeAll
    static void start() {
        playwright = Playwright.create(
                new Playwright.CreateOptions().setEnv(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
        browser = playwright
                .chromium()
                .launch(new BrowserType.LaunchOptions()
                        .setExecutablePath(Path.of("/usr/bin/chromium"))
                        .setArgs(List.of("--no-sandbox", "--disable-gpu", "--no-first-run")));
    }

    @AfterAll
    static void stop() {
        browser.close();
        playwright.close();
    }

    /** A browser with a security key in it, and what its pages complained of. */
    private record Desk(BrowserContext context, Page page, CDPSession devTools, List<String> complaints)
            implements AutoCloseable {
        static Desk open() {
            BrowserContext context = browser.newContext();
            Page page = context.newPage();
            List<String> complaints = new ArrayList<>();
            page.onPageError(complaints::add);
            CDPSession devTools = context.newCDPSession(page);
            devTools.send("WebAuthn.enable");
            return new Desk(context, page, devTools, complaints);
        }

        String plugIn(boolean prf) {
            JsonObject options = new JsonObject();
            options.addProperty("protocol", "ctap2");
            options.addProperty("ctap2Version", "ctap2_1");
            options.addProperty("transport", "usb");
            options.addProperty("hasUserVerification", true);
            options.addProperty("isUserVerified", true);
            options.addProperty("hasPrf", prf);
            options.addProperty("automaticPresenceSimulation", true);
            JsonObject all = new JsonObject();
            all.add("options", options);
            return devTools.send("WebAuthn.addVirtualAuthenticator", all)
                    .get("authenticatorId")
                    .getAsString();
        }

        void unplug(String authenticator) {
            devTools.send("WebAuthn.removeVirtualAuthenticator", of("authenticatorId", authenticator));
        }

        void verified(String authenticator, boolean verified) {
            JsonObject parameters = of("authenticatorId", authenticator);
            parameters.addProperty("isUserVerified", verified);
            devTools.send("WebAuthn.setUserVerified", parameters);
        }

        private static JsonObject of(String name, String value) {
            JsonObject object = new JsonObject();
            object.addProperty(name, value);
            return object;
        }

        /** Opens the link and presses what is there to be pressed, until it says that it is done or went wrong. */
        String use(SecurityKeyPage asked) {
            page.navigate("about:blank");
            page.navigate(asked.link());
            assertThat(page.url()).as("nothing of the secret stays to be seen").doesNotContain("#");
            while (true) {
                page.waitForFunction(
                        "() => document.querySelector('#go:not([hidden]):not(:disabled)') !== null"
                                + " || /^(Done|It did not|Satchel does|This link)/.test(document.querySelector('#said').textContent)");
                if (!page.locator("#go:not(:disabled)").isVisible()) {
                    return page.locator("#said").textContent();
                }
                page.locator("#go").click();
            }
        }

        @Override
        public void close() {
            context.close();
        }
    }

    private static byte[] salt(int seed) {
        byte[] salt = new byte[32];
        Arrays.fill(salt, (byte) seed);
        return salt;
    }

    private static SecurityKeyPage.Answer enrol(Desk desk, int salt) throws IOException {
        try (SecurityKeyPage page = SecurityKeyPage.enrol("stick \"7\"", salt(salt), List.of())) {
            assertThat(desk.use(page)).startsWith("Done");
            return page.await(MILLIS_MAX);
        }
    }

    private static SecurityKeyPage.Answer ask(Desk desk, SecurityKeyPage.Credential... credentials) throws IOException {
        try (SecurityKeyPage page = SecurityKeyPage.ask(List.of(credentials))) {
            desk.use(page);
            return page.await(MILLIS_MAX);
        }
    }

    @Test
    void aKeyAnswersTheSameAgainAndForAnotherSaltAnother() throws IOException {
        try (Desk desk = Desk.open()) {
            desk.plugIn(true);
            SecurityKeyPage.Answer enrolled = enrol(desk, 1);
            assertThat(enrolled.output()).hasSize(32);
            SecurityKeyPage.Credential stranger = new SecurityKeyPage.Credential(new byte[64], salt(9));
            SecurityKeyPage.Answer again =
                    ask(desk, stranger, new SecurityKeyPage.Credential(enrolled.credential(), salt(1)));
            assertThat(again.output()).isEqualTo(enrolled.output());
            assertThat(again.credential()).isEqualTo(enrolled.credential());
            assertThat(ask(desk, new SecurityKeyPage.Credential(enrolled.credential(), salt(2)))
                            .output())
                    .isNotEqualTo(enrolled.output());
            assertThat(desk.complaints()).isEmpty();
        }
    }

    @Test
    void anotherKeyIsRefused() throws IOException {
        try (Desk desk = Desk.open()) {
            String right = desk.plugIn(true);
            SecurityKeyPage.Answer enrolled = enrol(desk, 1);
            desk.unplug(right);
            desk.plugIn(true);
            assertThatThrownBy(() -> ask(desk, new SecurityKeyPage.Credential(enrolled.credential(), salt(1))))
                    .isInstanceOf(SecurityKeyPage.RefusedException.class)
                    .hasMessageContaining("not one of this vault's")
                    .hasMessageContaining(": ");
        }
    }

    @Test
    void whoeverOnlyHasTheKeyAndNotItsPinIsRefused() throws IOException {
        try (Desk desk = Desk.open()) {
            String key = desk.plugIn(true);
            SecurityKeyPage.Answer enrolled = enrol(desk, 1);
            desk.verified(key, false);
            assertThatThrownBy(() -> ask(desk, new SecurityKeyPage.Credential(enrolled.credential(), salt(1))))
                    .isInstanceOf(SecurityKeyPage.RefusedException.class)
                    .hasMessageContaining("cancelled");
        }
    }

    @Test
    void aKeyWithoutTheFunctionAndOneThatIsThereAlreadyAreRefused() throws IOException {
        try (Desk desk = Desk.open()) {
            String key = desk.plugIn(true);
            SecurityKeyPage.Answer enrolled = enrol(desk, 1);
            try (SecurityKeyPage page = SecurityKeyPage.enrol(
                    "vault", salt(1), List.of(new SecurityKeyPage.Credential(enrolled.credential(), salt(1))))) {
                assertThat(desk.use(page)).startsWith("It did not work");
                assertThatThrownBy(() -> page.await(MILLIS_MAX)).hasMessageContaining("opens the vault already");
            }
            desk.unplug(key);
            desk.plugIn(false);
            try (SecurityKeyPage page = SecurityKeyPage.enrol("vault", salt(1), List.of())) {
                assertThat(desk.use(page)).startsWith("It did not work");
                assertThatThrownBy(() -> page.await(MILLIS_MAX)).hasMessageContaining("lacks what is needed");
            }
        }
    }

    // ---- whoever else is at the port

    private static int port(SecurityKeyPage page) {
        return URI.create(page.link()).getPort();
    }

    private static String secret(SecurityKeyPage page) {
        return URI.create(page.link()).getFragment();
    }

    /** The answer to a request, as it came. */
    private static String send(int port, String request) throws IOException {
        try (Socket socket = new Socket(InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), port)) {
            socket.setSoTimeout(5_000);
            socket.getOutputStream().write(request.getBytes(StandardCharsets.ISO_8859_1));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
        }
    }

    private static String post(int port, String path, String headers, String body) {
        return "POST " + path + " HTTP/1.1\r\nHost: localhost:" + port + "\r\n" + headers.replace("PORT", "" + port)
                + "Content-Length: " + body.length() + "\r\n\r\n" + body;
    }

    @Test
    void whoDoesNotComeFromThePageWithItsSecretIsRefused() throws IOException {
        try (SecurityKeyPage page = SecurityKeyPage.ask(List.of(new SecurityKeyPage.Credential(salt(3), salt(4))))) {
            int port = port(page);
            String origin = "Origin: http://localhost:PORT\r\n";
            String bearer = "Authorization: Bearer " + secret(page) + "\r\n";
            String body = Base64.getUrlEncoder().encodeToString(salt(3)).replace("=", "") + " "
                    + Base64.getUrlEncoder().encodeToString(salt(5)).replace("=", "");
            assertThat(secret(page)).hasSize(43);
            for (String path : List.of("/ask", "/answer", "/failed")) {
                for (String headers : List.of(
                        origin,
                        bearer,
                        origin + "Authorization: Bearer \r\n",
                        origin + "Authorization: Bearer " + secret(page).substring(1) + "A\r\n",
                        bearer + "Origin: http://localhost:1\r\n",
                        bearer + "Origin: http://127.0.0.1:PORT\r\n",
                        bearer + "Origin: null\r\n",
                        bearer + origin + "Sec-Fetch-Site: same-site\r\n",
                        bearer + origin + "Sec-Fetch-Site: cross-site\r\n")) {
                    assertThat(send(port, post(port, path, headers, body)))
                            .as(path + " " + headers)
                            .startsWith("HTTP/1.1 403 ");
                }
            }
            // Another name for this computer, as a page of another site gives it that has its own name lead here.
            assertThat(send(
                            port,
                            post(port, "/ask", bearer + origin, "")
                                    .replace("Host: localhost:" + port, "Host: evil.example:" + port)))
                    .startsWith("HTTP/1.1 403 ");
            assertThat(send(port, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"))
                    .startsWith("HTTP/1.1 403 ");
            String plain = send(port, "GET / HTTP/1.1\r\nHost: localhost:" + port + "\r\n\r\n");
            assertThat(plain)
                    .startsWith("HTTP/1.1 200 ")
                    .contains("frame-ancestors 'none'", "Cache-Control: no-store")
                    .doesNotContain(secret(page));
            for (String path : List.of("/../pom.xml", "/index.html", "/viewer/main.js", "/page.js/")) {
                assertThat(send(port, "GET " + path + " HTTP/1.1\r\nHost: localhost:" + port + "\r\n\r\n"))
                        .startsWith("HTTP/1.1 404 ");
            }
            assertThat(send(port, post(port, "/answer", bearer + origin, "x".repeat(5000))))
                    .startsWith("HTTP/1.1 413 ");
            for (String bad :
                    List.of("", " ", "AAAA", "AAAA BBBB", "AAAA " + "A".repeat(44), "!!!! " + "A".repeat(43))) {
                assertThat(send(port, post(port, "/answer", bearer + origin, bad)))
                        .as(bad)
                        .startsWith("HTTP/1.1 400 ");
            }
            // None of that ended it. What is right does, and once.
            assertThat(send(port, post(port, "/ask", bearer + origin, ""))).contains("\"what\":\"answer\"");
            assertThat(send(port, post(port, "/answer", bearer + origin, body))).startsWith("HTTP/1.1 200 ");
            assertThat(send(port, post(port, "/answer", bearer + origin, body))).startsWith("HTTP/1.1 409 ");
            assertThat(page.await(MILLIS_MAX).output()).isEqualTo(salt(5));
        }
    }

    /** Who had the same port at the other address of localhost would be shown the link's secret. */
    @Test
    void nobodyElseCanListenAtEitherAddressOfLocalhost() throws IOException {
        try (SecurityKeyPage page = SecurityKeyPage.ask(List.of())) {
            for (String address : List.of("127.0.0.1", "::1")) {
                try (ServerSocket other = new ServerSocket()) {
                    assertThatThrownBy(() -> other.bind(new InetSocketAddress(address, port(page))))
                            .as(address)
                            .isInstanceOf(IOException.class);
                }
            }
        }
    }

    @Test
    void manyConnectionsKeepNobodyOutForLong() throws IOException {
        try (SecurityKeyPage page = SecurityKeyPage.ask(List.of())) {
            List<Socket> idle = new ArrayList<>();
            for (int i = 0; i < 40; i++) {
                idle.add(new Socket(InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), port(page)));
            }
            int closed = 0;
            for (Socket socket : idle) {
                socket.setSoTimeout(200);
                try {
                    closed += socket.getInputStream().read() < 0 ? 1 : 0;
                } catch (java.net.SocketTimeoutException e) {
                    // One of those that are waited for.
                } catch (java.net.SocketException e) {
                    closed++;
                }
                socket.close();
            }
            assertThat(closed).isBetween(24, 39);
            assertThat(send(port(page), "GET / HTTP/1.1\r\nHost: localhost:" + port(page) + "\r\n\r\n"))
                    .startsWith("HTTP/1.1 200 ");
        }
    }

    @Test
    void whoWaitsInVainIsTold() throws IOException {
        try (SecurityKeyPage page = SecurityKeyPage.ask(List.of())) {
            assertThatThrownBy(() -> page.await(50))
                    .isInstanceOf(SecurityKeyPage.RefusedException.class)
                    .hasMessageContaining("in time: ");
        }
    }
}
