package dev.satchel.vault;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Where the chunks of one domain are: some 52 bytes a chunk. Entries stay as they are in index files, in blocks outside the
 * heap; a table of entry numbers finds them by the first bytes of the id, which is as good as random. Thread-safe.
 *
 * <p>Buffers rather than memory segments, because in a cold JVM reading a number from a segment is ten times as slow.
 */
final class ChunkIndex {
    private static final int BLOCK_ENTRIES = 1024;
    private static final int TABLE_SIZE_MIN = 1024;
    private static final int ENTRIES_MAX = 1 << 28;

    private List<MemorySegment> blockMemory = new ArrayList<>();
    private List<ByteBuffer> blocks = new ArrayList<>();

    /** Packs, and the number of the first entry of each, ascending. */
    private List<Pack> packs = new ArrayList<>();

    /** Names of packs that are to go: what they hold can be read, but nothing new may depend on it. */
    private Set<String> condemned = Set.of();

    private int[] packFirst = new int[16];

    /** Entry number + 1, or 0; its size is a power of two. */
    private int[] table = new int[TABLE_SIZE_MIN];

    private int entries;

    /** How many of them the table has: the others come in when something is looked for, so that the table is made once, not doubled often. */
    private int entered;

    private int distinct;

    /** Where a chunk is. */
    record Place(Pack pack, int offset, int storedBytes, int codec, int length) {}

    /** Adds the entries of a pack, {@link Pack#ENTRY_BYTES} each. A chunk that is there already stays where it is. */
    synchronized void add(Pack pack, MemorySegment added) {
        int count = (int) (added.byteSize() / Pack.ENTRY_BYTES);
        if (entries > ENTRIES_MAX - count) {
            throw new IllegalStateException("more than " + ENTRIES_MAX + " chunks in a key domain");
        }
        if (packs.size() == packFirst.length) {
            packFirst = Arrays.copyOf(packFirst, packs.size() * 2);
        }
        packFirst[packs.size()] = entries;
        packs.add(pack);
        int first = entries;
        for (int done = 0; done < count; ) {
            int block = (first + done) / BLOCK_ENTRIES;
            int at = (first + done) % BLOCK_ENTRIES;
            int n = Math.min(count - done, BLOCK_ENTRIES - at);
            if (block == blocks.size()) {
                MemorySegment memory = Arena.ofAuto().allocate((long) BLOCK_ENTRIES * Pack.ENTRY_BYTES, 8);
                blockMemory.add(memory);
                blocks.add(memory.asByteBuffer());
            }
            MemorySegment.copy(
                    added,
                    (long) done * Pack.ENTRY_BYTES,
                    blockMemory.get(block),
                    (long) at * Pack.ENTRY_BYTES,
                    (long) n * Pack.ENTRY_BYTES);
            done += n;
        }
        entries += count;
    }

    /** Has all entries in the table. */
    private void enter() {
        if (entered == entries) {
            return;
        }
        int wanted = table.length;
        while (wanted < entries * 2L) {
            wanted *= 2;
        }
        if (wanted > table.length) {
            table = new int[wanted];
            entered = 0;
            distinct = 0;
        }
        for (; entered < entries; entered++) {
            if (insert(entered)) {
                distinct++;
            }
        }
    }

    /** Forgets all entries of these packs. Takes as long as reading the index once. */
    synchronized void remove(Set<String> names) {
        rebuild(condemned, names);
    }

    /**
     * Says which packs are to go, instead of those said before: a chunk that another pack has, too, is found there from now on.
     */
    synchronized void condemn(Set<String> names) {
        if (!names.equals(condemned)) {
            rebuild(Set.copyOf(names), Set.of());
        }
    }

    /** Adds all again: what is not condemned first, as the first entry of a chunk is the one that is found. */
    private void rebuild(Set<String> nextCondemned, Set<String> without) {
        List<MemorySegment> oldMemory = blockMemory;
        List<Pack> oldPacks = packs;
        int[] oldFirst = packFirst;
        int oldEntries = entries;
        blockMemory = new ArrayList<>();
        blocks = new ArrayList<>();
        packs = new ArrayList<>();
        packFirst = new int[16];
        table = new int[TABLE_SIZE_MIN];
        entries = 0;
        entered = 0;
        distinct = 0;
        condemned = nextCondemned;
        for (int last = 0; last <= 1; last++) {
            for (int i = 0; i < oldPacks.size(); i++) {
                String name = oldPacks.get(i).name();
                if (nextCondemned.contains(name) == (last == 1) && !without.contains(name)) {
                    int to = i + 1 < oldPacks.size() ? oldFirst[i + 1] : oldEntries;
                    add(oldPacks.get(i), copy(oldMemory, oldFirst[i], to));
                }
            }
        }
    }

    private static MemorySegment copy(List<MemorySegment> memory, int from, int to) {
        MemorySegment entries = Arena.ofAuto().allocate(Math.max(1, (to - from) * (long) Pack.ENTRY_BYTES), 8);
        for (int entry = from; entry < to; entry++) {
            MemorySegment.copy(
                    memory.get(entry / BLOCK_ENTRIES),
                    (long) (entry % BLOCK_ENTRIES) * Pack.ENTRY_BYTES,
                    entries,
                    (long) (entry - from) * Pack.ENTRY_BYTES,
                    Pack.ENTRY_BYTES);
        }
        return entries.asSlice(0, (to - from) * (long) Pack.ENTRY_BYTES);
    }

    private boolean insert(int entry) {
        ByteBuffer block = blocks.get(entry / BLOCK_ENTRIES);
        int at = entry % BLOCK_ENTRIES * Pack.ENTRY_BYTES;
        long a = block.getLong(at);
        int mask = table.length - 1;
        int slot = (int) a & mask;
        while (table[slot] != 0) {
            int other = table[slot] - 1;
            ByteBuffer otherBlock = blocks.get(other / BLOCK_ENTRIES);
            int otherAt = other % BLOCK_ENTRIES * Pack.ENTRY_BYTES;
            if (otherBlock.getLong(otherAt) == a
                    && otherBlock.getLong(otherAt + 8) == block.getLong(at + 8)
                    && otherBlock.getLong(otherAt + 16) == block.getLong(at + 16)
                    && otherBlock.getLong(otherAt + 24) == block.getLong(at + 24)) {
                if (!condemned.isEmpty() && isCondemned(other) && !isCondemned(entry)) {
                    table[slot] = entry + 1;
                }
                return false;
            }
            slot = (slot + 1) & mask;
        }
        table[slot] = entry + 1;
        return true;
    }

    private int entryOf(ChunkId id) {
        enter();
        int mask = table.length - 1;
        int slot = (int) id.a() & mask;
        while (table[slot] != 0) {
            int entry = table[slot] - 1;
            ByteBuffer block = blocks.get(entry / BLOCK_ENTRIES);
            int at = entry % BLOCK_ENTRIES * Pack.ENTRY_BYTES;
            if (block.getLong(at) == id.a()
                    && block.getLong(at + 8) == id.b()
                    && block.getLong(at + 16) == id.c()
                    && block.getLong(at + 24) == id.d()) {
                return entry;
            }
            slot = (slot + 1) & mask;
        }
        return -1;
    }

    synchronized boolean contains(ChunkId id) {
        return entryOf(id) >= 0;
    }

    /** A pack that has the chunk and may be depended on; null when there is none. */
    synchronized @Nullable Pack dependable(ChunkId id) {
        int entry = entryOf(id);
        if (entry < 0) {
            return null;
        }
        Pack pack = packs.get(packOf(entry));
        return !condemned.isEmpty() && condemned.contains(pack.name()) ? null : pack;
    }

    synchronized boolean isCondemned(Pack pack) {
        return condemned.contains(pack.name());
    }

    private boolean isCondemned(int entry) {
        return condemned.contains(packs.get(packOf(entry)).name());
    }

    /** The number of the entry under which a chunk is found, from 0; −1 when there is none. Stays until packs are removed or condemned. */
    synchronized int number(ChunkId id) {
        return entryOf(id);
    }

    /** Sees the entries of the index, pack by pack. */
    @FunctionalInterface
    interface EntryVisitor {
        /** @param number as {@link #number} would have to tell, were this the entry that is found */
        void visit(Pack pack, int number, ChunkId id, int storedBytes, int length) throws IOException;
    }

    /** Visits all entries, also those under which no chunk is found as another pack has it, too. */
    synchronized void forEach(EntryVisitor visitor) throws IOException {
        for (int i = 0; i < packs.size(); i++) {
            int to = i + 1 < packs.size() ? packFirst[i + 1] : entries;
            for (int entry = packFirst[i]; entry < to; entry++) {
                ByteBuffer block = blocks.get(entry / BLOCK_ENTRIES);
                int at = entry % BLOCK_ENTRIES * Pack.ENTRY_BYTES;
                ChunkId id = new ChunkId(
                        block.getLong(at), block.getLong(at + 8), block.getLong(at + 16), block.getLong(at + 24));
                visitor.visit(packs.get(i), entry, id, block.getInt(at + 36), block.getInt(at + 40) & 0xffffff);
            }
        }
    }

    synchronized List<Pack> packs() {
        return List.copyOf(packs);
    }

    synchronized @Nullable Place find(ChunkId id) {
        int entry = entryOf(id);
        if (entry < 0) {
            return null;
        }
        int pack = packOf(entry);
        ByteBuffer block = blocks.get(entry / BLOCK_ENTRIES);
        int at = entry % BLOCK_ENTRIES * Pack.ENTRY_BYTES;
        int codecAndLength = block.getInt(at + 40);
        return new Place(
                packs.get(pack),
                block.getInt(at + 32),
                block.getInt(at + 36),
                codecAndLength >>> 24,
                codecAndLength & 0xffffff);
    }

    private int packOf(int entry) {
        int pack = Arrays.binarySearch(packFirst, 0, packs.size(), entry);
        // Several packs begin at one entry when some are empty: the last of them has it.
        pack = pack < 0 ? -pack - 2 : pack;
        while (pack + 1 < packs.size() && packFirst[pack + 1] <= entry) {
            pack++;
        }
        return pack;
    }

    /** Chunks, also those that several packs have as often as they do; takes no time. */
    synchronized int entries() {
        return entries;
    }

    /** Distinct chunks. */
    synchronized int size() {
        enter();
        return distinct;
    }
}
