package dev.satchel.pod;

import dev.satchel.vault.ChunkRef;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;

/** Buffers for putting windows of memory together, half a megabyte for each thread that does. Thread-safe. */
final class WindowScratch implements AutoCloseable {
    private final Arena arena = Arena.ofShared();

    /** Guarded by itself. */
    private final ArrayDeque<Buffers> free = new ArrayDeque<>();

    record Buffers(MemorySegment base, MemorySegment delta) {
        static Buffers in(Arena arena) {
            return new Buffers(arena.allocate(ChunkRef.LENGTH_MAX, 64), arena.allocate(PageDelta.BYTES_MAX, 64));
        }
    }

    Buffers take() {
        synchronized (free) {
            Buffers buffers = free.pollLast();
            if (buffers != null) {
                return buffers;
            }
        }
        return Buffers.in(arena);
    }

    void give(Buffers buffers) {
        synchronized (free) {
            free.addLast(buffers);
        }
    }

    /** Nobody may hold any. */
    @Override
    public void close() {
        arena.close();
    }
}
