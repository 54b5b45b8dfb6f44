package dev.satchel.vault;

import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.MemorySegment;

/** An object being written piece by piece, not visible before {@link #commit}. One thread at a time. */
public interface PackFile extends Closeable {
    /**
     * Appends all of {@code bytes} (native memory).
     *
     * @throws VaultFullException when the device is full; only {@link #close} may follow
     */
    void append(MemorySegment bytes) throws IOException;

    /** Bytes appended so far. */
    long size();

    /** Makes it an object: durable and visible under {@code name} on return. Only {@link #close} may follow. */
    void commit(String name) throws IOException;

    /** Without a commit: throws what was written away. Idempotent. */
    @Override
    void close() throws IOException;
}
