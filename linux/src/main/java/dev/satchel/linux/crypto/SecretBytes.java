package dev.satchel.linux.crypto;

import java.lang.foreign.MemorySegment;

/**
 * A secret outside the Java heap: not swapped, not in core dumps, overwritten on {@link #close}. May be read by many
 * threads; the owner sees to it that none does at and after close.
 */
public final class SecretBytes implements AutoCloseable {
    private SecretBytes() {}

    /** {@code size} zero bytes; 1 to 4096. */
    public static SecretBytes allocate(long size) {
        throw new UnsupportedOperationException();
    }

    /** A copy; the caller overwrites its own. */
    public static SecretBytes copyOf(MemorySegment source) {
        throw new UnsupportedOperationException();
    }

    /** {@code size} random bytes. */
    public static SecretBytes random(long size) {
        throw new UnsupportedOperationException();
    }

    /** The bytes themselves; not to be used after {@link #close}. */
    public MemorySegment segment() {
        throw new UnsupportedOperationException();
    }

    @Override
    public void close() {}
}
