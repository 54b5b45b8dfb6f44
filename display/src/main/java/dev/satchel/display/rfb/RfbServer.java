package dev.satchel.display.rfb;

import dev.satchel.display.Display;
import dev.satchel.display.web.Connections;
import dev.satchel.display.web.DisplaySource;
import dev.satchel.display.web.TlsSource;
import dev.satchel.display.web.WebSocketBytes;
import dev.satchel.display.web.WrongGuesses;
import dev.satchel.linux.CongestionControl;
import dev.satchel.linux.crypto.SecureRandom;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Serves a session to VNC clients as docs/PROTOCOL.md says (RFB), until it is closed. Thread-safe. Costs nothing while nobody looks:
 * threads wait, nothing ticks.
 */
public final class RfbServer implements AutoCloseable {
    private static final int VIEWERS_MAX = 16;
    private static final int CONNECTIONS_MAX = 3 * VIEWERS_MAX;
    private static final long CLOSE_MILLIS_MAX = 1_000;
    private static final long ACCEPT_AGAIN_MILLIS = 1_000;
    private static final int BACKLOG = 32;

    /**
     * Where clients come to, and what they must know to be let in there.
     *
     * @param bind port 0: any that is free. Anything but loopback needs {@code tls}
     * @param tls if there is one, clients from other hosts must encrypt, and those from this one may
     */
    public record Door(InetSocketAddress bind, Optional<TlsSource> tls, Passwords passwords) {
        public Door {
            if (tls.isEmpty() && !bind.getAddress().isLoopbackAddress()) {
                throw new IllegalArgumentException("VNC clients at " + bind + " without TLS");
            }
        }
    }

    /**
     * Who is let in. Where they are not sent as they are, the first eight characters count, and only those of Latin-1 (RFC 6143 §7.2.2).
     *
     * @param control of who may do everything
     * @param look of who may only look
     */
    public record Passwords(String control, Optional<String> look) {
        /** Twice what VNC Authentication takes: who learns those eight does not know the rest. */
        private static final int LENGTH = 2 * VncAuthentication.PASSWORD_LENGTH_MAX;
        /** No letters and digits that look alike. */
        private static final String CHARACTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

        public Passwords {
            if (control.isEmpty() || (look.isPresent() && look.get().isEmpty())) {
                throw new IllegalArgumentException("a VNC password is empty");
            }
        }

        /** Passwords that nobody knows yet, of 92 bits each, 46 of them in the first eight characters. */
        public static Passwords random() {
            return new Passwords(one(), Optional.of(one()));
        }

        private static String one() {
            StringBuilder password = new StringBuilder();
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment random = arena.allocate(1);
                while (password.length() < LENGTH) {
                    SecureRandom.fill(random);
                    int number = random.get(ValueLayout.JAVA_BYTE, 0) & 0xff;
                    // Those beyond the largest multiple would make some characters likelier.
                    if (number < 256 / CHARACTERS.length() * CHARACTERS.length()) {
                        password.append(CHARACTERS.charAt(number % CHARACTERS.length()));
                    }
                }
            }
            return password.toString();
        }

        @Override
        public String toString() {
            return "passwords";
        }
    }

    private final DisplaySource displays;
    private final Consumer<String> log;
    private final WrongGuesses wrongGuesses = new WrongGuesses();

    /** The lock for all that follows. */
    private final Object lock = new Object();

    private final Connections<RfbConnection> connections = new Connections<>(CONNECTIONS_MAX);
    private final Set<RfbConnection> viewing = new HashSet<>();
    private @Nullable Entrance entrance;
    private boolean closing;
    private String name;
    private Runnable lastViewerLeft = () -> {};

    /** A door that is open. */
    private record Entrance(ServerSocket listener, Thread accepting) {}

    /**
     * A server that listens nowhere yet.
     *
     * @param name of the session, told to clients
     * @param displays asked whenever a client comes
     * @param log takes what went wrong and nobody else is told, a line each
     */
    public RfbServer(String name, DisplaySource displays, Consumer<String> log) {
        this.name = name;
        this.displays = displays;
        this.log = log;
    }

    /**
     * Begins to listen for clients, until this is closed. Once only.
     *
     * @return the port
     * @throws IOException if it can't listen there
     */
    public int listen(Door door) throws IOException {
        ServerSocket listener = new ServerSocket();
        boolean listening = false;
        try {
            // Connections that an earlier server closed linger for a minute.
            listener.setReuseAddress(true);
            listener.bind(door.bind(), BACKLOG);
            boolean ignored = CongestionControl.ofListener(listener.getLocalPort(), CongestionControl.BBR);
            synchronized (lock) {
                if (closing || entrance != null) {
                    throw new IllegalStateException("a VNC server that is closed or listens already");
                }
                Thread accepting = Thread.ofVirtual().name("vnc-clients").start(() -> accept(listener, door));
                entrance = new Entrance(listener, accepting);
            }
            listening = true;
        } finally {
            if (!listening) {
                listener.close();
            }
        }
        return listener.getLocalPort();
    }

    /**
     * Serves a client in a browser, which is let in already, until it goes.
     *
     * @param client closed at the end
     */
    public void serve(WebSocketBytes client) {
        RfbConnection connection = new RfbConnection(this, client);
        if (takeIn(connection)) {
            connection.run();
        } else {
            connection.abort();
        }
    }

    /** How many look at the session now. */
    public int viewers() {
        synchronized (lock) {
            return viewing.size();
        }
    }

    /** @param action from now on run each time that the last viewer has left, on a thread of this server's that it may hold up; not when this is closed */
    public void onLastViewerLeft(Runnable action) {
        synchronized (lock) {
            lastViewerLeft = action;
        }
    }

    /** Tells clients, as far as they can show it, and those that come later, another name of the session. */
    public void tellName(String newName) {
        List<RfbConnection> told;
        synchronized (lock) {
            name = newName;
            told = new ArrayList<>(viewing);
        }
        for (RfbConnection connection : told) {
            connection.tellName(newName);
        }
    }

    /**
     * Lets all clients go at once, as RFB has no words for why; waits for a second at most until nothing of theirs is there any more. The port
     * is free then.
     */
    @Override
    public void close() {
        Entrance open;
        synchronized (lock) {
            closing = true;
            open = entrance;
        }
        if (open != null) {
            closeQuietly(open.listener());
        }
        boolean interrupted = false;
        synchronized (lock) {
            for (RfbConnection connection : connections) {
                connection.abort();
            }
            long until = System.nanoTime() + CLOSE_MILLIS_MAX * 1_000_000;
            while (!connections.isEmpty() && !interrupted) {
                long millis = (until - System.nanoTime()) / 1_000_000;
                if (millis <= 0) {
                    break;
                }
                try {
                    lock.wait(millis);
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        }
        if (open != null) {
            try {
                boolean ignored = interrupted || open.accepting().join(Duration.ofMillis(CLOSE_MILLIS_MAX));
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    // ---- Connections

    private void accept(ServerSocket listener, Door door) {
        while (true) {
            try {
                RfbConnection connection = new RfbConnection(this, listener.accept(), door);
                if (takeIn(connection)) {
                    // Of the system's, not a virtual one, as in ViewerServer.
                    Thread.ofPlatform().daemon().name("vnc-client").start(connection::run);
                } else {
                    connection.abort();
                }
            } catch (IOException e) {
                if (listener.isClosed()) {
                    return;
                }
                // Out of descriptors, most likely: others may be given back.
                log("a VNC client could not be let in: " + e.getMessage());
                try {
                    Thread.sleep(ACCEPT_AGAIN_MILLIS);
                } catch (InterruptedException interrupted) {
                    return;
                }
            }
        }
    }

    private boolean takeIn(RfbConnection connection) {
        synchronized (lock) {
            return !closing && connections.add(connection);
        }
    }

    // ---- What connections ask

    /**
     * Lets one in that knows a password.
     *
     * @param exclusive whether all others are to go (RFC 6143 §7.3.1)
     * @return false if there are too many
     */
    boolean admit(RfbConnection connection, boolean exclusive) {
        synchronized (lock) {
            if (closing || (!exclusive && viewing.size() >= VIEWERS_MAX)) {
                return false;
            }
            if (exclusive) {
                for (RfbConnection other : viewing) {
                    other.abort();
                }
            }
            viewing.add(connection);
            return true;
        }
    }

    void connectionEnded(RfbConnection connection) {
        Runnable action = () -> {};
        synchronized (lock) {
            connections.remove(connection);
            lock.notifyAll();
            if (viewing.remove(connection) && viewing.isEmpty() && !closing) {
                action = lastViewerLeft;
            }
        }
        action.run();
    }

    WrongGuesses wrongGuesses() {
        return wrongGuesses;
    }

    Display display() throws IOException {
        return displays.display();
    }

    String name() {
        synchronized (lock) {
            return name;
        }
    }

    void log(String line) {
        log.accept(line);
    }

    static void closeQuietly(AutoCloseable socket) {
        try {
            socket.close();
        } catch (Exception e) {
            // There is nothing left to be lost.
        }
    }
}
