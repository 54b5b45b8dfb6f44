package dev.satchel.session;

import java.io.IOException;

/** Waiting for what happens by itself, and must. */
final class Eventually {
    private static final long POLL_MILLIS = 20;

    private Eventually() {}

    /** A question about the world. */
    interface Question {
        boolean ask() throws IOException;
    }

    /** Fails when the answer is still no after that time. */
    static void holds(long millis, String what, Question question) throws IOException {
        long deadline = System.nanoTime() + millis * 1_000_000;
        while (!question.ask()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("not within " + millis + " ms: " + what);
            }
            pause(POLL_MILLIS);
        }
    }

    static void pause(long millis) throws IOException {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
    }
}
