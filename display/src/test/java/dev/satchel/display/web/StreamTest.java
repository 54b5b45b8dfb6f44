package dev.satchel.display.web;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.display.Command;
import dev.satchel.display.CursorImage;
import dev.satchel.display.Rectangle;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class StreamTest {
    private final FakeDisplay display = new FakeDisplay();
    private volatile boolean displayThere = true;
    private final AtomicInteger encodings = new AtomicInteger();
    private final AtomicInteger encoders = new AtomicInteger();
    private final List<String> log = java.util.Collections.synchronizedList(new ArrayList<>());
    private ViewerServer server = server(60_000);

    private ViewerServer server(long silenceMillis) {
        try {
            return new ViewerServer(
                    new ViewerServer.Settings(
                            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                            List.of(),
                            "täglich",
                            Optional.empty(),
                            Optional.empty(),
                            silenceMillis,
                            log::add),
                    () -> {
                        if (!displayThere) {
                            throw new IOException("no X server");
                        }
                        return display;
                    },
                    CountingEncoder::new,
                    Api.NONE,
                    path -> null);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private final class CountingEncoder implements CommandEncoder {
        CountingEncoder() {
            encoders.incrementAndGet();
        }

        @Override
        public byte[] encode(Command command) {
            encodings.incrementAndGet();
            return FakeDisplay.encode(command);
        }

        @Override
        public void close() {
            encoders.decrementAndGet();
        }
    }

    @AfterEach
    void close() {
        server.close();
        assertThat(log).isEmpty();
    }

    private static void await(BooleanSupplier condition) throws InterruptedException {
        for (int i = 0; i < 2000 && !condition.getAsBoolean(); i++) {
            Thread.sleep(5);
        }
        assertThat(condition.getAsBoolean()).isTrue();
    }

    private FakeDisplay.FakeViewer viewer(int index) throws InterruptedException {
        await(() -> display.viewers.size() > index);
        return display.viewers.get(index);
    }

    @Test
    void greetsAndDraws() throws Exception {
        try (RawBrowser browser = RawBrowser.viewer(server, true)) {
            byte[] hello = browser.message(Messages.HELLO);
            assertThat(Arrays.copyOf(hello, 12)).containsExactly(1, 1, 0, 128, 2, 224, 1, 0, 15, 112, 8, 1);
            assertThat(new String(hello, 12, hello.length - 12, StandardCharsets.UTF_8))
                    .isEqualTo("täglich");
            assertThat(viewer(0).options.control()).isTrue();
            assertThat(viewer(0).options.video()).isTrue();
            display.draw(new Command.Fill(new Rectangle(1, 2, 3, 4), 0x102030));
            assertThat(browser.message(Messages.UPDATE))
                    .containsExactly(2, 1, 0, 0, 0, 2, 1, 0, 2, 0, 3, 0, 4, 0, 0x10, 0x20, 0x30);
            browser.ack(1);
            display.draw(new Command.Fill(new Rectangle(1, 2, 3, 4), 0x102030));
            assertThat(browser.message(Messages.UPDATE)[1]).isEqualTo((byte) 2);
        }
        await(() -> display.viewers.get(0).closed);
        await(() -> encoders.get() == 0);
    }

    @Test
    void tellsPointerSizeAndClipboard() throws Exception {
        try (RawBrowser browser = RawBrowser.viewer(server, true)) {
            viewer(0).tell(new CursorImage(1, 1, 2, 3, new int[] {0x80402010}), "Grüße", new Rectangle(0, 0, 800, 600));
            assertThat(browser.message(Messages.SIZE)).containsExactly(4, 0x20, 3, 0x58, 2);
            assertThat(browser.message(Messages.CURSOR))
                    .containsExactly(3, 1, 0, 1, 0, 2, 0, 3, 0, 0x40, 0x20, 0x10, 0x80);
            assertThat(browser.message(Messages.CLIPBOARD)).isEqualTo("\5Grüße".getBytes(StandardCharsets.UTF_8));
        }
        try (RawBrowser browser = RawBrowser.viewer(server, false)) {
            assertThat(browser.message(Messages.HELLO)[11]).isZero();
            viewer(1).tell(CursorImage.NONE, "secret", new Rectangle(0, 0, 800, 600));
            viewer(1).add(new Command.Fill(new Rectangle(1, 2, 3, 4), 0));
            byte[] next = browser.frame();
            while (next[1] != Messages.UPDATE) {
                assertThat(next[1]).isNotEqualTo((byte) Messages.CLIPBOARD);
                next = browser.frame();
            }
        }
    }

    @Test
    void bringsInput() throws Exception {
        try (RawBrowser browser = RawBrowser.viewer(server, true)) {
            browser.message(Messages.HELLO);
            FakeDisplay.FakeViewer viewer = viewer(0);
            browser.send(new byte[] {3, 10, 0, 1, 1, 4, 0});
            browser.send(new byte[] {4, (byte) 0xac, 0x20, 0, 1, 1});
            browser.send("\5Größe".getBytes(StandardCharsets.UTF_8));
            browser.send(new byte[] {6, 0, 4, 0, 3});
            browser.send(new byte[] {8});
            await(() -> viewer.input.size() == 5);
            assertThat(viewer.input)
                    .containsExactly(
                            "pointer 10 257 4", "key 16785580 true", "clipboard Größe", "resize 1024 768", "refresh");
            browser.send(new byte[] {7, 1, 2, 3});
            assertThat(browser.message(Messages.PONG)).containsExactly(7, 1, 2, 3);
            byte[] large = new byte[1 << 20];
            Arrays.fill(large, (byte) 'a');
            large[0] = 5;
            browser.send(large);
            await(() -> viewer.input.contains("clipboard 1048575 characters"));
        }
    }

    @Test
    void whoMayOnlyLookChangesNothing() throws Exception {
        try (RawBrowser browser = RawBrowser.viewer(server, false)) {
            browser.message(Messages.HELLO);
            assertThat(viewer(0).options.control()).isFalse();
            browser.send(new byte[] {3, 10, 0, 1, 1, 4, 0});
            browser.send(new byte[] {4, (byte) 0xac, 0x20, 0, 1, 1});
            browser.send(new byte[] {5, 'a'});
            browser.send(new byte[] {6, 0, 4, 0, 3});
            browser.send(new byte[] {7, 1});
            browser.message(Messages.PONG);
            assertThat(viewer(0).input).isEmpty();
        }
    }

    @Test
    void ofAFloodOfMotionsOnlyTheLastCount() throws Exception {
        try (RawBrowser browser = RawBrowser.viewer(server, true)) {
            browser.message(Messages.HELLO);
            FakeDisplay.FakeViewer viewer = viewer(0);
            java.io.ByteArrayOutputStream burst = new java.io.ByteArrayOutputStream();
            for (int i = 0; i < 1000; i++) {
                burst.writeBytes(
                        RawBrowser.frame(0x82, new byte[] {3, (byte) i, (byte) (i >> 8), 0, 0, (byte) (i / 500), 0}));
            }
            browser.out.write(burst.toByteArray());
            await(() -> viewer.input.contains("pointer 999 0 1"));
            assertThat(viewer.input).contains("pointer 499 0 0").hasSizeLessThan(100);
            assertThat(viewer.input.indexOf("pointer 499 0 0"))
                    .isLessThan(viewer.input.indexOf(viewer.input.stream()
                            .filter(s -> s.endsWith(" 1"))
                            .findFirst()
                            .orElseThrow()));
        }
    }

    @Test
    void putsFragmentsTogether() throws Exception {
        try (RawBrowser browser = RawBrowser.viewer(server, true)) {
            browser.message(Messages.HELLO);
            browser.out.write(RawBrowser.frame(0x02, new byte[] {5, 'a'}));
            browser.out.write(RawBrowser.frame(0x89, new byte[] {'p'}));
            browser.out.write(RawBrowser.frame(0x00, new byte[] {'b'}));
            browser.out.write(RawBrowser.frame(0x80, new byte[] {}));
            byte[] frame;
            do {
                frame = browser.frame();
            } while (frame[0] != (byte) 0x8a);
            assertThat(frame).containsExactly(0x8a, 'p');
            await(() -> display.viewers.get(0).input.contains("clipboard ab"));
            browser.out.write(RawBrowser.frame(0x88, new byte[] {3, (byte) 0xe8}));
            assertThat(browser.closeCode()).isEqualTo(1000);
            assertThat(browser.in.read()).isEqualTo(-1);
        }
    }

    @Test
    void closesOnWhatIsMalformed() throws Exception {
        byte[] unmasked = {(byte) 0x82, 1, 8};
        byte[] tooLong = {(byte) 0x82, (byte) 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1, 1, 2, 3, 4};
        byte[] negative = {(byte) 0x82, (byte) 0xff, (byte) 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4};
        byte[] wasteful = {(byte) 0x82, (byte) 0xfe, 0, 1, 1, 2, 3, 4, 8};
        byte[] longPing = {(byte) 0x89, (byte) 0xfe, 0, 126, 1, 2, 3, 4};
        Object[][] cases = {
            {1002, unmasked},
            {1009, tooLong},
            {1009, negative},
            {1002, wasteful},
            {1002, longPing},
            {1002, RawBrowser.frame(0x81, new byte[] {8})},
            {1002, RawBrowser.frame(0xc2, new byte[] {8})},
            {1002, RawBrowser.frame(0x80, new byte[] {8})},
            {1002, RawBrowser.frame(0x09, new byte[] {8})},
            {1002, RawBrowser.frame(0x8b, new byte[] {8})},
            {1002, RawBrowser.frame(0x82, new byte[] {})},
            {1002, RawBrowser.frame(0x82, new byte[] {99})},
            {1002, RawBrowser.frame(0x82, new byte[] {1, 1, 0, 1, 1, 1, 1, 0})},
            {1002, RawBrowser.frame(0x82, new byte[] {2, 1, 0, 0, 0})},
            {1002, RawBrowser.frame(0x82, new byte[] {2, 1})},
            {1002, RawBrowser.frame(0x82, new byte[] {3, 1, 0, 0, 0})},
            {1002, RawBrowser.frame(0x82, new byte[] {4, 1, 0, 0, 0, 2})},
            {1002, RawBrowser.frame(0x82, new byte[] {5, (byte) 0xff})},
            {1002, RawBrowser.frame(0x82, new byte[] {6, 1, 0, 0})},
            {1002, RawBrowser.frame(0x82, new byte[18])},
            {1002, RawBrowser.frame(0x82, new byte[] {8, 1})},
        };
        for (Object[] expected : cases) {
            try (RawBrowser browser = RawBrowser.viewer(server, true)) {
                browser.message(Messages.HELLO);
                browser.out.write((byte[]) expected[1]);
                assertThat(browser.closeCode())
                        .as(Arrays.toString((byte[]) expected[1]))
                        .isEqualTo(expected[0]);
            }
        }
        // Two messages that begin at once, and one without HELLO.
        try (RawBrowser browser = RawBrowser.viewer(server, true)) {
            browser.out.write(RawBrowser.frame(0x02, new byte[] {8}));
            browser.out.write(RawBrowser.frame(0x82, new byte[] {8}));
            assertThat(browser.closeCode()).isEqualTo(1002);
        }
        try (RawBrowser browser = RawBrowser.open(server, true)) {
            browser.send(new byte[] {8});
            assertThat(browser.closeCode()).isEqualTo(1002);
        }
        try (RawBrowser browser = RawBrowser.open(server, true)) {
            browser.send(new byte[] {1, 2, 0, (byte) 128, 2, (byte) 224, 1, 1});
            assertThat(browser.closeCode()).isEqualTo(1002);
        }
        await(() -> server.viewers() == 0);
        for (FakeDisplay.FakeViewer viewer : display.viewers) {
            assertThat(viewer.closed).isTrue();
            assertThat(viewer.input).isEmpty();
        }
    }

    @Test
    void fragmentsAreTogetherNoLongerThanAMessage() throws Exception {
        try (RawBrowser browser = RawBrowser.viewer(server, true)) {
            browser.out.write(RawBrowser.frame(0x02, new byte[1 << 19]));
            browser.out.write(RawBrowser.frame(0x00, new byte[1 << 19]));
            browser.out.write(RawBrowser.frame(0x80, new byte[1]));
            assertThat(browser.closeCode()).isEqualTo(1009);
        }
    }

    @Test
    void goesOnWhateverComes() throws Exception {
        try (RawBrowser good = RawBrowser.viewer(server, true)) {
            good.message(Messages.HELLO);
            for (int seed = 0; seed < 300; seed++) {
                Random random = new Random(seed);
                try (RawBrowser browser =
                        seed % 3 == 0 ? RawBrowser.open(server, true) : RawBrowser.viewer(server, true)) {
                    for (int i = 0; i < 1 + random.nextInt(30); i++) {
                        byte[] payload = new byte[random.nextInt(40)];
                        random.nextBytes(payload);
                        if (payload.length > 0 && random.nextInt(3) > 0) {
                            payload[0] = (byte) random.nextInt(10);
                        }
                        byte[] frame = RawBrowser.frame(random.nextInt(5) > 0 ? 0x82 : random.nextInt(256), payload);
                        if (random.nextInt(8) == 0) {
                            frame[random.nextInt(frame.length)] ^= (byte) (1 << random.nextInt(8));
                        }
                        browser.out.write(frame);
                    }
                } catch (IOException e) {
                    // It was closed.
                }
            }
            display.draw(new Command.Fill(new Rectangle(1, 2, 3, 4), 0x102030));
            assertThat(good.message(Messages.UPDATE)).hasSize(17);
            await(() -> server.viewers() == 1);
        }
    }

    @Test
    void whoDoesNotAcknowledgeGetsNothingMoreAndHoldsUpNobody() throws Exception {
        try (RawBrowser stalled = RawBrowser.viewer(server, true);
                RawBrowser mute = RawBrowser.viewer(server, true)) {
            mute.message(Messages.HELLO);
            viewer(1);
            try (RawBrowser good = RawBrowser.viewer(server, true)) {
                good.message(Messages.HELLO);
                FakeDisplay.FakeViewer last = viewer(2);
                int count = 2000;
                for (int i = 0; i < count; i++) {
                    display.draw(FakeDisplay.pixels(10_000));
                }
                long received = 0;
                while (received < count * 10_014L) {
                    byte[] update = good.message(Messages.UPDATE);
                    received += update.length - 5;
                    good.ack((update[1] & 0xff) | (update[2] & 0xff) << 8 | (update[3] & 0xff) << 16);
                }
                assertThat(last.taken).isEqualTo(count * 10_014L);
                for (FakeDisplay.FakeViewer viewer : List.of(viewer(0), viewer(1))) {
                    assertThat(viewer.taken).isBetween(1L, Pace.WINDOW_START + 10_014L);
                }
                // What it lacks comes as soon as it acknowledges; other things come anyway.
                byte[] update = mute.message(Messages.UPDATE);
                FakeDisplay.FakeViewer second = viewer(0).taken > 0 && viewer(1).closed ? viewer(0) : viewer(1);
                second.tell(CursorImage.NONE, "x", new Rectangle(0, 0, 1, 1));
                assertThat(update[1]).isEqualTo((byte) 1);
                mute.send(new byte[] {7, 9});
                mute.message(Messages.PONG);
                mute.ack(2);
                mute.message(Messages.UPDATE);
            }
            assertThat(stalled.in.read()).isEqualTo(0x82);
        }
    }

    @Test
    void viewersShareWhatIsEncoded() throws Exception {
        try (RawBrowser one = RawBrowser.viewer(server, true);
                RawBrowser other = RawBrowser.viewer(server, false)) {
            one.message(Messages.HELLO);
            other.message(Messages.HELLO);
            viewer(1);
            await(() -> server.viewers() == 2);
            List<Command> commands = new ArrayList<>();
            for (int i = 0; i < 50; i++) {
                commands.add(FakeDisplay.pixels(400));
            }
            for (Command command : commands) {
                display.draw(command);
            }
            for (RawBrowser browser : List.of(one, other)) {
                int received = 0;
                while (received < 50 * 414) {
                    received += browser.message(Messages.UPDATE).length - 5;
                }
            }
            assertThat(encodings).hasValue(50);
            assertThat(commands).hasSize(50);
        }
    }

    @Test
    void closesWhoIsSilent() throws Exception {
        server.close();
        server = server(6_000); // a second for HELLO
        try (RawBrowser silent = RawBrowser.viewer(server, true);
                RawBrowser talking = RawBrowser.viewer(server, true);
                RawBrowser withoutHello = RawBrowser.open(server, true)) {
            CountDownLatch closed = new CountDownLatch(2);
            for (RawBrowser browser : List.of(silent, withoutHello)) {
                Thread.ofVirtual().start(() -> {
                    try {
                        if (browser.closeCode() == 1001) {
                            closed.countDown();
                        }
                    } catch (IOException e) {
                        log.add(e.toString());
                    }
                });
            }
            boolean pinging = true;
            while (!closed.await(50, TimeUnit.MILLISECONDS)) {
                talking.send(new byte[] {7});
                talking.message(Messages.PONG);
                if (pinging) {
                    try {
                        // That is no HELLO.
                        withoutHello.out.write(RawBrowser.frame(0x89, new byte[0]));
                    } catch (IOException e) {
                        pinging = false;
                    }
                }
            }
            talking.send(new byte[] {7});
            talking.message(Messages.PONG);
        }
    }

    @Test
    void saysThatThereIsNoDisplayAndLooksAgain() throws Exception {
        displayThere = false;
        try (RawBrowser browser = RawBrowser.viewer(server, true)) {
            assertThat(Arrays.copyOf(browser.message(Messages.HELLO), 12))
                    .containsExactly(1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
            assertThat(browser.message(Messages.STATE)).isEqualTo("\6\5no X server".getBytes(StandardCharsets.UTF_8));
            browser.send(new byte[] {3, 10, 0, 1, 1, 4, 0});
            displayThere = true;
            server.displayChanged();
            assertThat(browser.message(Messages.HELLO)[3]).isEqualTo((byte) 128);
            assertThat(browser.message(Messages.STATE)).containsExactly(6, 1);
            display.draw(new Command.Fill(new Rectangle(1, 2, 3, 4), 0x102030));
            browser.message(Messages.UPDATE);
            displayThere = false;
            viewer(0).end("it crashed");
            assertThat(browser.message(Messages.STATE)).isEqualTo("\6\5it crashed".getBytes(StandardCharsets.UTF_8));
            await(() -> display.viewers.get(0).closed);
            browser.send(new byte[] {8});
            displayThere = true;
            // Without being asked again.
            browser.message(Messages.HELLO);
            assertThat(viewer(1).closed).isFalse();
            // Only input that it could not take: told nobody.
            viewer(1).deaf = true;
            browser.send(new byte[] {3, 10, 0, 1, 1, 4, 0});
            browser.send(new byte[] {7, 4});
            await(() -> viewerInput(1).contains("pointer 10 257 4"));
        }
        await(() -> server.viewers() == 0);
    }

    private List<String> viewerInput(int index) {
        return display.viewers.get(index).input;
    }

    @Test
    void tellsTheStateAndWhoComesLater() throws Exception {
        try (RawBrowser browser = RawBrowser.viewer(server, true)) {
            browser.message(Messages.HELLO);
            server.tellState(ViewerServer.STATE_SUSPENDING, "wait");
            assertThat(browser.message(Messages.STATE)).isEqualTo("\6\2wait".getBytes(StandardCharsets.UTF_8));
            try (RawBrowser later = RawBrowser.viewer(server, true)) {
                assertThat(later.message(Messages.STATE)).isEqualTo("\6\2wait".getBytes(StandardCharsets.UTF_8));
            }
            viewer(0).end("let go");
            await(() -> display.viewers.get(0).closed);
            server.tellState(ViewerServer.STATE_SUSPENDED, "done");
            server.close();
            byte[] state = browser.message(Messages.STATE);
            // What is told while somebody comes may be told twice.
            while (state[1] == ViewerServer.STATE_SUSPENDING) {
                state = browser.message(Messages.STATE);
            }
            assertThat(state).isEqualTo("\6\3done".getBytes(StandardCharsets.UTF_8));
            assertThat(browser.closeCode()).isEqualTo(1001);
            assertThat(display.viewers).allMatch(viewer -> viewer.closed);
        }
        assertThatThrownBy(() -> RawBrowser.viewer(server, true)).isInstanceOf(IOException.class);
    }

    @Test
    void closesInTimeWhoeverStalls() throws Exception {
        try (RawBrowser stalled = RawBrowser.viewer(server, true)) {
            stalled.socket.setReceiveBufferSize(4096);
            viewer(0).add(FakeDisplay.pixels(40_000_000));
            await(() -> display.viewers.get(0).taken > 0);
            long before = System.nanoTime();
            server.close();
            assertThat(System.nanoTime() - before).isLessThan(10_000_000_000L);
            await(() -> display.viewers.get(0).closed);
        }
    }

    @Test
    void saysWhenTheLastViewerHasLeft() throws Exception {
        AtomicInteger left = new AtomicInteger();
        server.onLastViewerLeft(() -> {
            left.incrementAndGet();
            long before = System.nanoTime();
            server.close();
            if (System.nanoTime() - before > 900_000_000) {
                log.add("the server waited for the viewer that had left");
            }
        });
        RawBrowser one = RawBrowser.viewer(server, true);
        RawBrowser other = RawBrowser.viewer(server, false);
        await(() -> server.viewers() == 2);
        one.close();
        await(() -> server.viewers() == 1);
        assertThat(left).hasValue(0);
        other.close();
        await(() -> left.get() == 1);
        assertThat(server.viewers()).isZero();
    }

    @Test
    void hasRoomForSomeViewersAndAlwaysForRequests() throws Exception {
        List<RawBrowser> browsers = new ArrayList<>();
        try {
            for (int i = 0; i < 32; i++) {
                browsers.add(RawBrowser.viewer(server, true));
            }
            assertThatThrownBy(() -> RawBrowser.viewer(server, true)).hasMessageStartingWith("HTTP/1.1 503 ");
            List<RawBrowser> idle = new ArrayList<>();
            for (int i = 0; i < 100; i++) {
                idle.add(new RawBrowser(server.port()));
            }
            browsers.addAll(idle);
            try (RawBrowser request = new RawBrowser(server.port())) {
                assertThat(request.request("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))
                        .startsWith("HTTP/1.1 403 ");
            }
            assertThat(idle.getFirst().in.read()).isEqualTo(-1);
            await(() -> server.viewers() == 32);
            browsers.get(31).send(new byte[] {7});
            browsers.get(31).message(Messages.PONG);
        } finally {
            for (RawBrowser browser : browsers) {
                browser.close();
            }
        }
    }

    @Test
    void aViewerThatFailsIsItsOwnConcern() throws Exception {
        try (RawBrowser browser = RawBrowser.viewer(server, true);
                RawBrowser other = RawBrowser.viewer(server, true)) {
            browser.message(Messages.HELLO);
            other.message(Messages.HELLO);
            viewer(1);
            await(() -> server.viewers() == 2);
            FakeDisplay.FakeViewer broken = viewer(0);
            broken.broken = true;
            broken.wakeUp();
            await(() -> server.viewers() == 1);
            assertThat(log).hasSize(1);
            log.clear();
            display.draw(new Command.Fill(new Rectangle(1, 2, 3, 4), 0x102030));
            int updates = 0;
            for (RawBrowser one : List.of(browser, other)) {
                try {
                    one.message(Messages.UPDATE);
                    updates++;
                } catch (EOFException | java.net.SocketException e) {
                    // That was the broken one.
                }
            }
            assertThat(updates).isEqualTo(1);
        }
    }
}
