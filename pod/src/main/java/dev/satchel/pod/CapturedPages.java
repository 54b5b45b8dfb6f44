package dev.satchel.pod;

import dev.satchel.linux.Fd;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;

/**
 * The pages of one of CRIU's pages files, in order. CRIU gives pages away by vmsplice(2) and splice(2): what a pipe holds then are the
 * very pages of the processes, not copies, so that a checkpoint takes neither time nor memory for them. They stay when their
 * process is killed, and go when they have been read. A process that goes on writes to them, which is what {@link PageStore} copies
 * them for.
 *
 * <p>Filled by one thread, then read, once, by one at a time.
 */
final class CapturedPages implements Closeable {
    /** A run of pages. Guarded by the store's rules: one thread has it at a time. */
    static final class Part {
        private final Fd pipe;
        private final Runnable emptied;
        private long left;
        private @org.jspecify.annotations.Nullable Fd file;
        private long offset;

        /** @param emptied called once its pipe is closed */
        Part(Fd pipe, long bytes, Runnable emptied) {
            this.pipe = pipe;
            this.left = bytes;
            this.emptied = emptied;
        }

        /** Moves it to the end of a file, whose position that is, out of reach of its process. */
        void copyTo(Fd target, long end) throws IOException {
            pipe.drainTo(target, left);
            file = target;
            offset = end;
            closePipe();
        }

        long bytes() {
            return left;
        }

        private void closePipe() throws IOException {
            pipe.close();
            emptied.run();
        }

        private long read(MemorySegment dst) throws IOException {
            Fd copied = file;
            MemorySegment room = dst.byteSize() > left ? dst.asSlice(0, left) : dst;
            long count = copied == null ? pipe.read(room) : copied.pread(room, offset);
            if (count == 0) {
                throw new EOFException("pages of the checkpoint are missing");
            }
            left -= count;
            if (copied == null && left == 0) {
                closePipe();
            } else if (copied != null) {
                copied.punchHole(offset, count);
                offset += count;
            }
            return count;
        }
    }

    private final String name;
    private final ArrayDeque<Part> parts = new ArrayDeque<>();
    private long sizeBytes;

    CapturedPages(String name) {
        this.name = name;
    }

    /** As CRIU calls the file. */
    String name() {
        return name;
    }

    /** Of the whole file. */
    long sizeBytes() {
        return sizeBytes;
    }

    void add(Part part) {
        parts.add(part);
        sizeBytes += part.bytes();
    }

    /** The next bytes, as many as {@code dst} has room for. */
    void read(MemorySegment dst) throws IOException {
        for (long done = 0; done < dst.byteSize(); ) {
            Part part = parts.peek();
            if (part == null) {
                throw new EOFException(name + " ends at " + sizeBytes);
            }
            done += part.read(done == 0 ? dst : dst.asSlice(done));
            if (part.left == 0) {
                parts.remove();
            }
        }
    }

    @Override
    public void close() throws IOException {
        for (Part part = parts.poll(); part != null; part = parts.poll()) {
            if (part.file == null) {
                part.closePipe();
            }
        }
    }
}
