package dev.satchel.linux.crypto;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.satchel.linux.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;

/**
 * HMAC-SHA-256 (RFC 2104) under one key. An instance is a context to be used again and again, by one thread at a time.
 * All segments are native memory.
 */
public final class HmacSha256 implements AutoCloseable {
    /** Length of a code. */
    public static final int BYTES = 32;

    private static final MemorySegment CTX_NEW = OpenSsl.function("EVP_MAC_CTX_new");
    private static final MemorySegment CTX_FREE = OpenSsl.function("EVP_MAC_CTX_free");
    private static final MemorySegment INIT = OpenSsl.function("EVP_MAC_init");
    private static final MemorySegment UPDATE = OpenSsl.function("EVP_MAC_update");
    private static final MemorySegment FINAL = OpenSsl.function("EVP_MAC_final");
    private static final int OSSL_PARAM_UTF8_STRING = 4;

    /** Fetched once and never freed. */
    private static final long MAC = fetch();

    private final long context;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment length = arena.allocate(JAVA_LONG);
    private boolean closed;

    /** Makes a context for that key, which is copied into it; 1 byte to 4 KiB. */
    public HmacSha256(MemorySegment key) {
        OpenSsl.requireNative(key);
        context = OpenSsl.nonNull(Libc.call(CTX_NEW, MAC), "EVP_MAC_CTX_new");
        try (Arena parameters = Arena.ofConfined()) {
            // OSSL_PARAM[2], openssl/core.h: key, data_type, data, data_size, return_size; ended by a null key.
            MemorySegment digest = parameters.allocateFrom("SHA256");
            MemorySegment array = parameters.allocate(2 * 40, 8);
            array.set(ADDRESS, 0, parameters.allocateFrom("digest"));
            array.set(JAVA_INT, 8, OSSL_PARAM_UTF8_STRING);
            array.set(ADDRESS, 16, digest);
            array.set(JAVA_LONG, 24, digest.byteSize() - 1);
            OpenSsl.check(
                    Libc.call(INIT, context, key.address(), key.byteSize(), array.address()), "EVP_MAC_init(SHA256)");
        } finally {
            Reference.reachabilityFence(key);
        }
    }

    private static long fetch() {
        try (Arena arena = Arena.ofConfined()) {
            return OpenSsl.nonNull(
                    Libc.call(OpenSsl.function("EVP_MAC_fetch"), 0, Libc.string(arena, "HMAC"), 0),
                    "EVP_MAC_fetch(HMAC)");
        }
    }

    /** Puts the code of {@code message} into the first 32 bytes of {@code code}. */
    public void code(MemorySegment message, MemorySegment code) {
        if (closed) {
            throw new IllegalStateException("this code has been closed");
        }
        OpenSsl.requireNative(message);
        OpenSsl.requireSize(code, BYTES, "a code");
        try {
            // Without a key: begins anew under the one it has.
            OpenSsl.check(Libc.call(INIT, context, 0, 0, 0), "EVP_MAC_init");
            OpenSsl.check(Libc.call(UPDATE, context, message.address(), message.byteSize()), "EVP_MAC_update");
            OpenSsl.check(Libc.call(FINAL, context, code.address(), length.address(), BYTES), "EVP_MAC_final");
        } finally {
            Reference.reachabilityFence(message);
            Reference.reachabilityFence(code);
        }
    }

    /**
     * The first block of HKDF-Expand (RFC 5869 §2.3) with SHA-256: a key of 32 bytes for one purpose.
     *
     * @param key the pseudorandom key, uniformly random
     * @param info says the purpose; up to 4 KiB
     */
    public static SecretBytes expand(MemorySegment key, byte[] info) {
        SecretBytes derived = SecretBytes.allocate(BYTES);
        try (Arena arena = Arena.ofConfined();
                HmacSha256 hmac = new HmacSha256(key)) {
            MemorySegment message = arena.allocate(info.length + 1);
            MemorySegment.copy(info, 0, message, JAVA_BYTE, 0, info.length);
            message.set(JAVA_BYTE, info.length, (byte) 1);
            hmac.code(message, derived.segment());
            return derived;
        }
    }

    /** Frees the context, which overwrites the key in it; the second time does nothing. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            Libc.call(CTX_FREE, context);
            arena.close();
        }
    }
}
