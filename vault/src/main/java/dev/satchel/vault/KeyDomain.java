package dev.satchel.vault;

import dev.satchel.linux.crypto.SecretBytes;

/**
 * Keys that chunks are named and sealed under: one 32-byte secret, from which the id key and the key that wraps the
 * packs' keys are derived. A vault has one of its own; each image has another, which any number of vaults may hold.
 * Thread-safe while open; {@link #close} overwrites the keys.
 */
public final class KeyDomain implements AutoCloseable {
    private final KeyDomainId id;
    private final SecretBytes secret;

    KeyDomain(KeyDomainId id, SecretBytes secret) {
        this.id = id;
        this.secret = secret;
    }

    /** A new one with random keys. */
    public static KeyDomain random() {
        return Unfinished.here();
    }

    /** Its name. */
    public KeyDomainId id() {
        return id;
    }

    @Override
    public void close() {
        secret.close();
    }
}
