package dev.satchel.pod;

import dev.satchel.linux.Uninterruptible;
import dev.satchel.linux.fuse.FuseMount;
import dev.satchel.linux.fuse.PageCache;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * Decodes all pages of a checkpoint ahead of CRIU, into the page cache: CRIU reads in one thread and waits for each answer, while
 * the other processors have nothing to do. The kernel drops pages that it has no memory for, and CRIU then asks for them again.
 */
final class PagesReadAhead implements AutoCloseable {
    /** What a thread takes at once: a megabyte, if windows are full. */
    private static final int STRIDE_CHUNKS = 16;

    private final FuseMount mount;
    private final List<CheckpointPages> files;
    private final List<Thread> threads = new ArrayList<>();

    private final Object learning = new Object();

    /** Whether the kernel knows the files. Guarded by {@link #learning}. */
    private boolean learned;

    // Guarded by this: what nobody has taken yet.
    private int file;
    private int chunk;
    private boolean closed;

    /** Begins to decode {@code files}, those of the mount. */
    PagesReadAhead(FuseMount mount, List<CheckpointPages> files) {
        this.mount = mount;
        this.files = List.copyOf(files);
        for (int i = 0; i < Math.clamp(Runtime.getRuntime().availableProcessors(), 1, 8); i++) {
            threads.add(Thread.ofPlatform().name("pages-ahead-" + i).daemon().start(this::run));
        }
    }

    private void run() {
        try (PageCache cache = mount.pageCache()) {
            learn(cache);
            while (true) {
                CheckpointPages pages;
                int from;
                int to;
                synchronized (this) {
                    while (file < files.size() && chunk >= files.get(file).count()) {
                        file++;
                        chunk = 0;
                    }
                    if (closed || file == files.size()) {
                        return;
                    }
                    pages = files.get(file);
                    from = chunk;
                    to = Math.min(pages.count(), from + STRIDE_CHUNKS);
                    chunk = to;
                }
                while (from < to) {
                    from = pages.readAhead(from, to, cache);
                }
            }
        } catch (IOException | RuntimeException e) {
            // Whoever reads these pages meets the same, and is told.
            return;
        }
    }

    /** Whoever comes first does it for all. */
    private void learn(PageCache cache) throws IOException {
        synchronized (learning) {
            if (!learned) {
                List<String> names = new ArrayList<>();
                for (CheckpointPages pages : files) {
                    names.add(pages.name());
                }
                cache.learn(names);
                learned = true;
            }
        }
    }

    /** Ends it, wherever it is. */
    @Override
    public void close() {
        synchronized (this) {
            closed = true;
        }
        threads.forEach(Uninterruptible::join);
    }
}
