package dev.satchel.vault;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.satchel.linux.Errno;
import dev.satchel.linux.LinuxException;
import dev.satchel.linux.crypto.Ed25519;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * One run of {@link Vault#repair}. What other places give is used only if it is what the vault's own keys say it must be. Nothing that can
 * be read is ever lost: what was good in a damaged pack is in new packs, durably, before the damaged one goes, and one that had anything
 * which is nowhere else is put aside below {@code damaged/}, where nobody looks for chunks. So it may be broken off at any moment, and
 * beginning again does what is left.
 */
final class Repair {
    private static final String ASIDE = "damaged/";
    private static final int COPY_BYTES = 1 << 20;

    /** A tree has so many levels of nodes, each of which may have to be mended before the next is seen. */
    private static final int ROUNDS_MAX = 8;

    private final Vault vault;
    private final Backend backend;
    private final RepairRequest request;
    private final ProgressListener listener;

    /** The replicas' chunks, opened with this vault's keys. */
    private final List<ChunkStore> replicas = new ArrayList<>();

    private final List<String> actions = new ArrayList<>();

    /** Those that this was told of. */
    private final Set<ChunkSource> failing = new HashSet<>();

    private final Set<ChunkRef> mended = new HashSet<>();

    /** Objects that were mended, or would be. */
    private final Set<String> whole = new HashSet<>();

    private long chunksMended;
    private long chunksMoved;
    private long objectsMended;

    Repair(Vault vault, RepairRequest request, ProgressListener listener) {
        this.vault = vault;
        this.backend = vault.backend();
        this.request = request;
        this.listener = listener;
    }

    /**
     * Puts back what is needed to open a vault at all: its first file and its key slots, as far as these are damaged or missing and
     * a replica has them. Without a key, so that only signatures can tell: who has changed both a replica and the vault
     * could make it another vault, which the passphrase does not open.
     *
     * @return one line for each file that was put back
     */
    static List<String> entrance(Backend home, List<Backend> replicas, boolean dryRun) throws IOException {
        List<String> actions = new ArrayList<>();
        byte[] config = null;
        try {
            config = Vault.config(home);
            VaultId _ = Vault.checkedId(config, home);
        } catch (NoSuchException | DamagedException e) {
            Optional<byte[]> present = config(home);
            if (present.isPresent() && Vault.isNewer(present.get())) {
                throw e;
            }
            config = null;
            for (Backend replica : replicas) {
                try {
                    byte[] theirs = Vault.config(replica);
                    VaultId id = Vault.checkedId(theirs, replica);
                    if (!speaksFor(home, theirs, id)) {
                        throw new DamagedException(replica.location() + " is a copy of another vault than the one in "
                                + home.location() + ": name the right one with --from");
                    }
                    if (!dryRun) {
                        boolean _ = home.replace(Vault.CONFIG, present, theirs);
                    }
                    actions.add("the file " + Vault.CONFIG + " put back from " + replica.location());
                    config = theirs;
                    break;
                } catch (NoSuchException unusable) {
                    e.addSuppressed(unusable);
                }
            }
            if (config == null) {
                throw e;
            }
        }
        VaultId id = Vault.checkedId(config, home);
        try (Arena arena = Arena.ofConfined();
                Ed25519 verifier = verifier(arena, config)) {
            Set<String> names = new LinkedHashSet<>(home.list("keys"));
            boolean none = names.isEmpty();
            for (Backend replica : replicas) {
                for (String name : replica.list("keys")) {
                    Optional<byte[]> present = home.get(name, Vault.OBJECT_BYTES_MAX);
                    // One that is missing may have been removed on purpose: it comes back only if there is no other.
                    if ((present.isEmpty() && !none)
                            || (present.isPresent() && slotWhole(id, verifier, name, present.get()))) {
                        continue;
                    }
                    Optional<byte[]> theirs = replica.get(name, KeySlot.BYTES_MAX);
                    if (theirs.isPresent() && slotWhole(id, verifier, name, theirs.get())) {
                        if (!dryRun) {
                            boolean _ = home.replace(name, present, theirs.get());
                        }
                        actions.add("the key slot " + name + " put back from " + replica.location());
                    }
                }
            }
        }
        return actions;
    }

    private static Optional<byte[]> config(Backend home) throws IOException {
        return home.get(Vault.CONFIG, Vault.OBJECT_BYTES_MAX);
    }

    private static Ed25519 verifier(Arena arena, byte[] config) {
        return Ed25519.fromPublicKey(
                arena.allocateFrom(JAVA_BYTE, config).asSlice(Vault.CONFIG_KEY_AT, Ed25519.KEY_BYTES));
    }

    /** Whether one of the vault's own slots, if it has any, is signed by that key. */
    private static boolean speaksFor(Backend home, byte[] config, VaultId id) throws IOException {
        List<String> slots = home.list("keys");
        try (Arena arena = Arena.ofConfined();
                Ed25519 verifier = verifier(arena, config)) {
            for (String slot : slots) {
                Optional<byte[]> stored = home.get(slot, Vault.OBJECT_BYTES_MAX);
                if (stored.isPresent() && slotWhole(id, verifier, slot, stored.get())) {
                    return true;
                }
            }
        }
        return slots.isEmpty();
    }

    static boolean slotWhole(VaultId id, Ed25519 verifier, String name, byte[] slot) {
        try {
            KeySlotId slotId = KeySlotId.parse(name.substring(name.lastIndexOf('/') + 1));
            KeySlot _ = KeySlot.read(id, slotId, verifier, slot, name);
            return true;
        } catch (DamagedException | IllegalArgumentException e) {
            return false;
        }
    }

    RepairReport run() throws IOException {
        for (Backend replica : request.replicas()) {
            replicas.add(new ChunkStore(replica, vault.chunks().ownDomain(), vault::keysOf, Set::of));
        }
        try {
            keysOfDomains();
            Verification found = new Verification(vault, Verification.Depth.CONTENTS, listener);
            found.files();
            objects(found.damagedObjects());
            packs(found);
            indexes(found);
            found.trees();
            // Snapshots and images that can't be read are found only there.
            objects(found.damagedObjects());
            missing();
            if (request.giveUp()) {
                giveUp();
            }
            VerifyReport left = vault.verifyStructure(ProgressListener.NONE);
            return new RepairReport(
                    chunksMended, chunksMoved, objectsMended, actions, request.dryRun() ? without(found) : left);
        } finally {
            replicas.forEach(ChunkStore::close);
        }
    }

    /** What a dry run found, without what could be mended. */
    private VerifyReport without(Verification found) throws IOException {
        VerifyReport report = found.report();
        List<String> lines = new ArrayList<>();
        for (String object : found.damagedObjects()) {
            if (!whole.contains(object)) {
                lines.add("nothing that was named can mend " + object + ": name another copy with --from");
            }
        }
        List<TreeDamage> hit = new ArrayList<>();
        for (TreeDamage tree : report.hit()) {
            List<SlotRange> ranges = new ArrayList<>();
            long[] chunks = new long[1];
            ChunkMap.load(vault.chunks(), tree.map()).survey(new ChunkMap.Survey() {
                @Override
                public boolean knownWhole(ChunkRef node) {
                    return false;
                }

                @Override
                public boolean readable(ChunkRef ref) {
                    return !found.lost().contains(ref);
                }

                @Override
                public void lost(SlotRange slots, ChunkRef ref) {
                    if (!mended.contains(ref)) {
                        chunks[0]++;
                        ranges.add(slots);
                    }
                }

                @Override
                public void whole(ChunkRef node) {}
            });
            if (chunks[0] > 0) {
                hit.add(new TreeDamage(tree.snapshot(), tree.owner(), tree.tree(), tree.map(), ranges, chunks[0]));
                lines.add(chunks[0] + " chunks of " + tree.tree() + " of " + tree.owner()
                        + " are in none of the places that were named: name another copy with --from");
            }
        }
        return new VerifyReport(report.chunksChecked(), report.objectsChecked(), lines, hit);
    }

    private void done(String line) {
        if (actions.size() < VerifyReport.ERRORS_MAX) {
            actions.add(line);
        }
    }

    // ---- objects

    /** Keys of domains that have packs and no key file: the replicas may have it. */
    private void keysOfDomains() throws IOException {
        Set<String> missing = new LinkedHashSet<>();
        Set<String> present = new HashSet<>(backend.list("domains"));
        for (String name : present) {
            String[] parts = name.split("/", -1);
            String key = "domains/" + parts[1] + "/key";
            if (parts.length == 4
                    && !present.contains(key)
                    && !parts[1].equals(vault.chunks().ownDomain().id().toString())) {
                missing.add(key);
            }
        }
        for (String key : missing) {
            boolean _ = putBack(key);
        }
    }

    private void objects(List<String> damaged) throws IOException {
        for (String name : List.copyOf(damaged)) {
            if (whole.contains(name)) {
                continue;
            }
            if (name.endsWith("/head")) {
                head(name);
            } else if (name.endsWith("/lease")) {
                lease(name);
            } else if (name.startsWith("names/")) {
                name(name);
            } else if (name.startsWith("keys/")
                    || name.startsWith("snapshots/")
                    || name.startsWith("images/")
                    || name.endsWith("/key")) {
                boolean _ = putBack(name);
            } else if (name.startsWith("replicas/")) {
                note(name);
            }
        }
    }

    /** What was noted about another copy is as good as nothing when it can't be read. */
    private void note(String name) throws IOException {
        if (!request.dryRun()) {
            backend.delete(name);
        }
        whole.add(name);
        objectsMended++;
        done(name + " removed: the next sync with that copy makes another");
    }

    /** Puts a file back that never changes. */
    private boolean putBack(String name) throws IOException {
        Optional<byte[]> present = stored(name);
        for (Backend replica : request.replicas()) {
            Optional<byte[]> theirs = replica.get(name, Vault.OBJECT_BYTES_MAX);
            if (theirs.isPresent() && authentic(name, theirs.get())) {
                putBack(name, present, theirs.get(), replica);
                return true;
            }
        }
        return false;
    }

    private void putBack(String name, Optional<byte[]> present, byte[] theirs, Backend replica) throws IOException {
        if (!request.dryRun() && !backend.replace(name, present, theirs)) {
            // Somebody else has just mended or replaced it.
            return;
        }
        whole.add(name);
        objectsMended++;
        done(name + " put back from " + replica.location());
    }

    private boolean authentic(String name, byte[] stored) {
        try {
            vault.checkStored(name, stored);
            return true;
        } catch (VaultException e) {
            return false;
        }
    }

    private Optional<byte[]> stored(String name) throws IOException {
        return backend.get(name, Integer.MAX_VALUE - 64);
    }

    /** A head that can't be read, or whose snapshot is gone. */
    private void head(String name) throws IOException {
        SessionId session = Vault.sessionOf(name);
        Optional<byte[]> present = stored(name);
        if (present.isEmpty()) {
            return;
        }
        if (authentic(name, present.get())) {
            if (newestSnapshot(vault.openHead(session, present.get()).head())) {
                whole.add(name);
            }
            return;
        }
        long seen = vault.witness().newest(vault.id(), session);
        for (Backend replica : request.replicas()) {
            Optional<byte[]> theirs = replica.get(name, Vault.OBJECT_BYTES_MAX);
            if (theirs.isPresent()
                    && authentic(name, theirs.get())
                    && vault.openHead(session, theirs.get()).head().generation() >= seen) {
                try {
                    byte[] hash = ObjectSealer.hash(theirs.get(), theirs.get().length);
                    vault.witness()
                            .observe(
                                    vault.id(),
                                    session,
                                    vault.openHead(session, theirs.get()).head().generation(),
                                    hash);
                } catch (ForgedException other) {
                    // Of the generation that this host has seen, but not the one.
                    continue;
                }
                putBack(name, present, theirs.get(), replica);
                newestSnapshot(vault.openHead(session, theirs.get()).head());
                return;
            }
        }
    }

    /** @return whether a snapshot that was missing is there again */
    private boolean newestSnapshot(Head head) throws IOException {
        return head.snapshot().isPresent()
                && backend.size(Vault.snapshotFile(head.snapshot().get())).isEmpty()
                && putBack(Vault.snapshotFile(head.snapshot().get()));
    }

    /** Nothing is lost with a lease: it is remade as one that nobody has, under an epoch above all that the head knows. */
    private void lease(String name) throws IOException {
        SessionId session = Vault.sessionOf(name);
        long epoch = 1;
        Optional<byte[]> head = stored(Vault.headFile(session));
        if (head.isPresent() && authentic(Vault.headFile(session), head.get())) {
            epoch = vault.openHead(session, head.get()).leaseEpoch() + 1;
        }
        remade(
                name,
                vault.sealLease(
                        session,
                        new LeaseHolder(
                                request.host(),
                                request.hostName(),
                                Instant.ofEpochMilli(System.currentTimeMillis()),
                                epoch),
                        Vault.LeaseState.FREE));
    }

    private void remade(String name, byte[] next) throws IOException {
        if (!request.dryRun() && !backend.replace(name, stored(name), next)) {
            return;
        }
        whole.add(name);
        objectsMended++;
        done(name + " made again");
    }

    /** A name's file says nothing that heads and images don't. */
    private void name(String file) throws IOException {
        for (Map.Entry<SessionId, String> session : vault.namesOfSessions().entrySet()) {
            if (vault.nameFile(Vault.NAME_OF_SESSION, session.getValue()).equals(file)) {
                remade(
                        file,
                        vault.sealName(
                                file, session.getKey().high(), session.getKey().low()));
                return;
            }
        }
        for (String image : backend.list("images")) {
            try {
                Optional<ImageManifest> manifest = vault.readImage(image);
                if (manifest.isPresent()
                        && vault.nameFile(Vault.NAME_OF_IMAGE, manifest.get().name())
                                .equals(file)) {
                    remade(
                            file,
                            vault.sealName(
                                    file,
                                    manifest.get().id().high(),
                                    manifest.get().id().low()));
                    return;
                }
            } catch (VaultException unreadable) {
                // Told of on its own.
                done(String.valueOf(unreadable.getMessage()));
            }
        }
        if (!request.dryRun()) {
            backend.delete(file);
        }
        whole.add(file);
        objectsMended++;
        done(file + " removed: it was of no session or image that can be read");
    }

    // ---- packs

    /** Makes new packs of what is good in damaged ones and of what others have of the rest. */
    private void packs(Verification found) throws IOException {
        for (Map.Entry<KeyDomainId, List<PackDamage>> domain :
                found.damagedPacks().entrySet()) {
            Set<String> names = new HashSet<>();
            for (PackDamage pack : domain.getValue()) {
                names.add(pack.name());
            }
            DomainPacks others = new DomainPacks(backend, vault.keysOf(domain.getKey()), names);
            vault.chunks().refresh(others);
            try (ChunkBatch batch = new ChunkBatch(backend, others);
                    Arena arena = Arena.ofShared()) {
                MemorySegment plaintext = arena.allocate(ChunkRef.LENGTH_MAX);
                Map<String, Boolean> nothingLost = new LinkedHashMap<>();
                for (PackDamage pack : domain.getValue()) {
                    nothingLost.put(pack.name(), move(pack, others, batch, plaintext));
                }
                if (request.dryRun()) {
                    continue;
                }
                WriteStats _ = batch.commit();
                for (Map.Entry<String, Boolean> pack : nothingLost.entrySet()) {
                    if (pack.getValue()) {
                        done(pack.getKey() + " replaced: all that was in it is in new packs");
                    } else {
                        setAside(pack.getKey());
                    }
                    backend.delete(pack.getKey());
                }
            } finally {
                vault.chunks().forget(domain.getKey());
            }
        }
    }

    /** @return whether all chunks of the pack are in others now */
    private boolean move(PackDamage pack, DomainPacks others, ChunkBatch batch, MemorySegment plaintext)
            throws IOException {
        boolean[] all = {pack.directory().isPresent()};
        List<ChunkRef> wanted = new ArrayList<>();
        Verification.forEach(pack, (entry, id, place) -> {
            if (pack.damaged().get(entry)
                    && place.length() >= 1
                    && place.length() <= ChunkRef.LENGTH_MAX
                    && !others.index().contains(id)) {
                wanted.add(new ChunkRef(others.keys().id(), id, place.length()));
            }
        });
        announce(wanted);
        ChunkCodec codec = vault.chunks().takeCodec();
        try {
            Verification.forEach(pack, (entry, id, place) -> {
                if (place.length() < 1 || place.length() > ChunkRef.LENGTH_MAX) {
                    all[0] = false;
                    return;
                }
                ChunkRef ref = new ChunkRef(others.keys().id(), id, place.length());
                MemorySegment target = plaintext.asSlice(0, place.length());
                if (!pack.damaged().get(entry)) {
                    if (backend.getRange(pack.name(), place.offset(), codec.buffer(place.storedBytes()))
                                    == place.storedBytes()
                            && codec.decode(others.keys(), place, id, target)) {
                        ChunkRef _ = batch.put(target);
                        chunksMoved++;
                    } else {
                        all[0] = false;
                    }
                } else if (!others.index().contains(id)) {
                    if (fetch(ref, target)) {
                        ChunkRef _ = batch.put(target);
                        if (mended.add(ref)) {
                            chunksMended++;
                        }
                    } else {
                        all[0] = false;
                    }
                }
            });
        } finally {
            vault.chunks().giveBack(codec);
        }
        return all[0];
    }

    /** Tells the first of the places that may be far away which chunks no other copy has, so that it is not asked for one at a time. */
    private void announce(List<ChunkRef> refs) throws IOException {
        if (request.sources().isEmpty()) {
            return;
        }
        List<ChunkRef> far = new ArrayList<>();
        for (ChunkRef ref : refs) {
            boolean near = false;
            for (ChunkStore replica : replicas) {
                try {
                    near |= replica.contains(ref);
                } catch (VaultException | LinuxException unusable) {
                    // It is no nearer than if it were not there.
                }
            }
            if (!near) {
                far.add(ref);
            }
        }
        request.sources().getFirst().willNeed(far);
    }

    /** Gets a chunk from wherever it is whole. @return false when it is nowhere */
    private boolean fetch(ChunkRef ref, MemorySegment target) throws IOException {
        for (ChunkStore replica : replicas) {
            try {
                if (replica.contains(ref)) {
                    replica.read(ref, target);
                    if (isIt(ref, target)) {
                        return true;
                    }
                }
            } catch (VaultException | LinuxException unusable) {
                // Damaged there, too: the next one.
            }
        }
        if (request.sources().isEmpty()) {
            return false;
        }
        try (Arena arena = Arena.ofShared()) {
            MemorySegment buffer = arena.allocate(SealedChunk.SEALED_BYTES_MAX);
            for (ChunkSource source : request.sources()) {
                try {
                    Optional<SealedChunk> sealed = source.fetch(ref.domain(), ref.id(), buffer);
                    if (sealed.isPresent() && vault.chunks().open(ref, sealed.get(), target)) {
                        return true;
                    }
                } catch (IOException e) {
                    if (failing.add(source)) {
                        done("not all could be had from " + source.location() + ": " + e.getMessage());
                    }
                }
            }
        }
        return false;
    }

    /** Of the vault's own chunks readers believe the tag: here somebody else has had the pack. */
    private boolean isIt(ChunkRef ref, MemorySegment plaintext) throws IOException {
        ChunkCodec codec = vault.chunks().takeCodec();
        try {
            return codec.idOf(vault.keysOf(ref.domain()), plaintext).equals(ref.id());
        } finally {
            vault.chunks().giveBack(codec);
        }
    }

    /** Copies what can be read of a file to where nobody looks for chunks. */
    private void setAside(String name) throws IOException {
        String[] parts = name.split("/", -1);
        String aside = ASIDE + parts[parts.length - 2] + "/" + parts[parts.length - 1];
        if (parts[0].equals("domains")) {
            aside = ASIDE + parts[1] + "/" + parts[parts.length - 1];
        }
        long size = backend.size(name).orElse(0L);
        try (PackFile copy = backend.begin();
                Arena arena = Arena.ofShared()) {
            MemorySegment buffer = arena.allocate(COPY_BYTES);
            for (long at = 0; at < size; ) {
                MemorySegment piece = buffer.asSlice(0, Math.min(COPY_BYTES, size - at));
                try {
                    int _ = backend.getRange(name, at, piece);
                } catch (LinuxException e) {
                    if (e.errno() != Errno.EIO) {
                        throw e;
                    }
                    piece.fill((byte) 0);
                }
                copy.append(piece);
                at += piece.byteSize();
            }
            copy.commit(aside);
        }
        done(name + " put aside as " + aside);
    }

    // ---- indexes

    private void indexes(Verification found) throws IOException {
        Set<KeyDomainId> domains = new LinkedHashSet<>(found.damagedPacks().keySet());
        for (String index : found.damagedIndexes()) {
            if (!request.dryRun()) {
                backend.delete(index);
            }
            whole.add(index);
            objectsMended++;
            domains.add(Vault.domainOf(index));
            done(index + " removed and made again from the packs");
        }
        if (request.dryRun()) {
            return;
        }
        for (KeyDomainId domain : domains) {
            vault.chunks().forget(domain);
            DomainPacks packs = new DomainPacks(backend, vault.keysOf(domain));
            vault.chunks().refresh(packs);
            packs.indexAll();
        }
    }

    // ---- trees

    /** Fetches what trees name and no pack has. Of a node that was missing the next round sees what it names. */
    private void missing() throws IOException {
        Set<ChunkRef> before = Set.of();
        for (int round = 0; round < ROUNDS_MAX; round++) {
            Verification found = new Verification(vault, Verification.Depth.STRUCTURE, ProgressListener.NONE);
            found.trees();
            if (found.lost().isEmpty() || found.lost().equals(before)) {
                return;
            }
            Map<KeyDomainId, List<ChunkRef>> byDomain = new LinkedHashMap<>();
            for (ChunkRef ref : found.lost()) {
                byDomain.computeIfAbsent(ref.domain(), id -> new ArrayList<>()).add(ref);
            }
            for (Map.Entry<KeyDomainId, List<ChunkRef>> domain : byDomain.entrySet()) {
                fetch(domain.getKey(), domain.getValue());
            }
            if (request.dryRun()) {
                return;
            }
            before = new HashSet<>(found.lost());
        }
    }

    private void fetch(KeyDomainId domain, List<ChunkRef> refs) throws IOException {
        KeyDomain keys;
        try {
            keys = vault.keysOf(domain);
        } catch (DamagedException | ForgedException e) {
            if (!putBack(Pack.directory(domain) + "/key") || request.dryRun()) {
                return;
            }
            keys = vault.keysOf(domain);
        }
        DomainPacks packs = new DomainPacks(backend, keys);
        vault.chunks().refresh(packs);
        try (ChunkBatch batch = new ChunkBatch(backend, packs);
                Arena arena = Arena.ofShared()) {
            MemorySegment plaintext = arena.allocate(ChunkRef.LENGTH_MAX);
            announce(refs);
            for (ChunkRef ref : refs) {
                MemorySegment target = plaintext.asSlice(0, ref.length());
                if (!packs.index().contains(ref.id()) && !mended.contains(ref) && fetch(ref, target)) {
                    ChunkRef _ = batch.put(target);
                    mended.add(ref);
                    chunksMended++;
                }
            }
            if (!request.dryRun()) {
                WriteStats _ = batch.commit();
            }
        } finally {
            vault.chunks().forget(domain);
        }
    }

    // ---- giving up

    /** Puts aside what nothing can mend, and takes sessions back to what is whole. */
    private void giveUp() throws IOException {
        Verification found = new Verification(vault, Verification.Depth.STRUCTURE, ProgressListener.NONE);
        found.files();
        found.trees();
        Map<SessionId, Snapshot> wholeDisks = newestWhole(found.report());
        for (String name : found.damagedObjects()) {
            if (name.startsWith("snapshots/") || name.startsWith("images/") || name.startsWith("keys/")) {
                if (!request.dryRun()) {
                    setAside(name);
                    backend.delete(name);
                }
                whole.add(name);
            }
        }
        // After the snapshots, which may have been the newest ones of sessions.
        for (String name : backend.list("sessions")) {
            if (name.endsWith("/head")) {
                goBack(name, wholeDisks, found.report());
            }
        }
    }

    /** For each session its newest snapshot whose disk can be read. */
    private Map<SessionId, Snapshot> newestWhole(VerifyReport report) throws IOException {
        Set<SnapshotId> hit = new HashSet<>();
        for (TreeDamage tree : report.hit()) {
            if (tree.tree().equals("volume") && tree.snapshot().isPresent()) {
                hit.add(tree.snapshot().get().id());
            }
        }
        Map<SessionId, Snapshot> newest = new HashMap<>();
        for (String name : backend.list("snapshots")) {
            try {
                Snapshot snapshot = vault.snapshot(Vault.snapshotOf(name));
                Snapshot other = newest.get(snapshot.session());
                if (!hit.contains(snapshot.id())
                        && (other == null
                                || other.created().isBefore(snapshot.created())
                                || (other.created().equals(snapshot.created())
                                        && snapshot.parent().equals(Optional.of(other.id()))))) {
                    newest.put(snapshot.session(), snapshot);
                }
            } catch (VaultException unreadable) {
                // It has been found before.
            }
        }
        return newest;
    }

    private void goBack(String name, Map<SessionId, Snapshot> wholeDisks, VerifyReport report) throws IOException {
        SessionId session = Vault.sessionOf(name);
        Optional<byte[]> present = stored(name);
        Snapshot target = wholeDisks.get(session);
        if (present.isEmpty() || target == null || whole.contains(name)) {
            return;
        }
        Optional<Head> head = Optional.empty();
        long epoch = 0;
        if (authentic(name, present.get())) {
            Vault.StoredHead stored = vault.openHead(session, present.get());
            Optional<SnapshotId> newest = stored.head().snapshot();
            if (newest.isEmpty() || readable(newest.get(), report)) {
                return;
            }
            head = Optional.of(stored.head());
            epoch = stored.leaseEpoch();
        } else {
            for (Backend replica : request.replicas()) {
                Optional<byte[]> theirs = replica.get(name, Vault.OBJECT_BYTES_MAX);
                if (head.isEmpty() && theirs.isPresent() && authentic(name, theirs.get())) {
                    Vault.StoredHead stored = vault.openHead(session, theirs.get());
                    head = Optional.of(stored.head());
                    epoch = stored.leaseEpoch();
                }
            }
            if (head.isEmpty()) {
                head = request.described().apply(target);
            }
        }
        if (head.isEmpty() || request.inUse().test(session)) {
            return;
        }
        if (request.dryRun()) {
            whole.add(name);
            return;
        }
        send(session, present.get(), head.get(), epoch, target);
    }

    private boolean readable(SnapshotId snapshot, VerifyReport report) throws IOException {
        for (TreeDamage tree : report.hit()) {
            if (tree.tree().equals("volume")
                    && tree.snapshot().isPresent()
                    && tree.snapshot().get().id().equals(snapshot)) {
                return false;
            }
        }
        Optional<byte[]> stored = stored(Vault.snapshotFile(snapshot));
        return stored.isPresent() && authentic(Vault.snapshotFile(snapshot), stored.get());
    }

    /** Takes the lease, whoever has it, so that nobody who had it writes after us, and writes the head under it. */
    private void send(SessionId session, byte[] present, Head from, long epoch, Snapshot target) throws IOException {
        String lease = Vault.leaseFile(session);
        Optional<byte[]> presentLease = stored(lease);
        long next = epoch + 1;
        if (presentLease.isPresent() && authentic(lease, presentLease.get())) {
            next = Math.max(
                    next, vault.openLease(session, presentLease.get()).holder().epoch() + 1);
        }
        LeaseHolder holder = new LeaseHolder(
                request.host(), request.hostName(), Instant.ofEpochMilli(System.currentTimeMillis()), next);
        long generation = Math.max(from.generation(), vault.witness().newest(vault.id(), session)) + 1;
        Head head = new Head(session, from.name(), generation, Optional.of(target.id()), from.settings());
        byte[] stored = vault.sealHead(head, next);
        if (!backend.replace(lease, presentLease, vault.sealLease(session, holder, Vault.LeaseState.FREE))
                || !backend.replace(Vault.headFile(session), Optional.of(present), stored)) {
            done("session " + from.name() + " left as it is: somebody else has just changed it");
            return;
        }
        vault.witness().observe(vault.id(), session, generation, ObjectSealer.hash(stored, stored.length));
        for (String log : backend.list("log/" + session)) {
            // What was written after a snapshot that is lost lies over nothing.
            setAside(log);
            backend.delete(log);
        }
        vault.unpinVolume(session);
        String nameFile = vault.nameFile(Vault.NAME_OF_SESSION, head.name());
        boolean _ =
                backend.replace(nameFile, stored(nameFile), vault.sealName(nameFile, session.high(), session.low()));
        objectsMended++;
        done("session " + head.name() + " stands at its snapshot " + target.id() + " of " + target.created()
                + " again");
    }
}
