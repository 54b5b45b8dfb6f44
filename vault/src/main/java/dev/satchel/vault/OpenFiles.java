package dev.satchel.vault;

import dev.satchel.linux.Fd;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * The files that are being read, kept open for the next reader: the most recently used ones. A descriptor is closed only when
 * nobody reads from it, because its number may be another file's the moment after.
 */
final class OpenFiles implements Closeable {
    private static final int OPEN_MAX = 64;

    private final Disk disk;
    private final Function<String, Path> paths;

    /**
     * By name: reading a chunk takes some microseconds, and checking a name and resolving it would be several more. Least recently
     * used first; guarded by this.
     */
    private final Map<String, File> open = new LinkedHashMap<>(OPEN_MAX * 2, 0.75f, true);

    /** An open file in use. */
    static final class File {
        private final String name;
        private final Disk.File descriptor;
        private int users;
        private boolean dropped;

        private File(String name, Disk.File descriptor) {
            this.name = name;
            this.descriptor = descriptor;
        }

        Disk.File descriptor() {
            return descriptor;
        }

        @Override
        public String toString() {
            return name + " with " + users + " users";
        }
    }

    /** @param paths where the file of a name is; throws IllegalArgumentException for what is no name */
    OpenFiles(Disk disk, Function<String, Path> paths) {
        this.disk = disk;
        this.paths = paths;
    }

    /** Opens a file, or finds it open; give it back with {@link #release}. */
    synchronized File acquire(String name) throws IOException {
        File file = open.get(name);
        if (file == null) {
            file = new File(name, disk.open(paths.apply(name), Fd.O_RDONLY));
            open.put(name, file);
            if (open.size() > OPEN_MAX) {
                drop(open.keySet().iterator().next());
            }
        }
        file.users++;
        return file;
    }

    synchronized void release(File file) throws IOException {
        file.users--;
        if (file.dropped && file.users == 0) {
            file.descriptor.close();
        }
    }

    /** The name stands for another file now, or for none. */
    synchronized void forget(String name) throws IOException {
        drop(name);
    }

    /** A descriptor has died; the name is opened anew by the next reader. */
    synchronized void forget(File file) throws IOException {
        if (open.get(file.name) == file) {
            drop(file.name);
        }
    }

    private void drop(String name) throws IOException {
        File file = open.remove(name);
        if (file != null) {
            file.dropped = true;
            if (file.users == 0) {
                file.descriptor.close();
            }
        }
    }

    @Override
    public synchronized void close() throws IOException {
        List<String> names = new ArrayList<>(open.keySet());
        for (String name : names) {
            drop(name);
        }
    }
}
