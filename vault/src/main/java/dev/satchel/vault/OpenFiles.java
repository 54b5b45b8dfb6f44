package dev.satchel.vault;

import dev.satchel.linux.Fd;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The files that are being read, kept open for the next reader: the most recently used ones. A descriptor is closed only when
 * nobody reads from it, because its number may be another file's the moment after.
 */
final class OpenFiles implements Closeable {
    private static final int OPEN_MAX = 64;

    /** Least recently used first; guarded by this. */
    private final Map<Path, File> open = new LinkedHashMap<>(OPEN_MAX * 2, 0.75f, true);

    /** An open file in use. */
    static final class File {
        private final Path path;
        private final Fd descriptor;
        private int users;
        private boolean dropped;

        private File(Path path, Fd descriptor) {
            this.path = path;
            this.descriptor = descriptor;
        }

        Fd descriptor() {
            return descriptor;
        }

        @Override
        public String toString() {
            return path + " with " + users + " users";
        }
    }

    /** Opens a file, or finds it open; give it back with {@link #release}. */
    synchronized File acquire(Path path) throws IOException {
        File file = open.get(path);
        if (file == null) {
            file = new File(path, Fd.open(path, Fd.O_RDONLY));
            open.put(path, file);
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
    synchronized void forget(Path path) throws IOException {
        drop(path);
    }

    private void drop(Path path) throws IOException {
        File file = open.remove(path);
        if (file != null) {
            file.dropped = true;
            if (file.users == 0) {
                file.descriptor.close();
            }
        }
    }

    @Override
    public synchronized void close() throws IOException {
        List<Path> paths = new ArrayList<>(open.keySet());
        for (Path path : paths) {
            drop(path);
        }
    }
}
