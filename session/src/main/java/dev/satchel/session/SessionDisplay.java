package dev.satchel.session;

import dev.satchel.display.Keys;
import dev.satchel.display.Rectangle;
import dev.satchel.display.Screen;
import dev.satchel.display.ScreenDisplay;
import dev.satchel.display.codec.Classifier;
import dev.satchel.display.codec.Png;
import dev.satchel.display.web.Api;
import dev.satchel.display.web.Doorway;
import dev.satchel.display.web.ViewerServer;
import dev.satchel.display.x11.Glance;
import dev.satchel.display.x11.X11Screen;
import dev.satchel.linux.Processes;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/**
 * What a running session shows, and to whom: its screen, the server that viewers come to, and what programs do to it. The session's X
 * server is held only while somebody looks or types, and never while the session is frozen. Thread-safe.
 */
final class SessionDisplay implements AutoCloseable {
    /** The processes of the session, in this process's pid namespace. */
    interface Running {
        List<Long> pids() throws IOException;
    }

    private static final String SOCKET = "tmp/.X11-unix/X0";
    /** A program may have started one of its own. */
    private static final String DISPLAY = ":0";

    private static final int CLIPBOARD_BYTES_MAX = 1 << 20;
    private static final int BUTTON_MAX = 9;
    private static final int CLICKS_MAX = 100;
    private static final long ANSWER_MILLIS_MAX = 2_000;
    private static final long LOOKED_AT_MILLIS = 60_000;

    private final String session;
    private final Links links;
    private final Path files;
    private final Running running;
    private final AtomicLong leavings = new AtomicLong();

    private final Object stillLock = new Object();

    /** Why programs stand still; guarded by {@link #stillLock}, as is the next. */
    private Optional<String> still = Optional.empty();

    /** Between {@link #letGo} and {@link #takeHold}. */
    private boolean given;

    private final ScreenDisplay display;
    private final ViewerServer server;
    private final VncClients vnc;
    private final RemoteViewers remote;
    private volatile Runnable lastViewerLeft = () -> {};

    /**
     * Begins to serve viewers, where and with the links that {@link #suspended} left them.
     *
     * @param door where the session's links are kept on this host, and who answers with them if somebody does
     * @param state this host's
     * @param files the session's root directory
     */
    SessionDisplay(String session, Door door, Path state, Path files, Running running, Api api) throws IOException {
        this.session = session;
        this.links = new Links(door.links());
        this.files = files;
        this.running = running;
        display = new ScreenDisplay(this::open, Classifier::classify);
        if (Files.exists(door.socket())) {
            // Pages wait: the screen is ready when they come.
            Thread _ = Thread.ofPlatform().name("first-look").daemon().start(this::expectViewers);
        }
        // A line for browsers, and one each for VNC clients and browsers elsewhere if they were expected.
        String[] kept = links.look().orElse("").split("\n", -1);
        server = takeOver(door, Doorway.of(kept[0]), api);
        server.onLastViewerLeft(this::viewerLeft);
        vnc = new VncClients(session, state, () -> display, this::viewerLeft);
        server.onVncClient(vnc::serve);
        remote = new RemoteViewers(session, state, () -> display, api, this::viewerLeft);
        remote.onVncClient(vnc::serve);
        if (kept.length > 2) {
            vnc.reopen(kept[1]);
            remote.reopen(kept[2]);
        }
        links.forget();
    }

    /** Serves those whom somebody answers who is told to leave then: they come back at once, and must find this server. */
    private ViewerServer takeOver(Door door, Optional<Doorway> earlier, Api api) throws IOException {
        ViewerServer.Settings settings = ViewerServer.Settings.loopback(session);
        ViewerServer beside = null;
        if (earlier.isPresent() && Files.exists(door.socket())) {
            beside = new ViewerServer(settings.beside(earlier), () -> display, api);
            if (beside.port() != earlier.get().port()) {
                beside.close(); // the port is somebody else's, or of a doorkeeper that does not share it
                beside = null;
            }
        }
        Doorkeeper.Dismissal dismissed = Doorkeeper.dismiss(door.socket(), Optional.empty());
        if (beside != null && dismissed == Doorkeeper.Dismissal.LEFT) {
            return beside;
        }
        if (beside != null) {
            // Half of all connections would come to who does not leave; or the port is not who was killed's, but
            // another session's.
            beside.close();
        }
        return new ViewerServer(
                beside != null && dismissed == Doorkeeper.Dismissal.STAYS ? settings : settings.after(earlier),
                () -> display,
                api);
    }

    /** Has the session's X server held for a moment; it has just been woken up, and takes its time. */
    private void expectViewers() {
        try {
            Rectangle _ = display.withScreen(Screen::bounds);
        } catch (IOException e) {
            // Whoever comes is told the same.
        }
    }

    /**
     * After the session was suspended. Pages that are open go on by themselves if it is resumed on this host within some hours, and VNC
     * clients may come again: what lets them in is kept in the kernel's keyring.
     */
    void suspended() {
        try {
            links.keep(server.doorway().toText() + "\n" + vnc.kept().orElse("") + "\n" + remote.kept());
        } catch (IOException e) {
            System.err.println("satchel: the session's links end with it: " + e.getMessage());
        }
        tellState(ViewerServer.STATE_SUSPENDED, "");
        // Who waits for the screen waits no longer.
        display.close();
    }

    /** Whether somebody looks now, or did a moment ago: pages will ask what became of the session. */
    boolean lookedAt() {
        return server.viewedWithin(LOOKED_AT_MILLIS) || remote.viewedWithin(LOOKED_AT_MILLIS);
    }

    /** After the session's programs ended. */
    void stopped() {
        tellState(ViewerServer.STATE_STOPPED, "Stopped");
    }

    private Screen open(Screen.Listener listener) throws IOException {
        Optional<Long> pid = xServer();
        if (pid.isPresent()) {
            return X11Screen.open(files, SOCKET, pid.get(), listener);
        }
        throw new SatchelException(
                SatchelException.Kind.FAILED,
                "'" + session + "' has no screen: no X server runs in it; see 'satchel logs " + session + "'");
    }

    private Optional<Long> xServer() throws IOException {
        Optional<Long> unknown = Optional.empty();
        for (long pid : running.pids()) {
            Path process = Path.of("/proc/" + pid);
            if (Processes.commandName(process).equals(Optional.of("Xvfb"))) {
                List<String> line = Processes.commandLine(process);
                if (line.contains(DISPLAY)) {
                    return Optional.of(pid);
                }
                if (line.isEmpty() && unknown.isEmpty()) {
                    unknown = Optional.of(pid); // after a resume that memory of its may not have arrived yet
                }
            }
        }
        return unknown;
    }

    /** The environment of the desktop's programs, which the X server is the first of; empty if there is no desktop. */
    Map<String, String> environment() throws IOException {
        Optional<Long> pid = xServer();
        return pid.isPresent() ? Processes.environment(Path.of("/proc/" + pid.get())) : Map.of();
    }

    /** What is shown now, small; empty if nothing is. */
    Optional<Thumbnail> thumbnail() {
        try {
            Optional<Long> pid = xServer();
            return pid.isPresent()
                    ? Optional.of(Thumbnail.of(Glance.of(files, SOCKET, pid.get(), Thumbnail.WIDTH, Thumbnail.HEIGHT)))
                    : Optional.empty();
        } catch (IOException | UnsupportedOperationException e) {
            // A session whose screen does not work, on a host without the library: it is suspended all the same.
            System.err.println("satchel: no picture of this snapshot: " + e.getMessage());
            return Optional.empty();
        }
    }

    /** The link that lets a browser of this host in. */
    String link(boolean control) {
        return server.link(control);
    }

    /** Has VNC clients of this host let in from now on. @return how they come */
    VncAccess vnc(boolean control) throws IOException {
        return vnc.open(control, server.webSocketLink(control));
    }

    /** Has browsers on other computers let in from now on, by TLS. @return how they come */
    RemoteAccess listen(ListenAddress address, Optional<CertificateFiles> certificate, boolean control)
            throws IOException {
        return remote.open(address, certificate, control);
    }

    /** Lets browsers on other computers in no more. @return whether they were */
    boolean listenNoMore() {
        return remote.shut();
    }

    private void tellState(int state, String text) {
        server.tellState(state, text);
        remote.tellState(state, text);
    }

    /** Has something done, on a thread of its own, once nobody has looked for {@code graceMillis} after somebody did. */
    void onAllGone(long graceMillis, Runnable action) {
        lastViewerLeft = () -> {
            long leaving = leavings.incrementAndGet();
            onNobodyFor(graceMillis, leaving, action);
        };
    }

    /** The same, from now on. */
    void onNobodyFor(long millis, Runnable action) {
        onNobodyFor(millis, leavings.get(), action);
    }

    private void onNobodyFor(long millis, long leaving, Runnable action) {
        Thread.ofPlatform().name("all-gone").daemon().start(() -> {
            try {
                Thread.sleep(millis);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
            // Who came back meanwhile, and left again, has a grace of their own.
            if (viewers() == 0 && leavings.get() == leaving) {
                action.run();
            }
        });
    }

    /**
     * Programs stand still though nobody has asked for that.
     *
     * @param why for who looks
     */
    void standStill(String why) {
        synchronized (stillLock) {
            still = Optional.of(why);
            if (!given) {
                tellState(ViewerServer.STATE_STALLED, why);
            }
        }
    }

    /** After {@link #standStill}, if it was. */
    void goOn() {
        synchronized (stillLock) {
            if (still.isPresent()) {
                still = Optional.empty();
                if (!given) {
                    tellState(ViewerServer.STATE_RUNNING, "");
                }
            }
        }
    }

    private void viewerLeft() {
        if (viewers() == 0) {
            lastViewerLeft.run();
        }
    }

    private int viewers() {
        return server.viewers() + vnc.viewers() + remote.viewers();
    }

    /** Before the session is frozen: nothing of it is held when this returns. */
    void letGo(String why) {
        synchronized (stillLock) {
            given = true;
            tellState(ViewerServer.STATE_SUSPENDING, why);
        }
        vnc.tellName(session + " (" + why + ")");
        display.letGo();
    }

    /** After {@link #letGo}, when the session goes on. */
    void takeHold() throws IOException {
        synchronized (stillLock) {
            given = false;
            tellState(still.isPresent() ? ViewerServer.STATE_STALLED : ViewerServer.STATE_RUNNING, still.orElse(""));
        }
        vnc.tellName(session);
        display.takeHold();
        // Who came meanwhile has seen nothing yet.
        server.displayChanged();
        remote.displayChanged();
    }

    /** Whether one viewer has taken control: all others that have a link look on. */
    boolean isControlledByOne() {
        return display.isControlledByOne();
    }

    /** What is shown now, as PNG. */
    byte[] picture() throws IOException {
        return display.withScreen(screen -> {
            Rectangle size = screen.bounds();
            int[] pixels = new int[size.width() * size.height()];
            screen.read(size, pixels, 0, size.width());
            ByteArrayOutputStream png = new ByteArrayOutputStream();
            Png.write(png, size.width(), size.height(), pixels);
            return png.toByteArray();
        });
    }

    /** Types text as a person would; a new line is the Return key. */
    void type(String text) throws IOException {
        display.type(text);
    }

    /** Presses the keys of each chord together, one chord after the other. */
    void keys(List<String> chords) throws IOException {
        for (String chord : chords) {
            List<Integer> keysyms = Keys.chord(chord)
                    .orElseThrow(() -> new SatchelException(
                            SatchelException.Kind.WRONG_USAGE,
                            "'" + chord
                                    + "' is no key: use names and characters such as Return, F5, ctrl+c or alt+Tab"));
            display.withScreen(screen -> {
                for (int keysym : keysyms) {
                    screen.key(keysym, true);
                }
                for (int keysym : keysyms.reversed()) {
                    screen.key(keysym, false);
                }
                return true;
            });
        }
    }

    /**
     * Moves the pointer there and clicks.
     *
     * @param button 1 left, 2 middle, 3 right, 4 to 7 the wheel, 8 back, 9 forward
     * @param count up to {@link #CLICKS_MAX}; 0: only moves there
     */
    void click(long x, long y, long button, long count) throws IOException {
        if (count < 0 || count > CLICKS_MAX) {
            throw new SatchelException(
                    SatchelException.Kind.WRONG_USAGE,
                    "can't click " + count + " times: up to " + CLICKS_MAX + " times at once");
        }
        for (long i = 0; i < Math.max(1, count); i++) {
            int buttons = count == 0 ? 0 : 1 << ((int) button - 1);
            display.withScreen(screen -> {
                Rectangle size = screen.bounds();
                if (x < 0 || y < 0 || x >= size.width() || y >= size.height() || button < 1 || button > BUTTON_MAX) {
                    throw new SatchelException(
                            SatchelException.Kind.WRONG_USAGE,
                            "can't click at " + x + "," + y + " with button " + button + ": the screen is "
                                    + size.width() + "x" + size.height() + ", buttons are 1 to " + BUTTON_MAX);
                }
                screen.pointer((int) x, (int) y, 0);
                screen.pointer((int) x, (int) y, buttons);
                screen.pointer((int) x, (int) y, 0);
                return true;
            });
        }
    }

    /**
     * The text that the session's programs offer; empty if none does.
     *
     * @throws Screen.TooLongException if it is longer than 1 MiB
     */
    Optional<String> clipboard() throws IOException {
        return Optional.of(display.withScreen(screen -> screen.clipboard(CLIPBOARD_BYTES_MAX)))
                .filter(text -> !text.isEmpty());
    }

    /** Offers text to the session's programs. */
    void setClipboard(String text) throws IOException {
        display.withScreen(screen -> {
            screen.setClipboard(text);
            return true;
        });
    }

    /** After {@link #close}: until a page or program that had the session suspended has been told so. */
    void awaitAnswers() {
        server.awaitAnswers(ANSWER_MILLIS_MAX);
    }

    @Override
    public void close() {
        vnc.close();
        remote.close();
        server.close();
        display.close();
    }
}
