package dev.satchel.linux.fuse;

import java.io.IOException;
import java.lang.foreign.MemorySegment;

/**
 * One regular file of constant size, served to the kernel. Called from several threads at once, also for overlapping ranges;
 * the kernel's page cache or file system above orders what must be ordered.
 *
 * <p>Segments are native, belong to the server, and are valid only during the call. Offset and length always lie inside the
 * file. An {@link IOException} reaches the program that reads or writes as EIO, a {@link dev.satchel.linux.LinuxException} as its own errno (ENOSPC, EROFS).
 */
public interface FuseFile {
    /** The size; constant as long as it is served. */
    long sizeBytes();

    /** Whether it can be written to; constant as long as it is served. */
    boolean writable();

    /** Fills the whole segment from that offset. Never written: zeros. */
    void read(long offset, MemorySegment dst) throws IOException;

    /** Takes the whole segment at that offset; durable only after {@link #flush}. */
    void write(long offset, MemorySegment src) throws IOException;

    /** All writes and discards that returned before this was called are durable when it returns (FSYNC). */
    void flush() throws IOException;

    /** The range reads as zeros from now on, and its space may be given back (FALLOCATE: punch hole, zero range). */
    void discard(long offset, long length) throws IOException;

    /**
     * Whether the kernel keeps the contents in its page cache. A file under a loop device or a virtual machine has a cache above
     * it already: false saves the second one, and lets writes run in parallel.
     */
    default boolean cached() {
        return false;
    }
}
