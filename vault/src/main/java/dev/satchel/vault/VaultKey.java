package dev.satchel.vault;

import dev.satchel.linux.crypto.SecretBytes;
import java.lang.foreign.MemorySegment;

/**
 * The 32 bytes that open everything in one vault. Held off the heap, locked in memory, overwritten on {@link #close}.
 * Thread-safe while open.
 */
public final class VaultKey implements AutoCloseable {
    /** Length in bytes. */
    public static final int BYTES = 32;

    private final SecretBytes secret;

    VaultKey(SecretBytes secret) {
        this.secret = secret;
    }

    /**
     * The key in {@code source}, e.g. from the kernel's keyring; copies it. The caller overwrites its own.
     *
     * @throws IllegalArgumentException when it is not 32 bytes
     */
    public static VaultKey fromBytes(MemorySegment source) {
        if (source.byteSize() != BYTES) {
            throw new IllegalArgumentException("a vault key has " + BYTES + " bytes, not " + source.byteSize());
        }
        return new VaultKey(SecretBytes.copyOf(source));
    }

    /** Copies the key into the first 32 bytes of {@code target}, e.g. for the kernel's keyring; the caller overwrites it. */
    public void export(MemorySegment target) {
        MemorySegment.copy(secret.segment(), 0, target, 0, BYTES);
    }

    SecretBytes secret() {
        return secret;
    }

    @Override
    public void close() {
        secret.close();
    }
}
