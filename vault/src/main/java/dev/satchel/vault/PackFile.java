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

    /**
     * What was appended is on stable storage on return, still without a name: may be called from another thread than the
     * one that appends, before {@link #commit} or {@link Backend#commit}, which then have little left to do.
     */
    void sync() throws IOException;

    /** Makes it an object: durable and visible under {@code name} on return. Only {@link #close} may follow. */
    void commit(String name) throws IOException;

    /** Without a commit: throws what was written away. Idempotent. */
    @Override
    void close() throws IOException;
}
