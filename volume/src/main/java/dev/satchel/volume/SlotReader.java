package dev.satchel.volume;

import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkStore;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Reads blocks of one slot through a view: finds the newest place of each, then fetches runs. Holds the buffers for that, so it
 * is made once and used again, by one thread at a time.
 */
final class SlotReader implements AutoCloseable {
    /** From one sealed block to the next, in the units of index entries. */
    private static final int STRIDE = LogSegment.SEALED_BLOCK_BYTES >>> BlockIndex.UNIT_SHIFT;

    private final Object viewLock;
    private final ChunkStore store;
    private final ChunkCache cache;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment scratch =
            arena.allocate((long) Geometry.SLOT_BLOCKS * LogSegment.SEALED_BLOCK_BYTES, 64);
    private final LogCipher cipher = new LogCipher();
    private final int[] entries = new int[Geometry.SLOT_BLOCKS];
    private final @Nullable Layer[] layers = new @Nullable Layer[Geometry.SLOT_BLOCKS];

    SlotReader(Object viewLock, ChunkStore store, ChunkCache cache) {
        this.viewLock = viewLock;
        this.store = store;
        this.cache = cache;
    }

    /** What {@link #read} found. */
    enum Found {
        /** All blocks are discarded or never written. */
        ZEROS,
        /** All blocks are the base's. */
        BASE,
        /** At least one block is a layer's. */
        CHANGED
    }

    /**
     * Fills {@code dst} with the blocks [{@code from}, {@code to}) of a slot.
     *
     * @param view pinned by the caller
     */
    Found read(View view, long slot, int from, int to, MemorySegment dst) throws IOException {
        int absent = resolve(view, slot, from, to);
        int count = to - from;
        Optional<ChunkRef> base = absent == 0 ? Optional.empty() : view.base.get(slot);
        boolean baseDone = false;
        if (base.isPresent() && count == Geometry.SLOT_BLOCKS) {
            // The whole chunk is wanted: straight to where it is wanted, then the layers' blocks over it.
            ChunkRef ref = base.get();
            if (cache.has(ref)) {
                cache.read(ref, 0, dst);
            } else {
                int length = store.read(ref, dst);
                dst.asSlice(length, Geometry.SLOT_BYTES - length).fill((byte) 0);
            }
            baseDone = true;
        }
        boolean layered = false;
        int i = from;
        while (i < to) {
            int entry = entries[i];
            Layer layer = layers[i];
            int run = 1;
            MemorySegment part;
            if (entry == BlockIndex.ABSENT || entry == BlockIndex.ZERO) {
                while (i + run < to && entries[i + run] == entry) {
                    run++;
                }
                part = part(dst, i - from, run);
                if (entry == BlockIndex.ZERO || base.isEmpty()) {
                    part.fill((byte) 0);
                } else if (!baseDone) {
                    cache.read(base.get(), i << Geometry.BLOCK_SHIFT, part);
                }
            } else {
                assert layer != null;
                while (i + run < to && layers[i + run] == layer && entries[i + run] == entry + run * STRIDE) {
                    run++;
                }
                part = part(dst, i - from, run);
                layer.segment.readBlocks(BlockIndex.logOffset(entry), run, part, scratch, cipher);
                layered = true;
            }
            i += run;
        }
        if (layered) {
            return Found.CHANGED;
        }
        return base.isEmpty() ? Found.ZEROS : absent == count ? Found.BASE : Found.CHANGED;
    }

    private static MemorySegment part(MemorySegment dst, int block, int count) {
        return dst.asSlice((long) block << Geometry.BLOCK_SHIFT, (long) count << Geometry.BLOCK_SHIFT);
    }

    /** Finds the newest place of each block. @return how many no layer has */
    private int resolve(View view, long slot, int from, int to) {
        for (int i = from; i < to; i++) {
            entries[i] = BlockIndex.ABSENT;
            layers[i] = null;
        }
        int absent = to - from;
        // The active layer's index changes; for the others the lock costs little.
        synchronized (viewLock) {
            for (int l = 0; l < view.layers.size() && absent > 0; l++) {
                Layer layer = view.layers.get(l);
                int[] found = layer.index.slot(slot);
                if (found.length == 0) {
                    continue;
                }
                for (int i = from; i < to; i++) {
                    if (entries[i] == BlockIndex.ABSENT && found[i] != BlockIndex.ABSENT) {
                        entries[i] = found[i];
                        layers[i] = layer;
                        absent--;
                    }
                }
            }
        }
        return absent;
    }

    @Override
    public void close() {
        cipher.close();
        arena.close();
    }
}
