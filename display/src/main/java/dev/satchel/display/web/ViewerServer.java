package dev.satchel.display.web;

import dev.satchel.display.Display;
import dev.satchel.display.web.Access.Right;
import dev.satchel.linux.CongestionControl;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Serves a session to browsers as docs/PROTOCOL.md says, until it is closed. Thread-safe. Costs nothing while nobody looks: threads wait,
 * nothing ticks.
 */
public final class ViewerServer implements AutoCloseable {
    /** States of a session as viewers are told. */
    public static final int STATE_RUNNING = 1;

    public static final int STATE_SUSPENDING = 2;
    public static final int STATE_SUSPENDED = 3;
    public static final int STATE_STOPPED = 4;
    /** The display server ended; told by this server itself. */
    public static final int STATE_LOST = 5;

    public static final int STATE_RESUMING = 6;

    /** Its programs stand still for want of something that is waited for. */
    public static final int STATE_STALLED = 7;

    private static final int VIEWERS_MAX = 32;
    private static final int FILMS_MAX = 1;
    private static final int CONNECTIONS_MAX = 2 * VIEWERS_MAX;
    private static final long CLOSE_MILLIS_MAX = 1_000;
    private static final long ACCEPT_AGAIN_MILLIS = 1_000;
    private static final int BACKLOG = 64;
    private static final int BIND_TRIES_MAX = 10;
    private static final long BIND_AGAIN_MILLIS = 20;

    /**
     * What a server is like.
     *
     * @param bind where it listens; port 0: any that is free. Anything but loopback needs {@code tls}
     * @param names by which browsers may call this host, besides the address that they connected to; the first is the one in links
     * @param session its name, told to viewers
     * @param tls empty: plain HTTP
     * @param earlier of the session's server before this one: taken over if the port is free
     * @param beside whether the port of {@code earlier} counts as free although its server listens there still, having called
     *     {@link ViewerServer#sharePort}
     * @param silenceMillisMax after which a viewer that says nothing is closed, after a sixth if it did not even say HELLO; 60,000 but in tests
     * @param log takes what went wrong and nobody else is told, a line each
     */
    public record Settings(
            InetSocketAddress bind,
            List<String> names,
            String session,
            Optional<TlsIdentity> tls,
            Optional<Doorway> earlier,
            boolean beside,
            long silenceMillisMax,
            Consumer<String> log) {
        private static final long SILENCE_MILLIS_MAX = 60_000;

        public Settings {
            if (tls.isEmpty() && !bind.getAddress().isLoopbackAddress()) {
                throw new IllegalArgumentException("viewers at " + bind + " without TLS");
            }
            if (bind.getAddress().isAnyLocalAddress() && names.isEmpty()) {
                throw new IllegalArgumentException("viewers at any address, and no name for links");
            }
            List<String> lowerCase = new ArrayList<>();
            for (String name : names) {
                lowerCase.add(name.toLowerCase(Locale.ROOT));
            }
            names = List.copyOf(lowerCase);
        }

        /** Beside nobody. */
        public Settings(
                InetSocketAddress bind,
                List<String> names,
                String session,
                Optional<TlsIdentity> tls,
                Optional<Doorway> earlier,
                long silenceMillisMax,
                Consumer<String> log) {
            this(bind, names, session, tls, earlier, false, silenceMillisMax, log);
        }

        /** For browsers on this host, at any free port. */
        public static Settings loopback(String session) {
            return new Settings(
                    new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                    List.of(),
                    session,
                    Optional.empty(),
                    Optional.empty(),
                    SILENCE_MILLIS_MAX,
                    line -> System.err.println("satchel: " + line));
        }

        /** For browsers anywhere. */
        public Settings at(InetSocketAddress address, List<String> itsNames, TlsIdentity identity) {
            return new Settings(
                    address, itsNames, session, Optional.of(identity), earlier, beside, silenceMillisMax, log);
        }

        /** In the place of an earlier server of this session. */
        public Settings after(Optional<Doorway> doorway) {
            return new Settings(bind, names, session, tls, doorway, false, silenceMillisMax, log);
        }

        /** In the place of an earlier server of this session that is about to go, and while it is still there. */
        public Settings beside(Optional<Doorway> doorway) {
            return new Settings(bind, names, session, tls, doorway, true, silenceMillisMax, log);
        }
    }

    private final Settings settings;
    private final DisplaySource displays;
    private final EncodedCommands encoded;
    private final Api api;
    private final StaticFiles files;
    private final ServerSocket listener;
    private final Access access;
    private final Thread accepting;
    private final AtomicInteger films = new AtomicInteger();

    /** The lock for all that follows. */
    private final Object lock = new Object();

    private final Connections<HttpConnection> connections = new Connections<>(CONNECTIONS_MAX);
    private final Set<ViewerStream> streams = new HashSet<>();
    /** What pages call themselves, those that do. */
    private final Map<ViewerStream, ByteBuffer> pages = new HashMap<>();

    private int state = STATE_RUNNING;
    private String stateText = "";
    private boolean closing;
    private Runnable lastViewerLeft = () -> {};
    private @Nullable Consumer<WebSocketBytes> vncClients;

    private boolean viewed;
    private long leftNanos;

    private volatile int viewers;

    /** Begins to serve, with the files and encoders of the program. */
    public ViewerServer(Settings settings, DisplaySource displays, Api api) throws IOException {
        this(settings, displays, CommandEncoder::compressing, api, ViewerFiles.PACKED);
    }

    /**
     * Begins to serve.
     *
     * @param encoders makes encoders; a few are kept as long as somebody looks
     * @throws IOException if it can't listen there
     */
    public ViewerServer(
            Settings settings, DisplaySource displays, Supplier<CommandEncoder> encoders, Api api, ViewerFiles files)
            throws IOException {
        this.settings = settings;
        this.displays = displays;
        this.encoded = new EncodedCommands(encoders);
        this.api = api;
        this.files = new StaticFiles(files);
        this.listener = new ServerSocket();
        boolean listening = false;
        boolean again = false;
        try {
            again = settings.earlier().isPresent()
                    && bindTo(settings.earlier().get().port());
            if (!again) {
                listener.bind(settings.bind(), BACKLOG);
            }
            listening = true;
        } finally {
            if (!listening) {
                listener.close();
            }
        }
        // Where the kernel has it; else its own.
        boolean ignored = CongestionControl.ofListener(listener.getLocalPort(), CongestionControl.BBR);
        List<String> tokens = again ? settings.earlier().get().tokens() : List.of();
        this.access = new Access(listener.getLocalPort(), isSecure(), tokens);
        this.accepting = Thread.ofVirtual().name("viewers").start(this::accept);
    }

    /** @return whether it was free, or became so soon: an earlier server may just have let go of it */
    private boolean bindTo(int port) {
        for (int tries = 1; ; tries++) {
            try {
                // Connections that the earlier server closed linger for a minute.
                listener.setReuseAddress(true);
                listener.setOption(StandardSocketOptions.SO_REUSEPORT, settings.beside());
                listener.bind(new InetSocketAddress(settings.bind().getAddress(), port), BACKLOG);
                return true;
            } catch (IOException e) {
                if (settings.beside()) {
                    return false; // who asked for that looks where this is now
                }
                if (tries == BIND_TRIES_MAX) {
                    log("links of before are worth nothing, as somebody else has port " + port + ": " + e.getMessage());
                    return false;
                }
            }
            try {
                Thread.sleep(BIND_AGAIN_MILLIS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return false;
            }
        }
    }

    public int port() {
        return listener.getLocalPort();
    }

    /**
     * Lets the session's next server listen at this port as well, before this one is closed, so that whoever is sent away finds somebody
     * there. Processes of other users never can (socket(7), SO_REUSEPORT); and as long as two listen, connections come to either.
     */
    public void sharePort() throws IOException {
        // Only now that it is this one's: bound with that, it could be another's of the same kind.
        listener.setOption(StandardSocketOptions.SO_REUSEPORT, true);
    }

    /** For the session's next server on this host. */
    public Doorway doorway() {
        return new Doorway(port(), access.tokens());
    }

    /** The link of the session, as long as this server is there: whoever has it is let in. */
    public String link(boolean control) {
        return origin() + "/?k=" + secret(control);
    }

    /** Where VNC clients in browsers come to, with the secret in it. */
    public String webSocketLink(boolean control) {
        // http becomes ws, https wss.
        return "ws" + origin().substring("http".length()) + "/rfb?k=" + secret(control);
    }

    /** Where it is, without a secret: {@code http://127.0.0.1:PORT}. */
    public String origin() {
        InetAddress address = listener.getInetAddress();
        String host = settings.names().isEmpty() || address.isLoopbackAddress()
                ? (address.getAddress().length == 16 ? "[" + address.getHostAddress() + "]" : address.getHostAddress())
                : settings.names().getFirst();
        return (isSecure() ? "https://" : "http://") + host + ":" + port();
    }

    /** What programs send in {@code Authorization: Bearer}. */
    public String secret(boolean control) {
        return access.secret(control ? Right.CONTROL : Right.LOOK);
    }

    /** How many look at the session now. */
    public int viewers() {
        return viewers;
    }

    /** Whether somebody looks at the session now, or did so that long ago or less. */
    public boolean viewedWithin(long millis) {
        synchronized (lock) {
            return viewers > 0 || (viewed && System.nanoTime() - leftNanos <= millis * 1_000_000);
        }
    }

    /** @param action from now on run each time that the last viewer has left, on a thread of this server's that it may hold up; not when this is closed */
    public void onLastViewerLeft(Runnable action) {
        synchronized (lock) {
            lastViewerLeft = action;
        }
    }

    /** @param served from now on given VNC clients that come by a WebSocket, each on a thread of its own, which it keeps as long as it serves it */
    public void onVncClient(Consumer<WebSocketBytes> served) {
        synchronized (lock) {
            vncClients = served;
        }
    }

    /** Tells all viewers, and those that come later, what the session does: one of the states above, and text for a person. */
    public void tellState(int newState, String text) {
        synchronized (lock) {
            state = newState;
            stateText = text;
        }
        for (ViewerStream stream : allStreams()) {
            stream.tellState(newState, text);
        }
    }

    /** Has viewers that are without a display look for one again. */
    public void displayChanged() {
        for (ViewerStream stream : allStreams()) {
            stream.tryDisplay();
        }
    }

    /**
     * Lets all viewers go, after they have been told what there is to tell, or did not take it within a second. Links are worth nothing then.
     * A call of the API that this is done by is answered still, see {@link #awaitAnswers}.
     */
    @Override
    public void close() {
        synchronized (lock) {
            closing = true;
        }
        closeQuietly(listener);
        for (ViewerStream stream : allStreams()) {
            stream.close(1001);
        }
        long until = System.nanoTime() + CLOSE_MILLIS_MAX * 1_000_000;
        boolean interrupted = false;
        synchronized (lock) {
            for (HttpConnection connection : connections) {
                if (!connection.isStream() && !connection.isServedHere()) {
                    connection.abort();
                }
            }
            while (!streams.isEmpty()) {
                long millis = (until - System.nanoTime()) / 1_000_000;
                if (millis <= 0 || interrupted) {
                    break;
                }
                try {
                    lock.wait(millis);
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            for (HttpConnection connection : connections) {
                if (!connection.isServedHere()) {
                    connection.abort();
                }
            }
        }
        encoded.close();
        // Only then is the port free: the session's next server wants it.
        try {
            boolean ignored = interrupted || accepting.join(Duration.ofMillis(CLOSE_MILLIS_MAX));
        } catch (InterruptedException e) {
            interrupted = true;
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** After {@link #close}, before the process ends: until who had it closed has been answered, or did not take that for so long. */
    public void awaitAnswers(long millisMax) {
        long until = System.nanoTime() + millisMax * 1_000_000;
        synchronized (lock) {
            while (!connections.isEmpty()) {
                long millis = (until - System.nanoTime()) / 1_000_000;
                if (millis <= 0) {
                    return;
                }
                try {
                    lock.wait(millis);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    return;
                }
            }
        }
    }

    // ---- Connections

    private void accept() {
        while (true) {
            try {
                Socket socket = listener.accept();
                HttpConnection connection = new HttpConnection(this, socket);
                if (admit(connection)) {
                    // A thread of the system's: what a virtual one waits for comes to it by way of two others, with
                    // each key.
                    Thread.ofPlatform().daemon().name("viewer-in").start(() -> serve(connection));
                } else {
                    connection.abort();
                }
            } catch (IOException e) {
                if (listener.isClosed()) {
                    return;
                }
                // Out of descriptors, most likely: others may be given back.
                log("a viewer could not be let in: " + e.getMessage());
                try {
                    Thread.sleep(ACCEPT_AGAIN_MILLIS);
                } catch (InterruptedException interrupted) {
                    return;
                }
            }
        }
    }

    private boolean admit(HttpConnection connection) {
        synchronized (lock) {
            return !closing && connections.add(connection);
        }
    }

    private void serve(HttpConnection connection) {
        try {
            connection.run();
        } finally {
            synchronized (lock) {
                connections.remove(connection);
                lock.notifyAll();
            }
        }
    }

    // ---- What connections and streams ask

    boolean isSecure() {
        return settings.tls().isPresent();
    }

    /** @return the connection with TLS if there is TLS here, which is agreed upon then */
    Socket secured(Socket raw, int millisMax) throws IOException {
        return settings.tls().isPresent() ? settings.tls().get().accept(raw, millisMax) : raw;
    }

    /**
     * Whether that is how this server is called: another name that leads here is one that somebody else's page was loaded by (DNS rebinding).
     *
     * @param host as in a request
     */
    boolean isOwnHost(String host, InetAddress local) {
        int bracket = host.lastIndexOf(']');
        int colon = host.indexOf(':', bracket + 1);
        for (int i = colon + 1; colon >= 0 && i < host.length(); i++) {
            if (host.charAt(i) < '0' || host.charAt(i) > '9') {
                return false;
            }
        }
        String name = (colon < 0 ? host : host.substring(0, colon)).toLowerCase(Locale.ROOT);
        if (settings.names().contains(name) || (name.equals("localhost") && local.isLoopbackAddress())) {
            return true;
        }
        if (bracket > 0) {
            name = name.startsWith("[") ? name.substring(1, bracket) : "";
        }
        try {
            // Looks nothing up.
            return InetAddress.ofLiteral(name).equals(local);
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    Access access() {
        return access;
    }

    StaticFiles files() {
        return files;
    }

    Api api() {
        return api;
    }

    EncodedCommands encoded() {
        return encoded;
    }

    String session() {
        return settings.session();
    }

    boolean isClosing() {
        synchronized (lock) {
            return closing;
        }
    }

    long silenceMillisMax() {
        return settings.silenceMillisMax();
    }

    long helloMillisMax() {
        return settings.silenceMillisMax() / 6;
    }

    void log(String line) {
        settings.log().accept(line);
    }

    Display display() throws IOException {
        return displays.display();
    }

    @Nullable
    Consumer<WebSocketBytes> vncClients() {
        synchronized (lock) {
            return vncClients;
        }
    }

    /**
     * @param always also if the session just runs
     * @return the message that says what the session does; null if there is nothing to say
     */
    byte @Nullable [] state(boolean always) {
        synchronized (lock) {
            return always || state != STATE_RUNNING ? Messages.state(state, stateText) : null;
        }
    }

    /** @return false if there are too many */
    boolean add(ViewerStream stream) {
        synchronized (lock) {
            return !closing && streams.size() < VIEWERS_MAX && streams.add(stream);
        }
    }

    void remove(ViewerStream stream) {
        synchronized (lock) {
            streams.remove(stream);
            pages.remove(stream);
            lock.notifyAll();
        }
    }

    /** @return streams of the same page that are there still: it has given them up, whatever TCP believes */
    List<ViewerStream> earlier(ViewerStream stream, ByteBuffer page) {
        List<ViewerStream> earlier = new ArrayList<>();
        synchronized (lock) {
            for (ViewerStream other : streams) {
                if (other != stream && page.equals(pages.get(other))) {
                    earlier.add(other);
                }
            }
            pages.put(stream, page);
        }
        return earlier;
    }

    void viewerCame() {
        synchronized (lock) {
            viewers++;
        }
    }

    void viewerLeft(ViewerStream stream) {
        Runnable action = () -> {};
        boolean last;
        synchronized (lock) {
            // Now, as what follows may close this server and wait for its streams.
            streams.remove(stream);
            lock.notifyAll();
            last = --viewers == 0;
            viewed = true;
            leftNanos = System.nanoTime();
            if (last && !closing) {
                action = lastViewerLeft;
            }
        }
        if (last) {
            encoded.rest();
        }
        action.run();
    }

    private List<ViewerStream> allStreams() {
        synchronized (lock) {
            return new ArrayList<>(streams);
        }
    }

    /** @return whether one more film may be encoded: each takes memory, and a good part of a processor */
    boolean beginFilm() {
        return films.getAndUpdate(now -> Math.min(now + 1, FILMS_MAX)) < FILMS_MAX;
    }

    /** Once for each that was begun. */
    void endFilm() {
        films.decrementAndGet();
    }

    static void closeQuietly(AutoCloseable socket) {
        try {
            socket.close();
        } catch (Exception e) {
            // There is nothing left to be lost.
        }
    }

    static void joinUninterruptibly(Thread thread) {
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
