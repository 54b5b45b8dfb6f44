package dev.satchel.volume;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * A few things that are costly to make, for any number of threads: made when first needed, who comes when all are taken waits.
 * Thread-safe.
 */
final class Pool<T> implements AutoCloseable {
    private final int countMax;
    private final Supplier<T> maker;
    private final Consumer<T> closer;
    private final ArrayDeque<T> idle;
    private int made;
    private boolean closed;

    Pool(int countMax, Supplier<T> maker, Consumer<T> closer) {
        this.countMax = countMax;
        this.maker = maker;
        this.closer = closer;
        this.idle = new ArrayDeque<>(countMax);
    }

    /** Takes one, to be given back. */
    synchronized T take() throws IOException {
        while (!closed && idle.isEmpty() && made == countMax) {
            try {
                wait();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException("interrupted while waiting to use the volume", e);
            }
        }
        if (closed) {
            throw new IOException("the volume is closed");
        }
        if (!idle.isEmpty()) {
            return idle.pop();
        }
        T one = maker.get();
        made++;
        return one;
    }

    synchronized void give(T one) {
        idle.push(one);
        notifyAll();
    }

    /** Waits for those that are taken, then closes all. */
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
        for (T one : idle) {
            closer.accept(one);
        }
        idle.clear();
        made = 0;
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
