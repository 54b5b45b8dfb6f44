package dev.satchel.vault;

import java.lang.foreign.MemorySegment;

/**
 * Names a chunk by its content: HMAC-SHA-256 of the plaintext under the id key of a key domain.
 * Its text is 64 lower-case hex digits; the four parts are its 32 bytes, big-endian.
 */
public record ChunkId(long a, long b, long c, long d) {
    /** Length in bytes. */
    public static final int BYTES = 32;

    /**
     * Reads the text form.
     *
     * @throws IllegalArgumentException when it is not 64 hex digits
     */
    public static ChunkId parse(String hex) {
        return new ChunkId(
                Bytes.parseHex(hex, 64, 0),
                Bytes.parseHex(hex, 64, 16),
                Bytes.parseHex(hex, 64, 32),
                Bytes.parseHex(hex, 64, 48));
    }

    /** The 32 bytes of {@code segment} from {@code offset}. */
    public static ChunkId read(MemorySegment segment, long offset) {
        return new ChunkId(
                segment.get(Bytes.LONG, offset),
                segment.get(Bytes.LONG, offset + 8),
                segment.get(Bytes.LONG, offset + 16),
                segment.get(Bytes.LONG, offset + 24));
    }

    /** Puts the 32 bytes into {@code segment} from {@code offset}. */
    public void write(MemorySegment segment, long offset) {
        segment.set(Bytes.LONG, offset, a);
        segment.set(Bytes.LONG, offset + 8, b);
        segment.set(Bytes.LONG, offset + 16, c);
        segment.set(Bytes.LONG, offset + 24, d);
    }

    @Override
    public String toString() {
        return Bytes.hex(a, b, c, d);
    }
}
