package dev.satchel.volume;

import static java.util.Objects.requireNonNull;

import dev.satchel.linux.OwnMemory;
import dev.satchel.vault.ChunkId;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkStore;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Decoded chunks of the base, outside the heap, the least recently used one going first; of those that were decoded ahead and nobody has
 * read yet a half may stay longer. A chunk that several threads want at
 * the same time is decoded once. Memory is taken as it is needed, up to the bound.
 *
 * <p>With some tens of entries a scan over the ids is as quick as a hash table, and links no code in a cold JVM.
 */
final class ChunkCache implements AutoCloseable {
    private static final class Entry {
        @Nullable
        ChunkId id;

        @Nullable
        MemorySegment buffer;

        int length;
        boolean loading;
        /** Who copies out of the buffer. */
        int users;

        long lastUse;

        /** Decoded ahead, and nobody has come yet. */
        boolean unread;
    }

    private final ChunkStore store;
    private final Arena arena = Arena.ofShared();
    /** Guarded by this. */
    private final Entry[] entries;

    private long clock;
    private long hits;
    private long misses;
    private boolean closed;

    ChunkCache(ChunkStore store, int chunks) {
        this.store = requireNonNull(store, "store");
        this.entries = new Entry[chunks];
        for (int i = 0; i < chunks; i++) {
            entries[i] = new Entry();
        }
    }

    /** Copies part of a chunk; behind its end are zeros. */
    void read(ChunkRef ref, int from, MemorySegment dst) throws IOException {
        Entry entry = pin(ref, true);
        try {
            int have = (int) Math.clamp((long) entry.length - from, 0, dst.byteSize());
            MemorySegment.copy(requireNonNull(entry.buffer), from, dst, 0, have);
            if (have < dst.byteSize()) {
                dst.asSlice(have).fill((byte) 0);
            }
        } finally {
            unpin(entry);
        }
    }

    /** Makes sure that a chunk is here. */
    void load(ChunkRef ref) throws IOException {
        unpin(pin(ref, false));
    }

    /** Whether it is here or being decoded. */
    synchronized boolean has(ChunkRef ref) {
        return find(ref.id()) != null;
    }

    synchronized long hits() {
        return hits;
    }

    synchronized long misses() {
        return misses;
    }

    private @Nullable Entry find(ChunkId id) {
        for (Entry entry : entries) {
            ChunkId other = entry.id;
            if (other != null
                    && other.a() == id.a()
                    && other.b() == id.b()
                    && other.c() == id.c()
                    && other.d() == id.d()) {
                return entry;
            }
        }
        return null;
    }

    private @Nullable Entry victim() {
        Entry victim = null;
        Entry read = null;
        int unread = 0;
        for (Entry entry : entries) {
            unread += entry.unread ? 1 : 0;
            if (entry.loading || entry.users > 0) {
                continue;
            }
            if (victim == null || entry.lastUse < victim.lastUse) {
                victim = entry;
            }
            if (!entry.unread && (read == null || entry.lastUse < read.lastUse)) {
                read = entry;
            }
        }
        return unread <= entries.length / 2 && read != null ? read : victim;
    }

    private Entry pin(ChunkRef ref, boolean counts) throws IOException {
        Entry mine;
        synchronized (this) {
            while (true) {
                if (closed) {
                    throw new IOException("the volume is closed");
                }
                Entry entry = find(ref.id());
                if (entry != null && !entry.loading) {
                    entry.users++;
                    entry.lastUse = ++clock;
                    hits += counts ? 1 : 0;
                    entry.unread &= !counts;
                    return entry;
                }
                Entry free = entry == null ? victim() : null;
                if (free != null) {
                    mine = free;
                    break;
                }
                try {
                    wait();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new IOException("interrupted while waiting for a chunk", e);
                }
            }
            misses += counts ? 1 : 0;
            mine.id = ref.id();
            mine.unread = !counts;
            mine.loading = true;
            mine.users = 1;
            mine.lastUse = ++clock;
        }
        boolean loaded = false;
        try {
            MemorySegment buffer = mine.buffer;
            if (buffer == null) {
                buffer = arena.allocate(Geometry.SLOT_BYTES, 4096);
                mine.buffer = buffer;
            }
            mine.length = store.read(ref, buffer);
            loaded = true;
            return mine;
        } finally {
            synchronized (this) {
                mine.loading = false;
                if (!loaded) {
                    mine.id = null;
                    mine.unread = false;
                    mine.users = 0;
                    mine.lastUse = 0;
                }
                notifyAll();
            }
        }
    }

    private synchronized void unpin(Entry entry) {
        entry.users--;
        if (entry.users == 0) {
            notifyAll();
        }
    }

    /** Forgets what nobody copies out of now, and gives its memory back. */
    synchronized void clear() {
        for (Entry entry : entries) {
            MemorySegment buffer = entry.buffer;
            if (buffer != null && !closed && !entry.loading && entry.users == 0) {
                entry.id = null;
                entry.unread = false;
                entry.lastUse = 0;
                OwnMemory.discard(buffer);
            }
        }
    }

    /** Waits for whoever copies or decodes, then frees the memory. */
    @Override
    public void close() {
        boolean interrupted = false;
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            notifyAll();
            for (Entry entry : entries) {
                while (entry.loading || entry.users > 0) {
                    try {
                        wait();
                    } catch (InterruptedException e) {
                        interrupted = true;
                    }
                }
                entry.id = null;
            }
        }
        arena.close();
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
