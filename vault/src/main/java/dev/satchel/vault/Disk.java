package dev.satchel.vault;

import dev.satchel.linux.Fd;
import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;

/**
 * All that a {@link DirectoryBackend} asks of a file system, and nothing else: so that what it asks for, and in which order, can
 * be proven on a disk that loses whatever it may lose. Each call is one system call, or the JDK's name for it, and promises no
 * more than POSIX does: what has been written is durable after {@link File#sync}, a name after {@link #syncDirectory} of the
 * directory that it is in.
 *
 * <p>Errors are those of the calls: {@link dev.satchel.linux.LinuxException} or {@link java.nio.file.FileSystemException}.
 */
interface Disk {
    /** The kernel's. */
    Disk KERNEL = new Kernel();

    /** open(2) with the flags of {@link Fd}. */
    File open(Path path, int flags) throws IOException;

    /** Whether there is anything of that name. */
    boolean exists(Path path);

    /** Whether it is a directory. */
    boolean isDirectory(Path path);

    /** Whether it is a file. */
    boolean isFile(Path path);

    /** In bytes; {@link java.nio.file.NoSuchFileException} when there is none. */
    long size(Path path) throws IOException;

    /** What is in a directory, in any order. */
    List<Path> entries(Path directory) throws IOException;

    /** mkdir(2). */
    void createDirectory(Path directory) throws IOException;

    /** rename(2): atomic, also when there is a {@code to} already. */
    void rename(Path from, Path to) throws IOException;

    /** unlink(2). @return false if there was none */
    boolean delete(Path path) throws IOException;

    /** fsync(2) of a directory. */
    void syncDirectory(Path directory) throws IOException;

    /** An open file; the methods are those of {@link Fd}. */
    interface File extends Closeable {
        long pread(MemorySegment target, long offset) throws IOException;

        void writeFully(MemorySegment bytes, long offset) throws IOException;

        void sync() throws IOException;

        void dataSync() throws IOException;

        void truncate(long size) throws IOException;

        void setAside(long offset, long length) throws IOException;

        void willNeed(long offset, long length);

        void dropCached();

        void startWriteback(long offset, long length);

        boolean tryLock() throws IOException;
    }

    /** The running kernel's file systems. */
    final class Kernel implements Disk {
        private Kernel() {}

        @Override
        public File open(Path path, int flags) throws IOException {
            return new Descriptor(Fd.open(path, flags));
        }

        @Override
        public boolean exists(Path path) {
            return Files.exists(path);
        }

        @Override
        public boolean isDirectory(Path path) {
            return Files.isDirectory(path);
        }

        @Override
        public boolean isFile(Path path) {
            return Files.isRegularFile(path);
        }

        @Override
        public long size(Path path) throws IOException {
            return Files.size(path);
        }

        @Override
        public List<Path> entries(Path directory) throws IOException {
            List<Path> entries = new ArrayList<>();
            try (var stream = Files.newDirectoryStream(directory)) {
                for (Path entry : stream) {
                    entries.add(entry);
                }
            } catch (DirectoryIteratorException e) {
                throw e.getCause();
            }
            return entries;
        }

        @Override
        public void createDirectory(Path directory) throws IOException {
            Files.createDirectory(directory);
        }

        @Override
        public void rename(Path from, Path to) throws IOException {
            Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
        }

        @Override
        public boolean delete(Path path) throws IOException {
            return Files.deleteIfExists(path);
        }

        @Override
        public void syncDirectory(Path directory) throws IOException {
            try (Fd descriptor = Fd.open(directory, Fd.O_RDONLY | Fd.O_DIRECTORY)) {
                descriptor.sync();
            }
        }
    }

    /** A descriptor of the kernel's. */
    record Descriptor(Fd fd) implements File {
        @Override
        public long pread(MemorySegment target, long offset) throws IOException {
            return fd.pread(target, offset);
        }

        @Override
        public void writeFully(MemorySegment bytes, long offset) throws IOException {
            fd.writeFully(bytes, offset);
        }

        @Override
        public void sync() throws IOException {
            fd.sync();
        }

        @Override
        public void dataSync() throws IOException {
            fd.dataSync();
        }

        @Override
        public void truncate(long size) throws IOException {
            fd.truncate(size);
        }

        @Override
        public void setAside(long offset, long length) throws IOException {
            fd.setAside(offset, length);
        }

        @Override
        public void willNeed(long offset, long length) {
            fd.willNeed(offset, length);
        }

        @Override
        public void dropCached() {
            fd.dropCached();
        }

        @Override
        public void startWriteback(long offset, long length) {
            fd.startWriteback(offset, length);
        }

        @Override
        public boolean tryLock() throws IOException {
            return fd.tryLock();
        }

        @Override
        public void close() throws IOException {
            fd.close();
        }
    }
}
