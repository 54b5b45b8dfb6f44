package dev.satchel.linux.crypto;

import dev.satchel.linux.Libc;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;

/** SHA-1 (FIPS 180-4), for protocols that name it where no security rests on it, as the handshake of WebSockets does. Thread-safe. */
public final class Sha1 {
    /** Length of a hash. */
    public static final int BYTES = 20;

    private static final MemorySegment SHA1 = OpenSsl.function("SHA1");

    private Sha1() {}

    /** Puts the hash of {@code message} into {@code hash}, which has 20 bytes; both are native memory. */
    public static void hash(MemorySegment message, MemorySegment hash) {
        OpenSsl.requireNative(message);
        OpenSsl.requireSize(hash, BYTES, "a hash");
        try {
            OpenSsl.nonNull(Libc.call(SHA1, message.address(), message.byteSize(), hash.address()), "SHA1");
        } finally {
            Reference.reachabilityFence(message);
            Reference.reachabilityFence(hash);
        }
    }
}
