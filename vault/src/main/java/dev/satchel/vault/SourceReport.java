package dev.satchel.vault;

/**
 * How a place that chunks are read from has done, since the vault was opened.
 *
 * @param kind what it is
 * @param location a path or URL, without secrets
 * @param state how it is asked at present
 * @param chunks how many it gave that were used, all of them authentic: its hits
 * @param bytes of these, sealed
 * @param misses how many it was asked for and lacked
 * @param failures how often it failed: gone, too slow, damaged or forged
 * @param millis how long was waited for it in all, by all threads together
 */
public record SourceReport(
        Kind kind, String location, State state, long chunks, long bytes, long misses, long failures, long millis) {
    /** What a source is. */
    public enum Kind {
        /** The cache on this host's disk. */
        CACHE,
        /** A directory or server beside the vault. */
        LOOKASIDE,
        /** The vault itself. */
        HOME
    }

    /** How a source is asked. */
    public enum State {
        /** In its turn. */
        IN_USE,
        /** After others, being slower than they are. */
        SLOW,
        /** Not before a while has passed, having failed. */
        ASIDE
    }
}
