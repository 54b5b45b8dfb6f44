package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/** What is done to a whole mounted file system: syncing, trimming. The path may be any file or directory in it. */
public final class FileSystems {
    private static final int AT_FDCWD = -100;
    private static final int AT_STATX_DONT_SYNC = 0x4000;
    private static final int STX_DEV_MAJOR = 136;
    private static final int STX_DEV_MINOR = 140;
    private static final long FITRIM = 0xC0185879L;
    private static final long EXT4_IOC_CHECKPOINT = 0x4004662BL;

    private FileSystems() {}

    /** syncfs(2): all that was written to this file system is on stable storage on return. */
    public static void sync(Path inside) throws LinuxException {
        ServedDevices.<Integer, LinuxException>callWithout(() -> {
            try (Fd fd = Fd.open(inside, Fd.O_RDONLY)) {
                if ((int) Libc.call(Calls.SYNCFS, fd.number()) < 0) {
                    throw new LinuxException("syncfs(" + inside + ")", Libc.errno());
                }
            }
            return 0;
        });
    }

    /**
     * Writes what an ext4's journal has to where it belongs (EXT4_IOC_CHECKPOINT, Linux 5.14,
     * Documentation/filesystems/ext4/journal.rst), while others go on writing. It is empty on return if nobody did.
     */
    public static void checkpointJournal(Path inside) throws LinuxException {
        try (Arena arena = Arena.ofShared()) {
            MemorySegment flags = arena.allocate(4, 4);
            ioctl(inside, EXT4_IOC_CHECKPOINT, flags.address(), "EXT4_IOC_CHECKPOINT");
        }
    }

    /** Discards all unused blocks (FITRIM). @return how many bytes were discarded */
    public static long trim(Path inside) throws LinuxException {
        try (Arena arena = Arena.ofShared()) {
            // struct fstrim_range: start, len (trimmed bytes on return), minlen
            MemorySegment range = arena.allocate(24, 8);
            range.set(JAVA_LONG, 8, -1L);
            ioctl(inside, FITRIM, range.address(), "FITRIM");
            return range.get(JAVA_LONG, 8);
        }
    }

    private static void ioctl(Path inside, long request, long argument, String name) throws LinuxException {
        ServedDevices.<Integer, LinuxException>callWithout(() -> {
            try (Fd fd = Fd.open(inside, Fd.O_RDONLY)) {
                return fd.ioctl(request, argument, name);
            }
        });
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
            long path = Libc.string(arena, inside.toString());
            int errno = ServedDevices.callWithout(
                    () -> (int) Libc.call(Calls.STATFS, path, statfs.address()) < 0 ? Libc.errno() : 0);
            if (errno != 0) {
                throw new LinuxException("statfs(" + inside + ")", errno);
            }
            return new Usage(
                    statfs.get(JAVA_LONG, 0),
                    statfs.get(JAVA_LONG, 8),
                    statfs.get(JAVA_LONG, 16),
                    statfs.get(JAVA_LONG, 24),
                    statfs.get(JAVA_LONG, 32));
        }
    }

    /**
     * The minor device number of the file system (statx(2)), which for FUSE names the connection. Asks nothing of the file
     * system itself.
     */
    public static int deviceMinor(Path inside) throws LinuxException {
        return device(inside, STX_DEV_MINOR);
    }

    /** The major device number of the file system (statx(2)); 0 is that of those without a device. */
    public static int deviceMajor(Path inside) throws LinuxException {
        return device(inside, STX_DEV_MAJOR);
    }

    private static int device(Path inside, int field) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment statx = arena.allocate(256, 8);
            int result = (int) Libc.call(
                    Calls.STATX,
                    AT_FDCWD,
                    Libc.string(arena, inside.toString()),
                    AT_STATX_DONT_SYNC,
                    0,
                    statx.address());
            if (result < 0) {
                throw new LinuxException("statx(" + inside + ")", Libc.errno());
            }
            return statx.get(JAVA_INT, field);
        }
    }

    private static final class Calls {
        static final MemorySegment STATX = Libc.function("statx");
        static final MemorySegment SYNCFS = Libc.function("syncfs");
        static final MemorySegment STATFS = Libc.function("statfs");

        private Calls() {}
    }
}
