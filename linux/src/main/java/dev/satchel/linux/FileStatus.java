package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * What a file is, statx(2).
 *
 * @param mode type and permissions, inode(7)
 * @param uid its owner, as the file system it was reached by shows it
 * @param modifiedMillis since 1970
 */
public record FileStatus(int mode, int uid, long sizeBytes, long modifiedMillis) {
    private static final MemorySegment STATX = Libc.function("statx");
    private static final int AT_SYMLINK_NOFOLLOW = 0x100;
    private static final int AT_EMPTY_PATH = 0x1000;
    private static final int STATX_BASIC_STATS = 0x7ff;
    private static final long STATX_BYTES = 256;

    private static final int TYPE = 0xf000;
    private static final int DIRECTORY = 0x4000;
    private static final int REGULAR = 0x8000;
    private static final int LINK = 0xa000;

    /** Of what is open there. */
    public static FileStatus of(Fd file) throws LinuxException {
        return of(file, "", AT_EMPTY_PATH);
    }

    /** Of an entry of a directory; of a symbolic link itself, not of what it leads to. */
    public static FileStatus of(Fd directory, String name) throws LinuxException {
        return of(directory, name, AT_SYMLINK_NOFOLLOW);
    }

    private static FileStatus of(Fd at, String name, int flags) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment status = arena.allocate(STATX_BYTES, 8);
            if ((int) Libc.callWith(
                            status,
                            STATX,
                            at.number(),
                            Libc.string(arena, name),
                            flags,
                            STATX_BASIC_STATS,
                            status.address(),
                            0)
                    < 0) {
                throw new LinuxException("statx(" + at + ", " + name + ")", Libc.errno());
            }
            // struct statx of linux/stat.h; times are seconds (s64) and nanoseconds (u32).
            return new FileStatus(
                    status.get(JAVA_SHORT, 28) & 0xffff,
                    status.get(JAVA_INT, 20),
                    status.get(JAVA_LONG, 40),
                    status.get(JAVA_LONG, 112) * 1000 + status.get(JAVA_INT, 120) / 1_000_000);
        }
    }

    public boolean isDirectory() {
        return (mode & TYPE) == DIRECTORY;
    }

    public boolean isRegular() {
        return (mode & TYPE) == REGULAR;
    }

    public boolean isLink() {
        return (mode & TYPE) == LINK;
    }
}
