package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.microsoft.playwright.Page;
import dev.satchel.display.CursorImage;
import dev.satchel.display.Rectangle;
import dev.satchel.display.Screen;
import dev.satchel.display.x11.X11Screen;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509ExtendedTrustManager;
import org.junit.jupiter.api.Test;

/** A real session, seen and worked in from TigerVNC's viewer as {@code view --vnc} says. */
class VncTest extends LiveTest {
    private static final Rectangle SESSION = new Rectangle(0, 0, 640, 480);
    private static final String POINTER = "DISPLAY=:0 xdotool getmouselocation --shell | grep '^[XY]='";

    /** Where somebody sits who looks at a session: an X server with a VNC client on it. */
    private static final class Desk implements AutoCloseable {
        private final Process server;
        private final String display;
        private final X11Screen screen;
        private final List<Process> viewers = new ArrayList<>();

        Desk() throws IOException {
            server = new ProcessBuilder(
                            "Xvfb",
                            "-displayfd",
                            "1",
                            "-screen",
                            "0",
                            "1024x768x24",
                            "-shmem",
                            "-nolisten",
                            "tcp",
                            "-ac")
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            BufferedReader said = server.inputReader(StandardCharsets.US_ASCII);
            String number = String.valueOf(said.readLine()).strip();
            display = ":" + number;
            screen = X11Screen.open(Path.of("/"), "tmp/.X11-unix/X" + number, server.pid(), new Silent());
        }

        private Process start(Map<String, String> environment, List<String> command) throws IOException {
            ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
            builder.environment().put("DISPLAY", display);
            builder.environment().put("LC_ALL", "C.UTF-8");
            builder.environment().putAll(environment);
            return builder.start();
        }

        /** As who follows what {@code view --vnc} prints, by TLS. */
        Process view(VncAccess access) throws IOException {
            Process viewer = start(
                    Map.of("VNC_USERNAME", access.user(), "VNC_PASSWORD", access.password()),
                    List.of(
                            "vncviewer",
                            "-Shared",
                            "-SecurityTypes=X509Plain",
                            "-X509CA=" + access.certificateFile(),
                            "-RemoteResize=0",
                            "-AlertOnFatalError=0",
                            "-ReconnectOnError=0",
                            "-NoJPEG",
                            "-MenuKey=",
                            "-geometry=640x480+0+0",
                            access.address() + "::" + access.port()));
            viewers.add(viewer);
            return viewer;
        }

        String run(String... command) throws IOException {
            Process program = start(Map.of(), List.of(command));
            program.outputWriter().close();
            String out = new String(program.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(ended(program))
                    .as(String.join(" ", command) + ": " + out)
                    .isZero();
            return out;
        }

        /** Waits for a window. It leaves room for a frame, which nobody draws here. */
        void awaitWindow(String title) throws IOException {
            String out = run("timeout", "30", "xdotool", "search", "--sync", "--name", title, "windowmove", "0", "0");
            assertThat(out).isEmpty();
        }

        int[] seen() throws IOException {
            int[] pixels = new int[SESSION.width() * SESSION.height()];
            screen.read(SESSION, pixels, 0, SESSION.width());
            for (int i = 0; i < pixels.length; i++) {
                pixels[i] |= 0xff000000;
            }
            return pixels;
        }

        void awaitSame(String what, TestHost host, String name) throws IOException {
            Eventually.holds(60_000, what, () -> Arrays.equals(seen(), host.screen(name)));
        }

        static int ended(Process process) throws IOException {
            try {
                if (!process.waitFor(60, TimeUnit.SECONDS)) {
                    throw new AssertionError(process.info().command() + " goes on");
                }
                return process.exitValue();
            } catch (InterruptedException e) {
                throw new IOException(e);
            }
        }

        @Override
        public void close() throws IOException {
            screen.close();
            for (Process viewer : viewers) {
                viewer.destroyForcibly();
                int ignored = ended(viewer);
            }
            server.destroyForcibly();
            int ignored = ended(server);
        }
    }

    private static final class Silent implements Screen.Listener {
        @Override
        public void damaged() {}

        @Override
        public void resized(int width, int height) {}

        @Override
        public void cursorChanged(CursorImage cursor) {}

        @Override
        public void pointerMoved(int x, int y) {}

        @Override
        public void clipboardChanged() {}

        @Override
        public void lost(IOException reason) {}
    }

    /** proc_net(5): the TCP ports of IPv4 and IPv6 that this process listens at. */
    private static Set<Integer> listening() throws IOException {
        Set<String> sockets = new HashSet<>();
        try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
            for (Path each : open.toList()) {
                try {
                    sockets.add(Files.readSymbolicLink(each).toString());
                } catch (NoSuchFileException e) {
                    // It is closed by now.
                }
            }
        }
        Set<Integer> ports = new HashSet<>();
        for (String table : List.of("/proc/self/net/tcp", "/proc/self/net/tcp6")) {
            for (String line : Files.readAllLines(Path.of(table))) {
                String[] words = line.strip().split(" +", -1);
                if (words[3].equals("0A") && sockets.contains("socket:[" + words[9] + "]")) {
                    ports.add(Integer.parseInt(words[1].substring(words[1].indexOf(':') + 1), 16));
                }
            }
        }
        return ports;
    }

    private static VncAccess access(TestHost host, String name, boolean look) throws IOException {
        return host.with(satchel -> satchel.vnc(name, look));
    }

    @Test
    void isSeenAndWorkedInBeforeAndAfterASuspend() throws Exception {
        String name = name("vnc");
        a.create(name);
        Set<Integer> before = listening();
        VncAccess access;
        try (Desk desk = new Desk()) {
            Process viewer;
            try (Running here = a.resume(name)) {
                assertThat(listening()).as("only browsers' port").hasSize(before.size() + 1);
                access = access(a, name, false);
                assertThat(listening()).hasSize(before.size() + 2).contains(access.port());
                assertThat(access(a, name, false)).isEqualTo(access);
                viewer = desk.view(access);
                desk.awaitWindow("^" + name);
                desk.awaitSame("the desktop in the viewer", a, name);

                here.awaitTerminal(); // the session's own, which would take the focus
                here.start("exec xterm -T typing -xrm '*allowTitleOps: false' -geometry 60x20+10+10");
                here.awaitWindow("typing");
                desk.run("xdotool", "mousemove", "120", "120", "click", "1");
                desk.run("xdotool", "search", "--name", name, "windowfocus");
                desk.run("xdotool", "type", "--delay", "20", "seq 100; echo Typed >typed\n");
                here.awaitFile("home/user/typed");
                desk.awaitSame("scrolled text in the viewer", a, name);

                // Nothing of the viewer's is in the way, and it goes on.
                here.snapshot();
                desk.run("xdotool", "type", "--delay", "20", "clear; echo again >again\n");
                here.awaitFile("home/user/again");
                desk.awaitSame("the same viewer after a snapshot", a, name);

                here.suspend();
                int ignored = Desk.ended(viewer);
            }
            assertThat(listening()).isEqualTo(before);
            // On the same host what was printed is good again, without anybody asking.
            try (Running again = a.resume(name)) {
                Process ignored = desk.view(access);
                desk.awaitWindow("^" + name);
                desk.awaitSame("the desktop in the next viewer", a, name);
                assertThat(access(a, name, false)).isEqualTo(access);
                again.suspend();
            }
            // On another one nothing listens, and passwords are others.
            try (Running there = b.resume(name)) {
                assertThatThrownBy(() -> new Socket(InetAddress.getLoopbackAddress(), access.port()).close())
                        .isInstanceOf(ConnectException.class);
                assertThat(access(b, name, false).password()).isNotEqualTo(access.password());
                there.stop();
            }
        }
    }

    @Test
    void whoMayOnlyLookHasAPasswordOfTheirOwn() throws Exception {
        String name = name("vnclook");
        a.create(name);
        try (Desk desk = new Desk();
                Running here = a.resume(name)) {
            VncAccess look = access(a, name, true);
            VncAccess control = access(a, name, false);
            assertThat(look.port()).isEqualTo(control.port());
            assertThat(look.password()).isNotEqualTo(control.password());
            assertThat(look.webSocketUrl()).isNotEqualTo(control.webSocketUrl());
            Process ignored = desk.view(look);
            desk.awaitWindow("^" + name);
            desk.awaitSame("the desktop in the viewer", a, name);
            String pointer = here.sh(POINTER);
            desk.run("xdotool", "mousemove", "17", "23", "click", "1");
            here.start("exec xterm -geometry 40x10+300+200 -bg '#00ff00'");
            here.awaitTerminal();
            desk.awaitSame("a new window", a, name);
            assertThat(here.sh(POINTER)).isEqualTo(pointer);
        }
    }

    /** noVNC in a browser on another computer, as far as the first that it is told; what comes then is the same for all. */
    @Test
    void clientsInBrowsersElsewhereComeByTls() throws Exception {
        String name = name("vncelse");
        a.create(name);
        SSLContext trusting = SSLContext.getInstance("TLS");
        trusting.init(null, new TrustManager[] {new Anybody()}, null);
        try (Running here = a.resume(name);
                HttpClient client = HttpClient.newBuilder().sslContext(trusting).build()) {
            assertThat(here.name).isEqualTo(name);
            RemoteAccess elsewhere =
                    a.with(satchel -> satchel.listen(name, ListenAddress.parse("127.0.0.2"), Optional.empty(), false));
            URI link = URI.create(elsewhere.url());
            CompletableFuture<String> said = new CompletableFuture<>();
            WebSocket socket = client.newWebSocketBuilder()
                    .buildAsync(
                            URI.create("wss://" + link.getAuthority() + "/rfb?" + link.getQuery()),
                            new WebSocket.Listener() {
                                @Override
                                public CompletionStage<?> onBinary(WebSocket from, ByteBuffer data, boolean last) {
                                    said.complete(StandardCharsets.US_ASCII
                                            .decode(data)
                                            .toString());
                                    return CompletableFuture.completedFuture(null);
                                }
                            })
                    .get(20, TimeUnit.SECONDS);
            assertThat(said.get(20, TimeUnit.SECONDS)).isEqualTo("RFB 003.008\n");
            socket.abort();
            assertThatThrownBy(() -> client.newWebSocketBuilder()
                            .buildAsync(
                                    URI.create("wss://" + link.getAuthority() + "/rfb?k=wrong"),
                                    new WebSocket.Listener() {})
                            .get(20, TimeUnit.SECONDS))
                    .hasCauseInstanceOf(WebSocketHandshakeException.class);
        }
    }

    /** Who has made sure of the certificate already. */
    private static final class Anybody extends X509ExtendedTrustManager {
        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket) {}

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type) {}

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
        }
    }

    @Test
    void isSuspendedWhenTheLastViewerOfEitherKindGoes() throws Exception {
        String name = name("vncclose");
        a.create(new CreateRequest(
                name,
                Site.IMAGE,
                OptionalLong.empty(),
                OptionalLong.empty(),
                Optional.empty(),
                Map.of(),
                "640x480",
                "640x480",
                true));
        try (Chromium chromium = new Chromium();
                Desk desk = new Desk();
                Running here = a.resume(name)) {
            Page page = chromium.open(here.result().viewUrl());
            Chromium.awaitSame("the desktop in the browser", page, a, name);
            Process viewer = desk.view(access(a, name, false));
            desk.awaitWindow("^" + name);
            desk.awaitSame("the desktop in the VNC viewer", a, name);
            page.close();
            // Longer than viewers have to come back.
            Eventually.pause(12_000);
            assertThat(a.state(name)).isEqualTo(SessionInfo.State.RUNNING);
            desk.awaitSame("the desktop when the browser has gone", a, name);
            viewer.destroy();
            here.awaitEnd();
            assertThat(a.state(name)).isEqualTo(SessionInfo.State.SUSPENDED);
        }
    }
}
