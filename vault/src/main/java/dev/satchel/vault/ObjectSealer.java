package dev.satchel.vault;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.satchel.linux.crypto.AesGcm;
import dev.satchel.linux.crypto.Ed25519;
import dev.satchel.linux.crypto.HmacSha256;
import dev.satchel.linux.crypto.SecretBytes;
import dev.satchel.linux.crypto.SecureRandom;
import dev.satchel.linux.crypto.Sha256;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Seals and signs the small objects: heads, leases, names, snapshots, images, domains. Each is encrypted under a key of its
 * own (derived from a random salt), bound to its name and vault, and signed as a whole; reading verifies the signature before
 * anything else. Thread-safe.
 */
final class ObjectSealer implements AutoCloseable {
    /** What an object is; one can't be put in the place of another kind. */
    enum Kind {
        HEAD(1),
        LEASE(2),
        NAME(3),
        SNAPSHOT(4),
        IMAGE(5),
        DOMAIN(6),
        PIN(7),
        INTENT(8),
        REPLICA(16),
        COMMON(17);

        private final int code;

        Kind(int code) {
            this.code = code;
        }
    }

    static final int SIGNATURE_BYTES = Ed25519.SIGNATURE_BYTES;
    private static final byte[] MAGIC = "SATOBJ1".getBytes(US_ASCII);
    private static final byte[] SIGNED = "satchel object v1\0".getBytes(US_ASCII);
    private static final int SALT_BYTES = 32;
    private static final int HEADER_BYTES = 8 + SALT_BYTES;
    private static final int OVERHEAD_BYTES = HEADER_BYTES + AesGcm.TAG_BYTES + SIGNATURE_BYTES;

    private final VaultId vault;
    private final SecretBytes key;
    private final Ed25519 signer;
    private final String location;

    /** Takes the keys over. */
    ObjectSealer(VaultId vault, SecretBytes key, Ed25519 signer, String location) {
        this.vault = vault;
        this.key = key;
        this.signer = signer;
        this.location = location;
    }

    /** The stored form. A snapshot is named by its content, so its name can't be bound into it: pass "". */
    byte[] seal(Kind kind, String name, byte[] payload) {
        try (Arena arena = Arena.ofConfined();
                AesGcm cipher = new AesGcm()) {
            int signedBytes = HEADER_BYTES + payload.length + AesGcm.TAG_BYTES;
            MemorySegment object = arena.allocate(signedBytes + SIGNATURE_BYTES);
            MemorySegment.copy(MAGIC, 0, object, JAVA_BYTE, 0, MAGIC.length);
            object.set(JAVA_BYTE, 7, (byte) kind.code);
            SecureRandom.fill(object.asSlice(8, SALT_BYTES));
            MemorySegment plaintext = arena.allocateFrom(JAVA_BYTE, payload);
            try (SecretBytes objectKey = objectKey(object)) {
                cipher.seal(
                        objectKey.segment(),
                        arena.allocate(AesGcm.NONCE_BYTES),
                        bound(arena, name, object, HEADER_BYTES),
                        plaintext,
                        object.asSlice(HEADER_BYTES, payload.length + AesGcm.TAG_BYTES));
            } finally {
                plaintext.fill((byte) 0);
            }
            signer.sign(bound(arena, name, object, signedBytes), object.asSlice(signedBytes));
            return Bytes.copy(object);
        }
    }

    /**
     * The payload of a stored object.
     *
     * @param shown what messages call it
     * @throws ForgedException when the signature or the seal is not of this vault, name and kind
     */
    byte[] open(Kind kind, String name, byte[] stored, String shown) throws VaultException {
        if (stored.length < OVERHEAD_BYTES) {
            throw new DamagedException(shown + " in " + location + " is cut off: put it back from a copy of the vault");
        }
        try (Arena arena = Arena.ofConfined();
                AesGcm cipher = new AesGcm()) {
            MemorySegment object = arena.allocateFrom(JAVA_BYTE, stored);
            int signedBytes = stored.length - SIGNATURE_BYTES;
            if (!signer.verify(bound(arena, name, object, signedBytes), object.asSlice(signedBytes, SIGNATURE_BYTES))) {
                throw forged(shown);
            }
            for (int i = 0; i < MAGIC.length; i++) {
                if (stored[i] != MAGIC[i]) {
                    throw new DamagedException(
                            shown + " in " + location + " has a format of another version: use a newer Satchel");
                }
            }
            if (stored[7] != kind.code) {
                throw forged(shown);
            }
            MemorySegment plaintext = arena.allocate(stored.length - OVERHEAD_BYTES);
            try (SecretBytes objectKey = objectKey(object)) {
                if (!cipher.open(
                        objectKey.segment(),
                        arena.allocate(AesGcm.NONCE_BYTES),
                        bound(arena, name, object, HEADER_BYTES),
                        object.asSlice(HEADER_BYTES, signedBytes - HEADER_BYTES),
                        plaintext)) {
                    throw forged(shown);
                }
                return Bytes.copy(plaintext);
            } finally {
                plaintext.fill((byte) 0);
            }
        }
    }

    private ForgedException forged(String shown) {
        return new ForgedException(shown + " in " + location
                + " is damaged or forged, its signature is not this vault's: put it back from a copy of the vault");
    }

    private SecretBytes objectKey(MemorySegment object) {
        byte[] info = new byte[HEADER_BYTES];
        MemorySegment.copy(object, JAVA_BYTE, 0, info, 0, HEADER_BYTES);
        return HmacSha256.expand(key.segment(), info);
    }

    /** What an object is bound to, then its first {@code size} bytes. */
    private MemorySegment bound(Arena arena, String name, MemorySegment object, int size) {
        byte[] nameBytes = name.getBytes(US_ASCII);
        int prefix = SIGNED.length + 16 + 4 + nameBytes.length;
        MemorySegment message = arena.allocate(prefix + size);
        MemorySegment.copy(SIGNED, 0, message, JAVA_BYTE, 0, SIGNED.length);
        message.set(Bytes.LONG, SIGNED.length, vault.high());
        message.set(Bytes.LONG, SIGNED.length + 8, vault.low());
        message.set(Bytes.INT, SIGNED.length + 16, nameBytes.length);
        MemorySegment.copy(nameBytes, 0, message, JAVA_BYTE, SIGNED.length + 20, nameBytes.length);
        MemorySegment.copy(object, 0, message, prefix, size);
        return message;
    }

    /** What others verify this vault's signatures with. */
    byte[] publicKey() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment publicKey = arena.allocate(Ed25519.KEY_BYTES);
            signer.publicKey(publicKey);
            return Bytes.copy(publicKey);
        }
    }

    /** SHA-256 of the first {@code length} bytes. */
    static byte[] hash(byte[] bytes, int length) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment hash = arena.allocate(Sha256.BYTES);
            MemorySegment message = arena.allocate(length);
            MemorySegment.copy(bytes, 0, message, JAVA_BYTE, 0, length);
            Sha256.hash(message, hash);
            return Bytes.copy(hash);
        }
    }

    @Override
    public void close() {
        key.close();
        signer.close();
    }
}
