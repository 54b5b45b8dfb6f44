package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Makes and removes files in a directory that is open, by name, never following a link at that name: mkdirat(2), symlinkat(2), linkat(2),
 * mknodat(2), unlinkat(2), fchownat(2), fchmodat(2), utimensat(2), lsetxattr(2). The directory comes from {@link Fd#openInRoot}, so
 * that nothing above the name leads out either. Names are one component, UTF-8.
 */
public final class InnerFiles {
    private static final MemorySegment MKDIRAT = Libc.function("mkdirat");
    private static final MemorySegment SYMLINKAT = Libc.function("symlinkat");
    private static final MemorySegment LINKAT = Libc.function("linkat");
    private static final MemorySegment MKNODAT = Libc.function("mknodat");
    private static final MemorySegment UNLINKAT = Libc.function("unlinkat");
    private static final MemorySegment FCHOWNAT = Libc.function("fchownat");
    private static final MemorySegment FCHMODAT = Libc.function("fchmodat");
    private static final MemorySegment UTIMENSAT = Libc.function("utimensat");
    private static final MemorySegment LSETXATTR = Libc.function("lsetxattr");
    private static final int AT_SYMLINK_NOFOLLOW = 0x100;
    private static final int AT_REMOVEDIR = 0x200;

    private InnerFiles() {}

    /** Makes a directory with mode 0700. */
    public static void makeDirectory(Fd directory, String name) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            check(Libc.call(MKDIRAT, directory.number(), Libc.string(arena, name), 0700), "mkdirat", name);
        }
    }

    /** Makes a symbolic link. */
    public static void makeLink(Fd directory, String name, String target) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            check(
                    Libc.call(SYMLINKAT, Libc.string(arena, target), directory.number(), Libc.string(arena, name)),
                    "symlinkat",
                    name);
        }
    }

    /** Makes another name of a file. */
    public static void makeName(Fd directory, String name, Fd ofDirectory, String of) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            check(
                    Libc.call(
                            LINKAT,
                            ofDirectory.number(),
                            Libc.string(arena, of),
                            directory.number(),
                            Libc.string(arena, name),
                            0),
                    "linkat",
                    name);
        }
    }

    /**
     * Makes a FIFO or device node.
     *
     * @param mode with its type: S_IFIFO, S_IFCHR or S_IFBLK
     */
    public static void makeNode(Fd directory, String name, int mode, int major, int minor) throws LinuxException {
        long device =
                (minor & 0xffL) | (major & 0xfffL) << 8 | (minor & 0xffffff00L) << 12 | (major & 0xfffff000L) << 32;
        try (Arena arena = Arena.ofConfined()) {
            check(Libc.call(MKNODAT, directory.number(), Libc.string(arena, name), mode, device), "mknodat", name);
        }
    }

    /** Removes a file that is no directory. @return false if there is none, or it is a directory */
    public static boolean remove(Fd directory, String name) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            if (Libc.call(UNLINKAT, directory.number(), Libc.string(arena, name), 0) == 0) {
                return true;
            }
            int errno = Libc.errno();
            if (errno == Errno.ENOENT || errno == Errno.EISDIR) {
                return false;
            }
            throw new LinuxException("unlinkat(" + name + ")", errno);
        }
    }

    /** Removes an empty directory. */
    public static void removeDirectory(Fd directory, String name) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            check(Libc.call(UNLINKAT, directory.number(), Libc.string(arena, name), AT_REMOVEDIR), "unlinkat", name);
        }
    }

    /** Sets a file's owner, its mode (unless it is a link) with set-id bits, and its time. */
    public static void setAttributes(
            Fd directory, String name, boolean link, long uid, long gid, int mode, long seconds, int nanos)
            throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            long at = Libc.string(arena, name);
            check(Libc.call(FCHOWNAT, directory.number(), at, uid, gid, AT_SYMLINK_NOFOLLOW), "fchownat", name);
            if (!link) {
                check(Libc.call(FCHMODAT, directory.number(), at, mode, 0), "fchmodat", name);
            }
            MemorySegment times = arena.allocate(32, 8);
            for (int i = 0; i < 2; i++) {
                times.set(JAVA_LONG, i * 16L, seconds);
                times.set(JAVA_LONG, i * 16L + 8, nanos);
            }
            check(
                    Libc.call(UTIMENSAT, directory.number(), at, times.address(), AT_SYMLINK_NOFOLLOW),
                    "utimensat",
                    name);
        }
    }

    /** Sets an extended attribute. */
    public static void setAttribute(Fd directory, String name, String attribute, byte[] value) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(Math.max(1, value.length));
            MemorySegment.copy(value, 0, bytes, JAVA_BYTE, 0, value.length);
            check(
                    Libc.call(
                            LSETXATTR,
                            Libc.string(arena, "/proc/thread-self/fd/" + directory.number() + "/" + name),
                            Libc.string(arena, attribute),
                            bytes.address(),
                            value.length,
                            0),
                    "lsetxattr",
                    name + " " + attribute);
        }
    }

    private static void check(long result, String call, String name) throws LinuxException {
        if ((int) result < 0) {
            throw new LinuxException(call + "(" + name + ")", Libc.errno());
        }
    }
}
