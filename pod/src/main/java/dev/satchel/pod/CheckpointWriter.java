package dev.satchel.pod;

import dev.satchel.pod.filter.ImageDirectory;
import dev.satchel.pod.filter.ImageFilter;
import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkStore;
import dev.satchel.vault.ChunkWriter;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Takes a directory of CRIU's images into chunks, beginning while CRIU still writes it.
 *
 * <p>Memory is cut at multiples of 64 KiB <em>of each process's address space</em>: a chunk holds the pages that are present
 * between two multiples, in order, so that memory which did not change is the same chunks at the next checkpoint, wherever in the
 * pages file it comes to lie.
 *
 * <p>A process's pages are complete once CRIU has begun the next one's pagemap; it writes one process at a time.
 */
final class CheckpointWriter implements AutoCloseable {
    /**
     * Smaller windows store less of memory that changed here and there, for more chunks: of two checkpoints of a desktop some
     * minutes apart, the second's new chunks had 43 MB at 256 KiB, 34 MB at 64 KiB, 25 MB at 16 KiB, compressed.
     */
    private static final long WINDOW_BYTES = 64 << 10;

    private static final int POLL_MILLIS = 4;

    private final Path directory;
    private final ChunkStore chunks;
    private final ChunkWriter writer;
    private final Arena arena = Arena.ofShared();
    private final Thread planner;

    // Guarded by this. The planner adds pieces and numbers them; workers take them in order.
    private final ArrayDeque<Piece> pieces = new ArrayDeque<>();
    private final List<@Nullable ChunkRef> refs = new ArrayList<>();
    private final List<PagesFile> pagesFiles = new ArrayList<>();
    private final List<Thread> workers = new ArrayList<>();
    private boolean imagesComplete;
    private boolean planned;
    private boolean closed;
    private int processes;
    private long bytesMemory;
    private @Nullable Throwable failure;

    private record Piece(int slot, MemorySegment bytes) {}

    /** Begins to follow {@code directory}, which CRIU is about to write. Takes over neither the store nor the writer. */
    CheckpointWriter(Path directory, ChunkStore chunks, ChunkWriter writer) {
        this.directory = directory;
        this.chunks = chunks;
        this.writer = writer;
        this.planner = Thread.ofPlatform().name("checkpoint-plan").daemon().start(this::plan);
        addWorker();
    }

    /** One worker while the processes are frozen and CRIU needs the other processor, all of them after. */
    private synchronized void addWorker() {
        workers.add(Thread.ofPlatform()
                .name("checkpoint-" + workers.size())
                .daemon()
                .start(this::work));
    }

    /** Says that CRIU has written everything. */
    synchronized void imagesComplete() {
        imagesComplete = true;
        notifyAll();
    }

    /**
     * Waits until all is in chunks.
     *
     * @param filters what changes the images before; pages and pagemaps are not theirs
     * @return what names the chunks; durable after the writer's next commit
     */
    Checkpoint store(List<ImageFilter> filters) throws IOException {
        imagesComplete();
        for (int i = 1; i < Runtime.getRuntime().availableProcessors(); i++) {
            addWorker();
        }
        ImageDirectory.apply(directory, filters);
        join(planner);
        List<Path> others = new ArrayList<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
            for (Path file : files) {
                String name = String.valueOf(file.getFileName());
                if (name.endsWith(".img") && !name.startsWith("pages-")) {
                    others.add(file);
                }
            }
        }
        others.sort(Comparator.naturalOrder());
        ChunkMapRef images;
        synchronized (this) {
            fail();
            images = ImageArchive.store(others, pagesFiles, chunks, writer);
        }
        List<Thread> running;
        synchronized (this) {
            running = List.copyOf(workers);
        }
        for (Thread worker : running) {
            join(worker);
        }
        synchronized (this) {
            fail();
            ChunkMap.Editor map = ChunkMap.load(chunks, ChunkMapRef.EMPTY).edit();
            for (int slot = 0; slot < refs.size(); slot++) {
                ChunkRef ref = refs.get(slot);
                if (ref == null) {
                    throw new IllegalStateException("slot " + slot + " of the pages was never stored");
                }
                map.set(slot, ref);
            }
            return new Checkpoint(images, map.store(writer), processes, bytesMemory);
        }
    }

    private void fail() throws IOException {
        if (failure instanceof IOException e) {
            throw e;
        }
        if (failure != null) {
            throw new IOException("the checkpoint could not be stored", failure);
        }
    }

    private static void join(Thread thread) throws IOException {
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while a checkpoint was being stored", e);
        }
    }

    private synchronized void failed(Throwable e) {
        if (failure == null) {
            failure = e;
        }
        notifyAll();
    }

    private void plan() {
        try {
            Set<String> done = new HashSet<>();
            List<Path> waiting = new ArrayList<>();
            boolean last;
            do {
                synchronized (this) {
                    if (!imagesComplete && !closed && failure == null) {
                        wait(POLL_MILLIS);
                    }
                    last = imagesComplete;
                    if (closed || failure != null) {
                        return;
                    }
                }
                List<Path> fresh = new ArrayList<>();
                try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, "pagemap-*.img")) {
                    for (Path file : files) {
                        if (done.add(String.valueOf(file.getFileName()))) {
                            fresh.add(file);
                        }
                    }
                }
                // What was seen in an earlier round is complete once there is anything newer.
                if (!fresh.isEmpty() || last) {
                    for (Path file : waiting) {
                        planFile(file);
                    }
                    waiting = fresh;
                }
                if (last) {
                    for (Path file : waiting) {
                        planFile(file);
                    }
                }
            } while (!last);
        } catch (IOException | RuntimeException | InterruptedException | Error e) {
            failed(e);
        } finally {
            synchronized (this) {
                planned = true;
                notifyAll();
            }
        }
    }

    private void planFile(Path pagemap) throws IOException {
        List<long[]> cuts = new ArrayList<>(); // offset, length
        long[] at = {0, 0, -1}; // offset of the piece, its length, its window
        long id = Pagemap.read(pagemap, (address, length) -> {
            long from = address;
            long left = length;
            while (left > 0) {
                long window = from / WINDOW_BYTES;
                long step = Math.min(left, (window + 1) * WINDOW_BYTES - from);
                if (window != at[2] && at[1] > 0) {
                    cuts.add(new long[] {at[0], at[1]});
                    at[0] += at[1];
                    at[1] = 0;
                }
                at[2] = window;
                at[1] += step;
                from += step;
                left -= step;
            }
        });
        if (at[1] > 0) {
            cuts.add(new long[] {at[0], at[1]});
        }
        long size = at[0] + at[1];
        String name = "pages-" + id + ".img";
        MemorySegment bytes = MemorySegment.NULL;
        if (size > 0) {
            try (FileChannel channel = FileChannel.open(directory.resolve(name), StandardOpenOption.READ)) {
                if (channel.size() != size) {
                    throw new IOException(
                            pagemap + " tells of " + size + " bytes of pages, " + name + " has " + channel.size());
                }
                bytes = channel.map(FileChannel.MapMode.READ_ONLY, 0, size, arena);
            }
        }
        synchronized (this) {
            pagesFiles.add(new PagesFile(name, refs.size(), cuts.size(), size));
            for (long[] cut : cuts) {
                pieces.add(new Piece(refs.size(), bytes.asSlice(cut[0], cut[1])));
                refs.add(null);
            }
            bytesMemory += size;
            if (!String.valueOf(pagemap.getFileName()).startsWith("pagemap-shmem-")) {
                processes++;
            }
            notifyAll();
        }
    }

    private void work() {
        try {
            while (true) {
                Piece piece;
                synchronized (this) {
                    while (pieces.isEmpty() && !planned && !closed && failure == null) {
                        wait();
                    }
                    if (pieces.isEmpty() || closed || failure != null) {
                        return;
                    }
                    piece = pieces.remove();
                }
                ChunkRef ref = writer.put(piece.bytes());
                synchronized (this) {
                    refs.set(piece.slot(), ref);
                }
            }
        } catch (IOException | RuntimeException | InterruptedException | Error e) {
            failed(e);
        }
    }

    /** Ends the threads; what was put stays with the writer. */
    @Override
    public void close() throws IOException {
        List<Thread> running;
        synchronized (this) {
            closed = true;
            notifyAll();
            running = new ArrayList<>(workers);
        }
        running.add(planner);
        for (Thread thread : running) {
            join(thread);
        }
        arena.close();
    }
}
