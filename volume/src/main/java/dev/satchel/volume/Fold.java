package dev.satchel.volume;

import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkStore;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.SlotRange;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Turns the slots that layers have touched into chunks. Any number of threads may {@link #work} at it together; each holds
 * buffers of half a MiB meanwhile. Nothing of it counts before the writer has committed.
 */
final class Fold {
    /** Chunks of the base that are needed besides are announced for so many slots at once. */
    private static final int ANNOUNCED_SLOTS = 16;

    private final View view;
    private final long sizeBytes;
    private final ChunkStore chunks;
    private final ChunkWriter writer;
    private final Pool<SlotReader> readers;
    private final long[] slots;

    /** Slots of the base that were discarded as a whole. */
    private final List<SlotRange> discarded = new ArrayList<>();

    private final @Nullable ChunkRef[] folded;
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    /** Slots done, or given up after a failure. Guarded by this. */
    private int done;

    /** Whether {@link #workPaced} no longer rests. */
    private volatile boolean hurry;

    /** @param view pinned by the caller until the fold is over; all its layers frozen */
    Fold(View view, long sizeBytes, ChunkStore chunks, ChunkWriter writer, Pool<SlotReader> readers) {
        this.view = view;
        this.sizeBytes = sizeBytes;
        this.chunks = chunks;
        this.writer = writer;
        this.readers = readers;
        this.slots = touchedSlots(Geometry.slots(sizeBytes));
        this.folded = new @Nullable ChunkRef[slots.length];
    }

    /** Slots there is something to read of; of the discarded ones, however many there are, it is only kept where they are. */
    private long[] touchedSlots(long end) {
        long[] found = new long[64];
        int count = 0;
        long slot = 0;
        while (true) {
            Layer newest = null;
            long next = end;
            long limit = end;
            for (Layer layer : view.layers) {
                long candidate = layer.index.nextTouched(slot);
                if (candidate >= 0 && candidate < next) {
                    newest = layer;
                    limit = next;
                    next = candidate;
                }
            }
            if (newest == null) {
                return Arrays.copyOf(found, count);
            }
            // Up to where a newer layer has something.
            slot = newest.index.discardedEnd(next, limit);
            if (slot > next) {
                discarded.add(new SlotRange(next, slot));
                continue;
            }
            if (count == found.length) {
                found = Arrays.copyOf(found, count * 2);
            }
            found[count++] = next;
            slot = next + 1;
        }
    }

    int slotCount() {
        return slots.length;
    }

    /** Folds slots until none is left to begin. */
    void work() {
        work(false);
    }

    /** The same, resting as long as it works, so that it takes half a core at most; until somebody is in a hurry. */
    void workPaced() {
        work(true);
    }

    synchronized void hurry() {
        hurry = true;
        notifyAll();
    }

    /** Makes {@link #finish} fail soon. */
    void cancel() {
        failure.compareAndSet(null, new IOException("the volume is being closed"));
        hurry();
    }

    private void work(boolean paced) {
        if (next.get() >= slots.length) {
            return;
        }
        try (Arena arena = Arena.ofShared()) {
            MemorySegment buffer = arena.allocate(Geometry.SLOT_BYTES, 4096);
            int taken = next.getAndIncrement();
            while (taken < slots.length) {
                long began = System.nanoTime();
                if (failure.get() == null) {
                    try {
                        if (taken % ANNOUNCED_SLOTS == 0) {
                            announce(taken == 0 ? 0 : taken + ANNOUNCED_SLOTS, taken + 2 * ANNOUNCED_SLOTS);
                        }
                        folded[taken] = foldSlot(slots[taken], buffer);
                    } catch (Throwable e) {
                        failure.compareAndSet(null, e);
                    }
                }
                synchronized (this) {
                    done++;
                    notifyAll();
                }
                if (paced && !hurry) {
                    rest(System.nanoTime() - began);
                }
                taken = next.getAndIncrement();
            }
        }
    }

    /** Has a place that is far away asked for what slots that were written in part have of the base. */
    private void announce(int from, int to) throws IOException {
        if (!chunks.isAnnouncing()) {
            return;
        }
        List<ChunkRef> needed = new ArrayList<>();
        for (int i = from; i < Math.min(to, slots.length); i++) {
            if (isPart(slots[i])) {
                view.base.get(slots[i]).ifPresent(needed::add);
            }
        }
        chunks.announce(needed);
    }

    private boolean isPart(long slot) {
        for (int block = 0; block < Geometry.SLOT_BLOCKS; block++) {
            boolean absent = true;
            for (Layer layer : view.layers) {
                int[] entries = layer.index.slot(slot);
                absent &= entries.length == 0 || entries[block] == BlockIndex.ABSENT;
            }
            if (absent) {
                return true;
            }
        }
        return false;
    }

    private synchronized void rest(long nanos) {
        long until = System.nanoTime() + nanos;
        try {
            for (long left = nanos; left > 0 && !hurry; left = until - System.nanoTime()) {
                wait(left / 1_000_000, (int) (left % 1_000_000));
            }
        } catch (InterruptedException e) {
            hurry = true;
            Thread.currentThread().interrupt();
        }
    }

    /** Returns null for a slot of zeros. */
    private @Nullable ChunkRef foldSlot(long slot, MemorySegment buffer) throws IOException {
        SlotReader reader = readers.take();
        SlotReader.Found found;
        try {
            found = reader.read(view, slot, 0, Geometry.SLOT_BLOCKS, buffer);
        } finally {
            readers.give(reader);
        }
        if (found == SlotReader.Found.ZEROS) {
            return null;
        }
        long length = Math.min(Geometry.SLOT_BYTES, sizeBytes - (slot << Geometry.SLOT_SHIFT));
        MemorySegment content = buffer.asSlice(0, length);
        return Zeros.isAllZero(content) ? null : writer.put(content);
    }

    /** Waits until every slot is folded, and stores the map of it; the writer is not committed yet. */
    ChunkMapRef finish() throws IOException {
        synchronized (this) {
            while (done < slots.length) {
                try {
                    wait();
                } catch (InterruptedException e) {
                    failure.compareAndSet(null, e);
                    Thread.currentThread().interrupt();
                    // The others hold the view's segments until they have seen the failure.
                    awaitUninterruptibly();
                }
            }
        }
        switch (failure.get()) {
            case null -> {}
            case IOException e -> throw e;
            case RuntimeException e -> throw e;
            case Error e -> throw e;
            case Throwable e -> throw new IOException("folding the volume's changes was interrupted", e);
        }
        ChunkMap.Editor editor = view.base.edit();
        for (SlotRange range : discarded) {
            view.base.forEach(range.first(), range.end(), (slot, _) -> editor.clear(slot));
        }
        for (int i = 0; i < slots.length; i++) {
            ChunkRef ref = folded[i];
            Optional<ChunkRef> before = editor.get(slots[i]);
            if (ref == null) {
                // A discard of what was a hole already must not make the editor touch its nodes.
                if (before.isPresent()) {
                    editor.clear(slots[i]);
                }
            } else if (before.isEmpty() || !before.get().equals(ref)) {
                editor.set(slots[i], ref);
            }
        }
        return editor.store(writer);
    }

    private synchronized void awaitUninterruptibly() {
        boolean interrupted = false;
        while (done < slots.length) {
            try {
                wait();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
