package dev.satchel.linux;

/** Waiting that an interrupt does not end, for what must not be left half done; the interrupt is there again afterwards. */
public final class Uninterruptible {
    private Uninterruptible() {}

    /** Waits until the thread has ended. */
    public static void join(Thread thread) {
        boolean interrupted = false;
        while (true) {
            try {
                thread.join();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
