package dev.satchel.pod;

import dev.satchel.linux.Errno;
import dev.satchel.linux.Fd;
import dev.satchel.linux.LinuxException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Where the pages of a checkpoint wait for the vault: in pipes, as they came, or copied to a file in memory if there are more of these
 * than this process may have descriptors for (a pipe takes 1 MiB).
 *
 * <p>One thread at a time calls it, but for reading what is complete.
 */
final class PageStore implements AutoCloseable {
    /** What a pipe may have without CAP_SYS_RESOURCE, pipe(7), where nobody has changed {@code /proc/sys/fs/pipe-max-size}. */
    private static final int PIPE_BYTES = 1 << 20;

    private final Path directory;
    private final int pipesMax;
    private final AtomicInteger pipes = new AtomicInteger();
    private final List<CapturedPages> taken = new ArrayList<>();
    private @Nullable Fd overflow;
    private long overflowEnd;

    /** @param directory in memory */
    PageStore(Path directory) throws IOException {
        this(directory, (int) Math.min(Fd.limit() / 2, Integer.MAX_VALUE));
    }

    /** With another limit of pipes. */
    PageStore(Path directory, int pipesMax) {
        this.directory = directory;
        this.pipesMax = pipesMax;
    }

    /** Makes a file in that directory, the caller's; it has that name no more once this returns. */
    static Fd unnamedFile(Path directory, String name) throws IOException {
        Path path = directory.resolve(name);
        Fd file = Fd.open(path, Fd.O_RDWR | Fd.O_CREAT | Fd.O_EXCL);
        Files.delete(path);
        return file;
    }

    /** A pages file on its way from CRIU. */
    final class Incoming {
        private final Fd source;
        private final CapturedPages pages;
        private Fd.@Nullable Pipe filling;
        private long filled;

        private Incoming(Fd source, CapturedPages pages) {
            this.source = source;
            this.pages = pages;
        }

        /** Takes what is there, up to a pipe's size. @return whether that was the end */
        boolean take() throws IOException {
            while (true) {
                Fd.Pipe pipe = filling;
                if (pipe == null) {
                    pipe = Fd.pipe();
                    filling = pipe;
                    enlarge(pipe.writer());
                }
                long moved = source.moveTo(pipe.writer(), PIPE_BYTES);
                if (moved > 0) {
                    filled += moved;
                    return false;
                }
                if (moved == 0) {
                    seal();
                    return true;
                }
                if (filled == 0) {
                    return false; // it was the source that was empty
                }
                seal();
            }
        }

        private void seal() throws IOException {
            Fd.Pipe pipe = filling;
            if (pipe == null) {
                return;
            }
            filling = null;
            pipe.writer().close();
            if (filled == 0) {
                pipe.reader().close();
                return;
            }
            int open = pipes.incrementAndGet();
            long bytes = filled;
            CapturedPages.Part part = new CapturedPages.Part(pipe.reader(), bytes, pipes::decrementAndGet);
            filled = 0;
            pages.add(part);
            if (open > pipesMax) {
                Fd file = overflow;
                if (file == null) {
                    file = unnamedFile(directory, "copied-pages");
                    overflow = file;
                }
                part.copyTo(file, overflowEnd);
                overflowEnd += bytes;
            }
        }

        /** Complete once {@link #take} has said so; the store's. */
        CapturedPages pages() {
            return pages;
        }

        /** Gives up what has not come. */
        void abandon() throws IOException {
            if (filling != null) {
                filling.close();
            }
        }
    }

    /** Where the host's limit is lower it stays as it is: there are more of them then. */
    private static void enlarge(Fd pipe) throws IOException {
        try {
            pipe.resizePipe(PIPE_BYTES);
        } catch (LinuxException e) {
            if (e.errno() != Errno.EPERM) {
                throw e;
            }
        }
    }

    /** Begins to take a file from a pipe, which stays the caller's. */
    Incoming incoming(Fd source, String name) throws IOException {
        enlarge(source);
        CapturedPages pages = new CapturedPages(name);
        taken.add(pages);
        return new Incoming(source, pages);
    }

    /** Ends all pages: nothing may be read, and nothing come, any more. */
    @Override
    public void close() throws IOException {
        for (CapturedPages pages : taken) {
            pages.close();
        }
        if (overflow != null) {
            overflow.close();
        }
    }
}
