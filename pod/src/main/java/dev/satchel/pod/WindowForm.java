package dev.satchel.pod;

import dev.satchel.vault.ChunkId;
import dev.satchel.vault.ChunkRef;
import org.jspecify.annotations.Nullable;

/**
 * How a window of memory is stored.
 *
 * @param chunk its pages, or its base if there is something over it
 */
record WindowForm(ChunkRef chunk, @Nullable Over over) {
    /**
     * What makes the window of its base.
     *
     * @param delta a {@link PageDelta}
     * @param nameHigh with {@code nameLow} the first 16 bytes of the id that the whole window would have as a chunk, by which it is
     *     known again without being read; both 0 if nobody needed it
     */
    record Over(ChunkRef delta, long nameHigh, long nameLow) {
        /** Of a window whose name has not been asked for. */
        static Over unnamed(ChunkRef delta) {
            return new Over(delta, 0, 0);
        }

        static Over of(ChunkRef delta, ChunkId whole) {
            return new Over(delta, whole.a(), whole.b());
        }

        boolean isOf(ChunkId whole) {
            return nameHigh == whole.a() && nameLow == whole.b();
        }
    }

    WindowForm(ChunkRef whole) {
        this(whole, null);
    }
}
