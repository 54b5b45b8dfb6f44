package dev.satchel.display.record;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.display.CursorImage;
import dev.satchel.display.MemoryScreen;
import dev.satchel.display.Rectangle;
import dev.satchel.display.ScreenDisplay;
import dev.satchel.display.Viewer;
import dev.satchel.display.codec.Classifier;
import dev.satchel.display.web.Api;
import dev.satchel.display.web.ViewerServer;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What is recorded is played by a real Chromium. */
@Timeout(120)
class RecordingTest {
    private static final int WIDTH = 401;
    private static final int HEIGHT = 300;
    private static Player player;

    @TempDir
    Path directory;

    private Path file;
    private volatile @Nullable MemoryScreen screen;
    private ScreenDisplay display;
    private ViewerServer server;

    @BeforeAll
    static void open() {
        player = new Player();
    }

    @AfterAll
    static void shut() {
        player.close();
    }

    @BeforeEach
    void start() throws IOException {
        file = directory.resolve("video.webm");
        display = new ScreenDisplay(
                listener -> {
                    MemoryScreen opened = new MemoryScreen(WIDTH, HEIGHT, listener);
                    screen = opened;
                    draw(opened, 0);
                    return opened;
                },
                Classifier::classify);
        server = new ViewerServer(ViewerServer.Settings.loopback("work"), () -> display, Api.NONE);
    }

    @AfterEach
    void end() {
        server.close();
        display.close();
    }

    /** Text of some kind, a soft picture, and colours all over it that tell the pictures apart. */
    private static int color(int picture, int x, int y) {
        if (y < HEIGHT / 3) {
            return (x * 7 + y / 11 * 13 + picture * 3) % 5 == 0 && y % 11 < 8 ? 0x101010 : 0xf0f0f0;
        }
        if (y < 2 * HEIGHT / 3) {
            return (x / 2 % 256) << 16 | (y % 256) << 8 | (picture * 30 % 256);
        }
        return picture % 2 == 0 ? 0x2040c0 + picture * 0x080000 : 0xc0a020 - picture * 0x000800;
    }

    private static void draw(MemoryScreen on, int picture) {
        on.draw(new Rectangle(0, 0, WIDTH, HEIGHT), (x, y) -> color(picture, x, y));
    }

    private static int[] picture(int picture) {
        int[] pixels = new int[WIDTH * HEIGHT];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = color(picture, i % WIDTH, i / WIDTH);
        }
        return pixels;
    }

    private final class Recorder {
        final CompletableFuture<Recording.Result> result = new CompletableFuture<>();
        private final Thread thread;

        Recorder(long millisMax) {
            this(millisMax, file);
        }

        Recorder(long millisMax, Path to) {
            thread = Thread.ofPlatform().start(() -> {
                try {
                    result.complete(
                            Recording.record(URI.create(server.link(false)), to, millisMax, 25, (millis, bytes) -> {}));
                } catch (IOException | RuntimeException e) {
                    result.completeExceptionally(e);
                }
            });
        }

        /** Waits until something has been recorded, or it has failed. */
        Recorder awaitBeginning() throws IOException, InterruptedException {
            awaitMore(1000);
            return this;
        }

        /** How much has been written. */
        long bytes() throws IOException {
            return Files.exists(file) ? Files.size(file) : 0;
        }

        /** Waits until more has been written, and then nothing for a while, so that what is drawn next is by itself. */
        void awaitMore(long than) throws IOException, InterruptedException {
            long before;
            int same = 0;
            do {
                before = bytes();
                Thread.sleep(20);
                same = bytes() > than && bytes() == before ? same + 1 : 0;
            } while (same < 20 && !result.isDone());
        }

        Recording.Result interrupt() {
            thread.interrupt();
            return result.join();
        }
    }

    private MemoryScreen screen() {
        MemoryScreen now = screen;
        if (now == null) {
            throw new AssertionError("no screen");
        }
        return now;
    }

    /** Which of the pictures this is. */
    private static int recognized(int[] pixels, int pictures) {
        int best = 0;
        for (int i = 1; i < pictures; i++) {
            if (Player.peakSignalToNoise(pixels, picture(i)) > Player.peakSignalToNoise(pixels, picture(best))) {
                best = i;
            }
        }
        assertThat(Player.peakSignalToNoise(pixels, picture(best))).isGreaterThan(30);
        return best;
    }

    @Test
    void isPlayedAndSought() throws Exception {
        Recorder recorder = new Recorder(600_000).awaitBeginning();
        for (int i = 1; i < 8; i++) {
            long before = recorder.bytes();
            draw(screen(), i);
            recorder.awaitMore(before);
            Thread.sleep(i == 4 ? 5_500 : 0); // so long that players can begin in the midst of it
        }
        Recording.Result result = recorder.interrupt();
        assertThat(result.end()).isEqualTo(Recording.End.INTERRUPTED);
        assertThat(result.bytes()).isEqualTo(Files.size(file));
        assertThat(result.frames()).isBetween(8L, 16L);
        WebmStructure structure = WebmStructure.of(file);
        assertThat(structure.durationMillis()).isEqualTo(result.millis());
        assertThat(structure.clusters()).hasSizeGreaterThan(1).isEqualTo(structure.cues());
        assertThat(structure.frames()).hasSize((int) result.frames() + 1).isSorted();

        double seconds = result.millis() / 1000.0;
        assertThat(player.open(file)).isBetween(seconds - 0.002, seconds + 0.002);
        assertThat(player.width()).isEqualTo(WIDTH);
        assertThat(player.height()).isEqualTo(HEIGHT);
        assertThat(player.play()).isBetween(seconds - 0.1, seconds + 0.1);
        assertThat(recognized(player.frameAt(0), 8)).isZero();
        assertThat(recognized(player.frameAt(seconds - 0.01), 8)).isEqualTo(7);
        // There and back.
        List<Integer> shown = new ArrayList<>();
        for (int i = 0; i < 30; i++) {
            shown.add(recognized(player.frameAt(seconds * (29 - i) / 29 * 0.99), 8));
        }
        assertThat(shown.reversed()).isSorted().contains(0, 4);
    }

    @Test
    void whatDoesNotChangeIsNotWrittenAndTheTimeIsKept() throws Exception {
        Recording.Result result = new Recorder(2_000).result.join();
        assertThat(result.end()).isEqualTo(Recording.End.TIME);
        assertThat(result.millis()).isEqualTo(2_000);
        assertThat(result.frames()).isLessThan(4);
        assertThat(player.open(file)).isEqualTo(2);
        assertThat(recognized(player.frameAt(1.99), 8)).isZero();
    }

    @Test
    void aKilledRecorderLeavesWhatCanBePlayed() throws Exception {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        System.getProperty("java.class.path"),
                        RecordingProcess.class.getName(),
                        server.link(false),
                        file.toString())
                .inheritIO()
                .start();
        try {
            long length = 1000; // more than what comes before the first frame
            for (int i = 1; i < 30; i++) {
                do {
                    Thread.sleep(20);
                } while (process.isAlive() && (!Files.exists(file) || Files.size(file) <= length));
                length = Files.size(file);
                draw(screen(), i % 8);
            }
        } finally {
            process.destroyForcibly();
            assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
        }
        player.open(file);
        assertThat(player.play()).isGreaterThan(0);
        assertThat(recognized(player.frameAt(0), 8)).isZero();
        // And also if the last write was torn.
        byte[] all = Files.readAllBytes(file);
        Files.write(file, Arrays.copyOf(all, all.length - 100));
        player.open(file);
        assertThat(player.play()).isGreaterThan(0);
    }

    @Test
    void aScreenOfAnotherSizeIsScaledIntoTheFirst() throws Exception {
        Recorder recorder = new Recorder(600_000).awaitBeginning();
        long before = recorder.bytes();
        screen().resize(WIDTH, HEIGHT / 2);
        screen().fill(new Rectangle(0, 0, WIDTH, HEIGHT / 2), 0x20c060);
        recorder.awaitMore(before);
        Recording.Result result = recorder.interrupt();
        assertThat(result.width()).isEqualTo(WIDTH);
        double end = player.open(file) - 0.01;
        assertThat(player.width()).isEqualTo(WIDTH);
        assertThat(player.height()).isEqualTo(HEIGHT);
        int[] last = player.frameAt(end);
        assertThat(last[WIDTH * (HEIGHT / 2) + WIDTH / 2] >> 8 & 0xff).isBetween(0xb8, 0xc8);
        assertThat(last[WIDTH * (HEIGHT / 4 + 8) + 20] >> 8 & 0xff).isBetween(0xb8, 0xc8);
        assertThat(last[WIDTH * (HEIGHT / 4 - 8) + 20] >> 8 & 0xff).isLessThan(8);
        assertThat(last[WIDTH * (HEIGHT - 5) + WIDTH / 2] >> 8 & 0xff).isLessThan(8);
    }

    @Test
    void thePointerIsSeenWhereSomebodyPuts() throws Exception {
        Recorder recorder = new Recorder(600_000).awaitBeginning();
        int[] red = new int[32 * 32];
        Arrays.fill(red, 0xffff0000);
        screen().setCursor(new CursorImage(32, 32, 4, 6, red));
        try (Viewer other = display.attach(new Viewer.Options(true, false))) {
            long before = recorder.bytes();
            other.pointer(100, 230, 0);
            recorder.awaitMore(before);
        }
        recorder.interrupt();
        int[] last = player.frameAt(player.open(file) - 0.01);
        assertThat(last[(230 - 6 + 16) * WIDTH + 100 - 4 + 16] >> 16 & 0xff).isGreaterThan(0xe0);
        assertThat(last[(230 - 6 + 28) * WIDTH + 100 - 4 + 28] >> 16 & 0xff).isGreaterThan(0xe0);
        assertThat(last[(230 - 6 + 40) * WIDTH + 100 - 4 + 16] >> 16 & 0xff).isLessThan(0x60);
    }

    @Test
    void aSuspendEndsItAndASnapshotDoesNot() throws Exception {
        Recorder recorder = new Recorder(600_000).awaitBeginning();
        server.tellState(ViewerServer.STATE_SUSPENDING, "for a moment");
        display.letGo();
        server.tellState(ViewerServer.STATE_RUNNING, "");
        long before = recorder.bytes();
        display.takeHold();
        recorder.awaitMore(before); // all of the picture comes again
        before = recorder.bytes();
        draw(screen(), 3);
        recorder.awaitMore(before);
        assertThat(recorder.result).isNotDone();
        server.tellState(ViewerServer.STATE_SUSPENDING, "for long");
        display.letGo();
        server.tellState(ViewerServer.STATE_SUSPENDED, "Suspended");
        Recording.Result result = recorder.result.join();
        assertThat(result.end()).isEqualTo(Recording.End.SUSPENDED);
        assertThat(WebmStructure.of(file).durationMillis()).isEqualTo(result.millis());
        assertThat(recognized(player.frameAt(player.open(file) - 0.01), 8)).isEqualTo(3);
    }

    @Test
    void aServerThatGoesAwayEndsIt() throws Exception {
        Recorder recorder = new Recorder(600_000).awaitBeginning();
        server.close();
        Recording.Result result = recorder.result.join();
        assertThat(result.end()).isEqualTo(Recording.End.LOST);
        assertThat(result.why()).isNotEmpty();
        assertThat(player.open(file)).isGreaterThan(0);
    }

    @Test
    void whatCannotBeRecordedIsToldAndLeavesNothing() throws Exception {
        assertThatThrownBy(() -> new Recorder(1000, directory.resolve("none/video.webm")).result.join())
                .isInstanceOf(CompletionException.class)
                .hasMessageContaining("video.webm");
        display.letGo();
        display.close();
        assertThatThrownBy(() -> new Recorder(1000).result.join())
                .hasMessageContaining("nothing was recorded: the session shows nothing");
        assertThat(file).doesNotExist();
        // What was there before is kept.
        Files.writeString(file, "something");
        assertThatThrownBy(() -> new Recorder(1000).result.join()).hasMessageContaining("nothing was recorded");
        assertThat(file).hasContent("something");
    }
}
