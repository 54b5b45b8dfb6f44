package dev.satchel.vault;

/**
 * Cost of Argon2id (RFC 9106) for one key slot.
 *
 * @param memoryKib memory in KiB, 8 to 4 GiB
 * @param passes passes over the memory, 1 to 1000
 * @param lanes independent lanes, 1 to 64
 */
public record KdfParameters(int memoryKib, int passes, int lanes) {
    /** RFC 9106 §4, second choice: about half a second on one core in a JVM that has just started, and 64 MiB of heap. */
    public static final KdfParameters DEFAULT = new KdfParameters(64 * 1024, 3, 4);

    /** Quick and weak: for tests only. */
    public static final KdfParameters FOR_TESTS = new KdfParameters(64, 1, 1);

    public KdfParameters {
        if (lanes < 1 || lanes > 64 || passes < 1 || passes > 1000 || memoryKib < 8 * lanes || memoryKib > 4 << 20) {
            throw new IllegalArgumentException(
                    "Argon2id with " + memoryKib + " KiB, " + passes + " passes, " + lanes + " lanes");
        }
    }
}
