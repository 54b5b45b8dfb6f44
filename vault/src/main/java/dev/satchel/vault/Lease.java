package dev.satchel.vault;

import java.io.IOException;

/**
 * The right to change one session, held by one host at a time. Obtained from {@link Vault#acquire}; thread-safe. It does
 * not run out by time: a host that died keeps it until somebody takes it over.
 */
public final class Lease implements AutoCloseable {
    private final SessionId session;
    private final LeaseHolder holder;

    Lease(SessionId session, LeaseHolder holder) {
        this.session = session;
        this.holder = holder;
    }

    /** The session it is for. */
    public SessionId session() {
        return session;
    }

    /** Who holds it: this host. */
    public LeaseHolder holder() {
        return holder;
    }

    /** Whether nobody has taken it over; reads the vault. False after {@link #close}. */
    public boolean stillHeld() throws IOException {
        return Unfinished.here();
    }

    /** Gives it back, durably; does nothing when it was taken over or is closed. */
    @Override
    public void close() throws IOException {
        Unfinished.here();
    }
}
