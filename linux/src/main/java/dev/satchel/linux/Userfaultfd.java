package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Another process's userfaultfd(2), whose missing pages this process brings: non-blocking, with the events of a process that does
 * not know of it (UFFD_FEATURE_EVENT_FORK, REMAP, REMOVE, UNMAP; ioctl_userfaultfd(2)). As long as an event has not been read, the
 * thread that made it waits, and nothing can be copied. Closing it lets every thread go that waits for a page: what was not brought
 * then reads as zeros. Thread-safe but for {@link #close}.
 */
public final class Userfaultfd implements Closeable {
    /** Whether processes without CAP_SYS_PTRACE, those of a user namespace, may have one: 0 or 1. */
    public static final Path PERMISSION = Path.of("/proc/sys/vm/unprivileged_userfaultfd");

    private static final long UFFDIO_UNREGISTER = 0x8010_AA01L;
    private static final long UFFDIO_WAKE = 0x8010_AA02L;
    private static final long UFFDIO_COPY = 0xC028_AA03L;
    private static final long UFFDIO_ZEROPAGE = 0xC020_AA04L;

    /** {@code struct uffd_msg}: event u8, padding, from byte 8 on what belongs to it. */
    private static final int MESSAGE_BYTES = 32;

    private static final int COPY_BYTES = 40;

    private static final byte EVENT_PAGEFAULT = 0x12;
    private static final byte EVENT_FORK = 0x13;
    private static final byte EVENT_REMAP = 0x14;
    private static final byte EVENT_REMOVE = 0x15;
    private static final byte EVENT_UNMAP = 0x16;

    /** What happens in the other process. Addresses and lengths are in bytes, of its address space. */
    public sealed interface Event {
        /** A thread waits for the page at that address. */
        record PageFault(long address) implements Event {}

        /** It has forked; its child is the caller's to serve and close. */
        record Fork(Userfaultfd child) implements Event {}

        /** Memory has been moved, mremap(2). */
        record Remap(long from, long to, long length) implements Event {}

        /** What is between is unmapped, or no longer wanted (madvise(2) MADV_DONTNEED and alike): it reads as zeros if at all. */
        record Gone(long start, long end) implements Event {}
    }

    private final Fd fd;

    /** Takes over a descriptor that the other process has made and passed. */
    public Userfaultfd(Fd fd) {
        this.fd = fd;
    }

    /** Whether this kernel has userfaultfd(2), and lets this process permit it to others. */
    public static boolean available() {
        return Files.isWritable(PERMISSION);
    }

    /** What {@link Poll} takes; stays owned by this. */
    public Fd fd() {
        return fd;
    }

    /** The next event; empty if there is none now. */
    public Optional<Event> read() throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment message = arena.allocate(MESSAGE_BYTES, 8);
            try {
                if (fd.read(message) != MESSAGE_BYTES) {
                    throw new IOException(fd + " gave half a message");
                }
            } catch (LinuxException e) {
                if (e.errno() == Errno.EAGAIN) {
                    return Optional.empty();
                }
                throw e;
            }
            long first = message.get(JAVA_LONG, 8);
            long second = message.get(JAVA_LONG, 16);
            byte event = message.get(JAVA_BYTE, 0);
            return Optional.of(
                    switch (event) {
                        case EVENT_PAGEFAULT -> new Event.PageFault(second); // after its flags
                        case EVENT_FORK ->
                            new Event.Fork(new Userfaultfd(Fd.owning(message.get(JAVA_INT, 8), "child of " + fd)));
                        case EVENT_REMAP -> new Event.Remap(first, second, message.get(JAVA_LONG, 24));
                        case EVENT_REMOVE, EVENT_UNMAP -> new Event.Gone(first, second);
                        default -> throw new IOException(fd + " told of an event that nobody asked for: " + event);
                    });
        }
    }

    /**
     * UFFDIO_COPY: brings pages that are missing, and lets go who waits for them.
     *
     * @param address of the first, a multiple of the page's size
     * @param pages native memory, whole pages
     * @return the bytes that were brought, up to the first that could not be; if that is the very first, what was the matter as a
     *     negative error number: EEXIST (there is a page), ENOENT (nothing that is served is mapped there, or not all of it),
     *     EAGAIN (an event must be read first), ESRCH (the process is no more)
     */
    public long copy(long address, MemorySegment pages) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment request = arena.allocate(COPY_BYTES, 8);
            request.set(JAVA_LONG, 0, address);
            request.set(JAVA_LONG, 8, pages.address());
            request.set(JAVA_LONG, 16, pages.byteSize());
            return result(request, UFFDIO_COPY, 32, "UFFDIO_COPY");
        }
    }

    /** UFFDIO_ZEROPAGE: as {@link #copy}, of zeros. */
    public long zero(long address, long length) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment request = arena.allocate(COPY_BYTES, 8);
            request.set(JAVA_LONG, 0, address);
            request.set(JAVA_LONG, 8, length);
            return result(request, UFFDIO_ZEROPAGE, 24, "UFFDIO_ZEROPAGE");
        }
    }

    private long result(MemorySegment request, long code, long resultAt, String name) throws LinuxException {
        try {
            fd.ioctl(code, request.address(), name);
            return request.get(JAVA_LONG, resultAt);
        } catch (LinuxException e) {
            long done = request.get(JAVA_LONG, resultAt);
            if (done > 0) {
                return done;
            }
            int errno = done < 0 ? (int) -done : e.errno();
            if (errno == Errno.EEXIST || errno == Errno.ENOENT || errno == Errno.EAGAIN || errno == Errno.ESRCH) {
                return -errno;
            }
            throw e;
        }
    }

    /** UFFDIO_UNREGISTER: from now on the kernel itself brings what is missing there, as zeros. Does nothing if nothing is there. */
    public void unregister(long start, long length) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment range = arena.allocate(16, 8);
            range.set(JAVA_LONG, 0, start);
            range.set(JAVA_LONG, 8, length);
            fd.ioctl(UFFDIO_UNREGISTER, range.address(), "UFFDIO_UNREGISTER");
        } catch (LinuxException e) {
            // EINVAL: something else is mapped in that range; ENOMEM: nothing is, or the process is no more.
            if (e.errno() != Errno.EINVAL && e.errno() != Errno.ENOMEM) {
                throw e;
            }
        }
    }

    /** UFFDIO_WAKE: lets go who waits for a page there, to look again. */
    public void wake(long start, long length) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment range = arena.allocate(16, 8);
            range.set(JAVA_LONG, 0, start);
            range.set(JAVA_LONG, 8, length);
            fd.ioctl(UFFDIO_WAKE, range.address(), "UFFDIO_WAKE");
        }
    }

    @Override
    public void close() throws LinuxException {
        fd.close();
    }

    @Override
    public String toString() {
        return fd.toString();
    }
}
