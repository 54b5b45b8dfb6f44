package dev.satchel.vault;

import java.io.IOException;
import java.lang.foreign.MemorySegment;

/**
 * A batch of chunks being stored. Thread-safe: the callers bring the parallelism, and each call does its hashing,
 * compressing and sealing on its own thread. Chunks can be read once they are committed.
 *
 * <p>When a method throws {@link IOException} the batch is lost: only {@link #close} may follow.
 */
public interface ChunkWriter extends AutoCloseable {
    /**
     * Stores a chunk, unless the vault has it. Does not keep {@code plaintext} after it returns. A chunk of zeros is
     * stored like any other: callers that want holes tell them apart.
     *
     * @param plaintext 1 to {@link ChunkRef#LENGTH_MAX} bytes of native memory, not changing during the call
     * @throws VaultFullException when the device is full
     */
    ChunkRef put(MemorySegment plaintext) throws IOException;

    /**
     * What {@link #put} of this content would return; stores nothing.
     *
     * @param plaintext as there
     */
    ChunkRef refTo(MemorySegment plaintext) throws IOException;

    /**
     * Whether this writer's domain or this batch has the chunk already. If so it counts as {@link #put}, and is as durable as after that.
     */
    boolean has(ChunkRef ref) throws IOException;

    /**
     * Makes every chunk whose {@link #put} has returned durable and readable. May be called again after more puts; while
     * it runs, no other thread may call put.
     *
     * @return what the batch has done since it was made
     */
    WriteStats commit() throws IOException;

    /** Discards what was put since the last commit. Idempotent. */
    @Override
    void close() throws IOException;
}
