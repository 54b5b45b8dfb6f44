package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.satchel.linux.crypto.HmacSha256;
import dev.satchel.linux.crypto.SecretBytes;

/**
 * Keys that chunks are named and sealed under: one 32-byte secret, from which the id key and the key that wraps the
 * packs' keys are derived. A vault has one of its own; each image has another, which any number of vaults may hold.
 * Thread-safe while open; {@link #close} overwrites the keys.
 */
public final class KeyDomain implements AutoCloseable {
    /** Length of the secret. */
    static final int SECRET_BYTES = 32;

    private final KeyDomainId id;
    private final SecretBytes secret;
    private final SecretBytes chunkIdKey;
    private final SecretBytes packWrapKey;
    private final SecretBytes indexKey;
    private volatile boolean closed;

    /** Takes the secret over. */
    KeyDomain(SecretBytes secret) {
        this.secret = secret;
        try (SecretBytes name = derive(secret, "domain id")) {
            id = new KeyDomainId(
                    name.segment().get(Bytes.LONG, 0), name.segment().get(Bytes.LONG, 8));
        }
        chunkIdKey = derive(secret, "chunk id");
        packWrapKey = derive(secret, "pack wrap");
        indexKey = derive(secret, "index");
    }

    private static SecretBytes derive(SecretBytes secret, String purpose) {
        return HmacSha256.expand(secret.segment(), ("satchel domain v1 " + purpose).getBytes(US_ASCII));
    }

    /** A new one with random keys. */
    public static KeyDomain random() {
        return new KeyDomain(SecretBytes.random(SECRET_BYTES));
    }

    /** Its name. */
    public KeyDomainId id() {
        return id;
    }

    SecretBytes secret() {
        return secret;
    }

    SecretBytes chunkIdKey() {
        return chunkIdKey;
    }

    SecretBytes packWrapKey() {
        return packWrapKey;
    }

    SecretBytes indexKey() {
        return indexKey;
    }

    boolean isClosed() {
        return closed;
    }

    @Override
    public void close() {
        closed = true;
        secret.close();
        chunkIdKey.close();
        packWrapKey.close();
        indexKey.close();
    }
}
