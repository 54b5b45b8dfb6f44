package dev.satchel.linux.fuse;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.satchel.linux.Errno;
import dev.satchel.linux.Fd;
import dev.satchel.linux.Libc;
import dev.satchel.linux.LinuxException;
import dev.satchel.linux.Processes;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * One thread's work: takes a request, does it, answers, until the mount is gone. Every request that wants an answer gets one,
 * whatever goes wrong.
 *
 * <p>There is one buffer, laid out so that payloads start at a page boundary ({@link #PAYLOAD}) whichever way they go: a request
 * is read in so that the data of a WRITE, after its 80 bytes of headers, comes to lie there; an answer's header is put into the
 * 16 bytes before, and goes out together with what the file put behind it in one write(2). So nothing is copied here.
 */
final class FuseWorker implements Runnable {
    /** Most bytes of one READ or WRITE; the kernel's default limit (fs.fuse.max_pages_limit 256). */
    static final int PAYLOAD_BYTES_MAX = 1 << 20;

    private static final int PAGE = 4096;
    private static final int PAYLOAD = PAGE;
    private static final int REQUEST = PAYLOAD - Protocol.IN_HEADER - Protocol.WRITE_IN;
    private static final int ARGUMENTS = REQUEST + Protocol.IN_HEADER;
    private static final int REPLY = PAYLOAD - Protocol.OUT_HEADER;
    /** Requests that the kernel sends ahead without a program waiting for each; a loop device has up to 128 in flight. */
    private static final short BACKGROUND_MAX = 128;
    /** Names and sizes never change: the kernel may remember them as long as it likes. */
    private static final long VALID_SECONDS = 365L * 24 * 3600;
    /** asm-generic/errno.h */
    private static final int EPROTO = 71;

    private static final MemorySegment READ = Libc.function("read");
    private static final MemorySegment WRITE = Libc.function("write");

    private final Fd device;
    private final EagerDevice eager;
    private final ServedDirectory directory;
    private final boolean others;
    private final FuseMount.FailureListener failures;
    private final Runnable ended;
    private final int uid = Processes.uid();
    private final long mountedSeconds = System.currentTimeMillis() / 1000;

    /** Set at the start of {@link #run}. */
    private MemorySegment buffer = MemorySegment.NULL;

    /** Where the request came from that is being served. */
    private int answerTo;

    FuseWorker(
            Fd device,
            EagerDevice eager,
            ServedDirectory directory,
            boolean others,
            FuseMount.FailureListener failures,
            Runnable ended) {
        this.others = others;
        this.device = device;
        this.eager = eager;
        this.directory = directory;
        this.failures = failures;
        this.ended = ended;
    }

    @Override
    public void run() {
        // Shared, so that a file may let other threads fill parts of the payload.
        try (Arena arena = Arena.ofShared()) {
            flushIo();
            buffer = arena.allocate(PAYLOAD + PAYLOAD_BYTES_MAX, PAGE);
            long request = buffer.address() + REQUEST;
            long size = buffer.byteSize() - REQUEST;
            while (true) {
                long n = eager.watch(request, size);
                answerTo = eager.number();
                if (n == 0) {
                    answerTo = device.number();
                    n = Libc.call(READ, answerTo, request, size);
                }
                if (n >= Protocol.IN_HEADER) {
                    eager.came();
                    serve();
                    eager.answered();
                    continue;
                }
                int errno = n < 0 ? Libc.errno() : EPROTO;
                switch (errno) {
                    // ENOENT: the request was taken back before we got it.
                    case Errno.EINTR, Errno.EAGAIN, Errno.ENOENT -> {}
                    // Unmounted; aborted.
                    case Errno.ENODEV, Errno.ECONNABORTED -> {
                        return;
                    }
                    default -> throw new LinuxException("read(" + device + ", " + size + ")", errno);
                }
            }
        } catch (Throwable t) {
            failures.failed("serving " + device, t);
        } finally {
            ended.run();
        }
    }

    /**
     * This thread's memory allocations must not wait for pages to be written to what it serves itself. Needs CAP_SYS_RESOURCE,
     * which containers lack; then it goes without, as every FUSE server did before Linux 5.6.
     */
    private static void flushIo() throws LinuxException {
        try {
            Processes.setIoFlusher(true);
        } catch (LinuxException e) {
            if (e.errno() != Errno.EPERM && e.errno() != Errno.EINVAL) {
                throw e;
            }
        }
    }

    private void serve() throws LinuxException {
        int length = buffer.get(JAVA_INT, REQUEST);
        int opcode = buffer.get(JAVA_INT, REQUEST + 4);
        long unique = buffer.get(JAVA_LONG, REQUEST + 8);
        long node = buffer.get(JAVA_LONG, REQUEST + 16);
        int result;
        @Nullable Throwable thrown = null;
        try {
            result = switch (opcode) {
                case Protocol.READ -> read(node);
                case Protocol.WRITE -> write(node);
                case Protocol.FSYNC -> flush(node);
                case Protocol.FALLOCATE -> allocate(node);
                case Protocol.LOOKUP -> lookup(length);
                case Protocol.GETATTR -> attributesOut(node);
                case Protocol.SETATTR -> setAttributes(node);
                case Protocol.OPEN -> open(node);
                case Protocol.OPENDIR -> openOut(Protocol.FOPEN_KEEP_CACHE | Protocol.FOPEN_CACHE_DIR);
                case Protocol.READDIR -> readDirectory();
                case Protocol.STATFS -> statfs();
                case Protocol.INIT -> init();
                case Protocol.RELEASE, Protocol.RELEASEDIR, Protocol.FSYNCDIR, Protocol.ACCESS, Protocol.DESTROY -> 0;
                // ENOSYS once, and the kernel never sends another: nothing to do when a file is closed, and nothing
                // that could
                // be interrupted.
                case Protocol.FLUSH, Protocol.INTERRUPT -> -Errno.ENOSYS;
                case Protocol.FORGET, Protocol.BATCH_FORGET -> {
                    yield NO_REPLY;
                }
                default -> -Errno.ENOSYS;
            };
        } catch (Throwable t) {
            result = t instanceof LinuxException e ? -e.errno() : -Errno.EIO;
            thrown = t;
        }
        try {
            // Before the answer: who gets it may ask at once what was the matter.
            if (thrown != null) {
                failures.failed(describe(opcode, node), thrown);
            }
        } finally {
            if (result != NO_REPLY) {
                reply(unique, result);
            }
        }
    }

    private static final int NO_REPLY = Integer.MIN_VALUE;

    /** @param result how many bytes of payload, or a negative errno */
    private void reply(long unique, int result) throws LinuxException {
        int length = Protocol.OUT_HEADER + Math.max(result, 0);
        buffer.set(JAVA_INT, REPLY, length);
        buffer.set(JAVA_INT, REPLY + 4, Math.min(result, 0));
        buffer.set(JAVA_LONG, REPLY + 8, unique);
        long n;
        do {
            n = Libc.call(WRITE, answerTo, buffer.address() + REPLY, length);
        } while (n < 0 && Libc.errno() == Errno.EINTR);
        // ENOENT: whoever asked was killed meanwhile; the others: unmounted or aborted, which the next read tells too.
        if (n < 0
                && Libc.errno() != Errno.ENOENT
                && Libc.errno() != Errno.ENODEV
                && Libc.errno() != Errno.ECONNABORTED
                && Libc.errno() != Errno.EPERM) {
            throw new LinuxException("write(" + device + ", " + length + ")", Libc.errno());
        }
    }

    private String describe(int opcode, long node) {
        String call = switch (opcode) {
            case Protocol.READ -> "read";
            case Protocol.WRITE -> "write";
            case Protocol.FSYNC -> "fsync";
            case Protocol.FALLOCATE -> "discard";
            default -> "request " + opcode;
        };
        return call + " of " + directory.name(node);
    }

    private int read(long node) throws IOException {
        FuseFile file = directory.file(node);
        if (file == null) {
            return -Errno.EISDIR;
        }
        long offset = buffer.get(JAVA_LONG, ARGUMENTS + 8);
        int size = buffer.get(JAVA_INT, ARGUMENTS + 16);
        // Direct reads may reach over the end; then the answer is short.
        int wanted = (int) Math.min(Math.min(size, PAYLOAD_BYTES_MAX), file.sizeBytes() - offset);
        if (wanted <= 0) {
            return 0;
        }
        file.read(offset, buffer.asSlice(PAYLOAD, wanted));
        return wanted;
    }

    private int write(long node) throws IOException {
        FuseFile file = directory.file(node);
        if (file == null) {
            return -Errno.EISDIR;
        }
        if (!file.writable()) {
            return -Errno.EROFS;
        }
        long offset = buffer.get(JAVA_LONG, ARGUMENTS + 8);
        int size = buffer.get(JAVA_INT, ARGUMENTS + 16);
        if (offset < 0 || size < 0 || size > PAYLOAD_BYTES_MAX || offset > file.sizeBytes() - size) {
            return -Errno.EFBIG;
        }
        if (size > 0) {
            file.write(offset, buffer.asSlice(PAYLOAD, size));
        }
        buffer.set(JAVA_LONG, PAYLOAD, size);
        return 8;
    }

    private int flush(long node) throws IOException {
        FuseFile file = directory.file(node);
        if (file != null && file.writable()) {
            file.flush();
        }
        return 0;
    }

    private int allocate(long node) throws IOException {
        FuseFile file = directory.file(node);
        if (file == null) {
            return -Errno.EISDIR;
        }
        if (!file.writable()) {
            return -Errno.EROFS;
        }
        long offset = buffer.get(JAVA_LONG, ARGUMENTS + 8);
        long length = buffer.get(JAVA_LONG, ARGUMENTS + 16);
        int mode = buffer.get(JAVA_INT, ARGUMENTS + 24) & ~Protocol.FALLOC_KEEP_SIZE;
        if (mode != Protocol.FALLOC_PUNCH_HOLE && mode != Protocol.FALLOC_ZERO_RANGE) {
            return -Errno.EOPNOTSUPP;
        }
        if (offset < 0 || length < 0) {
            return -Errno.EINVAL;
        }
        length = Math.min(length, file.sizeBytes() - offset);
        if (length > 0) {
            file.discard(offset, length);
        }
        return 0;
    }

    private int lookup(int length) {
        byte[] name = buffer.asSlice(ARGUMENTS, length - Protocol.IN_HEADER - 1).toArray(JAVA_BYTE);
        long node = directory.node(new String(name, StandardCharsets.UTF_8));
        if (node == 0) {
            return -Errno.ENOENT;
        }
        // struct fuse_entry_out: nodeid, generation, entry_valid, attr_valid, two of nanoseconds, attr
        buffer.set(JAVA_LONG, PAYLOAD, node);
        buffer.set(JAVA_LONG, PAYLOAD + 8, 0);
        buffer.set(JAVA_LONG, PAYLOAD + 16, VALID_SECONDS);
        buffer.set(JAVA_LONG, PAYLOAD + 24, VALID_SECONDS);
        buffer.set(JAVA_LONG, PAYLOAD + 32, 0);
        attributes(PAYLOAD + 40, node);
        return 40 + Protocol.ATTR;
    }

    private int setAttributes(long node) {
        FuseFile file = directory.file(node);
        if ((buffer.get(JAVA_INT, ARGUMENTS) & Protocol.FATTR_SIZE) != 0
                && (file == null || buffer.get(JAVA_LONG, ARGUMENTS + 16) != file.sizeBytes())) {
            return -Errno.EPERM;
        }
        return attributesOut(node);
    }

    private int attributesOut(long node) {
        if (node != Protocol.ROOT_NODE && directory.file(node) == null) {
            return -Errno.ENOENT;
        }
        // struct fuse_attr_out: attr_valid, its nanoseconds, padding, attr
        buffer.set(JAVA_LONG, PAYLOAD, VALID_SECONDS);
        buffer.set(JAVA_LONG, PAYLOAD + 8, 0);
        attributes(PAYLOAD + 16, node);
        return 16 + Protocol.ATTR;
    }

    /** struct fuse_attr */
    private void attributes(long at, long node) {
        FuseFile file = directory.file(node);
        long size = file == null ? PAGE : file.sizeBytes();
        int mode = file == null ? Protocol.S_IFDIR | 0700 : Protocol.S_IFREG | (file.writable() ? 0600 : 0400);
        if (others) {
            mode |= file == null ? 0055 : 0044;
        }
        buffer.asSlice(at, Protocol.ATTR).fill((byte) 0);
        buffer.set(JAVA_LONG, at, node);
        buffer.set(JAVA_LONG, at + 8, size);
        buffer.set(JAVA_LONG, at + 16, (size + 511) / 512);
        buffer.set(JAVA_LONG, at + 24, mountedSeconds);
        buffer.set(JAVA_LONG, at + 32, mountedSeconds);
        buffer.set(JAVA_LONG, at + 40, mountedSeconds);
        buffer.set(JAVA_INT, at + 60, mode);
        buffer.set(JAVA_INT, at + 64, file == null ? 2 : 1);
        buffer.set(JAVA_INT, at + 68, uid);
        buffer.set(JAVA_INT, at + 80, PAGE);
    }

    private int open(long node) {
        FuseFile file = directory.file(node);
        if (file == null) {
            return -Errno.EISDIR;
        }
        int accessMode = buffer.get(JAVA_INT, ARGUMENTS) & 3;
        if (accessMode != Fd.O_RDONLY && !file.writable()) {
            return -Errno.EROFS;
        }
        return openOut(Protocol.FOPEN_NOFLUSH
                | (file.cached()
                        ? Protocol.FOPEN_KEEP_CACHE
                        : Protocol.FOPEN_DIRECT_IO | Protocol.FOPEN_PARALLEL_DIRECT_WRITES));
    }

    /** struct fuse_open_out: fh, open_flags, padding */
    private int openOut(int flags) {
        buffer.set(JAVA_LONG, PAYLOAD, 0);
        buffer.set(JAVA_LONG, PAYLOAD + 8, flags);
        return 16;
    }

    private int readDirectory() {
        long position = buffer.get(JAVA_LONG, ARGUMENTS + 8);
        int room = Math.min(buffer.get(JAVA_INT, ARGUMENTS + 16), PAYLOAD_BYTES_MAX);
        int used = 0;
        for (long i = position; i < directory.count() + 2L; i++) {
            boolean dots = i < 2;
            byte[] name = (i == 0 ? "." : i == 1 ? ".." : directory.name(directory.node((int) i - 2)))
                    .getBytes(StandardCharsets.UTF_8);
            int size = Protocol.DIRENT + (name.length + 7 & ~7);
            if (used + size > room) {
                break;
            }
            long at = (long) PAYLOAD + used;
            buffer.asSlice(at, size).fill((byte) 0);
            buffer.set(JAVA_LONG, at, dots ? Protocol.ROOT_NODE : directory.node((int) i - 2));
            buffer.set(JAVA_LONG, at + 8, i + 1);
            buffer.set(JAVA_INT, at + 16, name.length);
            buffer.set(JAVA_INT, at + 20, dots ? Protocol.DT_DIR : Protocol.DT_REG);
            MemorySegment.copy(name, 0, buffer, JAVA_BYTE, at + Protocol.DIRENT, name.length);
            used += size;
        }
        return used;
    }

    /** struct fuse_kstatfs; the block size is also the granularity of a loop device's discards. */
    private int statfs() {
        long bytes = 0;
        for (int i = 0; i < directory.count(); i++) {
            bytes += directory.file(i).sizeBytes();
        }
        buffer.asSlice(PAYLOAD, 80).fill((byte) 0);
        buffer.set(JAVA_LONG, PAYLOAD, (bytes + PAGE - 1) / PAGE);
        buffer.set(JAVA_LONG, PAYLOAD + 24, directory.count());
        buffer.set(JAVA_INT, PAYLOAD + 40, PAGE);
        buffer.set(JAVA_INT, PAYLOAD + 44, 255);
        buffer.set(JAVA_INT, PAYLOAD + 48, PAGE);
        return 80;
    }

    private int init() throws IOException {
        int major = buffer.get(JAVA_INT, ARGUMENTS);
        int minor = buffer.get(JAVA_INT, ARGUMENTS + 4);
        int readAhead = buffer.get(JAVA_INT, ARGUMENTS + 8);
        int offered = buffer.get(JAVA_INT, ARGUMENTS + 12);
        if (major < Protocol.MAJOR || (major == Protocol.MAJOR && minor < Protocol.MINOR)) {
            throw new LinuxException(
                    "FUSE_INIT: this kernel speaks version " + major + "." + minor + ", needed is " + Protocol.MAJOR
                            + "." + Protocol.MINOR + " (Linux 5.4)",
                    EPROTO);
        }
        int wanted = Protocol.ASYNC_READ
                | Protocol.BIG_WRITES
                | Protocol.ASYNC_DIO
                | Protocol.PARALLEL_DIROPS
                | Protocol.ABORT_ERROR
                | Protocol.MAX_PAGES
                | Protocol.EXPLICIT_INVAL_DATA;
        buffer.asSlice(PAYLOAD, Protocol.INIT_OUT).fill((byte) 0);
        buffer.set(JAVA_INT, PAYLOAD, Protocol.MAJOR);
        buffer.set(JAVA_INT, PAYLOAD + 4, Protocol.MINOR);
        buffer.set(JAVA_INT, PAYLOAD + 8, readAhead);
        buffer.set(JAVA_INT, PAYLOAD + 12, wanted & offered);
        buffer.set(JAVA_SHORT, PAYLOAD + 16, BACKGROUND_MAX);
        buffer.set(JAVA_SHORT, PAYLOAD + 18, (short) (BACKGROUND_MAX * 3 / 4));
        buffer.set(JAVA_INT, PAYLOAD + 20, PAYLOAD_BYTES_MAX);
        buffer.set(JAVA_INT, PAYLOAD + 24, 1);
        buffer.set(JAVA_SHORT, PAYLOAD + 28, (short) (PAYLOAD_BYTES_MAX / PAGE));
        return Protocol.INIT_OUT;
    }
}
