package dev.satchel.pod.filter;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A dump's images, each read once when a filter first asks for it. All ids are those inside the pod. */
public final class ImageDirectory {
    private static final int MAGIC_PSTREE = 0x50273030;
    private static final int MAGIC_CORE = 0x55053847;
    private static final int MAGIC_FILES = 0x56303138;
    private static final int MAGIC_MOUNTS = 0x55563928;

    private static final int PSTREE_PID = 1;
    private static final int PSTREE_THREADS = 5;

    private final Path directory;
    private final Map<Long, ImageFile> cores = new HashMap<>();
    private final Map<String, ImageFile> added = new HashMap<>();
    private final List<ImageFile> mounts = new ArrayList<>();
    private @Nullable ImageFile tree;
    private @Nullable ImageFile files;

    private ImageDirectory(Path directory) {
        this.directory = directory;
    }

    /** Applies filters, in that order, to the images in {@code directory}, and writes those that changed. */
    public static void apply(Path directory, List<ImageFilter> filters) throws IOException {
        ImageDirectory images = new ImageDirectory(directory);
        for (ImageFilter filter : filters) {
            try {
                filter.apply(images);
            } catch (IOException e) {
                throw new IOException("the checkpoint's images could not be converted (" + filter.name() + ")", e);
            }
        }
        images.write();
    }

    private void write() throws IOException {
        if (tree != null) {
            tree.write();
        }
        if (files != null) {
            files.write();
        }
        for (ImageFile core : cores.values()) {
            core.write();
        }
        for (ImageFile image : mounts) {
            image.write();
        }
        for (ImageFile image : added.values()) {
            image.write();
        }
    }

    /** An image of our own, empty; CRIU passes over those that it does not know. */
    ImageFile add(String name, int magic) {
        ImageFile image = ImageFile.empty(directory.resolve(name), magic);
        added.put(name, image);
        return image;
    }

    /** {@code pstree_entry} of every process, images/pstree.proto. */
    List<Message> tree() throws IOException {
        if (tree == null) {
            tree = ImageFile.read(directory.resolve("pstree.img"), MAGIC_PSTREE);
        }
        return tree.messages();
    }

    /** {@code file_entry} of every open file, images/fdinfo.proto. */
    List<Message> files() throws IOException {
        if (files == null) {
            files = ImageFile.read(directory.resolve("files.img"), MAGIC_FILES);
        }
        return files.messages();
    }

    /** {@code mnt_entry} of every mount, images/mnt.proto. */
    List<Message> mounts() throws IOException {
        if (mounts.isEmpty()) {
            try (DirectoryStream<Path> found = Files.newDirectoryStream(directory, "mountpoints-*.img")) {
                for (Path file : found) {
                    mounts.add(ImageFile.read(file, MAGIC_MOUNTS));
                }
            }
        }
        List<Message> entries = new ArrayList<>();
        for (ImageFile image : mounts) {
            entries.addAll(image.messages());
        }
        return entries;
    }

    /** {@code core_entry} of a thread, images/core.proto. */
    Message core(long thread) throws IOException {
        ImageFile core = cores.get(thread);
        if (core == null) {
            Path file = directory.resolve("core-" + thread + ".img");
            core = ImageFile.read(file, MAGIC_CORE);
            if (core.messages().isEmpty()) {
                throw new IOException(file + " is empty");
            }
            cores.put(thread, core);
        }
        return core.messages().getFirst();
    }

    /** A process by its ids; a zombie has its own id for a thread. */
    record Task(long id, List<Long> threads) {}

    List<Task> tasks() throws IOException {
        List<Task> tasks = new ArrayList<>();
        for (Message entry : tree()) {
            List<Long> threads = new ArrayList<>();
            for (long thread : entry.numbers(PSTREE_THREADS)) {
                threads.add(thread);
            }
            tasks.add(new Task(entry.number(PSTREE_PID), threads));
        }
        return tasks;
    }
}
