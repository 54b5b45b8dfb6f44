package dev.satchel.volume;

/**
 * What a volume is doing.
 *
 * @param dirtyBytes that are in the log and not in the base; a block overwritten in several layers counts for each
 * @param dirtySlots that the next snapshot has to fold; counted like that
 * @param layers over the base
 * @param logBytes size of the log on the device
 * @param replayedBytes what opening found in the log of a crash
 * @param foldedSlots folded since it was opened, by snapshots and in the background
 * @param cacheHits reads of the base that needed no decoding
 * @param cacheMisses reads of the base that did
 * @param readAhead chunks that were, or are to be, decoded before anybody reads them
 */
public record VolumeStats(
        long dirtyBytes,
        long dirtySlots,
        int layers,
        long logBytes,
        long replayedBytes,
        long foldedSlots,
        long cacheHits,
        long cacheMisses,
        long readAhead) {}
