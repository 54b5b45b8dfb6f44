package dev.satchel.cli;

import java.io.IOException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Ctrl-C, kill and hang-up: the thread that carries out the command is interrupted, and the JVM ends only when it has unwound, so
 * that whatever it had begun is undone by those who own it. The exit code is then the JVM's, 128 + the signal's number.
 */
final class Interruption {
    /** What is done when a signal comes, in place of interrupting. */
    interface Ending {
        void end() throws IOException;
    }

    /** How long undoing may take before the JVM ends all the same; undoing takes mounts and processes down, so seconds at most. */
    private static final long UNWIND_SECONDS_MAX = 30;

    private final Thread thread;
    private final CountDownLatch unwound = new CountDownLatch(1);
    private volatile boolean came;
    private volatile boolean expected;
    private volatile @Nullable Ending ending;

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

    /** From now on a signal is how this command is ended: then it is done, not undone, and its own exit code counts. */
    void expect() {
        expected = true;
    }

    /** The command is done, or undone. */
    void done() {
        unwound.countDown();
    }

    /**
     * Ends the JVM: with that code when the command is done, with 128 + its number when it was undone for a signal. Whoever
     * opened something has closed it.
     */
    void exit(int code) {
        done();
        if (came && !expected) {
            // The JVM ends by itself, as soon as the hook that waited for this thread is through. Its code counts.
            while (true) {
                LockSupport.park();
            }
        }
        // Not System.exit, which asks for a logger first, and so starts java.logging.
        Runtime.getRuntime().halt(code);
    }

    /** From now on this process is a supervisor: a signal is to end what it supervises. */
    void handOver(Ending ending) {
        this.ending = ending;
    }

    private void interrupt() {
        if (unwound.getCount() == 0) {
            return;
        }
        came = true;
        Ending instead = ending;
        try {
            if (instead != null) {
                instead.end();
                return;
            }
            thread.interrupt();
            boolean ignored = unwound.await(UNWIND_SECONDS_MAX, TimeUnit.SECONDS);
        } catch (IOException e) {
            System.err.println("satchel: " + Failure.of(e).message());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt(); // nobody does; then the JVM ends now
        }
    }
}
