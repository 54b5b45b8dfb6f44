package dev.satchel.volume;

import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkStore;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Sees who reads on and on, and decodes the chunks that they will come to next, on threads of its own, so that they find them in
 * the cache; farther ahead it says that they will be needed, for places of chunks that are far away. A hint only: what fails or does not fit is left to the read itself.
 *
 * <p>Two kinds of readers go on: who reads where the last read ended, and who comes by in small steps. The second kind copies many small
 * files, which lie side by side but not quite in the order in which they are read, with what describes them in between; the kernel
 * reads ahead within a file only.
 */
final class ReadAhead implements AutoCloseable {
    private static final int STREAMS = 8;
    private static final int QUEUE_MAX = 32;

    /** One decodes while the other waits for the device. */
    private static final int THREADS = 2;

    /** A read so many slots before or behind the farthest one of a stream belongs to it. */
    private static final int NEAR_SLOTS = 3;

    /** After so many steps to another slot nearby it is a stream: programs that start touch their files here and there. */
    private static final int STEPS_MIN = 3;

    /** How many times as far as they are decoded chunks are announced. */
    private static final long ANNOUNCED_FACTOR = 8;

    private final Volume volume;
    private final ChunkCache cache;
    private final ChunkStore chunks;
    private final int slotsAhead;
    /** Guarded by this, like all below. */
    private final Stream[] streams = new Stream[STREAMS];

    private long clock;
    private long asked;
    private final ArrayDeque<Long> queue = new ArrayDeque<>(QUEUE_MAX);

    /** Slots to be announced, from the first up to before the second. */
    private final ArrayDeque<Range> toAnnounce = new ArrayDeque<>(STREAMS);

    private final List<Thread> threads = new ArrayList<>(THREADS);
    private int idle;
    private boolean closed;

    /** Where somebody reads. */
    private static final class Stream {
        /** Behind the last read. */
        long nextOffset;

        /** The farthest that was read. */
        long slot;

        /** Up to where chunks were decoded ahead, and announced. */
        long ahead;

        long announced;

        /** How often it has come to another slot: since it counts as a stream, and before that by steps nearby. */
        int length;

        int steps;

        long lastUse;
    }

    private record Range(long from, long to) {}

    ReadAhead(Volume volume, ChunkCache cache, ChunkStore chunks, int slotsAhead) {
        this.volume = volume;
        this.cache = cache;
        this.chunks = chunks;
        this.slotsAhead = slotsAhead;
        for (int i = 0; i < STREAMS; i++) {
            streams[i] = new Stream();
        }
    }

    /** For how many slots so far. */
    synchronized long asked() {
        return asked;
    }

    /** Tells of a read that begins. */
    void sees(long offset, long length, long sizeBytes) {
        if (slotsAhead == 0 || length == 0) {
            return;
        }
        long first = offset >>> Geometry.SLOT_SHIFT;
        long slot = (offset + length - 1) >>> Geometry.SLOT_SHIFT;
        synchronized (this) {
            Stream stream = find(offset, first);
            boolean goesOn = stream.lastUse != 0 && stream.nextOffset == offset;
            boolean isNear = stream.lastUse != 0 && isNear(stream, first);
            if (!goesOn && !isNear) {
                stream.length = 0;
                stream.steps = 0;
                stream.slot = slot;
                stream.ahead = slot;
                stream.announced = slot;
            } else if (slot > stream.slot && (goesOn || ++stream.steps >= STEPS_MIN)) {
                stream.length++;
            }
            stream.slot = Math.max(stream.slot, slot);
            stream.nextOffset = offset + length;
            stream.lastUse = ++clock;
            if (!queue.isEmpty()) {
                // Whoever reads does it sooner.
                for (long s = first; s <= slot; s++) {
                    queue.remove(s);
                }
            }
            if (stream.length > 0) {
                goAhead(stream, (sizeBytes - 1) >>> Geometry.SLOT_SHIFT);
            }
        }
    }

    /** The stream that such a read belongs to: one that it continues, else one nearby, else the one that was used longest ago. */
    private Stream find(long offset, long slot) {
        Stream oldest = streams[0];
        @Nullable Stream near = null;
        for (Stream stream : streams) {
            if (stream.lastUse != 0 && stream.nextOffset == offset) {
                return stream;
            }
            if (stream.lastUse != 0 && isNear(stream, slot) && (near == null || stream.lastUse > near.lastUse)) {
                near = stream;
            }
            if (stream.lastUse < oldest.lastUse) {
                oldest = stream;
            }
        }
        return near != null ? near : oldest;
    }

    private static boolean isNear(Stream stream, long slot) {
        return Math.abs(slot - stream.slot) <= NEAR_SLOTS;
    }

    private void goAhead(Stream stream, long last) {
        // Twice as far with each slot, so that a short stream costs little: most end where a file does.
        long slot = stream.slot;
        long ahead = slot + Math.min(slotsAhead, 1L << Math.min(stream.length - 1, 4));
        long announced = Math.max(stream.announced, slot);
        long toAnnounceNow =
                Math.min(last, slot + Math.min(slotsAhead * ANNOUNCED_FACTOR, 1L << Math.min(stream.length, 7)));
        // Half of it anew at a time, so that many go by one request.
        if (toAnnounceNow - announced > (toAnnounceNow - slot) / 2 && toAnnounce.size() < STREAMS) {
            toAnnounce.add(new Range(announced + 1, toAnnounceNow + 1));
            stream.announced = toAnnounceNow;
        }
        for (long s = Math.max(stream.ahead, slot) + 1; s <= ahead && s <= last && queue.size() < QUEUE_MAX; s++) {
            queue.add(s);
            stream.ahead = s;
            asked++;
        }
        if (!queue.isEmpty() || !toAnnounce.isEmpty()) {
            if (idle == 0 && threads.size() < THREADS && !closed) {
                Thread thread = new Thread(this::run, "volume-read-ahead");
                thread.setDaemon(true);
                threads.add(thread);
                thread.start();
            }
            notifyAll();
        }
    }

    private void run() {
        while (true) {
            long slot;
            Range range;
            synchronized (this) {
                idle++;
                while (queue.isEmpty() && toAnnounce.isEmpty() && !closed) {
                    try {
                        wait();
                    } catch (InterruptedException e) {
                        return;
                    }
                }
                idle--;
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
        List<Thread> ending;
        synchronized (this) {
            closed = true;
            notifyAll();
            ending = List.copyOf(threads);
        }
        try {
            for (Thread thread : ending) {
                thread.join();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
