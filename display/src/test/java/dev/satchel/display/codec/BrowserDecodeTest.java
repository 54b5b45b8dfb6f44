package dev.satchel.display.codec;

import static org.assertj.core.api.Assertions.assertThat;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Playwright;
import com.microsoft.playwright.Route;
import dev.satchel.display.Command;
import dev.satchel.display.CommandPlayer;
import dev.satchel.display.Rectangle;
import dev.satchel.linux.zstd.Zstd;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** {@code web/viewer/decode.js} in Chromium: the canvas has exactly the pixels that the commands are about. */
class BrowserDecodeTest {
    private static final Path WEB = Path.of("..", "web");
    private static final int WIDTH = 230;
    private static final int HEIGHT = 170;

    private static Playwright playwright;
    private static Browser browser;
    private static Page page;

    @BeforeAll
    static void start() {
        playwright = Playwright.create(
                new Playwright.CreateOptions().setEnv(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
        browser = playwright
                .chromium()
                .launch(new BrowserType.LaunchOptions()
                        .setExecutablePath(Path.of("/usr/bin/chromium"))
                        .setArgs(List.of(
                                "--no-sandbox",
                                "--disable-gpu",
                                "--disable-quic",
                                "--no-first-run",
                                "--disable-background-networking",
                                "--disable-component-update",
                                "--disable-sync")));
        page = browser.newPage();
        page.route("http://viewer.localhost/**", BrowserDecodeTest::serve);
        page.navigate("http://viewer.localhost/");
        page.evaluate("""
                async () => {
                  const { apply, Surface } = await import('/viewer/decode.js');
                  const { decompress } = await import('/viewer/zstd.js');
                  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
                  globalThis.start = (width, height) => {
                    const canvas = document.createElement('canvas');
                    canvas.width = width;
                    canvas.height = height;
                    globalThis.surface = new Surface(canvas);
                  };
                  // All are given at once: that they wait for each other is their own business.
                  globalThis.play = async (updates) => {
                    const results = await Promise.allSettled(updates.map((update) => apply(bytes(update), surface)));
                    return results.map((result) => result.status === 'fulfilled' ? 'drawn' : String(result.reason));
                  };
                  globalThis.text = (data) => {
                    let text = '';
                    for (let i = 0; i < data.length; i += 8192) {
                      text += String.fromCharCode(...data.subarray(i, i + 8192));
                    }
                    return btoa(text);
                  };
                  globalThis.inflate = (frame, lengthMax) => text(decompress(bytes(frame), lengthMax));
                  globalThis.pixels = () => {
                    const { width, height } = surface.canvas;
                    const data = surface.context.getImageData(0, 0, width, height).data;
                    return text(data);
                  };
                }""");
    }

    @AfterAll
    static void end() {
        browser.close();
        playwright.close();
    }

    private static void serve(Route route) {
        String path = route.request().url().substring("http://viewer.localhost/".length());
        try {
            route.fulfill(
                    path.isEmpty()
                            ? new Route.FulfillOptions()
                                    .setContentType("text/html")
                                    .setBody("<!doctype html>")
                            : new Route.FulfillOptions()
                                    .setContentType("text/javascript")
                                    .setBody(Files.readString(WEB.resolve(path))));
        } catch (IOException e) {
            throw new AssertionError(path, e);
        }
    }

    private static void open(int width, int height) {
        page.evaluate("([width, height]) => start(width, height)", List.of(width, height));
    }

    private static List<?> play(List<byte[]> updates) {
        return (List<?>) page.evaluate(
                "(updates) => play(updates)",
                updates.stream().map(Base64.getEncoder()::encodeToString).toList());
    }

    private static int[] pixels() {
        byte[] rgba = Base64.getDecoder().decode((String) page.evaluate("() => pixels()"));
        int[] pixels = new int[rgba.length / 4];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = (rgba[4 * i + 3] & 0xff) != 0xff
                    ? -1
                    : ((rgba[4 * i] & 0xff) << 16) | ((rgba[4 * i + 1] & 0xff) << 8) | (rgba[4 * i + 2] & 0xff);
        }
        return pixels;
    }

    private static byte[] update(Encoder encoder, List<Command> commands) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        commands.forEach(command -> bytes.writeBytes(encoder.encode(command)));
        return bytes.toByteArray();
    }

    private static Rectangle area(Random random) {
        int width = 1 + random.nextInt(random.nextBoolean() ? 12 : WIDTH);
        int height = 1 + random.nextInt(random.nextBoolean() ? 12 : HEIGHT);
        return new Rectangle(random.nextInt(WIDTH - width + 1), random.nextInt(HEIGHT - height + 1), width, height);
    }

    private static List<Command> commands(Random random) {
        List<Command> commands = new ArrayList<>();
        for (int i = random.nextInt(12); i >= 0; i--) {
            Rectangle area = area(random);
            int[] pixels = Pictures.picture(random.nextInt(Pictures.KINDS), area.width(), area.height(), random);
            switch (random.nextInt(6)) {
                case 0, 1 -> {
                    int fromX = random.nextInt(WIDTH - area.width() + 1);
                    int fromY = random.nextInt(HEIGHT - area.height() + 1);
                    commands.add(new Command.Copy(area, fromX, fromY));
                }
                case 2 -> commands.add(new Command.Pixels(area, pixels));
                case 3 -> {
                    // Only what is drawn over it at once can be compared exactly, and only if it came later.
                    commands.add(new Command.Video(area, pixels));
                    commands.add(Classifier.classify(area, pixels));
                }
                default -> commands.add(Classifier.classify(area, pixels));
            }
        }
        return commands;
    }

    @Test
    void programsDrawExactly() {
        try (Encoder encoder = new Encoder()) {
            for (long seed = 0; seed < 200; seed++) {
                Random random = new Random(seed);
                open(WIDTH, HEIGHT);
                CommandPlayer player = new CommandPlayer();
                player.resize(new Rectangle(0, 0, WIDTH, HEIGHT));
                List<byte[]> updates = new ArrayList<>();
                List<Command> all = new ArrayList<>();
                all.add(new Command.Fill(new Rectangle(0, 0, WIDTH, HEIGHT), 0x336699));
                updates.add(update(encoder, all));
                for (int i = 0; i < 4; i++) {
                    List<Command> commands = commands(random);
                    all.addAll(commands);
                    updates.add(update(encoder, commands));
                }
                all.forEach(player::play);
                assertThat(play(updates)).allMatch("drawn"::equals);
                assertThat(pixels()).as("seed %d", seed).isEqualTo(player.pixels());
            }
        }
    }

    @Test
    void largePicturesDrawExactly() {
        Rectangle screen = new Rectangle(0, 0, 1280, 800);
        try (Encoder encoder = new Encoder()) {
            for (int kind = 0; kind < Pictures.KINDS; kind++) {
                int[] picture = Pictures.picture(kind, 1280, 800, new Random(kind));
                open(1280, 800);
                List<Command> commands = new ArrayList<>();
                commands.add(new Command.Pixels(screen, picture));
                commands.add(new Command.Copy(new Rectangle(0, 0, 1280, 783), 0, 17));
                commands.add(new Command.Copy(new Rectangle(3, 1, 1277, 799), 0, 0));
                CommandPlayer player = new CommandPlayer();
                player.resize(screen);
                commands.forEach(player::play);
                assertThat(play(List.of(update(encoder, commands)))).allMatch("drawn"::equals);
                assertThat(pixels()).as("kind %d", kind).isEqualTo(player.pixels());
            }
        }
    }

    @Test
    void videoIsAboutRightAndCopiesOfItAreTheSame() {
        Rectangle left = new Rectangle(0, 0, 100, 80);
        int[] picture = Pictures.picture(5, 100, 80, new Random(3));
        open(200, 80);
        try (Encoder encoder = new Encoder()) {
            assertThat(play(List.of(
                            update(encoder, List.of(new Command.Video(left, picture))),
                            update(encoder, List.of(new Command.Copy(new Rectangle(100, 0, 100, 80), 0, 0))))))
                    .allMatch("drawn"::equals);
        }
        int[] drawn = pixels();
        long error = 0;
        for (int y = 0; y < 80; y++) {
            for (int x = 0; x < 100; x++) {
                int pixel = drawn[y * 200 + x];
                assertThat(drawn[y * 200 + 100 + x]).isEqualTo(pixel);
                for (int shift = 0; shift < 24; shift += 8) {
                    error += Math.abs(((pixel >> shift) & 0xff) - ((picture[y * 100 + x] >> shift) & 0xff));
                }
            }
        }
        assertThat(error / 24000.0).isLessThan(4);
    }

    /** What moves in {@link #filmsAreAboutRight}. */
    private static int[] film(int width, int height, int time) {
        int[] pixels = new int[width * height];
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                boolean block = (x - 3 * time) / 16 % 4 == 0 && y / 16 % 3 == 0;
                pixels[y * width + x] =
                        block ? 0xe0e0e0 : (x + time) % 256 << 16 | (y + 2 * time) % 256 << 8 | (x + y) / 4 % 256;
            }
        }
        return pixels;
    }

    private static double peakSignalToNoise(int[] screen, int stride, Rectangle area, int[] picture) {
        double sum = 0;
        for (int y = 0; y < area.height(); y++) {
            for (int x = 0; x < area.width(); x++) {
                int is = screen[(area.y() + y) * stride + area.x() + x];
                int was = picture[y * area.width() + x];
                double difference = bright(is) - bright(was);
                sum += difference * difference;
            }
        }
        return 10 * Math.log10(255.0 * 255.0 * picture.length / Math.max(1e-9, sum));
    }

    private static double bright(int pixel) {
        return 0.299 * (pixel >> 16 & 0xff) + 0.587 * (pixel >> 8 & 0xff) + 0.114 * (pixel & 0xff);
    }

    @Test
    void filmsAreAboutRight() {
        Rectangle area = new Rectangle(13, 7, 401, 303);
        open(500, 400);
        try (Encoder encoder = new Encoder();
                FilmEncoder film = new FilmEncoder(area, 8000)) {
            List<byte[]> updates = new ArrayList<>();
            for (int i = 0; i < 10; i++) {
                updates.add(film.encode(new Command.Video(area, film(401, 303, i)), 8000, 40L * i));
            }
            // In turn with all else.
            updates.add(encoder.encode(new Command.Fill(new Rectangle(0, 0, 20, 20), 0x123456)));
            assertThat(play(updates)).allMatch("drawn"::equals);
            int[] drawn = pixels();
            assertThat(drawn[10 * 500 + 15]).isEqualTo(0x123456);
            assertThat(drawn[399 * 500 + 499]).isZero();
            Rectangle lower = new Rectangle(13, 57, 401, 253);
            int[] expected = Arrays.copyOfRange(film(401, 303, 9), 50 * 401, 303 * 401);
            assertThat(peakSignalToNoise(drawn, 500, lower, expected)).isGreaterThan(32);
            // One by one: none is kept back.
            for (int i = 10; i < 14; i++) {
                assertThat(play(List.of(film.encode(new Command.Video(area, film(401, 303, i)), 8000, 40L * i))))
                        .allMatch("drawn"::equals);
                assertThat(peakSignalToNoise(pixels(), 500, area, film(401, 303, i)))
                        .isGreaterThan(32);
            }
        }
    }

    @Test
    void aFilmInAnotherPlaceOrOfALargePictureBeginsAgain() {
        Rectangle small = new Rectangle(0, 0, 64, 64);
        Rectangle large = new Rectangle(0, 0, 1400, 900);
        open(1400, 900);
        try (FilmEncoder first = new FilmEncoder(small, 4000);
                FilmEncoder second = new FilmEncoder(large, 8000)) {
            int[] picture = new int[1400 * 900];
            Arrays.fill(picture, 0x4080c0);
            assertThat(play(List.of(
                            first.encode(new Command.Video(small, film(64, 64, 0)), 4000, 0),
                            second.encode(new Command.Video(large, picture), 8000, 0),
                            second.encode(new Command.Video(large, picture), 8000, 40))))
                    .allMatch("drawn"::equals);
            // What is a flat colour stays it, in whatever size it came.
            assertThat(peakSignalToNoise(pixels(), 1400, large, picture)).isGreaterThan(40);
        }
    }

    @Test
    void aFilmThatIsNoneIsRefused() {
        open(64, 64);
        Rectangle area = new Rectangle(0, 0, 64, 64);
        try (FilmEncoder film = new FilmEncoder(area, 4000)) {
            byte[] key = film.encode(new Command.Video(area, film(64, 64, 0)), 4000, 0);
            byte[] next = film.encode(new Command.Video(area, film(64, 64, 1)), 4000, 40);
            assertThat(play(List.of(next)).toString()).contains("no beginning");
            byte[] huge = key.clone();
            huge[14 + 6] = (byte) 0xff;
            huge[14 + 7] = 0x3f;
            huge[14 + 8] = (byte) 0xff;
            huge[14 + 9] = 0x3f;
            assertThat(play(List.of(huge)).toString()).contains("too large");
            assertThat(play(List.of(Arrays.copyOf(key, 14))).toString()).doesNotContain("drawn");
            assertThat(play(List.of(key, next))).allMatch("drawn"::equals);
        }
    }

    @Test
    void resizingWaitsItsTurn() {
        open(50, 40);
        try (Encoder encoder = new Encoder()) {
            Rectangle larger = new Rectangle(20, 10, 100, 90);
            int[] picture = Pictures.picture(6, 100, 90, new Random(3));
            String video = Base64.getEncoder()
                    .encodeToString(
                            update(encoder, List.of(new Command.Video(new Rectangle(0, 0, 50, 40), new int[2000]))));
            String update = Base64.getEncoder()
                    .encodeToString(update(
                            encoder,
                            List.of(
                                    new Command.Fill(new Rectangle(0, 0, 120, 100), 0x010203),
                                    new Command.Pixels(larger, picture))));
            Object results = page.evaluate("""
                    async ([video, update]) => {
                      const first = play([video]);
                      surface.resize(120, 100);
                      return [...await first, ...await play([update])];
                    }""", List.of(video, update));
            assertThat((List<?>) results).allMatch("drawn"::equals);
            int[] drawn = pixels();
            assertThat(drawn).hasSize(12000);
            assertThat(drawn[0]).isEqualTo(0x010203);
            assertThat(drawn[10 * 120 + 20]).isEqualTo(picture[0]);
            assertThat(drawn[99 * 120 + 119]).isEqualTo(picture[8999]);
        }
    }

    /** All that zstd's levels make use of, not only the one that the encoder asks for. */
    @Test
    void decompressesWhatZstdMakes() {
        try (Arena arena = Arena.ofConfined();
                Zstd zstd = new Zstd()) {
            PixelPacker packer = new PixelPacker();
            for (int kind = 1; kind < Pictures.KINDS; kind++) {
                for (int side : new int[] {1, 5, 40, 300}) {
                    int[] picture = Pictures.picture(kind, side, side, new Random(side));
                    int count = packer.plain(picture, 0, side * side);
                    byte[] plain = Arrays.copyOf(packer.packed(), count);
                    MemorySegment source = arena.allocate(plain.length);
                    MemorySegment target = arena.allocate(plain.length + 1000);
                    MemorySegment.copy(plain, 0, source, ValueLayout.JAVA_BYTE, 0, plain.length);
                    for (int level : new int[] {-7, 1, 3, 6, 12, 19}) {
                        int length = zstd.compress(source, target, level);
                        byte[] frame = target.asSlice(4, length - 4).toArray(ValueLayout.JAVA_BYTE);
                        String inflated = (String) page.evaluate(
                                "([frame, max]) => inflate(frame, max)",
                                List.of(Base64.getEncoder().encodeToString(frame), plain.length));
                        assertThat(Base64.getDecoder().decode(inflated)).isEqualTo(plain);
                    }
                }
            }
        }
    }

    private static byte[] bytes(int... values) {
        byte[] bytes = new byte[values.length];
        for (int i = 0; i < values.length; i++) {
            bytes[i] = (byte) values[i];
        }
        return bytes;
    }

    @Test
    void refusesEach() {
        open(20, 10);
        byte[] jpeg;
        byte[] cutOff;
        try (Encoder encoder = new Encoder()) {
            jpeg = encoder.encode(new Command.Video(new Rectangle(0, 0, 8, 8), new int[64]));
            byte[] whole = encoder.encode(new Command.Pixels(new Rectangle(0, 0, 20, 10), new int[200]));
            cutOff = Arrays.copyOf(whole, whole.length - 1);
        }
        jpeg[5] = 9;
        Map<String, byte[]> refused = Map.ofEntries(
                Map.entry("Error: command 7 is unknown", bytes(7, 0, 0, 0, 0, 1, 0, 1, 0)),
                Map.entry("Error: a command is cut off", cutOff),
                Map.entry(
                        "Error: a command is for what is not on the screen",
                        bytes(2, 0, 0, 0, 0, 21, 0, 1, 0, 1, 2, 3)),
                Map.entry(
                        "Error: a command copies what is not on the screen",
                        bytes(1, 0, 0, 0, 0, 20, 0, 1, 0, 0, 0, 10, 0)),
                Map.entry("Error: packing 3 is unknown", bytes(5, 0, 0, 0, 0, 1, 0, 1, 0, 3, 0, 0, 0, 0)),
                Map.entry("Error: codec 3 is unknown", bytes(6, 0, 0, 0, 0, 1, 0, 1, 0, 3, 0, 0, 0, 0)),
                Map.entry("Error: a palette is cut off", bytes(5, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0)),
                Map.entry(
                        "Error: a pixel is beyond the palette",
                        // Three colours, and a pixel of the fourth.
                        bytes(5, 0, 0, 0, 0, 1, 0, 1, 0, 1, 11, 0, 0, 0, 2, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0xc0)),
                Map.entry(
                        "Error: pixels have another length",
                        bytes(5, 0, 0, 0, 0, 1, 0, 1, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4)),
                Map.entry(
                        "Error: a bitmap has another length",
                        bytes(3, 0, 0, 0, 0, 1, 0, 1, 0, 1, 2, 3, 4, 5, 6, 0, 2, 0, 0, 0, 0, 0)),
                Map.entry(
                        "Error: a tile is empty or too large",
                        bytes(4, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)),
                Map.entry("Error: a picture has another size", jpeg),
                Map.entry("Error: a picture is no JPEG", bytes(6, 0, 0, 0, 0, 1, 0, 1, 0, 1, 2, 0, 0, 0, 0x89, 0x50)),
                // A frame that says it holds 2 GiB.
                Map.entry(
                        "RangeError: zstd: there is more than may be",
                        bytes(5, 0, 0, 0, 0, 1, 0, 1, 0, 16, 8, 0, 0, 0, 0xa0, 0, 0, 0, 0x80, 1, 0, 0)));
        byte[] red = bytes(2, 0, 0, 0, 0, 20, 0, 10, 0, 0xff, 0, 0);
        byte[] green = bytes(2, 0, 0, 0, 0, 20, 0, 10, 0, 0, 0xff, 0);
        refused.forEach((why, command) -> {
            byte[] both = Arrays.copyOf(green, green.length + command.length);
            System.arraycopy(command, 0, both, green.length, command.length);
            assertThat(play(List.of(red, both)).toString()).isEqualTo("[drawn, " + why + "]");
        });
        // What is seen to be wrong before anything is drawn leaves the screen as it is.
        play(List.of(red, bytes(2, 0, 0, 0, 0, 20, 0, 10, 0, 0, 0xff, 0, 7)));
        assertThat(pixels()).containsOnly(0xff0000);
    }

    /** Whatever comes is drawn or refused, soon, and does no harm to what comes after. */
    @Test
    void refusesWhatIsMalformed() {
        open(WIDTH, HEIGHT);
        try (Encoder encoder = new Encoder()) {
            List<byte[]> mutants = new ArrayList<>();
            for (long seed = 0; seed < 300; seed++) {
                Random random = new Random(seed);
                byte[] bytes = update(encoder, commands(random));
                if (random.nextInt(3) == 0) {
                    bytes = Arrays.copyOf(bytes, random.nextInt(bytes.length + 1));
                }
                for (int i = 1 + random.nextInt(4); i > 0 && bytes.length > 0; i--) {
                    bytes[random.nextInt(random.nextBoolean() ? bytes.length : Math.min(40, bytes.length))] ^=
                            (byte) (1 << random.nextInt(8));
                }
                mutants.add(bytes);
            }
            List<?> results = play(mutants);
            assertThat(results)
                    .hasSize(300)
                    .allMatch(result -> result.equals("drawn")
                            || result.toString().startsWith("Error: ")
                            || result.toString().startsWith("RangeError: zstd: "));
            assertThat(results).anyMatch(result -> !result.equals("drawn"));
            Rectangle screen = new Rectangle(0, 0, WIDTH, HEIGHT);
            int[] picture = Pictures.picture(7, WIDTH, HEIGHT, new Random(1));
            assertThat(play(List.of(update(encoder, List.of(new Command.Pixels(screen, picture))))))
                    .allMatch("drawn"::equals);
            assertThat(pixels()).isEqualTo(picture);
        }
    }
}
