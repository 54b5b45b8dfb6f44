package dev.satchel.linux.fuse;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.satchel.linux.Errno;
import dev.satchel.linux.Fd;
import dev.satchel.linux.Libc;
import dev.satchel.linux.LinuxException;
import dev.satchel.linux.ServedDevices;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.util.List;

/** What {@link FuseMount#pageCache} gives: a way to put pages where readers find them. One thread at a time. */
public final class PageCache implements AutoCloseable {
    /** Most bytes of one {@link #store}. */
    public static final int PAYLOAD_BYTES_MAX = 1 << 20;

    /** fuse.h: {@code FUSE_NOTIFY_STORE}, in the place of an answer's error. */
    private static final int STORE = 4;

    /** struct fuse_notify_store_out: nodeid, offset, size, padding. */
    private static final int STORE_OUT = 24;

    private static final int PAYLOAD = 4096;
    private static final int NOTIFICATION = PAYLOAD - Protocol.OUT_HEADER - STORE_OUT;
    private static final MemorySegment WRITE = Libc.function("write");

    private final FuseMount mount;
    private final Fd device;
    private final ServedDirectory served;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment buffer = arena.allocate(PAYLOAD + PAYLOAD_BYTES_MAX, PAYLOAD);

    PageCache(FuseMount mount, Fd device, ServedDirectory served) {
        this.mount = mount;
        this.device = device;
        this.served = served;
    }

    /** Has the kernel know files, without which it keeps nothing of them. */
    public void learn(List<String> files) throws IOException {
        // All of them in one go, as a thread is started for it.
        ServedDevices.callWithout(() -> {
            long bytes = 0;
            for (String file : files) {
                bytes += Files.size(mount.directory().resolve(file));
            }
            return bytes;
        });
    }

    /** Where {@link #store} takes the bytes from; {@link #PAYLOAD_BYTES_MAX} long. */
    public MemorySegment payload() {
        return buffer.asSlice(PAYLOAD);
    }

    /**
     * Stores the beginning of {@link #payload}.
     *
     * @param offset in the file, a multiple of the page size
     * @param length a multiple of the page size, or up to the file's end
     * @return false when the kernel has no more use for it: the file is forgotten, or the mount gone
     */
    public boolean store(String file, long offset, int length) throws LinuxException {
        int whole = Protocol.OUT_HEADER + STORE_OUT + length;
        buffer.set(JAVA_INT, NOTIFICATION, whole);
        buffer.set(JAVA_INT, NOTIFICATION + 4, STORE);
        buffer.set(JAVA_LONG, NOTIFICATION + 8, 0);
        buffer.set(JAVA_LONG, NOTIFICATION + 16, served.node(file));
        buffer.set(JAVA_LONG, NOTIFICATION + 24, offset);
        buffer.set(JAVA_INT, NOTIFICATION + 32, length);
        buffer.set(JAVA_INT, NOTIFICATION + 36, 0);
        if (Libc.call(WRITE, device.number(), buffer.address() + NOTIFICATION, whole) >= 0) {
            return true;
        }
        return switch (Libc.errno()) {
            case Errno.ENOENT, Errno.ENODEV, Errno.ECONNABORTED, Errno.EPERM -> false;
            default -> throw new LinuxException("write(" + device + ", " + whole + ")", Libc.errno());
        };
    }

    @Override
    public void close() {
        arena.close();
    }
}
