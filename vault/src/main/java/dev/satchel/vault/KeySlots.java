package dev.satchel.vault;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.Objects.requireNonNull;

import dev.satchel.linux.crypto.Ed25519;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The keys of a vault: what opens it, and how they are added and removed. Each is a slot, a file of its own that is written once: adding one
 * can't harm another, and a slot is removed by removing its file. All slots hold the same vault key. So who has a copy of a slot that was
 * removed later, and what opens it, has the vault for good; docs/carrying.md says so to people.
 *
 * <p>Slots are read anew by each method. Thread-safe, and safe beside other hosts: of two that each remove what they think is not the last
 * key, one at least gives way, see {@link #remove}.
 */
public final class KeySlots {
    static final String DIRECTORY = "keys";
    private static final String REMOVALS = "keyremovals";
    private static final byte[] REMOVAL = "SATRMKEY".getBytes(UTF_8);
    private static final int ID_TEXT_MIN = 4;

    private final Backend backend;
    private final VaultId vault;
    private final byte[] publicKey;

    /**
     * A vault that was opened.
     *
     * @param key the caller closes it
     * @param slot what opened it
     */
    public record Opened(VaultKey key, KeySlotId slot) {}

    /** @param publicKey that slots must be signed for */
    KeySlots(Backend backend, VaultId vault, byte[] publicKey) {
        this.backend = backend;
        this.vault = vault;
        this.publicKey = publicKey;
    }

    /**
     * The keys of the vault in that place.
     *
     * @throws NoSuchException when there is no vault
     */
    public static KeySlots of(Backend backend) throws IOException {
        byte[] config = Vault.config(backend);
        return new KeySlots(backend, Vault.checkedId(config, backend), Vault.publicKey(config));
    }

    /**
     * Before there is a vault: writes its first slot.
     *
     * @return the slot's file
     */
    static String addFirst(Backend backend, VaultId vault, VaultKey key, byte[] passphrase, KdfCost cost, String label)
            throws IOException {
        KeySlots slots = new KeySlots(backend, vault, Vault.publicKey(key));
        return file(slots.write(key, KeyKind.PASSPHRASE, passphrase, label, Optional.of(cost), Optional.empty())
                .id());
    }

    // ---- reading

    /** What is in the directory of slots: those that are whole, and the names of those that are not. */
    private record Found(
            List<KeySlot> slots,
            List<String> damaged,
            @Nullable DamagedException damage) {}

    /** Those that are whole. */
    List<KeySlot> whole() throws IOException {
        return find().slots();
    }

    private Found find() throws IOException {
        List<KeySlot> slots = new ArrayList<>();
        List<String> damaged = new ArrayList<>();
        DamagedException damage = null;
        try (Arena arena = Arena.ofConfined();
                Ed25519 verifier = Ed25519.fromPublicKey(arena.allocateFrom(JAVA_BYTE, publicKey))) {
            for (String name : backend.list(DIRECTORY)) {
                try {
                    Optional<KeySlot> slot = read(name, verifier);
                    slot.ifPresent(slots::add);
                } catch (DamagedException e) {
                    damaged.add(name);
                    damage = e;
                }
            }
        }
        if (slots.isEmpty()) {
            throw damage != null
                    ? damage
                    : new DamagedException("all key slots are missing from " + backend.location()
                            + ": put keys/ back from a copy of the vault");
        }
        return new Found(slots, damaged, damage);
    }

    /** Empty if it has been removed meanwhile. */
    private Optional<KeySlot> read(String name, Ed25519 verifier) throws IOException {
        String shown = name + " in " + backend.location();
        Optional<byte[]> bytes = backend.get(name, KeySlot.BYTES_MAX);
        if (bytes.isEmpty()) {
            return Optional.empty();
        }
        try {
            KeySlotId id = KeySlotId.parse(name.substring(DIRECTORY.length() + 1));
            return Optional.of(KeySlot.read(vault, id, verifier, bytes.get(), shown));
        } catch (IllegalArgumentException e) {
            throw new DamagedException("the key slot " + shown + " has a name that no slot has: remove it", e);
        }
    }

    /** Checks one, without opening it. */
    void check(String name) throws IOException {
        try (Arena arena = Arena.ofConfined();
                Ed25519 verifier = Ed25519.fromPublicKey(arena.allocateFrom(JAVA_BYTE, publicKey))) {
            read(name, verifier);
        }
    }

    /**
     * All keys, in the order in which they were made.
     *
     * @throws WrongPassphraseException when the key is another vault's
     */
    public List<KeySlotInfo> list(VaultKey key) throws IOException {
        requireOwn(key);
        Found found = find();
        List<KeySlotInfo> infos = new ArrayList<>();
        for (KeySlot slot : found.slots()) {
            infos.add(slot.describe(key, shown(slot.id())));
        }
        for (String name : found.damaged()) {
            try {
                KeySlotId id = KeySlotId.parse(name.substring(DIRECTORY.length() + 1));
                infos.add(new KeySlotInfo(
                        id, Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty()));
            } catch (IllegalArgumentException e) {
                throw new DamagedException(
                        "the file " + name + " in " + backend.location() + " is no key slot: remove it", e);
            }
        }
        infos.sort(Comparator.comparing((KeySlotInfo info) -> info.created().orElse(Instant.MIN))
                .thenComparing(info -> info.id().toString()));
        return infos;
    }

    private String shown(KeySlotId id) {
        return file(id) + " in " + backend.location();
    }

    private static String file(KeySlotId id) {
        return DIRECTORY + "/" + id;
    }

    private static String removal(KeySlotId id) {
        return REMOVALS + "/" + id;
    }

    private void requireOwn(VaultKey key) throws WrongPassphraseException {
        if (!Arrays.equals(publicKey, Vault.publicKey(key))) {
            throw new WrongPassphraseException("this key is not the key of the vault in " + backend.location()
                    + ": unlock it with its passphrase");
        }
    }

    // ---- opening

    /**
     * Opens the vault with what somebody typed, a passphrase or a recovery key's words. Recovery keys are tried first, as that takes no time,
     * then passphrases, the cheapest first; each takes as long as its {@link KdfParameters} say.
     *
     * @param typed UTF-8; the caller overwrites it
     * @param named label or id of the key that it is, or the beginning of its id
     * @param likely the slot that it opened the last time: tried before others
     * @throws WrongPassphraseException when no slot opens; says of a recovery key which word is wrong
     */
    public Opened open(byte[] typed, Optional<String> named, Optional<KeySlotId> likely) throws IOException {
        Found found = find();
        List<KeySlot> slots = new ArrayList<>();
        for (KeySlot slot : found.slots()) {
            if (named.isEmpty() || mayBe(slot, named.get())) {
                slots.add(slot);
            }
        }
        Optional<String> mistake = Optional.empty();
        switch (RecoveryKey.read(typed)) {
            case RecoveryKey.Whole(RecoveryKey words) -> {
                byte[] secret = Bytes.copy(words.secret().segment());
                try (words) {
                    Optional<Opened> opened = open(slots, KeyKind.RECOVERY, secret, named);
                    if (opened.isPresent()) {
                        return opened.get();
                    }
                } finally {
                    Arrays.fill(secret, (byte) 0);
                }
            }
            case RecoveryKey.Mistaken(String what) -> mistake = Optional.of(what);
            case RecoveryKey.Other() -> {}
        }
        slots.sort(order(likely));
        Optional<Opened> opened = open(slots, KeyKind.PASSPHRASE, typed, named);
        if (opened.isPresent()) {
            return opened.get();
        }
        if (mistake.isPresent()) {
            throw new WrongPassphraseException(
                    "if this is a recovery key, " + mistake.get() + ": compare it with what you wrote down");
        }
        if (found.damage() != null) {
            throw requireNonNull(found.damage());
        }
        throw new WrongPassphraseException(
                named.isPresent()
                        ? "the passphrase is wrong, or the vault has no key " + named.get() + ": try again"
                        : "the passphrase is wrong: try again");
    }

    /** The likely one, then the cheapest first. */
    static Comparator<KeySlot> order(Optional<KeySlotId> likely) {
        return Comparator.comparing((KeySlot slot) -> !likely.equals(Optional.of(slot.id())))
                .thenComparing(slot -> slot.kdf().map(KdfParameters::workKib).orElse(0L));
    }

    private Optional<Opened> open(List<KeySlot> slots, KeyKind kind, byte[] secret, Optional<String> named)
            throws IOException {
        for (KeySlot slot : slots) {
            if (slot.kind() != kind) {
                continue;
            }
            Optional<VaultKey> key = slot.open(secret);
            if (key.isPresent()) {
                // The hint in the slot lets through a few that have another label.
                if (named.isPresent()
                        && !is(slot.id(), named.get())
                        && !slot.describe(key.get(), shown(slot.id())).label().equals(named)) {
                    key.get().close();
                    continue;
                }
                return Optional.of(new Opened(key.get(), slot.id()));
            }
        }
        return Optional.empty();
    }

    private static boolean mayBe(KeySlot slot, String named) {
        return is(slot.id(), named) || slot.mayBeLabelled(named);
    }

    private static boolean is(KeySlotId id, String named) {
        return named.length() >= ID_TEXT_MIN && id.toString().startsWith(named);
    }

    /** All security keys that open this vault: none, if it has none. */
    public List<SecurityKeyCredential> securityKeys() throws IOException {
        List<SecurityKeyCredential> credentials = new ArrayList<>();
        for (KeySlot slot : find().slots()) {
            slot.credential().ifPresent(credentials::add);
        }
        return credentials;
    }

    /**
     * The security keys of which one is to answer.
     *
     * @param named label or id of the one that is at hand, or the beginning of its id; others may be among what is returned
     * @throws NoSuchException when there is none
     */
    public List<SecurityKeyCredential> securityKeys(Optional<String> named) throws IOException {
        List<SecurityKeyCredential> credentials = new ArrayList<>();
        for (KeySlot slot : find().slots()) {
            if (slot.credential().isPresent() && (named.isEmpty() || mayBe(slot, named.get()))) {
                credentials.add(slot.credential().get());
            }
        }
        if (credentials.isEmpty()) {
            throw new NoSuchException("no "
                    + named.map(name -> "security key " + name + " opens").orElse("security key opens")
                    + " the vault in " + backend.location()
                    + ": unlock it with its passphrase, and add one with 'satchel vault keys add --security-key'");
        }
        return credentials;
    }

    /**
     * Opens the vault with what a security key answered.
     *
     * @param credential the id of the credential that answered
     * @param answer the 32 bytes of its pseudo-random function; the caller overwrites them
     * @throws WrongPassphraseException when it does not open the slot of that credential, or there is none
     */
    public Opened open(byte[] credential, byte[] answer) throws IOException {
        for (KeySlot slot : find().slots()) {
            if (slot.credential().isPresent()
                    && Arrays.equals(slot.credential().get().credential(), credential)) {
                Optional<VaultKey> key = slot.open(answer);
                if (key.isPresent()) {
                    return new Opened(key.get(), slot.id());
                }
            }
        }
        throw new WrongPassphraseException(
                "this security key does not open the vault in " + backend.location() + ": use the one that was added");
    }

    // ---- adding

    /**
     * Adds a passphrase.
     *
     * @param passphrase UTF-8; the caller overwrites it
     * @param label up to {@link KeySlotInfo#LABEL_BYTES_MAX} bytes that no other key has, or empty
     * @throws ExistsException when another key has the label
     */
    public KeySlotInfo addPassphrase(VaultKey key, byte[] passphrase, KdfCost cost, String label) throws IOException {
        return add(key, KeyKind.PASSPHRASE, passphrase, label, Optional.of(cost), Optional.empty());
    }

    /** Adds a recovery key; the label as for {@link #addPassphrase}. */
    public KeySlotInfo addRecovery(VaultKey key, RecoveryKey recovery, String label) throws IOException {
        byte[] secret = Bytes.copy(recovery.secret().segment());
        try {
            return add(key, KeyKind.RECOVERY, secret, label, Optional.empty(), Optional.empty());
        } finally {
            Arrays.fill(secret, (byte) 0);
        }
    }

    /**
     * Adds a security key; the label as for {@link #addPassphrase}.
     *
     * @param answer the 32 bytes that it answered for this credential and salt; the caller overwrites them
     */
    public KeySlotInfo addSecurityKey(VaultKey key, SecurityKeyCredential credential, byte[] answer, String label)
            throws IOException {
        if (answer.length != SecurityKeyCredential.PRF_BYTES) {
            throw new IllegalArgumentException(
                    "a security key answers with " + SecurityKeyCredential.PRF_BYTES + " bytes, not " + answer.length);
        }
        return add(key, KeyKind.SECURITY_KEY, answer, label, Optional.empty(), Optional.of(credential));
    }

    private KeySlotInfo add(
            VaultKey key,
            KeyKind kind,
            byte[] secret,
            String label,
            Optional<KdfCost> cost,
            Optional<SecurityKeyCredential> credential)
            throws IOException {
        if (!label.isEmpty()) {
            for (KeySlotInfo other : list(key)) {
                if (other.label().equals(Optional.of(label))) {
                    throw new ExistsException(
                            "there is a key " + label + " already: choose another label, or remove that one");
                }
            }
        }
        return write(key, kind, secret, label, cost, credential);
    }

    private KeySlotInfo write(
            VaultKey key,
            KeyKind kind,
            byte[] secret,
            String label,
            Optional<KdfCost> cost,
            Optional<SecurityKeyCredential> credential)
            throws IOException {
        requireLabel(label);
        requireOwn(key);
        KeySlot.Draft draft = new KeySlot.Draft(
                KeySlotId.random(), kind, label, Instant.now().truncatedTo(ChronoUnit.MILLIS), cost, credential);
        try (Ed25519 signer = Vault.signer(key);
                Arena arena = Arena.ofConfined()) {
            byte[] bytes = KeySlot.seal(vault, key, signer, secret, draft);
            backend.putIfAbsent(file(draft.id()), arena.allocateFrom(JAVA_BYTE, bytes));
            // What somebody is about to rely on is read from where it lies, not believed.
            KeySlot written = KeySlot.read(
                    vault,
                    draft.id(),
                    signer,
                    backend.get(file(draft.id()), KeySlot.BYTES_MAX).orElse(new byte[0]),
                    shown(draft.id()));
            return written.describe(key, shown(draft.id()));
        }
    }

    /**
     * Refuses what no label is.
     *
     * @throws IllegalArgumentException when it is too long, or has control characters
     */
    public static void requireLabel(String label) {
        if (label.getBytes(UTF_8).length > KeySlotInfo.LABEL_BYTES_MAX
                || label.chars().anyMatch(Character::isISOControl)) {
            throw new IllegalArgumentException(
                    "a label has up to " + KeySlotInfo.LABEL_BYTES_MAX + " bytes, without control characters");
        }
    }

    /**
     * Puts a new passphrase in the place of a key, with its label: the new slot is durable before the old one is removed, so that a crash leaves one
     * or both, never none.
     *
     * @param old the slot of the key
     */
    public KeySlotInfo replace(VaultKey key, KeySlotId old, byte[] passphrase, KdfCost cost) throws IOException {
        String label = "";
        for (KeySlotInfo info : list(key)) {
            if (info.id().equals(old)) {
                label = info.label().orElse("");
            }
        }
        KeySlotInfo added = write(key, KeyKind.PASSPHRASE, passphrase, label, Optional.of(cost), Optional.empty());
        removeSlot(key, old);
        return added;
    }

    // ---- removing

    /**
     * Removes a key, unless a vault would be left that nobody may be able to open: a passphrase or a recovery key that is whole must remain, security
     * keys alone break or are lost. A damaged slot can always be removed.
     *
     * <p>Two hosts may each remove a key at the same time. Each says so first, in a file, and looks at the others' then: at least one of them sees that
     * of the other, doesn't count its key among those that remain, and gives way if none does. Such a file left by who died in between only makes
     * this stricter, until the removal is tried again.
     *
     * @param named label or id, or the beginning of an id, of four digits at least
     * @return what was removed
     * @throws NoSuchException when no key is called so
     * @throws ExistsException when several are, or it is the last
     */
    public KeySlotInfo remove(VaultKey key, String named) throws IOException {
        List<KeySlotInfo> called = new ArrayList<>();
        for (KeySlotInfo info : list(key)) {
            if (!named.isEmpty() && info.label().equals(Optional.of(named))) {
                called.clear();
                called.add(info);
                break;
            }
            if (is(info.id(), named)) {
                called.add(info);
            }
        }
        if (called.isEmpty()) {
            throw new NoSuchException("the vault in " + backend.location() + " has no key " + named
                    + ": list them with 'satchel vault keys ls'");
        }
        if (called.size() > 1) {
            throw new ExistsException("several keys have ids that begin with " + named
                    + ": give more of it, see 'satchel vault keys ls'");
        }
        removeSlot(key, called.getFirst().id());
        return called.getFirst();
    }

    private void removeSlot(VaultKey key, KeySlotId id) throws IOException {
        requireOwn(key);
        boolean counts = false;
        for (KeySlot slot : find().slots()) {
            counts |= slot.id().equals(id) && slot.kind() != KeyKind.SECURITY_KEY;
        }
        if (counts) {
            try (Arena arena = Arena.ofConfined()) {
                backend.putIfAbsent(removal(id), arena.allocateFrom(JAVA_BYTE, REMOVAL));
            }
            if (!another(id)) {
                backend.delete(removal(id));
                throw new ExistsException(
                        "this is the last key that needs no device to open the vault, or others are being removed: add a passphrase or a"
                                + " recovery key first, with 'satchel vault keys add'");
            }
        }
        backend.delete(file(id));
        backend.delete(removal(id));
    }

    /** Whether a passphrase or recovery key remains that nobody has said to remove. */
    private boolean another(KeySlotId removed) throws IOException {
        List<String> leaving = backend.list(REMOVALS);
        for (KeySlot slot : find().slots()) {
            if (slot.kind() != KeyKind.SECURITY_KEY
                    && !slot.id().equals(removed)
                    && !leaving.contains(removal(slot.id()))) {
                return true;
            }
        }
        return false;
    }
}
