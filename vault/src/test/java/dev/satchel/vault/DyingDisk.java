package dev.satchel.vault;

import dev.satchel.linux.Errno;
import dev.satchel.linux.LinuxException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;

/** The kernel's file systems on a device that is taken away: what is open then stays dead when it is back. */
final class DyingDisk implements Disk {
    private final Set<Path> bad = new HashSet<>();
    private int errno = Errno.EIO;
    private int life;
    private boolean away;

    /** Directories are in memory, and can be listed when it is away. */
    boolean directoriesCached;

    /** Files that were opened. */
    final AtomicInteger opened = new AtomicInteger();

    /** @param with the error that everything ends in until {@link #giveBack}, and what is open for ever */
    void takeAway(int with) {
        errno = with;
        life++;
        away = true;
    }

    void giveBack() {
        away = false;
    }

    /** Opens and can't be read, as a file with a bad sector. */
    void spoil(Path path) {
        bad.add(path);
    }

    private void check() throws IOException {
        if (away) {
            throw new FileSystemException("somewhere", null, Errno.describe(errno));
        }
    }

    @Override
    public File open(Path path, int flags) throws IOException {
        if (away) {
            throw new LinuxException("open", errno);
        }
        opened.incrementAndGet();
        File file = KERNEL.open(path, flags);
        int opened = life;
        return new File() {
            private void check() throws IOException {
                if (opened != life || away || bad.contains(path)) {
                    throw new LinuxException("pread", errno);
                }
            }

            @Override
            public long pread(MemorySegment target, long offset) throws IOException {
                check();
                return file.pread(target, offset);
            }

            @Override
            public void writeFully(MemorySegment bytes, long offset) throws IOException {
                check();
                file.writeFully(bytes, offset);
            }

            @Override
            public void sync() throws IOException {
                check();
                file.sync();
            }

            @Override
            public void dataSync() throws IOException {
                check();
                file.dataSync();
            }

            @Override
            public void truncate(long size) throws IOException {
                check();
                file.truncate(size);
            }

            @Override
            public void setAside(long offset, long length) throws IOException {
                check();
                file.setAside(offset, length);
            }

            @Override
            public void willNeed(long offset, long length) {
                file.willNeed(offset, length);
            }

            @Override
            public void dropCached() {
                file.dropCached();
            }

            @Override
            public void startWriteback(long offset, long length) {
                file.startWriteback(offset, length);
            }

            @Override
            public boolean tryLock() throws IOException {
                return file.tryLock();
            }

            @Override
            public void close() throws IOException {
                file.close();
            }
        };
    }

    /** As a file system whose inodes are in memory. */
    @Override
    public boolean exists(Path path) {
        return KERNEL.exists(path);
    }

    @Override
    public boolean isDirectory(Path path) {
        return KERNEL.isDirectory(path);
    }

    @Override
    public boolean isFile(Path path) {
        return KERNEL.isFile(path);
    }

    @Override
    public long size(Path path) throws IOException {
        return KERNEL.size(path);
    }

    @Override
    public List<Path> entries(Path directory) throws IOException {
        if (!directoriesCached) {
            check();
        }
        return KERNEL.entries(directory);
    }

    @Override
    public void createDirectory(Path directory) throws IOException {
        check();
        KERNEL.createDirectory(directory);
    }

    @Override
    public void rename(Path from, Path to) throws IOException {
        check();
        KERNEL.rename(from, to);
    }

    @Override
    public boolean delete(Path path) throws IOException {
        check();
        return KERNEL.delete(path);
    }

    @Override
    public void syncDirectory(Path directory) throws IOException {
        check();
        KERNEL.syncDirectory(directory);
    }
}
