package dev.satchel.pod;

import dev.satchel.pod.filter.ImageDirectory;
import dev.satchel.pod.filter.ImageFilter;
import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkStore;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.DamagedException;
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
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * Takes CRIU's images into chunks, once they have all come: what is done beside CRIU makes programs stand still longer.
 *
 * <p>Memory is cut at multiples of 64 KiB <em>of each process's address space</em>: a chunk holds the pages that are present
 * between two multiples, in order, so that memory which did not change is the same chunks at the next checkpoint, wherever in the
 * pages file it comes to lie. Of a window that did change, only the pages are stored that its chunk in the checkpoint before has not,
 * see {@link PageDelta}.
 */
final class CheckpointWriter implements ImageStream.Listener, AutoCloseable {
    private final Path directory;
    private final ChunkStore chunks;
    private final ChunkWriter writer;
    private final CompletableFuture<PageWindows> before;

    /** Held while a piece is taken and read: pages come out of a pipe in one order only. */
    private final Object reading = new Object();

    // Guarded by this. Pieces are numbered in the order in which they were added, and taken in that order.
    private final ArrayDeque<Piece> pieces = new ArrayDeque<>();
    private final Map<String, Cuts> cut = new HashMap<>();
    private final Map<String, CapturedPages> arrived = new HashMap<>();
    private final List<@Nullable WindowForm> forms = new ArrayList<>();
    private final List<PagesFile> pagesFiles = new ArrayList<>();
    private final List<Thread> workers = new ArrayList<>();
    private boolean closed;
    private int processes;
    private long bytesMemory;
    private @Nullable Throwable failure;

    /** @param number its address by {@link PageWindows#BYTES} */
    private record Window(long number, int lengthBytes) {}

    /** What a pages file is cut into. */
    private record Cuts(String pagemap, long id, List<Window> windows, long sizeBytes) {}

    private record Piece(int index, CapturedPages pages, String pagemap, Window window) {}

    /**
     * Takes images that come to {@code directory}. Takes over neither the store nor the writer.
     *
     * @param before the windows of the checkpoint before, asked for when all images have come
     */
    CheckpointWriter(Path directory, ChunkStore chunks, ChunkWriter writer, CompletableFuture<PageWindows> before) {
        this.before = before;
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
            PageWindows.store(forms, map, writer);
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
        String pagemap = String.valueOf(file.getFileName());
        List<Window> windows = new ArrayList<>();
        long[] size = {0};
        try {
            long id = PageWindows.cut(pagemap, Files.readAllBytes(file), (window, length) -> {
                windows.add(new Window(window, length));
                size[0] += length;
            });
            Cuts cuts = new Cuts(pagemap, id, windows, size[0]);
            String name = PagesFile.name(id);
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
        pagesFiles.add(new PagesFile(
                cuts.id(),
                (long) forms.size() * PageWindows.SLOTS,
                (long) cuts.windows().size() * PageWindows.SLOTS,
                cuts.sizeBytes()));
        for (Window window : cuts.windows()) {
            pieces.add(new Piece(forms.size(), pages, cuts.pagemap(), window));
            forms.add(null);
        }
        bytesMemory += cuts.sizeBytes();
        if (!cuts.pagemap().startsWith("pagemap-shmem-")) {
            processes++;
        }
    }

    private void work() {
        try (Storing storing = new Storing(before.join());
                Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(PageWindows.BYTES, 64);
            while (true) {
                Piece piece;
                MemorySegment bytes;
                synchronized (reading) {
                    piece = next();
                    if (piece == null) {
                        return;
                    }
                    bytes = buffer.asSlice(0, piece.window().lengthBytes());
                    piece.pages().read(bytes);
                }
                WindowForm form = storing.store(piece, bytes);
                synchronized (this) {
                    forms.set(piece.index(), form);
                }
            }
        } catch (IOException | RuntimeException | Error e) {
            failed(e);
        }
    }

    /** How one thread stores windows. */
    private final class Storing implements AutoCloseable {
        private final PageWindows known;
        private final Arena arena = Arena.ofConfined();

        /** Made when there is something to compare; a first checkpoint has nothing. */
        private WindowScratch.@Nullable Buffers buffers;

        Storing(PageWindows known) {
            this.known = known;
        }

        WindowForm store(Piece piece, MemorySegment bytes) throws IOException {
            WindowForm earlier = known.form(piece.pagemap(), piece.window().number());
            if (earlier == null) {
                return new WindowForm(writer.put(bytes));
            }
            ChunkRef whole = writer.refTo(bytes);
            WindowForm.Over over = earlier.over();
            if (over == null
                    ? writer.has(whole)
                    : over.isOf(whole.id()) && writer.has(earlier.chunk()) && writer.has(over.delta())) {
                return over == null ? new WindowForm(whole) : earlier;
            }
            WindowScratch.Buffers room = buffers;
            if (room == null) {
                room = WindowScratch.Buffers.in(arena);
                buffers = room;
            }
            int length = encode(bytes, earlier.chunk(), room);
            return length == 0
                    ? new WindowForm(writer.put(bytes))
                    : new WindowForm(
                            earlier.chunk(),
                            WindowForm.Over.of(writer.put(room.delta().asSlice(0, length)), whole.id()));
        }

        private int encode(MemorySegment window, ChunkRef base, WindowScratch.Buffers room) throws IOException {
            try {
                int length = chunks.read(base, room.base());
                return PageDelta.encode(window, room.base().asSlice(0, length), room.delta());
            } catch (DamagedException e) {
                // Nothing new may depend on it: the window is stored whole.
                return 0;
            }
        }

        @Override
        public void close() {
            arena.close();
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
