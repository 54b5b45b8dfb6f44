package dev.satchel.volume;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;

class BlockIndexTest {
    private static final int SLOTS = 3000;

    @Property(tries = 30)
    void saysWhatAnArraySays(@ForAll long seed) {
        Random random = new Random(seed);
        BlockIndex index = new BlockIndex(random.nextInt(SLOTS));
        index.grow(SLOTS);
        long[] model = new long[SLOTS * Geometry.SLOT_BLOCKS];
        long offset = 48;
        for (int step = 0; step < 300; step++) {
            int kind = random.nextInt(40);
            int count = 1 + random.nextInt(kind == 0 ? 150_000 : kind < 5 ? 4096 : 100);
            int block = random.nextInt(model.length - count);
            if (random.nextBoolean()) {
                index.put(block, count, offset, 4112);
                for (int i = 0; i < count; i++) {
                    model[block + i] = offset + i * 4112L;
                }
                offset += count * 4112L;
            } else {
                index.zero(block, count);
                for (int i = 0; i < count; i++) {
                    model[block + i] = -1;
                }
            }
        }
        long logged = 0;
        int touched = 0;
        int wholly = 0;
        long next = index.nextTouched(0);
        for (int slot = 0; slot < SLOTS; slot++) {
            int[] entries = index.slot(slot);
            boolean any = false;
            boolean all = true;
            for (int i = 0; i < Geometry.SLOT_BLOCKS; i++) {
                long expected = model[slot * Geometry.SLOT_BLOCKS + i];
                int entry = entries.length == 0 ? BlockIndex.ABSENT : entries[i];
                long actual = switch (entry) {
                    case BlockIndex.ABSENT -> 0;
                    case BlockIndex.ZERO -> -1;
                    default -> BlockIndex.logOffset(entry);
                };
                assertThat(actual).isEqualTo(expected);
                any |= expected != 0;
                all &= expected == -1;
                logged += expected > 0 ? 1 : 0;
            }
            // What was discarded piece by piece may be kept as such.
            long discardedEnd = index.discardedEnd(slot, SLOTS);
            assertThat(discardedEnd).isBetween((long) slot, all ? SLOTS : (long) slot);
            wholly = discardedEnd > slot ? wholly + 1 : wholly;
            if (any) {
                touched++;
                assertThat(next).isEqualTo(slot);
                next = index.nextTouched(slot + 1);
            }
        }
        assertThat(next).isEqualTo(-1);
        assertThat(index.loggedBlocks()).isEqualTo(logged);
        assertThat(index.touchedSlots()).isEqualTo(touched);
        assertThat(index.isEmpty()).isEqualTo(touched == 0);
        assertThat(index.ownArrays()).isEqualTo(touched - wholly);
    }

    @Property(tries = 10)
    void aDiscardOfEverythingCostsNoArrays(@ForAll long seed) {
        BlockIndex index = new BlockIndex(SLOTS);
        index.put(new Random(seed).nextInt(1000), 500, 48, 4112);
        index.zero(0, (long) SLOTS * Geometry.SLOT_BLOCKS);
        assertThat(index.ownArrays()).isZero();
        assertThat(index.loggedBlocks()).isZero();
        assertThat(index.touchedSlots()).isEqualTo(SLOTS);
    }

    @Property(tries = 10)
    void offsetsReachSixtyFourGigabytes(@ForAll long seed) {
        long offset = ((new Random(seed).nextLong() & BlockIndex.OFFSET_MAX) | 16) & -16;
        assertThat(BlockIndex.logOffset(BlockIndex.entry(offset))).isEqualTo(offset);
    }
}
