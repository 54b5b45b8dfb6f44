package dev.satchel.volume;

import dev.satchel.vault.ChunkStore;
import java.io.IOException;
import java.util.ArrayDeque;

/** A few {@link SlotReader}s (270 KiB each) for any number of threads: who comes when all are taken waits. */
final class SlotReaders implements AutoCloseable {
    private static final int COUNT_MAX = 8;

    private final Object viewLock;
    private final ChunkStore store;
    private final ChunkCache cache;
    private final ArrayDeque<SlotReader> idle = new ArrayDeque<>(COUNT_MAX);
    private int made;
    private boolean closed;

    SlotReaders(Object viewLock, ChunkStore store, ChunkCache cache) {
        this.viewLock = viewLock;
        this.store = store;
        this.cache = cache;
    }

    synchronized SlotReader take() throws IOException {
        while (!closed && idle.isEmpty() && made == COUNT_MAX) {
            try {
                wait();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException("interrupted while waiting to read the volume", e);
            }
        }
        if (closed) {
            throw new IOException("the volume is closed");
        }
        if (!idle.isEmpty()) {
            return idle.pop();
        }
        made++;
        return new SlotReader(viewLock, store, cache);
    }

    synchronized void give(SlotReader reader) {
        idle.push(reader);
        notifyAll();
    }

    /** Waits for those that are taken, then frees the memory. */
    @Override
    public synchronized void close() {
        closed = true;
        notifyAll();
        boolean interrupted = false;
        while (idle.size() < made) {
            try {
                wait();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        for (SlotReader reader : idle) {
            reader.close();
        }
        idle.clear();
        made = 0;
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
