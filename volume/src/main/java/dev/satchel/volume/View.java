package dev.satchel.volume;

import dev.satchel.vault.ChunkMap;
import java.util.List;

/**
 * A base with the layers over it. Immutable as to which these are; whoever reads through it has it pinned, so that its segments
 * stay open.
 */
final class View {
    final ChunkMap base;

    /** The last segment of the log whose changes the base contains. */
    final long throughSegment;

    /** The newest first. */
    final List<Layer> layers;

    /** Readers, snapshots, and the volume itself while this is its present view. Guarded by the view lock. */
    int pins;

    View(ChunkMap base, long throughSegment, List<Layer> layers) {
        this.base = base;
        this.throughSegment = throughSegment;
        this.layers = layers;
    }
}
