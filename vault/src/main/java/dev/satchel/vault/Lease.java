package dev.satchel.vault;

import java.io.IOException;

/**
 * The right to change one session, held by one host at a time. Obtained from {@link Vault#acquire}; thread-safe. It does
 * not run out by time: a host that died keeps it until somebody takes it over. To be closed before its vault.
 */
public final class Lease implements AutoCloseable {
    private final Vault vault;
    private final SessionId session;
    private final LeaseHolder holder;

    /** The stored lease, which no other is equal to: it has a random salt. */
    private final byte[] stored;

    private volatile boolean closed;

    Lease(Vault vault, SessionId session, LeaseHolder holder, byte[] stored) {
        this.vault = vault;
        this.session = session;
        this.holder = holder;
        this.stored = stored;
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
        return !closed && vault.holds(session, stored);
    }

    /** Whether somebody has taken it over: for certain, while a vault that is not there just now leaves it open. Reads the vault. */
    public boolean takenOver() throws IOException {
        return !closed && vault.takenOver(session, stored);
    }

    /** Gives it back, durably; does nothing when it was taken over or is closed. */
    @Override
    public void close() throws IOException {
        if (!closed) {
            closed = true;
            vault.release(session, holder, stored);
        }
    }
}
