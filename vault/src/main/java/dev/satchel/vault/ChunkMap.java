package dev.satchel.vault;

import java.io.IOException;
import java.util.Optional;

/**
 * An immutable sparse map from slot numbers to chunks, stored as a tree of chunks, of which an edit writes only those
 * that changed. A disk is one (slot = 256 KiB of addresses), a stream too (slot = i-th chunk, of any lengths).
 * Thread-safe; nodes are loaded when first needed and kept.
 */
public final class ChunkMap {
    /** Slots are 0 to this − 1. */
    public static final long SLOTS_MAX = 1L << 40;

    /** Entries of a node: slots of a leaf, children of an inner node. */
    public static final int FANOUT = 1024;

    private ChunkMap() {}

    /** Sees the entries of a map. */
    @FunctionalInterface
    public interface Visitor {
        /** Called for every used slot in ascending order. */
        void visit(long slot, ChunkRef ref) throws IOException;
    }

    /** The map that {@code ref} names; reads nothing yet. */
    public static ChunkMap load(ChunkStore store, ChunkMapRef ref) {
        return Unfinished.here();
    }

    /** What it was loaded from. */
    public ChunkMapRef ref() {
        return Unfinished.here();
    }

    /**
     * The chunk in a slot; empty for one without.
     *
     * @param slot 0 to {@link #SLOTS_MAX} − 1; those from {@link ChunkMapRef#slots} on are empty
     */
    public Optional<ChunkRef> get(long slot) throws IOException {
        return Unfinished.here();
    }

    /** Visits all used slots in [{@code from}, {@code to}). */
    public void forEach(long from, long to, Visitor visitor) throws IOException {
        Unfinished.here();
    }

    /** Starts an edit from this map, which itself stays as it is. */
    public Editor edit() {
        return Unfinished.here();
    }

    /** A map being changed. One thread at a time. */
    public static final class Editor {
        private Editor() {}

        /** Puts a chunk into a slot. */
        public void set(long slot, ChunkRef ref) throws IOException {
            Unfinished.here();
        }

        /** Empties a slot. */
        public void clear(long slot) throws IOException {
            Unfinished.here();
        }

        /** The chunk in a slot, as edited so far. */
        public Optional<ChunkRef> get(long slot) throws IOException {
            return Unfinished.here();
        }

        /**
         * Stores the nodes that changed since the map was loaded or last stored; the map can be loaded once the writer
         * has committed. The edit may go on.
         */
        public ChunkMapRef store(ChunkWriter writer) throws IOException {
            return Unfinished.here();
        }
    }
}
