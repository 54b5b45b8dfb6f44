package dev.satchel.vault;

/**
 * Cost of Argon2id (RFC 9106) for one key slot. What is outside of these bounds is not run, whoever signed it: a forged vault is to
 * cost a host no more than a minute.
 *
 * @param memoryKib memory in KiB, 8 a lane to 1 GiB
 * @param passes passes over the memory, 1 to 1000; all of them together go over 32 GiB at most
 * @param lanes independent lanes, 1 to 64
 */
public record KdfParameters(int memoryKib, int passes, int lanes) {
    private static final int MEMORY_KIB_MAX = 1 << 20;
    private static final long WORK_KIB_MAX = 32L << 20;

    /**
     * RFC 9106 §4, second choice: about half a second on one core in a JVM that has just started, and 64 MiB of heap. The least that
     * {@link KdfCost} chooses.
     */
    public static final KdfParameters DEFAULT = new KdfParameters(64 * 1024, 3, 4);

    /** Quick and weak: for tests only. */
    public static final KdfParameters FOR_TESTS = new KdfParameters(64, 1, 1);

    public KdfParameters {
        if (lanes < 1
                || lanes > 64
                || passes < 1
                || passes > 1000
                || memoryKib < 8 * lanes
                || memoryKib > MEMORY_KIB_MAX
                || (long) memoryKib * passes > WORK_KIB_MAX) {
            throw new IllegalArgumentException(
                    "Argon2id with " + memoryKib + " KiB, " + passes + " passes, " + lanes + " lanes");
        }
    }

    /** What one guess costs, in KiB gone over: to try the cheapest slot first. */
    long workKib() {
        return (long) memoryKib * passes;
    }
}
