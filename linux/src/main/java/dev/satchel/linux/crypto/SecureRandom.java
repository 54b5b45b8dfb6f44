package dev.satchel.linux.crypto;

import java.lang.foreign.MemorySegment;

/** OpenSSL's cryptographic random source, RAND_bytes(3). Thread-safe. */
public final class SecureRandom {
    private SecureRandom() {}

    /** Fills native memory with random bytes. */
    public static void fill(MemorySegment target) {
        throw new UnsupportedOperationException();
    }
}
