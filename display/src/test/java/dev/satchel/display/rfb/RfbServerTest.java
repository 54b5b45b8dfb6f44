package dev.satchel.display.rfb;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.display.Command;
import dev.satchel.display.CursorImage;
import dev.satchel.display.MemoryScreen;
import dev.satchel.display.Rectangle;
import dev.satchel.display.ScreenDisplay;
import dev.satchel.display.codec.Classifier;
import dev.satchel.display.web.TlsIdentity;
import dev.satchel.display.web.TlsSource;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BooleanSupplier;
import java.util.regex.Pattern;
import java.util.zip.Deflater;
import java.util.zip.Inflater;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(120)
class RfbServerTest {
    private static final int WIDTH = 320;
    private static final int HEIGHT = 200;
    private static final int TIGHT = 7;
    private static final int ZRLE = 16;
    private static final int RAW = 0;
    private static final int COPY_RECT = 1;

    private final List<MemoryScreen> screens = new CopyOnWriteArrayList<>();
    private final List<String> log = new CopyOnWriteArrayList<>();
    private final ScreenDisplay display = new ScreenDisplay(
            listener -> {
                MemoryScreen opened = new MemoryScreen(WIDTH, HEIGHT, listener);
                screens.add(opened);
                return opened;
            },
            Classifier::classify);
    private final RfbServer server = new RfbServer("a desktop", () -> display, log::add);
    private final int port;

    RfbServerTest() throws IOException {
        port = server.listen(door(Optional.empty()));
    }

    private static RfbServer.Door door(Optional<TlsSource> tls) {
        return new RfbServer.Door(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                tls,
                new RfbServer.Passwords("s3cret and more", Optional.of("looking")));
    }

    @AfterEach
    void end() {
        server.close();
        display.close();
    }

    private RfbClient connect(int... encodings) throws Exception {
        RfbClient client = RfbClient.connected(port, "s3cret and more");
        if (encodings.length > 0) {
            client.setEncodings(encodings);
        }
        return client;
    }

    /** A client to which updates come by themselves, as fast as it answers fences. */
    private RfbClient continuous(int... encodings) throws Exception {
        int[] all = Arrays.copyOf(encodings, encodings.length + 2);
        all[encodings.length] = -312;
        all[encodings.length + 1] = -313;
        RfbClient client = connect(all);
        while (client.endsOfContinuousUpdates == 0) {
            client.read();
        }
        client.continuous(true);
        return client;
    }

    /** Reads what comes by itself. */
    private static void readUntil(RfbClient client, int[] pixels) throws IOException {
        while (!Arrays.equals(client.pixels, pixels)) {
            client.read();
        }
    }

    private MemoryScreen screen() {
        return screens.getLast();
    }

    /** Asks for updates until the client has what the screen has. */
    private void catchUp(RfbClient client) throws IOException {
        int updates = 0;
        while (!Arrays.equals(client.pixels, screen().pixels())) {
            client.request(true);
            client.readUpdate();
            assertThat(++updates).isLessThan(500);
        }
    }

    private static void await(BooleanSupplier condition) throws InterruptedException {
        long until = System.nanoTime() + 20_000_000_000L;
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).isLessThan(until);
            Thread.sleep(5);
        }
    }

    private void draw(Random random) {
        Rectangle bounds = screen().bounds();
        Rectangle area = new Rectangle(
                        random.nextInt(bounds.width()),
                        random.nextInt(bounds.height()),
                        1 + random.nextInt(bounds.width()),
                        1 + random.nextInt(bounds.height()))
                .intersect(bounds);
        int color = random.nextInt(1 << 24);
        switch (random.nextInt(7)) {
            case 0 -> screen().fill(area, color);
            case 1 -> screen().noise(area, random.nextLong());
            case 2 -> screen().move(area, random.nextInt(-40, 40), random.nextInt(-40, 40));
            case 3 -> screen().move(area, 0, random.nextInt(-40, 40));
            case 4 -> screen().draw(area, (x, y) -> (x * y) % 7 < 3 ? color : ~color & 0xffffff);
            case 5 -> {
                int colors = 3 + random.nextInt(300);
                screen().draw(area, (x, y) -> (x / 3 * 31 + y * 17) % colors * 4211);
            }
            default -> screen().draw(area, (x, y) -> ((x % 5) << 16) + ((y % 3) << 3));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {TIGHT, ZRLE, RAW})
    void eachEncodingBringsTheScreensPixels(int encoding) throws Exception {
        try (RfbClient client = connect(encoding, COPY_RECT)) {
            assertThat(client.name).isEqualTo("a desktop");
            Random random = new Random(encoding);
            client.request(false);
            client.readUpdate();
            for (int step = 0; step < 40; step++) {
                draw(random);
                catchUp(client);
            }
            assertThat(client.encodingsSeen).contains(encoding);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {TIGHT, ZRLE, RAW})
    void pixelsComeAsTheClientWantsThem(int encoding) throws Exception {
        List<PixelFormat> formats = List.of(
                new PixelFormat(32, 24, true, 255, 255, 255, 0, 8, 16),
                new PixelFormat(32, 24, false, 255, 255, 255, 24, 16, 8),
                new PixelFormat(32, 24, true, 255, 255, 255, 24, 16, 8),
                new PixelFormat(32, 30, false, 1023, 1023, 1023, 20, 10, 0),
                new PixelFormat(16, 16, false, 31, 63, 31, 11, 5, 0),
                new PixelFormat(16, 15, true, 31, 31, 31, 10, 5, 0),
                new PixelFormat(8, 8, false, 7, 7, 3, 5, 2, 0));
        try (RfbClient client = connect(encoding, COPY_RECT)) {
            client.request(false);
            client.readUpdate();
            Random random = new Random(encoding);
            for (PixelFormat format : formats) {
                client.setFormat(format);
                for (int step = 0; step < 6; step++) {
                    draw(random);
                }
                int[] wanted = reduced(screen().pixels(), format);
                Arrays.fill(client.pixels, RfbClient.UNKNOWN);
                client.request(false);
                int updates = 0;
                do {
                    client.readUpdate();
                    client.request(true);
                    assertThat(++updates).isLessThan(100);
                } while (!Arrays.equals(client.pixels, wanted) && updates < 60);
                assertThat(client.pixels).as("%s", format).isEqualTo(wanted);
                // What is asked for by now comes with this.
                screen().fill(new Rectangle(0, 0, 4, 4), random.nextInt(1 << 24));
                client.readUpdate();
            }
        }
    }

    private static int[] reduced(int[] pixels, PixelFormat format) {
        int[] reduced = new int[pixels.length];
        for (int i = 0; i < pixels.length; i++) {
            int red = Math.round(((pixels[i] >> 16) & 0xff) * format.redMax() / 255f);
            int green = Math.round(((pixels[i] >> 8) & 0xff) * format.greenMax() / 255f);
            int blue = Math.round((pixels[i] & 0xff) * format.blueMax() / 255f);
            // As the client puts them together.
            reduced[i] = (red << 16) | (green << 8) | blue;
        }
        return reduced;
    }

    /** Of ZRLE: what a run's length is written as changes at each 255. */
    @Test
    void runsOfAnyLengthAreCounted() throws Exception {
        int[] lengths = {255, 256, 254, 257, 510, 511, 512, 509};
        int[] tile = new int[64 * 64];
        int at = 0;
        for (int i = 0; at < tile.length; i++) {
            int end = Math.min(tile.length, at + (i % 2 == 0 ? lengths[i / 2 % lengths.length] : 1 + i % 3));
            // More colours than can be packed.
            Arrays.fill(tile, at, end, i * 1001);
            at = end;
        }
        try (RfbClient client = connect(ZRLE, COPY_RECT)) {
            screen().draw(new Rectangle(64, 64, 64, 64), (x, y) -> tile[(y - 64) * 64 + x - 64]);
            catchUp(client);
        }
    }

    /** As tcp(7) would by itself only after two hours. */
    @Test
    void whoIsOutOfReachIsMissedSoon() throws Exception {
        try (RfbClient client = connect(RAW)) {
            catchUp(client);
            // What came last is not acknowledged at once: until then another timer runs.
            Pattern kept = Pattern.compile("timer:\\(keepalive,[0-9]+sec,");
            String ends = "sport = :" + client.socket.getPort() + " and dport = :" + client.socket.getLocalPort();
            await(() -> kept.matcher(socketStatistics(ends)).find());
        }
    }

    private static String socketStatistics(String filter) {
        try {
            Process asked = new ProcessBuilder("ss", "--no-header", "--numeric", "--tcp", "--options", filter)
                    .redirectErrorStream(true)
                    .start();
            return new String(asked.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void aColorMapIsRefused() throws Exception {
        try (RfbClient client = connect()) {
            client.out.write(new byte[] {0, 0, 0, 0, 8, 8, 0, 0, 0, 7, 0, 7, 0, 3, 0, 3, 6, 0, 0, 0});
            assertThat(client.in.read()).isEqualTo(-1);
        }
        await(() -> log.toString().contains("colour map"));
    }

    @Test
    void continuousUpdatesComeUnaskedAndArePacedByFences() throws Exception {
        try (RfbClient client = continuous(TIGHT, COPY_RECT)) {
            client.request(false);
            Random random = new Random(5);
            for (int step = 0; step < 60; step++) {
                draw(random);
                readUntil(client, screen().pixels());
            }
            // Without answers only a window's worth is sent.
            client.answersFences = false;
            long before = client.drawn;
            client.socket.setSoTimeout(500);
            try {
                for (int step = 0; step < 10_000; step++) {
                    screen().noise(screen().bounds(), step);
                    client.read();
                }
            } catch (java.net.SocketTimeoutException e) {
                // Nothing comes any more.
            }
            // Noise has three bytes a pixel whatever is done to it.
            assertThat((client.drawn - before) * 3).isLessThan(9L << 20);
        }
    }

    @Test
    void continuousUpdatesEndWhereTheClientSays() throws Exception {
        try (RfbClient client = continuous(RAW)) {
            readUntil(client, screen().pixels());
            PixelFormat small = new PixelFormat(16, 16, false, 31, 63, 31, 11, 5, 0);
            for (int step = 0; step < 20; step++) {
                screen().noise(screen().bounds(), step);
                // As TigerVNC changes the format: what comes before the end is of the old one, what comes after of the
                // new one.
                client.continuous(false);
                // At times they are carried out one by one.
                Thread.sleep(10L * (step % 3));
                PixelFormat next = step % 2 == 0 ? small : PixelFormat.OWN;
                PixelFormat old = client.format;
                client.setFormat(next);
                client.format = old;
                client.continuous(true);
                int ends = client.endsOfContinuousUpdates;
                while (client.endsOfContinuousUpdates == ends) {
                    client.read();
                }
                client.format = next;
                // All is drawn anew, rather than asked for: what is asked for may come once continuous updates have
                // ended.
                screen().noise(screen().bounds(), 1000 + step);
                readUntil(client, reduced(screen().pixels(), next));
            }
        }
    }

    @Test
    void whatIsAskedForDuringContinuousUpdatesIsNotOwedAfterThem() throws Exception {
        try (RfbClient client = continuous(RAW)) {
            readUntil(client, screen().pixels());
            client.request(true);
            client.continuous(false);
            while (client.endsOfContinuousUpdates == 1) {
                client.read();
            }
            screen().fill(new Rectangle(60, 60, 2, 2), 0x123456);
            client.socket.setSoTimeout(500);
            assertThatThrownBy(client::readUpdate).isInstanceOf(java.net.SocketTimeoutException.class);
            client.socket.setSoTimeout(20_000);
            catchUp(client);
        }
    }

    @Test
    void fencesAreAnsweredInOrder() throws Exception {
        try (RfbClient client = connect(RAW, -312)) {
            client.fence(RfbSender.FENCE_REQUEST | RfbSender.FENCE_SYNC_NEXT, new byte[] {1});
            client.fence(RfbSender.FENCE_REQUEST | 1, new byte[] {2});
            client.fence(RfbSender.FENCE_REQUEST | RfbSender.FENCE_SYNC_NEXT | (1 << 20), new byte[64]);
            client.key('a', true);
            while (client.fences.size() < 3) {
                client.read();
            }
            assertThat(client.fences.get(0)).containsExactly(2);
            assertThat(client.fences.get(1)).containsExactly(1);
            assertThat(client.fences.get(2)).hasSize(64);
        }
    }

    @Test
    void whoComesWhileTheScreenIsLetGoWaitsForIt() throws Exception {
        display.letGo();
        Thread back = Thread.ofVirtual().start(() -> {
            try {
                Thread.sleep(200);
                display.takeHold();
            } catch (IOException | InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
        try (RfbClient client = connect(TIGHT)) {
            catchUp(client);
        }
        back.join();
    }

    @Test
    void aPartIsBroughtToWhoAsksForAPart() throws Exception {
        try (RfbClient client = connect(TIGHT, COPY_RECT)) {
            Random random = new Random(8);
            client.request(false, 0, 0, 100, 100);
            client.readUpdate();
            for (int step = 0; step < 30; step++) {
                draw(random);
                client.request(true, 40, 20, 100, 90);
                // Of which there is something in any case.
                screen().fill(new Rectangle(60, 60, 2, 2), step);
                client.readUpdate();
            }
            for (int y = 110; y < HEIGHT; y++) {
                for (int x = 140; x < WIDTH; x++) {
                    assertThat(client.pixels[y * WIDTH + x]).isEqualTo(RfbClient.UNKNOWN);
                }
            }
            // And the rest once that is asked for, without its being drawn again.
            catchUp(client);
        }
    }

    @Test
    void whoCannotCopyGetsPixels() throws Exception {
        try (RfbClient client = connect(ZRLE)) {
            screen().noise(screen().bounds(), 1);
            catchUp(client);
            for (int step = 1; step < 10; step++) {
                screen().move(screen().bounds(), 0, -3 * step);
                catchUp(client);
            }
            assertThat(client.encodingsSeen).doesNotContain(COPY_RECT);
        }
    }

    @Test
    void scrollingIsCopied() throws Exception {
        try (RfbClient client = connect(TIGHT, COPY_RECT)) {
            screen().noise(screen().bounds(), 1);
            catchUp(client);
            screen().move(screen().bounds(), 0, -20);
            catchUp(client);
            assertThat(client.encodingsSeen).contains(COPY_RECT);
        }
    }

    @Test
    void theClientMayResizeTheScreen() throws Exception {
        try (RfbClient client = connect(TIGHT, COPY_RECT, -308)) {
            client.request(false);
            client.readUpdate();
            assertThat(client.announced).containsExactly("size 0 0 320x200");
            catchUp(client);
            client.setDesktopSize(400, 300);
            client.request(true);
            client.readUpdate();
            while (client.announced.size() < 2) {
                client.request(true);
                client.readUpdate();
            }
            assertThat(client.announced).endsWith("size 1 0 400x300");
            screen().noise(screen().bounds(), 1);
            catchUp(client);
            // Somebody else does.
            screen().resize(100, 90);
            while (client.width != 100) {
                client.request(true);
                client.readUpdate();
            }
            assertThat(client.announced).endsWith("size 0 0 100x90");
            catchUp(client);
            // It has that already; and more than is possible.
            client.setDesktopSize(100, 90);
            client.request(true);
            client.readUpdate();
            assertThat(client.announced).endsWith("size 1 0 100x90");
            client.setDesktopSize(5000, 100);
            while (client.width != 2 * WIDTH) {
                client.request(true);
                client.readUpdate();
            }
        }
    }

    @Test
    void whoKnowsNoSizesSeesWhatFits() throws Exception {
        try (RfbClient old = connect(RAW);
                RfbClient known = connect(RAW, -223)) {
            screen().noise(screen().bounds(), 1);
            catchUp(old);
            catchUp(known);
            screen().resize(WIDTH + 50, HEIGHT - 30);
            screen().noise(screen().bounds(), 2);
            while (known.width != WIDTH + 50) {
                known.request(true);
                known.readUpdate();
            }
            catchUp(known);
            int[] wanted = screen().pixels();
            int updates = 0;
            while (!sameCorner(old.pixels, wanted)) {
                old.request(true);
                old.readUpdate();
                assertThat(++updates).isLessThan(100);
            }
        }
    }

    private static boolean sameCorner(int[] seen, int[] pixels) {
        for (int y = 0; y < HEIGHT - 30; y++) {
            if (!Arrays.equals(
                    seen, y * WIDTH, y * WIDTH + WIDTH, pixels, y * (WIDTH + 50), y * (WIDTH + 50) + WIDTH)) {
                return false;
            }
        }
        return true;
    }

    @Test
    void whatIsTypedAndPointedAtArrives() throws Exception {
        try (RfbClient client = connect(TIGHT, -316)) {
            client.request(false);
            client.readUpdate();
            assertThat(client.announced).contains("buttons");
            client.key(0x61, true);
            client.key(0x61, false);
            client.key(0x010020ac, true);
            client.out.write(new byte[] {5, 1, 0, 10, 0, 20});
            client.out.write(new byte[] {5, (byte) 0x80, 0, 30, 0, 40, 2});
            await(() -> screen().input().size() >= 5);
            assertThat(screen().input())
                    .containsExactly("press 61", "release 61", "press 10020ac", "pointer 10 20 1", "pointer 30 40 256");
        }
        await(() -> screen().input().contains("release 10020ac"));
    }

    @Test
    void withoutTheExtensionThereAreEightButtons() throws Exception {
        try (RfbClient client = connect(TIGHT)) {
            client.out.write(new byte[] {5, (byte) 0x80, 0, 30, 0, 40});
            await(() -> screen().input().contains("pointer 30 40 128"));
        }
    }

    @Test
    void whoMayOnlyLookDoesNothing() throws Exception {
        try (RfbClient client = RfbClient.connected(port, "looking");
                RfbClient other = connect(RAW)) {
            client.setEncodings(RAW, -308);
            client.key(0x61, true);
            client.cutText("stolen".getBytes(StandardCharsets.ISO_8859_1));
            client.setDesktopSize(100, 100);
            client.request(false);
            client.readUpdate();
            while (!client.announced.contains("size 1 1 320x200")) {
                client.request(false);
                client.readUpdate();
            }
            // Only who looks already is told of what is copied.
            other.request(false);
            other.readUpdate();
            screen().offerClipboard("private");
            other.key(0x62, true);
            while (other.cutTexts.isEmpty()) {
                other.request(false);
                other.read();
            }
            await(() -> !screen().input().isEmpty());
            assertThat(screen().input()).containsExactly("press 62");
            assertThat(client.cutTexts).isEmpty();
        }
    }

    @Test
    void textIsCarriedBothWays() throws Exception {
        try (RfbClient client = connect(RAW)) {
            client.request(false);
            client.readUpdate();
            client.cutText("déjà\nvu".getBytes(StandardCharsets.ISO_8859_1));
            await(() -> screen().clipboard(1000).equals("déjà\nvu"));
            screen().offerClipboard("naïve €");
            while (client.cutTexts.isEmpty()) {
                client.read();
            }
            assertThat(new String(client.cutTexts.getFirst(), StandardCharsets.ISO_8859_1))
                    .isEqualTo("naïve ?");
            // What is too long is read and forgotten.
            client.cutText(new byte[3 << 20]);
            client.cutText("after".getBytes(StandardCharsets.ISO_8859_1));
            await(() -> screen().clipboard(1000).equals("after"));
        }
    }

    @Test
    void anyTextIsCarriedByExtendedMessages() throws Exception {
        try (RfbClient client = connect(RAW, 0xc0a1e5ce)) {
            while (client.extendedCutTexts.isEmpty()) {
                client.read();
            }
            assertThat(ByteBuffer.wrap(client.extendedCutTexts.getFirst()).getInt())
                    .isEqualTo(0x1f000001);
            client.extendedCutText(
                    ByteBuffer.allocate(8).putInt(0x1f000001).putInt(0).array());
            screen().offerClipboard("日本\nnaïve €");
            while (client.extendedCutTexts.size() < 2) {
                client.read();
            }
            assertThat(ByteBuffer.wrap(client.extendedCutTexts.get(1)).getInt()).isEqualTo(0x08000001);
            client.extendedCutText(ByteBuffer.allocate(4).putInt(0x02000001).array());
            while (client.extendedCutTexts.size() < 3) {
                client.read();
            }
            ByteBuffer provided = ByteBuffer.wrap(client.extendedCutTexts.get(2));
            assertThat(provided.getInt()).isEqualTo(0x10000001);
            Inflater inflater = new Inflater();
            inflater.setInput(provided);
            byte[] content = new byte[1000];
            int length = inflater.inflate(content);
            inflater.end();
            assertThat(ByteBuffer.wrap(content).getInt()).isEqualTo(length - 4);
            assertThat(new String(content, 4, length - 4, StandardCharsets.UTF_8))
                    .isEqualTo("日本\r\nnaïve €\0");

            client.extendedCutText(ByteBuffer.allocate(4).putInt(0x08000001).array());
            while (client.extendedCutTexts.size() < 4) {
                client.read();
            }
            assertThat(ByteBuffer.wrap(client.extendedCutTexts.get(3)).getInt()).isEqualTo(0x02000001);
            client.extendedCutText(provide("Ελλάδα\r\nεδώ\0".getBytes(StandardCharsets.UTF_8)));
            await(() -> screen().clipboard(1000).equals("Ελλάδα\nεδώ"));
            // A bomb, and what says that it is longer than it is.
            client.extendedCutText(provide(new byte[64 << 20]));
            client.extendedCutText(new byte[] {0x10, 0, 0, 1, 1, 2, 3, 4, 5});
            client.extendedCutText(provide("end".getBytes(StandardCharsets.UTF_8)));
            await(() -> screen().clipboard(1000).equals("end"));
        }
    }

    private static byte[] provide(byte[] text) {
        byte[] content = ByteBuffer.allocate(4 + text.length)
                .putInt(text.length)
                .put(text)
                .array();
        Deflater deflater = new Deflater();
        deflater.setInput(content);
        deflater.finish();
        byte[] compressed = new byte[content.length + 100];
        int length = deflater.deflate(compressed);
        deflater.end();
        return ByteBuffer.allocate(4 + length)
                .putInt(0x10000001)
                .put(compressed, 0, length)
                .array();
    }

    @Test
    void thePointersPictureIsSent() throws Exception {
        int half = 0x80400000;
        CursorImage image = new CursorImage(3, 2, 1, 1, new int[] {0xff112233, 0, half, 0xffffffff, 0x40202020, 0});
        try (RfbClient plain = connect(RAW, -239);
                RfbClient alpha = connect(RAW, -239, -314)) {
            plain.request(false);
            alpha.request(false);
            plain.readUpdate();
            alpha.readUpdate();
            screen().setCursor(image);
            while (!plain.announced.contains("cursor 3x2 at 1,1")) {
                plain.request(true);
                plain.readUpdate();
            }
            while (!alpha.announced.contains("alpha cursor 3x2 at 1,1")) {
                alpha.request(true);
                alpha.readUpdate();
            }
            ByteBuffer pixels = ByteBuffer.wrap(plain.cursor).order(java.nio.ByteOrder.LITTLE_ENDIAN);
            assertThat(pixels.getInt()).isEqualTo(0x112233);
            pixels.getInt();
            assertThat(pixels.getInt()).isEqualTo(0x800000);
            assertThat(plain.cursor[24]).isEqualTo((byte) 0b10100000);
            assertThat(plain.cursor[25]).isEqualTo((byte) 0b10000000);
            assertThat(Arrays.copyOf(alpha.cursor, 12))
                    .containsExactly(0x11, 0x22, 0x33, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0x80);
        }
    }

    @Test
    void theBellIsRung() throws Exception {
        try (RfbClient client = continuous(RAW)) {
            screen().ring();
            while (client.bells == 0) {
                client.read();
            }
        }
    }

    @Test
    void anotherNameIsTold() throws Exception {
        try (RfbClient client = connect(RAW, -307)) {
            catchUp(client);
            server.tellName("another – name");
            client.request(true);
            client.readUpdate();
            assertThat(client.name).isEqualTo("another – name");
        }
    }

    @Test
    void movingPicturesAreJpegOnlyForWhoSaysSo() throws Exception {
        try (RfbClient lossy = continuous(TIGHT, -32 + 6);
                RfbClient exact = continuous(TIGHT)) {
            lossy.request(false);
            exact.request(false);
            Thread reader = Thread.ofPlatform().start(() -> {
                try {
                    while (true) {
                        exact.read();
                    }
                } catch (IOException e) {
                    // It was closed.
                }
            });
            int frame = 0;
            while (!lossy.announced.contains("jpeg")) {
                int shift = frame++;
                screen().draw(new Rectangle(20, 20, 160, 120), (x, y) -> (((x * 3 + shift * 7) % 256) << 8) | y);
                lossy.read();
                Thread.sleep(15);
                assertThat(frame).isLessThan(1000);
            }
            // At rest it becomes exact.
            while (!Arrays.equals(lossy.pixels, screen().pixels())) {
                lossy.read();
            }
            await(() -> Arrays.equals(exact.pixels, screen().pixels()));
            exact.socket.close();
            reader.join();
            assertThat(exact.announced).doesNotContain("jpeg");
        }
    }

    @Test
    void whoOnlyConnectsTakesTheRoomOfItsOwnAddress() throws Exception {
        InetAddress here = InetAddress.getLoopbackAddress();
        List<Socket> crowd = new ArrayList<>();
        try (Socket slow = new Socket(here, port)) {
            for (int i = 0; i < 100; i++) {
                crowd.add(new Socket(here, port, InetAddress.ofLiteral("127.0.0.2"), 0));
            }
            // Who comes last was accepted after all others.
            connect().close();
            assertThat(slow.getInputStream().readNBytes(12))
                    .isEqualTo("RFB 003.008\n".getBytes(StandardCharsets.US_ASCII));
            slow.getOutputStream().write("RFB 003.008\n".getBytes(StandardCharsets.US_ASCII));
            assertThat(slow.getInputStream().read()).isEqualTo(1);
        } finally {
            for (Socket one : crowd) {
                one.close();
            }
        }
    }

    @Test
    void wrongPasswordsAreRefusedAndCounted() throws Exception {
        for (int i = 0; i < 10; i++) {
            assertThatThrownBy(() -> RfbClient.connected(port, "wrong")).hasMessage("that is not the password");
        }
        assertThatThrownBy(() -> RfbClient.connected(port, "s3cret and more")).hasMessageContaining("too many wrong");
        assertThat(server.viewers()).isZero();
        assertThat(screens).isEmpty();
    }

    @Test
    void passwordsAreNotGuessable() {
        RfbServer.Passwords first = RfbServer.Passwords.random();
        RfbServer.Passwords second = RfbServer.Passwords.random();
        // Of either half: who learns the one that VNC Authentication takes does not know the other.
        assertThat(first.control()).hasSize(16).isNotEqualTo(second.control());
        assertThat(first.look().orElseThrow()).hasSize(16).isNotEqualTo(first.control());
        assertThat(first.control().substring(0, 8))
                .isNotEqualTo(second.control().substring(0, 8))
                .isNotEqualTo(first.control().substring(8));
        assertThat(first.toString()).doesNotContain(first.control());
    }

    @Test
    void whoIsNotSharedIsAlone() throws Exception {
        try (RfbClient first = connect(RAW)) {
            first.request(false);
            first.readUpdate();
            RfbClient second = new RfbClient(port);
            second.version();
            second.chooseVncAuthentication();
            second.answer("s3cret and more");
            assertThat(second.in.readInt()).isZero();
            second.begin(false);
            assertThatThrownBy(() -> {
                        while (true) {
                            first.read();
                        }
                    })
                    .isInstanceOfAny(EOFException.class, SocketException.class);
            await(() -> server.viewers() == 1);
            second.close();
            await(() -> server.viewers() == 0);
        }
    }

    @Test
    void theLastOnesLeavingIsTold() throws Exception {
        List<String> told = new CopyOnWriteArrayList<>();
        server.onLastViewerLeft(() -> told.add("left"));
        RfbClient first = connect(RAW);
        RfbClient second = connect(RAW);
        first.close();
        await(() -> server.viewers() == 1);
        assertThat(told).isEmpty();
        second.close();
        await(() -> told.size() == 1);
    }

    @Test
    void theDisplaysEndIsTheConnections() throws Exception {
        try (RfbClient client = connect(RAW)) {
            catchUp(client);
            display.close();
            assertThat(client.in.read()).isEqualTo(-1);
            assertThatThrownBy(() -> connect(RAW)).hasMessageContaining("has ended");
        }
    }

    @Test
    void withTlsTheWholeConnectionIsEncrypted(@TempDir Path directory) throws Exception {
        TlsIdentity identity = TlsIdentity.own(directory, List.of("127.0.0.1"));
        try (RfbServer secure = new RfbServer("a desktop", () -> display, log::add);
                RfbClient client = new RfbClient(secure.listen(door(Optional.of(() -> identity))))) {
            client.version();
            assertThat(client.securityTypes()).containsExactly(2, 19);
            client.vencrypt(261);
            client.socket = encrypted(client.socket, identity);
            client.streams();
            // Of the eight characters that count.
            client.answer("s3cret a");
            assertThat(client.in.readInt()).isZero();
            client.begin(true);
            client.setEncodings(TIGHT, COPY_RECT);
            client.request(false);
            client.readUpdate();
            screen().noise(screen().bounds(), 3);
            catchUp(client);
        }
    }

    @Test
    void insideOfTlsTheWholePasswordCounts(@TempDir Path directory) throws Exception {
        TlsIdentity identity = TlsIdentity.own(directory, List.of("127.0.0.1"));
        try (RfbServer secure = new RfbServer("a desktop", () -> display, log::add)) {
            int securePort = secure.listen(door(Optional.of(() -> identity)));
            for (String password : List.of("s3cret and more", "s3cret a", "s3cret and mor", "", "looking")) {
                try (RfbClient client = new RfbClient(securePort)) {
                    client.version();
                    List<Integer> ignored = client.securityTypes();
                    client.vencrypt(262);
                    client.socket = encrypted(client.socket, identity);
                    client.streams();
                    client.plain("anybody", password);
                    boolean right = password.equals("s3cret and more") || password.equals("looking");
                    assertThat(client.in.readInt()).as(password).isEqualTo(right ? 0 : 1);
                    if (right) {
                        client.begin(true);
                        client.setEncodings(RAW);
                        client.key(0x61, true);
                        client.request(false);
                        client.readUpdate();
                    }
                }
            }
            // Who comes later may see another.
            await(() -> screens.getFirst().input().equals(List.of("press 61", "release 61")));
            try (RfbClient client = new RfbClient(securePort)) {
                client.version();
                List<Integer> ignored = client.securityTypes();
                client.vencrypt(262);
                client.socket = encrypted(client.socket, identity);
                client.streams();
                client.out.writeInt(1 << 30);
                client.out.writeInt(7);
                assertThat(client.in.read()).isEqualTo(-1);
            }
        }
    }

    @Test
    void withoutItsCertificateNobodyIsLetInByTls() throws Exception {
        try (RfbServer secure = new RfbServer("a desktop", () -> display, log::add);
                RfbClient client = new RfbClient(secure.listen(door(Optional.of(() -> {
                    throw new IOException("it can't be read");
                }))))) {
            client.version();
            List<Integer> ignored = client.securityTypes();
            assertThatThrownBy(() -> client.vencrypt(262)).hasMessageContaining("refused");
            assertThat(log.toString()).contains("it can't be read");
        }
    }

    @Test
    void itsPortIsFreeWhenItIsClosed() throws Exception {
        int found = port;
        for (int i = 0; i < 5; i++) {
            try (RfbServer next = new RfbServer("a desktop", () -> display, log::add)) {
                if (i == 0) {
                    server.close();
                }
                assertThat(next.listen(new RfbServer.Door(
                                new InetSocketAddress(InetAddress.getLoopbackAddress(), found),
                                Optional.empty(),
                                RfbServer.Passwords.random())))
                        .isEqualTo(found);
                try (RfbClient client = new RfbClient(found)) {
                    client.version();
                }
            }
        }
    }

    private static Socket encrypted(Socket plain, TlsIdentity identity) throws Exception {
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        trusted.setCertificateEntry("server", identity.certificate());
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(plain, "127.0.0.1", 0, true);
        socket.startHandshake();
        return socket;
    }

    @Test
    void onlyLoopbackIsServedWithoutTls() {
        assertThatThrownBy(() -> new RfbServer.Door(
                        new InetSocketAddress("0.0.0.0", 0), Optional.empty(), RfbServer.Passwords.random()))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void aClientThatTakesNothingHoldsUpNobody() throws Exception {
        try (RfbClient stuck = connect(RAW, -312, -313);
                RfbClient client = connect(RAW)) {
            stuck.continuous(true);
            for (int i = 0; i < 2000; i++) {
                stuck.request(false);
            }
            Random random = new Random(3);
            client.request(false);
            client.readUpdate();
            for (int step = 0; step < 50; step++) {
                screen().noise(screen().bounds(), step);
                draw(random);
                catchUp(client);
            }
        }
        await(() -> server.viewers() == 0);
    }

    /** Whatever comes: the server serves others, and what was held is let go. */
    @Test
    void garbageDoesNoHarm() throws Exception {
        int[] types = {0, 2, 3, 4, 5, 6, 150, 248, 251, 255, 1};
        for (int seed = 0; seed < 150; seed++) {
            Random random = new Random(seed);
            RfbClient client = seed % 10 == 0 ? new RfbClient(port) : connect();
            if (seed % 3 != 0 && seed % 10 != 0) {
                client.setEncodings(random.nextBoolean() ? TIGHT : ZRLE, 1, -239, -308, -312, -313, -314, 0xc0a1e5ce);
            }
            try {
                for (int i = 0; i < 1 + random.nextInt(40); i++) {
                    byte[] message = new byte[1 + random.nextInt(random.nextInt(10) == 0 ? 3000 : 24)];
                    random.nextBytes(message);
                    if (random.nextInt(4) != 0) {
                        Arrays.fill(message, 1, message.length, (byte) random.nextInt(3));
                    }
                    if (seed % 10 != 0) {
                        message[0] = (byte) types[random.nextInt(types.length)];
                    }
                    client.out.write(message);
                }
            } catch (SocketException e) {
                // It was sent away.
            }
            client.close();
        }
        await(() -> server.viewers() == 0);
        assertThat(log.toString()).doesNotContain("could not be handled").doesNotContain("given up");
        try (RfbClient client = connect(TIGHT, COPY_RECT)) {
            screen().noise(screen().bounds(), 1);
            catchUp(client);
        }
    }

    @Test
    void wideScreensAreDivided() throws Exception {
        List<Part> parts = new ArrayList<>();
        Random random = new Random(1);
        Rectangle area = new Rectangle(3, 5, 3000, 70);
        int[] pixels = new int[3000 * 70];
        Arrays.setAll(pixels, i -> random.nextInt(2));
        byte[] bits = new byte[375 * 70];
        for (int i = 0; i < pixels.length; i++) {
            bits[i / 3000 * 375 + i % 3000 / 8] |= (byte) (pixels[i] << (7 - i % 3000 % 8));
        }
        for (Command command : List.of(new Command.Pixels(area, pixels), new Command.Bitmap(area, 0, 1, bits))) {
            parts.clear();
            Rectangle inner = new Rectangle(10, 6, 2900, 60);
            Part.divide(command, inner, parts);
            long drawn = 0;
            for (Part part : parts) {
                Command alone = part.alone();
                assertThat(alone.area().width()).isLessThanOrEqualTo(2048);
                int[] seen = PictureEncoder.pixels(alone);
                for (int y = 0; y < alone.area().height(); y++) {
                    for (int x = 0; x < alone.area().width(); x++) {
                        int at =
                                (alone.area().y() + y - 5) * 3000 + alone.area().x() + x - 3;
                        assertThat(seen[y * alone.area().width() + x]).isEqualTo(pixels[at]);
                    }
                }
                drawn += alone.area().area();
            }
            assertThat(drawn).isEqualTo(inner.area());
        }
        Command.Pattern pattern = new Command.Pattern(new Rectangle(0, 0, 100, 100), 3, new int[] {1, 2, 3, 4, 5, 6});
        Command alone = new Part(pattern, new Rectangle(4, 3, 5, 2)).alone();
        assertThat(PictureEncoder.pixels(alone)).containsExactly(5, 6, 4, 5, 6, 2, 3, 1, 2, 3);
    }
}
