package dev.satchel.volume;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** What sealing a record needs: room for the largest one (1 MiB), and a cipher. For one thread at a time. */
final class LogWriter implements AutoCloseable {
    private final Arena arena = Arena.ofShared();
    private final MemorySegment buffer = arena.allocate(LogSegment.RECORD_BYTES_MAX, 64);
    private final MemorySegment header = arena.allocate(32, 8);
    private final LogCipher cipher = new LogCipher();

    MemorySegment buffer() {
        return buffer;
    }

    MemorySegment header() {
        return header;
    }

    LogCipher cipher() {
        return cipher;
    }

    @Override
    public void close() {
        cipher.close();
        arena.close();
    }
}
