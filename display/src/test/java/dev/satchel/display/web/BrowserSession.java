package dev.satchel.display.web;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserContext;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.CDPSession;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Playwright;
import dev.satchel.display.Command;
import dev.satchel.display.MemoryScreen;
import dev.satchel.display.Rectangle;
import dev.satchel.display.ScreenDisplay;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import javax.imageio.ImageIO;

/** A session that is only its screen, served by the real server, and Chromium looking at it. */
final class BrowserSession implements AutoCloseable {
    static final int WIDTH = 640;
    static final int HEIGHT = 480;

    /** What the server's API is told to offer. */
    static final String ALL_ACTIONS =
            "[\"suspend\",\"resume\",\"snapshot\",\"history\",\"fork\",\"send-file\",\"fetch-file\"]";

    private static final List<String> ARGUMENTS = List.of(
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync");

    private final Playwright playwright;
    private final Browser browser;
    /** Whether none can be had now. */
    volatile boolean screenless;

    private final List<MemoryScreen> screens = new CopyOnWriteArrayList<>();
    private final ScreenDisplay display;
    final ViewerServer server;
    final Relay relay;
    /** What the page asked of the API: method, path, query and body. */
    final List<String> requests = new CopyOnWriteArrayList<>();

    /** What went wrong in pages. */
    final List<String> errors = new CopyOnWriteArrayList<>();

    volatile String actions = ALL_ACTIONS;
    volatile Api.Response suspend = Api.Response.json(200, "{}");
    volatile Api.Response resume = Api.Response.json(200, "{}");
    volatile String history = """
            {"snapshots":[
              {"snapshot":"s1","created":"2026-11-20T10:00:00Z","kind":"suspend","bytes_new":1000,"checkpoint":true,
               "thumbnail":true,"windows":["Letter","<i>Mail</i>"]},
              {"snapshot":"s2","created":"2026-11-20T11:00:00Z","kind":"stop","bytes_new":2500000,"checkpoint":false,
               "label":"<b>mine</b>"}]}""";

    BrowserSession() throws IOException {
        this(CommandEncoder::compressing);
    }

    BrowserSession(Supplier<CommandEncoder> encoders) throws IOException {
        display = new ScreenDisplay(
                listener -> {
                    if (screenless) {
                        throw new IOException("no screen");
                    }
                    MemoryScreen screen = new MemoryScreen(WIDTH, HEIGHT, listener);
                    screens.add(screen);
                    return screen;
                },
                Command.Pixels::new);
        server = new ViewerServer(
                ViewerServer.Settings.loopback("desk"), () -> display, encoders, this::answer, ViewerFiles.PACKED);
        relay = new Relay(server.port());
        playwright = Playwright.create(
                new Playwright.CreateOptions().setEnv(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
        browser = playwright
                .chromium()
                .launch(new BrowserType.LaunchOptions()
                        .setExecutablePath(Path.of("/usr/bin/chromium"))
                        .setArgs(ARGUMENTS));
    }

    private Api.Response answer(Api.Request request) throws IOException {
        String path = request.path();
        String body = request.text();
        if (!path.equals("session")) {
            requests.add(request.method() + " " + path
                    + (request.query().isEmpty() ? "" : " " + request.query())
                    + (body.isEmpty() ? "" : " " + body));
        }
        return switch (path) {
            case "session" ->
                Api.Response.json(
                        200,
                        "{\"name\":\"desk\",\"state\":\"running\",\"image\":\"debian\","
                                + "\"created\":\"2026-11-20T09:00:00Z\",\"actions\":" + actions + "}");
            case "history" -> Api.Response.json(200, history);
            case "fork" -> Api.Response.json(409, "{\"error\":\"there is a session of that name\"}");
            case "files" ->
                request.method().equals("GET")
                        ? request.query().getOrDefault("path", "").endsWith("notes.txt")
                                ? new Api.Response(
                                        200,
                                        "application/octet-stream",
                                        5,
                                        new ByteArrayInputStream("notes".getBytes(StandardCharsets.UTF_8)),
                                        Optional.of("notes.txt"))
                                : Api.Response.json(404, "{\"error\":\"there is no such file\"}")
                        : Api.Response.json(200, "{\"path\":\"/home/user/Downloads/a b.txt\",\"bytes\":7}");
            case "files/list" -> Api.Response.json(200, listing(request.query().getOrDefault("path", "")));
            case "resume" -> resume;
            case "suspend" -> suspend;
            case "snapshot" -> Api.Response.json(200, "{}");
            default -> Api.Response.json(404, "{\"error\":\"there is no such thing\"}");
        };
    }

    private static String listing(String path) {
        boolean below = path.endsWith("Documents");
        return "{\"path\":\"/home/user" + (below ? "/Documents" : "")
                + "\",\"home\":\"/home/user\",\"whole\":true,\"room\":1000,\"entries\":["
                + (below
                        ? "{\"name\":\"notes.txt\",\"type\":\"file\",\"bytes\":5,\"modified\":\"2026-11-20T10:00:00Z\"}"
                        : "{\"name\":\"b<i>.txt\",\"type\":\"file\",\"bytes\":1},"
                                + "{\"name\":\".hidden\",\"type\":\"file\",\"bytes\":1},"
                                + "{\"name\":\"pipe\",\"type\":\"other\"},"
                                + "{\"name\":\"Documents\",\"type\":\"directory\"}")
                + "]}";
    }

    MemoryScreen screen() {
        return screens.getLast();
    }

    int screens() {
        return screens.size();
    }

    Page open() {
        return open(new Browser.NewContextOptions().setViewportSize(800, 600));
    }

    Page open(Browser.NewContextOptions options) {
        return open(options, true);
    }

    /** A page that has drawn what there was to draw, its toolbar out of the way. */
    Page open(Browser.NewContextOptions options, boolean control) {
        Page page = page(options);
        open(page, control);
        return page;
    }

    /** The same in a page that is there already. */
    void open(Page page, boolean control) {
        page.navigate(relay.link(server.link(control)));
        awaitTrue(page, "!document.body.classList.contains('blank')");
        awaitTrue(page, "document.getElementById('state-text').textContent.startsWith('Running')");
    }

    /** An empty one. */
    Page page() {
        return page(new Browser.NewContextOptions().setViewportSize(800, 600));
    }

    private Page page(Browser.NewContextOptions options) {
        BrowserContext context = browser.newContext(options);
        Page page = context.newPage();
        page.setDefaultTimeout(30_000);
        page.onPageError(errors::add);
        page.onConsoleMessage(message -> {
            if (message.type().equals("error")) {
                errors.add(message.text());
            }
        });
        return page;
    }

    static CDPSession devTools(Page page) {
        return page.context().newCDPSession(page);
    }

    /** @param pairs names and values */
    static JsonObject json(Object... pairs) {
        JsonObject object = new JsonObject();
        for (int i = 0; i < pairs.length; i += 2) {
            String name = (String) pairs[i];
            switch (pairs[i + 1]) {
                case Number number -> object.addProperty(name, number);
                case Boolean bool -> object.addProperty(name, bool);
                case com.google.gson.JsonElement element -> object.add(name, element);
                default -> object.addProperty(name, (String) pairs[i + 1]);
            }
        }
        return object;
    }

    /** What was typed, once that is all of this. */
    void assertTyped(String... expected) {
        assertInput(List.of("press ", "release "), List.of(expected));
    }

    /** What was pointed at, once that is all of this; where the pointer went on its way is left out. */
    void assertPointed(String... expected) {
        assertInput(List.of("pointer "), List.of(expected));
    }

    private void assertInput(List<String> prefixes, List<String> expected) {
        List<String> wanted = new ArrayList<>(expected);
        await(() -> input(prefixes).size() >= wanted.size() && input(prefixes).equals(wanted));
        assertThat(input(prefixes)).isEqualTo(wanted);
    }

    List<String> input(List<String> prefixes) {
        List<String> result = new ArrayList<>();
        for (String line : screen().input()) {
            for (String prefix : prefixes) {
                if (line.startsWith(prefix) && !line.equals("release all")) {
                    result.add(line);
                }
            }
        }
        return result;
    }

    /** Waits until it is so, twenty seconds at most; what is then is for the caller to check. */
    static void await(BooleanSupplier condition) {
        long until = System.nanoTime() + 20_000_000_000L;
        while (!condition.getAsBoolean() && System.nanoTime() < until) {
            try {
                Thread.sleep(10);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
        }
    }

    /**
     * Waits until an expression is true in a page, which forbids the eval that Playwright's own waiting needs.
     *
     * @param expression or a function, whose promise is waited for
     */
    static void awaitTrue(Page page, String expression) {
        boolean[] so = new boolean[1];
        await(() -> so[0] = Boolean.TRUE.equals(page.evaluate(expression)));
        assertThat(so[0]).as(expression).isTrue();
    }

    /** What the page shows of an area of the session's screen, 0x00RRGGBB. */
    static int[] shown(Page page, Rectangle area) {
        byte[] png =
                page.screenshot(new Page.ScreenshotOptions().setClip(area.x(), area.y(), area.width(), area.height()));
        try {
            var image = ImageIO.read(new ByteArrayInputStream(png));
            int[] pixels = image.getRGB(0, 0, image.getWidth(), image.getHeight(), null, 0, image.getWidth());
            for (int i = 0; i < pixels.length; i++) {
                pixels[i] &= 0xffffff;
            }
            return pixels;
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    @Override
    public void close() throws IOException {
        browser.close();
        playwright.close();
        relay.close();
        server.close();
        display.close();
    }
}
