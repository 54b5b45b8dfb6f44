package dev.satchel.volume;

import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkStore;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Sees sequential readers, and decodes the chunks that they will come to next, on a thread of its own, so that they find them in
 * the cache; farther ahead it says that they will be needed, for places of chunks that are far away. A hint only: what fails or does not fit is left to the read itself.
 */
final class ReadAhead implements AutoCloseable {
    private static final int STREAMS = 8;
    private static final int QUEUE_MAX = 32;

    /** How many times as far as they are decoded chunks are announced. */
    private static final long ANNOUNCED_FACTOR = 8;

    private final Volume volume;
    private final ChunkCache cache;
    private final ChunkStore chunks;
    private final int slotsAhead;
    /** Where each stream goes on, by the offset behind its last read; and up to which slot it was read ahead. Guarded by this. */
    private final long[] nextOffsets = new long[STREAMS];

    private final long[] aheadSlots = new long[STREAMS];
    private final long[] announcedSlots = new long[STREAMS];
    private final int[] lengths = new int[STREAMS];
    private final long[] lastUses = new long[STREAMS];
    private long clock;
    private final ArrayDeque<Long> queue = new ArrayDeque<>(QUEUE_MAX);

    /** Slots to be announced, from the first up to before the second. */
    private final ArrayDeque<Range> toAnnounce = new ArrayDeque<>(STREAMS);

    private final Thread thread;
    private boolean started;
    private boolean closed;

    private record Range(long from, long to) {}

    ReadAhead(Volume volume, ChunkCache cache, ChunkStore chunks, int slotsAhead) {
        this.volume = volume;
        this.cache = cache;
        this.chunks = chunks;
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
                announcedSlots[stream] = aheadSlots[stream];
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
            long announced = Math.max(announcedSlots[stream], slot);
            long toAnnounceNow =
                    Math.min(last, slot + Math.min(slotsAhead * ANNOUNCED_FACTOR, 1L << Math.min(lengths[stream], 7)));
            // Half of it anew at a time, so that many go by one request.
            if (toAnnounceNow - announced > (toAnnounceNow - slot) / 2 && toAnnounce.size() < STREAMS) {
                toAnnounce.add(new Range(announced + 1, toAnnounceNow + 1));
                announcedSlots[stream] = toAnnounceNow;
            }
            for (long s = Math.max(aheadSlots[stream], slot) + 1; s <= ahead && s <= last; s++) {
                if (queue.size() == QUEUE_MAX) {
                    return;
                }
                queue.add(s);
                aheadSlots[stream] = s;
            }
            if (!queue.isEmpty() || !toAnnounce.isEmpty()) {
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
            Range range;
            synchronized (this) {
                while (queue.isEmpty() && toAnnounce.isEmpty() && !closed) {
                    try {
                        wait();
                    } catch (InterruptedException e) {
                        return;
                    }
                }
                if (closed) {
                    return;
                }
                range = toAnnounce.poll();
                slot = range == null ? queue.remove() : -1;
            }
            try {
                if (range != null) {
                    announce(range);
                    continue;
                }
                Optional<ChunkRef> chunk = volume.baseChunkToRead(slot);
                if (chunk.isPresent()) {
                    cache.load(chunk.get());
                }
            } catch (IOException e) {
                // The read that comes to this slot meets the same trouble, and can tell whoever reads.
            }
        }
    }

    private void announce(Range range) throws IOException {
        if (!chunks.isAnnouncing()) {
            return;
        }
        List<ChunkRef> refs = new ArrayList<>();
        for (long slot = range.from(); slot < range.to(); slot++) {
            volume.baseChunkToRead(slot).ifPresent(refs::add);
        }
        chunks.announce(refs);
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
