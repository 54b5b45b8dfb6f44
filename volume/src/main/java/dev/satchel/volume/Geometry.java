package dev.satchel.volume;

/** How a volume is cut: blocks of 4 KiB, 64 of which make a slot of 256 KiB, the size of a chunk. */
final class Geometry {
    static final int BLOCK_SHIFT = 12;
    static final int BLOCK_BYTES = 1 << BLOCK_SHIFT;
    static final int SLOT_BLOCKS_SHIFT = 6;
    static final int SLOT_BLOCKS = 1 << SLOT_BLOCKS_SHIFT;
    static final int SLOT_SHIFT = BLOCK_SHIFT + SLOT_BLOCKS_SHIFT;
    static final int SLOT_BYTES = 1 << SLOT_SHIFT;

    /** 16 TiB: what ext4 with 4 KiB blocks and without the 64bit feature can address, and more than a desktop has. */
    static final long VOLUME_BYTES_MAX = 1L << 44;

    private Geometry() {}

    static long blockOf(long offset) {
        return offset >>> BLOCK_SHIFT;
    }

    static long slotOfBlock(long block) {
        return block >>> SLOT_BLOCKS_SHIFT;
    }

    static int indexInSlot(long block) {
        return (int) (block & (SLOT_BLOCKS - 1));
    }

    static long slots(long sizeBytes) {
        return (sizeBytes + SLOT_BYTES - 1) >>> SLOT_SHIFT;
    }

    static boolean aligned(long value) {
        return (value & (BLOCK_BYTES - 1)) == 0;
    }
}
