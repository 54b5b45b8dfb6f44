package dev.satchel.display.rfb;

import static org.assertj.core.api.Assertions.assertThat;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.Mouse;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Playwright;
import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.SimpleFileServer;
import dev.satchel.display.MemoryScreen;
import dev.satchel.display.Rectangle;
import dev.satchel.display.ScreenDisplay;
import dev.satchel.display.codec.Classifier;
import dev.satchel.display.web.Api;
import dev.satchel.display.web.ViewerServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** noVNC as Debian has it, in a page of another origin, straight at the port that browsers come to. */
@Timeout(180)
class NoVncTest {
    private static final int WIDTH = 320;
    private static final int HEIGHT = 200;

    private static final String PAGE = """
            <!doctype html><meta charset=utf-8><title>noVNC</title>
            <style>body { margin: 0 } #screen { width: 320px; height: 200px }</style>
            <div id=screen></div>
            <script type=module>
                import RFB from './core/rfb.js';
                window.events = [];
                window.texts = [];
                window.show = (url, options) => {
                    const rfb = new RFB(document.getElementById('screen'), url, options);
                    for (const name of ['connect', 'disconnect', 'securityfailure', 'desktopname']) {
                        rfb.addEventListener(name, (event) => {
                            window.events.push(name + (event.detail && event.detail.name ? ' ' + event.detail.name : ''));
                        });
                    }
                    rfb.addEventListener('clipboard', (event) => window.texts.push(event.detail.text));
                    window.rfb = rfb;
                };
                window.ready = true;
            </script>
            """;

    private static final String CANVAS = """
            () => {
                const canvas = document.querySelector('#screen canvas');
                const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
                let text = '';
                for (let i = 0; i < data.length; i += 32768) {
                    text += String.fromCharCode(...data.subarray(i, i + 32768));
                }
                return btoa(text);
            }
            """;

    private final List<MemoryScreen> screens = new CopyOnWriteArrayList<>();
    private final List<String> log = new CopyOnWriteArrayList<>();
    private final ScreenDisplay display = new ScreenDisplay(
            listener -> {
                MemoryScreen opened = new MemoryScreen(WIDTH, HEIGHT, listener);
                screens.add(opened);
                return opened;
            },
            Classifier::classify);
    private final ViewerServer server =
            new ViewerServer(ViewerServer.Settings.loopback("a desktop"), () -> display, Api.NONE);
    private final RfbServer vnc = new RfbServer("a desktop", () -> display, log::add);
    private final HttpServer pages = SimpleFileServer.createFileServer(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            Path.of("/usr/share/novnc"),
            SimpleFileServer.OutputLevel.NONE);
    private final Playwright playwright =
            Playwright.create(new Playwright.CreateOptions().setEnv(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
    private final Browser browser = playwright
            .chromium()
            .launch(new BrowserType.LaunchOptions()
                    .setExecutablePath(Path.of("/usr/bin/chromium"))
                    .setArgs(List.of("--no-sandbox", "--disable-gpu", "--disable-background-networking")));
    private final Page page = browser.newPage();
    private final List<String> errors = new ArrayList<>();

    NoVncTest() throws IOException {
        server.onVncClient(vnc::serve);
        pages.createContext("/page.html", exchange -> {
            byte[] body = PAGE.getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().add("Content-Type", "text/html");
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        pages.start();
        page.onPageError(errors::add);
    }

    @AfterEach
    void end() {
        browser.close();
        playwright.close();
        pages.stop(0);
        vnc.close();
        server.close();
        display.close();
        assertThat(errors).isEmpty();
    }

    private void view(boolean control, String options) throws Exception {
        page.navigate("http://127.0.0.1:" + pages.getAddress().getPort() + "/page.html");
        awaitTrue("the page", () -> page.evaluate("window.ready === true").equals(true));
        page.evaluate(
                "([url, options]) => show(url, JSON.parse(options))", List.of(server.webSocketLink(control), options));
        awaitTrue("noVNC is connected", () -> events().contains("connect"));
        assertThat(vnc.viewers()).isEqualTo(1);
        awaitTrue(
                "a canvas",
                () -> page.evaluate("document.querySelector('#screen canvas').width")
                        .equals(WIDTH));
    }

    private List<?> events() {
        return (List<?>) page.evaluate("window.events");
    }

    private MemoryScreen screen() {
        return screens.getLast();
    }

    private static void awaitTrue(String what, Callable<Boolean> condition) throws Exception {
        long until = System.nanoTime() + 20_000_000_000L;
        while (!condition.call()) {
            assertThat(System.nanoTime()).as(what).isLessThan(until);
            Thread.sleep(10);
        }
    }

    private int[] seen() {
        byte[] bytes = Base64.getDecoder().decode((String) page.evaluate(CANVAS));
        int[] pixels = new int[bytes.length / 4];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = (bytes[4 * i] & 0xff) << 16 | (bytes[4 * i + 1] & 0xff) << 8 | (bytes[4 * i + 2] & 0xff);
        }
        return pixels;
    }

    private void awaitSame(String what) throws Exception {
        awaitTrue(what, () -> Arrays.equals(seen(), screen().pixels()));
    }

    private void draw(Random random) {
        Rectangle area = new Rectangle(
                        random.nextInt(WIDTH),
                        random.nextInt(HEIGHT),
                        1 + random.nextInt(WIDTH),
                        1 + random.nextInt(HEIGHT))
                .intersect(screen().bounds());
        int color = random.nextInt(1 << 24);
        switch (random.nextInt(6)) {
            case 0 -> screen().fill(area, color);
            case 1 -> screen().noise(area, random.nextLong());
            case 2 -> screen().move(area, random.nextInt(-40, 40), random.nextInt(-40, 40));
            case 3 -> screen().move(area, 0, random.nextInt(-40, 40));
            case 4 -> screen().draw(area, (x, y) -> (x * y) % 7 < 3 ? color : color / 2);
            default -> {
                int colors = 3 + random.nextInt(300);
                screen().draw(area, (x, y) -> (x / 3 * 31 + y * 17) % colors * 4211);
            }
        }
    }

    @Test
    void showsTheScreensPixels() throws Exception {
        view(true, "{}");
        screen().noise(screen().bounds(), 1);
        awaitSame("first");
        for (int seed = 0; seed < 30; seed++) {
            Random random = new Random(seed);
            for (int step = 0; step < 1 + random.nextInt(12); step++) {
                draw(random);
            }
            awaitSame("seed " + seed);
        }
        vnc.tellName("another name");
        screen().noise(screen().bounds(), 2);
        awaitTrue("the name", () -> events().contains("desktopname another name"));
        assertThat(log).isEmpty();
    }

    @Test
    void whatIsTypedAndPointedAtArrives() throws Exception {
        view(true, "{\"wsProtocols\": [\"binary\"]}");
        screen().noise(screen().bounds(), 1);
        awaitSame("first");
        page.mouse().click(50, 60);
        page.mouse()
                .click(70, 80, new Mouse.ClickOptions().setButton(com.microsoft.playwright.options.MouseButton.RIGHT));
        page.mouse().wheel(0, 200);
        awaitTrue("the wheel", () -> screen().input().contains("pointer 70 80 16"));
        assertThat(screen().input())
                .containsSubsequence(
                        "pointer 50 60 1", "pointer 50 60 0", "pointer 70 80 4", "pointer 70 80 0", "pointer 70 80 16");
        page.keyboard().type("H");
        // Playwright's keyboard is a US one: this key is of another.
        page.evaluate("""
                () => {
                    for (const type of ['keydown', 'keyup']) {
                        const key = new KeyboardEvent(type, {key: 'é', code: 'Digit2', bubbles: true});
                        document.querySelector('#screen canvas').dispatchEvent(key);
                    }
                }
                """);
        page.keyboard().type("!");
        awaitTrue("typing", () -> screen().input().contains("release 21"));
        List<String> presses = new ArrayList<>();
        for (String each : screen().input()) {
            if (each.startsWith("press") && !each.equals("press ffe1")) {
                presses.add(each);
            }
        }
        assertThat(presses).containsExactly("press 48", "press e9", "press 21");
    }

    @Test
    void textIsCarriedBothWays() throws Exception {
        view(true, "{}");
        screen().noise(screen().bounds(), 1);
        awaitSame("first");
        screen().offerClipboard("from the session: 日本 €");
        awaitTrue(
                "text from the session", () -> page.evaluate("window.texts").equals(List.of("from the session: 日本 €")));
        page.evaluate("rfb.clipboardPasteFrom('from here: Ελλάδα')");
        awaitTrue("text to the session", () -> screen().clipboard(1000).equals("from here: Ελλάδα"));
    }

    @Test
    void resizesTheScreen() throws Exception {
        view(true, "{}");
        page.evaluate("() => { rfb.resizeSession = true; document.getElementById('screen').style.width = '400px'; }");
        awaitTrue("the screen is wider", () -> screen().bounds().equals(new Rectangle(0, 0, 400, HEIGHT)));
        screen().noise(screen().bounds(), 2);
        awaitSame("wider");
    }

    @Test
    void whoMayOnlyLookDoesNothing() throws Exception {
        view(false, "{}");
        page.mouse().click(50, 60);
        page.keyboard().type("a");
        page.evaluate("rfb.clipboardPasteFrom('stolen')");
        screen().noise(screen().bounds(), 1);
        awaitSame("looking");
        vnc.close();
        awaitTrue("the end", () -> events().contains("disconnect"));
        assertThat(screen().input()).isEmpty();
        assertThat(screen().clipboard(1000)).isEmpty();
    }
}
