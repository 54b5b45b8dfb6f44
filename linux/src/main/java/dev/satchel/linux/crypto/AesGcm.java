package dev.satchel.linux.crypto;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.satchel.linux.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;

/**
 * AES-256-GCM (NIST SP 800-38D) with 12-byte nonces and 16-byte tags. An instance is a context to be used again and
 * again, by one thread at a time; making one costs some microseconds. All segments are native memory. OpenSSL keeps the
 * expanded key in the context until the next use or {@link #close}, which overwrites it.
 */
public final class AesGcm implements AutoCloseable {
    /** Length of a key. */
    public static final int KEY_BYTES = 32;

    /** Length of a nonce. */
    public static final int NONCE_BYTES = 12;

    /** How much longer the sealed form is than the plaintext. */
    public static final int TAG_BYTES = 16;

    // openssl/evp.h
    private static final int EVP_CTRL_AEAD_GET_TAG = 0x10;
    private static final int EVP_CTRL_AEAD_SET_TAG = 0x11;
    private static final int DECRYPT = 0;
    private static final int ENCRYPT = 1;

    private static final MemorySegment CTX_NEW = OpenSsl.function("EVP_CIPHER_CTX_new");
    private static final MemorySegment CTX_FREE = OpenSsl.function("EVP_CIPHER_CTX_free");
    private static final MemorySegment CTX_CTRL = OpenSsl.function("EVP_CIPHER_CTX_ctrl");
    private static final MemorySegment INIT = OpenSsl.function("EVP_CipherInit_ex");
    private static final MemorySegment UPDATE = OpenSsl.function("EVP_CipherUpdate");
    private static final MemorySegment FINAL = OpenSsl.function("EVP_CipherFinal_ex");

    /** Fetched once and never freed: looking an algorithm up takes longer than sealing a page with it. */
    private static final long CIPHER = fetch();

    private final long context;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment length = arena.allocate(JAVA_INT);
    private boolean keyed;
    private boolean closed;

    /** Makes a context. */
    public AesGcm() {
        context = OpenSsl.nonNull(Libc.call(CTX_NEW), "EVP_CIPHER_CTX_new");
        OpenSsl.check(Libc.call(INIT, context, CIPHER, 0, 0, 0, ENCRYPT), "EVP_CipherInit_ex");
    }

    private static long fetch() {
        try (Arena arena = Arena.ofConfined()) {
            return OpenSsl.nonNull(
                    Libc.call(OpenSsl.function("EVP_CIPHER_fetch"), 0, Libc.string(arena, "AES-256-GCM"), 0),
                    "EVP_CIPHER_fetch(AES-256-GCM)");
        }
    }

    /**
     * Encrypts. A pair of key and nonce must never be used for two plaintexts.
     *
     * @param key 32 bytes; or {@link MemorySegment#NULL} for the key of the call before, which saves a quarter of a microsecond
     * @param nonce 12 bytes
     * @param associated authenticated, not encrypted; may be empty
     * @param plaintext any length up to 2³¹ − 17
     * @param sealed gets the ciphertext, as long as the plaintext, then the tag; may begin where plaintext begins, else
     *     must not overlap it
     */
    public void seal(
            MemorySegment key,
            MemorySegment nonce,
            MemorySegment associated,
            MemorySegment plaintext,
            MemorySegment sealed) {
        int size = Math.toIntExact(plaintext.byteSize());
        OpenSsl.requireSize(sealed, size + TAG_BYTES, "the sealed form");
        start(key, nonce, associated, ENCRYPT);
        try {
            update(sealed.address(), plaintext, size);
            OpenSsl.check(Libc.call(FINAL, context, sealed.address() + size, length.address()), "EVP_CipherFinal_ex");
            OpenSsl.check(
                    Libc.call(CTX_CTRL, context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, sealed.address() + size),
                    "EVP_CIPHER_CTX_ctrl(GET_TAG)");
        } finally {
            Reference.reachabilityFence(sealed);
        }
    }

    /**
     * Decrypts and authenticates.
     *
     * @param sealed ciphertext and tag
     * @param plaintext gets the plaintext, 16 bytes shorter; may begin where sealed begins, else must not overlap it
     * @return false when it is not authentic: plaintext is all zeros then
     */
    public boolean open(
            MemorySegment key,
            MemorySegment nonce,
            MemorySegment associated,
            MemorySegment sealed,
            MemorySegment plaintext) {
        int size = Math.toIntExact(sealed.byteSize()) - TAG_BYTES;
        OpenSsl.requireNative(sealed);
        OpenSsl.requireSize(plaintext, size, "the plaintext");
        start(key, nonce, associated, DECRYPT);
        try {
            OpenSsl.check(
                    Libc.call(CTX_CTRL, context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, sealed.address() + size),
                    "EVP_CIPHER_CTX_ctrl(SET_TAG)");
            update(plaintext.address(), sealed, size);
            // Writes nothing in GCM, but wants an address.
            boolean authentic = (int) Libc.call(FINAL, context, length.address(), length.address()) == 1;
            if (!authentic) {
                plaintext.fill((byte) 0);
                OpenSsl.clearErrors();
            }
            return authentic;
        } finally {
            Reference.reachabilityFence(sealed);
            Reference.reachabilityFence(plaintext);
        }
    }

    private void start(MemorySegment key, MemorySegment nonce, MemorySegment associated, int direction) {
        if (closed) {
            throw new IllegalStateException("this cipher has been closed");
        }
        // A heap segment's address may be 0 too, and must not pass for it.
        boolean sameKey = keyed && key.isNative() && key.address() == 0;
        if (!sameKey) {
            OpenSsl.requireSize(key, KEY_BYTES, "a key");
        }
        OpenSsl.requireSize(nonce, NONCE_BYTES, "a nonce");
        OpenSsl.requireNative(associated);
        try {
            OpenSsl.check(
                    Libc.call(INIT, context, 0, 0, sameKey ? 0 : key.address(), nonce.address(), direction),
                    "EVP_CipherInit_ex");
            keyed = true;
            if (associated.byteSize() > 0) {
                update(0, associated, Math.toIntExact(associated.byteSize()));
            }
        } finally {
            Reference.reachabilityFence(key);
            Reference.reachabilityFence(nonce);
        }
    }

    private void update(long target, MemorySegment source, int size) {
        OpenSsl.requireNative(source);
        try {
            if (size > 0) {
                OpenSsl.check(
                        Libc.call(UPDATE, context, target, length.address(), source.address(), size),
                        "EVP_CipherUpdate");
            }
        } finally {
            Reference.reachabilityFence(source);
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
