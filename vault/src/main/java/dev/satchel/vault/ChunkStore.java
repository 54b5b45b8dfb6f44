package dev.satchel.vault;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** The chunks of one vault. Thread-safe; belongs to its {@link Vault} and is closed with it. */
public final class ChunkStore {
    ChunkStore() {}

    /** The domain of the vault's own chunks; not to be closed. */
    public KeyDomain ownDomain() {
        return Unfinished.here();
    }

    /** Starts a batch of chunks sealed under {@code domain}, which must stay open as long as the writer. */
    public ChunkWriter writer(KeyDomain domain) throws IOException {
        return Unfinished.here();
    }

    /**
     * Reads a whole chunk. Nothing reaches {@code target} as plaintext that is not authentic. Chunks that other
     * processes have committed since are found.
     *
     * @param target native memory of at least {@link ChunkRef#length} bytes; filled from its beginning
     * @return the chunk's length
     * @throws DamagedException when it is missing or is not what was stored; what {@code target} then holds is undefined
     */
    public int read(ChunkRef ref, MemorySegment target) throws IOException {
        return Unfinished.here();
    }

    /** Whether the vault has the chunk, as far as its indexes say. */
    public boolean contains(ChunkRef ref) throws IOException {
        return Unfinished.here();
    }

    /** Asks the backend to fetch these chunks ahead of their being read: a hint, in the order of their use. */
    public void prefetch(List<ChunkRef> refs) {}
}
