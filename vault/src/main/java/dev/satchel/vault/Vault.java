package dev.satchel.vault;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;

import dev.satchel.linux.crypto.Ed25519;
import dev.satchel.linux.crypto.HmacSha256;
import dev.satchel.linux.crypto.SecretBytes;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * An open vault. Thread-safe; any number of processes and hosts may have the same vault open. Everything it returns has
 * been authenticated; everything it stores is durable on return.
 */
public final class Vault implements AutoCloseable {
    static final int OBJECT_BYTES_MAX = 4 << 20;
    static final String CONFIG = "vault";
    static final int CONFIG_BYTES_MAX = 4096;
    private static final byte[] CONFIG_MAGIC = "SATVAULT".getBytes(US_ASCII);
    private static final int FORMAT = 1;
    static final int CONFIG_KEY_AT = 8 + 4 + 16;
    private static final int CONFIG_SIGNED_BYTES = CONFIG_KEY_AT + Ed25519.KEY_BYTES;
    private static final int CONFIG_BYTES = CONFIG_SIGNED_BYTES + Ed25519.SIGNATURE_BYTES;
    static final int NAME_OF_SESSION = 1;
    static final int NAME_OF_IMAGE = 2;

    private final Backend backend;
    private final VaultId id;
    private final SecretBytes key;
    private final KeyDomain ownKeys;
    private final ObjectSealer sealer;
    private final SecretBytes nameKey;
    private final ChunkStore chunks;
    private final Protection protection;

    /** Keys of image domains, once they have been needed. */
    private final Map<KeyDomainId, KeyDomain> domainKeys = new ConcurrentHashMap<>();

    /** Stored by this, and so durable. */
    private volatile @Nullable SnapshotId lastStored;

    /** Which copy of the vault this is, see {@link Replica}; never changes once {@link #open} has returned. */
    private ReplicaId replica = ReplicaId.ORIGINAL;

    private HeadWitness witness;
    private boolean closed;

    private Vault(Backend backend, VaultId id, VaultKey vaultKey, HeadWitness witness) {
        this.backend = backend;
        this.id = id;
        this.witness = witness;
        key = SecretBytes.copyOf(vaultKey.secret().segment());
        ownKeys = new KeyDomain(derive(vaultKey, "chunks"));
        sealer = new ObjectSealer(id, derive(vaultKey, "objects"), signer(vaultKey), backend.location());
        nameKey = derive(vaultKey, "names");
        protection = new Protection(backend, sealer);
        chunks = new ChunkStore(backend, ownKeys, this::keysOf, protection::condemned);
    }

    static SecretBytes derive(VaultKey key, String purpose) {
        return HmacSha256.expand(key.secret().segment(), ("satchel vault v1 " + purpose).getBytes(US_ASCII));
    }

    static Ed25519 signer(VaultKey key) {
        try (SecretBytes seed = derive(key, "sign")) {
            return Ed25519.fromPrivateKey(seed.segment());
        }
    }

    /** The public key that goes with a vault key. */
    static byte[] publicKey(VaultKey key) {
        try (Ed25519 signer = signer(key);
                Arena arena = Arena.ofConfined()) {
            MemorySegment target = arena.allocate(Ed25519.KEY_BYTES);
            signer.publicKey(target);
            return Bytes.copy(target);
        }
    }

    /** The public key in a vault's first file. */
    static byte[] publicKey(byte[] config) {
        return Arrays.copyOfRange(config, CONFIG_KEY_AT, CONFIG_KEY_AT + Ed25519.KEY_BYTES);
    }

    static byte[] config(Backend backend) throws IOException {
        return backend.get(CONFIG, CONFIG_BYTES_MAX)
                .orElseThrow(() -> new NoSuchException("there is no vault in " + backend.location()
                        + ": make one with 'satchel vault init', or name another place with --vault"));
    }

    /** Whether a first file, which is none of ours, is one that a later version may have written: the first twelve bytes stay what they are. */
    static boolean isNewer(byte[] config) {
        return config.length > 12
                && config.length != CONFIG_BYTES
                && Arrays.equals(config, 0, CONFIG_MAGIC.length, CONFIG_MAGIC, 0, CONFIG_MAGIC.length)
                && Bytes.getInt(config, 8) > FORMAT
                && Bytes.getInt(config, 8) < 1000;
    }

    /** The id in a vault's first file, which has been checked against the public key in it. */
    static VaultId checkedId(byte[] config, Backend backend) throws DamagedException {
        boolean whole = config.length == CONFIG_BYTES
                && Arrays.equals(config, 0, CONFIG_MAGIC.length, CONFIG_MAGIC, 0, CONFIG_MAGIC.length);
        if (whole) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment all = arena.allocateFrom(JAVA_BYTE, config);
                try (Ed25519 verifier = Ed25519.fromPublicKey(all.asSlice(CONFIG_KEY_AT, Ed25519.KEY_BYTES))) {
                    whole = verifier.verify(
                            all.asSlice(0, CONFIG_SIGNED_BYTES),
                            all.asSlice(CONFIG_SIGNED_BYTES, Ed25519.SIGNATURE_BYTES));
                }
            }
        }
        if (whole ? Bytes.getInt(config, 8) != FORMAT : isNewer(config)) {
            throw new DamagedException("the vault in " + backend.location() + " has format " + Bytes.getInt(config, 8)
                    + ", this version knows formats up to " + FORMAT + ": use a newer version of Satchel");
        }
        if (!whole) {
            throw new DamagedException("the file " + CONFIG + " in " + backend.location()
                    + " is damaged: put it back from a copy of the vault");
        }
        return new VaultId(Bytes.getLong(config, 12), Bytes.getLong(config, 20));
    }

    private void checkKey(byte[] config) throws WrongPassphraseException {
        if (!Arrays.equals(sealer.publicKey(), publicKey(config))) {
            throw new WrongPassphraseException("this key is not the key of the vault in " + backend.location()
                    + ": unlock it with its passphrase");
        }
    }

    /** Makes a vault with a random key, wrapped under {@code passphrase}, without a label: {@link #init(Backend, byte[], KdfCost, String)}. */
    public static void init(Backend backend, byte[] passphrase, KdfParameters kdf) throws IOException {
        init(backend, passphrase, new KdfCost(kdf, 0), "");
    }

    /**
     * Makes a vault with a random key, wrapped under {@code passphrase}.
     *
     * @param passphrase UTF-8; the caller overwrites it
     * @param label of the passphrase, see {@link KeySlots#addPassphrase}
     * @throws ExistsException when there is a vault already
     */
    public static void init(Backend backend, byte[] passphrase, KdfCost cost, String label) throws IOException {
        if (backend.get(CONFIG, CONFIG_BYTES).isPresent()) {
            throw new ExistsException(
                    "there is a vault in " + backend.location() + " already: choose another place, or use it");
        }
        KeySlots.requireLabel(label);
        // What an init that died before its end has left belongs to no vault.
        for (String slot : backend.list(KeySlots.DIRECTORY)) {
            backend.delete(slot);
        }
        VaultId id = VaultId.random();
        @Nullable String slot = null;
        try (VaultKey key = new VaultKey(SecretBytes.random(VaultKey.BYTES));
                Ed25519 signer = signer(key);
                Arena arena = Arena.ofConfined()) {
            slot = KeySlots.addFirst(backend, id, key, passphrase, cost, label);
            byte[] config = new byte[CONFIG_BYTES];
            System.arraycopy(CONFIG_MAGIC, 0, config, 0, 8);
            Bytes.putInt(config, 8, FORMAT);
            Bytes.putLong(config, 12, id.high());
            Bytes.putLong(config, 20, id.low());
            MemorySegment signed = arena.allocate(CONFIG_BYTES);
            MemorySegment.copy(config, 0, signed, JAVA_BYTE, 0, CONFIG_BYTES);
            signer.publicKey(signed.asSlice(CONFIG_KEY_AT, Ed25519.KEY_BYTES));
            signer.sign(signed.asSlice(0, CONFIG_SIGNED_BYTES), signed.asSlice(CONFIG_SIGNED_BYTES));
            // The vault is there when this is: last, and only one of two inits at the same time gets through.
            if (!backend.replace(CONFIG, Optional.empty(), Bytes.copy(signed))) {
                throw new ExistsException("somebody else has just made a vault in " + backend.location() + ": use it");
            }
        } catch (ExistsException e) {
            // After any other failure the vault may be there all the same, and then this is its only key; if not, the
            // next init removes it.
            if (slot != null) {
                backend.delete(slot);
            }
            throw e;
        }
    }

    /**
     * Gets the vault's key out of the slot that a passphrase or recovery key opens; takes as long as the slots'
     * {@link KdfParameters} say. {@link KeySlots#open(byte[], Optional, Optional)} can be told which slot it is.
     *
     * @param passphrase UTF-8; the caller overwrites it
     * @throws NoSuchException when there is no vault
     * @throws WrongPassphraseException when no slot opens
     */
    public static VaultKey unlock(Backend backend, byte[] passphrase) throws IOException {
        return KeySlots.of(backend)
                .open(passphrase, Optional.empty(), Optional.empty())
                .key();
    }

    /**
     * Opens a vault; quick. Copies the key; takes over the backend, which {@link #close} closes (also when this throws).
     *
     * @throws NoSuchException when there is no vault
     * @throws WrongPassphraseException when the key is another vault's
     */
    public static Vault open(Backend backend, VaultKey key, HeadWitness witness) throws IOException {
        @Nullable Vault vault = null;
        try {
            byte[] config = config(backend);
            VaultId id = checkedId(config, backend);
            vault = new Vault(backend, id, key, witness);
            vault.checkKey(config);
            vault.replica = Replica.read(vault);
            vault.witness = witness.at(vault.replica);
            Vault opened = vault;
            vault = null;
            return opened;
        } catch (IOException | RuntimeException e) {
            try {
                if (vault != null) {
                    vault.close();
                } else {
                    backend.close();
                }
            } catch (IOException suppressed) {
                e.addSuppressed(suppressed);
            }
            throw e;
        }
    }

    /** Which vault. Also readable without the key: {@link #identify}. */
    public VaultId id() {
        return id;
    }

    /**
     * Which vault is in a place, without any key (and so without proof): to look its key up in a keyring.
     *
     * @throws NoSuchException when there is no vault
     */
    public static VaultId identify(Backend backend) throws IOException {
        return checkedId(config(backend), backend);
    }

    /** This copy has got an id of its own. */
    void named(ReplicaId copy) {
        replica = copy;
        witness = witness.at(copy);
    }

    /** Which copy of the vault this is. */
    public ReplicaId replica() {
        return replica;
    }

    /**
     * Opens another copy of this vault, with the same key.
     *
     * @param place taken over, closed with what is returned (also when this throws)
     * @param make whether a place that holds nothing becomes a copy
     * @throws NoSuchException when there is no vault and {@code make} is false
     * @throws ExistsException when another vault is there
     */
    public Vault openReplica(Backend place, HeadWitness seen, boolean make) throws IOException {
        try (VaultKey copy = new VaultKey(SecretBytes.copyOf(key.segment()))) {
            return Replica.open(this, place, copy, seen, make);
        }
    }

    /** Whether this host has seen another copy of this vault in which a session has gone further than in this one. */
    public boolean isBehind(Head head) throws IOException {
        return witness.isBehind(id, head.id(), head.generation());
    }

    /** Has this host forget that other copies have a session that has gone further: they are lost, or will become a branch. */
    public void acceptBehind(Head head) throws IOException {
        witness.acceptBehind(id, head.id(), head.generation());
    }

    /** Its chunks. */
    public ChunkStore chunks() {
        return chunks;
    }

    ObjectSealer sealer() {
        return sealer;
    }

    /** @throws AwayException when its device has been taken away, so that nothing that takes long is begun */
    public void requireThere() throws IOException {
        Optional<Long> _ = backend.size(CONFIG);
    }

    /** Where it is, e.g. for {@link Backend#openLog}; not to be closed. Names beginning {@code log/} are the upper parts'. */
    public Backend backend() {
        return backend;
    }

    /**
     * A 32-byte key for an upper part's own use: HKDF of the vault's key, different for each pair of arguments.
     *
     * @param purpose a constant of the caller, 1 to 100 ASCII characters
     * @param context what it is for, e.g. a random log id; up to 64 bytes
     */
    public SecretBytes deriveKey(String purpose, byte[] context) {
        if (purpose.isEmpty() || purpose.length() > 100 || context.length > 64) {
            throw new IllegalArgumentException("a purpose has 1 to 100 characters, a context up to 64 bytes");
        }
        byte[] info = new Encoder()
                .text("satchel derived v1")
                .text(purpose)
                .bytes(context)
                .toBytes();
        return HmacSha256.expand(key.segment(), info);
    }

    /** All sessions' heads, by name. */
    public List<Head> heads() throws IOException {
        List<Head> heads = new ArrayList<>();
        for (String name : backend.list("sessions")) {
            if (name.endsWith("/head")) {
                readHead(sessionOf(name)).ifPresent(stored -> heads.add(stored.head()));
            }
        }
        heads.sort((a, b) -> a.name().compareTo(b.name()));
        return heads;
    }

    /**
     * A session's head.
     *
     * @throws ForgedException when it is older than one this host has seen
     */
    public Optional<Head> head(SessionId session) throws IOException {
        return readHead(session).map(StoredHead::head);
    }

    /** The head of the session of that name. */
    public Optional<Head> head(String name) throws IOException {
        Optional<StoredName> reserved = readName(nameFile(NAME_OF_SESSION, name));
        if (reserved.isPresent()) {
            SessionId session =
                    new SessionId(reserved.get().high(), reserved.get().low());
            Optional<Head> head = head(session);
            if (head.isPresent() && head.get().name().equals(name)) {
                return head;
            }
        }
        // The name's file is only the shorter way. Heads that can't be read are no reason to do without the others.
        for (Map.Entry<SessionId, String> session : namesOfSessions().entrySet()) {
            if (session.getValue().equals(name)) {
                return head(session.getKey());
            }
        }
        return Optional.empty();
    }

    /**
     * Replaces a session's head, or stores its first. Its generation must be one more than the present one's, or 1.
     *
     * @param lease of that session
     * @throws InUseException when the lease was taken over; nothing has changed then
     * @throws ExistsException when another session has the name
     * @throws IllegalStateException when the generation does not follow: the caller's head is stale
     */
    public void putHead(Head next, Lease lease) throws IOException {
        requireLease(next.id(), lease);
        requireText(next.name(), Head.NAME_MAX, "a session's name");
        Optional<StoredHead> present = readHead(next.id());
        long generation = present.map(stored -> stored.head().generation()).orElse(0L);
        if ((present.isPresent() && present.get().leaseEpoch() > lease.holder().epoch()) || !lease.stillHeld()) {
            throw lost(next.id(), lease);
        }
        if (next.generation() != generation + 1) {
            throw new IllegalStateException("head of generation " + next.generation() + " of session " + next.id()
                    + " does not follow generation " + generation);
        }
        boolean newName = present.isEmpty() || !present.get().head().name().equals(next.name());
        String nameFile = nameFile(NAME_OF_SESSION, next.name());
        if (newName) {
            reserveName(nameFile, next.name(), next.id());
        }
        Optional<SnapshotId> named = present.flatMap(head -> head.head().snapshot());
        if (next.snapshot().isPresent()
                && !next.snapshot().equals(named)
                && !next.snapshot().get().equals(lastStored)) {
            // It may be that of somebody who died before its name was safe.
            backend.settle(snapshotFile(next.snapshot().get()));
        }
        byte[] stored = sealHead(next, lease.holder().epoch());
        if (!backend.replace(headFile(next.id()), present.map(StoredHead::stored), stored)) {
            // Only a new holder changes the head while we think that it is ours.
            throw lost(next.id(), lease);
        }
        if (newName) {
            Optional<StoredName> mine = readName(nameFile);
            if (mine.isEmpty() || !mine.get().is(next.id().high(), next.id().low())) {
                // Two sessions were given one name in the same moment, and the other was later.
                if (present.isEmpty()) {
                    backend.delete(headFile(next.id()));
                } else {
                    backend.replace(
                            headFile(next.id()),
                            Optional.of(stored),
                            present.get().stored());
                }
                throw nameTaken(next.name());
            }
            if (present.isPresent()) {
                releaseName(
                        nameFile(NAME_OF_SESSION, present.get().head().name()),
                        next.id().high(),
                        next.id().low());
            }
        }
        witness.observe(id, next.id(), next.generation(), ObjectSealer.hash(stored, stored.length));
    }

    /** Removes a session: its head, then its snapshots, then its logs. Chunks stay until they are collected. */
    public void delete(SessionId session, Lease lease) throws IOException {
        requireLease(session, lease);
        Optional<StoredHead> present = readHead(session);
        if (!lease.stillHeld()) {
            throw lost(session, lease);
        }
        if (present.isPresent()) {
            releaseName(nameFile(NAME_OF_SESSION, present.get().head().name()), session.high(), session.low());
        }
        backend.delete(headFile(session));
        Set<SnapshotId> own = new HashSet<>();
        for (Snapshot snapshot : allSnapshots()) {
            if (snapshot.session().equals(session)) {
                own.add(snapshot.id());
            }
        }
        if (!own.isEmpty()) {
            Protection.Intent intent = protection.announce(List.of(), own);
            removeUnnamed(own);
            protection.withdraw(intent);
        }
        for (String log : backend.list("log/" + session)) {
            backend.delete(log);
        }
        for (String pin : backend.list("pins/" + session)) {
            backend.delete(pin);
        }
        lease.close();
        backend.delete(leaseFile(session));
        witness.forget(id, session);
    }

    /**
     * A snapshot; its signature has been verified before anything in it was looked at.
     *
     * @throws NoSuchException when there is none of that id
     */
    public Snapshot snapshot(SnapshotId snapshot) throws IOException {
        String file = snapshotFile(snapshot);
        byte[] stored = backend.get(file, OBJECT_BYTES_MAX)
                .orElseThrow(() -> new NoSuchException("there is no snapshot " + snapshot + " in " + backend.location()
                        + ": list them with 'satchel history'"));
        String shown = "the snapshot " + snapshot;
        byte[] payload = sealer.open(ObjectSealer.Kind.SNAPSHOT, "", stored, shown);
        if (!snapshotId(stored).equals(snapshot)) {
            throw new ForgedException(shown + " in " + backend.location()
                    + " is another snapshot under its name: put it back from a copy of the vault");
        }
        Decoder in = new Decoder(payload, shown);
        SessionId session = in.sessionId();
        Optional<SnapshotId> parent = in.snapshotId();
        Instant created = Instant.ofEpochMilli(in.u64());
        String kind = in.text();
        int count = in.u32();
        if (count < 0 || count > SnapshotDraft.TREES_MAX) {
            throw in.malformed();
        }
        SortedMap<String, ChunkMapRef> trees = new TreeMap<>();
        for (int i = 0; i < count; i++) {
            trees.put(in.text(), in.mapRef());
        }
        byte[] metadata = in.bytes();
        long bytesNew = in.u64();
        long bytesLogical = in.u64();
        in.end();
        return new Snapshot(snapshot, session, parent, created, kind, trees, metadata, bytesNew, bytesLogical);
    }

    /** Stores a snapshot. What its trees name must have been committed before. */
    public SnapshotId put(SnapshotDraft draft) throws IOException {
        requireText(draft.kind(), SnapshotDraft.NAME_MAX, "a snapshot's kind");
        Encoder out = new Encoder()
                .u64(draft.session().high())
                .u64(draft.session().low())
                .snapshotId(draft.parent())
                .u64(draft.created().toEpochMilli())
                .text(draft.kind())
                .u32(draft.trees().size());
        for (Map.Entry<String, ChunkMapRef> tree : draft.trees().entrySet()) {
            requireText(tree.getKey(), SnapshotDraft.NAME_MAX, "a tree's name");
            out.text(tree.getKey()).mapRef(tree.getValue());
        }
        out.bytes(draft.metadata()).u64(draft.bytesNew()).u64(draft.bytesLogical());
        byte[] stored = sealer.seal(ObjectSealer.Kind.SNAPSHOT, "", out.toBytes());
        SnapshotId snapshot = snapshotId(stored);
        try (Arena arena = Arena.ofConfined()) {
            backend.putIfAbsent(snapshotFile(snapshot), arena.allocateFrom(JAVA_BYTE, stored));
        }
        lastStored = snapshot;
        return snapshot;
    }

    /**
     * All heads that can be read, by name.
     *
     * @param damaged is told of the others, one line each
     */
    public List<Head> heads(Consumer<String> damaged) throws IOException {
        List<Head> heads = new ArrayList<>();
        for (String name : backend.list("sessions")) {
            if (name.endsWith("/head")) {
                try {
                    readHead(sessionOf(name)).ifPresent(stored -> heads.add(stored.head()));
                } catch (DamagedException | ForgedException e) {
                    damaged.accept(String.valueOf(e.getMessage()));
                }
            }
        }
        heads.sort((a, b) -> a.name().compareTo(b.name()));
        return heads;
    }

    /**
     * The snapshot that a session's head names; empty if there is no head, or it names none. A head may go on while this looks, and
     * what it named be removed: then it is looked at again.
     *
     * @throws DamagedException when it can't be read
     */
    public Optional<Snapshot> newest(SessionId session) throws IOException {
        Optional<SnapshotId> before = Optional.empty();
        while (true) {
            Optional<SnapshotId> named = head(session).flatMap(Head::snapshot);
            if (named.isEmpty()) {
                return Optional.empty();
            }
            try {
                return Optional.of(snapshot(named.get()));
            } catch (VaultException e) {
                if (named.equals(before)) {
                    DamagedException missing = missingSnapshot(session, named.get());
                    missing.addSuppressed(e);
                    throw missing;
                }
                before = named;
            }
        }
    }

    /**
     * A session's snapshots and, of a fork, those it descends from; newest first. Without those that can't be read, but for the newest:
     * nobody knows any more whose they are.
     */
    public List<Snapshot> history(SessionId session) throws IOException {
        Optional<Snapshot> newest = newest(session);
        Map<SnapshotId, Snapshot> all = new HashMap<>();
        for (String file : backend.list("snapshots")) {
            try {
                Snapshot snapshot = snapshot(snapshotOf(file));
                all.put(snapshot.id(), snapshot);
            } catch (VaultException unreadable) {
                // Verify tells of it; if it is the newest, we do below.
            }
        }
        Map<SnapshotId, Snapshot> wanted = new HashMap<>();
        for (Snapshot snapshot : all.values()) {
            if (snapshot.session().equals(session)) {
                wanted.put(snapshot.id(), snapshot);
            }
        }
        List<SnapshotId> lineage = new ArrayList<>();
        if (newest.isPresent()) {
            all.putIfAbsent(newest.get().id(), newest.get());
            lineage.add(newest.get().id());
        }
        for (Snapshot snapshot : wanted.values()) {
            snapshot.parent().ifPresent(lineage::add);
        }
        while (!lineage.isEmpty()) {
            Snapshot snapshot = all.get(lineage.removeLast());
            // A parent may have been removed: its children stand without it.
            if (snapshot != null && wanted.put(snapshot.id(), snapshot) == null) {
                snapshot.parent().ifPresent(lineage::add);
            }
        }
        List<Snapshot> history = new ArrayList<>(wanted.values());
        history.sort((a, b) -> b.created().compareTo(a.created()));
        return history;
    }

    /** Removes a snapshot; does nothing when there is none. The caller sees to it that no head names it: see {@link #remove}. */
    public void delete(SnapshotId snapshot) throws IOException {
        backend.delete(snapshotFile(snapshot));
    }

    /**
     * Removes snapshots, also beside writers and removers here and on other hosts. Those that a head names stay, and those of a session
     * that is storing one just now. Snapshots after them stay as they are; their chunks go with the next {@link #collect}.
     *
     * @return those that were removed
     */
    public Set<SnapshotId> remove(Set<SnapshotId> snapshots) throws IOException {
        Set<SnapshotId> removable = new HashSet<>(snapshots);
        removable.removeAll(named());
        if (removable.isEmpty()) {
            return Set.of();
        }
        Protection.Intent intent = protection.announce(List.of(), removable);
        try {
            Set<SessionId> storing = new HashSet<>();
            for (Protection.Pinned pin : protection.pins()) {
                if (!pin.ofVolume() && !pin.ofVolumeElsewhere()) {
                    storing.add(pin.owner());
                }
            }
            Set<SnapshotId> quiet = new HashSet<>();
            for (SnapshotId snapshot : removable) {
                Optional<Snapshot> present = ifThere(snapshot);
                if (present.isPresent() && !storing.contains(present.get().session())) {
                    quiet.add(snapshot);
                }
            }
            return removeUnnamed(quiet);
        } finally {
            protection.withdraw(intent);
        }
    }

    /** Of snapshots that an intent names: whoever lets a head name one from now on sees that. @return those that went */
    private Set<SnapshotId> removeUnnamed(Set<SnapshotId> snapshots) throws IOException {
        Set<SnapshotId> removed = new HashSet<>(snapshots);
        removed.removeAll(named());
        Set<SessionId> owners = new HashSet<>();
        for (SnapshotId snapshot : removed) {
            ownerOf(snapshot).ifPresent(owners::add);
        }
        for (SessionId owner : owners) {
            backend.settle(headFile(owner)); // one that was removed does not come back and name what goes now
        }
        for (SnapshotId snapshot : removed) {
            delete(snapshot);
        }
        return removed;
    }

    /** Empty of one that is not there or can't be read: nobody knows whose it is then. */
    private Optional<SessionId> ownerOf(SnapshotId snapshot) throws IOException {
        try {
            return ifThere(snapshot).map(Snapshot::session);
        } catch (DamagedException | ForgedException e) {
            return Optional.empty();
        }
    }

    private Set<SnapshotId> named() throws IOException {
        Set<SnapshotId> named = new HashSet<>();
        for (Head head : heads()) {
            head.snapshot().ifPresent(named::add);
        }
        return named;
    }

    /** Goes on with a removal that may have been broken off. */
    void finishRemoval(Protection.Intent intent) throws IOException {
        if (removeUnnamed(intent.snapshots()).equals(intent.snapshots())) {
            protection.withdraw(intent);
        }
    }

    /**
     * To be called after a head was made to name an older snapshot: whether that one stays.
     *
     * @return false when somebody has removed it meanwhile, or is about to; the head must not name it then
     */
    public boolean stays(SnapshotId snapshot) throws IOException {
        return !protection.isCondemned(snapshot)
                && backend.size(snapshotFile(snapshot)).isPresent();
    }

    /**
     * Keeps what these maps name from being collected, until the pin is closed. What is stored is named in this order: chunks are
     * committed, the maps pinned, then the snapshot, image or log that names them is written, and the pin closed.
     *
     * @param owner who stores it; the caller holds its lease, which must outlive the pin
     * @param maps what is not from {@code batch} in them is named by something that stays until the pin is closed
     * @param batch that the rest was put into, and committed
     * @throws CollectedException when a collection was faster: all of it must be put once more, into a new batch
     */
    public Pin pin(SessionId owner, Collection<ChunkMapRef> maps, ChunkWriter batch) throws IOException {
        Pin pin = protection.pin(owner, maps, Set.of());
        try {
            Protection.secure(chunks, maps, batch);
            return pin;
        } catch (IOException | RuntimeException e) {
            pin.close();
            throw e;
        }
    }

    /**
     * The same of something that is named already. If that is still there when this has returned, it stays until the pin is closed.
     *
     * @param owner as there
     */
    public Pin pin(SessionId owner, Collection<ChunkMapRef> maps) throws IOException {
        return protection.pin(owner, maps, Set.of());
    }

    /**
     * Keeps the packs of a domain whose keys are not in the vault yet: to be closed after {@link #putImage}.
     *
     * @param owner as there
     */
    public Pin pin(SessionId owner, KeyDomainId domain) throws IOException {
        return protection.pin(owner, List.of(), Set.of(domain));
    }

    /**
     * Keeps the maps that a session's log is over, instead of those before, until {@link #unpinVolume} or until the session is removed.
     *
     * @param session whose log it is; its holder calls this
     * @param maps with the new one, the one that the log is over until it says otherwise
     * @param stored the new one, of {@code batch}
     * @throws CollectedException when a collection was faster: the new one must be stored again, into a new batch
     */
    public void pinVolume(SessionId session, Collection<ChunkMapRef> maps, ChunkMapRef stored, ChunkWriter batch)
            throws IOException {
        protection.pinVolume(session, maps);
        Protection.secure(chunks, List.of(stored), batch);
    }

    /** After the last log of a session went, or when it is over a snapshot that its head names. */
    public void unpinVolume(SessionId session) throws IOException {
        protection.unpinVolume(session);
    }

    /**
     * Gives back the space of chunks that no snapshot, image or pin needs, and of what dead writers and removed sessions left. Safe
     * beside running sessions, also on other hosts; may be killed at any moment, the next goes on.
     *
     * @param unneededPercentMax a pack with more of its chunks not needed is written anew without them; 0 to 100
     * @param dryRun changes nothing, only tells
     * @throws DamagedException when a map can't be read: what it needs is not known
     */
    public CollectReport collect(int unneededPercentMax, boolean dryRun, ProgressListener listener) throws IOException {
        return new GarbageCollection(this, unneededPercentMax, dryRun, listener).run();
    }

    Protection protection() {
        return protection;
    }

    /** All images, by name. Each manifest's {@code keys} belong to the vault: not to be closed. */
    public List<ImageManifest> images() throws IOException {
        List<ImageManifest> images = new ArrayList<>();
        for (String name : backend.list("images")) {
            readImage(name).ifPresent(images::add);
        }
        images.sort((a, b) -> a.name().compareTo(b.name()));
        return images;
    }

    /** The image of that name. */
    public Optional<ImageManifest> image(String name) throws IOException {
        Optional<StoredName> reserved = readName(nameFile(NAME_OF_IMAGE, name));
        if (reserved.isPresent()) {
            Optional<ImageManifest> image = readImage("images/"
                    + new ImageId(reserved.get().high(), reserved.get().low()));
            if (image.isPresent() && image.get().name().equals(name)) {
                return image;
            }
        }
        for (ImageManifest image : images()) {
            if (image.name().equals(name)) {
                return Optional.of(image);
            }
        }
        return Optional.empty();
    }

    /** Stores an image; one of the same name is replaced. What its volume names must have been committed before. */
    public void putImage(ImageManifest image) throws IOException {
        requireText(image.name(), Head.NAME_MAX, "an image's name");
        if (image.metadata().length > SnapshotDraft.METADATA_MAX) {
            throw new IllegalArgumentException(image.metadata().length + " bytes of metadata");
        }
        storeKeys(image.keys());
        byte[] payload = new Encoder()
                .u64(image.id().high())
                .u64(image.id().low())
                .text(image.name())
                .u64(image.created().toEpochMilli())
                .u64(image.keys().id().high())
                .u64(image.keys().id().low())
                .mapRef(image.volume())
                .u64(image.diskBytes())
                .u64(image.bytesLogical())
                .bytes(image.metadata())
                .toBytes();
        String file = "images/" + image.id();
        byte[] stored = sealer.seal(ObjectSealer.Kind.IMAGE, file, payload);
        backend.replace(file, backend.get(file, OBJECT_BYTES_MAX), stored);
        nameImage(image);
    }

    /** An image that is stored gets its name, and others that have it go. */
    void nameImage(ImageManifest image) throws IOException {
        String nameFile = nameFile(NAME_OF_IMAGE, image.name());
        byte[] name = sealName(nameFile, image.id().high(), image.id().low());
        backend.replace(nameFile, backend.get(nameFile, OBJECT_BYTES_MAX), name);
        deleteOthers(image.name(), image.id());
    }

    /** There are more of a name only when somebody died while replacing one; what was replaced must not come back later. */
    private void deleteOthers(String name, ImageId kept) throws IOException {
        for (ImageManifest image : images()) {
            if (image.name().equals(name) && !image.id().equals(kept)) {
                backend.delete("images/" + image.id());
            }
        }
    }

    /** Removes an image's name; sessions made from it keep its chunks and keys. Does nothing when there is none. */
    public void deleteImage(ImageId image) throws IOException {
        String file = "images/" + image;
        Optional<ImageManifest> manifest = readImage(file);
        if (manifest.isPresent()) {
            deleteOthers(manifest.get().name(), image);
        }
        backend.delete(file);
        if (manifest.isPresent()) {
            releaseName(nameFile(NAME_OF_IMAGE, manifest.get().name()), image.high(), image.low());
        }
    }

    /**
     * Takes the right to change a session, which need not exist yet.
     *
     * @param takeOver takes it also from another holder, whose writes fail from then on; the head's generation then goes
     *     up by one, so read the head afterwards
     * @throws InUseException when somebody has it, also when it is this host (compare
     *     {@link InUseException#holder}), and {@code takeOver} is false
     */
    public Lease acquire(SessionId session, HostId host, String hostName, boolean takeOver) throws IOException {
        requireText(hostName, Head.NAME_MAX, "a host's name");
        String file = leaseFile(session);
        while (true) {
            Optional<byte[]> present = backend.get(file, OBJECT_BYTES_MAX);
            boolean held = false;
            long epoch = readHead(session).map(StoredHead::leaseEpoch).orElse(0L);
            if (present.isPresent()) {
                try {
                    StoredLease lease = openLease(session, present.get());
                    held = lease.state() != LeaseState.FREE;
                    epoch = Math.max(epoch, lease.holder().epoch());
                    if (held && !takeOver) {
                        throw inUse(session, lease);
                    }
                } catch (DamagedException | ForgedException e) {
                    // Taking over is the way out when a lease can't be read any more.
                    if (!takeOver) {
                        throw e;
                    }
                    held = true;
                }
            }
            LeaseHolder holder =
                    new LeaseHolder(host, hostName, Instant.ofEpochMilli(System.currentTimeMillis()), epoch + 1);
            byte[] stored = sealLease(session, holder, LeaseState.HELD);
            if (backend.replace(file, present, stored)) {
                Lease lease = new Lease(this, session, holder, stored);
                if (held) {
                    fence(session, lease);
                }
                backend.removeAbandoned();
                return lease;
            }
        }
    }

    /** Who holds a session. */
    public Optional<LeaseHolder> holder(SessionId session) throws IOException {
        Optional<byte[]> stored = backend.get(leaseFile(session), OBJECT_BYTES_MAX);
        if (stored.isEmpty()) {
            return Optional.empty();
        }
        StoredLease lease = openLease(session, stored.get());
        return lease.held() ? Optional.of(lease.holder()) : Optional.empty();
    }

    /** Who held a session in another copy of this vault when this one was last brought up to date. */
    public Optional<LeaseHolder> holderElsewhere(SessionId session) throws IOException {
        Optional<byte[]> stored = backend.get(leaseFile(session), OBJECT_BYTES_MAX);
        if (stored.isEmpty()) {
            return Optional.empty();
        }
        StoredLease lease = openLease(session, stored.get());
        return lease.state() == LeaseState.ELSEWHERE ? Optional.of(lease.holder()) : Optional.empty();
    }

    /** Size and contents. */
    public VaultInfo info() throws IOException {
        int sessions = 0;
        int snapshots = 0;
        int images = 0;
        long bytesStored = 0;
        long bytesLogical = 0;
        Set<KeyDomainId> domains = new TreeSet<>((a, b) -> a.toString().compareTo(b.toString()));
        domains.add(ownKeys.id());
        for (String name : backend.list("")) {
            bytesStored += backend.size(name).orElse(0L);
            if (name.startsWith("sessions/") && name.endsWith("/head")) {
                sessions++;
            } else if (name.startsWith("domains/") && name.endsWith("/key")) {
                domains.add(domainOf(name));
            }
        }
        for (Snapshot snapshot : allSnapshots()) {
            snapshots++;
            for (ChunkMapRef tree : snapshot.trees().values()) {
                bytesLogical += tree.logicalBytes();
            }
        }
        for (ImageManifest image : images()) {
            images++;
            bytesLogical += image.volume().logicalBytes();
        }
        long count = 0;
        for (KeyDomainId domain : domains) {
            DomainPacks packs = chunks.domain(domain);
            chunks.refresh(packs);
            count += packs.index().size();
        }
        return new VaultInfo(id, sessions, snapshots, images, count, bytesStored, bytesLogical);
    }

    /** Reads every byte of the vault and checks it against keys, hashes and signatures. */
    public VerifyReport verify(ProgressListener listener) throws IOException {
        return new Verification(this, Verification.Depth.CONTENTS, listener).run();
    }

    /**
     * Checks objects, signatures, indexes, the directories of packs, sizes, and that everything which a snapshot or image names is there; what is
     * in chunks only as far as they are nodes of maps.
     */
    public VerifyReport verifyStructure(ProgressListener listener) throws IOException {
        return new Verification(this, Verification.Depth.STRUCTURE, listener).run();
    }

    /**
     * Mends what is damaged or missing from other copies; see {@link RepairRequest}. May be broken off and begun again, and others may use
     * the vault meanwhile.
     */
    public RepairReport repair(RepairRequest request, ProgressListener listener) throws IOException {
        return new Repair(this, request, listener).run();
    }

    /**
     * Puts back what is needed to open a vault at all, its first file and its key slots, from copies of it; does nothing when they are
     * whole. Needs no key, and trusts a copy no further than its signatures.
     *
     * @param dryRun only says what would be put back
     * @return one line for each file put back
     * @throws DamagedException when the first file is damaged and no copy has it
     * @throws NoSuchException when it is missing and no copy has it
     */
    public static List<String> repairEntrance(Backend backend, List<Backend> replicas, boolean dryRun)
            throws IOException {
        return Repair.entrance(backend, replicas, dryRun);
    }

    /** Overwrites the keys and closes the backend; the second time does nothing. Leases and writers are closed before. */
    @Override
    public void close() throws IOException {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
        }
        chunks.close();
        domainKeys.values().forEach(KeyDomain::close);
        ownKeys.close();
        sealer.close();
        nameKey.close();
        key.close();
        backend.close();
    }

    // ---- heads

    @SuppressWarnings("ArrayRecordComponent") // never compared
    record StoredHead(Head head, long leaseEpoch, byte[] stored) {}

    static String headFile(SessionId session) {
        return "sessions/" + session + "/head";
    }

    static SessionId sessionOf(String file) throws DamagedException {
        try {
            return SessionId.parse(file.split("/", -1)[1]);
        } catch (IllegalArgumentException e) {
            throw new DamagedException("the file " + file + " is no session's: remove it", e);
        }
    }

    static KeyDomainId domainOf(String file) throws DamagedException {
        try {
            return KeyDomainId.parse(file.split("/", -1)[1]);
        } catch (IllegalArgumentException e) {
            throw new DamagedException("the file " + file + " is no key domain's: remove it", e);
        }
    }

    Optional<StoredHead> readHead(SessionId session) throws IOException {
        String file = headFile(session);
        Optional<byte[]> stored = backend.get(file, OBJECT_BYTES_MAX);
        if (stored.isEmpty()) {
            return Optional.empty();
        }
        StoredHead head = openHead(session, stored.get());
        byte[] hash = ObjectSealer.hash(stored.get(), stored.get().length);
        if (!witness.knows(id, session, head.head().generation(), hash)) {
            backend.settle(file);
            witness.observe(id, session, head.head().generation(), hash);
        }
        return Optional.of(head);
    }

    /** A head as it is stored somewhere, whether or not this host has seen a newer one. */
    StoredHead openHead(SessionId session, byte[] stored) throws VaultException {
        String shown = "the head of session " + session;
        Decoder in = new Decoder(sealer.open(ObjectSealer.Kind.HEAD, headFile(session), stored, shown), shown);
        long leaseEpoch = in.u64();
        long generation = in.u64();
        String name = in.text();
        Optional<SnapshotId> snapshot = in.snapshotId();
        byte[] settings = in.bytes();
        in.end();
        try {
            return new StoredHead(new Head(session, name, generation, snapshot, settings), leaseEpoch, stored);
        } catch (IllegalArgumentException e) {
            throw in.malformed();
        }
    }

    byte[] sealHead(Head head, long leaseEpoch) {
        byte[] payload = new Encoder()
                .u64(leaseEpoch)
                .u64(head.generation())
                .text(head.name())
                .snapshotId(head.snapshot())
                .bytes(head.settings())
                .toBytes();
        return sealer.seal(ObjectSealer.Kind.HEAD, headFile(head.id()), payload);
    }

    private static void requireText(String text, int bytesMax, String what) {
        int bytes = text.getBytes(UTF_8).length;
        if (bytes < 1 || bytes > bytesMax) {
            throw new IllegalArgumentException(what + " has 1 to " + bytesMax + " bytes, not " + bytes);
        }
    }

    // ---- leases

    /** What a lease says of its session. */
    enum LeaseState {
        FREE(0),
        HELD(1),

        /** Held in another copy of this vault when this one was last brought up to date. */
        ELSEWHERE(2),

        /** Nobody's: its head is being replaced just now by who brings this copy up to date, or that broke off. */
        MOVING(3);

        private final int code;

        LeaseState(int code) {
            this.code = code;
        }

        static LeaseState of(int code, Decoder in) throws DamagedException {
            for (LeaseState state : values()) {
                if (state.code == code) {
                    return state;
                }
            }
            throw in.malformed();
        }
    }

    record StoredLease(LeaseHolder holder, LeaseState state) {
        boolean held() {
            return state == LeaseState.HELD;
        }
    }

    static String leaseFile(SessionId session) {
        return "sessions/" + session + "/lease";
    }

    StoredLease openLease(SessionId session, byte[] stored) throws VaultException {
        String shown = "the lease of session " + session;
        Decoder in = new Decoder(sealer.open(ObjectSealer.Kind.LEASE, leaseFile(session), stored, shown), shown);
        long epoch = in.u64();
        LeaseState state = LeaseState.of(in.u8(), in);
        HostId host = new HostId(in.u64(), in.u64());
        String hostName = in.text();
        Instant since = Instant.ofEpochMilli(in.u64());
        in.end();
        return new StoredLease(new LeaseHolder(host, hostName, since, epoch), state);
    }

    byte[] sealLease(SessionId session, LeaseHolder holder, LeaseState state) {
        byte[] payload = new Encoder()
                .u64(holder.epoch())
                .u8(state.code)
                .u64(holder.host().high())
                .u64(holder.host().low())
                .text(holder.hostName())
                .u64(holder.since().toEpochMilli())
                .toBytes();
        return sealer.seal(ObjectSealer.Kind.LEASE, leaseFile(session), payload);
    }

    boolean holds(SessionId session, byte[] stored) throws IOException {
        Optional<byte[]> present = backend.get(leaseFile(session), OBJECT_BYTES_MAX);
        return present.isPresent() && Arrays.equals(present.get(), stored);
    }

    boolean takenOver(SessionId session, byte[] stored) throws IOException {
        Optional<byte[]> present = backend.get(leaseFile(session), OBJECT_BYTES_MAX);
        return present.isPresent() && !Arrays.equals(present.get(), stored);
    }

    void release(SessionId session, LeaseHolder holder, byte[] stored) throws IOException {
        // Stays as a record of the epoch; false means that somebody has taken over, and then it is theirs.
        backend.replace(leaseFile(session), Optional.of(stored), sealLease(session, holder, LeaseState.FREE));
    }

    /** Rewrites the head under the new lease: a write of the former holder, who expects the old one, then fails. */
    private void fence(SessionId session, Lease lease) throws IOException {
        while (lease.stillHeld()) {
            Optional<StoredHead> present = readHead(session);
            if (present.isEmpty()) {
                return;
            }
            Head head = present.get().head();
            Head next = head.next(head.snapshot(), head.settings());
            byte[] stored = sealHead(next, lease.holder().epoch());
            if (backend.replace(headFile(session), Optional.of(present.get().stored()), stored)) {
                witness.observe(id, session, next.generation(), ObjectSealer.hash(stored, stored.length));
                return;
            }
        }
        throw lost(session, lease);
    }

    private static void requireLease(SessionId session, Lease lease) {
        if (!lease.session().equals(session)) {
            throw new IllegalArgumentException("the lease is of session " + lease.session() + ", not " + session);
        }
    }

    private InUseException lost(SessionId session, Lease lease) throws IOException {
        return inUse(session, holder(session).orElse(lease.holder()));
    }

    private static InUseException inUse(SessionId session, LeaseHolder holder) {
        return new InUseException(
                "session " + session + " is in use on " + holder.hostName() + " since " + holder.since()
                        + ": suspend it there, or take it over",
                holder);
    }

    private static InUseException inUse(SessionId session, StoredLease lease) {
        LeaseHolder holder = lease.holder();
        return switch (lease.state()) {
            case FREE, HELD -> inUse(session, holder);
            case ELSEWHERE ->
                new InUseException(
                        "session " + session + " ran on " + holder.hostName()
                                + " in another copy of this vault when this copy was last brought up to date: suspend it there"
                                + " and run 'satchel vault sync' again, or take it over",
                        holder,
                        true);
            case MOVING ->
                new InUseException(
                        "session " + session + " is being brought up to date by " + holder.hostName()
                                + ", or that broke off: try again in a moment, run 'satchel vault sync' again, or take it over",
                        holder,
                        true);
        };
    }

    // ---- names

    @SuppressWarnings("ArrayRecordComponent") // never compared
    record StoredName(long high, long low, byte[] stored) {
        boolean is(long otherHigh, long otherLow) {
            return high == otherHigh && low == otherLow;
        }
    }

    /** The file that reserves a name: its own name tells the reserved one only to who has the key. */
    String nameFile(int kind, String name) {
        byte[] message = new Encoder().u8(kind).text(name).toBytes();
        try (Arena arena = Arena.ofConfined();
                HmacSha256 hmac = new HmacSha256(nameKey.segment())) {
            MemorySegment code = arena.allocate(HmacSha256.BYTES);
            hmac.code(arena.allocateFrom(JAVA_BYTE, message), code);
            return "names/" + ChunkId.read(code, 0);
        }
    }

    Optional<StoredName> readName(String file) throws IOException {
        Optional<byte[]> stored = backend.get(file, OBJECT_BYTES_MAX);
        if (stored.isEmpty()) {
            return Optional.empty();
        }
        String shown = "the name in " + file;
        Decoder in = new Decoder(sealer.open(ObjectSealer.Kind.NAME, file, stored.get(), shown), shown);
        StoredName name = new StoredName(in.u64(), in.u64(), stored.get());
        in.end();
        return Optional.of(name);
    }

    byte[] sealName(String file, long high, long low) {
        return sealer.seal(
                ObjectSealer.Kind.NAME, file, new Encoder().u64(high).u64(low).toBytes());
    }

    void reserveName(String file, String name, SessionId session) throws IOException {
        byte[] mine = sealName(file, session.high(), session.low());
        while (true) {
            Optional<StoredName> present = readName(file);
            if (present.isPresent()) {
                SessionId owner =
                        new SessionId(present.get().high(), present.get().low());
                if (owner.equals(session)) {
                    // Perhaps by somebody who was killed before it was safe.
                    backend.settle(file);
                    return;
                }
                Optional<StoredHead> head = readHead(owner);
                if (head.isPresent() && head.get().head().name().equals(name)) {
                    throw nameTaken(name);
                }
                // Left by somebody who died between reserving and using it.
            }
            if (backend.replace(file, present.map(StoredName::stored), mine)) {
                return;
            }
        }
    }

    private static ExistsException nameTaken(String name) {
        return new ExistsException("there is a session " + name + " already: choose another name");
    }

    void releaseName(String file, long high, long low) throws IOException {
        Optional<StoredName> present = readName(file);
        if (present.isPresent() && present.get().is(high, low)) {
            backend.delete(file);
        }
    }

    // ---- snapshots

    static String snapshotFile(SnapshotId snapshot) {
        return "snapshots/" + snapshot;
    }

    static SnapshotId snapshotId(byte[] stored) {
        byte[] hash = ObjectSealer.hash(stored, stored.length - ObjectSealer.SIGNATURE_BYTES);
        return new SnapshotId(
                Bytes.getLong(hash, 0), Bytes.getLong(hash, 8), Bytes.getLong(hash, 16), Bytes.getLong(hash, 24));
    }

    private DamagedException missingSnapshot(SessionId session, SnapshotId snapshot) {
        return new DamagedException("the newest snapshot " + snapshot + " of session " + session + " is missing from "
                + backend.location() + ": put " + snapshotFile(snapshot) + " back from a copy of the vault");
    }

    /** A snapshot that somebody may have removed since it was named. */
    private Optional<Snapshot> ifThere(SnapshotId snapshot) throws IOException {
        try {
            return Optional.of(snapshot(snapshot));
        } catch (NoSuchException e) {
            return Optional.empty();
        }
    }

    List<Snapshot> allSnapshots() throws IOException {
        List<Snapshot> snapshots = new ArrayList<>();
        for (String name : backend.list("snapshots")) {
            ifThere(snapshotOf(name)).ifPresent(snapshots::add);
        }
        return snapshots;
    }

    static SnapshotId snapshotOf(String file) throws DamagedException {
        try {
            return SnapshotId.parse(file.substring("snapshots/".length()));
        } catch (IllegalArgumentException e) {
            throw new DamagedException("the file " + file + " is no snapshot: remove it", e);
        }
    }

    // ---- images and key domains

    Optional<ImageManifest> readImage(String file) throws IOException {
        Optional<byte[]> stored = backend.get(file, OBJECT_BYTES_MAX);
        if (stored.isEmpty()) {
            return Optional.empty();
        }
        String shown = "the image in " + file;
        Decoder in = new Decoder(sealer.open(ObjectSealer.Kind.IMAGE, file, stored.get(), shown), shown);
        ImageId image = new ImageId(in.u64(), in.u64());
        String name = in.text();
        Instant created = Instant.ofEpochMilli(in.u64());
        KeyDomainId domain = new KeyDomainId(in.u64(), in.u64());
        ChunkMapRef volume = in.mapRef();
        long diskBytes = in.u64();
        long bytesLogical = in.u64();
        byte[] metadata = in.bytes();
        in.end();
        return Optional.of(
                new ImageManifest(image, name, created, keysOf(domain), volume, diskBytes, bytesLogical, metadata));
    }

    static String keyFile(KeyDomainId domain) {
        return Pack.directory(domain) + "/key";
    }

    private void storeKeys(KeyDomain keys) throws IOException {
        if (keys == ownKeys || domainKeys.containsKey(keys.id())) {
            return;
        }
        String file = keyFile(keys.id());
        byte[] secret = Bytes.copy(keys.secret().segment());
        byte[] stored = sealer.seal(ObjectSealer.Kind.DOMAIN, file, secret);
        Arrays.fill(secret, (byte) 0);
        backend.replace(file, Optional.empty(), stored);
        chunks.adopt(keysOf(keys.id()));
    }

    /** Whether a domain's keys are in the vault. */
    boolean hasKeys(KeyDomainId domain) throws IOException {
        return domain.equals(ownKeys.id()) || backend.size(keyFile(domain)).isPresent();
    }

    /** The keys of a domain, from its file in the vault. */
    KeyDomain keysOf(KeyDomainId domain) throws IOException {
        if (domain.equals(ownKeys.id())) {
            return ownKeys;
        }
        KeyDomain known = domainKeys.get(domain);
        if (known != null) {
            return known;
        }
        String file = keyFile(domain);
        byte[] stored = backend.get(file, OBJECT_BYTES_MAX)
                .orElseThrow(() -> new DamagedException("the keys of domain " + domain + " are missing from "
                        + backend.location() + ": put " + file + " back from a copy of the vault"));
        String shown = "the key file of domain " + domain;
        byte[] secret = sealer.open(ObjectSealer.Kind.DOMAIN, file, stored, shown);
        try (Arena arena = Arena.ofConfined()) {
            if (secret.length != KeyDomain.SECRET_BYTES) {
                throw new Decoder(secret, shown).malformed();
            }
            MemorySegment copy = arena.allocateFrom(JAVA_BYTE, secret);
            KeyDomain keys = new KeyDomain(SecretBytes.copyOf(copy));
            copy.fill((byte) 0);
            KeyDomain before = domainKeys.putIfAbsent(domain, keys);
            if (before != null) {
                keys.close();
                return before;
            }
            if (!keys.id().equals(domain)) {
                domainKeys.remove(domain);
                keys.close();
                throw new ForgedException(shown + " in " + backend.location()
                        + " holds another domain's keys: put it back from a copy of the vault");
            }
            return keys;
        } finally {
            Arrays.fill(secret, (byte) 0);
        }
    }

    // ---- what verify checks one by one

    void checkSlot(String name) throws IOException {
        new KeySlots(backend, id, sealer.publicKey()).check(name);
    }

    void checkSession(String name) throws IOException {
        SessionId session = sessionOf(name);
        if (name.equals(headFile(session))) {
            Optional<SnapshotId> newest = head(session).flatMap(Head::snapshot);
            while (newest.isPresent()
                    && backend.size(snapshotFile(newest.get())).isEmpty()) {
                // The head may have gone on since it was read, and the snapshot have been removed.
                Optional<SnapshotId> now = head(session).flatMap(Head::snapshot);
                if (now.equals(newest)) {
                    throw missingSnapshot(session, newest.get());
                }
                newest = now;
            }
        } else if (name.equals(leaseFile(session))) {
            holder(session);
        } else {
            throw new DamagedException(
                    "the file " + name + " in " + backend.location() + " is no session's: remove it");
        }
    }

    void checkName(String name) throws IOException {
        readName(name);
    }

    /**
     * Checks the stored form of any object: that it is this vault's, of the kind that its name says, and under its own name.
     *
     * @param name of a key slot, head, lease, name, snapshot, image or domain's key
     * @throws VaultException when it is not
     */
    void checkStored(String name, byte[] stored) throws VaultException {
        if (name.startsWith("keys/")) {
            try (Arena arena = Arena.ofConfined();
                    Ed25519 verifier = Ed25519.fromPublicKey(arena.allocateFrom(JAVA_BYTE, sealer.publicKey()))) {
                if (!Repair.slotWhole(id, verifier, name, stored)) {
                    throw new DamagedException(
                            "the key slot " + name + " is damaged: put it back from a copy of the vault");
                }
            }
        } else if (name.startsWith("snapshots/")) {
            SnapshotId snapshot = snapshotOf(name);
            byte[] _ = sealer.open(ObjectSealer.Kind.SNAPSHOT, "", stored, name);
            if (!snapshotId(stored).equals(snapshot)) {
                throw new ForgedException(
                        "another snapshot is stored as " + name + ": put it back from a copy of the vault");
            }
        } else if (name.endsWith("/head")) {
            StoredHead _ = openHead(sessionOf(name), stored);
        } else if (name.endsWith("/lease")) {
            StoredLease _ = openLease(sessionOf(name), stored);
        } else {
            ObjectSealer.Kind kind = name.startsWith("names/")
                    ? ObjectSealer.Kind.NAME
                    : name.startsWith("images/") ? ObjectSealer.Kind.IMAGE : ObjectSealer.Kind.DOMAIN;
            byte[] payload = sealer.open(kind, name, stored, name);
            Arrays.fill(payload, (byte) 0);
        }
    }

    HeadWitness witness() {
        return witness;
    }

    /** Names of the sessions whose heads can be read. */
    Map<SessionId, String> namesOfSessions() throws IOException {
        Map<SessionId, String> names = new HashMap<>();
        for (Head head : heads(damaged -> {})) {
            names.put(head.id(), head.name());
        }
        return names;
    }
}
