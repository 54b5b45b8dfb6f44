package dev.satchel.volume;

import static java.util.Objects.requireNonNull;

/**
 * How a volume is kept.
 *
 * @param log what happens to a log that is there already
 * @param cacheChunks decoded chunks of the base kept in memory, 256 KiB each; 4 to 1024
 * @param readAheadSlots how far ahead of a sequential reader chunks are decoded; 0 to 16
 * @param idleFoldMillis after how long without a request folding begins, if it is worth it; after 15 times that it begins
 *     whether idle or not
 * @param idleFoldSlots how many slots must be dirty for that
 * @param dirtyBytesMax how much may be dirty, or logged, before folding begins whether idle or not; at four times that
 *     writers wait for it
 * @param backgroundFolding off: folds only when a bound is met
 */
public record VolumeOptions(
        ExistingLog log,
        int cacheChunks,
        int readAheadSlots,
        long idleFoldMillis,
        int idleFoldSlots,
        long dirtyBytesMax,
        boolean backgroundFolding) {
    /** What to do with a log that is there when a volume is opened. */
    public enum ExistingLog {
        /** Its changes are part of the volume; one that belongs to other snapshots is refused ({@link StaleLogException}). */
        REPLAY,
        /** It is deleted: the volume is as the snapshot has it. */
        DISCARD
    }

    /** Replays, caches 16 MiB, folds when 64 slots (16 MiB) are dirty and nothing was done for 2 s, or 4 GiB are dirty. */
    public static final VolumeOptions DEFAULT = new VolumeOptions(ExistingLog.REPLAY, 64, 4, 2_000, 64, 4L << 30, true);

    public VolumeOptions {
        requireNonNull(log, "log");
        if (cacheChunks < 4 || cacheChunks > 1024) {
            throw new IllegalArgumentException(cacheChunks + " chunks in the cache: 4 to 1024 are possible");
        }
        if (readAheadSlots < 0 || readAheadSlots > 16) {
            throw new IllegalArgumentException(readAheadSlots + " slots ahead: 0 to 16 are possible");
        }
        if (idleFoldMillis < 1 || idleFoldSlots < 1) {
            throw new IllegalArgumentException("folding when idle needs a time and a number of slots above 0");
        }
        if (dirtyBytesMax < 1L << 20 || dirtyBytesMax > 4L << 30) {
            throw new IllegalArgumentException(dirtyBytesMax + " dirty bytes: 1 MiB to 4 GiB are possible");
        }
    }

    /** The same with another decision about a log that is there. */
    public VolumeOptions withLog(ExistingLog existing) {
        return new VolumeOptions(
                existing, cacheChunks, readAheadSlots, idleFoldMillis, idleFoldSlots, dirtyBytesMax, backgroundFolding);
    }
}
