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
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Takes CRIU's images into chunks, once they have all come: what is done beside CRIU makes programs stand still longer.
 *
 * <p>Memory is cut at multiples of 64 KiB <em>of each process's address space</em>: a chunk holds the pages that are present
 * between two multiples, in order, so that memory which did not change is the same chunks at the next checkpoint, wherever in the
 * pages file it comes to lie.
 */
final class CheckpointWriter implements ImageStream.Listener, AutoCloseable {
    /**
     * Smaller windows store less of memory that changed here and there, for more chunks: of two checkpoints of a desktop some
     * minutes apart, the second's new chunks had 43 MB at 256 KiB, 34 MB at 64 KiB, 25 MB at 16 KiB, compressed.
     */
    private static final long WINDOW_BYTES = 64 << 10;

    private final Path directory;
    private final ChunkStore chunks;
    private final ChunkWriter writer;

    /** Held while a piece is taken and read: pages come out of a pipe in one order only. */
    private final Object reading = new Object();

    // Guarded by this. Pieces are numbered in the order in which they were added, and taken in that order.
    private final ArrayDeque<Piece> pieces = new ArrayDeque<>();
    private final Map<String, Cuts> cut = new HashMap<>();
    private final Map<String, CapturedPages> arrived = new HashMap<>();
    private final List<@Nullable ChunkRef> refs = new ArrayList<>();
    private final List<PagesFile> pagesFiles = new ArrayList<>();
    private final List<Thread> workers = new ArrayList<>();
    private boolean closed;
    private int processes;
    private long bytesMemory;
    private @Nullable Throwable failure;

    /** The lengths of the pieces that a pages file is cut into. */
    private record Cuts(boolean process, List<Integer> lengths, long sizeBytes) {}

    private record Piece(int slot, CapturedPages pages, int length) {}

    /** Takes images that come to {@code directory}. Takes over neither the store nor the writer. */
    CheckpointWriter(Path directory, ChunkStore chunks, ChunkWriter writer) {
        this.directory = directory;
        this.chunks = chunks;
        this.writer = writer;
    }

    /**
     * Waits until all is in chunks.
     *
     * @param filters what changes the images before; pages and pagemaps are not theirs
     * @return what names the chunks; durable after the writer's next commit
     */
    Checkpoint store(List<ImageFilter> filters) throws IOException {
        synchronized (this) {
            if (!cut.isEmpty() || !arrived.isEmpty()) {
                throw new IOException("CRIU wrote pages without a map of them, or a map without pages: " + cut.keySet()
                        + arrived.keySet());
            }
            for (int i = 0; i < Runtime.getRuntime().availableProcessors(); i++) {
                workers.add(Thread.ofPlatform().name("checkpoint-" + i).daemon().start(this::work));
            }
        }
        ImageDirectory.apply(directory, filters);
        List<Path> others = new ArrayList<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
            for (Path file : files) {
                String name = String.valueOf(file.getFileName());
                if (name.endsWith(".img")) {
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
    }

    @Override
    public void pagemap(Path file) {
        List<Integer> lengths = new ArrayList<>();
        long[] at = {0, 0, -1}; // size, length of the piece, its window
        try {
            long id = Pagemap.read(file, (address, length) -> {
                long from = address;
                long left = length;
                while (left > 0) {
                    long window = from / WINDOW_BYTES;
                    long step = Math.min(left, (window + 1) * WINDOW_BYTES - from);
                    if (window != at[2] && at[1] > 0) {
                        lengths.add((int) at[1]);
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
                lengths.add((int) at[1]);
            }
            boolean process = !String.valueOf(file.getFileName()).startsWith("pagemap-shmem-");
            Cuts cuts = new Cuts(process, lengths, at[0] + at[1]);
            String name = "pages-" + id + ".img";
            CapturedPages pages;
            synchronized (this) {
                pages = arrived.remove(name);
                if (pages == null) {
                    cut.put(name, cuts);
                }
            }
            if (pages != null) {
                add(cuts, pages);
            }
        } catch (IOException e) {
            failed(e);
        }
    }

    @Override
    public void pages(CapturedPages pages) {
        Cuts cuts;
        synchronized (this) {
            cuts = cut.remove(pages.name());
            if (cuts == null) {
                arrived.put(pages.name(), pages);
            }
        }
        if (cuts != null) {
            add(cuts, pages);
        }
    }

    private synchronized void add(Cuts cuts, CapturedPages pages) {
        if (pages.sizeBytes() != cuts.sizeBytes()) {
            failed(new IOException("CRIU tells of " + cuts.sizeBytes() + " bytes of pages, " + pages.name() + " has "
                    + pages.sizeBytes()));
            return;
        }
        pagesFiles.add(new PagesFile(pages.name(), refs.size(), cuts.lengths().size(), cuts.sizeBytes()));
        for (int length : cuts.lengths()) {
            pieces.add(new Piece(refs.size(), pages, length));
            refs.add(null);
        }
        bytesMemory += cuts.sizeBytes();
        if (cuts.process()) {
            processes++;
        }
    }

    private void work() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(WINDOW_BYTES, 64);
            while (true) {
                Piece piece;
                MemorySegment bytes;
                synchronized (reading) {
                    piece = next();
                    if (piece == null) {
                        return;
                    }
                    bytes = buffer.asSlice(0, piece.length());
                    piece.pages().read(bytes);
                }
                ChunkRef ref = writer.put(bytes);
                synchronized (this) {
                    refs.set(piece.slot(), ref);
                }
            }
        } catch (IOException | RuntimeException | Error e) {
            failed(e);
        }
    }

    private synchronized @Nullable Piece next() {
        return closed || failure != null ? null : pieces.poll();
    }

    /** Ends the threads; what was put stays with the writer. */
    @Override
    public void close() throws IOException {
        List<Thread> running;
        synchronized (this) {
            closed = true;
            running = List.copyOf(workers);
        }
        for (Thread thread : running) {
            join(thread);
        }
    }
}
