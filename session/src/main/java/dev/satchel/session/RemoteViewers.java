package dev.satchel.session;

import dev.satchel.display.web.Api;
import dev.satchel.display.web.DisplaySource;
import dev.satchel.display.web.Doorway;
import dev.satchel.display.web.TlsIdentity;
import dev.satchel.display.web.ViewerServer;
import dev.satchel.display.web.WebSocketBytes;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The browsers on other computers that look at a running session, by TLS. Nothing listens for them until somebody asks for it, at an address of
 * their choice; from then on it does as long as the session runs on this host, and after it was suspended and resumed here. Thread-safe.
 */
final class RemoteViewers implements AutoCloseable {
    /** Between the parts of {@link #kept}: no path and no address has it. */
    private static final String SEPARATOR = "\t";

    private final String session;
    private final Path state;
    private final DisplaySource displays;
    private final Api api;
    private final Runnable lastLeft;
    private @Nullable Consumer<WebSocketBytes> vncClients;

    private @Nullable ViewerServer server;
    private @Nullable ListenAddress address;
    private @Nullable CertificateFiles certificate;
    private String fingerprint = "";
    private boolean closed;

    /**
     * @param state this host's, where its certificate is kept
     * @param lastLeft run each time that the last one has left
     */
    RemoteViewers(String session, Path state, DisplaySource displays, Api api, Runnable lastLeft) {
        this.session = session;
        this.state = state;
        this.displays = displays;
        this.api = api;
        this.lastLeft = lastLeft;
    }

    /** @param served given VNC clients in browsers, wherever is listened from now on; see {@link ViewerServer#onVncClient} */
    synchronized void onVncClient(Consumer<WebSocketBytes> served) {
        vncClients = served;
    }

    /** Begins to listen there, in the place of where it did; does nothing if it does already, with that certificate. */
    synchronized RemoteAccess open(ListenAddress wanted, Optional<CertificateFiles> given, boolean control)
            throws IOException {
        ViewerServer there = server;
        if (there == null
                || !wanted.equals(address)
                || !Optional.ofNullable(certificate).equals(given)) {
            InetSocketAddress bind = wanted.resolved();
            TlsIdentity identity = identity(given);
            // Not before: what was wrongly asked for ends nothing.
            close(there);
            there = listen(wanted, bind, given, identity, Optional.empty());
        }
        return new RemoteAccess(there.link(control), fingerprint, given.isEmpty());
    }

    private TlsIdentity identity(Optional<CertificateFiles> given) throws IOException {
        return given.isPresent()
                ? TlsIdentity.pem(given.get().chain(), given.get().key())
                : TlsIdentity.own(state, HostNames.all());
    }

    private ViewerServer listen(
            ListenAddress wanted,
            InetSocketAddress bind,
            Optional<CertificateFiles> given,
            TlsIdentity identity,
            Optional<Doorway> earlier)
            throws IOException {
        if (closed) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    "'" + session + "' is just ending here: see with 'satchel ls' what became of it");
        }
        ViewerServer opened;
        try {
            opened = new ViewerServer(
                    ViewerServer.Settings.loopback(session)
                            .at(bind, HostNames.forLinks(wanted, bind), identity)
                            .after(earlier),
                    displays,
                    api);
        } catch (IOException e) {
            throw new IOException("can't listen at " + wanted + ": " + e.getMessage(), e);
        }
        opened.onLastViewerLeft(lastLeft);
        Consumer<WebSocketBytes> served = vncClients;
        if (served != null) {
            opened.onVncClient(served);
        }
        server = opened;
        address = wanted;
        certificate = given.orElse(null);
        fingerprint = identity.fingerprint();
        return opened;
    }

    /** Listens no more. @return whether it did */
    synchronized boolean shut() {
        ViewerServer there = server;
        close(there);
        return there != null;
    }

    private void close(@Nullable ViewerServer there) {
        server = null;
        address = null;
        certificate = null;
        if (there != null) {
            there.close();
        }
    }

    /** What lets browsers in, a line that is as secret as the links, for {@link #reopen} of the session's next; empty if nothing listens. */
    synchronized String kept() {
        ViewerServer there = server;
        ListenAddress where = address;
        if (there == null || where == null) {
            return "";
        }
        CertificateFiles given = certificate;
        String line = where + SEPARATOR + there.doorway().toText();
        return given == null ? line : line + SEPARATOR + given.chain() + SEPARATOR + given.key();
    }

    /** Listens where an earlier one did and lets in whom it did, if that can be. */
    synchronized void reopen(String kept) {
        String[] parts = kept.split(SEPARATOR, -1);
        if (parts.length != 2 && parts.length != 4) {
            return; // nothing, or another version's
        }
        try {
            ListenAddress where = ListenAddress.parse(parts[0]);
            Optional<CertificateFiles> given = parts.length == 4
                    ? Optional.of(new CertificateFiles(Path.of(parts[2]), Path.of(parts[3])))
                    : Optional.empty();
            ViewerServer ignored = listen(where, where.resolved(), given, identity(given), Doorway.of(parts[1]));
        } catch (IOException | IllegalArgumentException e) {
            System.err.println("satchel: browsers elsewhere can't come back to '" + session + "': " + e.getMessage()
                    + ": 'satchel view " + session + " --listen " + parts[0] + "' tries again");
        }
    }

    /** How many look at the session now. */
    int viewers() {
        ViewerServer there = present();
        return there == null ? 0 : there.viewers();
    }

    /** See {@link ViewerServer#viewedWithin}. */
    boolean viewedWithin(long millis) {
        ViewerServer there = present();
        return there != null && there.viewedWithin(millis);
    }

    /** See {@link ViewerServer#tellState}. */
    void tellState(int newState, String text) {
        ViewerServer there = present();
        if (there != null) {
            there.tellState(newState, text);
        }
    }

    /** See {@link ViewerServer#displayChanged}. */
    void displayChanged() {
        ViewerServer there = present();
        if (there != null) {
            there.displayChanged();
        }
    }

    private synchronized @Nullable ViewerServer present() {
        return server;
    }

    @Override
    public void close() {
        ViewerServer there;
        synchronized (this) {
            closed = true;
            there = server;
            server = null;
        }
        if (there != null) {
            there.close();
        }
    }
}
