package dev.satchel.linux.crypto;

/** Comparing what somebody offers with what they should know. */
public final class Secrets {
    private Secrets() {}

    /**
     * Whether the two are equal, in a time that tells at most their lengths. {@link java.security.MessageDigest} has the same, and would
     * bring the security providers into a process that needs none.
     */
    public static boolean areEqual(byte[] known, byte[] offered) {
        int difference = known.length ^ offered.length;
        for (int i = 0; i < known.length; i++) {
            difference |= known[i] ^ (i < offered.length ? offered[i] : 0);
        }
        return difference == 0;
    }
}
