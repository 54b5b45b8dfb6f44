package dev.satchel.vault;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Threads that do one work side by side, the caller's among them, until it is done or one of them fails. For one {@link #run}. */
final class Lanes {
    private volatile @Nullable Throwable failure;

    /** What each thread does: it takes one piece after the other, until there are none or {@link #hasFailed}. */
    interface Lane {
        void run() throws IOException;
    }

    /** Whether what is left is not to be begun any more. */
    boolean hasFailed() {
        return failure != null;
    }

    /**
     * Returns when all threads have ended.
     *
     * @param count of threads; the caller is one in any case
     * @param name of the threads, before their number
     * @param interrupted what is said, for people, when the calling thread is interrupted
     * @throws IOException what one of them failed with
     */
    void run(int count, String name, String interrupted, Lane lane) throws IOException {
        List<Thread> others = new ArrayList<>();
        for (int i = 1; i < count; i++) {
            others.add(Thread.ofPlatform().daemon().name(name + "-" + i).start(() -> attempt(lane)));
        }
        attempt(lane);
        boolean wasInterrupted = false;
        for (Thread other : others) {
            while (other.isAlive()) {
                try {
                    other.join();
                } catch (InterruptedException e) {
                    wasInterrupted = true;
                    failure = new InterruptedIOException(interrupted);
                }
            }
        }
        if (wasInterrupted) {
            Thread.currentThread().interrupt();
        }
        switch (failure) {
            case null -> {
                return;
            }
            case IOException e -> throw e;
            case RuntimeException e -> throw e;
            case Error e -> throw e;
            case Throwable e -> throw new IllegalStateException(e);
        }
    }

    private void attempt(Lane lane) {
        try {
            lane.run();
        } catch (IOException | RuntimeException | Error e) {
            failure = e;
        }
    }
}
