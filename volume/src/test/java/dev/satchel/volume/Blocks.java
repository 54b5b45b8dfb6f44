package dev.satchel.volume;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.linux.fuse.FuseFile;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Blocks that say what they are: each 8 bytes of one hold its stamp mixed with their place in it. Stamp 0: zeros. */
final class Blocks {
    static final int BYTES = Geometry.BLOCK_BYTES;

    private Blocks() {}

    static long word(long stamp, int index) {
        return stamp == 0 ? 0 : (stamp + index) * 0x9E3779B97F4A7C15L;
    }

    static void fill(MemorySegment block, long stamp) {
        for (int i = 0; i < BYTES / 8; i++) {
            block.set(ValueLayout.JAVA_LONG_UNALIGNED, i * 8L, word(stamp, i));
        }
    }

    /** Writes blocks with these stamps. */
    static void write(FuseFile volume, long block, long... stamps) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate((long) stamps.length * BYTES, 4096);
            for (int i = 0; i < stamps.length; i++) {
                fill(bytes.asSlice((long) i * BYTES, BYTES), stamps[i]);
            }
            volume.write(block * BYTES, bytes);
        }
    }

    /** The stamps of blocks; fails when one is not whole. */
    static long[] read(FuseFile volume, long block, int count) throws IOException {
        long[] stamps = new long[count];
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate((long) count * BYTES, 4096);
            bytes.fill((byte) 0x5a);
            volume.read(block * BYTES, bytes);
            for (int b = 0; b < count; b++) {
                long first = bytes.get(ValueLayout.JAVA_LONG_UNALIGNED, (long) b * BYTES);
                // The inverse of the odd multiplier modulo 2^64.
                stamps[b] = first * 0xF1DE83E19937733DL;
                for (int i = 0; i < BYTES / 8; i++) {
                    assertThat(bytes.get(ValueLayout.JAVA_LONG_UNALIGNED, (long) b * BYTES + i * 8L))
                            .as("word %d of block %d, stamp %d", i, block + b, stamps[b])
                            .isEqualTo(word(stamps[b], i));
                }
            }
        }
        return stamps;
    }
}
