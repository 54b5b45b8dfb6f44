package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A loop device (loop(4)) over a file, as root. Owned by who attached it: {@link #close()} detaches it. One that a killed
 * process left behind is found again by {@link #find}.
 */
public final class LoopDevice implements Closeable {
    private static final int LOOP_CONFIGURE = 0x4C0A;
    private static final int LOOP_CLR_FD = 0x4C01;
    private static final int LOOP_SET_STATUS64 = 0x4C04;
    private static final int LOOP_CTL_GET_FREE = 0x4C82;
    /** linux/fs.h */
    private static final int BLKRASET = 0x1262;

    private static final int LO_FLAGS_READ_ONLY = 1;
    private static final int LO_FLAGS_AUTOCLEAR = 4;
    private static final int LO_FLAGS_DIRECT_IO = 16;
    /** struct loop_info64, and where its lo_flags are. */
    private static final int LOOP_INFO_BYTES = 232;

    private static final int LOOP_INFO_FLAGS = 52;
    /** struct loop_config: fd, block_size, struct loop_info64, reserved. */
    private static final int LOOP_CONFIG_BYTES = 304;

    private static final int LOOP_CONFIG_FLAGS = 8 + LOOP_INFO_FLAGS;
    private static final int LOOP_MAJOR = 7;
    private static final int S_IFBLK = 0060000;
    /** How often a free device may be snatched away by somebody else before we give up. */
    private static final int ATTEMPTS_MAX = 64;

    private static final Path CONTROL = Path.of("/dev/loop-control");
    private static final Path BLOCK_DEVICES = Path.of("/sys/block");

    private final int number;
    private boolean detached;

    /** With autoclear: keeps the device until it is mounted; gone with the process. */
    private @Nullable Fd held;

    private LoopDevice(int number) {
        this.number = number;
    }

    /**
     * How a device is attached.
     *
     * @param readOnly refuse writes
     * @param directIo bypass the page cache of the backing file, which its file system must support
     * @param blockSizeBytes logical block size, a power of two from 512 to the page size
     * @param autoclear detach by itself when neither this process nor a mount uses it any more; so also after this process was
     *     killed
     */
    public record Options(boolean readOnly, boolean directIo, int blockSizeBytes, boolean autoclear) {
        public Options {
            if (blockSizeBytes < 512 || blockSizeBytes > 65536 || Integer.bitCount(blockSizeBytes) != 1) {
                throw new IllegalArgumentException("block size " + blockSizeBytes + " is no power of two from 512");
            }
        }
    }

    /** Attaches a free device to the file; as many as the kernel can make. */
    public static LoopDevice attach(Path backing, Options options) throws LinuxException {
        LoopDevice device = ServedDevices.callWithout(() -> configure(backing, options));
        if (options.autoclear()) {
            try {
                device.holdForAutoclear();
            } catch (LinuxException | RuntimeException | Error e) {
                device.close();
                throw e;
            }
        }
        return device;
    }

    private static LoopDevice configure(Path backing, Options options) throws LinuxException {
        int flags = (options.readOnly() ? Fd.O_RDONLY : Fd.O_RDWR) | (options.directIo() ? Fd.O_DIRECT : 0);
        try (Fd file = Fd.open(backing, flags);
                Fd control = Fd.open(CONTROL, Fd.O_RDWR);
                Arena arena = Arena.ofConfined()) {
            MemorySegment config = arena.allocate(LOOP_CONFIG_BYTES, 8);
            config.set(JAVA_INT, 0, file.number());
            config.set(JAVA_INT, 4, options.blockSizeBytes());
            config.set(
                    JAVA_INT,
                    LOOP_CONFIG_FLAGS,
                    (options.readOnly() ? LO_FLAGS_READ_ONLY : 0) | (options.directIo() ? LO_FLAGS_DIRECT_IO : 0));
            for (int attempt = 1; ; attempt++) {
                LoopDevice device = new LoopDevice(control.ioctl(LOOP_CTL_GET_FREE, 0, "LOOP_CTL_GET_FREE"));
                try (Fd opened = device.open(options.readOnly() ? Fd.O_RDONLY : Fd.O_RDWR)) {
                    opened.ioctl(LOOP_CONFIGURE, config.address(), "LOOP_CONFIGURE, " + backing);
                    return device;
                } catch (LinuxException e) {
                    // Somebody else was faster with this one: there is another.
                    boolean lost = e.errno() == Errno.EBUSY || e.errno() == Errno.ENXIO;
                    if (!lost || attempt == ATTEMPTS_MAX) {
                        throw e;
                    }
                }
            }
        }
    }

    /**
     * How far the kernel reads ahead of a reader, or around a page that a mapping misses (BLKRASET).
     *
     * @param bytes a multiple of 512
     */
    public void setReadAhead(int bytes) throws LinuxException {
        try (Fd opened = open(Fd.O_RDONLY)) {
            opened.ioctl(BLKRASET, bytes / 512, "BLKRASET, " + bytes / 512);
        }
    }

    /**
     * The kernel clears at the last close, also the one that follows attaching. So the flag is set while the device is held
     * open, by this thread's own table of descriptors; opening it reads nothing.
     */
    private void holdForAutoclear() throws LinuxException {
        Fd opened = open(Fd.O_RDONLY);
        held = opened;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = arena.allocate(LOOP_INFO_BYTES, 8);
            info.set(JAVA_INT, LOOP_INFO_FLAGS, LO_FLAGS_AUTOCLEAR);
            opened.ioctl(LOOP_SET_STATUS64, info.address(), "LOOP_SET_STATUS64, LO_FLAGS_AUTOCLEAR");
        }
    }

    /**
     * The devices attached to that file now, whoever attached them; for cleaning up after a crash. The kernel tells where the
     * file is mounted now, so detach what is found before unmounting the file system (FUSE) that the file lies on: afterwards
     * its path is lost.
     */
    public static List<LoopDevice> find(Path backing) throws IOException {
        String wanted = backing.toAbsolutePath().normalize().toString();
        List<LoopDevice> found = new ArrayList<>();
        try (DirectoryStream<Path> devices = Files.newDirectoryStream(BLOCK_DEVICES, "loop*")) {
            for (Path device : devices) {
                String file;
                try {
                    file = Files.readString(device.resolve("loop/backing_file"));
                } catch (NoSuchFileException e) {
                    continue; // not attached
                }
                file = file.endsWith("\n") ? file.substring(0, file.length() - 1) : file;
                if (file.equals(wanted) || file.equals(wanted + " (deleted)")) {
                    found.add(new LoopDevice(
                            Integer.parseInt(device.getFileName().toString().substring("loop".length()))));
                }
            }
        }
        return found;
    }

    /** The device node, {@code /dev/loopN}. */
    public Path path() {
        return Path.of("/dev/loop" + number);
    }

    /**
     * Detaches the file; the second time does nothing. If the device is still mounted or open, the kernel does it as soon as it
     * is not.
     */
    @Override
    public void close() throws LinuxException {
        synchronized (this) {
            if (detached) {
                return;
            }
            detached = true;
        }
        try {
            ServedDevices.<Integer, LinuxException>callWithout(() -> {
                try (Fd opened = open(Fd.O_RDONLY)) {
                    return opened.ioctl(LOOP_CLR_FD, 0, "LOOP_CLR_FD");
                }
            });
        } catch (LinuxException e) {
            // ENXIO: detached already (autoclear).
            if (e.errno() != Errno.ENXIO) {
                throw e;
            }
        } finally {
            if (held != null) {
                held.close();
            }
        }
    }

    /** Opens the node, which a /dev without devtmpfs (a container's) may lack: then it is made. */
    private Fd open(int flags) throws LinuxException {
        try {
            return Fd.open(path(), flags);
        } catch (LinuxException e) {
            if (e.errno() != Errno.ENOENT) {
                throw e;
            }
        }
        try (Arena arena = Arena.ofConfined()) {
            int result = (int) Libc.call(
                    Node.MKNOD,
                    Libc.string(arena, path().toString()),
                    S_IFBLK | 0600,
                    (long) LOOP_MAJOR << 8 | (number & 0xff) | (long) (number & ~0xff) << 12);
            if (result < 0 && Libc.errno() != Errno.EEXIST) {
                throw new LinuxException("mknod(" + path() + ", b, " + LOOP_MAJOR + ", " + number + ")", Libc.errno());
            }
        }
        return Fd.open(path(), flags);
    }

    /** The device's length in bytes. */
    public long sizeBytes() throws LinuxException {
        try (Fd opened = open(Fd.O_RDONLY);
                Arena arena = Arena.ofConfined()) {
            MemorySegment size = arena.allocate(JAVA_LONG);
            opened.ioctl(0x80081272L, size.address(), "BLKGETSIZE64");
            return size.get(JAVA_LONG, 0);
        }
    }

    @Override
    public String toString() {
        return "/dev/loop" + number;
    }

    /** Looked up only when a node is missing. */
    private static final class Node {
        static final MemorySegment MKNOD = Libc.function("mknod");

        private Node() {}
    }
}
