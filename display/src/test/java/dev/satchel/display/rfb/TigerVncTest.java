package dev.satchel.display.rfb;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.display.MemoryScreen;
import dev.satchel.display.Rectangle;
import dev.satchel.display.ScreenDisplay;
import dev.satchel.display.Silent;
import dev.satchel.display.codec.Classifier;
import dev.satchel.display.web.TlsIdentity;
import dev.satchel.display.web.TlsSource;
import dev.satchel.display.x11.X11Screen;
import dev.satchel.display.x11.XServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** TigerVNC's own viewer, on an X server of its own, where what it shows is compared and what is typed there goes through it. */
@Timeout(180)
class TigerVncTest {
    private static final int WIDTH = 320;
    private static final int HEIGHT = 200;

    private final List<MemoryScreen> screens = new CopyOnWriteArrayList<>();
    private final List<String> log = new CopyOnWriteArrayList<>();
    private final ScreenDisplay display = new ScreenDisplay(
            listener -> {
                MemoryScreen opened = new MemoryScreen(WIDTH, HEIGHT, listener);
                screens.add(opened);
                return opened;
            },
            Classifier::classify);
    private int port;
    private final XServer desk;
    private final X11Screen shown;

    TigerVncTest() throws IOException {
        desk = new XServer(1024, 768);
        shown = desk.open(new Silent());
    }

    @AfterEach
    void end() {
        shown.close();
        desk.close();
        display.close();
    }

    private RfbServer serve() throws IOException {
        return serve(Optional.empty());
    }

    private RfbServer serve(Optional<TlsSource> tls) throws IOException {
        RfbServer server = new RfbServer("a desktop", () -> display, log::add);
        port = server.listen(new RfbServer.Door(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                tls,
                new RfbServer.Passwords("s3cret and more", Optional.of("looking"))));
        return server;
    }

    private void view(RfbServer server, String security, String... options) throws Exception {
        List<String> command = new ArrayList<>(List.of(
                "env",
                "VNC_USERNAME=anybody",
                "VNC_PASSWORD=s3cret and more",
                "vncviewer",
                "-SecurityTypes=" + security,
                "-AutoSelect=0",
                "-FullColor",
                "-RemoteResize=0",
                "-AlertOnFatalError=0",
                "-ReconnectOnError=0",
                "-PointerEventInterval=0",
                // With a key, it would be told in the middle of the picture for a while.
                "-MenuKey=",
                "-geometry=" + WIDTH + "x" + HEIGHT + "+0+0"));
        command.addAll(List.of(options));
        command.add("127.0.0.1::" + port);
        Process viewer = desk.start(command.toArray(new String[0]));
        awaitTrue("the viewer came", () -> {
            if (!viewer.isAlive()) {
                throw new IOException("vncviewer ended: "
                        + new String(viewer.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
            }
            return server.viewers() == 1 && !screens.isEmpty();
        });
        // It leaves room for a frame, which nobody draws here.
        desk.run("xdotool", "search", "--sync", "--name", "a desktop", "windowmove", "0", "0");
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

    private int[] seen(Rectangle size) throws IOException {
        int[] pixels = new int[size.width() * size.height()];
        shown.read(size, pixels, 0, size.width());
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] &= 0xffffff;
        }
        return pixels;
    }

    private void awaitSame(String what) throws Exception {
        awaitTrue(what, () -> Arrays.equals(seen(screen().bounds()), screen().pixels()));
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

    @ParameterizedTest
    @ValueSource(strings = {"Tight", "ZRLE", "Raw"})
    void showsTheScreensPixels(String encoding) throws Exception {
        try (RfbServer server = serve()) {
            view(server, "VncAuth", "-PreferredEncoding=" + encoding, "-NoJPEG");
            screen().noise(screen().bounds(), 1);
            awaitSame("first");
            for (int seed = 0; seed < 30; seed++) {
                Random random = new Random(seed);
                for (int step = 0; step < 1 + random.nextInt(12); step++) {
                    draw(random);
                }
                awaitSame("seed " + seed);
            }
        }
        assertThat(log).isEmpty();
    }

    @Test
    void whatIsTypedAndPointedAtArrives() throws Exception {
        try (RfbServer server = serve()) {
            view(server, "VncAuth");
            screen().noise(screen().bounds(), 1);
            awaitSame("first");
            desk.run("xdotool", "mousemove", "50", "60", "click", "1", "click", "5");
            awaitTrue("clicks " + screen().input(), () -> screen().input().contains("pointer 50 60 16"));
            desk.run("xdotool", "search", "--name", "a desktop", "windowfocus");
            // A character that no key has is on one only for a part of that time: until then the viewer must have
            // looked.
            desk.run("xdotool", "type", "--delay", "1000", "Hé!");
            awaitTrue("typing", () -> screen().input().contains("release 21"));
            List<String> presses = new ArrayList<>();
            for (String each : screen().input()) {
                if (each.startsWith("press") && !each.equals("press ffe1")) {
                    presses.add(each);
                }
            }
            assertThat(presses).containsExactly("press 48", "press e9", "press 21");
            assertThat(screen().input()).containsSubsequence("pointer 50 60 1", "pointer 50 60 0", "pointer 50 60 16");
        }
    }

    @Test
    void textIsCarriedBothWays() throws Exception {
        try (RfbServer server = serve()) {
            view(server, "VncAuth");
            screen().noise(screen().bounds(), 1);
            awaitSame("first");
            desk.run("xdotool", "search", "--name", "a desktop", "windowfocus");
            screen().offerClipboard("from the session: 日本 €");
            awaitTrue("text from the session", () -> shown.clipboard(1000).equals("from the session: 日本 €"));
            shown.setClipboard("from here: Ελλάδα");
            awaitTrue("text to the session", () -> screen().clipboard(1000).equals("from here: Ελλάδα"));
        }
    }

    @Test
    void followsTheScreensSize() throws Exception {
        try (RfbServer server = serve()) {
            view(server, "VncAuth", "-NoJPEG");
            screen().noise(screen().bounds(), 1);
            awaitSame("first");
            screen().resize(280, 170);
            screen().noise(screen().bounds(), 2);
            awaitSame("smaller");
        }
    }

    @Test
    void resizesTheScreen() throws Exception {
        try (RfbServer server = serve()) {
            view(server, "VncAuth", "-NoJPEG", "-RemoteResize=1", "-DesktopSize=400x300", "-geometry=400x300+0+0");
            awaitTrue("the screen is larger", () -> screen().bounds().equals(new Rectangle(0, 0, 400, 300)));
            screen().noise(screen().bounds(), 2);
            awaitSame("larger");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"X509Plain", "X509Vnc"})
    void encryptsWithTheServersCertificate(String security, @TempDir Path directory) throws Exception {
        TlsIdentity identity = TlsIdentity.own(directory, List.of("127.0.0.1"));
        Path certificate = directory.resolve("certificate.pem");
        Files.writeString(certificate, identity.pem());
        try (RfbServer server = serve(Optional.of(() -> identity))) {
            view(server, security, "-NoJPEG", "-X509CA=" + certificate);
            for (int seed = 0; seed < 5; seed++) {
                screen().noise(screen().bounds(), seed);
                awaitSame("seed " + seed);
            }
        }
    }
}
