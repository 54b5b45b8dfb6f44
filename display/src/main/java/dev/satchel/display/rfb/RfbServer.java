package dev.satchel.display.rfb;

import dev.satchel.display.Display;
import dev.satchel.display.web.DisplaySource;
import dev.satchel.display.web.TlsIdentity;
import dev.satchel.display.web.WrongGuesses;
import dev.satchel.linux.crypto.SecureRandom;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Supplier;

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
     * What a server is like.
     *
     * @param bind where it listens; port 0: any that is free. Anything but loopback needs {@code tls}
     * @param name of the session, told to clients
     * @param tls if there is one, clients from other hosts must encrypt, and those from this one may
     * @param log takes what went wrong and nobody else is told, a line each
     */
    public record Settings(InetSocketAddress bind, String name, Optional<TlsIdentity> tls, Consumer<String> log) {
        public Settings {
            if (tls.isEmpty() && !bind.getAddress().isLoopbackAddress()) {
                throw new IllegalArgumentException("VNC clients at " + bind + " without TLS");
            }
        }
    }

    /**
     * Who is let in. Of passwords the first eight characters count, and only those of Latin-1 (RFC 6143 §7.2.2).
     *
     * @param control of who may do everything
     * @param look of who may only look
     */
    public record Passwords(String control, Optional<String> look) {
        /** No letters and digits that look alike. */
        private static final String CHARACTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

        public Passwords {
            if (control.isEmpty() || (look.isPresent() && look.get().isEmpty())) {
                throw new IllegalArgumentException("a VNC password is empty");
            }
        }

        /** Passwords that nobody knows yet, of 46 bits each. */
        public static Passwords random() {
            return new Passwords(one(), Optional.of(one()));
        }

        private static String one() {
            StringBuilder password = new StringBuilder();
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment random = arena.allocate(1);
                while (password.length() < VncAuthentication.PASSWORD_LENGTH_MAX) {
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

    private final Settings settings;
    private final DisplaySource displays;
    private final Supplier<Passwords> passwords;
    private final WrongGuesses wrongGuesses = new WrongGuesses();
    private final ServerSocket listener;

    /** The lock for all that follows. */
    private final Object lock = new Object();

    private final Set<RfbConnection> connections = new HashSet<>();
    private final Set<RfbConnection> viewing = new HashSet<>();
    private boolean closing;
    private String name;
    private Runnable lastViewerLeft = () -> {};

    /**
     * Begins to serve.
     *
     * @param displays asked whenever a client comes
     * @param passwords asked whenever a client offers one
     * @throws IOException if it can't listen there
     */
    public RfbServer(Settings settings, DisplaySource displays, Supplier<Passwords> passwords) throws IOException {
        this.settings = settings;
        this.displays = displays;
        this.passwords = passwords;
        this.name = settings.name();
        this.listener = new ServerSocket();
        boolean listening = false;
        try {
            listener.bind(settings.bind(), BACKLOG);
            listening = true;
        } finally {
            if (!listening) {
                listener.close();
            }
        }
        Thread.ofVirtual().name("vnc-clients").start(this::accept);
    }

    public int port() {
        return listener.getLocalPort();
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

    /** Lets all clients go at once, as RFB has no words for why; waits for a second at most until nothing of theirs is there any more. */
    @Override
    public void close() {
        closeQuietly(listener);
        synchronized (lock) {
            closing = true;
            for (RfbConnection connection : connections) {
                connection.abort();
            }
            long until = System.nanoTime() + CLOSE_MILLIS_MAX * 1_000_000;
            while (!connections.isEmpty()) {
                long millis = (until - System.nanoTime()) / 1_000_000;
                if (millis <= 0) {
                    break;
                }
                try {
                    lock.wait(millis);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    break;
                }
            }
        }
    }

    // ---- Connections

    private void accept() {
        while (true) {
            try {
                Socket socket = listener.accept();
                RfbConnection connection = new RfbConnection(this, socket);
                if (takeIn(connection)) {
                    Thread.ofVirtual().name("vnc-client").start(connection::run);
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

    /** Makes room for it: whoever can connect must not be able to keep others out by just that. */
    private boolean takeIn(RfbConnection connection) {
        synchronized (lock) {
            if (closing) {
                return false;
            }
            if (connections.size() >= CONNECTIONS_MAX) {
                RfbConnection oldest = null;
                for (RfbConnection other : connections) {
                    if (!other.isAdmitted() && (oldest == null || other.sinceNanos() - oldest.sinceNanos() < 0)) {
                        oldest = other;
                    }
                }
                if (oldest == null) {
                    return false;
                }
                oldest.abort();
                connections.remove(oldest);
            }
            connections.add(connection);
            return true;
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

    boolean isSecure() {
        return settings.tls().isPresent();
    }

    Socket secured(Socket raw, int millisMax) throws IOException {
        return settings.tls()
                .orElseThrow(() -> new IllegalStateException("no certificate"))
                .accept(raw, millisMax);
    }

    WrongGuesses wrongGuesses() {
        return wrongGuesses;
    }

    Passwords passwords() {
        return passwords.get();
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
        settings.log().accept(line);
    }

    static void closeQuietly(AutoCloseable socket) {
        try {
            socket.close();
        } catch (Exception e) {
            // There is nothing left to be lost.
        }
    }
}
