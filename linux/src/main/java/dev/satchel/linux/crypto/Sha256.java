package dev.satchel.linux.crypto;

import dev.satchel.linux.Libc;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;

/** SHA-256 (FIPS 180-4). Thread-safe. */
public final class Sha256 {
    /** Length of a hash. */
    public static final int BYTES = 32;

    private static final MemorySegment SHA256 = OpenSsl.function("SHA256");

    private Sha256() {}

    /** Puts the hash of {@code message} into {@code hash}, which has 32 bytes; both are native memory. */
    public static void hash(MemorySegment message, MemorySegment hash) {
        OpenSsl.requireNative(message);
        OpenSsl.requireSize(hash, BYTES, "a hash");
        try {
            OpenSsl.nonNull(Libc.call(SHA256, message.address(), message.byteSize(), hash.address()), "SHA256");
        } finally {
            Reference.reachabilityFence(message);
            Reference.reachabilityFence(hash);
        }
    }
}
