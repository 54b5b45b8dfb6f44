package dev.satchel.display.x11;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.display.CursorImage;
import dev.satchel.display.Keys;
import dev.satchel.display.Rectangle;
import dev.satchel.display.Region;
import dev.satchel.display.Screen;
import dev.satchel.display.ScreenDisplay;
import dev.satchel.display.Viewer;
import dev.satchel.display.codec.Classifier;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** With a real Xvfb and real clients. */
@Timeout(120)
class X11ScreenTest implements Screen.Listener {
    private static final Rectangle MAXIMUM = new Rectangle(0, 0, 1024, 768);

    @TempDir
    Path directory;

    private final BlockingQueue<String> told = new LinkedBlockingQueue<>();
    private final BlockingQueue<String> pointers = new LinkedBlockingQueue<>();
    private XServer server;

    @BeforeEach
    void start() throws IOException {
        server = new XServer(MAXIMUM.width(), MAXIMUM.height());
    }

    @AfterEach
    void stop() {
        server.close();
    }

    @Override
    public void damaged() {
        told.add("damaged");
    }

    @Override
    public void resized(int width, int height) {
        told.add("resized " + width + "x" + height);
    }

    @Override
    public void cursorChanged(CursorImage cursor) {
        told.add("cursor " + cursor.width());
    }

    @Override
    public void pointerMoved(int x, int y) {
        pointers.add(x + "," + y);
    }

    @Override
    public void clipboardChanged() {
        told.add("clipboard");
    }

    @Override
    public void bell() {
        told.add("bell");
    }

    @Override
    public void lost(IOException reason) {
        told.add("lost");
    }

    /** Until it was told, leaving out all else. */
    private void await(String what) throws InterruptedException {
        String next = told.poll(30, TimeUnit.SECONDS);
        while (next != null && !next.equals(what)) {
            next = told.poll(30, TimeUnit.SECONDS);
        }
        assertThat(next).isEqualTo(what);
    }

    private static int[] pixels(Screen screen) throws IOException {
        Rectangle all = screen.bounds();
        int[] pixels = new int[all.width() * all.height()];
        screen.read(all, pixels, 0, all.width());
        return pixels;
    }

    /** What the server itself says that it shows: GetImage, by a client of its own. */
    private int[] asked(Rectangle size) throws IOException {
        try (X11Connection client = server.connect()) {
            java.nio.ByteBuffer image = client.ask(
                    4 * size.width() * size.height(),
                    new Request(73, 2)
                            .u32(client.rootWindow())
                            .u16(0)
                            .u16(0)
                            .u16(size.width())
                            .u16(size.height())
                            .u32(-1));
            int[] pixels = new int[size.width() * size.height()];
            for (int i = 0; i < pixels.length; i++) {
                pixels[i] = image.getInt(32 + 4 * i) & 0xffffff;
            }
            return pixels;
        }
    }

    @Test
    void theBellIsTold() throws Exception {
        try (X11Screen screen = server.open(this)) {
            assertThat(screen.bounds()).isEqualTo(MAXIMUM);
            try (X11Connection client = server.connect()) {
                client.send(new Request(104, 0)); // Bell
                await("bell");
            }
            server.start("xterm", "-e", "printf '\\a'; sleep 1000");
            await("bell");
        }
    }

    @Test
    void whatIsDrawnIsToldAndRead() throws Exception {
        try (X11Screen screen = server.open(this)) {
            assertThat(screen.bounds()).isEqualTo(MAXIMUM);
            Region ignored = screen.takeDamage();
            told.clear();
            server.run("xsetroot", "-solid", "#123456");
            await("damaged");
            assertThat(screen.takeDamage().bounds()).isEqualTo(MAXIMUM);
            assertThat(pixels(screen)).containsOnly(0x123456);
            assertThat(screen.takeDamage().isEmpty()).isTrue();

            told.clear();
            Process window = server.start("xterm", "-geometry", "20x5+100+50", "-bg", "#ff0000", "-e", "sleep 1000");
            await("damaged");
            Region damage = screen.takeDamage();
            while (pixels(screen)[60 * 1024 + 150] != 0xff0000) {
                await("damaged");
                damage = damage.union(screen.takeDamage());
            }
            assertThat(damage.contains(150, 60)).isTrue();
            assertThat(damage.contains(800, 600)).isFalse();
            assertThat(window.isAlive()).isTrue();
        }
    }

    @Test
    void pixelsAreTheServers() throws Exception {
        try (X11Screen screen = server.open(this)) {
            server.start("xterm", "-geometry", "80x24+10+10", "-e", "seq 1000; sleep 1000");
            server.run("xsetroot", "-mod", "5", "7");
            // Until nothing is drawn any more.
            int[] before = pixels(screen);
            int[] now = asked(MAXIMUM);
            for (int tries = 0; !Arrays.equals(before, now) || told.isEmpty(); tries++) {
                assertThat(tries).isLessThan(100);
                before = pixels(screen);
                now = asked(MAXIMUM);
            }
            assertThat(before).contains(0x000000, 0xffffff);
        }
    }

    @Test
    void theFourthByteIsLeftOut() throws Exception {
        try (X11Screen screen = server.open(this);
                X11Connection client = server.connect()) {
            int context = client.newId();
            // CreateGC, of IncludeInferiors; PutImage of four pixels as they are; GetInputFocus, which is answered
            // after that.
            client.send(new Request(55, 0)
                    .u32(context)
                    .u32(client.rootWindow())
                    .u32(1 << 15)
                    .u32(1));
            client.send(new Request(72, 2)
                    .u32(client.rootWindow())
                    .u32(context)
                    .u16(2)
                    .u16(2)
                    .u16(100)
                    .u16(50)
                    .u8(0)
                    .u8(24)
                    .u16(0)
                    .u32(0xff123456)
                    .u32(0x7f000001)
                    .u32(0x80ffffff)
                    .u32(0x01020304));
            client.ask(new Request(43, 0));
            int[] into = new int[4];
            screen.read(new Rectangle(100, 50, 2, 2), into, 0, 2);
            assertThat(into).containsExactly(0x123456, 0x000001, 0xffffff, 0x020304);
        }
    }

    @Test
    void readsOnlyWhatIsThere() throws Exception {
        try (X11Screen screen = server.open(this)) {
            server.run("xsetroot", "-solid", "#123456");
            int[] into = new int[30 * 20];
            screen.read(new Rectangle(1014, 758, 30, 20), into, 0, 30);
            assertThat(into[9 * 30 + 9]).isEqualTo(0x123456);
            assertThat(into[10]).isZero();
            assertThat(into[10 * 30]).isZero();
        }
    }

    @Test
    void theSizeChangesUpToTheFirst() throws Exception {
        try (X11Screen screen = server.open(this)) {
            assertThat(screen.maximum()).isEqualTo(MAXIMUM);
            for (int[] size : new int[][] {{640, 480}, {801, 601}, {1024, 768}, {333, 222}, {640, 480}}) {
                screen.resize(size[0], size[1]);
                await("resized " + size[0] + "x" + size[1]);
                assertThat(screen.bounds()).isEqualTo(new Rectangle(0, 0, size[0], size[1]));
                assertThat(server.run("xdpyinfo")).contains("dimensions:    " + size[0] + "x" + size[1] + " pixels");
                server.run("xsetroot", "-solid", "#010203");
                assertThat(pixels(screen)).containsOnly(0x010203);
            }
            // The first one's and the one in use.
            assertThat(server.run("xrandr", "-q").lines().filter(line -> line.startsWith("   ")))
                    .hasSize(2);
            assertThatThrownBy(() -> screen.resize(1025, 700)).hasMessageContaining("1024x768 at most");
        }
    }

    @Test
    void whereThePointerIsIsToldWhoeverMovedIt() throws Exception {
        try (X11Screen screen = server.open(this)) {
            screen.pointer(120, 130, 0);
            assertThat(pointers.poll(10, TimeUnit.SECONDS)).isEqualTo("120,130");
            server.run("xdotool", "mousemove", "500", "400");
            List<String> seen = new ArrayList<>();
            for (int i = 0; i < 1000 && !seen.contains("500,400"); i++) {
                Region ignored = screen.takeDamage();
                pointers.drainTo(seen);
                Thread.sleep(10);
            }
            assertThat(seen).contains("500,400");
        }
    }

    @Test
    void thePointerIsNoPixelAndHasAPicture() throws Exception {
        server.run("xsetroot", "-solid", "#000000", "-cursor_name", "watch");
        server.run("xdotool", "mousemove", "500", "400");
        try (X11Screen screen = server.open(this)) {
            assertThat(pixels(screen)).containsOnly(0);
            CursorImage watch = screen.cursor();
            assertThat(watch.width()).isPositive();
            assertThat(Arrays.stream(watch.pixels()).anyMatch(pixel -> pixel >>> 24 == 0xff))
                    .isTrue();
            told.clear();
            server.run("xsetroot", "-cursor_name", "left_ptr");
            String next = told.poll(30, TimeUnit.SECONDS);
            while (next != null && !next.startsWith("cursor ")) {
                next = told.poll(30, TimeUnit.SECONDS);
            }
            assertThat(next).isNotNull();
            assertThat(screen.cursor().pixels()).isNotEqualTo(watch.pixels());
        }
    }

    @Test
    void pointerAndButtons() throws Exception {
        try (X11Screen screen = server.open(this)) {
            screen.pointer(123, 45, 0);
            assertThat(server.run("xdotool", "getmouselocation")).startsWith("x:123 y:45 ");
            Process watcher = server.start("xev", "-root", "-event", "button");
            BufferedReader events = watcher.inputReader(StandardCharsets.UTF_8);
            // xev on the root window hears buttons only where no window has grabbed them: nobody has.
            StringBuilder seen = new StringBuilder();
            // Until it listens.
            while (!events.ready()) {
                screen.pointer(123, 45, 1 << 8);
                screen.pointer(123, 45, 0);
                TimeUnit.MILLISECONDS.sleep(50);
            }
            screen.pointer(200, 210, 1 | 4);
            screen.pointer(200, 210, 4);
            screen.pointer(200, 210, 8);
            screen.releaseAll();
            while (!seen.toString().endsWith("-4")) {
                String line = events.readLine();
                if (line.startsWith("ButtonPress") || line.startsWith("ButtonRelease")) {
                    seen.append(line.startsWith("ButtonPress") ? " +" : " -");
                } else if (line.contains("button ")) {
                    int at = line.indexOf("button ") + 7;
                    seen.append(line, at, line.indexOf(',', at));
                }
            }
            assertThat(seen.toString()).endsWith(" +1 +3 -1 -3 +4 -4");
        }
    }

    /** Whatever the session's layout has, and has not. */
    @ParameterizedTest
    @CsvSource({"us", "de", "fr", "ru", "us -variant intl"})
    void textArrivesAsItWasTyped(String layout) throws Exception {
        String text = "Hello, World! aA@€äß{}|~^`'\"漢λж€ Ωé 0189";
        server.run(("setxkbmap " + layout).split(" "));
        try (X11Screen screen = server.open(this)) {
            assertThat(typed(screen, text)).isEqualTo(text);
            // With Caps Lock on, and shift held, as it may be on a viewer's keyboard.
            screen.key(0xffe5, true);
            screen.key(0xffe5, false);
            assertThat(typed(screen, "aBc")).isEqualTo("aBc");
            screen.key(0xffe5, true);
            screen.key(0xffe5, false);
            screen.key(0xffe1, true);
            assertThat(typed(screen, "x7/Y")).isEqualTo("x7/Y");
            screen.key(0xffe1, false);
        }
    }

    private String typed(X11Screen screen, String text) throws Exception {
        return typed(screen, text.codePoints().map(Keys::ofCharacter).toArray());
    }

    /** Types a line into a terminal. @return what its program read */
    private String typed(X11Screen screen, int[] keysyms) throws Exception {
        Path file = directory.resolve("typed");
        Path ready = directory.resolve("ready");
        Files.deleteIfExists(file);
        Files.deleteIfExists(ready);
        Process terminal = server.start(
                "xterm",
                "-u8",
                "-geometry",
                "100x10+0+0",
                "-e",
                "stty -echo; touch " + ready + "; IFS= read -r line; printf '%s' \"$line\" >" + file + ".new; mv "
                        + file + ".new " + file);
        while (!Files.exists(ready)) {
            TimeUnit.MILLISECONDS.sleep(20);
        }
        // There is no window manager: the window under the pointer has the keys.
        String window = server.run("xdotool", "search", "--sync", "--onlyvisible", "--class", "xterm")
                .strip()
                .lines()
                .toList()
                .getLast();
        server.run("xdotool", "windowfocus", "--sync", window);
        for (int keysym : keysyms) {
            screen.key(keysym, true);
            screen.key(keysym, false);
        }
        screen.key(0xff0d, true);
        screen.key(0xff0d, false);
        assertThat(terminal.waitFor(20, TimeUnit.SECONDS)).isTrue();
        return Files.readString(file);
    }

    /** More of them than there are keys without a meaning. */
    @Test
    void manyCharactersThatNoKeyHas() throws Exception {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 150; i++) {
            text.appendCodePoint(0x4e00 + 7 * i);
        }
        try (X11Screen screen = server.open(this)) {
            assertThat(typed(screen, text.toString())).isEqualTo(text.toString());
        }
    }

    @Test
    void layoutsThatChangeMeanwhile() throws Exception {
        String text = "zyZY@ж漢ß;:é";
        try (X11Screen screen = server.open(this)) {
            for (String layout : new String[] {"us", "de", "ru", "us,ru", "fr"}) {
                server.run("setxkbmap", layout);
                assertThat(typed(screen, text)).as(layout).isEqualTo(text);
            }
        }
    }

    /** Accents come from dead keys by way of the programs' own input methods. */
    @Test
    void deadKeys() throws Exception {
        for (String layout : new String[] {"us", "de", "fr"}) {
            server.run("setxkbmap", layout);
            try (X11Screen screen = server.open(this)) {
                // dead_acute, e; dead_circumflex, O.
                assertThat(typed(screen, new int[] {'x', 0xfe51, 'e', 0xfe52, 'O', 'y'}))
                        .as(layout)
                        .isEqualTo("xéÔy");
            }
        }
    }

    private boolean anythingIsDown() throws IOException {
        try (X11Connection client = server.connect()) {
            java.nio.ByteBuffer keys = client.ask(new Request(44, 0)); // QueryKeymap
            for (int i = 8; i < 40; i++) {
                if (keys.get(i) != 0) {
                    return true;
                }
            }
            return false;
        }
    }

    @Test
    void whatWasPressedIsReleased() throws Exception {
        try (X11Screen screen = server.open(this)) {
            screen.key('y', true);
            assertThat(anythingIsDown()).isTrue();
            server.run("setxkbmap", "de");
            screen.key('y', false);
            assertThat(anythingIsDown()).isFalse();
            screen.key(0xffe1, true);
            screen.key('7', true);
            screen.key('/', true);
            screen.key('漢', true);
            screen.releaseAll();
            assertThat(anythingIsDown()).isFalse();
            // Shift that is held is put back after what goes without it.
            screen.key(0xffe1, true);
            screen.key('7', true);
            screen.key('7', false);
            assertThat(anythingIsDown()).isTrue();
            screen.key(0xffe1, false);
            assertThat(anythingIsDown()).isFalse();
            screen.key(0xffe3, true);
            screen.key('c', true);
        }
        assertThat(anythingIsDown()).isFalse();
    }

    /** Windows above each other, moved and taken away: what is told holds all that is different. */
    @Test
    void damageHoldsAllThatChanges() throws Exception {
        server.run("xsetroot", "-solid", "#102030");
        try (X11Screen screen = server.open(this);
                X11Connection client = server.connect()) {
            java.util.Random random = new java.util.Random(1);
            int[] windows = new int[6];
            int context = client.newId();
            client.send(new Request(55, 0).u32(context).u32(client.rootWindow()).u32(0)); // CreateGC
            for (int i = 0; i < windows.length; i++) {
                windows[i] = client.newId();
                // CreateWindow, inside of each other or of the root: background, override-redirect; MapWindow.
                client.send(
                        new Request(1, 0)
                                .u32(windows[i])
                                .u32(i % 3 == 2 ? windows[i - 1] : client.rootWindow())
                                .u16(random.nextInt(500))
                                .u16(random.nextInt(400))
                                .u16(50 + random.nextInt(300))
                                .u16(50 + random.nextInt(300))
                                .u16(1)
                                .u16(0)
                                .u32(0)
                                .u32(1 << 1 | 1 << 9)
                                .u32(random.nextInt(1 << 24))
                                .u32(1),
                        new Request(8, 0).u32(windows[i]));
            }
            Region ignored = take(screen, client);
            int[] before = pixels(screen);
            for (int step = 0; step < 200; step++) {
                int window = windows[random.nextInt(windows.length)];
                switch (random.nextInt(4)) {
                    // ConfigureWindow: somewhere else, in front; PolyFillRectangle; CopyArea; ClearArea.
                    case 0 ->
                        client.send(new Request(12, 0)
                                .u32(window)
                                .u16(1 | 2 | 64)
                                .u16(0)
                                .u32(random.nextInt(700))
                                .u32(random.nextInt(500))
                                .u32(random.nextInt(2)));
                    case 1 ->
                        client.send(
                                new Request(56, 0).u32(context).u32(4).u32(random.nextInt(1 << 24)),
                                new Request(70, 0)
                                        .u32(window)
                                        .u32(context)
                                        .u16(random.nextInt(100))
                                        .u16(random.nextInt(100))
                                        .u16(random.nextInt(200))
                                        .u16(random.nextInt(200)));
                    case 2 ->
                        client.send(new Request(62, 0)
                                .u32(window)
                                .u32(windows[0])
                                .u32(context)
                                .u16(random.nextInt(50))
                                .u16(random.nextInt(50))
                                .u16(random.nextInt(50))
                                .u16(random.nextInt(50))
                                .u16(80)
                                .u16(60));
                    default ->
                        client.send(new Request(61, 0)
                                .u32(window)
                                .u16(random.nextInt(100))
                                .u16(random.nextInt(100))
                                .u16(60)
                                .u16(60));
                }
                Region damage = take(screen, client);
                int[] now = pixels(screen);
                for (int i = 0; i < now.length; i++) {
                    if (now[i] != before[i] && !damage.contains(i % 1024, i / 1024)) {
                        throw new AssertionError(
                                "step " + step + ": " + i % 1024 + "," + i / 1024 + " not in " + damage);
                    }
                }
                before = now;
            }
            assertThat(before).isEqualTo(asked(MAXIMUM));
        }
    }

    /** What has been drawn when all that the client has sent is done. */
    private static Region take(X11Screen screen, X11Connection client) throws IOException {
        java.nio.ByteBuffer ignored = client.ask(new Request(43, 0));
        return screen.takeDamage();
    }

    @Test
    void theKeyboardIsLeftAsItWas() throws Exception {
        String before = server.run("xmodmap", "-pke");
        String settings = server.run("xset", "q");
        try (X11Screen screen = server.open(this)) {
            screen.key(Keys.ofCharacter('漢'), true);
            assertThat(server.run("xmodmap", "-pke")).isNotEqualTo(before);
        }
        assertThat(server.run("xmodmap", "-pke")).isEqualTo(before);
        assertThat(server.run("xset", "q")).isEqualTo(settings);
    }

    @ParameterizedTest
    @ValueSource(ints = {5, 100_000, 3_000_000})
    void clipboardBothWays(int length) throws Exception {
        String text = "é".repeat(length / 2) + "x";
        Path file = directory.resolve("text");
        Files.writeString(file, text);
        try (X11Screen screen = server.open(this)) {
            server.start("xclip", "-quiet", "-selection", "clipboard", file.toString());
            await("clipboard");
            assertThat(screen.clipboard(4 << 20)).isEqualTo(text);
            screen.setClipboard(text + "!");
            assertThat(server.run("xclip", "-selection", "clipboard", "-o")).isEqualTo(text + "!");
            assertThat(server.run("xclip", "-selection", "clipboard", "-o", "-t", "TARGETS"))
                    .contains("UTF8_STRING");
        }
    }

    @Test
    void tooMuchOrNothingInTheClipboardIsNothing() throws Exception {
        Path file = directory.resolve("text");
        Files.writeString(file, "x".repeat(100_000));
        try (X11Screen screen = server.open(this)) {
            assertThat(screen.clipboard(1000)).isEmpty();
            server.start("xclip", "-quiet", "-selection", "clipboard", file.toString());
            await("clipboard");
            assertTooLong(screen, 1000);
            assertThat(screen.clipboard(100_000)).hasSize(100_000);
        }
    }

    private static int owner(X11Connection client) throws IOException {
        return client.ask(new Request(23, 0).u32(client.atom("CLIPBOARD"))).getInt(8);
    }

    private Process copies(String text) throws Exception {
        Path file = directory.resolve("text");
        Files.writeString(file, text);
        Process program = server.start("xclip", "-quiet", "-selection", "clipboard", file.toString());
        await("clipboard");
        return program;
    }

    @ParameterizedTest
    @ValueSource(ints = {5, 1_000_000})
    void textOutlivesItsProgramAndThisConnection(int length) throws Exception {
        String text = "é".repeat(length / 2) + "x";
        try (X11Connection client = server.connect()) {
            try (X11Screen screen = server.open(this)) {
                Process program = copies(text);
                int its = owner(client);
                assertThat(screen.clipboard(1 << 20)).isEqualTo(text);
                // It may have it in other forms, too.
                screen.setClipboard(text);
                assertThat(owner(client)).isEqualTo(its);
                assertThat(screen.offersClipboard()).isFalse();
                assertThat(program.destroyForcibly().waitFor()).isNotZero();
                while (!screen.offersClipboard()) {
                    Thread.onSpinWait();
                }
                assertThat(server.run("xclip", "-selection", "clipboard", "-o")).isEqualTo(text);
            }
            while (owner(client) != 0) {
                Thread.onSpinWait();
            }
            try (X11Screen again = server.open(this)) {
                assertThat(again.clipboard(1 << 20)).isEqualTo(text);
                assertThat(server.run("xclip", "-selection", "clipboard", "-o")).isEqualTo(text);
                again.setClipboard("other");
            }
            try (X11Screen again = server.open(this)) {
                assertThat(server.run("xclip", "-selection", "clipboard", "-o")).isEqualTo("other");
                assertThat(again.offersClipboard()).isTrue();
            }
        }
    }

    /** A picture that took its place, or who took it back: a password manager, after a while. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void textThatIsNotOfferedAnyMoreIsGone(boolean takenBack) throws Exception {
        try (X11Screen screen = server.open(this);
                X11Connection client = server.connect()) {
            Process program = copies("secret");
            assertThat(screen.clipboard(1 << 20)).isEqualTo("secret");
            if (takenBack) {
                client.send(
                        new Request(22, 0).u32(0).u32(client.atom("CLIPBOARD")).u32(0));
            } else {
                program = server.start(
                        "xclip",
                        "-quiet",
                        "-selection",
                        "clipboard",
                        "-t",
                        "image/png",
                        directory.resolve("text").toString());
            }
            await("clipboard");
            assertThat(screen.clipboard(1 << 20)).isEmpty();
            int last = owner(client);
            assertThat(program.destroyForcibly().onExit().get().isAlive()).isFalse();
            while (last != 0 && owner(client) == last) {
                Thread.onSpinWait();
            }
            assertThat(owner(client)).isZero();
            assertThat(screen.clipboard(1 << 20)).isEmpty();
            try (X11Screen again = server.open(this)) {
                assertThat(again.clipboard(1 << 20)).isEmpty();
                assertThat(again.offersClipboard()).isFalse();
            }
        }
    }

    /** What somebody has ready to be pasted is there until something else is, whoever looks. */
    @Test
    void textIsOfferedAsLongAsNothingElseIs() throws Exception {
        List<X11Screen> opened = new ArrayList<>();
        ScreenDisplay display = new ScreenDisplay(
                listener -> {
                    X11Screen screen = server.open(listener);
                    opened.add(screen);
                    return screen;
                },
                Classifier::classify);
        try (X11Connection client = server.connect()) {
            assertThat(display.<Boolean>withScreen(screen -> {
                        screen.setClipboard("pasted");
                        return true;
                    }))
                    .isTrue();
            display.letGo();
            while (owner(client) != 0) {
                Thread.onSpinWait();
            }
            display.takeHold();
            assertThat(server.run("xclip", "-selection", "clipboard", "-o")).isEqualTo("pasted");
            try (Viewer viewer = display.attach(new Viewer.Options(true, false, false))) {
                Viewer.Update update = viewer.take(0, 30_000);
                while (update.clipboard().isEmpty()) {
                    update = viewer.take(0, 30_000);
                }
                assertThat(update.clipboard()).contains(new Viewer.Copied("pasted", true));
            }
            assertThat(opened).hasSize(2);
            assertThat(opened.getLast().takeDamage()).isNotNull();
            Path file = directory.resolve("text");
            Files.writeString(file, "copied");
            server.start("xclip", "-quiet", "-selection", "clipboard", file.toString());
            // Then nothing is held for it.
            while (true) {
                try {
                    assertThat(opened.getLast().takeDamage()).isNotNull();
                } catch (IOException e) {
                    break;
                }
            }
        } finally {
            display.close();
        }
    }

    /** An owner that never answers holds up nobody else. */
    @Test
    void ownersThatNeverAnswer() throws Exception {
        try (X11Screen screen = server.open(this);
                X11Connection owner = server.connect()) {
            int window = owner.newId();
            owner.send(new Request(1, 0)
                    .u32(window)
                    .u32(owner.rootWindow())
                    .u32(0)
                    .u16(1)
                    .u16(1)
                    .u16(0)
                    .u16(2)
                    .u32(0)
                    .u32(0));
            owner.send(
                    new Request(22, 0).u32(window).u32(owner.atom("CLIPBOARD")).u32(0));
            await("clipboard");
            assertThat(screen.clipboard(1000)).isEmpty();
            screen.setClipboard("mine");
            assertThat(server.run("xclip", "-selection", "clipboard", "-o")).isEqualTo("mine");
        }
    }

    @Test
    void hugeClipboards() throws Exception {
        Path file = directory.resolve("text");
        Files.writeString(file, "y".repeat(50_000_000));
        try (X11Screen screen = server.open(this)) {
            assertThatThrownBy(() -> screen.setClipboard("x".repeat(50_000_000)))
                    .hasMessageContaining("16 MiB at most");
            server.start("xclip", "-quiet", "-selection", "clipboard", file.toString());
            await("clipboard");
            assertTooLong(screen, 1 << 20);
            // The owner is free to serve others; with a limit below and above what it gives at a time.
            assertTooLong(screen, 1000);
            assertThat(server.run("xclip", "-selection", "clipboard", "-o")).hasSize(50_000_000);
            String large = "z".repeat(Clipboard.OFFER_BYTES_MAX);
            screen.setClipboard(large);
            assertThat(server.run("xclip", "-selection", "clipboard", "-o")).isEqualTo(large);
            assertTooLong(screen, 1 << 20);
        }
    }

    private static void assertTooLong(Screen screen, int bytesMax) {
        assertThatThrownBy(() -> screen.clipboard(bytesMax))
                .isInstanceOf(Screen.TooLongException.class)
                .hasMessageContaining("longer than " + bytesMax);
    }

    /** Servers tell no picture that is of a program that has ended; unless whoever asks has got its place among the clients. */
    @Test
    void pointersOfProgramsThatEnded() throws Exception {
        try (X11Screen screen = server.open(this)) {
            server.run("xdotool", "mousemove", "500", "400");
            String next = "";
            for (int tries = 0; !next.equals("cursor " + Arrow.IMAGE.width()); tries++) {
                // One that is asked for while its program is still there is told.
                assertThat(tries).isLessThan(30);
                server.run("xsetroot", "-cursor_name", tries % 2 == 0 ? "watch" : "left_ptr");
                do {
                    next = String.valueOf(told.poll(30, TimeUnit.SECONDS));
                } while (!next.startsWith("cursor ") && !next.equals("null"));
            }
            assertThat(screen.cursor()).isEqualTo(Arrow.IMAGE);
            try (X11Screen again = server.open(this)) {
                assertThat(again.bounds()).isEqualTo(MAXIMUM);
            }
        }
    }

    @Test
    void nothingIsLeftBehind() throws Exception {
        try (X11Connection client = server.connect()) {
            int selection = client.atom("CLIPBOARD");
            X11Screen screen = server.open(this);
            screen.setClipboard("text");
            screen.key('漢', true);
            screen.pointer(5, 5, 1);
            assertThat(client.ask(new Request(23, 0).u32(selection)).getInt(8)).isNotZero();
            screen.close();
            screen.close();
            assertThatThrownBy(screen::takeDamage).isInstanceOf(IOException.class);
            assertThatThrownBy(() -> pixels(screen)).isInstanceOf(IOException.class);
            // The server has seen the end of the connection once it has no owner: GetSelectionOwner.
            while (client.ask(new Request(23, 0).u32(selection)).getInt(8) != 0) {
                Thread.onSpinWait();
            }
            assertThat(anythingIsDown()).isFalse();
            // QueryPointer: buttons.
            assertThat(client.ask(new Request(38, 0).u32(client.rootWindow())).getShort(24) & 0x1f00)
                    .isZero();
        }
        assertThat(Files.readString(Path.of("/proc/self/maps"))).doesNotContain("/SYSV");
        assertThat(told).doesNotContain("lost");
    }

    /** With a program's own modes among ours. */
    @Test
    void modesOfOthersStay() throws Exception {
        server.run("xrandr", "--newmode", "own", "20", "700", "700", "700", "700", "500", "500", "500", "500");
        server.run("xrandr", "--addmode", "screen", "own");
        try (X11Screen screen = server.open(this)) {
            screen.resize(640, 480);
            await("resized 640x480");
            screen.resize(650, 480);
            await("resized 650x480");
            assertThat(server.run("xrandr", "-q"))
                    .contains("own")
                    .contains("650x480")
                    .doesNotContain("640x480");
        }
    }

    @Test
    void aServerThatEndsIsToldOnce() throws Exception {
        try (X11Screen screen = server.open(this)) {
            server.signal("KILL");
            await("lost");
            assertThatThrownBy(screen::takeDamage).isInstanceOf(IOException.class);
            TimeUnit.MILLISECONDS.sleep(50);
            assertThat(told).doesNotContain("lost");
        }
    }

    @Test
    void aStoppedServerHoldsNobodyUpForLong() throws Exception {
        X11Screen screen = server.open(this);
        server.signal("STOP");
        screen.close();
        assertThatThrownBy(() -> server.open(this)).isInstanceOf(IOException.class);
        server.signal("CONT");
        try (X11Screen again = server.open(this)) {
            assertThat(again.bounds()).isEqualTo(MAXIMUM);
        }
        assertThat(told).doesNotContain("lost");
    }

    @Test
    void aStoppedServerIsLetGoWhileSomebodyTypes() throws Exception {
        X11Screen screen = server.open(this);
        server.signal("STOP");
        BlockingQueue<String> failed = new LinkedBlockingQueue<>();
        Thread typist = Thread.ofPlatform().start(() -> {
            try {
                screen.key('a', true);
            } catch (IOException e) {
                failed.add(String.valueOf(e.getMessage()));
            }
        });
        while (typist.getState() != Thread.State.TIMED_WAITING) {
            Thread.onSpinWait();
        }
        long began = System.nanoTime();
        screen.close();
        assertThat(System.nanoTime() - began).isLessThan(2_500_000_000L);
        assertThat(failed.poll(10, TimeUnit.SECONDS)).contains("closed");
        typist.join();
        server.signal("CONT");
        assertThat(told).doesNotContain("lost");
    }

    @Test
    void noServerNoScreen() {
        assertThatThrownBy(() -> X11Screen.open(Path.of("/"), "tmp/.X11-unix/none", server.pid(), this))
                .isInstanceOf(IOException.class);
        long own = ProcessHandle.current().pid();
        assertThatThrownBy(() -> X11Screen.open(
                        Path.of("/"), "tmp/.X11-unix/X" + server.display().substring(1), own, this))
                .hasMessageContaining("-shmem");
    }
}
