package dev.satchel.vault;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.satchel.linux.crypto.AesGcm;
import dev.satchel.linux.crypto.Ed25519;
import dev.satchel.linux.crypto.SecretBytes;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Optional;
import org.bouncycastle.crypto.generators.Argon2BytesGenerator;
import org.bouncycastle.crypto.params.Argon2Parameters;

/**
 * The vault key wrapped under a passphrase. The slot is signed, so that damaged parameters are found out before they make
 * somebody reserve four gigabytes.
 */
final class KeySlot {
    private static final byte[] MAGIC = "SATSLOT1".getBytes(US_ASCII);
    private static final int KDF_ARGON2ID = 1;
    private static final int SALT_AT = 24;
    private static final int SALT_BYTES = 32;
    private static final int VAULT_AT = SALT_AT + SALT_BYTES;
    private static final int NONCE_AT = VAULT_AT + 16;
    private static final int SEALED_AT = NONCE_AT + AesGcm.NONCE_BYTES;
    private static final int SIGNATURE_AT = SEALED_AT + VaultKey.BYTES + AesGcm.TAG_BYTES;

    /** Length of a slot's file. */
    static final int BYTES = SIGNATURE_AT + Ed25519.SIGNATURE_BYTES;

    private KeySlot() {}

    static byte[] seal(VaultId vault, VaultKey key, Ed25519 signer, byte[] passphrase, KdfParameters kdf) {
        byte[] slot = new byte[BYTES];
        System.arraycopy(MAGIC, 0, slot, 0, MAGIC.length);
        Bytes.putInt(slot, 8, KDF_ARGON2ID);
        Bytes.putInt(slot, 12, kdf.memoryKib());
        Bytes.putInt(slot, 16, kdf.passes());
        Bytes.putInt(slot, 20, kdf.lanes());
        byte[] random = RandomBytes.of(SALT_BYTES + AesGcm.NONCE_BYTES);
        System.arraycopy(random, 0, slot, SALT_AT, SALT_BYTES);
        Bytes.putLong(slot, VAULT_AT, vault.high());
        Bytes.putLong(slot, VAULT_AT + 8, vault.low());
        System.arraycopy(random, SALT_BYTES, slot, NONCE_AT, AesGcm.NONCE_BYTES);
        try (Arena arena = Arena.ofConfined();
                AesGcm cipher = new AesGcm();
                SecretBytes wrap = derive(passphrase, slot, kdf)) {
            MemorySegment sealed = arena.allocateFrom(JAVA_BYTE, slot);
            cipher.seal(
                    wrap.segment(),
                    sealed.asSlice(NONCE_AT, AesGcm.NONCE_BYTES),
                    sealed.asSlice(0, NONCE_AT),
                    key.secret().segment(),
                    sealed.asSlice(SEALED_AT, VaultKey.BYTES + AesGcm.TAG_BYTES));
            signer.sign(sealed.asSlice(0, SIGNATURE_AT), sealed.asSlice(SIGNATURE_AT));
            return Bytes.copy(sealed);
        }
    }

    /** Checks that a slot is whole, without opening it. */
    static void check(VaultId vault, Ed25519 verifier, byte[] slot, String shown) throws DamagedException {
        boolean whole = slot.length == BYTES;
        if (whole) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment all = arena.allocateFrom(JAVA_BYTE, slot);
                whole = verifier.verify(
                                all.asSlice(0, SIGNATURE_AT), all.asSlice(SIGNATURE_AT, Ed25519.SIGNATURE_BYTES))
                        && Arrays.equals(slot, 0, MAGIC.length, MAGIC, 0, MAGIC.length)
                        && Bytes.getInt(slot, 8) == KDF_ARGON2ID
                        && Bytes.getLong(slot, VAULT_AT) == vault.high()
                        && Bytes.getLong(slot, VAULT_AT + 8) == vault.low();
            }
        }
        if (!whole) {
            throw new DamagedException("the key slot " + shown
                    + " is damaged, forged or of a newer version: put it back from a copy of the vault");
        }
    }

    /** The key, if the passphrase is this slot's; the slot has been checked. */
    static Optional<VaultKey> open(byte[] slot, byte[] passphrase) {
        KdfParameters kdf = new KdfParameters(Bytes.getInt(slot, 12), Bytes.getInt(slot, 16), Bytes.getInt(slot, 20));
        try (Arena arena = Arena.ofConfined();
                AesGcm cipher = new AesGcm();
                SecretBytes wrap = derive(passphrase, slot, kdf)) {
            MemorySegment all = arena.allocateFrom(JAVA_BYTE, slot);
            SecretBytes key = SecretBytes.allocate(VaultKey.BYTES);
            if (cipher.open(
                    wrap.segment(),
                    all.asSlice(NONCE_AT, AesGcm.NONCE_BYTES),
                    all.asSlice(0, NONCE_AT),
                    all.asSlice(SEALED_AT, VaultKey.BYTES + AesGcm.TAG_BYTES),
                    key.segment())) {
                return Optional.of(new VaultKey(key));
            }
            key.close();
            return Optional.empty();
        }
    }

    private static SecretBytes derive(byte[] passphrase, byte[] slot, KdfParameters kdf) {
        byte[] derived = new byte[AesGcm.KEY_BYTES];
        Argon2Parameters parameters = new Argon2Parameters.Builder(Argon2Parameters.ARGON2_id)
                .withVersion(Argon2Parameters.ARGON2_VERSION_13)
                .withMemoryAsKB(kdf.memoryKib())
                .withIterations(kdf.passes())
                .withParallelism(kdf.lanes())
                .withSalt(Arrays.copyOfRange(slot, SALT_AT, SALT_AT + SALT_BYTES))
                .build();
        Argon2BytesGenerator generator = new Argon2BytesGenerator();
        generator.init(parameters);
        generator.generateBytes(passphrase, derived);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment offHeap = arena.allocateFrom(JAVA_BYTE, derived);
            SecretBytes secret = SecretBytes.copyOf(offHeap);
            offHeap.fill((byte) 0);
            return secret;
        } finally {
            Arrays.fill(derived, (byte) 0);
        }
    }
}
