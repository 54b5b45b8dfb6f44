package dev.satchel.vault;

/**
 * Neighbouring slots of a {@link ChunkMap}.
 *
 * @param first the first of them
 * @param end the one behind the last
 */
public record SlotRange(long first, long end) {
    public SlotRange {
        if (first < 0 || end <= first || end > ChunkMap.SLOTS_MAX) {
            throw new IllegalArgumentException("slots " + first + " to " + end);
        }
    }
}
