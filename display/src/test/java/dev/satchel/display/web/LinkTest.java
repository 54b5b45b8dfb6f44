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
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Slow and broken links: real display, real server, real bytes; viewers that do what docs/PROTOCOL.md says. */
@Timeout(150)
class LinkTest {
    private static final int WIDTH = 640;
    private static final int HEIGHT = 480;
    private static final int FIVE_MEGABITS = 5_000_000 / 8;
    private static final int VIEWERS = 8;

    private final List<MemoryScreen> screens = new CopyOnWriteArrayList<>();
    private final List<Viewing> viewings = new ArrayList<>();
    private ScreenDisplay display;
    private ViewerServer server;
    private Relay relay;

    @BeforeEach
    void start() throws IOException {
        display = new ScreenDisplay(
                listener -> {
                    MemoryScreen screen = new MemoryScreen(WIDTH, HEIGHT, listener);
                    screens.add(screen);
                    return screen;
                },
                Classifier::classify);
        server = new ViewerServer(ViewerServer.Settings.loopback("desk"), () -> display, Api.NONE);
        relay = new Relay(server.port());
    }

    @AfterEach
    void end() throws IOException {
        for (Viewing viewing : viewings) {
            viewing.browser.close();
        }
        relay.close();
        server.close();
        display.close();
    }

    private MemoryScreen screen() {
        // The first viewer opens it, once it has come through the link.
        while (screens.isEmpty()) {
            LockSupport.parkNanos(1_000_000);
        }
        return screens.getLast();
    }

    /** A viewer that draws what comes, and acknowledges it. */
    private final class Viewing {
        final RawBrowser browser;
        private final CommandPlayer player = new CommandPlayer();
        private long bytes;
        private int keyFrames;
        private int frames;

        Viewing(int port) throws IOException {
            this(port, 0);
        }

        Viewing(int port, int wants) throws IOException {
            browser = RawBrowser.open(server, true, port);
            browser.send(new byte[] {Messages.CLIENT_HELLO, 1, 0, (byte) 128, 2, (byte) 224, 1, (byte) wants});
            viewings.add(this);
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
                        bytes += frame.length;
                        if (frame[6] == 6 && frame[15] == 2) {
                            // RFC 6386 §9.1
                            keyFrames += (frame[20] & 1) == 0 ? 1 : 0;
                            frames++;
                        }
                        commands.forEach(player::play);
                    }
                    browser.send(new byte[] {Messages.CLIENT_ACK, frame[2], frame[3], frame[4], frame[5]});
                }
            } catch (IOException e) {
                // The test has ended, or broken the link.
            }
        }

        synchronized int keyFrames() {
            return keyFrames;
        }

        synchronized int frames() {
            return frames;
        }

        synchronized long bytes() {
            return bytes;
        }

        void awaitScreen(String what) throws InterruptedException {
            int[] expected = screen().pixels();
            for (int i = 0; i < 6000 && !Arrays.equals(pixels(), expected); i++) {
                Thread.sleep(10);
            }
            assertThat(Arrays.equals(pixels(), expected)).as(what).isTrue();
        }

        private synchronized int[] pixels() {
            return player.pixels();
        }
    }

    /** As a page does that scrolls, with photographs in it that compress badly. */
    private void scroll(Random random) {
        screen().move(new Rectangle(0, 24, WIDTH, HEIGHT - 24), 0, -24);
        screen().fill(new Rectangle(0, HEIGHT - 24, WIDTH, 24), random.nextInt(1 << 24));
        screen().noise(new Rectangle(random.nextInt(400), random.nextInt(300), 160, 120), random.nextLong());
    }

    @Test
    void eightViewersOnASlowLinkEndWithTheScreenAndHoldNobodyUp() throws Exception {
        Viewing near = new Viewing(server.port());
        List<Viewing> far = new ArrayList<>();
        // However long it takes to draw: they must not get all of it.
        relay.limit(FIVE_MEGABITS / 4);
        for (int i = 0; i < VIEWERS; i++) {
            far.add(new Viewing(relay.port()));
        }
        near.awaitScreen("the first picture");
        Random random = new Random(1);
        boolean behind = false;
        for (int i = 0; i < 60; i++) {
            scroll(random);
            near.awaitScreen("picture " + i + " at the viewer beside");
            behind |= !Arrays.equals(far.getFirst().pixels(), screen().pixels());
        }
        assertThat(behind).as("links that carry less than is drawn").isTrue();
        relay.limit(FIVE_MEGABITS);
        for (Viewing viewing : far) {
            viewing.awaitScreen("the last picture at a viewer far away");
            // What was overwritten before there was room for it was never sent.
            assertThat(viewing.bytes()).isLessThan(near.bytes() / 2);
        }
    }

    /** A film in a window, whose title changes now and then. */
    private Thread film(AtomicBoolean ends) {
        return Thread.ofPlatform().start(() -> {
            for (int time = 0; !ends.get(); time++) {
                int now = time;
                screen().draw(
                                new Rectangle(64, 64, 512, 384),
                                (x, y) -> ((x + 3 * now) / 24 + y / 24) % 3 == 0
                                        ? 0xd0d0d0
                                        : (x * 5 + now) % 256 << 16
                                                | (y * 3 + 2 * now) % 256 << 8
                                                | (x * y / 16 + now) % 256);
                if (time % 20 == 0) {
                    screen().fill(new Rectangle(70, 40, 100, 10), time);
                }
                LockSupport.parkNanos(40_000_000);
            }
        });
    }

    @Test
    void aFilmOnASlowLinkIsOneStreamAndExactOnceItRests() throws Exception {
        relay.limit(FIVE_MEGABITS);
        Viewing far = new Viewing(relay.port(), Messages.WANTS_VIDEO | Messages.WANTS_FILMS);
        far.awaitScreen("the first picture");
        AtomicBoolean ends = new AtomicBoolean();
        Thread film = film(ends);
        for (int i = 0; i < 6000 && far.frames() < 60; i++) {
            Thread.sleep(10);
        }
        ends.set(true);
        film.join();
        assertThat(far.frames()).isGreaterThanOrEqualTo(60);
        // A film that rests for a third of a second ends, and another begins, with a frame of its own: a busy machine
        // may rest.
        assertThat(far.keyFrames()).isLessThanOrEqualTo(Math.max(3, far.frames() / 6));
        far.awaitScreen("the last picture, exactly");
        // Its encoder has gone with it, so that another may have one.
        for (int i = 0; i < 1000 && !server.beginFilm(); i++) {
            Thread.sleep(10);
            screen().fill(new Rectangle(0, 0, 64, 20), i);
        }
        assertThat(server.beginFilm()).isFalse();
        server.endFilm();
    }

    @Test
    void whoDidNotAskForFilmsGetsPictures() throws Exception {
        relay.limit(FIVE_MEGABITS);
        Viewing far = new Viewing(relay.port(), Messages.WANTS_VIDEO);
        AtomicBoolean ends = new AtomicBoolean();
        Thread film = film(ends);
        Thread.sleep(4000);
        ends.set(true);
        film.join();
        assertThat(far.frames()).isZero();
        far.awaitScreen("the last picture, exactly");
    }

    @Test
    void aLinkThatStallsGoesOnWithWhatIsThereThen() throws Exception {
        Viewing near = new Viewing(server.port());
        Viewing far = new Viewing(relay.port());
        far.awaitScreen("the first picture");
        relay.stall();
        long before = far.bytes();
        Random random = new Random(2);
        for (int i = 0; i < 60; i++) {
            scroll(random);
            near.awaitScreen("picture " + i + " at the viewer beside");
        }
        assertThat(far.bytes()).isEqualTo(before);
        relay.mend();
        far.awaitScreen("the last picture after the stall");
        assertThat(far.bytes() - before).isLessThan(near.bytes() / 4);
    }
}
