package dev.satchel.vault;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * One run of {@link Vault#collect}: gives back the space of chunks that nothing needs. May be killed at any moment, and run beside
 * writers and other collections, here and on other hosts; see {@link Protection} for why.
 *
 * <ol>
 *   <li>What removals, sessions and writers that are no more have left goes.
 *   <li>Packs are listed, then what is needed is marked, from snapshots, images and pins: packs with much that is not are condemned.
 *   <li>An intent says so to everybody. From then on no new thing depends on them without looking.
 *   <li>Intents, packs and then pins, images and snapshots are looked at again, for what came before the intent was to be seen.
 *   <li>What is needed of condemned packs is put into new ones, then they are deleted, then the intent.
 * </ol>
 *
 * A condemned pack is never spared, also when all of it turns out to be needed: whoever saw the intent counts on nothing in it. What
 * an earlier run had condemned that did not come to its end is condemned again.
 */
final class GarbageCollection {
    /** In one run; the next takes what is left. It bounds the intent. */
    private static final int CONDEMNED_MAX = 100_000;

    private final Vault vault;
    private final Backend backend;
    private final ChunkStore chunks;
    private final Protection protection;
    private final int unneededPercentMax;
    private final boolean dryRun;
    private final ProgressListener listener;
    private final Map<KeyDomainId, Domain> domains = new LinkedHashMap<>();

    private int packsRemoved;
    private int packsRewritten;
    private int filesRemoved;
    private long bytesFreed;
    private long bytesUnneeded;
    private long bytesDone;
    private long bytesTotal;

    /** A key domain: which of its chunks are needed. */
    private static final class Domain {
        private final DomainPacks packs;
        private final BitSet needed = new BitSet();
        private final BitSet walked = new BitSet();

        Domain(DomainPacks packs) {
            this.packs = packs;
        }
    }

    /** How much of a pack is needed. */
    private static final class Use {
        private long neededBytes;
        private long chunkBytes;
    }

    /**
     * @param unneededPercentMax of a pack's chunks; with more, what is needed is put into a new pack. 0 to 100
     * @param dryRun only look
     */
    GarbageCollection(Vault vault, int unneededPercentMax, boolean dryRun, ProgressListener listener) {
        if (unneededPercentMax < 0 || unneededPercentMax > 100) {
            throw new IllegalArgumentException(unneededPercentMax + " %");
        }
        this.vault = vault;
        this.backend = vault.backend();
        this.chunks = vault.chunks();
        this.protection = vault.protection();
        this.unneededPercentMax = unneededPercentMax;
        this.dryRun = dryRun;
        this.listener = listener;
    }

    CollectReport run() throws IOException {
        List<Protection.Intent> unfinished = protection.intents();
        if (!dryRun) {
            bytesFreed += backend.removeAbandoned();
            finishRemovals(unfinished);
            removeLogs();
            removePins();
        }
        Set<String> keyless = loadDomains();
        mark();
        Set<String> leftovers = new HashSet<>();
        for (Protection.Intent intent : unfinished) {
            leftovers.addAll(intent.packs());
        }
        List<Pack> condemned = condemn(leftovers);
        if (dryRun) {
            return report();
        }
        // What was not there when it was marked may have been removed by who was killed before that was safe.
        backend.settleAll("images");
        backend.settleAll("snapshots");
        for (String file : backend.list("sessions")) {
            if (file.endsWith("/head")) {
                backend.settle(Protection.volumePin(Vault.sessionOf(file)));
            }
        }
        removeKeyless(keyless);
        if (!condemned.isEmpty()) {
            Protection.Intent intent = protection.announce(condemned, Set.of());
            remove(condemned);
            protection.withdraw(intent);
        }
        removeDomains();
        for (Protection.Intent intent : unfinished) {
            if (!intent.packs().isEmpty()) {
                // All of its packs are gone, whether its collection still runs or not.
                protection.withdraw(intent);
            }
        }
        return report();
    }

    private CollectReport report() {
        return new CollectReport(Math.max(0, bytesFreed), packsRemoved, packsRewritten, bytesUnneeded, filesRemoved);
    }

    private void delete(String file) throws IOException {
        bytesFreed += backend.size(file).orElse(0L);
        backend.delete(file);
    }

    // ---- what others have left

    private void finishRemovals(List<Protection.Intent> intents) throws IOException {
        for (Protection.Intent intent : intents) {
            if (!intent.snapshots().isEmpty()) {
                vault.finishRemoval(intent);
            }
        }
    }

    /** Whether a session is no more, and nobody is about to make it; then it does not come back with a power cut either. */
    private boolean isRemoved(SessionId session) throws IOException {
        if (isHeld(session) || backend.size(Vault.headFile(session)).isPresent()) {
            return false;
        }
        backend.settle(Vault.headFile(session));
        return true;
    }

    private boolean isHeld(SessionId session) throws IOException {
        try {
            return vault.holder(session).isPresent();
        } catch (DamagedException | ForgedException e) {
            // Nobody knows.
            return true;
        }
    }

    private boolean isHeldElsewhere(SessionId session) throws IOException {
        return vault.holderElsewhere(session).isPresent();
    }

    private void removeLogs() throws IOException {
        for (String log : backend.list("log")) {
            if (!isRemoved(Vault.sessionOf(log))) {
                continue;
            }
            try {
                backend.openLog(log, false).close();
            } catch (LogInUseException | NoSuchException e) {
                // Of a disk that is only looked at, on this host. It will be removed when it is not.
                continue;
            }
            delete(log);
            filesRemoved++;
        }
    }

    private void removePins() throws IOException {
        for (Protection.Pinned pin : protection.pins()) {
            boolean left;
            if (pin.ofVolume()) {
                left = isRemoved(pin.owner())
                        && backend.list("log/" + pin.owner()).isEmpty();
            } else {
                left = !isHeld(pin.owner()) && !(pin.ofVolumeElsewhere() && isHeldElsewhere(pin.owner()));
            }
            if (left) {
                delete(pin.file());
                filesRemoved++;
            }
        }
    }

    // ---- what is needed

    /** Learns which packs there are, before anything is marked. @return directories of domains whose keys are not in the vault */
    private Set<String> loadDomains() throws IOException {
        Set<String> directories = new HashSet<>();
        for (String name : backend.list("domains")) {
            String[] parts = name.split("/", -1);
            directories.add(parts[1]);
        }
        directories.add(chunks.ownDomain().id().toString());
        Set<String> keyless = new HashSet<>();
        for (String directory : directories) {
            KeyDomainId id;
            try {
                id = KeyDomainId.parse(directory);
            } catch (IllegalArgumentException e) {
                throw new DamagedException("the directory domains/" + directory + " is no key domain's: remove it", e);
            }
            if (vault.hasKeys(id)) {
                Domain domain = new Domain(new DomainPacks(backend, vault.keysOf(id)));
                refresh(domain);
                domains.put(id, domain);
            } else {
                keyless.add(directory);
            }
        }
        return keyless;
    }

    private void refresh(Domain domain) throws IOException {
        ChunkCodec codec = chunks.takeCodec();
        try {
            domain.packs.refresh(codec);
        } finally {
            chunks.giveBack(codec);
        }
    }

    /** Marks what snapshots, images and pins need. */
    private void mark() throws IOException {
        // Pins first: who takes one back has written before what makes it unnecessary.
        for (Protection.Pinned pin : protection.pins()) {
            for (ChunkMapRef map : pin.maps()) {
                mark(map, !pin.ofVolume());
            }
        }
        for (ImageManifest image : vault.images()) {
            mark(image.volume(), false);
        }
        for (Snapshot snapshot : vault.allSnapshots()) {
            for (ChunkMapRef map : snapshot.trees().values()) {
                mark(map, false);
            }
        }
    }

    private void mark(ChunkMapRef map, boolean mayBeIncomplete) throws IOException {
        ChunkMap.walk(chunks, map, new ChunkMap.Walker() {
            @Override
            public boolean node(ChunkRef ref) throws IOException {
                Domain domain = domains.get(ref.domain());
                int number = domain == null ? -1 : domain.packs.index().number(ref.id());
                if (number >= 0 && domain != null) {
                    domain.needed.set(number);
                    if (domain.walked.get(number)) {
                        return false;
                    }
                    domain.walked.set(number);
                    return true;
                }
                // Of a pack that came after our listing, and so is not in question; or who pinned it has yet to see
                // that it is gone.
                return !mayBeIncomplete || chunks.contains(ref);
            }

            @Override
            public void chunk(ChunkRef ref) {
                Domain domain = domains.get(ref.domain());
                int number = domain == null ? -1 : domain.packs.index().number(ref.id());
                if (number >= 0 && domain != null) {
                    domain.needed.set(number);
                }
            }
        });
    }

    // ---- what goes

    /** Chooses the packs that are to go. */
    private List<Pack> condemn(Set<String> leftovers) throws IOException {
        List<Pack> condemned = new ArrayList<>();
        for (Domain domain : domains.values()) {
            Map<Pack, Use> uses = new LinkedHashMap<>();
            for (Pack pack : domain.packs.index().packs()) {
                uses.put(pack, new Use());
            }
            domain.packs.index().forEach((pack, number, id, storedBytes, length) -> {
                Use use = requireNonNull(uses.get(pack));
                use.chunkBytes += storedBytes;
                use.neededBytes += domain.needed.get(number) ? storedBytes : 0;
            });
            for (Map.Entry<Pack, Use> entry : uses.entrySet()) {
                Use use = entry.getValue();
                long unneeded = use.chunkBytes - use.neededBytes;
                boolean chosen = use.neededBytes == 0
                        || unneeded * 100 > use.chunkBytes * unneededPercentMax
                        || leftovers.contains(entry.getKey().name());
                if (!chosen || condemned.size() == CONDEMNED_MAX) {
                    bytesUnneeded += unneeded;
                    continue;
                }
                condemned.add(entry.getKey());
                bytesTotal += use.chunkBytes;
                if (use.neededBytes == 0) {
                    packsRemoved++;
                } else {
                    packsRewritten++;
                }
                if (dryRun) {
                    bytesFreed += backend.size(entry.getKey().name()).orElse(0L) - use.neededBytes;
                }
            }
        }
        return condemned;
    }

    /** Once the intent is written. */
    private void remove(List<Pack> condemned) throws IOException {
        // First what others are about to remove, then what is still there: nothing in the one, nor missing in the
        // other, is a place where
        // something that is needed could stay.
        Set<String> going = protection.condemned();
        for (Domain domain : domains.values()) {
            ChunkCodec codec = chunks.takeCodec();
            try {
                // The numbers of entries change: what is needed is marked anew.
                domain.packs.refresh(codec, going);
            } finally {
                chunks.giveBack(codec);
            }
            domain.needed.clear();
            domain.walked.clear();
        }
        mark();
        Map<KeyDomainId, Set<Pack>> byDomain = new HashMap<>();
        for (Pack pack : condemned) {
            byDomain.computeIfAbsent(pack.domain(), id -> new HashSet<>()).add(pack);
        }
        try (Protection.Copies copies = new Protection.Copies(chunks)) {
            for (Map.Entry<KeyDomainId, Set<Pack>> entry : byDomain.entrySet()) {
                Domain domain = domains.get(entry.getKey());
                if (domain == null) {
                    continue;
                }
                List<ChunkRef> needed = new ArrayList<>();
                domain.packs.index().forEach((pack, number, id, storedBytes, length) -> {
                    if (domain.needed.get(number)
                            && number == domain.packs.index().number(id)
                            && domain.packs.index().isCondemned(pack)) {
                        needed.add(new ChunkRef(entry.getKey(), id, length));
                    }
                });
                for (ChunkRef ref : needed) {
                    copies.add(ref);
                    bytesDone += ref.length();
                    listener.progress(Math.min(bytesDone, bytesTotal), bytesTotal);
                }
            }
            bytesFreed -= copies.commit();
        }
        for (Pack pack : condemned) {
            delete(pack.name());
        }
        for (KeyDomainId id : byDomain.keySet()) {
            Domain domain = domains.get(id);
            if (domain != null) {
                refresh(domain);
                rewriteIndexes(id, domain);
            }
        }
        listener.progress(bytesTotal, bytesTotal);
    }

    private void rewriteIndexes(KeyDomainId id, Domain domain) throws IOException {
        long before = indexBytes(id);
        domain.packs.rewriteIndexes();
        bytesFreed += before - indexBytes(id);
    }

    private long indexBytes(KeyDomainId id) throws IOException {
        long bytes = 0;
        for (String name : backend.list(Pack.directory(id) + "/index")) {
            bytes += backend.size(name).orElse(0L);
        }
        return bytes;
    }

    /** Packs of images that were never finished: their keys were in the memory of who made them. */
    private void removeKeyless(Set<String> keyless) throws IOException {
        Set<KeyDomainId> pinned = pinnedDomains();
        for (String directory : keyless) {
            KeyDomainId id = KeyDomainId.parse(directory);
            // After the pins: who takes one back has stored the keys before.
            if (!pinned.contains(id) && !vault.hasKeys(id)) {
                for (String file : backend.list("domains/" + directory)) {
                    delete(file);
                    filesRemoved++;
                }
            }
        }
    }

    private Set<KeyDomainId> pinnedDomains() throws IOException {
        Set<KeyDomainId> pinned = new HashSet<>();
        for (Protection.Pinned pin : protection.pins()) {
            pinned.addAll(pin.domains());
            for (ChunkMapRef map : pin.maps()) {
                Optional<ChunkRef> root = map.root();
                root.ifPresent(ref -> pinned.add(ref.domain()));
            }
        }
        return pinned;
    }

    /** Domains of images that are no more, and that nothing needs a chunk of. */
    private void removeDomains() throws IOException {
        for (Map.Entry<KeyDomainId, Domain> entry : domains.entrySet()) {
            KeyDomainId id = entry.getKey();
            if (id.equals(chunks.ownDomain().id()) || !entry.getValue().needed.isEmpty()) {
                continue;
            }
            Set<KeyDomainId> used = pinnedDomains();
            for (ImageManifest image : vault.images()) {
                used.add(image.keys().id());
            }
            if (!used.contains(id)
                    && backend.list(Pack.directory(id) + "/packs").isEmpty()) {
                backend.settleAll("images");
                for (String file : backend.list(Pack.directory(id))) {
                    delete(file);
                    filesRemoved++;
                }
            }
        }
    }
}
