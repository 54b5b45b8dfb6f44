package dev.satchel.vault;

import dev.satchel.linux.ThreadClock;
import java.io.IOException;

/**
 * Argon2id parameters, and what one guess takes with them on this host.
 *
 * @param millis of one processor
 */
public record KdfCost(KdfParameters parameters, int millis) {
    /** What one guess is to take. */
    private static final int TARGET_MILLIS = 500;

    private static final int PASSES_MAX = 64;

    /** Quick and weak: for tests only. */
    public static final KdfCost FOR_TESTS = new KdfCost(KdfParameters.FOR_TESTS, 1);

    /**
     * Measures this host, which takes a few tenths of a second: as many passes over 64 MiB as take half a second, three at least. Memory stays
     * what it is, as each program that opens a vault has as little (a session's supervisor one of them), on whatever host.
     */
    public static KdfCost measured() throws IOException {
        KdfParameters least = KdfParameters.DEFAULT;
        KdfParameters one = new KdfParameters(least.memoryKib(), 1, least.lanes());
        // The first pass is the one of a JVM that has just started, as it is when somebody unlocks.
        long first = nanos(one);
        long next = Math.max(1, nanos(one));
        return within(first, next);
    }

    /** The parameters for a host on which the first pass and each later one take so long. */
    static KdfCost within(long firstNanos, long nextNanos) {
        long left = TARGET_MILLIS * 1_000_000L - firstNanos;
        long passes = 1 + Math.max(0, left / nextNanos);
        KdfParameters least = KdfParameters.DEFAULT;
        int chosen = Math.clamp(passes, least.passes(), PASSES_MAX);
        long nanos = firstNanos + (chosen - 1) * nextNanos;
        return new KdfCost(new KdfParameters(least.memoryKib(), chosen, least.lanes()), (int)
                Math.min(Integer.MAX_VALUE, nanos / 1_000_000));
    }

    private static long nanos(KdfParameters kdf) throws IOException {
        // Of the processor, not of the clock: a host that is busy while a key is made is no slower at guessing.
        long begin = ThreadClock.usedNanos();
        Argon2id.derive(new byte[8], new byte[32], kdf).close();
        return ThreadClock.usedNanos() - begin;
    }
}
