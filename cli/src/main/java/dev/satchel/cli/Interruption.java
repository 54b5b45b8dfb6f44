package dev.satchel.cli;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Ctrl-C, kill and hang-up: the thread that carries out the command is interrupted, and the JVM ends only when it has unwound, so
 * that whatever it had begun is undone by those who own it. The exit code is then the JVM's, 128 + the signal's number.
 */
class Interruption {
    /** How long undoing may take before the JVM ends all the same; undoing takes mounts and processes down, so seconds at most. */
    private static final long UNWIND_SECONDS_MAX = 30;

    private final Thread thread;
    private final CountDownLatch unwound = new CountDownLatch(1);
    private volatile boolean came;

    /** For that thread; hears of no signal before {@link #ofThisThread} installs it. */
    Interruption(Thread thread) {
        this.thread = thread;
    }

    /** Hears of signals from now on. */
    static Interruption ofThisThread() {
        Interruption interruption = new Interruption(Thread.currentThread());
        Runtime.getRuntime().addShutdownHook(new Thread("interruption") {
            @Override
            public void run() {
                interruption.interrupt();
            }
        });
        return interruption;
    }

    /** Whether a signal came, so that what failed failed because of it. */
    boolean came() {
        return came;
    }

    /** The command is done, or undone; or it from now on somebody else hears of signals ({@code resume}, once the session is served). */
    void done() {
        unwound.countDown();
    }

    private void interrupt() {
        if (unwound.getCount() == 0) {
            return;
        }
        came = true;
        thread.interrupt();
        try {
            boolean ignored = unwound.await(UNWIND_SECONDS_MAX, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt(); // nobody does; then the JVM ends now
        }
    }
}
