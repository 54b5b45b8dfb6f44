package dev.satchel.volume;

import dev.satchel.vault.ChunkRef;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Optional;

/**
 * Sees sequential readers, and decodes the chunks that they will come to next, on a thread of its own, so that they find them in
 * the cache. A hint only: what fails or does not fit is left to the read itself.
 */
final class ReadAhead implements AutoCloseable {
    private static final int STREAMS = 8;
    private static final int QUEUE_MAX = 32;

    private final Volume volume;
    private final ChunkCache cache;
    private final int slotsAhead;
    /** Where each stream goes on, by the offset behind its last read; and up to which slot it was read ahead. Guarded by this. */
    private final long[] nextOffsets = new long[STREAMS];

    private final long[] aheadSlots = new long[STREAMS];
    private final int[] lengths = new int[STREAMS];
    private final long[] lastUses = new long[STREAMS];
    private long clock;
    private final ArrayDeque<Long> queue = new ArrayDeque<>(QUEUE_MAX);
    private final Thread thread;
    private boolean started;
    private boolean closed;

    ReadAhead(Volume volume, ChunkCache cache, int slotsAhead) {
        this.volume = volume;
        this.cache = cache;
        this.slotsAhead = slotsAhead;
        this.thread = new Thread(this::run, "volume-read-ahead");
        thread.setDaemon(true);
    }

    /** Tells of a read. */
    void saw(long offset, long length, long sizeBytes) {
        if (slotsAhead == 0) {
            return;
        }
        synchronized (this) {
            int oldest = 0;
            int stream = -1;
            for (int i = 0; i < STREAMS; i++) {
                if (lastUses[i] != 0 && nextOffsets[i] == offset) {
                    stream = i;
                    break;
                }
                if (lastUses[i] < lastUses[oldest]) {
                    oldest = i;
                }
            }
            long end = offset + length;
            if (stream < 0) {
                stream = oldest;
                lengths[stream] = 0;
                aheadSlots[stream] = (end - 1) >>> Geometry.SLOT_SHIFT;
            } else {
                lengths[stream]++;
            }
            nextOffsets[stream] = end;
            lastUses[stream] = ++clock;
            if (lengths[stream] == 0) {
                return;
            }
            // Twice as far with each read, so that a short stream costs little.
            long slot = (end - 1) >>> Geometry.SLOT_SHIFT;
            long ahead = slot + Math.min(slotsAhead, 1L << Math.min(lengths[stream] - 1, 4));
            long last = (sizeBytes - 1) >>> Geometry.SLOT_SHIFT;
            for (long s = Math.max(aheadSlots[stream], slot) + 1; s <= ahead && s <= last; s++) {
                if (queue.size() == QUEUE_MAX) {
                    return;
                }
                queue.add(s);
                aheadSlots[stream] = s;
            }
            if (!queue.isEmpty()) {
                if (!started) {
                    started = true;
                    thread.start();
                }
                notifyAll();
            }
        }
    }

    private void run() {
        while (true) {
            long slot;
            synchronized (this) {
                while (queue.isEmpty() && !closed) {
                    try {
                        wait();
                    } catch (InterruptedException e) {
                        return;
                    }
                }
                if (closed) {
                    return;
                }
                slot = queue.remove();
            }
            try {
                Optional<ChunkRef> chunk = volume.baseChunkToRead(slot);
                if (chunk.isPresent()) {
                    cache.load(chunk.get());
                }
            } catch (IOException e) {
                // The read that comes to this slot meets the same trouble, and can tell whoever reads.
            }
        }
    }

    @Override
    public void close() {
        synchronized (this) {
            closed = true;
            notifyAll();
        }
        try {
            if (started) {
                thread.join();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
