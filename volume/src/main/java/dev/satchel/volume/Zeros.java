package dev.satchel.volume;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Tells zeros from data. */
final class Zeros {
    private static final MemorySegment BLOCK = Arena.global().allocate(Geometry.BLOCK_BYTES, 64);

    private Zeros() {}

    /** @param bytes a multiple of 4 KiB of them */
    static boolean isAllZero(MemorySegment bytes) {
        for (long at = 0; at < bytes.byteSize(); at += Geometry.BLOCK_BYTES) {
            if (MemorySegment.mismatch(bytes, at, at + Geometry.BLOCK_BYTES, BLOCK, 0, Geometry.BLOCK_BYTES) >= 0) {
                return false;
            }
        }
        return true;
    }
}
