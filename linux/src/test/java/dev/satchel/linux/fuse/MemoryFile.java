package dev.satchel.linux.fuse;

import dev.satchel.linux.Errno;
import dev.satchel.linux.LinuxException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicLong;

/** A file in memory that counts what is asked of it. */
final class MemoryFile implements FuseFile {
    final AtomicLong readBytes = new AtomicLong();
    final AtomicLong writtenBytes = new AtomicLong();
    final AtomicLong writes = new AtomicLong();
    final AtomicLong flushes = new AtomicLong();
    final AtomicLong discardedBytes = new AtomicLong();
    /** Writes at or beyond fail with ENOSPC. */
    volatile long fullAt = Long.MAX_VALUE;

    volatile boolean broken;

    private final MemorySegment contents;
    private final boolean writable;
    private final boolean cached;

    MemoryFile(Arena arena, long size, boolean writable, boolean cached) {
        contents = arena.allocate(size, 4096);
        this.writable = writable;
        this.cached = cached;
    }

    MemorySegment contents() {
        return contents;
    }

    @Override
    public long sizeBytes() {
        return contents.byteSize();
    }

    @Override
    public boolean writable() {
        return writable;
    }

    @Override
    public boolean cached() {
        return cached;
    }

    @Override
    public void read(long offset, MemorySegment dst) throws IOException {
        if (broken) {
            throw new IOException("broken on purpose");
        }
        readBytes.addAndGet(dst.byteSize());
        dst.copyFrom(contents.asSlice(offset, dst.byteSize()));
    }

    @Override
    public void write(long offset, MemorySegment src) throws IOException {
        if (offset >= fullAt) {
            throw new LinuxException("write on purpose", Errno.ENOSPC);
        }
        if (broken) {
            throw new IllegalStateException("broken on purpose");
        }
        writes.incrementAndGet();
        writtenBytes.addAndGet(src.byteSize());
        MemorySegment.copy(src, 0, contents, offset, src.byteSize());
    }

    @Override
    public void flush() {
        flushes.incrementAndGet();
    }

    @Override
    public void discard(long offset, long length) {
        discardedBytes.addAndGet(length);
        contents.asSlice(offset, length).fill((byte) 0);
    }
}
