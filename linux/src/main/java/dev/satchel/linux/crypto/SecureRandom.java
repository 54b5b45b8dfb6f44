package dev.satchel.linux.crypto;

import dev.satchel.linux.Libc;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;

/** OpenSSL's cryptographic random source, RAND_bytes(3), seeded by the kernel. Thread-safe. */
public final class SecureRandom {
    private static final MemorySegment RAND_BYTES = OpenSsl.function("RAND_bytes");

    private SecureRandom() {}

    /** Fills native memory of at most 2³¹ − 1 bytes with random bytes. */
    public static void fill(MemorySegment target) {
        OpenSsl.requireNative(target);
        if (target.byteSize() > Integer.MAX_VALUE) {
            throw new IllegalArgumentException(target.byteSize() + " random bytes at once");
        }
        try {
            OpenSsl.check(Libc.call(RAND_BYTES, target.address(), target.byteSize()), "RAND_bytes");
        } finally {
            Reference.reachabilityFence(target);
        }
    }
}
