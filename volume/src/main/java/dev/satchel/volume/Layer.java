package dev.satchel.volume;

/**
 * What was written between two cuts: a segment of the log, and the index of what in it is the newest.
 *
 * <p>All fields that change are guarded by the volume's view lock; the index does not change once {@link #frozen}.
 */
final class Layer {
    final LogSegment segment;
    final BlockIndex index;

    /** No write goes here any more. */
    boolean frozen;

    /** Its changes are in the base, durably, and the log says so: the segment goes when nobody reads it any more. */
    boolean folded;

    /** It was made to record a state that no older segment tells. Guarded by the append lock. */
    boolean carriesState;

    /** Views that it is part of. */
    int views;

    Layer(LogSegment segment, BlockIndex index) {
        this.segment = segment;
        this.index = index;
    }
}
