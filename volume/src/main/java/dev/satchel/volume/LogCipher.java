package dev.satchel.volume;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import dev.satchel.linux.crypto.AesGcm;
import dev.satchel.linux.crypto.SecretBytes;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/**
 * Seals and opens pieces of log segments: AES-256-GCM, the nonce being the kind of piece (4 bytes) and its offset in the
 * segment (8 bytes, both big-endian). A segment has a key of its own, and no offset of it is written twice, so no nonce is.
 * As the nonce says the place, a piece moved to another place is not authentic.
 *
 * <p>For one thread at a time; many may use the same key.
 */
final class LogCipher implements AutoCloseable {
    static final int HEADER = 1;
    static final int STATE = 2;
    static final int BLOCK = 3;

    private static final ValueLayout.OfInt INT = JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final ValueLayout.OfLong LONG = JAVA_LONG_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    private @Nullable SecretBytes last;
    private final AesGcm gcm = new AesGcm();
    private final Arena arena = Arena.ofShared();
    private final MemorySegment nonce = arena.allocate(AesGcm.NONCE_BYTES, 8);

    void seal(SecretBytes key, int kind, long offset, MemorySegment plaintext, MemorySegment sealed) {
        nonce.set(INT, 0, kind);
        nonce.set(LONG, 4, offset);
        gcm.seal(scheduled(key), nonce, MemorySegment.NULL, plaintext, sealed);
    }

    /** Returns whether it is what was sealed at that offset; the plaintext is undefined if not. */
    boolean open(SecretBytes key, int kind, long offset, MemorySegment sealed, MemorySegment plaintext) {
        nonce.set(INT, 0, kind);
        nonce.set(LONG, 4, offset);
        return gcm.open(scheduled(key), nonce, MemorySegment.NULL, sealed, plaintext);
    }

    /** Blocks come in runs of one segment: its key is scheduled once for all of them. */
    @SuppressWarnings("ReferenceEquality") // another segment's key is another object
    private MemorySegment scheduled(SecretBytes key) {
        if (key == last) {
            return MemorySegment.NULL;
        }
        last = key;
        return key.segment();
    }

    @Override
    public void close() {
        gcm.close();
        arena.close();
    }
}
