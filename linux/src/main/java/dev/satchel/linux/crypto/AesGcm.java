package dev.satchel.linux.crypto;

import java.lang.foreign.MemorySegment;

/**
 * AES-256-GCM (NIST SP 800-38D) with 12-byte nonces and 16-byte tags. An instance is a context to be used again and
 * again, by one thread at a time; making one costs some microseconds. All segments are native memory.
 */
public final class AesGcm implements AutoCloseable {
    public static final int KEY_BYTES = 32;
    public static final int NONCE_BYTES = 12;
    public static final int TAG_BYTES = 16;

    public AesGcm() {}

    /**
     * Encrypts. A pair of key and nonce must never be used for two plaintexts.
     *
     * @param key 32 bytes
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
        throw new UnsupportedOperationException();
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
        throw new UnsupportedOperationException();
    }

    @Override
    public void close() {}
}
