package dev.satchel.vault;

import static java.util.Objects.requireNonNull;

import dev.satchel.linux.Errno;
import dev.satchel.linux.Fd;
import dev.satchel.linux.LinuxException;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * A vault in a directory: an object is a file of its name. New objects are written in {@code .tmp}, synced, and renamed; a
 * writer holds a flock(2) on its temporary file, so that those of dead writers can be told. {@code .lock} is flocked while
 * an object is replaced.
 */
public final class DirectoryBackend implements Backend {
    private static final String TEMPORARY = ".tmp";
    private static final String LOCK = ".lock";
    private static final int PARTS_MAX = 4;
    private static final int PART_LENGTH_MAX = 80;
    private static final long LOCK_WAIT_NANOS_MAX = 30_000_000_000L;

    /** A millisecond each. */
    private static final int LOG_LOCK_TRIES_MAX = 100;

    private static final long WRITEBACK_BYTES = 4 << 20;

    /** What is appended to a log in pieces of so many bytes is a stream. */
    private static final long STREAM_BYTES_MIN = 256 << 10;

    private static final Set<Integer> DEAD = Set.of(Errno.EIO, Errno.ENXIO, Errno.ENODEV, Errno.ESTALE, Errno.ENOTCONN);

    private final Path root;
    private final Disk disk;
    private final OpenFiles readers;

    /** Whether the file that a vault has last when it is made, {@link Vault#CONFIG}, has been there. */
    private volatile boolean made;

    /** Directories whose names are on stable storage. */
    private final Set<Path> safeDirectories = ConcurrentHashMap.newKeySet();

    /** Uses {@code root}; the directory is made when the first object is stored. Touches nothing yet. */
    public DirectoryBackend(Path root) {
        this(root, Disk.KERNEL);
    }

    DirectoryBackend(Path root, Disk disk) {
        this.root = root.toAbsolutePath().normalize();
        this.disk = disk;
        this.readers = new OpenFiles(disk, this::path);
    }

    @Override
    public String location() {
        return root.toString();
    }

    @Override
    public boolean putIfAbsent(String name, MemorySegment... parts) throws IOException {
        Path target = path(name);
        if (disk.exists(target)) {
            settle(name);
            return false;
        }
        try (PackFile file = begin()) {
            for (MemorySegment part : parts) {
                file.append(part);
            }
            file.commit(name);
        }
        return true;
    }

    @Override
    public PackFile begin() throws IOException {
        try {
            Path directory = root.resolve(TEMPORARY);
            makeTemporary(directory);
            while (true) {
                Path path = directory.resolve(Bytes.hex(Bytes.getLong(RandomBytes.of(8), 0)));
                Disk.File file = disk.open(path, Fd.O_RDWR | Fd.O_CREAT | Fd.O_EXCL);
                // removeAbandoned of another process may have come between open and lock, and the file may be gone.
                if (file.tryLock() && disk.exists(path)) {
                    return new Temporary(file, path);
                }
                file.close();
            }
        } catch (IOException e) {
            throw failure(e, "a new object");
        }
    }

    @Override
    public void commit(Map<String, PackFile> files) throws IOException {
        Set<Path> directories = new HashSet<>();
        for (Map.Entry<String, PackFile> file : files.entrySet()) {
            try {
                directories.add(((Temporary) file.getValue()).rename(file.getKey()));
            } catch (IOException e) {
                throw failure(e, file.getKey());
            }
        }
        for (Path directory : directories) {
            disk.syncDirectory(directory);
        }
    }

    @Override
    public int getRange(String name, long offset, MemorySegment target) throws IOException {
        try {
            try {
                return read(name, offset, target);
            } catch (IOException e) {
                if (!isDead(e)) {
                    throw e;
                }
                // What was open when a device went stays dead when it is back, what is opened by name now need not be.
                return read(name, offset, target);
            }
        } catch (IOException e) {
            throw failure(e, name);
        }
    }

    private int read(String name, long offset, MemorySegment target) throws IOException {
        OpenFiles.File file = readers.acquire(name);
        try {
            int done = 0;
            while (done < target.byteSize()) {
                long n = file.descriptor().pread(target.asSlice(done), offset + done);
                if (n == 0) {
                    break;
                }
                done += (int) n;
            }
            return done;
        } catch (IOException e) {
            if (isDead(e)) {
                readers.forget(file);
            }
            throw e;
        } finally {
            readers.release(file);
        }
    }

    @Override
    public void willNeed(String name, long offset, long lengthBytes) {
        try {
            OpenFiles.File file = readers.acquire(name);
            try {
                file.descriptor().willNeed(offset, lengthBytes);
            } finally {
                readers.release(file);
            }
        } catch (IOException e) {
            // Only a hint: the read that follows meets the same trouble and tells.
            return;
        }
    }

    @Override
    public void forget(String name) throws IOException {
        readers.forget(name);
    }

    @Override
    public Optional<byte[]> get(String name, int sizeMax) throws IOException {
        Path path = path(name);
        try (Disk.File file = disk.open(path, Fd.O_RDONLY);
                Arena arena = Arena.ofConfined()) {
            long size = disk.size(path);
            if (size > sizeMax) {
                throw new DamagedException(name + " in " + root + " is " + size
                        + " bytes long, more than such an object" + " can have: put it back from a copy of the vault");
            }
            // One more than its size: a file that was replaced meanwhile may be longer, but not by being half written.
            MemorySegment buffer = arena.allocate(sizeMax == size ? Math.max(size, 1) : size + 1);
            int done = 0;
            while (done < buffer.byteSize()) {
                long n = file.pread(buffer.asSlice(done), done);
                if (n == 0) {
                    break;
                }
                done += (int) n;
            }
            made |= name.equals(Vault.CONFIG);
            return Optional.of(buffer.asSlice(0, done).toArray(ValueLayout.JAVA_BYTE));
        } catch (IOException e) {
            if (isMissing(e) && !isGone()) {
                return Optional.empty();
            }
            throw failure(e, name);
        }
    }

    @Override
    public void settle(String name) throws IOException {
        syncIfThere(requireNonNull(path(name).getParent()));
    }

    @Override
    public void settleAll(String directory) throws IOException {
        syncIfThere(path(directory));
    }

    private void syncIfThere(Path directory) throws IOException {
        if (disk.exists(directory)) {
            disk.syncDirectory(directory);
        }
    }

    @Override
    public Optional<Long> size(String name) throws IOException {
        try {
            return Optional.of(disk.size(path(name)));
        } catch (IOException e) {
            if (isMissing(e) && !isGone()) {
                return Optional.empty();
            }
            throw failure(e, name);
        }
    }

    @Override
    public List<String> list(String prefix) throws IOException {
        List<String> names = new ArrayList<>();
        try {
            if (prefix.isEmpty()) {
                collect(root, "", 1, names);
            } else {
                collect(path(prefix), prefix + "/", prefix.split("/", -1).length + 1, names);
            }
        } catch (IOException e) {
            throw failure(e, prefix);
        }
        if (names.isEmpty() && isGone()) {
            throw gone();
        }
        names.sort(null);
        return names;
    }

    private void collect(Path directory, String prefix, int depth, List<String> names) throws IOException {
        try {
            for (Path entry : disk.entries(directory)) {
                String part = requireNonNull(entry.getFileName()).toString();
                if (!isPart(part)) {
                    continue;
                }
                if (depth < PARTS_MAX && disk.isDirectory(entry)) {
                    collect(entry, prefix + part + "/", depth + 1, names);
                } else if (disk.isFile(entry)) {
                    names.add(prefix + part);
                }
            }
        } catch (NoSuchFileException | NotDirectoryException e) {
            // No such prefix, or removed while it was being listed: nothing in it.
            return;
        }
    }

    @Override
    public void delete(String name) throws IOException {
        Path path = path(name);
        try {
            if (disk.delete(path)) {
                readers.forget(name);
                disk.syncDirectory(requireNonNull(path.getParent()));
            }
        } catch (IOException e) {
            throw failure(e, name);
        }
    }

    @Override
    public boolean replace(String name, Optional<byte[]> expected, byte[] next) throws IOException {
        try {
            if (isGone()) {
                throw gone();
            }
            makeTemporary(root);
            try (Disk.File lock = disk.open(root.resolve(LOCK), Fd.O_RDWR | Fd.O_CREAT)) {
                lock(lock);
                Optional<byte[]> present = get(name, Integer.MAX_VALUE);
                if (present.isPresent() != expected.isPresent()
                        || !Arrays.equals(present.orElse(new byte[0]), expected.orElse(new byte[0]))) {
                    return false;
                }
                try (PackFile file = begin();
                        Arena arena = Arena.ofConfined()) {
                    file.append(arena.allocateFrom(ValueLayout.JAVA_BYTE, next));
                    file.commit(name);
                }
                return true;
            }
        } catch (IOException e) {
            throw failure(e, name);
        }
    }

    /** Waits for the lock, which others hold for the time of an fsync(2) or two. */
    private void lock(Disk.File lock) throws IOException {
        long start = System.nanoTime();
        while (!lock.tryLock()) {
            if (System.nanoTime() - start > LOCK_WAIT_NANOS_MAX) {
                throw new IOException("another process keeps " + root.resolve(LOCK)
                        + " locked for half a minute: see with fuser(1) which, and end it");
            }
            pause(lock);
        }
    }

    @Override
    public AppendLog openLog(String name, boolean create) throws IOException {
        Path path = path(name);
        try {
            // An empty one may have been made by somebody who died before its name was safe.
            boolean isNew = create && (!disk.exists(path) || disk.size(path) == 0);
            if (isNew) {
                makeDirectory(requireNonNull(path.getParent()));
            }
            Disk.File file = disk.open(path, Fd.O_RDWR | (create ? Fd.O_CREAT : 0));
            try {
                lockLog(file, path);
                if (isNew) {
                    makeSafe(file, path);
                }
                return new Log(file, disk.size(path), name);
            } catch (IOException e) {
                file.close();
                throw e;
            }
        } catch (IOException e) {
            throw failure(e, name);
        }
    }

    /** A new log, which is deleted if that fails: of a file whose sync has failed once, a later one says nothing (fsync(2)). */
    private void makeSafe(Disk.File file, Path path) throws IOException {
        try {
            file.sync();
            disk.syncDirectory(requireNonNull(path.getParent()));
        } catch (IOException e) {
            try {
                disk.delete(path);
            } catch (IOException suppressed) {
                e.addSuppressed(suppressed);
            }
            throw e;
        }
    }

    @Override
    public AppendLog readLog(String name) throws IOException {
        openLog(name, false).close();
        Path path = path(name);
        try {
            Disk.File file = disk.open(path, Fd.O_RDONLY);
            try {
                return new Log(file, disk.size(path), name);
            } catch (IOException e) {
                file.close();
                throw e;
            }
        } catch (IOException e) {
            throw failure(e, name);
        }
    }

    /** Who writes a log has it locked as long as its session runs; who looks whether anybody does, for an instant, which is waited for. */
    private static void lockLog(Disk.File file, Path path) throws IOException {
        for (int tries = 1; !file.tryLock(); tries++) {
            if (tries == LOG_LOCK_TRIES_MAX) {
                throw new LogInUseException(
                        "the log " + path + " is in use by another process: suspend its session first");
            }
            pause(path);
        }
    }

    private static void pause(Object lock) throws InterruptedIOException {
        try {
            Thread.sleep(1);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw (InterruptedIOException)
                    new InterruptedIOException("interrupted while waiting for " + lock).initCause(e);
        }
    }

    @Override
    public long removeAbandoned() throws IOException {
        long freed = 0;
        try {
            for (Path entry : disk.entries(root.resolve(TEMPORARY))) {
                try (Disk.File file = disk.open(entry, Fd.O_RDWR)) {
                    if (file.tryLock()) {
                        freed += disk.size(entry);
                        disk.delete(entry);
                    }
                } catch (IOException e) {
                    if (!isMissing(e)) {
                        throw e;
                    }
                }
            }
        } catch (NoSuchFileException | NotDirectoryException e) {
            return 0;
        }
        return freed;
    }

    @Override
    public void close() throws IOException {
        readers.close();
    }

    private Path path(String name) {
        int parts = 0;
        for (int start = 0; start <= name.length(); parts++) {
            int end = name.indexOf('/', start);
            end = end < 0 ? name.length() : end;
            if (parts == PARTS_MAX || !isPart(name.substring(start, end))) {
                throw new IllegalArgumentException("not a name of an object: " + name);
            }
            start = end + 1;
        }
        return root.resolve(name);
    }

    private static boolean isPart(String part) {
        if (part.isEmpty() || part.length() > PART_LENGTH_MAX || part.charAt(0) == '.') {
            return false;
        }
        for (int i = 0; i < part.length(); i++) {
            char c = part.charAt(i);
            if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.')) {
                return false;
            }
        }
        return true;
    }

    /**
     * Makes a directory and those above it that are missing, all durably. One that is there already may have been made by
     * somebody who died before its name was safe: it is made safe once by each backend that puts something into it. Those above it
     * were safe before it was made.
     */
    private void makeDirectory(Path directory) throws IOException {
        if (safeDirectories.contains(directory)) {
            return;
        }
        Path parent = directory.getParent();
        if (!disk.isDirectory(directory)) {
            if (isGone()) {
                throw gone();
            }
            if (parent != null) {
                makeDirectory(parent);
            }
            try {
                disk.createDirectory(directory);
            } catch (FileAlreadyExistsException e) {
                if (!disk.isDirectory(directory)) {
                    throw e;
                }
            }
        }
        if (parent != null) {
            disk.syncDirectory(parent);
        }
        safeDirectories.add(directory);
    }

    /** Whether its device was taken away: what is put into the mount point then would be lost when it is given back. */
    private boolean isGone() {
        return made && !disk.exists(root.resolve(Vault.CONFIG));
    }

    /** Whether the device has died, and not only the file that could not be read. What the kernel still has of it does not count. */
    private boolean isLost() {
        if (!made) {
            return false;
        }
        try (Disk.File file = disk.open(root.resolve(Vault.CONFIG), Fd.O_RDONLY);
                Arena arena = Arena.ofConfined()) {
            file.dropCached();
            long _ = file.pread(arena.allocate(1), 0);
            return false;
        } catch (IOException e) {
            return isDead(e) || isMissing(e);
        }
    }

    private AwayException gone() {
        return new AwayException(
                "the vault " + root + " is not there any more: connect its device again, or put its directory back");
    }

    /** Makes one whose own name, or what is in it, need not outlive a crash. */
    private void makeTemporary(Path directory) throws IOException {
        if (!disk.isDirectory(directory)) {
            makeDirectory(directory);
        }
    }

    private static boolean isMissing(IOException e) {
        return e instanceof NoSuchFileException || isErrno(e, Errno.ENOENT) || isErrno(e, Errno.ENOTDIR);
    }

    /** Errors of a device that is not there any more, or of a share whose server is not; and of a bad sector. */
    private static boolean isDead(IOException e) {
        if (e instanceof FileSystemException file && file.getReason() != null) {
            return DEAD.stream().anyMatch(errno -> file.getReason().contains(Errno.describe(errno)));
        }
        return e instanceof LinuxException linux && DEAD.contains(linux.errno());
    }

    private static boolean isErrno(IOException e, int errno) {
        return e instanceof LinuxException linux && linux.errno() == errno;
    }

    private static boolean isFull(IOException e) {
        if (e instanceof FileSystemException file && file.getReason() != null) {
            // The JDK tells errno only in strerror(3)'s words.
            return file.getReason().contains("No space left")
                    || file.getReason().contains("quota exceeded");
        }
        return isErrno(e, Errno.ENOSPC) || isErrno(e, Errno.EDQUOT);
    }

    /** What the failure means to the vault. */
    private IOException failure(IOException e, String name) {
        if (e instanceof VaultException) {
            return e;
        }
        if (isMissing(e)) {
            if (isGone()) {
                return gone();
            }
            return new NoSuchException(
                    "there is no " + name + " in the vault " + root + ": look with 'satchel vault info'", e);
        }
        if (isFull(e)) {
            return new VaultFullException(
                    "no space left on the device of the vault " + root + ": free some, or use a larger device", e);
        }
        return isDead(e) && isLost() ? gone() : e;
    }

    /** An object on its way. */
    private final class Temporary implements PackFile {
        private final Disk.File file;
        private @Nullable Path path;
        private long size;
        private long writtenBack;

        Temporary(Disk.File file, Path path) {
            this.file = file;
            this.path = path;
        }

        @Override
        public void append(MemorySegment bytes) throws IOException {
            try {
                file.writeFully(bytes, size);
            } catch (IOException e) {
                throw failure(e, "a new object");
            }
            size += bytes.byteSize();
            if (size - writtenBack >= WRITEBACK_BYTES) {
                file.startWriteback(writtenBack, size - writtenBack);
                writtenBack = size;
            }
        }

        @Override
        public long size() {
            return size;
        }

        @Override
        public void sync() throws IOException {
            try {
                file.sync();
            } catch (IOException e) {
                throw failure(e, "a new object");
            }
        }

        @Override
        public void commit(String name) throws IOException {
            DirectoryBackend.this.commit(Map.of(name, this));
        }

        /** Gives it its name; durable when the directory has been synced. */
        Path rename(String name) throws IOException {
            Path from = path;
            if (from == null) {
                throw new IllegalStateException("has been committed or thrown away");
            }
            file.sync();
            Path target = path(name);
            Path directory = requireNonNull(target.getParent());
            makeDirectory(directory);
            disk.rename(from, target);
            path = null;
            // A reader of the object that was replaced may have it open.
            readers.forget(name);
            return directory;
        }

        @Override
        public void close() throws IOException {
            Path left = path;
            path = null;
            try (file) {
                if (left != null) {
                    disk.delete(left);
                }
            }
        }
    }

    private final class Log implements AppendLog {
        private final Disk.File file;
        private final String name;

        /** Guarded by this; appends are made under the lock, so that one that fails can be taken back. */
        private long size;

        /** Up to here the device has been asked to write a stream, or it was not worth it. Guarded by this. */
        private long writtenBack;

        Log(Disk.File file, long size, String name) {
            this.file = file;
            this.size = size;
            this.writtenBack = size;
            this.name = name;
        }

        @Override
        public synchronized long append(MemorySegment bytes) throws IOException {
            long offset = size;
            try {
                file.writeFully(bytes, offset);
            } catch (IOException e) {
                file.truncate(offset);
                throw failed(e);
            }
            size += bytes.byteSize();
            // The device writes while the stream goes on, so that the sync behind it has little left to wait for.
            if (bytes.byteSize() >= STREAM_BYTES_MIN && size - writtenBack >= WRITEBACK_BYTES) {
                file.startWriteback(writtenBack, size - writtenBack);
                writtenBack = size;
            }
            return offset;
        }

        /** What a dead descriptor has lost does not come back with the device: nobody is to wait for it, and then sync once more. */
        private IOException failed(IOException e) {
            return isDead(e) ? e : failure(e, name);
        }

        @Override
        public int read(long offset, MemorySegment target) throws IOException {
            int done = 0;
            while (done < target.byteSize()) {
                long n = file.pread(target.asSlice(done), offset + done);
                if (n == 0) {
                    break;
                }
                done += (int) n;
            }
            return done;
        }

        @Override
        public void sync() throws IOException {
            try {
                file.dataSync();
            } catch (IOException e) {
                throw failed(e);
            }
        }

        @Override
        public synchronized boolean setAside(long bytes) throws IOException {
            try {
                file.setAside(size, bytes);
                return true;
            } catch (LinuxException e) {
                if (e.errno() == Errno.EOPNOTSUPP || e.errno() == Errno.ENOSYS) {
                    return false;
                }
                throw failed(e);
            }
        }

        @Override
        public synchronized long size() {
            return size;
        }

        @Override
        public synchronized void truncate(long newSize) throws IOException {
            if (newSize < 0 || newSize > size) {
                throw new IllegalArgumentException("can't cut a log of " + size + " bytes to " + newSize);
            }
            file.truncate(newSize);
            size = newSize;
            writtenBack = Math.min(writtenBack, newSize);
            file.dataSync();
        }

        @Override
        public void close() throws IOException {
            file.close();
        }
    }
}
