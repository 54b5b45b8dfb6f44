package dev.satchel.vault;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Memory for one sealed chunk on its way, with its header before it, as caches have it. The collector frees it: a source that hangs may hold one. */
final class ChunkBuffer {
    private static final int SCRATCH_BYTES = 128;

    /** The header and the longest sealed bytes, in units of the cache. */
    private static final int RECORD_BYTES =
            (SealedChunk.HEADER_BYTES + SealedChunk.SEALED_BYTES_MAX + HostCache.UNIT - 1)
                    / HostCache.UNIT
                    * HostCache.UNIT;

    private final MemorySegment memory = Arena.ofAuto().allocate(SCRATCH_BYTES + RECORD_BYTES, 64);

    /** 128 bytes beside. */
    MemorySegment scratch() {
        return memory.asSlice(0, SCRATCH_BYTES);
    }

    /** Header and sealed bytes. */
    MemorySegment record() {
        return memory.asSlice(SCRATCH_BYTES, RECORD_BYTES);
    }

    /** Where {@link ChunkSource#fetch} puts the sealed bytes: behind the header. */
    MemorySegment sealed() {
        return memory.asSlice(SCRATCH_BYTES + SealedChunk.HEADER_BYTES, SealedChunk.SEALED_BYTES_MAX);
    }
}
