package dev.satchel.vault;

import dev.satchel.linux.Errno;
import dev.satchel.linux.LinuxException;
import dev.satchel.linux.crypto.AesGcm;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;

/** One run of {@link Vault#verify}. */
final class Verification {
    /** How much is read. */
    enum Depth {
        /** Objects, indexes, the packs' directories and the trees: not what is in the chunks that trees name. */
        STRUCTURE,
        /** Every byte. */
        CONTENTS
    }

    /** So many nodes of trees are remembered as whole, so that snapshots that share them are looked at once. */
    private static final int WHOLE_NODES_MAX = 1 << 18;

    /** More threads than these read no faster, and make what a slow device has to do less sequential. */
    private static final int LANES_MAX = 8;

    /** So many lost chunks are remembered; the next run, after these have been mended, sees more. */
    private static final int LOST_MAX = 1 << 18;

    private final Vault vault;
    private final Backend backend;
    private final Depth depth;
    private final ProgressListener listener;
    private final List<String> errors = new ArrayList<>();
    private final List<TreeDamage> hit = new ArrayList<>();

    /** Files that are not what they should be, but for packs and indexes. */
    private final List<String> damagedObjects = new ArrayList<>();

    private final List<String> damagedIndexes = new ArrayList<>();
    private final Map<KeyDomainId, List<PackDamage>> damagedPacks = new LinkedHashMap<>();

    /** Chunks that are damaged in a pack and whole in none, by domain. */
    private final Map<KeyDomainId, Set<ChunkId>> damagedChunks = new HashMap<>();

    /** Domains whose keys can't be had. */
    private final Set<KeyDomainId> locked = new HashSet<>();

    /** Chunks that trees name and that can't be read. */
    private final Set<ChunkRef> lost = new LinkedHashSet<>();

    private final Set<ChunkRef> wholeNodes = new HashSet<>();
    private long errorCount;
    private long chunksChecked;
    private long objectsChecked;
    private long bytesDone;
    private long bytesTotal;

    Verification(Vault vault, Depth depth, ProgressListener listener) {
        this.vault = vault;
        this.backend = vault.backend();
        this.depth = depth;
        this.listener = listener;
    }

    /** Something to check that may throw. */
    private interface Check {
        void run() throws IOException;
    }

    VerifyReport run() throws IOException {
        files();
        trees();
        return report();
    }

    /** All files, and (if that is the depth) what is in them. */
    void files() throws IOException {
        Map<KeyDomainId, List<String>> packs = new LinkedHashMap<>();
        packs.put(vault.chunks().ownDomain().id(), new ArrayList<>());
        List<String> indexes = new ArrayList<>();
        for (String name : backend.list("domains")) {
            String[] parts = name.split("/", -1);
            if (parts.length == 4 && parts[2].equals("packs")) {
                check(
                        name,
                        () -> packs.computeIfAbsent(domainId(parts[1], name), id -> new ArrayList<>())
                                .add(name));
                bytesTotal += backend.size(name).orElse(0L);
            } else if (parts.length == 4 && parts[2].equals("index")) {
                indexes.add(name);
            } else if (parts.length == 3 && parts[2].equals("key")) {
                check(name, () -> {
                    KeyDomainId domain = domainId(parts[1], name);
                    KeyDomain _ = vault.keysOf(domain);
                    packs.computeIfAbsent(domain, id -> new ArrayList<>());
                });
            }
        }
        for (String name : backend.list("keys")) {
            check(name, () -> vault.checkSlot(name));
        }
        for (String name : backend.list("sessions")) {
            check(name, () -> vault.checkSession(name));
        }
        for (String name : backend.list("names")) {
            check(name, () -> vault.checkName(name));
        }
        if (backend.size(Replica.FILE).isPresent()) {
            check(Replica.FILE, () -> Replica.read(vault));
        }
        for (String name : backend.list("replicas")) {
            check(name, () -> Common.check(vault, name));
        }
        for (Map.Entry<KeyDomainId, List<String>> domain : packs.entrySet()) {
            try {
                KeyDomain _ = vault.keysOf(domain.getKey());
            } catch (DamagedException | ForgedException e) {
                // A file that is there has been told of already. If there is none, these may be packs of an image whose
                // making was
                // interrupted before its keys were stored; trees that do name them tell.
                if (damagedObjects.contains(Pack.directory(domain.getKey()) + "/key")) {
                    locked.add(domain.getKey());
                }
                continue;
            }
            domain(domain.getKey(), domain.getValue(), indexes);
        }
    }

    private void domain(KeyDomainId domain, List<String> packs, List<String> indexes) throws IOException {
        DomainPacks domainPacks = vault.chunks().domain(domain);
        vault.chunks().refresh(domainPacks);
        for (String index : indexes) {
            if (index.startsWith(Pack.directory(domain) + "/index/")) {
                objectsChecked++;
                try {
                    domainPacks.checkIndex(index);
                } catch (NoSuchException merged) {
                    // Another process has put it into a larger one since we listed.
                    objectsChecked--;
                } catch (VaultException e) {
                    damagedIndexes.add(index);
                    error(String.valueOf(e.getMessage()));
                }
            }
        }
        List<PackDamage> damaged = new ArrayList<>();
        for (PackCheck check : checkPacks(domainPacks, packs)) {
            chunksChecked += check.chunks;
            for (String line : check.errors) {
                error(line);
            }
            errorCount += check.errorCount - check.errors.size();
            check.damage.ifPresent(damaged::add);
        }
        if (!damaged.isEmpty()) {
            damagedPacks.put(domain, damaged);
            damagedChunks.put(domain, wholeNowhere(domainPacks, damaged));
        }
    }

    /** The chunks that are damaged in one of these packs, and whole neither in another of them nor in any other pack. */
    private Set<ChunkId> wholeNowhere(DomainPacks domain, List<PackDamage> damaged) throws IOException {
        Set<String> names = new HashSet<>();
        Set<ChunkId> lostHere = new HashSet<>();
        for (PackDamage pack : damaged) {
            names.add(pack.name());
            forEach(pack, (entry, id, place) -> {
                if (pack.damaged().get(entry)) {
                    lostHere.add(id);
                }
            });
        }
        for (PackDamage pack : damaged) {
            forEach(pack, (entry, id, place) -> {
                if (!pack.damaged().get(entry)) {
                    lostHere.remove(id);
                }
            });
        }
        if (!lostHere.isEmpty()) {
            DomainPacks others = new DomainPacks(backend, domain.keys(), names);
            vault.chunks().refresh(others);
            lostHere.removeIf(id -> others.index().contains(id));
        }
        return lostHere;
    }

    /** Sees a directory's entries. */
    interface EntryVisitor {
        void visit(int entry, ChunkId id, ChunkIndex.Place place) throws IOException;
    }

    static void forEach(PackDamage pack, EntryVisitor visitor) throws IOException {
        if (pack.directory().isPresent()) {
            forEach(pack.directory().get(), visitor);
        }
    }

    private static void forEach(DomainPacks.Directory directory, EntryVisitor visitor) throws IOException {
        ByteBuffer entries = directory.entries().asByteBuffer();
        for (int entry = 0; entries.hasRemaining(); entry++) {
            ChunkId id = new ChunkId(entries.getLong(), entries.getLong(), entries.getLong(), entries.getLong());
            int offset = entries.getInt();
            int stored = entries.getInt();
            int codecAndLength = entries.getInt();
            visitor.visit(
                    entry,
                    id,
                    new ChunkIndex.Place(
                            directory.pack(), offset, stored, codecAndLength >>> 24, codecAndLength & 0xffffff));
        }
    }

    private static KeyDomainId domainId(String part, String name) throws DamagedException {
        try {
            return KeyDomainId.parse(part);
        } catch (IllegalArgumentException e) {
            throw new DamagedException("the file " + name + " is no key domain's: remove it", e);
        }
    }

    private void check(String name, Check check) throws IOException {
        objectsChecked++;
        try {
            check.run();
        } catch (VaultFullException e) {
            throw e;
        } catch (VaultException e) {
            damagedObjects.add(name);
            error(String.valueOf(e.getMessage()));
        }
    }

    private void error(String line) {
        errorCount++;
        if (errors.size() < VerifyReport.ERRORS_MAX) {
            errors.add(line);
        }
    }

    /** All packs, by as many threads as there are processors. @return what was found, in the packs' order */
    private List<PackCheck> checkPacks(DomainPacks domain, List<String> packs) throws IOException {
        List<PackCheck> checks = new ArrayList<>();
        for (String pack : packs) {
            checks.add(new PackCheck(domain, pack));
        }
        Lanes lanes = new Lanes();
        AtomicInteger next = new AtomicInteger();
        int count = Math.min(Math.min(Runtime.getRuntime().availableProcessors(), LANES_MAX), checks.size());
        lanes.run(count, "verify", "interrupted: nothing was changed", () -> {
            for (int i = next.getAndIncrement(); i < checks.size() && !lanes.hasFailed(); i = next.getAndIncrement()) {
                checks.get(i).run();
            }
        });
        return checks;
    }

    private synchronized void progress(long bytes) {
        bytesDone += bytes;
        listener.progress(bytesDone, bytesTotal);
    }

    /**
     * Whether a pack has what its directory says, one behind the other and nothing else, and can be opened if that is the depth. Of one
     * thread at a time.
     */
    private final class PackCheck {
        private final DomainPacks packs;
        private final String name;
        private final List<String> errors = new ArrayList<>();
        private final BitSet damaged = new BitSet();
        private Optional<PackDamage> damage = Optional.empty();
        private long errorCount;
        private long chunks;

        PackCheck(DomainPacks packs, String name) {
            this.packs = packs;
            this.name = name;
        }

        private void error(String line) {
            errorCount++;
            if (errors.size() < VerifyReport.ERRORS_MAX) {
                errors.add(line);
            }
        }

        void run() throws IOException {
            Optional<DomainPacks.Directory> directory;
            boolean own = true;
            ChunkCodec codec = vault.chunks().takeCodec();
            try {
                directory = Optional.of(packs.readDirectory(name, codec));
            } catch (NoSuchException collected) {
                return;
            } catch (VaultException e) {
                error(String.valueOf(e.getMessage()));
                own = false;
                directory = packs.directoryByIndex(name);
            } finally {
                vault.chunks().giveBack(codec);
            }
            if (directory.isPresent()) {
                try {
                    chunks(directory.get(), own);
                } catch (NoSuchException collected) {
                    // Whoever needs what was in it and finds it nowhere else says so below.
                    return;
                }
            }
            progress(0);
            if (!own || !damaged.isEmpty()) {
                damage = Optional.of(new PackDamage(name, directory, damaged));
            }
        }

        private void chunks(DomainPacks.Directory directory, boolean own) throws IOException {
            long size = backend.size(name).orElseThrow(() -> new NoSuchException("no " + name + ": look again"));
            // Without its own directory it is not known whether the rest is as it should be.
            boolean read = depth == Depth.CONTENTS || !own;
            if (read) {
                backend.willNeed(name, 0, size);
            }
            long[] expected = {Pack.HEADER_BYTES};
            ChunkCodec codec = vault.chunks().takeCodec();
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment plaintext = arena.allocate(ChunkRef.LENGTH_MAX);
                forEach(directory, (entry, id, place) -> {
                    boolean whole = place.offset() == expected[0]
                            && place.storedBytes() > AesGcm.TAG_BYTES
                            && place.storedBytes() <= ChunkCodec.STORED_BYTES_MAX
                            && place.length() >= 1
                            && place.length() <= ChunkRef.LENGTH_MAX
                            && place.offset() + (long) place.storedBytes() <= size
                            && (!read || opens(packs, name, id, place, codec, plaintext));
                    chunks++;
                    if (!whole) {
                        damaged.set(entry);
                        error("chunk " + id + " in the pack " + name + " in " + backend.location()
                                + " is damaged: mend it with 'satchel vault repair --from' a copy of the vault");
                    }
                    expected[0] = place.offset() + (long) place.storedBytes();
                    progress(place.storedBytes());
                });
            } finally {
                vault.chunks().giveBack(codec);
            }
        }
    }

    /** Whether a chunk is what its id says. */
    private boolean opens(
            DomainPacks packs, String name, ChunkId id, ChunkIndex.Place place, ChunkCodec codec, MemorySegment target)
            throws IOException {
        try {
            return backend.getRange(name, place.offset(), codec.buffer(place.storedBytes())) == place.storedBytes()
                    && codec.decode(packs.keys(), place, id, target)
                    && codec.idOf(packs.keys(), target.asSlice(0, place.length()))
                            .equals(id);
        } catch (LinuxException e) {
            // A place of the device that can't be read any more.
            if (e.errno() == Errno.EIO) {
                return false;
            }
            throw e;
        }
    }

    /** All snapshots and images, and that everything their trees name is there. */
    void trees() throws IOException {
        Map<SessionId, String> names = vault.namesOfSessions();
        for (String name : backend.list("snapshots")) {
            Found before = new Found(errorCount, errors.size(), hit.size(), damagedObjects.size());
            check(name, () -> {
                Snapshot snapshot = vault.snapshot(Vault.snapshotOf(name));
                String owner = names.getOrDefault(
                        snapshot.session(), snapshot.session().toString());
                for (Map.Entry<String, ChunkMapRef> tree : new TreeMap<>(snapshot.trees()).entrySet()) {
                    checkTree(
                            Optional.of(snapshot),
                            owner,
                            tree.getKey(),
                            tree.getValue(),
                            "the snapshot " + snapshot.id() + " of session " + owner + " of " + snapshot.created());
                }
            });
            if (errorCount > before.errorCount() && backend.size(name).isEmpty()) {
                // Removed since it was listed, and what it needed with it.
                forgetSince(before);
            }
        }
        for (String name : backend.list("pins")) {
            check(name, () -> checkPin(name));
        }
        for (String name : backend.list("intents")) {
            check(name, () -> vault.protection().intent(name));
        }
        for (String name : backend.list("images")) {
            check(name, () -> {
                Optional<ImageManifest> image = vault.readImage(name);
                if (image.isPresent()) {
                    checkTree(
                            Optional.empty(),
                            image.get().name(),
                            "volume",
                            image.get().volume(),
                            "the image " + image.get().name());
                }
            });
        }
    }

    /** Also that what a session's log is over is there: nothing else names what was folded since its newest snapshot. */
    private void checkPin(String name) throws IOException {
        Optional<Protection.Pinned> pin = vault.protection().pin(name);
        if (pin.isEmpty() || !pin.get().ofVolume()) {
            return;
        }
        Found before = new Found(errorCount, errors.size(), hit.size(), damagedObjects.size());
        for (ChunkMapRef map : pin.get().maps()) {
            ChunkMap.load(vault.chunks(), map)
                    .survey(new TreeSurvey(
                            "what was written in session " + pin.get().owner() + " since a snapshot"));
        }
        if (errorCount > before.errorCount()
                && vault.protection().pin(name).filter(pin.get()::equals).isEmpty()) {
            // Its log is over something else by now, and what it was over may have been collected.
            forgetSince(before);
        }
    }

    /** How much had been found at some moment. */
    private record Found(long errorCount, int errors, int hit, int damagedObjects) {}

    private void forgetSince(Found before) {
        errorCount = before.errorCount();
        errors.subList(before.errors(), errors.size()).clear();
        hit.subList(before.hit(), hit.size()).clear();
        damagedObjects.subList(before.damagedObjects(), damagedObjects.size()).clear();
    }

    private void checkTree(Optional<Snapshot> snapshot, String owner, String tree, ChunkMapRef map, String of)
            throws IOException {
        TreeSurvey survey = new TreeSurvey(of);
        ChunkMap.load(vault.chunks(), map).survey(survey);
        if (survey.chunks > 0 && hit.size() < VerifyReport.HIT_MAX) {
            hit.add(new TreeDamage(snapshot, owner, tree, map, survey.ranges(), survey.chunks));
        }
    }

    /** One tree being looked at. */
    private final class TreeSurvey implements ChunkMap.Survey {
        private final String of;
        private final List<SlotRange> ranges = new ArrayList<>();
        private final Set<KeyDomainId> refreshed = new HashSet<>();
        private long chunks;

        TreeSurvey(String of) {
            this.of = of;
        }

        List<SlotRange> ranges() {
            return ranges;
        }

        @Override
        public boolean knownWhole(ChunkRef node) {
            return wholeNodes.contains(node);
        }

        @Override
        public void whole(ChunkRef node) {
            if (wholeNodes.size() < WHOLE_NODES_MAX) {
                wholeNodes.add(node);
            }
        }

        @Override
        public boolean readable(ChunkRef ref) throws IOException {
            if (locked.contains(ref.domain())) {
                return false;
            }
            Set<ChunkId> damaged = damagedChunks.get(ref.domain());
            if (damaged != null && damaged.contains(ref.id())) {
                return false;
            }
            if (lost.contains(ref)) {
                return false;
            }
            DomainPacks packs;
            try {
                packs = vault.chunks().domain(ref.domain());
            } catch (DamagedException | ForgedException e) {
                // Neither key nor packs of this domain are there.
                locked.add(ref.domain());
                error(String.valueOf(e.getMessage()));
                return false;
            }
            if (packs.index().contains(ref.id())) {
                return true;
            }
            // Somebody may have committed it since; once for each tree is enough.
            if (refreshed.add(ref.domain())) {
                vault.chunks().refresh(packs);
            }
            return packs.index().contains(ref.id());
        }

        @Override
        public void lost(SlotRange slots, ChunkRef ref) {
            Set<ChunkId> damaged = damagedChunks.get(ref.domain());
            if (lost.size() < LOST_MAX
                    && lost.add(ref)
                    && !locked.contains(ref.domain())
                    && (damaged == null || !damaged.contains(ref.id()))) {
                error("chunk " + ref.id() + " of " + of
                        + " is missing: mend it with 'satchel vault repair --from' a copy of the vault");
            }
            chunks++;
            SlotRange last = ranges.isEmpty() ? null : ranges.getLast();
            if (last != null && (last.end() == slots.first() || ranges.size() == TreeDamage.RANGES_MAX)) {
                ranges.set(ranges.size() - 1, new SlotRange(last.first(), slots.end()));
            } else {
                ranges.add(slots);
            }
        }
    }

    VerifyReport report() {
        List<String> lines = new ArrayList<>(errors);
        if (errorCount > lines.size()) {
            lines.set(lines.size() - 1, "and " + (errorCount - lines.size() + 1) + " more");
        }
        return new VerifyReport(chunksChecked, objectsChecked, lines, hit);
    }

    /** Names of heads, leases, names, slots, snapshots, images and keys that can't be used, after {@link #files} and {@link #trees}. */
    List<String> damagedObjects() {
        return damagedObjects;
    }

    List<String> damagedIndexes() {
        return damagedIndexes;
    }

    /** By domain. */
    Map<KeyDomainId, List<PackDamage>> damagedPacks() {
        return damagedPacks;
    }

    /** Chunks that trees name and that can't be read, after {@link #trees}. */
    Set<ChunkRef> lost() {
        return lost;
    }
}
