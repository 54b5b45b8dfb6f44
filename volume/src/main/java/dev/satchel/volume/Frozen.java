package dev.satchel.volume;

import static java.util.Objects.requireNonNull;

import dev.satchel.linux.Errno;
import dev.satchel.linux.LinuxException;
import dev.satchel.linux.fuse.FuseFile;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkWriter;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.Executor;

/**
 * A volume as it was at one instant; does not change, however the volume goes on. Can be read, served (read-only), and stored.
 * Must be closed, before its volume; until then the log that it needs keeps its space. Thread-safe.
 */
public final class Frozen implements FuseFile, AutoCloseable {
    private final Volume volume;
    private final View view;
    private final long sizeBytes;
    private final long throughSegment;
    private boolean closed;

    Frozen(Volume volume, View view, long sizeBytes, long throughSegment) {
        this.volume = volume;
        this.view = view;
        this.sizeBytes = sizeBytes;
        this.throughSegment = throughSegment;
    }

    View view() {
        return view;
    }

    /** The last segment of the log whose changes are in it. */
    long throughSegment() {
        return throughSegment;
    }

    /**
     * Folds what has changed into chunks: slots of zeros become holes, the others are put together from the base and the
     * changes. The log notes that it may be replayed over the result, so that a crash between the commit and
     * {@link Volume#rebase} loses nothing.
     *
     * <p>The caller commits the writer, then stores the snapshot naming the result, then calls {@link Volume#rebase} (or
     * {@link Volume#retire}, when nothing written since is wanted).
     *
     * @param executor helps; may run tasks late or never, the calling thread works too
     * @param helpers how many tasks to give it, 0 to 64
     */
    public ChunkMapRef store(ChunkWriter writer, Executor executor, int helpers) throws IOException {
        requireNonNull(writer, "writer");
        requireNonNull(executor, "executor");
        return volume.store(this, writer, executor, helpers);
    }

    @Override
    public long sizeBytes() {
        return sizeBytes;
    }

    @Override
    public boolean writable() {
        return false;
    }

    @Override
    public void read(long offset, MemorySegment dst) throws IOException {
        volume.read(view, sizeBytes, offset, dst);
    }

    @Override
    public void write(long offset, MemorySegment src) throws IOException {
        throw new LinuxException("write(snapshot of a volume, " + offset + ", " + src.byteSize() + ")", Errno.EROFS);
    }

    @Override
    public void flush() {}

    @Override
    public void discard(long offset, long length) throws IOException {
        throw new LinuxException("discard(snapshot of a volume, " + offset + ", " + length + ")", Errno.EROFS);
    }

    /** Lets go of the log and the chunks. */
    @Override
    public void close() throws IOException {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
        }
        volume.unpin(view);
    }
}
