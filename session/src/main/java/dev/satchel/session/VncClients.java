package dev.satchel.session;

import dev.satchel.display.rfb.RfbServer;
import dev.satchel.display.web.DisplaySource;
import dev.satchel.display.web.TlsIdentity;
import dev.satchel.display.web.WebSocketBytes;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The VNC clients of a running session. Nothing listens for them until somebody asks how to connect; from then on it is the same port and the
 * same passwords as long as the session runs on this host, and after it was suspended and resumed here. Thread-safe.
 */
final class VncClients implements AutoCloseable {
    private static final String CERTIFICATE = "viewer.pem";
    private static final String USER = "satchel";

    private final String session;
    private final Path state;
    private final DisplaySource displays;
    private final Runnable lastLeft;

    private @Nullable RfbServer server;
    private RfbServer.@Nullable Passwords passwords;
    private int port;
    private @Nullable TlsIdentity identity;
    private boolean closed;

    /**
     * @param state this host's, where its certificate is kept
     * @param lastLeft run each time that the last one has left
     */
    VncClients(String session, Path state, DisplaySource displays, Runnable lastLeft) {
        this.session = session;
        this.state = state;
        this.displays = displays;
        this.lastLeft = lastLeft;
    }

    private synchronized RfbServer server() throws IOException {
        if (closed) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    "'" + session + "' is just ending here: see with 'satchel ls' what became of it");
        }
        RfbServer there = server;
        if (there == null) {
            there = new RfbServer(session, displays, line -> System.err.println("satchel: " + line));
            there.onLastViewerLeft(lastLeft);
            server = there;
        }
        return there;
    }

    /** Serves one that came to the port of browsers, until it goes. */
    void serve(WebSocketBytes client) {
        RfbServer there;
        try {
            there = server();
        } catch (IOException e) {
            return; // it has come too late; whoever called closes it
        }
        there.serve(client);
    }

    /**
     * Begins to listen, unless something does already.
     *
     * @param control whether who is told may do everything, or only look
     * @param webSocketUrl for clients in browsers
     */
    synchronized VncAccess open(boolean control, String webSocketUrl) throws IOException {
        TlsIdentity certificate = identity();
        RfbServer.Passwords known = passwords;
        if (known == null) {
            known = RfbServer.Passwords.random();
            listen(0, known);
        }
        return new VncAccess(
                InetAddress.getLoopbackAddress().getHostAddress(),
                port,
                USER,
                control ? known.control() : known.look().orElseThrow(),
                certificate.fingerprint(),
                certificateFile(certificate).toString(),
                webSocketUrl);
    }

    private synchronized void listen(int at, RfbServer.Passwords known) throws IOException {
        port = server().listen(new RfbServer.Door(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), at), Optional.of(this::identity), known));
        passwords = known;
    }

    private synchronized TlsIdentity identity() throws IOException {
        TlsIdentity there = identity;
        if (there == null) {
            there = TlsIdentity.own(state, HostNames.all());
            identity = there;
        }
        return there;
    }

    /** What clients are to trust; not secret. */
    private Path certificateFile(TlsIdentity certificate) throws IOException {
        Path file = state.resolve(CERTIFICATE);
        String pem = certificate.pem();
        if (!Files.exists(file) || !Files.readString(file).equals(pem)) {
            Path fresh = Files.createTempFile(state, "viewer-", ".pem");
            Files.writeString(fresh, pem);
            Files.setPosixFilePermissions(fresh, PosixFilePermissions.fromString("rw-r--r--"));
            Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
        }
        return file;
    }

    /** What lets clients in here, a line that is as secret as the passwords, for {@link #reopen} of the session's next; empty if nothing listens. */
    synchronized Optional<String> kept() {
        RfbServer.Passwords known = passwords;
        return known == null
                ? Optional.empty()
                : Optional.of(port + " " + known.control() + " " + known.look().orElseThrow());
    }

    /** Listens where an earlier one did and lets in whom it did, if the port is free: whoever has it otherwise must not be sent what they know. */
    synchronized void reopen(String kept) {
        String[] words = kept.split(" ", -1);
        if (words.length != 3) {
            return; // another version's
        }
        try {
            listen(Integer.parseInt(words[0]), new RfbServer.Passwords(words[1], Optional.of(words[2])));
        } catch (IOException | NumberFormatException e) {
            System.err.println("satchel: VNC clients of '" + session + "' can't come back to port " + words[0] + ": "
                    + e.getMessage() + ": 'satchel view --vnc " + session + "' opens another");
        }
    }

    /** How many look at the session now. */
    int viewers() {
        RfbServer there = present();
        return there == null ? 0 : there.viewers();
    }

    /** Tells clients what the session does, in the only place that they have for it. */
    void tellName(String name) {
        RfbServer there = present();
        if (there != null) {
            there.tellName(name);
        }
    }

    private synchronized @Nullable RfbServer present() {
        return server;
    }

    @Override
    public void close() {
        RfbServer there;
        synchronized (this) {
            closed = true;
            there = server;
        }
        if (there != null) {
            there.close();
        }
    }
}
