package dev.satchel.pod;

import dev.satchel.linux.Fd;
import dev.satchel.pod.filter.ImageDirectory;
import dev.satchel.pod.filter.ImageFilter;
import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkStore;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.DamagedException;
import java.io.IOException;
import java.io.InterruptedIOException;
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
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Takes CRIU's images into chunks, once they have all come: what is done beside CRIU makes programs stand still longer. Of programs
 * that are to go on afterwards it is beside CRIU that pages are sifted ({@link #awaitSifted}): those of windows that have changed are
 * copied, before they can change again; the others are known to be in the vault.
 *
 * <p>Memory is cut at multiples of 64 KiB <em>of each process's address space</em>: a chunk holds the pages that are present
 * between two multiples, in order, so that memory which did not change is the same chunks at the next checkpoint, wherever in the
 * pages file it comes to lie. Of a window that did change, only the pages are stored that its chunk in the checkpoint before has not,
 * see {@link PageDelta}. Whether it did is told by fingerprints, as far as there are any ({@link WindowPrints}), else by names.
 */
final class CheckpointWriter implements ImageStream.Listener, AutoCloseable {
    /** As many as it takes until Java's compiler has seen what storing one takes, and few enough that CRIU does not wait for memory. */
    private static final int WARMING_WINDOWS = 512;

    private final Path directory;
    private final ChunkStore chunks;
    private final ChunkWriter writer;
    private final Earlier before;
    private final boolean sifting;

    // Guarded by this. Pieces are numbered in the order in which they were added.
    private final List<Source> sources = new ArrayList<>();
    private final ArrayDeque<Copied> copied = new ArrayDeque<>();
    private final List<Fd> copies = new ArrayList<>();
    private final List<WindowPrints.@Nullable Print> prints = new ArrayList<>();
    private final Map<String, Cuts> cut = new HashMap<>();
    private final Map<String, CapturedPages> arrived = new HashMap<>();
    private final List<@Nullable WindowForm> forms = new ArrayList<>();
    private final List<PagesFile> pagesFiles = new ArrayList<>();
    private final List<Thread> workers = new ArrayList<>();
    private boolean complete;
    private boolean closed;
    private int processes;
    private long bytesMemory;
    private @Nullable Throwable failure;
    private @Nullable ChunkMapRef stored;

    /**
     * What the new checkpoint is compared with.
     *
     * @param windows of the checkpoint before, asked for when images come
     * @param prints makes fingerprints; stays the caller's
     * @param table those of that checkpoint, if there are any
     */
    record Earlier(CompletableFuture<PageWindows> windows, WindowPrints prints, WindowPrints.@Nullable Table table) {
        /** @param before the checkpoint before, if there is one: its windows are read meanwhile */
        static Earlier of(ChunkStore chunks, Optional<Checkpoint> before, WindowPrints prints) {
            return before.map(checkpoint -> new Earlier(
                            CompletableFuture.supplyAsync(() -> PageWindows.ofReadable(chunks, checkpoint)),
                            prints,
                            prints.tableOf(checkpoint)))
                    .orElseGet(() -> new Earlier(CompletableFuture.completedFuture(PageWindows.NONE), prints, null));
        }
    }

    /** @param number its address by {@link PageWindows#BYTES} */
    private record Window(long number, int lengthBytes) {}

    /** What a pages file is cut into. */
    private record Cuts(String pagemap, long id, List<Window> windows, long sizeBytes) {}

    private record Piece(int index, String pagemap, Window window) {}

    /** A pages file that is being read: in one order only, as its pages come out of pipes. */
    private static final class Source {
        private final CapturedPages pages;

        /** Guarded by this. */
        private final ArrayDeque<Piece> pieces = new ArrayDeque<>();

        // Guarded by the writer.
        private int readers;
        private boolean exhausted;

        Source(CapturedPages pages) {
            this.pages = pages;
        }

        /** Reads what comes next. @return null if that is nothing */
        synchronized @Nullable Piece read(MemorySegment buffer) throws IOException {
            Piece piece = pieces.poll();
            if (piece != null) {
                pages.read(buffer.asSlice(0, piece.window().lengthBytes()));
            }
            return piece;
        }
    }

    /** A window of programs that go on, as it was while they stood still. */
    private record Copied(Piece piece, Fd file, long offset) {}

    private interface Sink {
        void take(Piece piece, MemorySegment bytes) throws IOException;
    }

    /**
     * Takes images that come to {@code directory}, in memory. Takes over neither the store nor the writer.
     *
     * @param sifting whether the pages' processes are to go on: then {@link #awaitSifted} must be called before they do
     */
    CheckpointWriter(Path directory, ChunkStore chunks, ChunkWriter writer, Earlier before, boolean sifting)
            throws IOException {
        this.before = before;
        this.directory = directory;
        this.chunks = chunks;
        this.writer = writer;
        this.sifting = sifting;
        if (sifting) {
            startSifting();
        } else {
            synchronized (this) {
                workers.add(start(() -> storeAll(WARMING_WINDOWS)));
            }
        }
    }

    private synchronized void startSifting() throws IOException {
        Fd file = PageStore.unnamedFile(directory, "changed-pages");
        copies.add(file);
        workers.add(start(() -> sift(file)));
    }

    private Thread start(Runnable work) {
        return Thread.ofPlatform().name("checkpoint-" + workers.size()).daemon().start(work);
    }

    /** Waits until nothing is needed of the processes any more; all images must have come. */
    void awaitSifted() throws IOException {
        synchronized (this) {
            complete = true;
            notifyAll();
        }
        // CRIU leaves its processor to us now.
        for (int i = 1; i < Runtime.getRuntime().availableProcessors(); i++) {
            startSifting();
        }
        joinWorkers();
        fail();
    }

    private void joinWorkers() throws IOException {
        List<Thread> running;
        synchronized (this) {
            running = List.copyOf(workers);
        }
        for (Thread worker : running) {
            join(worker);
        }
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
            complete = true;
            notifyAll();
            for (int i = 0; i < Runtime.getRuntime().availableProcessors(); i++) {
                workers.add(start(sifting ? this::storeCopied : () -> storeAll(Integer.MAX_VALUE)));
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
        joinWorkers();
        synchronized (this) {
            fail();
            ChunkMap.Editor map = ChunkMap.load(chunks, ChunkMapRef.EMPTY).edit();
            PageWindows.store(forms, map, writer);
            ChunkMapRef pages = map.store(writer);
            stored = pages;
            return new Checkpoint(images, pages, processes, bytesMemory);
        }
    }

    /** The fingerprints of what was sifted and stored. */
    synchronized WindowPrints.Table table() throws IOException {
        if (stored == null) {
            throw new IllegalStateException("nothing has been stored");
        }
        WindowPrints.Table table = new WindowPrints.Table(stored);
        for (PagesFile file : pagesFiles) {
            int first = (int) (file.firstSlot() / PageWindows.SLOTS);
            int windows = (int) (file.slots() / PageWindows.SLOTS);
            table.add(file.id(), windows);
            for (int i = 0; i < windows; i++) {
                WindowPrints.Print print = prints.get(first + i);
                if (print != null) {
                    table.set(file.id(), i, print);
                }
            }
        }
        return table;
    }

    private synchronized void fail() throws IOException {
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
        if (forms.size() + cuts.windows().size() > PageWindows.WINDOWS_MAX) {
            failed(new IOException("the session's processes have more memory than a checkpoint can hold, up to 256 GiB:"
                    + " end some of them"));
            return;
        }
        pagesFiles.add(new PagesFile(
                cuts.id(),
                (long) forms.size() * PageWindows.SLOTS,
                (long) cuts.windows().size() * PageWindows.SLOTS,
                cuts.sizeBytes()));
        Source source = new Source(pages);
        for (Window window : cuts.windows()) {
            source.pieces.add(new Piece(forms.size(), cuts.pagemap(), window));
            forms.add(null);
            prints.add(null);
        }
        sources.add(source);
        notifyAll();
        bytesMemory += cuts.sizeBytes();
        if (!cuts.pagemap().startsWith("pagemap-shmem-")) {
            processes++;
        }
    }

    /** Where a thread reads next, at best something that nobody else does. @return null if there is nothing left */
    private synchronized @Nullable Source choose(@Nullable Source last) throws InterruptedException {
        if (last != null) {
            last.exhausted = true;
            last.readers--;
        }
        while (true) {
            sources.removeIf(source -> source.exhausted);
            if (closed || failure != null) {
                return null;
            }
            Source best = null;
            for (Source source : sources) {
                if (best == null || source.readers < best.readers) {
                    best = source;
                }
            }
            if (best != null) {
                best.readers++;
                return best;
            }
            if (complete) {
                return null;
            }
            wait();
        }
    }

    private void read(int windows, Sink sink) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(PageWindows.BYTES, 64);
            int left = windows;
            for (Source source = choose(null); source != null; source = choose(source)) {
                for (Piece piece = source.read(buffer); piece != null; piece = source.read(buffer)) {
                    if (isGivenUp()) {
                        return;
                    }
                    sink.take(piece, buffer.asSlice(0, piece.window().lengthBytes()));
                    if (--left == 0) {
                        leave(source);
                        return;
                    }
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted while a checkpoint was being taken");
        }
    }

    /** Leaves the rest of it to others. */
    private synchronized void leave(Source source) {
        source.readers--;
    }

    private synchronized boolean isGivenUp() {
        return closed || failure != null;
    }

    private synchronized void done(Piece piece, WindowForm form) {
        forms.set(piece.index(), form);
    }

    private void storeAll(int windowsMax) {
        try (Storing storing = new Storing(before.windows().join())) {
            read(windowsMax, (piece, bytes) -> done(piece, storing.store(piece, bytes)));
        } catch (IOException | RuntimeException | Error e) {
            failed(e);
        }
    }

    private void sift(Fd file) {
        try (Storing storing = new Storing(before.windows().join())) {
            long[] end = {0};
            read(Integer.MAX_VALUE, (piece, bytes) -> {
                WindowPrints.Print print = before.prints().of(bytes);
                WindowForm unchanged = storing.unchanged(piece, () -> print);
                if (unchanged == null) {
                    file.writeFully(bytes, end[0]);
                }
                synchronized (this) {
                    prints.set(piece.index(), print);
                    if (unchanged == null) {
                        copied.add(new Copied(piece, file, end[0]));
                    } else {
                        forms.set(piece.index(), unchanged);
                    }
                }
                end[0] += unchanged == null ? bytes.byteSize() : 0;
            });
        } catch (IOException | RuntimeException | Error e) {
            failed(e);
        }
    }

    private void storeCopied() {
        try (Storing storing = new Storing(before.windows().join());
                Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(PageWindows.BYTES, 64);
            for (Copied next = nextCopied(); next != null; next = nextCopied()) {
                MemorySegment bytes = buffer.asSlice(0, next.piece().window().lengthBytes());
                next.file().readFully(bytes, next.offset());
                next.file().punchHole(next.offset(), bytes.byteSize());
                done(next.piece(), storing.storeChanged(next.piece(), bytes));
            }
        } catch (IOException | RuntimeException | Error e) {
            failed(e);
        }
    }

    private synchronized @Nullable Copied nextCopied() {
        return closed || failure != null ? null : copied.poll();
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
            WindowForm unchanged = unchanged(piece, () -> before.prints().of(bytes));
            return unchanged != null ? unchanged : storeChanged(piece, bytes);
        }

        /** How the window is stored already, if that is known by its fingerprint, which is only made if there is another. */
        @Nullable
        WindowForm unchanged(Piece piece, Supplier<WindowPrints.Print> print) throws IOException {
            PageWindows.Stored earlier =
                    known.find(piece.pagemap(), piece.window().number());
            WindowPrints.Print then = earlier == null ? null : printOf(earlier);
            return earlier != null && then != null && then.equals(print.get()) && isThere(earlier.form())
                    ? earlier.form()
                    : null;
        }

        private WindowPrints.@Nullable Print printOf(PageWindows.Stored earlier) {
            WindowPrints.Table table = before.table();
            return table == null ? null : table.get(earlier.file(), earlier.number());
        }

        private boolean isThere(WindowForm form) throws IOException {
            WindowForm.Over over = form.over();
            return writer.has(form.chunk()) && (over == null || writer.has(over.delta()));
        }

        /** Stores a window that has, as far as is known, changed. */
        WindowForm storeChanged(Piece piece, MemorySegment bytes) throws IOException {
            PageWindows.Stored stored =
                    known.find(piece.pagemap(), piece.window().number());
            if (stored == null) {
                return new WindowForm(writer.put(bytes));
            }
            WindowForm earlier = stored.form();
            // Where there was a fingerprint it is another: the window's name, for which all of it is hashed, would only
            // say so again.
            ChunkRef whole = printOf(stored) == null ? writer.refTo(bytes) : null;
            WindowForm.Over over = earlier.over();
            if (whole != null
                    && (over == null
                            ? writer.has(whole)
                            : over.isOf(whole.id()) && writer.has(earlier.chunk()) && writer.has(over.delta()))) {
                return over == null ? new WindowForm(whole) : earlier;
            }
            WindowScratch.Buffers room = buffers;
            if (room == null) {
                room = WindowScratch.Buffers.in(arena);
                buffers = room;
            }
            int length = encode(bytes, earlier.chunk(), room);
            if (length == 0) {
                return new WindowForm(writer.put(bytes));
            }
            ChunkRef delta = writer.put(room.delta().asSlice(0, length));
            return new WindowForm(
                    earlier.chunk(),
                    whole == null ? WindowForm.Over.unnamed(delta) : WindowForm.Over.of(delta, whole.id()));
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

    /** Ends the threads; what was put stays with the writer. */
    @Override
    public void close() throws IOException {
        synchronized (this) {
            closed = true;
            notifyAll();
        }
        joinWorkers();
        for (Fd file : copies) {
            file.close();
        }
    }
}
