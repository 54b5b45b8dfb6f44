package dev.satchel.display.web;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.display.Command;
import dev.satchel.display.CommandPlayer;
import dev.satchel.display.MemoryScreen;
import dev.satchel.display.Rectangle;
import dev.satchel.display.ScreenDisplay;
import dev.satchel.display.codec.Classifier;
import dev.satchel.display.codec.ReferenceDecoder;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What several viewers are to have is made once, not once for each. */
@Timeout(120)
class SharingTest {
    private static final int WIDTH = 1024;
    private static final int HEIGHT = 768;
    private static final int VIEWERS = 8;

    private final List<MemoryScreen> screens = new CopyOnWriteArrayList<>();
    private final AtomicInteger made = new AtomicInteger();
    private final AtomicInteger received = new AtomicInteger();
    private final ScreenDisplay display = new ScreenDisplay(
            listener -> {
                MemoryScreen screen = new MemoryScreen(WIDTH, HEIGHT, listener);
                screens.add(screen);
                return screen;
            },
            Classifier::classify);
    private final ViewerServer server = new ViewerServer(
            ViewerServer.Settings.loopback("desk"), () -> display, this::counting, Api.NONE, path -> null);

    SharingTest() throws IOException {}

    private CommandEncoder counting() {
        CommandEncoder encoder = CommandEncoder.compressing();
        return new CommandEncoder() {
            @Override
            public byte[] encode(Command command) {
                made.incrementAndGet();
                return encoder.encode(command);
            }

            @Override
            public void close() {
                encoder.close();
            }
        };
    }

    private final class Viewing implements AutoCloseable {
        private final RawBrowser browser = RawBrowser.viewer(server, true);
        private final CommandPlayer player = new CommandPlayer();

        Viewing() throws IOException {
            player.resize(new Rectangle(0, 0, WIDTH, HEIGHT));
            Thread ignored = Thread.ofVirtual().start(this::view);
        }

        private void view() {
            try {
                while (true) {
                    byte[] frame = browser.frame();
                    if (frame[1] != Messages.UPDATE) {
                        continue;
                    }
                    List<Command> commands = ReferenceDecoder.decode(Arrays.copyOfRange(frame, 6, frame.length));
                    synchronized (this) {
                        received.addAndGet(commands.size());
                        commands.forEach(player::play);
                    }
                    browser.send(new byte[] {Messages.CLIENT_ACK, frame[2], frame[3], frame[4], frame[5]});
                }
            } catch (IOException e) {
                // The test has ended.
            }
        }

        void awaitScreen(String what) throws InterruptedException {
            int[] expected = screens.getLast().pixels();
            for (int i = 0; i < 6000 && !shows(expected); i++) {
                Thread.sleep(2);
            }
            assertThat(shows(expected)).as(what).isTrue();
        }

        private synchronized boolean shows(int[] pixels) {
            return Arrays.equals(player.pixels(), pixels);
        }

        @Override
        public void close() throws IOException {
            browser.close();
        }
    }

    @Test
    void viewersThatKeepUpWithEachOtherGetTheSame() throws Exception {
        List<Viewing> viewings = new ArrayList<>();
        try {
            for (int i = 0; i < VIEWERS; i++) {
                viewings.add(new Viewing());
            }
            for (Viewing viewing : viewings) {
                viewing.awaitScreen("the first picture");
            }
            made.set(0);
            received.set(0);
            Random random = new Random(1);
            for (int step = 0; step < 60; step++) {
                int color = random.nextInt(1 << 24);
                int seed = random.nextInt();
                // A page of text, where another was.
                screens.getLast()
                        .draw(
                                new Rectangle(20, 20, 900, 40 + random.nextInt(600)),
                                (x, y) -> (x * 31 + y / 12 * 7 + seed) % 11 < 4 && y % 12 < 9 ? color : 0xffffff);
                for (Viewing viewing : viewings) {
                    viewing.awaitScreen("picture " + step);
                }
            }
            assertThat(made.get()).isLessThan(received.get() / 2);
        } finally {
            for (Viewing viewing : viewings) {
                viewing.close();
            }
            server.close();
            display.close();
        }
    }
}
