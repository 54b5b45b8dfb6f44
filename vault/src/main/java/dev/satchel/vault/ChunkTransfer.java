package dev.satchel.vault;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;

/**
 * Brings chunks from one copy of a vault to another: packs of which at least half is needed as they are, of others only what is needed,
 * sealed anew. Every chunk is authenticated on its way. First everything is said by {@link #need}, then it is carried by
 * {@link #carry}, in the order of batches. One thread at a time.
 */
final class ChunkTransfer {
    private static final int LANES = 2;
    private static final int PIECE_BYTES = 1 << 20;

    /** So many packs a lane has written get their names at once, by one sync of the directory. */
    private static final int UNNAMED_MAX = 4;

    /** Garbage of so few bytes is carried along rather than sealing the rest anew. */
    private static final long GARBAGE_BYTES_MAX = 512 << 10;

    /** What is sealed anew is committed each time so much has come together: that much is lost if the transfer breaks off. */
    private static final long BATCH_BYTES = 32 << 20;

    private final Vault from;
    private final Vault to;
    private final Replication.Pace pace;
    private final ProgressListener listener;
    private final Map<String, Need> needs = new LinkedHashMap<>();
    private final Map<KeyDomainId, Boolean> targetHasKeys = new LinkedHashMap<>();

    /** Packs of the target's that have what is needed, by their domains. */
    private final Map<KeyDomainId, Set<String>> reliedOn = new LinkedHashMap<>();

    private boolean settled;

    /** Nodes of maps that have been walked. */
    private final Set<ChunkRef> walked = new HashSet<>();

    private final LongAdder chunksSent = new LongAdder();
    private final LongAdder bytesSent = new LongAdder();
    private final LongAdder bytesDone = new LongAdder();
    private final LongAdder packsSent = new LongAdder();
    private final AtomicInteger damaged = new AtomicInteger();
    private long bytesTotal;
    private volatile boolean vanished;

    ChunkTransfer(Vault from, Vault to, Replication.Pace pace, ProgressListener listener) {
        this.from = from;
        this.to = to;
        this.pace = pace;
        this.listener = listener;
    }

    /** What is needed of a pack. */
    private static final class Need {
        private final Pack pack;
        private final int batch;
        private long bytes;
        private int chunks;

        /** Offsets, never 0, in open addressing; its size is a power of two. */
        private int[] offsets = new int[32];

        /** Whether nodes of maps are among them. */
        private boolean nodes;

        private boolean whole;
        private boolean done;

        Need(Pack pack, int batch) {
            this.pack = pack;
            this.batch = batch;
        }

        void add(int offset, int storedBytes) {
            if (insert(offsets, offset)) {
                bytes += storedBytes;
                chunks++;
                if (chunks * 2 > offsets.length) {
                    int[] larger = new int[offsets.length * 2];
                    for (int present : offsets) {
                        if (present != 0) {
                            insert(larger, present);
                        }
                    }
                    offsets = larger;
                }
            }
        }

        private static boolean insert(int[] table, int offset) {
            int at = slot(table, offset);
            if (table[at] == offset) {
                return false;
            }
            table[at] = offset;
            return true;
        }

        private static int slot(int[] table, int offset) {
            int at = ((offset * 0x9E3779B1) >>> 1) & (table.length - 1);
            while (table[at] != 0 && table[at] != offset) {
                at = (at + 1) & (table.length - 1);
            }
            return at;
        }

        boolean has(int offset) {
            return offsets[slot(offsets, offset)] == offset;
        }
    }

    long chunksSent() {
        return chunksSent.sum();
    }

    long bytesSent() {
        return bytesSent.sum();
    }

    long packsSent() {
        return packsSent.sum();
    }

    /** Bytes that will be carried. */
    long bytesTotal() {
        return bytesTotal;
    }

    long chunksNeeded() {
        long chunks = 0;
        for (Need need : needs.values()) {
            chunks += need.chunks;
        }
        return chunks;
    }

    /** Whether packs went away while they were to be copied: there was a collection of garbage, and one has to look again. */
    boolean vanished() {
        return vanished;
    }

    /** Whether something was damaged and stayed behind. */
    boolean damaged() {
        return damaged.get() > 0;
    }

    /**
     * Has all chunks of a map carried that the target lacks.
     *
     * @param present a map that the target has all of, whoever calls sees to that: what it has at the same place is not looked for there
     * @param batch ascending from call to call
     */
    void need(ChunkMapRef map, ChunkMapRef present, int batch) throws IOException {
        ChunkMap.walkChanges(from.chunks(), present, map, new ChunkMap.Walker() {
            @Override
            public boolean node(ChunkRef ref) throws IOException {
                if (!walked.add(ref)) {
                    return false;
                }
                need(ref, batch, true);
                return true;
            }

            @Override
            public void chunk(ChunkRef ref) throws IOException {
                need(ref, batch, false);
            }
        });
    }

    private void need(ChunkRef ref, int batch, boolean node) throws IOException {
        if (targetHas(ref)) {
            return;
        }
        DomainPacks packs = from.chunks().domain(ref.domain());
        ChunkIndex.Place place = packs.index().find(ref.id());
        if (place == null) {
            from.chunks().refresh(packs);
            place = packs.index().find(ref.id());
        }
        if (place == null) {
            damaged.incrementAndGet();
            return;
        }
        Pack pack = place.pack();
        Need need = needs.computeIfAbsent(pack.name(), name -> new Need(pack, batch));
        need.add(place.offset(), place.storedBytes());
        need.nodes |= node;
    }

    private boolean targetHas(ChunkRef ref) throws IOException {
        Boolean keys = targetHasKeys.get(ref.domain());
        if (keys == null) {
            keys = to.hasKeys(ref.domain());
            targetHasKeys.put(ref.domain(), keys);
        }
        if (!keys) {
            return false;
        }
        Pack pack = to.chunks().domain(ref.domain()).index().dependable(ref.id());
        if (pack != null) {
            reliedOn.computeIfAbsent(ref.domain(), _ -> new HashSet<>()).add(pack.name());
        }
        return pack != null;
    }

    /** Decides how each pack goes. Call once, when everything has been said. */
    void plan() throws IOException {
        // A collection of garbage in the target that is under way, or broke off, may remove packs of these names at any
        // time.
        Set<String> condemned = to.protection().condemned();
        for (Need need : needs.values()) {
            long packBytes = from.backend().size(need.pack.name()).orElse(0L);
            need.whole |= need.bytes * 2 >= packBytes || packBytes - need.bytes <= GARBAGE_BYTES_MAX;
            need.whole &= !condemned.contains(need.pack.name());
            bytesTotal += need.whole ? packBytes : need.bytes;
        }
    }

    /** Whether packs of the vault's own domain are missing from the target, as far as its index says: then what a snapshot there names may be, too. */
    boolean lacksPacks() throws IOException {
        return to.chunks().domain(to.chunks().ownDomain().id()).lacksPacks();
    }

    /** Packs of the target's, as far as its index knew, that have what will not be carried. */
    Set<String> reliedOn() {
        Set<String> all = new HashSet<>();
        reliedOn.values().forEach(all::addAll);
        return all;
    }

    /** The domains that chunks will be carried of. */
    Set<KeyDomainId> domains() {
        return targetHasKeys.keySet();
    }

    /**
     * Carries everything of that batch and those before it; durable on return. Nodes first: from then on a collection of garbage in the
     * target finds, from the maps that are pinned, what arrives after them.
     */
    void carry(int batch) throws IOException {
        if (!settled) {
            // Who stored it may have been killed before the names of its packs were safe. One pack of a directory
            // stands for all.
            for (Set<String> packs : reliedOn.values()) {
                to.backend().settle(packs.iterator().next());
            }
            settled = true;
        }
        carry(batch, true);
        carry(batch, false);
    }

    private void carry(int batch, boolean nodes) throws IOException {
        List<Need> whole = new ArrayList<>();
        List<Need> parts = new ArrayList<>();
        for (Need need : needs.values()) {
            if (need.batch > batch || need.done || need.nodes != nodes) {
                continue;
            }
            (need.whole ? whole : parts).add(need);
        }
        if (!whole.isEmpty()) {
            Lanes lanes = new Lanes();
            AtomicInteger next = new AtomicInteger();
            lanes.run(
                    whole.size() > 1 ? LANES : 1,
                    "replicate",
                    "interrupted: type it again, and it goes on from here",
                    () -> carryWhole(whole, next, lanes));
        }
        for (Need need : whole) {
            // One that has a damaged chunk was given up: what else is needed of it goes by itself.
            if (!need.whole) {
                parts.add(need);
            }
        }
        carryParts(parts);
        for (Need need : whole) {
            need.done = true;
        }
        for (Need need : parts) {
            need.done = true;
        }
    }

    private void carryWhole(List<Need> whole, AtomicInteger next, Lanes lanes) throws IOException {
        Map<String, PackFile> unnamed = new LinkedHashMap<>();
        List<Need> written = new ArrayList<>();
        try {
            while (!lanes.hasFailed()) {
                int at = next.getAndIncrement();
                if (at >= whole.size()) {
                    break;
                }
                Need need = whole.get(at);
                PackFile file = copy(need);
                if (file != null) {
                    unnamed.put(need.pack.name(), file);
                    written.add(need);
                }
                if (unnamed.size() == UNNAMED_MAX) {
                    name(unnamed, written);
                }
            }
            name(unnamed, written);
        } finally {
            for (PackFile file : unnamed.values()) {
                file.close();
            }
        }
    }

    private void name(Map<String, PackFile> unnamed, List<Need> written) throws IOException {
        if (unnamed.isEmpty()) {
            return;
        }
        to.backend().commit(unnamed);
        for (Need need : written) {
            DomainPacks packs = to.chunks().domain(need.pack.domain());
            ChunkCodec codec = to.chunks().takeCodec();
            try {
                packs.committed(List.of(packs.readDirectory(need.pack.name(), codec)));
            } finally {
                to.chunks().giveBack(codec);
            }
            chunksSent.add(need.chunks);
            packsSent.increment();
        }
        for (PackFile file : unnamed.values()) {
            bytesSent.add(file.size());
            file.close();
        }
        unnamed.clear();
        written.clear();
    }

    /**
     * Copies a pack, having looked at each needed chunk's tag.
     *
     * @return synced, without a name yet; null when it is gone or damaged, and then noted as such
     */
    private @Nullable PackFile copy(Need need) throws IOException {
        String name = need.pack.name();
        DomainPacks packs = from.chunks().domain(need.pack.domain());
        PackFile file = to.backend().begin();
        ChunkCodec codec = from.chunks().takeCodec();
        boolean whole = false;
        try (Arena arena = Arena.ofConfined()) {
            long size = from.backend().size(name).orElseThrow(() -> new NoSuchException("no " + name + ": look again"));
            ByteBuffer entries = packs.readDirectory(name, codec).entries().asByteBuffer();
            MemorySegment piece = arena.allocate(PIECE_BYTES + ChunkCodec.STORED_BYTES_MAX, 64);
            MemorySegment scratch = arena.allocate(ChunkRef.LENGTH_MAX, 64);
            int first = 0;
            long begin = 0;
            long end = Pack.HEADER_BYTES;
            int count = entries.capacity() / Pack.ENTRY_BYTES;
            whole = true;
            for (int i = 0; i < count && whole; i++) {
                int at = i * Pack.ENTRY_BYTES;
                int stored = entries.getInt(at + 36);
                if (entries.getInt(at + 32) != end || stored <= 16 || stored > ChunkCodec.STORED_BYTES_MAX) {
                    whole = false;
                    break;
                }
                end += stored;
                if (end - begin >= PIECE_BYTES || i == count - 1) {
                    MemorySegment bytes = piece.asSlice(0, end - begin);
                    whole = read(name, begin, bytes)
                            && areAuthentic(packs, codec, need, entries, first, i + 1, begin, bytes, scratch);
                    append(file, bytes);
                    begin = end;
                    first = i + 1;
                }
            }
            while (whole && begin < size) {
                MemorySegment bytes = piece.asSlice(0, Math.min(PIECE_BYTES, size - begin));
                whole = read(name, begin, bytes);
                append(file, bytes);
                begin += bytes.byteSize();
            }
            if (whole) {
                file.sync();
                return file;
            }
            need.whole = false;
        } catch (NoSuchException e) {
            vanished = true;
            whole = false;
        } catch (DamagedException e) {
            need.whole = false;
            whole = false;
        } catch (IOException | RuntimeException e) {
            whole = false;
            throw e;
        } finally {
            from.chunks().giveBack(codec);
            if (!whole) {
                file.close();
            }
        }
        return null;
    }

    private boolean read(String name, long offset, MemorySegment bytes) throws IOException {
        if (Thread.interrupted()) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted: type it again, and it goes on from here");
        }
        return from.backend().getRange(name, offset, bytes) == bytes.byteSize();
    }

    private void append(PackFile file, MemorySegment bytes) throws IOException {
        long began = System.nanoTime();
        file.append(bytes);
        bytesDone.add(bytes.byteSize());
        listener.progress(bytesDone.sum(), bytesTotal);
        pace.rest(bytes.byteSize(), System.nanoTime() - began);
    }

    private static boolean areAuthentic(
            DomainPacks packs,
            ChunkCodec codec,
            Need need,
            ByteBuffer entries,
            int first,
            int end,
            long begin,
            MemorySegment bytes,
            MemorySegment scratch) {
        for (int i = first; i < end; i++) {
            int at = i * Pack.ENTRY_BYTES;
            int offset = entries.getInt(at + 32);
            if (!need.has(offset)) {
                continue;
            }
            int codecAndLength = entries.getInt(at + 40);
            ChunkIndex.Place place = new ChunkIndex.Place(
                    need.pack, offset, entries.getInt(at + 36), codecAndLength >>> 24, codecAndLength & 0xffffff);
            if (!codec.isAuthentic(
                    packs.keys(),
                    place,
                    idAt(entries, at),
                    bytes.asSlice(offset - begin, place.storedBytes()),
                    scratch)) {
                return false;
            }
        }
        return true;
    }

    private static ChunkId idAt(ByteBuffer entries, int at) {
        return new ChunkId(
                entries.getLong(at), entries.getLong(at + 8), entries.getLong(at + 16), entries.getLong(at + 24));
    }

    /** Takes what is needed out of packs that are garbage for the most part. */
    private void carryParts(List<Need> parts) throws IOException {
        KeyDomainId[] domains =
                parts.stream().map(need -> need.pack.domain()).distinct().toArray(KeyDomainId[]::new);
        for (KeyDomainId domain : domains) {
            List<Need> ofDomain = new ArrayList<>();
            for (Need need : parts) {
                if (need.pack.domain().equals(domain)) {
                    ofDomain.add(need);
                }
            }
            carryParts(domain, ofDomain);
        }
    }

    private void carryParts(KeyDomainId domain, List<Need> parts) throws IOException {
        @Nullable ChunkWriter writer = null;
        long put = 0;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment plaintext = arena.allocate(ChunkRef.LENGTH_MAX, 64);
            for (Need need : parts) {
                for (ChunkRef ref : refs(need)) {
                    if (Thread.interrupted()) {
                        Thread.currentThread().interrupt();
                        throw new InterruptedIOException("interrupted: type it again, and it goes on from here");
                    }
                    long began = System.nanoTime();
                    int length;
                    try {
                        length = from.chunks().read(ref, plaintext);
                    } catch (DamagedException e) {
                        noteLost(e);
                        continue;
                    }
                    if (writer == null) {
                        writer = to.chunks().writer(to.keysOf(domain));
                    }
                    ChunkRef copied = writer.put(plaintext.asSlice(0, length));
                    if (!copied.id().equals(ref.id())) {
                        throw new ForgedException(
                                "chunk " + ref.id() + " in " + from.backend().location()
                                        + " is not what its name says: check it with 'satchel vault verify'");
                    }
                    put += length;
                    bytesDone.add(length);
                    listener.progress(Math.min(bytesDone.sum(), bytesTotal), bytesTotal);
                    pace.rest(length, System.nanoTime() - began);
                    if (put >= BATCH_BYTES) {
                        commit(writer);
                        writer = null;
                        put = 0;
                    }
                }
            }
            plaintext.fill((byte) 0);
            if (writer != null) {
                commit(writer);
                writer = null;
            }
        } finally {
            if (writer != null) {
                writer.close();
            }
        }
    }

    private void commit(ChunkWriter writer) throws IOException {
        try (writer) {
            WriteStats stats = writer.commit();
            chunksSent.add(stats.chunksNew());
            bytesSent.add(stats.bytesNew());
        }
    }

    private void noteLost(DamagedException e) {
        if (e.getCause() instanceof NoSuchException) {
            vanished = true;
        } else {
            damaged.incrementAndGet();
        }
    }

    private List<ChunkRef> refs(Need need) throws IOException {
        DomainPacks packs = from.chunks().domain(need.pack.domain());
        ChunkCodec codec = from.chunks().takeCodec();
        List<ChunkRef> refs = new ArrayList<>();
        try {
            ByteBuffer entries =
                    packs.readDirectory(need.pack.name(), codec).entries().asByteBuffer();
            for (int at = 0; at < entries.capacity(); at += Pack.ENTRY_BYTES) {
                if (need.has(entries.getInt(at + 32))) {
                    refs.add(new ChunkRef(need.pack.domain(), idAt(entries, at), entries.getInt(at + 40) & 0xffffff));
                }
            }
        } catch (NoSuchException e) {
            vanished = true;
        } catch (DamagedException e) {
            // An index may have told what is in it.
            damaged.incrementAndGet();
        } finally {
            from.chunks().giveBack(codec);
        }
        return refs;
    }

    /** Whether a copy has everything of a map, in packs that stay. */
    static boolean isWhole(Vault vault, ChunkMapRef map) throws IOException {
        boolean[] missing = new boolean[1];
        try {
            ChunkMap.walk(vault.chunks(), map, new ChunkMap.Walker() {
                @Override
                public boolean node(ChunkRef ref) throws IOException {
                    chunk(ref);
                    return !missing[0];
                }

                @Override
                public void chunk(ChunkRef ref) throws IOException {
                    missing[0] |= vault.chunks().domain(ref.domain()).index().dependable(ref.id()) == null;
                }
            });
        } catch (DamagedException e) {
            return false;
        }
        return !missing[0];
    }

    /** First eight bytes of a name's hash or of a random name. */
    static long mark(byte[] hash) {
        return Bytes.getLong(Arrays.copyOf(hash, 8), 0);
    }
}
