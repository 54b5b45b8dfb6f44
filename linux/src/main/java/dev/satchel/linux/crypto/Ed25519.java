package dev.satchel.linux.crypto;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.satchel.linux.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;

/**
 * A key of Ed25519 (RFC 8032), to sign with or only to verify with. Thread-safe while open. All segments are native
 * memory.
 */
public final class Ed25519 implements AutoCloseable {
    /** Length of a private key (the seed) and of a public key. */
    public static final int KEY_BYTES = 32;

    /** Length of a signature. */
    public static final int SIGNATURE_BYTES = 64;

    private static final int EVP_PKEY_ED25519 = 1087;
    private static final MemorySegment CTX_NEW = OpenSsl.function("EVP_MD_CTX_new");
    private static final MemorySegment CTX_FREE = OpenSsl.function("EVP_MD_CTX_free");
    private static final MemorySegment SIGN_INIT = OpenSsl.function("EVP_DigestSignInit");
    private static final MemorySegment SIGN = OpenSsl.function("EVP_DigestSign");
    private static final MemorySegment VERIFY_INIT = OpenSsl.function("EVP_DigestVerifyInit");
    private static final MemorySegment VERIFY = OpenSsl.function("EVP_DigestVerify");
    private static final MemorySegment PUBLIC_KEY = OpenSsl.function("EVP_PKEY_get_raw_public_key");
    private static final MemorySegment KEY_FREE = OpenSsl.function("EVP_PKEY_free");

    private final long key;
    private volatile boolean closed;

    private Ed25519(long key) {
        this.key = key;
    }

    /** The key with that 32-byte seed, which is copied. */
    public static Ed25519 fromPrivateKey(MemorySegment seed) {
        return make("EVP_PKEY_new_raw_private_key", seed);
    }

    /** A key that only verifies. */
    public static Ed25519 fromPublicKey(MemorySegment publicKey) {
        return make("EVP_PKEY_new_raw_public_key", publicKey);
    }

    private static Ed25519 make(String function, MemorySegment raw) {
        OpenSsl.requireSize(raw, KEY_BYTES, "a key");
        try {
            return new Ed25519(OpenSsl.nonNull(
                    Libc.call(OpenSsl.function(function), EVP_PKEY_ED25519, 0, raw.address(), KEY_BYTES), function));
        } finally {
            Reference.reachabilityFence(raw);
        }
    }

    /** Puts the public key into {@code target}, which has 32 bytes. */
    public void publicKey(MemorySegment target) {
        OpenSsl.requireSize(target, KEY_BYTES, "a key");
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment length = arena.allocate(JAVA_LONG);
            length.set(JAVA_LONG, 0, KEY_BYTES);
            OpenSsl.check(
                    Libc.call(PUBLIC_KEY, open(), target.address(), length.address()), "EVP_PKEY_get_raw_public_key");
        } finally {
            Reference.reachabilityFence(target);
        }
    }

    /** Puts the signature of {@code message} into {@code signature}, which has 64 bytes. Needs the private key. */
    public void sign(MemorySegment message, MemorySegment signature) {
        OpenSsl.requireNative(message);
        OpenSsl.requireSize(signature, SIGNATURE_BYTES, "a signature");
        long context = OpenSsl.nonNull(Libc.call(CTX_NEW), "EVP_MD_CTX_new");
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment length = arena.allocate(JAVA_LONG);
            length.set(JAVA_LONG, 0, SIGNATURE_BYTES);
            OpenSsl.check(Libc.call(SIGN_INIT, context, 0, 0, 0, open()), "EVP_DigestSignInit");
            OpenSsl.check(
                    Libc.call(
                            SIGN,
                            context,
                            signature.address(),
                            length.address(),
                            message.address(),
                            message.byteSize()),
                    "EVP_DigestSign");
        } finally {
            Libc.call(CTX_FREE, context);
            Reference.reachabilityFence(message);
            Reference.reachabilityFence(signature);
        }
    }

    /** Whether {@code signature} is this key's for {@code message}. */
    public boolean verify(MemorySegment message, MemorySegment signature) {
        OpenSsl.requireNative(message);
        OpenSsl.requireSize(signature, SIGNATURE_BYTES, "a signature");
        long context = OpenSsl.nonNull(Libc.call(CTX_NEW), "EVP_MD_CTX_new");
        try {
            OpenSsl.check(Libc.call(VERIFY_INIT, context, 0, 0, 0, open()), "EVP_DigestVerifyInit");
            int result = (int) Libc.call(
                    VERIFY, context, signature.address(), SIGNATURE_BYTES, message.address(), message.byteSize());
            if (result != 1) {
                OpenSsl.clearErrors();
            }
            return result == 1;
        } finally {
            Libc.call(CTX_FREE, context);
            Reference.reachabilityFence(message);
            Reference.reachabilityFence(signature);
        }
    }

    private long open() {
        if (closed) {
            throw new IllegalStateException("this key has been closed");
        }
        return key;
    }

    /** Frees the key, which overwrites it; the second time does nothing. No other thread may be using it. */
    @Override
    public void close() {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
        }
        Libc.call(KEY_FREE, key);
    }
}
