package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/** What is done to a whole mounted file system: syncing, freezing, trimming. The path may be any file or directory in it. */
public final class FileSystems {
    private static final long FIFREEZE = 0xC0045877L;
    private static final long FITHAW = 0xC0045878L;
    private static final long FITRIM = 0xC0185879L;

    private FileSystems() {}

    /** syncfs(2): all that was written to this file system is on stable storage on return. */
    public static void sync(Path inside) throws LinuxException {
        try (Fd fd = Fd.open(inside, Fd.O_RDONLY)) {
            if ((int) Libc.call(Calls.SYNCFS, fd.number()) < 0) {
                throw new LinuxException("syncfs(" + inside + ")", Libc.errno());
            }
        }
    }

    /**
     * Freezes it (FIFREEZE, ioctl_fsfreeze(2)): everything is written out, the journal is empty, and whoever writes waits until
     * {@link #thaw}. Fails with EBUSY if it is frozen already.
     */
    public static void freeze(Path inside) throws LinuxException {
        try (Fd fd = Fd.open(inside, Fd.O_RDONLY)) {
            fd.ioctl(FIFREEZE, 0, "FIFREEZE");
        }
    }

    /** Lets writers go on. Fails with EINVAL if it is not frozen. */
    public static void thaw(Path inside) throws LinuxException {
        try (Fd fd = Fd.open(inside, Fd.O_RDONLY)) {
            fd.ioctl(FITHAW, 0, "FITHAW");
        }
    }

    /** Discards all unused blocks (FITRIM). @return how many bytes were discarded */
    public static long trim(Path inside) throws LinuxException {
        try (Fd fd = Fd.open(inside, Fd.O_RDONLY);
                Arena arena = Arena.ofConfined()) {
            // struct fstrim_range: start, len (trimmed bytes on return), minlen
            MemorySegment range = arena.allocate(24, 8);
            range.set(JAVA_LONG, 8, -1L);
            fd.ioctl(FITRIM, range.address(), "FITRIM");
            return range.get(JAVA_LONG, 8);
        }
    }

    /**
     * What statfs(2) tells.
     *
     * @param type the magic number of its kind, such as 0xEF53 for ext4 and 0x65735546 for FUSE
     * @param blockSizeBytes unit of the following
     * @param blocks all
     * @param freeBlocks unused
     * @param availableBlocks unused and not reserved for root
     */
    public record Usage(long type, long blockSizeBytes, long blocks, long freeBlocks, long availableBlocks) {}

    /** statfs(2). */
    public static Usage usage(Path inside) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment statfs = arena.allocate(120, 8);
            if ((int) Libc.call(Calls.STATFS, Libc.string(arena, inside.toString()), statfs.address()) < 0) {
                throw new LinuxException("statfs(" + inside + ")", Libc.errno());
            }
            return new Usage(
                    statfs.get(JAVA_LONG, 0),
                    statfs.get(JAVA_LONG, 8),
                    statfs.get(JAVA_LONG, 16),
                    statfs.get(JAVA_LONG, 24),
                    statfs.get(JAVA_LONG, 32));
        }
    }

    private static final class Calls {
        static final MemorySegment SYNCFS = Libc.function("syncfs");
        static final MemorySegment STATFS = Libc.function("statfs");

        private Calls() {}
    }
}
