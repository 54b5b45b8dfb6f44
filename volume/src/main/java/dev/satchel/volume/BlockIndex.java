package dev.satchel.volume;

import java.util.Arrays;

/**
 * Where a layer has the newest bytes of each block that was written while it was the active one.
 *
 * <p>An entry is {@link #ABSENT} (look in the layer below), {@link #ZERO} (discarded: reads as zeros), or the offset of the
 * sealed block in the layer's log segment, in units of 16 bytes, as an unsigned 32-bit number: up to 64 GiB of log.
 *
 * <p>A slot's 64 entries are one array, made when the slot is first touched; the arrays hang in leaves of 1024 slots. So an
 * untouched volume costs 4 bytes per 256 MiB, and a dirty slot 272 bytes however many of its blocks are dirty. A slot that
 * was discarded as a whole costs nothing, as all of them share one array, and so does a leaf of which all slots are such.
 *
 * <p>Not safe for threads: the volume's view lock guards the active layer's index; a frozen one does not change.
 */
final class BlockIndex {
    static final int ABSENT = 0;
    static final int ZERO = -1;
    /** Log offsets are multiples of this. */
    static final int UNIT_SHIFT = 4;

    /** The last offset that an entry can say, in bytes. */
    static final long OFFSET_MAX = ((1L << 32) - 2) << UNIT_SHIFT;

    private static final int LEAF_SHIFT = 10;
    private static final int LEAF_SLOTS = 1 << LEAF_SHIFT;
    private static final int LEAF_BLOCKS = LEAF_SLOTS << Geometry.SLOT_BLOCKS_SHIFT;
    private static final int[] ALL_ZERO = new int[Geometry.SLOT_BLOCKS];
    private static final int[][] ALL_ZERO_LEAF = new int[LEAF_SLOTS][];

    static {
        Arrays.fill(ALL_ZERO, ZERO);
        Arrays.fill(ALL_ZERO_LEAF, ALL_ZERO);
    }

    private int[][][] leaves;
    private int touchedSlots;
    private int ownArrays;
    private long loggedBlocks;

    BlockIndex(long slots) {
        leaves = new int[leavesFor(slots)][][];
    }

    private static int leavesFor(long slots) {
        return Math.toIntExact((slots + LEAF_SLOTS - 1) >>> LEAF_SHIFT);
    }

    static int entry(long logOffset) {
        assert logOffset > 0 && logOffset <= OFFSET_MAX && (logOffset & ((1 << UNIT_SHIFT) - 1)) == 0 : logOffset;
        return (int) (logOffset >>> UNIT_SHIFT);
    }

    static long logOffset(int entry) {
        return Integer.toUnsignedLong(entry) << UNIT_SHIFT;
    }

    void grow(long slots) {
        int needed = leavesFor(slots);
        if (needed > leaves.length) {
            leaves = Arrays.copyOf(leaves, needed);
        }
    }

    /** The 64 entries of a slot, not to be changed, or the empty array when this layer has nothing of it. */
    int[] slot(long slot) {
        int leafIndex = (int) (slot >>> LEAF_SHIFT);
        int[][] leaf = leafIndex < leaves.length ? leaves[leafIndex] : null;
        int[] entries = leaf == null ? null : leaf[(int) (slot & (LEAF_SLOTS - 1))];
        return entries == null ? EMPTY : entries;
    }

    private static final int[] EMPTY = new int[0];

    /**
     * Enters blocks that were logged one after the other.
     *
     * @param strideBytes from one sealed block to the next in the log
     */
    void put(long firstBlock, int count, long logOffset, int strideBytes) {
        long block = firstBlock;
        long offset = logOffset;
        long end = firstBlock + count;
        while (block < end) {
            int[] entries = ownEntries(Geometry.slotOfBlock(block));
            int from = Geometry.indexInSlot(block);
            int to = (int) Math.min(Geometry.SLOT_BLOCKS, from + (end - block));
            for (int i = from; i < to; i++) {
                int before = entries[i];
                if (before == ABSENT || before == ZERO) {
                    loggedBlocks++;
                }
                entries[i] = entry(offset);
                offset += strideBytes;
            }
            block += to - from;
        }
    }

    /** Marks blocks as reading zeros. */
    void zero(long firstBlock, long count) {
        long block = firstBlock;
        long end = firstBlock + count;
        while (block < end) {
            if ((block & (LEAF_BLOCKS - 1)) == 0 && end - block >= LEAF_BLOCKS) {
                zeroLeaf((int) (block / LEAF_BLOCKS));
                block += LEAF_BLOCKS;
                continue;
            }
            long slot = Geometry.slotOfBlock(block);
            int from = Geometry.indexInSlot(block);
            int to = (int) Math.min(Geometry.SLOT_BLOCKS, from + (end - block));
            int[] before = slot(slot);
            if (!isShared(before) && to - from == Geometry.SLOT_BLOCKS) {
                forget(before);
                leaf(slot)[(int) (slot & (LEAF_SLOTS - 1))] = ALL_ZERO;
            } else if (!isShared(before)) {
                int[] entries = ownEntries(slot);
                loggedBlocks -= logged(entries, from, to);
                Arrays.fill(entries, from, to, ZERO);
            }
            block += to - from;
        }
    }

    private void zeroLeaf(int leafIndex) {
        int[][] before = leaves[leafIndex];
        if (before == null) {
            touchedSlots += LEAF_SLOTS;
        } else if (!isShared(before)) {
            for (int[] entries : before) {
                forget(entries == null ? EMPTY : entries);
            }
        }
        leaves[leafIndex] = ALL_ZERO_LEAF;
    }

    /** A slot that had these entries is about to have the shared array. */
    private void forget(int[] before) {
        loggedBlocks -= logged(before, 0, before.length);
        if (before.length == 0) {
            touchedSlots++;
        } else if (!isShared(before)) {
            ownArrays--;
        }
    }

    /** Whether it is the one array of all wholly discarded slots: which it is, not what it holds, decides about writing into it. */
    @SuppressWarnings("ReferenceEquality")
    private static boolean isShared(int[] entries) {
        return entries == ALL_ZERO;
    }

    /** The same of a leaf. */
    @SuppressWarnings("ReferenceEquality")
    private static boolean isShared(int[][] leaf) {
        return leaf == ALL_ZERO_LEAF;
    }

    private static int logged(int[] entries, int from, int to) {
        int logged = 0;
        for (int i = from; i < to; i++) {
            if (entries[i] != ABSENT && entries[i] != ZERO) {
                logged++;
            }
        }
        return logged;
    }

    private int[][] leaf(long slot) {
        int leafIndex = (int) (slot >>> LEAF_SHIFT);
        int[][] leaf = leaves[leafIndex];
        if (leaf == null) {
            leaf = new int[LEAF_SLOTS][];
            leaves[leafIndex] = leaf;
        } else if (isShared(leaf)) {
            leaf = ALL_ZERO_LEAF.clone();
            leaves[leafIndex] = leaf;
        }
        return leaf;
    }

    private int[] ownEntries(long slot) {
        int[][] leaf = leaf(slot);
        int inLeaf = (int) (slot & (LEAF_SLOTS - 1));
        int[] entries = leaf[inLeaf];
        if (entries == null) {
            entries = new int[Geometry.SLOT_BLOCKS];
            leaf[inLeaf] = entries;
            touchedSlots++;
            ownArrays++;
        } else if (isShared(entries)) {
            entries = ALL_ZERO.clone();
            leaf[inLeaf] = entries;
            ownArrays++;
        }
        return entries;
    }

    /** Slots of which this layer has at least one block. */
    int touchedSlots() {
        return touchedSlots;
    }

    /** Slots that cost memory of their own. */
    int ownArrays() {
        return ownArrays;
    }

    /** Blocks whose newest bytes are in this layer's log. */
    long loggedBlocks() {
        return loggedBlocks;
    }

    boolean isEmpty() {
        return touchedSlots == 0;
    }

    /** The next slot at or after {@code from} of which this layer has something, or -1. */
    long nextTouched(long from) {
        long slot = from;
        while ((slot >>> LEAF_SHIFT) < leaves.length) {
            int[][] leaf = leaves[(int) (slot >>> LEAF_SHIFT)];
            if (leaf == null) {
                slot = ((slot >>> LEAF_SHIFT) + 1) << LEAF_SHIFT;
                continue;
            }
            int i = (int) (slot & (LEAF_SLOTS - 1));
            while (i < LEAF_SLOTS && leaf[i] == null) {
                i++;
            }
            if (i < LEAF_SLOTS) {
                return (slot & -LEAF_SLOTS) + i;
            }
            slot = ((slot >>> LEAF_SHIFT) + 1) << LEAF_SHIFT;
        }
        return -1;
    }

    /** Where the slots end that were discarded as a whole one after the other from this one on, {@code limit} at most. */
    long discardedEnd(long slot, long limit) {
        long end = slot;
        while (end < limit && (end >>> LEAF_SHIFT) < leaves.length) {
            int[][] leaf = leaves[(int) (end >>> LEAF_SHIFT)];
            if (leaf != null && isShared(leaf)) {
                end = ((end >>> LEAF_SHIFT) + 1) << LEAF_SHIFT;
            } else if (isShared(slot(end))) {
                end++;
            } else {
                break;
            }
        }
        return Math.min(end, limit);
    }
}
