package dev.satchel.vault;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.satchel.linux.crypto.AesGcm;
import dev.satchel.linux.crypto.HmacSha256;
import dev.satchel.linux.crypto.SecretBytes;
import dev.satchel.linux.crypto.SecureRandom;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The packs of one key domain in one vault, and the index over them. The packs are the truth: each has its own directory at
 * its end. Index files only save reading these one by one; what they say of packs that are not there is passed over, and
 * packs that they don't mention are asked themselves. Thread-safe.
 */
final class DomainPacks {
    private static final byte[] INDEX_MAGIC = "SATINDX1".getBytes(US_ASCII);
    private static final int INDEX_BOUND_BYTES = 8 + 16 + 32;
    private static final int INDEX_BYTES_MAX = 1 << 30;
    private static final int SECTION_BYTES = 16 + Pack.WRAPPED_BYTES + 4;

    /** So many packs without an index file make one be written. */
    private static final int UNINDEXED_MAX = 16;

    /** What is read first of the end of a pack: most directories fit. */
    private static final int TAIL_BYTES = 16 * 1024;

    private final Backend backend;
    private final KeyDomain keys;
    private final int indexBytesMax;
    private final int directoryBytesMax;
    private final int chunksMax;
    private final ChunkIndex index = new ChunkIndex();

    /** Names of packs in the index. Guarded by this, like all below. */
    private final Set<String> known = new HashSet<>();

    private final Set<String> indexFiles = new HashSet<>();
    private final List<Directory> unindexed = new ArrayList<>();
    private final List<String> damage = new ArrayList<>();

    /** Whether an index mentions packs that are not there. */
    private boolean lacksPacks;

    /** Names of packs that are taken for not there. */
    private final Set<String> without;

    /** A pack and the entries of its chunks (memory of the collector's). */
    record Directory(Pack pack, MemorySegment entries) {}

    DomainPacks(Backend backend, KeyDomain keys) {
        this(backend, keys, Set.of());
    }

    /** All but some packs: what is in these only is not there. */
    DomainPacks(Backend backend, KeyDomain keys, Set<String> without) {
        this(backend, keys, without, INDEX_BYTES_MAX, Pack.DIRECTORY_BYTES_MAX, Integer.MAX_VALUE);
    }

    /**
     * For a backend that is not the vault's own, and may be made to fill the memory up.
     *
     * @param indexBytesMax the longest index file that is read
     * @param directoryBytesMax the longest directory of a pack, sealed
     * @param chunksMax about so many are learnt of, no more
     */
    DomainPacks(Backend backend, KeyDomain keys, int indexBytesMax, int directoryBytesMax, int chunksMax) {
        this(backend, keys, Set.of(), indexBytesMax, directoryBytesMax, chunksMax);
    }

    private DomainPacks(
            Backend backend,
            KeyDomain keys,
            Set<String> without,
            int indexBytesMax,
            int directoryBytesMax,
            int chunksMax) {
        this.backend = backend;
        this.keys = keys;
        this.without = without;
        this.indexBytesMax = indexBytesMax;
        this.directoryBytesMax = directoryBytesMax;
        this.chunksMax = chunksMax;
    }

    KeyDomain keys() {
        return keys;
    }

    ChunkIndex index() {
        return index;
    }

    /** Whether packs are gone that an index knows: lost, or collected by somebody who has not written another index yet. */
    synchronized boolean lacksPacks() {
        return lacksPacks;
    }

    /** Packs and index files that could not be read, one line each. */
    synchronized List<String> damage() {
        return List.copyOf(damage);
    }

    /**
     * Learns of packs that are new since the last time, or gone.
     *
     * @param condemned names of packs that are to go, of any domain, from a listing made before this call
     */
    synchronized void refresh(ChunkCodec codec, Set<String> condemned) throws IOException {
        refresh(codec);
        Set<String> own = new HashSet<>(condemned);
        own.retainAll(known);
        index.condemn(own);
    }

    /** The same, and what is known of condemned packs stays as it is. */
    synchronized void refresh(ChunkCodec codec) throws IOException {
        Set<String> packs = new HashSet<>();
        List<String> newIndexes = new ArrayList<>();
        for (String name : backend.list(Pack.directory(keys.id()))) {
            if (name.contains("/packs/")) {
                if (!without.contains(name)) {
                    packs.add(name);
                }
            } else if (name.contains("/index/") && !indexFiles.contains(name)) {
                newIndexes.add(name);
            }
        }
        damage.clear();
        forget(packs);
        for (String name : newIndexes) {
            loadIndex(name, packs);
        }
        for (String name : packs) {
            if (!known.contains(name)) {
                try {
                    Directory directory = readDirectory(name, codec);
                    known.add(name);
                    if (index.entries() < chunksMax) {
                        index.add(directory.pack(), directory.entries());
                        unindexed.add(directory);
                    }
                } catch (AwayException e) {
                    throw e;
                } catch (VaultException e) {
                    // Its chunks are missing, and whoever needs one hears it then; the others are as good as before.
                    damage.add(String.valueOf(e.getMessage()));
                }
            }
        }
    }

    /** Packs that are there no longer have been collected: somebody else may have what is needed of them in others. */
    private void forget(Set<String> present) {
        Set<String> gone = new HashSet<>(known);
        gone.removeAll(present);
        if (!gone.isEmpty()) {
            known.removeAll(gone);
            unindexed.removeIf(directory -> gone.contains(directory.pack().name()));
            index.remove(gone);
        }
    }

    /** Whether a pack was there at the last {@link #refresh}, and nobody was about to remove it. */
    synchronized boolean mayBeDependedOn(Pack pack) {
        return known.contains(pack.name()) && !index.isCondemned(pack);
    }

    /**
     * What the index files say of a pack whose own directory can't be read.
     *
     * @return empty when none of them mentions it
     */
    Optional<Directory> directoryByIndex(String pack) throws IOException {
        for (String name : backend.list(Pack.directory(keys.id()) + "/index")) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment payload = readIndex(name, arena);
                for (long at = 0; at < payload.byteSize(); ) {
                    Pack mentioned = packAt(payload, at);
                    long bytes =
                            Integer.toUnsignedLong(payload.get(Bytes.INT, at + SECTION_BYTES - 4)) * Pack.ENTRY_BYTES;
                    MemorySegment entries = payload.asSlice(at + SECTION_BYTES, bytes);
                    if (mentioned.name().equals(pack)) {
                        MemorySegment copy =
                                Arena.ofAuto().allocate(Math.max(1, bytes), 8).asSlice(0, bytes);
                        return Optional.of(new Directory(mentioned, copy.copyFrom(entries)));
                    }
                    at += SECTION_BYTES + bytes;
                }
            } catch (VaultException | IndexOutOfBoundsException unusable) {
                // Damaged itself, or merged into another meanwhile: the next one may know.
            }
        }
        return Optional.empty();
    }

    /** Checks an index file. */
    void checkIndex(String name) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment _ = readIndex(name, arena);
        }
    }

    private void loadIndex(String name, Set<String> present) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment payload = readIndex(name, arena);
            long at = 0;
            while (at < payload.byteSize()) {
                Pack pack = packAt(payload, at);
                long count = payload.get(Bytes.INT, at + SECTION_BYTES - 4);
                MemorySegment entries = payload.asSlice(at + SECTION_BYTES, count * Pack.ENTRY_BYTES);
                at += SECTION_BYTES + entries.byteSize();
                if (!present.contains(pack.name())) {
                    lacksPacks = true;
                } else if (known.add(pack.name()) && index.entries() < chunksMax) {
                    index.add(pack, entries);
                }
            }
            indexFiles.add(name);
        } catch (NoSuchException merged) {
            // Another process has put it into a larger one since we listed.
            return;
        } catch (VaultException | IndexOutOfBoundsException e) {
            damage.add("the index " + name + " in " + backend.location()
                    + " is damaged: delete it, it will be made again from the packs");
        }
    }

    private Pack packAt(MemorySegment payload, long at) {
        byte[] wrapped = new byte[Pack.WRAPPED_BYTES];
        MemorySegment.copy(payload, JAVA_BYTE, at + 16, wrapped, 0, wrapped.length);
        return new Pack(keys.id(), payload.get(Bytes.LONG, at), payload.get(Bytes.LONG, at + 8), wrapped);
    }

    /** The opened sections of an index file. */
    private MemorySegment readIndex(String name, Arena arena) throws IOException {
        long size = backend.size(name).orElseThrow(() -> new NoSuchException("no " + name + ": look again"));
        if (size < INDEX_BOUND_BYTES + AesGcm.TAG_BYTES || size > indexBytesMax) {
            throw new DamagedException("the index " + name + " has " + size + " bytes: delete it");
        }
        MemorySegment file = arena.allocate(size, 8);
        // Opened where it lies: a large vault's index is some ten megabytes.
        MemorySegment payload = file.asSlice(INDEX_BOUND_BYTES, size - INDEX_BOUND_BYTES - AesGcm.TAG_BYTES);
        if (backend.getRange(name, 0, file) == size) {
            MemorySegment expected = indexBound(arena, file.asSlice(24, 32));
            try (AesGcm cipher = new AesGcm();
                    SecretBytes key = indexKey(file)) {
                if (expected.mismatch(file.asSlice(0, INDEX_BOUND_BYTES)) == -1
                        && cipher.open(
                                key.segment(),
                                arena.allocate(AesGcm.NONCE_BYTES),
                                file.asSlice(0, INDEX_BOUND_BYTES),
                                file.asSlice(INDEX_BOUND_BYTES),
                                payload)) {
                    return payload;
                }
            }
        }
        throw new DamagedException("the index " + name + " is damaged: delete it");
    }

    private MemorySegment indexBound(Arena arena, MemorySegment salt) {
        MemorySegment bound = arena.allocate(INDEX_BOUND_BYTES);
        MemorySegment.copy(INDEX_MAGIC, 0, bound, JAVA_BYTE, 0, INDEX_MAGIC.length);
        bound.set(Bytes.LONG, 8, keys.id().high());
        bound.set(Bytes.LONG, 16, keys.id().low());
        MemorySegment.copy(salt, 0, bound, 24, 32);
        return bound;
    }

    private SecretBytes indexKey(MemorySegment file) {
        return HmacSha256.expand(keys.indexKey().segment(), Bytes.copy(file.asSlice(0, INDEX_BOUND_BYTES)));
    }

    /** Reads a pack's header and directory. */
    Directory readDirectory(String name, ChunkCodec codec) throws IOException {
        long size = backend.size(name).orElseThrow(() -> new NoSuchException("no " + name + ": look again"));
        if (size < Pack.HEADER_BYTES + AesGcm.TAG_BYTES + Pack.TRAILER_BYTES || size > Integer.MAX_VALUE) {
            throw damaged(name);
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment header = read(name, 0, Pack.HEADER_BYTES, arena);
            MemorySegment tail = read(name, Math.max(0, size - TAIL_BYTES), (int) Math.min(size, TAIL_BYTES), arena);
            long trailer = tail.byteSize() - Pack.TRAILER_BYTES;
            int sealedBytes = tail.get(Bytes.INT, trailer);
            long position = size - Pack.TRAILER_BYTES - sealedBytes;
            Pack pack = new Pack(
                    keys.id(),
                    header.get(Bytes.LONG, 24),
                    header.get(Bytes.LONG, 32),
                    Bytes.copy(header.asSlice(Pack.BOUND_BYTES)));
            MemorySegment bound = ChunkCodec.bound(arena, keys.id(), pack.high(), pack.low());
            MemorySegment magic = arena.allocateFrom(JAVA_BYTE, Pack.TRAILER_MAGIC);
            if (bound.mismatch(header.asSlice(0, Pack.BOUND_BYTES)) != -1
                    || magic.mismatch(tail.asSlice(trailer + 4)) != -1
                    || !pack.name().equals(name)
                    || sealedBytes < AesGcm.TAG_BYTES
                    || sealedBytes > directoryBytesMax
                    || position < Pack.HEADER_BYTES
                    || (sealedBytes - AesGcm.TAG_BYTES) % Pack.ENTRY_BYTES != 0) {
                throw damaged(name);
            }
            MemorySegment sealed = sealedBytes <= trailer
                    ? tail.asSlice(trailer - sealedBytes, sealedBytes)
                    : read(name, position, sealedBytes, arena);
            MemorySegment entries = Arena.ofAuto()
                    .allocate(Math.max(1, sealedBytes - AesGcm.TAG_BYTES), 8)
                    .asSlice(0, sealedBytes - AesGcm.TAG_BYTES);
            if (!codec.openDirectory(keys, pack, position, sealed, entries)) {
                throw damaged(name);
            }
            return new Directory(pack, entries);
        }
    }

    private MemorySegment read(String name, long offset, int length, Arena arena) throws IOException {
        MemorySegment bytes = arena.allocate(length, 8);
        if (backend.getRange(name, offset, bytes) != length) {
            throw damaged(name);
        }
        return bytes;
    }

    private DamagedException damaged(String name) {
        return new DamagedException(
                "the pack " + name + " in " + backend.location() + " is damaged: put it back from a copy of the vault");
    }

    /** Packs of a batch that are objects now. */
    synchronized void committed(List<Directory> directories) throws IOException {
        for (Directory directory : directories) {
            if (known.add(directory.pack().name())) {
                index.add(directory.pack(), directory.entries());
                unindexed.add(directory);
            }
        }
        if (unindexed.size() >= UNINDEXED_MAX) {
            try {
                writeIndex(false);
            } catch (VaultFullException e) {
                // The packs are durable and can do without; the next commit tries again.
                return;
            }
        }
    }

    /** Writes an index over all packs that have none. */
    synchronized void indexAll() throws IOException {
        if (!unindexed.isEmpty()) {
            writeIndex(false);
        }
    }

    /**
     * Writes an index over what has none, with the smaller ones that are there put into it: sizes then grow like powers, and
     * a vault has few of them. Of packs that are gone nothing is taken over.
     *
     * @param whole put all of them into it
     */
    private void writeIndex(boolean whole) throws IOException {
        long total = 0;
        for (Directory directory : unindexed) {
            total += SECTION_BYTES + directory.entries().byteSize();
        }
        List<String> merged = new ArrayList<>();
        Set<String> taken = new HashSet<>();
        for (Directory directory : unindexed) {
            taken.add(directory.pack().name());
        }
        try (Arena arena = Arena.ofConfined()) {
            List<MemorySegment> payloads = new ArrayList<>();
            List<Sized> bySize = new ArrayList<>();
            for (String name : indexFiles) {
                bySize.add(new Sized(name, backend.size(name).orElse(0L)));
            }
            bySize.sort((a, b) -> Long.compare(a.bytes(), b.bytes()));
            for (Sized file : bySize) {
                if (!whole && file.bytes() > 2 * total) {
                    break;
                }
                try {
                    MemorySegment payload = readIndex(file.name(), arena);
                    for (MemorySegment section : sections(payload, taken)) {
                        payloads.add(section);
                        total += section.byteSize();
                    }
                    merged.add(file.name());
                } catch (VaultException e) {
                    // Gone or damaged: it stays out, and verify tells of it.
                    damage.add(String.valueOf(e.getMessage()));
                }
            }
            String name = Pack.directory(keys.id()) + "/index/" + KeyDomainId.random();
            MemorySegment salt = arena.allocate(32);
            SecureRandom.fill(salt);
            MemorySegment payload = arena.allocate(total, 8);
            long at = 0;
            for (MemorySegment part : payloads) {
                MemorySegment.copy(part, 0, payload, at, part.byteSize());
                at += part.byteSize();
            }
            for (Directory directory : unindexed) {
                Pack pack = directory.pack();
                payload.set(Bytes.LONG, at, pack.high());
                payload.set(Bytes.LONG, at + 8, pack.low());
                MemorySegment.copy(pack.wrapped(), 0, payload, JAVA_BYTE, at + 16, Pack.WRAPPED_BYTES);
                long bytes = directory.entries().byteSize();
                payload.set(Bytes.INT, at + SECTION_BYTES - 4, (int) (bytes / Pack.ENTRY_BYTES));
                MemorySegment.copy(directory.entries(), 0, payload, at + SECTION_BYTES, bytes);
                at += SECTION_BYTES + bytes;
            }
            MemorySegment header = indexBound(arena, salt);
            MemorySegment sealed = arena.allocate(total + AesGcm.TAG_BYTES, 8);
            try (AesGcm cipher = new AesGcm();
                    SecretBytes key = indexKey(header)) {
                cipher.seal(key.segment(), arena.allocate(AesGcm.NONCE_BYTES), header, payload, sealed);
            }
            backend.putIfAbsent(name, header, sealed);
            indexFiles.add(name);
        }
        unindexed.clear();
        for (String name : merged) {
            indexFiles.remove(name);
            backend.delete(name);
        }
    }

    /** The parts of an index that are about packs that are there and not in {@code taken} yet, which then has them. */
    private List<MemorySegment> sections(MemorySegment payload, Set<String> taken) {
        List<MemorySegment> sections = new ArrayList<>();
        for (long at = 0; at < payload.byteSize(); ) {
            String name = packAt(payload, at).name();
            long bytes = SECTION_BYTES + payload.get(Bytes.INT, at + SECTION_BYTES - 4) * (long) Pack.ENTRY_BYTES;
            if (known.contains(name) && taken.add(name)) {
                sections.add(payload.asSlice(at, bytes));
            }
            at += bytes;
        }
        return sections;
    }

    /** After packs were removed: one index instead of those there are, or none where there is no pack. */
    synchronized void rewriteIndexes() throws IOException {
        if (known.isEmpty()) {
            for (String name : List.copyOf(indexFiles)) {
                backend.delete(name);
            }
            indexFiles.clear();
        } else if (!indexFiles.isEmpty()) {
            writeIndex(true);
        }
    }

    private record Sized(String name, long bytes) {}
}
