package dev.satchel.vault;

import static java.util.Objects.requireNonNull;

import java.util.List;
import java.util.Optional;

/**
 * What of one tree of a snapshot, or of an image's disk, can't be read, because chunks of it are damaged or missing.
 *
 * @param snapshot whose tree it is; empty for an image
 * @param owner name of the snapshot's session (its id, if its head can't be read), or of the image
 * @param tree its name in the snapshot; {@code volume} for an image
 * @param map the tree
 * @param lost slots that can't be read, ascending, not touching each other. Of a lost node all slots below it, used or not. At most
 *     {@link #RANGES_MAX}: the last one then reaches to the end
 * @param chunks how many chunks are lost, as far as that is known: what a lost node would name is not
 */
public record TreeDamage(
        Optional<Snapshot> snapshot, String owner, String tree, ChunkMapRef map, List<SlotRange> lost, long chunks) {
    /** Most ranges in {@link #lost}. */
    public static final int RANGES_MAX = 10_000;

    public TreeDamage {
        requireNonNull(snapshot, "snapshot");
        requireNonNull(owner, "owner");
        requireNonNull(tree, "tree");
        requireNonNull(map, "map");
        lost = List.copyOf(lost);
    }

    /** Whether a slot is among the lost ones. */
    public boolean hits(long slot) {
        for (SlotRange range : lost) {
            if (slot < range.end()) {
                return slot >= range.first();
            }
        }
        return false;
    }
}
