package dev.satchel.vault;

import java.io.IOException;

/**
 * A host's memory of the newest head that it has seen of each session, so that a vault whose head was rolled back is
 * found out. Thread-safe, and safe between processes of one host.
 */
public interface HeadWitness {
    /**
     * Checks a head that was read or is about to be written and remembers it when it is newer than what was seen;
     * remembered durably on return.
     *
     * @param vault the vault it is in
     * @param session whose head
     * @param generation its generation
     * @param hash SHA-256 of its stored form, 32 bytes
     * @throws ForgedException when a higher generation was seen, or the same with another hash
     */
    void observe(VaultId vault, SessionId session, long generation, byte[] hash) throws IOException;

    /** The newest generation that was seen of a session's head; 0 when none was. */
    default long newest(VaultId vault, SessionId session) throws IOException {
        return 0;
    }

    /**
     * Whether {@link #observe} of it would find nothing new. If not, the head must be durable before it is observed: a head that
     * a crash takes back, once it is remembered, would make this host refuse the vault for ever.
     */
    default boolean knows(VaultId vault, SessionId session, long generation, byte[] hash) throws IOException {
        return false;
    }

    /** Forgets a session that this host has deleted. */
    void forget(VaultId vault, SessionId session) throws IOException;

    /**
     * What the host has seen of another copy of the same vault, which may be behind or ahead of this one.
     *
     * @param replica which copy
     */
    default HeadWitness at(ReplicaId replica) {
        return this;
    }

    /** Whether a higher generation of a session's head was seen in another copy of the vault than this witness is for. */
    default boolean isBehind(VaultId vault, SessionId session, long generation) throws IOException {
        return false;
    }

    /** Forgets what was seen in other copies of the vault of heads of higher generations. */
    default void acceptBehind(VaultId vault, SessionId session, long generation) throws IOException {}

    /** Remembers nothing and accepts everything: for a host's first look, and for tools that run nothing. */
    HeadWitness NONE = new HeadWitness() {
        @Override
        public void observe(VaultId vault, SessionId session, long generation, byte[] hash) {}

        @Override
        public boolean knows(VaultId vault, SessionId session, long generation, byte[] hash) {
            return true;
        }

        @Override
        public void forget(VaultId vault, SessionId session) {}
    };
}
