package dev.satchel.vault;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;

import dev.satchel.linux.crypto.AesGcm;
import dev.satchel.linux.crypto.Ed25519;
import dev.satchel.linux.crypto.HmacSha256;
import dev.satchel.linux.crypto.SecretBytes;
import dev.satchel.linux.crypto.Sha256;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Instant;
import java.util.Arrays;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The vault key wrapped under something that opens it, as it lies in the vault (docs/FORMAT.md, Key slot). A slot is signed: whatever it
 * says of itself, where its name and what a browser is asked included, the vault's key has vouched for before anything is done with it.
 *
 * <p>There are two layouts: that of the first version, passphrases only and without a label, which is read, and the present one, which is written.
 */
final class KeySlot {
    /** The longest file of one. */
    static final int BYTES_MAX = 4096;

    private static final byte[] MAGIC_1 = "SATSLOT1".getBytes(US_ASCII);
    private static final byte[] MAGIC = "SATSLOT2".getBytes(US_ASCII);
    private static final int KIND_AT = 8;
    private static final int KDF_AT = 12;
    private static final int SALT_AT = 24;
    private static final int SALT_BYTES = 32;
    private static final int VAULT_AT = SALT_AT + SALT_BYTES;
    /** Of the first version, whose header ends here. */
    private static final int HEADER_1_BYTES = VAULT_AT + 16;

    private static final int ID_AT = VAULT_AT + 16;
    private static final int HINT_AT = ID_AT + 16;
    private static final int PUBLIC_LENGTH_AT = HINT_AT + 1;
    private static final int PUBLIC_AT = PUBLIC_LENGTH_AT + 4;
    private static final int WRAPPED_BYTES = AesGcm.NONCE_BYTES + VaultKey.BYTES + AesGcm.TAG_BYTES;
    /** Of the description before it is sealed: always the same, so that a label's length is not to be seen. */
    private static final int DESCRIPTION_BYTES = 128;

    private static final int DESCRIPTION_SEALED_BYTES = AesGcm.NONCE_BYTES + DESCRIPTION_BYTES + AesGcm.TAG_BYTES;
    private static final String DESCRIPTION_KEY = "satchel vault v1 slots";

    private final KeySlotId id;
    private final KeyKind kind;
    private final byte[] bytes;
    private final int headerBytes;
    private final Optional<KdfParameters> kdf;
    private final Optional<SecurityKeyCredential> credential;
    private final boolean described;

    private KeySlot(
            KeySlotId id,
            KeyKind kind,
            byte[] bytes,
            int headerBytes,
            Optional<KdfParameters> kdf,
            Optional<SecurityKeyCredential> credential,
            boolean described) {
        this.id = id;
        this.kind = kind;
        this.bytes = bytes;
        this.headerBytes = headerBytes;
        this.kdf = kdf;
        this.credential = credential;
        this.described = described;
    }

    // ---- reading

    /**
     * Checks a slot and takes it apart, without opening it.
     *
     * @param id its file's name
     * @param shown what messages call it
     */
    static KeySlot read(VaultId vault, KeySlotId id, Ed25519 verifier, byte[] bytes, String shown)
            throws DamagedException {
        KeySlot slot = isSigned(verifier, bytes) ? parse(vault, id, bytes, shown) : null;
        if (slot == null) {
            throw new DamagedException("the key slot " + shown
                    + " is damaged, forged or of a newer version: put it back from a copy of the vault");
        }
        return slot;
    }

    private static boolean isSigned(Ed25519 verifier, byte[] bytes) {
        if (bytes.length <= Ed25519.SIGNATURE_BYTES + MAGIC.length || bytes.length > BYTES_MAX) {
            return false;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment all = arena.allocateFrom(JAVA_BYTE, bytes);
            int signed = bytes.length - Ed25519.SIGNATURE_BYTES;
            return verifier.verify(all.asSlice(0, signed), all.asSlice(signed, Ed25519.SIGNATURE_BYTES));
        }
    }

    private static @Nullable KeySlot parse(VaultId vault, KeySlotId id, byte[] bytes, String shown)
            throws DamagedException {
        boolean first = bytes.length == HEADER_1_BYTES + WRAPPED_BYTES + Ed25519.SIGNATURE_BYTES
                && begins(bytes, MAGIC_1)
                && Bytes.getInt(bytes, KIND_AT) == KeyKind.PASSPHRASE.code;
        int publicLength = -1;
        if (!first) {
            int fixed = PUBLIC_AT + WRAPPED_BYTES + DESCRIPTION_SEALED_BYTES + Ed25519.SIGNATURE_BYTES;
            if (bytes.length < fixed || !begins(bytes, MAGIC)) {
                return null;
            }
            publicLength = Bytes.getInt(bytes, PUBLIC_LENGTH_AT);
            if (publicLength != bytes.length - fixed
                    || Bytes.getLong(bytes, ID_AT) != id.high()
                    || Bytes.getLong(bytes, ID_AT + 8) != id.low()) {
                return null;
            }
        }
        if (Bytes.getLong(bytes, VAULT_AT) != vault.high() || Bytes.getLong(bytes, VAULT_AT + 8) != vault.low()) {
            return null;
        }
        try {
            KeyKind kind = kind(Bytes.getInt(bytes, KIND_AT));
            Optional<KdfParameters> kdf = kind == KeyKind.PASSPHRASE
                    ? Optional.of(new KdfParameters(
                            Bytes.getInt(bytes, KDF_AT),
                            Bytes.getInt(bytes, KDF_AT + 4),
                            Bytes.getInt(bytes, KDF_AT + 8)))
                    : Optional.empty();
            if (first) {
                return new KeySlot(id, kind, bytes, HEADER_1_BYTES, kdf, Optional.empty(), false);
            }
            Optional<SecurityKeyCredential> credential = Optional.empty();
            Decoder in = new Decoder(
                    Arrays.copyOfRange(bytes, PUBLIC_AT, PUBLIC_AT + publicLength), "the key slot " + shown);
            if (kind == KeyKind.SECURITY_KEY) {
                credential = Optional.of(new SecurityKeyCredential(in.text(), in.bytes(), in.bytes()));
            }
            in.end();
            return new KeySlot(id, kind, bytes, PUBLIC_AT + publicLength, kdf, credential, true);
        } catch (IllegalArgumentException e) {
            return null;
        }
    }

    private static KeyKind kind(int code) {
        for (KeyKind kind : KeyKind.values()) {
            if (kind.code == code) {
                return kind;
            }
        }
        throw new IllegalArgumentException("no kind " + code);
    }

    private static boolean begins(byte[] bytes, byte[] magic) {
        return Arrays.equals(bytes, 0, magic.length, magic, 0, magic.length);
    }

    KeySlotId id() {
        return id;
    }

    KeyKind kind() {
        return kind;
    }

    /** Of passphrases. */
    Optional<KdfParameters> kdf() {
        return kdf;
    }

    /** Of security keys. */
    Optional<SecurityKeyCredential> credential() {
        return credential;
    }

    /** Whether the label may be its label: false rules it out, true hardly says anything. */
    boolean mayBeLabelled(String label) {
        return described && bytes[HINT_AT] == hint(bytes, label);
    }

    /** The key, if this is what opens the slot. */
    Optional<VaultKey> open(byte[] secret) throws DamagedException {
        try (Arena arena = Arena.ofConfined();
                AesGcm cipher = new AesGcm();
                SecretBytes wrap = wrap(kind, secret, bytes, kdf)) {
            MemorySegment all = arena.allocateFrom(JAVA_BYTE, bytes);
            SecretBytes key = SecretBytes.allocate(VaultKey.BYTES);
            if (cipher.open(
                    wrap.segment(),
                    all.asSlice(headerBytes, AesGcm.NONCE_BYTES),
                    all.asSlice(0, headerBytes),
                    all.asSlice(headerBytes + AesGcm.NONCE_BYTES, VaultKey.BYTES + AesGcm.TAG_BYTES),
                    key.segment())) {
                return Optional.of(new VaultKey(key));
            }
            key.close();
            return Optional.empty();
        }
    }

    /** What only who has the vault's key may know of it. */
    KeySlotInfo describe(VaultKey key, String shown) throws DamagedException {
        if (!described) {
            return new KeySlotInfo(id, Optional.of(kind), Optional.empty(), Optional.empty(), kdf, Optional.empty());
        }
        try (Arena arena = Arena.ofConfined();
                AesGcm cipher = new AesGcm();
                SecretBytes descriptions =
                        HmacSha256.expand(key.secret().segment(), DESCRIPTION_KEY.getBytes(US_ASCII))) {
            MemorySegment all = arena.allocateFrom(JAVA_BYTE, bytes);
            MemorySegment plain = arena.allocate(DESCRIPTION_BYTES);
            int at = headerBytes + WRAPPED_BYTES;
            if (!cipher.open(
                    descriptions.segment(),
                    all.asSlice(at, AesGcm.NONCE_BYTES),
                    all.asSlice(0, at),
                    all.asSlice(at + AesGcm.NONCE_BYTES, DESCRIPTION_BYTES + AesGcm.TAG_BYTES),
                    plain)) {
                throw new DamagedException(
                        "the key slot " + shown + " is damaged: put it back from a copy of the vault");
            }
            Decoder in = new Decoder(Bytes.copy(plain), "the key slot " + shown);
            String label = in.text();
            Instant created = Instant.ofEpochMilli(in.u64());
            int millis = in.u32();
            return new KeySlotInfo(
                    id,
                    Optional.of(kind),
                    Optional.of(label),
                    Optional.of(created),
                    kdf,
                    kind == KeyKind.PASSPHRASE ? Optional.of(millis) : Optional.empty());
        }
    }

    // ---- writing

    /** What a new slot says of itself. */
    record Draft(
            KeySlotId id,
            KeyKind kind,
            String label,
            Instant created,
            Optional<KdfCost> cost,
            Optional<SecurityKeyCredential> credential) {}

    /**
     * The bytes of a new slot.
     *
     * @param secret of that kind; the caller overwrites it
     */
    static byte[] seal(VaultId vault, VaultKey key, Ed25519 signer, byte[] secret, Draft draft)
            throws DamagedException {
        byte[] told = new byte[0];
        if (draft.credential().isPresent()) {
            SecurityKeyCredential credential = draft.credential().get();
            told = new Encoder()
                    .text(credential.relyingParty())
                    .bytes(credential.credential())
                    .bytes(credential.salt())
                    .toBytes();
        }
        int header = PUBLIC_AT + told.length;
        byte[] slot = new byte[header + WRAPPED_BYTES + DESCRIPTION_SEALED_BYTES + Ed25519.SIGNATURE_BYTES];
        System.arraycopy(MAGIC, 0, slot, 0, MAGIC.length);
        Bytes.putInt(slot, KIND_AT, draft.kind().code);
        Optional<KdfParameters> kdf = draft.cost().map(KdfCost::parameters);
        if (kdf.isPresent()) {
            Bytes.putInt(slot, KDF_AT, kdf.get().memoryKib());
            Bytes.putInt(slot, KDF_AT + 4, kdf.get().passes());
            Bytes.putInt(slot, KDF_AT + 8, kdf.get().lanes());
        }
        System.arraycopy(RandomBytes.of(SALT_BYTES), 0, slot, SALT_AT, SALT_BYTES);
        Bytes.putLong(slot, VAULT_AT, vault.high());
        Bytes.putLong(slot, VAULT_AT + 8, vault.low());
        Bytes.putLong(slot, ID_AT, draft.id().high());
        Bytes.putLong(slot, ID_AT + 8, draft.id().low());
        slot[HINT_AT] = hint(slot, draft.label());
        Bytes.putInt(slot, PUBLIC_LENGTH_AT, told.length);
        System.arraycopy(told, 0, slot, PUBLIC_AT, told.length);
        System.arraycopy(RandomBytes.of(AesGcm.NONCE_BYTES), 0, slot, header, AesGcm.NONCE_BYTES);
        int description = header + WRAPPED_BYTES;
        System.arraycopy(RandomBytes.of(AesGcm.NONCE_BYTES), 0, slot, description, AesGcm.NONCE_BYTES);
        byte[] said = new Encoder()
                .text(draft.label())
                .u64(draft.created().toEpochMilli())
                .u32(draft.cost().map(KdfCost::millis).orElse(0))
                .toBytes();
        try (Arena arena = Arena.ofConfined();
                AesGcm cipher = new AesGcm();
                SecretBytes wrap = wrap(draft.kind(), secret, slot, kdf);
                SecretBytes descriptions =
                        HmacSha256.expand(key.secret().segment(), DESCRIPTION_KEY.getBytes(US_ASCII))) {
            MemorySegment sealed = arena.allocateFrom(JAVA_BYTE, slot);
            cipher.seal(
                    wrap.segment(),
                    sealed.asSlice(header, AesGcm.NONCE_BYTES),
                    sealed.asSlice(0, header),
                    key.secret().segment(),
                    sealed.asSlice(header + AesGcm.NONCE_BYTES, VaultKey.BYTES + AesGcm.TAG_BYTES));
            cipher.seal(
                    descriptions.segment(),
                    sealed.asSlice(description, AesGcm.NONCE_BYTES),
                    sealed.asSlice(0, description),
                    arena.allocateFrom(JAVA_BYTE, Arrays.copyOf(said, DESCRIPTION_BYTES)),
                    sealed.asSlice(description + AesGcm.NONCE_BYTES, DESCRIPTION_BYTES + AesGcm.TAG_BYTES));
            int signed = slot.length - Ed25519.SIGNATURE_BYTES;
            signer.sign(sealed.asSlice(0, signed), sealed.asSlice(signed));
            return Bytes.copy(sealed);
        }
    }

    /** One byte of a hash: enough to leave out most of a vault's slots when somebody names one, not to confirm what a label is. */
    private static byte hint(byte[] slot, String label) {
        byte[] text = label.getBytes(UTF_8);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment message = arena.allocate(SALT_BYTES + text.length);
            MemorySegment.copy(slot, SALT_AT, message, JAVA_BYTE, 0, SALT_BYTES);
            MemorySegment.copy(text, 0, message, JAVA_BYTE, SALT_BYTES, text.length);
            MemorySegment hash = arena.allocate(Sha256.BYTES);
            Sha256.hash(message, hash);
            return hash.get(JAVA_BYTE, 0);
        }
    }

    /** The key that the vault key is sealed under. */
    private static SecretBytes wrap(KeyKind kind, byte[] secret, byte[] slot, Optional<KdfParameters> kdf)
            throws DamagedException {
        byte[] salt = Arrays.copyOfRange(slot, SALT_AT, SALT_AT + SALT_BYTES);
        return switch (kind) {
            case PASSPHRASE -> Argon2id.derive(secret, salt, kdf.orElseThrow());
            case RECOVERY -> extract(salt, secret, "satchel slot v2 recovery");
            case SECURITY_KEY -> extract(salt, secret, "satchel slot v2 security key");
        };
    }

    /** HKDF with SHA-256 (RFC 5869), 32 bytes: for secrets that nobody can guess. */
    private static SecretBytes extract(byte[] salt, byte[] secret, String info) {
        try (Arena arena = Arena.ofConfined();
                HmacSha256 hmac = new HmacSha256(arena.allocateFrom(JAVA_BYTE, salt));
                SecretBytes message = SecretBytes.allocate(secret.length);
                SecretBytes key = SecretBytes.allocate(HmacSha256.BYTES)) {
            MemorySegment.copy(secret, 0, message.segment(), JAVA_BYTE, 0, secret.length);
            hmac.code(message.segment(), key.segment());
            return HmacSha256.expand(key.segment(), info.getBytes(US_ASCII));
        }
    }
}
