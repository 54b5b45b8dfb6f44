package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.Closeable;
import java.io.EOFException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * One file descriptor, owned: closing this closes it. Everything opened here is close-on-exec.
 *
 * <p>Usable from several threads at once as far as the calls themselves are (pread(2) and pwrite(2) are); {@link #close()} must
 * come after all of them. Memory segments handed in must be native, and their arena must stay open until the call returns.
 */
public final class Fd implements Closeable {
    public static final int O_RDONLY = 0;
    public static final int O_WRONLY = 1;
    public static final int O_RDWR = 2;
    public static final int O_CREAT = 0x40;
    public static final int O_EXCL = 0x80;
    public static final int O_TRUNC = 0x200;
    public static final int O_APPEND = 0x400;
    public static final int O_NONBLOCK = 0x800;
    public static final int O_CLOEXEC = 0x80000;
    public static final int O_PATH = 0x200000;

    private static final boolean ARM = "aarch64".equals(System.getProperty("os.arch"));

    /* These four differ between the architectures: asm/fcntl.h of arm64 overrides asm-generic/fcntl.h. */
    public static final int O_DIRECTORY = ARM ? 0x4000 : 0x10000;
    public static final int O_NOFOLLOW = ARM ? 0x8000 : 0x20000;
    /** A file that has no name until {@link #linkInto}; the path is that of a directory. */
    public static final int O_TMPFILE = 0x400000 | O_DIRECTORY;

    public static final int O_DIRECT = ARM ? 0x10000 : 0x4000;
    private static final int O_LARGEFILE = ARM ? 0x20000 : 0;

    private static final MemorySegment OPEN = Libc.function("open");
    private static final MemorySegment CLOSE = Libc.function("close");
    private static final MemorySegment PREAD = Libc.function("pread");
    private static final MemorySegment PWRITE = Libc.function("pwrite");
    private static final MemorySegment READ = Libc.function("read");
    private static final MemorySegment WRITE = Libc.function("write");
    private static final MemorySegment SYSCALL = Libc.function("syscall");
    private static final int SYS_OPENAT2 = 437;

    private static final long RESOLVE_NO_MAGICLINKS = 0x02;
    private static final long RESOLVE_NO_SYMLINKS = 0x04;
    private static final long RESOLVE_IN_ROOT = 0x10;
    private static final int RESOLVE_ATTEMPTS_MAX = 64;

    private static final int FALLOC_FL_KEEP_SIZE = 1;
    private static final int FALLOC_FL_PUNCH_HOLE = 2;
    private static final int POSIX_FADV_WILLNEED = 3;
    private static final int POSIX_FADV_DONTNEED = 4;
    private static final int SYNC_FILE_RANGE_WRITE = 2;
    private static final int LOCK_SH = 1;
    private static final int LOCK_EX = 2;
    private static final int LOCK_NB = 4;
    private static final int PROT_READ = 1;
    private static final int PROT_WRITE = 2;
    private static final int MAP_SHARED = 1;
    private static final int F_DUPFD_CLOEXEC = 1030;
    private static final int F_SETPIPE_SZ = 1031;
    private static final int RLIMIT_NOFILE = 7;
    private static final int AT_FDCWD = -100;
    private static final int AT_SYMLINK_FOLLOW = 0x400;
    private static final int SPLICE_F_MOVE = 1;
    private static final int SPLICE_F_NONBLOCK = 2;

    private final int number;
    private final String name;
    private boolean closed;

    private Fd(int number, String name) {
        this.number = number;
        this.name = name;
    }

    /** Takes ownership of a descriptor; the name is what error messages call it. */
    public static Fd owning(int number, String name) {
        return new Fd(number, name);
    }

    /** open(2) of an existing file, or with mode 0600 of a new one. */
    public static Fd open(Path path, int flags) throws LinuxException {
        return open(path, flags, 0600);
    }

    /** open(2), close-on-exec. */
    public static Fd open(Path path, int flags, int mode) throws LinuxException {
        String name = path.toString();
        try (Arena arena = Arena.ofConfined()) {
            long address = Libc.string(arena, name);
            int fd;
            do {
                fd = (int) Libc.call(OPEN, address, flags | O_CLOEXEC, mode);
            } while (fd < 0 && Libc.errno() == Errno.EINTR);
            if (fd < 0) {
                throw new LinuxException("open(" + name + ", 0x" + Integer.toHexString(flags) + ")", Libc.errno());
            }
            return new Fd(fd, name);
        }
    }

    /**
     * Opens a file below this directory without ever leaving it: absolute paths and {@code ..} mean what they would after
     * chroot(2) into it, and magic links (of /proc) are refused; openat2(2) with RESOLVE_IN_ROOT.
     *
     * @param symlinks whether symbolic links are followed (inside this directory) or refused with ELOOP
     */
    public Fd openInRoot(String path, int flags, int mode, boolean symlinks) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment how = arena.allocate(24, 8);
            how.set(JAVA_LONG, 0, (flags | O_CLOEXEC | O_LARGEFILE) & 0xffffffffL);
            how.set(JAVA_LONG, 8, (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? mode : 0);
            how.set(JAVA_LONG, 16, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (symlinks ? 0 : RESOLVE_NO_SYMLINKS));
            long address = Libc.string(arena, path);
            for (int attempt = 1; ; attempt++) {
                int fd = (int) Libc.call(SYSCALL, SYS_OPENAT2, number, address, how.address(), how.byteSize());
                if (fd >= 0) {
                    return new Fd(fd, name + "//" + path);
                }
                // EAGAIN: something was renamed meanwhile, so that the kernel can't be sure that ".." stays inside.
                int errno = Libc.errno();
                if ((errno != Errno.EAGAIN && errno != Errno.EINTR) || attempt == RESOLVE_ATTEMPTS_MAX) {
                    throw new LinuxException(
                            "openat2(" + name + ", " + path + ", 0x" + Integer.toHexString(flags) + ", in root)",
                            errno);
                }
            }
        }
    }

    /**
     * Gives a file that was made with {@link #O_TMPFILE} a name, linkat(2).
     *
     * @param entry one name, without a slash
     * @return false if there is something of that name already
     */
    public boolean linkInto(Fd directory, String entry) throws LinuxException {
        if (entry.isEmpty() || entry.indexOf('/') >= 0) {
            throw new IllegalArgumentException("'" + entry + "' is no single name");
        }
        try (Arena arena = Arena.ofConfined()) {
            int linked = (int) Libc.call(
                    Rare.LINKAT,
                    AT_FDCWD,
                    Libc.string(arena, path().toString()),
                    directory.number,
                    Libc.string(arena, entry),
                    AT_SYMLINK_FOLLOW);
            if (linked < 0 && Libc.errno() == Errno.EEXIST) {
                return false;
            }
            if (linked < 0) {
                throw new LinuxException("linkat(" + name + ", " + directory.name + "//" + entry + ")", Libc.errno());
            }
            return true;
        }
    }

    /** How many descriptors this process may have, getrlimit(2) RLIMIT_NOFILE. */
    public static long limit() throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment limits = arena.allocate(16, 8);
            if ((int) Libc.call(Rare.GETRLIMIT, RLIMIT_NOFILE, limits.address()) < 0) {
                throw new LinuxException("getrlimit(RLIMIT_NOFILE)", Libc.errno());
            }
            long soft = limits.get(JAVA_LONG, 0);
            return soft < 0 ? Long.MAX_VALUE : soft; // RLIM_INFINITY
        }
    }

    /** The descriptor's number; stays owned by this. */
    public int number() {
        return number;
    }

    /** A path by which this process can open the same file again, proc_pid_fd(5). */
    public Path path() {
        return Path.of("/proc/self/fd/" + number);
    }

    /** One pread(2): the number of bytes read, 0 at the end of the file. */
    public long pread(MemorySegment dst, long offset) throws LinuxException {
        long n;
        do {
            n = Libc.callWith(dst, PREAD, number, dst.address(), dst.byteSize(), offset, 0, 0);
        } while (n < 0 && Libc.errno() == Errno.EINTR);
        if (n < 0) {
            throw failed("pread", dst.byteSize() + ", " + offset);
        }
        return n;
    }

    /** One pwrite(2): the number of bytes written. */
    public long pwrite(MemorySegment src, long offset) throws LinuxException {
        long n;
        do {
            n = Libc.callWith(src, PWRITE, number, src.address(), src.byteSize(), offset, 0, 0);
        } while (n < 0 && Libc.errno() == Errno.EINTR);
        if (n < 0) {
            throw failed("pwrite", src.byteSize() + ", " + offset);
        }
        return n;
    }

    /**
     * Fills the whole segment from that offset.
     *
     * @throws EOFException if the file ends before
     */
    public void readFully(MemorySegment dst, long offset) throws LinuxException, EOFException {
        long size = dst.byteSize();
        for (long done = 0; done < size; ) {
            long n = pread(done == 0 ? dst : dst.asSlice(done), offset + done);
            if (n == 0) {
                throw new EOFException(name + " ends at " + (offset + done) + ", wanted " + (offset + size));
            }
            done += n;
        }
    }

    /** Writes the whole segment at that offset. */
    public void writeFully(MemorySegment src, long offset) throws LinuxException {
        long size = src.byteSize();
        for (long done = 0; done < size; ) {
            done += pwrite(done == 0 ? src : src.asSlice(done), offset + done);
        }
    }

    /** One read(2) at the descriptor's own position: the number of bytes read, 0 at the end. */
    public long read(MemorySegment dst) throws LinuxException {
        long n;
        do {
            n = Libc.callWith(dst, READ, number, dst.address(), dst.byteSize(), 0, 0, 0);
        } while (n < 0 && Libc.errno() == Errno.EINTR);
        if (n < 0) {
            throw failed("read", Long.toString(dst.byteSize()));
        }
        return n;
    }

    /** One write(2) at the descriptor's own position: the number of bytes written. */
    public long write(MemorySegment src) throws LinuxException {
        long n;
        do {
            n = Libc.callWith(src, WRITE, number, src.address(), src.byteSize(), 0, 0, 0);
        } while (n < 0 && Libc.errno() == Errno.EINTR);
        if (n < 0) {
            throw failed("write", Long.toString(src.byteSize()));
        }
        return n;
    }

    /** fdatasync(2): the file's contents, and what is needed to read them again, are on stable storage on return. */
    public void dataSync() throws LinuxException {
        check((int) Libc.call(Rare.FDATASYNC, number), "fdatasync", null);
    }

    /** fsync(2): contents and metadata are on stable storage on return; also for directories. */
    public void sync() throws LinuxException {
        check((int) Libc.call(Rare.FSYNC, number), "fsync", null);
    }

    /** posix_fadvise(2) with POSIX_FADV_WILLNEED: starts reading a range ahead; a hint, so its failure is of no interest. */
    public void willNeed(long offset, long length) {
        Libc.call(Rare.POSIX_FADVISE, number, offset, length, POSIX_FADV_WILLNEED);
    }

    /** posix_fadvise(2) with POSIX_FADV_DONTNEED: the next read of the file asks the device; a hint too. */
    public void dropCached() {
        Libc.call(Rare.POSIX_FADVISE, number, 0L, 0L, POSIX_FADV_DONTNEED);
    }

    /** sync_file_range(2): starts writing a range out, so that a later sync has less to wait for; a hint too. */
    public void startWriteback(long offset, long length) {
        Libc.call(Rare.SYNC_FILE_RANGE, number, offset, length, SYNC_FILE_RANGE_WRITE);
    }

    /** fallocate(2) with FALLOC_FL_PUNCH_HOLE: gives the space back, reads as zeros afterwards; the size stays. */
    public void punchHole(long offset, long length) throws LinuxException {
        check(
                (int) Libc.call(Rare.FALLOCATE, number, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length),
                "fallocate",
                "PUNCH_HOLE, " + offset + ", " + length);
    }

    /** fallocate(2): reserves space, growing the file where needed. */
    public void allocate(long offset, long length) throws LinuxException {
        check((int) Libc.call(Rare.FALLOCATE, number, 0, offset, length), "fallocate", "0, " + offset + ", " + length);
    }

    /**
     * fallocate(2) with FALLOC_FL_KEEP_SIZE: reserves space, behind the end of the file, too, whose size stays. Truncating gives
     * back what lies behind the new end.
     */
    public void setAside(long offset, long length) throws LinuxException {
        check(
                (int) Libc.call(Rare.FALLOCATE, number, FALLOC_FL_KEEP_SIZE, offset, length),
                "fallocate",
                "KEEP_SIZE, " + offset + ", " + length);
    }

    /** ftruncate(2). */
    public void truncate(long size) throws LinuxException {
        check((int) Libc.call(Rare.FTRUNCATE, number, size), "ftruncate", Long.toString(size));
    }

    /** flock(2) exclusive, without waiting. @return false if somebody else holds a lock; released when this is closed */
    public boolean tryLock() throws LinuxException {
        int result = (int) Libc.call(Rare.FLOCK, number, LOCK_EX | LOCK_NB);
        if (result < 0 && Libc.errno() == Errno.EAGAIN) {
            return false;
        }
        check(result, "flock", "LOCK_EX|LOCK_NB");
        return true;
    }

    /** flock(2) shared: waits for who holds it exclusively, and gives up an exclusive lock that this has. */
    public void lockShared() throws LinuxException {
        int result;
        do {
            result = (int) Libc.call(Rare.FLOCK, number, LOCK_SH);
        } while (result < 0 && Libc.errno() == Errno.EINTR);
        check(result, "flock", "LOCK_SH");
    }

    /**
     * mmap(2), shared, of the first {@code size} bytes. Unmapped when the arena closes; this descriptor may be closed before.
     * Touching a page past the end of the file ends in an {@link InternalError} (SIGBUS).
     */
    public MemorySegment map(long size, boolean writable, Arena arena) throws LinuxException {
        long address =
                Libc.call(Rare.MMAP, 0, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, number, 0);
        if (address == -1) {
            throw failed("mmap", Long.toString(size));
        }
        return MemorySegment.ofAddress(address)
                .reinterpret(size, arena, mapped -> Libc.call(Rare.MUNMAP, mapped.address(), size));
    }

    /** A second descriptor of the same open file, close-on-exec, fcntl(2) F_DUPFD_CLOEXEC. */
    public Fd duplicate() throws LinuxException {
        int fd = (int) Libc.call(Rare.FCNTL, number, F_DUPFD_CLOEXEC, 0);
        check(fd, "fcntl", "F_DUPFD_CLOEXEC");
        return new Fd(fd, name);
    }

    /** dup2(2): makes this open file available under that number too, not close-on-exec; what was there is closed. */
    public void duplicateTo(int target) throws LinuxException {
        check((int) Libc.call(Rare.DUP2, number, target), "dup2", Integer.toString(target));
    }

    /** The two ends of a pipe. */
    public record Pipe(Fd reader, Fd writer) implements Closeable {
        @Override
        public void close() throws LinuxException {
            try (reader) {
                writer.close();
            }
        }
    }

    /** pipe2(2), both ends close-on-exec. */
    public static Pipe pipe() throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment ends = arena.allocate(8, 4);
            if ((int) Libc.call(Rare.PIPE2, ends.address(), O_CLOEXEC) < 0) {
                throw new LinuxException("pipe2(O_CLOEXEC)", Libc.errno());
            }
            return new Pipe(
                    new Fd(ends.get(JAVA_INT, 0), "pipe's reader"), new Fd(ends.get(JAVA_INT, 4), "pipe's writer"));
        }
    }

    /** fcntl(2) F_SETPIPE_SZ of a pipe; beyond {@code /proc/sys/fs/pipe-max-size} EPERM without CAP_SYS_RESOURCE. */
    public void resizePipe(int bytes) throws LinuxException {
        check((int) Libc.call(Rare.FCNTL, number, F_SETPIPE_SZ, bytes), "fcntl", "F_SETPIPE_SZ, " + bytes);
    }

    /**
     * One splice(2) from this pipe into another: pages change hands, none is copied. Waits for nothing.
     *
     * @return how many bytes; 0 at the end of this pipe; -1 if this one is empty or the other one full
     */
    public long moveTo(Fd pipe, long bytesMax) throws LinuxException {
        long n;
        do {
            n = Libc.call(Rare.SPLICE, number, 0, pipe.number, 0, bytesMax, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        } while (n < 0 && Libc.errno() == Errno.EINTR);
        if (n < 0 && Libc.errno() == Errno.EAGAIN) {
            return -1;
        }
        if (n < 0) {
            throw failed("splice", pipe + ", " + bytesMax);
        }
        return n;
    }

    /** splice(2) from this pipe to the end of a file, of all those bytes, which must be in the pipe. */
    public void drainTo(Fd file, long bytes) throws LinuxException, EOFException {
        for (long left = bytes; left > 0; ) {
            long n = Libc.call(Rare.SPLICE, number, 0, file.number, 0, left, SPLICE_F_MOVE);
            if (n == 0) {
                throw new EOFException(name + " ends " + left + " bytes too early");
            }
            if (n > 0) {
                left -= n;
            } else if (Libc.errno() != Errno.EINTR) {
                throw failed("splice", file + ", " + left);
            }
        }
    }

    /** ioctl(2) with an integer or an address as its argument; fails with the request's name. */
    int ioctl(long request, long argument, String requestName) throws LinuxException {
        int result;
        do {
            result = (int) Libc.call(Rare.IOCTL, number, request, argument);
        } while (result < 0 && Libc.errno() == Errno.EINTR);
        check(result, "ioctl", requestName);
        return result;
    }

    /** Closes the descriptor; the second time does nothing. */
    @Override
    public void close() throws LinuxException {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
        }
        // close(2): the descriptor is gone whatever it returns, so EINTR is no reason to try again.
        if ((int) Libc.call(CLOSE, number) < 0 && Libc.errno() != Errno.EINTR) {
            throw failed("close", null);
        }
    }

    @Override
    public String toString() {
        return name + " (descriptor " + number + ")";
    }

    private void check(int result, String call, @Nullable String arguments) throws LinuxException {
        if (result < 0) {
            throw failed(call, arguments);
        }
    }

    private LinuxException failed(String call, @Nullable String arguments) {
        int errno = Libc.errno();
        return new LinuxException(call + "(" + name + (arguments == null ? ")" : ", " + arguments + ")"), errno);
    }

    /** Looked up only when one of them is needed. */
    private static final class Rare {
        static final MemorySegment FDATASYNC = Libc.function("fdatasync");
        static final MemorySegment FSYNC = Libc.function("fsync");
        static final MemorySegment POSIX_FADVISE = Libc.function("posix_fadvise");
        static final MemorySegment SYNC_FILE_RANGE = Libc.function("sync_file_range");
        static final MemorySegment FALLOCATE = Libc.function("fallocate");
        static final MemorySegment FTRUNCATE = Libc.function("ftruncate");
        static final MemorySegment FLOCK = Libc.function("flock");
        static final MemorySegment MMAP = Libc.function("mmap");
        static final MemorySegment MUNMAP = Libc.function("munmap");
        static final MemorySegment FCNTL = Libc.function("fcntl");
        static final MemorySegment DUP2 = Libc.function("dup2");
        static final MemorySegment LINKAT = Libc.function("linkat");
        static final MemorySegment PIPE2 = Libc.function("pipe2");
        static final MemorySegment IOCTL = Libc.function("ioctl");
        static final MemorySegment GETRLIMIT = Libc.function("getrlimit");
        static final MemorySegment SPLICE = Libc.function("splice");

        private Rare() {}
    }
}
