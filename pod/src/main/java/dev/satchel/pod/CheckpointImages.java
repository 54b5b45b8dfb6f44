package dev.satchel.pod;

import dev.satchel.linux.Mounts;
import dev.satchel.linux.fuse.FuseFile;
import dev.satchel.linux.fuse.FuseMount;
import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkStore;
import dev.satchel.volume.Refusals;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * A directory of CRIU's images in memory, never on a disk: written by a dump, or shown for a restore, with pages files that are
 * decoded from the vault as they are read. Owns its mounts.
 */
final class CheckpointImages implements AutoCloseable {
    private static final int SERVER_THREADS = 3;
    private static final String PAGES = "pages";

    private final Path directory;
    private final Path pagesDirectory;
    private final List<CheckpointPages> pages = new ArrayList<>();
    private final WindowScratch scratch = new WindowScratch();
    private @Nullable WindowPrints prints;
    private @Nullable FuseMount pagesMount;
    private @Nullable PagesReadAhead readAhead;
    private Map<Integer, AddressSpace> spaces = Map.of();
    private boolean lent;
    private final Refusals refused = new Refusals();

    private CheckpointImages(Path directory) {
        this.directory = directory;
        this.pagesDirectory = directory.resolve(PAGES);
    }

    /**
     * An empty directory below {@code run}, which only root can enter, for a dump to write to. The directory itself is open to
     * all: CRIU reads some images from within the pod's user namespace, as its root or, before that has its ids, as nobody.
     */
    static CheckpointImages empty(Path run) throws IOException {
        Path directory = run.resolve("images");
        Files.createDirectories(directory);
        mountMemory(directory, "mode=0755,size=100%");
        return new CheckpointImages(directory);
    }

    /** tmpfs(5); its {@code noswap} is there since Linux 6.4. */
    private static void mountMemory(Path directory, String options) throws IOException {
        long flags = Mounts.MS_NOSUID | Mounts.MS_NODEV | Mounts.MS_NOEXEC;
        try {
            Mounts.mount("satchel", directory, "tmpfs", flags, options + ",noswap");
        } catch (dev.satchel.linux.LinuxException e) {
            if (Files.readString(Path.of("/proc/swaps")).lines().count() > 1) {
                throw new IOException(
                        "this kernel can't keep a checkpoint out of swap space: run swapoff -a, or use Linux 6.4 or newer",
                        e);
            }
            Mounts.mount("satchel", directory, "tmpfs", flags, options);
        }
    }

    /**
     * A directory below {@code run} that shows a checkpoint.
     *
     * @param lazy whether processes are to be restored without their {@link #spaces lazy pages}
     */
    static CheckpointImages of(Path run, ChunkStore chunks, Checkpoint checkpoint, boolean lazy) throws IOException {
        CheckpointImages images = empty(run);
        try {
            images.show(chunks, checkpoint, lazy);
            return images;
        } catch (IOException | RuntimeException e) {
            images.close();
            throw e;
        }
    }

    private void show(ChunkStore chunks, Checkpoint checkpoint, boolean lazy) throws IOException {
        List<PagesFile> files = ImageArchive.extract(chunks, checkpoint.images(), directory);
        Map<String, byte[]> pagemaps = readPagemaps();
        Map<Long, PageWindows.Layout> layouts = new HashMap<>();
        int windowsLeft = files.isEmpty() ? 0 : (int) files.getLast().endSlot() / PageWindows.SLOTS;
        for (Map.Entry<String, byte[]> pagemap : pagemaps.entrySet()) {
            PageWindows.Layout layout = PageWindows.Layout.of(pagemap.getKey(), pagemap.getValue(), windowsLeft);
            windowsLeft -= layout.windows();
            layouts.put(layout.id(), layout);
        }
        ChunkMap map = ChunkMap.load(chunks, checkpoint.pages());
        WindowPrints noted = new WindowPrints();
        prints = noted;
        WindowPrints.Table table = new WindowPrints.Table(checkpoint.pages());
        Map<String, FuseFile> served = new HashMap<>();
        for (PagesFile file : files) {
            if (file.sizeBytes() == 0) {
                Files.createFile(directory.resolve(file.name()));
                continue;
            }
            PageWindows.Layout layout = layouts.get(file.id());
            if (layout == null) {
                throw new IOException("the checkpoint lacks the pagemap of " + file.name());
            }
            long id = file.id();
            CheckpointPages pagesFile = new CheckpointPages(
                    chunks, map, file, layout, scratch, (number, window) -> table.set(id, number, noted.of(window)));
            table.add(id, pagesFile.count());
            pages.add(pagesFile);
            served.put(file.name(), pagesFile);
            // Relative: CRIU, in the pod's user namespace, could not walk here from the root directory.
            Files.createSymbolicLink(directory.resolve(file.name()), Path.of(PAGES, file.name()));
        }
        if (lazy) {
            spaces = spaces(pagemaps);
            for (AddressSpace space : spaces.values()) {
                space.pages().leaveOut(space.lazyPages());
            }
        }
        noted.compareWith(table);
        Files.createDirectories(pagesDirectory);
        FuseMount mount = FuseMount.mount(
                pagesDirectory,
                "satchel-pages",
                served,
                new FuseMount.Options(SERVER_THREADS, FuseMount.Options.READ_BYTES_MAX, true, refused));
        pagesMount = mount;
        readAhead = new PagesReadAhead(mount, pages);
    }

    private Map<String, byte[]> readPagemaps() throws IOException {
        Map<String, byte[]> found = new HashMap<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
            for (Path file : files) {
                String name = String.valueOf(file.getFileName());
                if (name.startsWith(Pagemap.PREFIX)) {
                    found.put(name, Pagemap.bytes(file));
                }
            }
        }
        return found;
    }

    private Map<Integer, AddressSpace> spaces(Map<String, byte[]> pagemaps) throws IOException {
        Map<Integer, AddressSpace> found = new HashMap<>();
        for (Map.Entry<String, byte[]> pagemap : pagemaps.entrySet()) {
            OptionalInt pid = Pagemap.pid(pagemap.getKey());
            if (pid.isPresent()) {
                found.put(pid.getAsInt(), AddressSpace.of(pagemap.getKey(), pagemap.getValue(), this::pages));
            }
        }
        return found;
    }

    private CheckpointPages pages(long id) throws IOException {
        String name = PagesFile.name(id);
        for (CheckpointPages file : pages) {
            if (file.name().equals(name)) {
                return file;
            }
        }
        throw new IOException("the checkpoint lacks " + name);
    }

    Path directory() {
        return directory;
    }

    /** When the vault could not answer CRIU. */
    Refusals refusals() {
        return refused;
    }

    /** By pid in the pod, if it is to be restored lazily. */
    Map<Integer, AddressSpace> spaces() {
        return spaces;
    }

    /** Hands over what {@link #spaces} read from, which then stays when this is closed. */
    Closeable lendPages() {
        lent = true;
        return this::closePages;
    }

    /** Hands over the fingerprints of what was or will be read: whoever has them closes them once nothing is read any more. */
    WindowPrints takePrints() {
        WindowPrints taken = prints;
        if (taken == null) {
            throw new IllegalStateException("no checkpoint is shown here, or its fingerprints were taken already");
        }
        prints = null;
        return taken;
    }

    private void closePages() {
        pages.forEach(CheckpointPages::close);
        pages.clear();
        spaces = Map.of();
        scratch.close();
    }

    @Override
    public void close() throws IOException {
        try {
            if (readAhead != null) {
                readAhead.close();
            }
            if (pagesMount != null) {
                pagesMount.close();
            }
        } finally {
            if (!lent) {
                closePages();
            }
            if (prints != null) {
                prints.close();
            }
            Mounts.unmount(directory, Mounts.MNT_DETACH);
            Files.delete(directory);
        }
    }
}
