package dev.satchel.vault;

import dev.satchel.linux.crypto.SecureRandom;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Random bytes on the heap, for names and salts; keys never come this way. */
final class RandomBytes {
    private RandomBytes() {}

    static byte[] of(int count) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(count);
            SecureRandom.fill(bytes);
            return Bytes.copy(bytes);
        }
    }
}
