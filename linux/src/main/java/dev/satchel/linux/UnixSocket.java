package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.io.Closeable;
import java.io.EOFException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** A stream socket of the Unix domain, unix(7), over which descriptors are passed: what the JDK's own has no way to. */
public final class UnixSocket implements Closeable {
    private static final MemorySegment SOCKET = Libc.function("socket");
    private static final MemorySegment BIND = Libc.function("bind");
    private static final MemorySegment LISTEN = Libc.function("listen");
    private static final MemorySegment ACCEPT4 = Libc.function("accept4");
    private static final MemorySegment RECVMSG = Libc.function("recvmsg");
    private static final MemorySegment SENDMSG = Libc.function("sendmsg");
    private static final MemorySegment SOCKETPAIR = Libc.function("socketpair");

    private static final int AF_UNIX = 1;
    private static final int SOCK_STREAM = 1;
    private static final int SOCK_CLOEXEC = 0x80000;
    private static final int SOL_SOCKET = 1;
    private static final int SCM_RIGHTS = 1;
    private static final int MSG_CTRUNC = 8;
    private static final int MSG_DONTWAIT = 0x40;
    private static final int MSG_NOSIGNAL = 0x4000;
    private static final int MSG_CMSG_CLOEXEC = 0x40000000;

    /** {@code struct sockaddr_un}: family u16, path with a NUL after it. */
    private static final int PATH_BYTES_MAX = 107;

    /** {@code struct msghdr}: name, its length, iov, iovlen, control, its length, flags. */
    private static final int MESSAGE_BYTES = 56;

    /** {@code struct cmsghdr} (length u64, level u32, type u32) with one descriptor behind it, aligned to 8 bytes. */
    private static final int CONTROL_BYTES = 24;

    private final Fd fd;

    private UnixSocket(Fd fd) {
        this.fd = fd;
    }

    /**
     * Makes a socket that listens at {@code path}, which must not exist yet and of which the kernel takes 107 bytes; with the
     * process's own umask. Closing it leaves the path.
     */
    public static UnixSocket listen(Path path) throws LinuxException {
        byte[] name = path.toString().getBytes(StandardCharsets.UTF_8);
        if (name.length > PATH_BYTES_MAX) {
            throw new IllegalArgumentException("too long for a socket's path: " + path);
        }
        int number = (int) Libc.call(SOCKET, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (number < 0) {
            throw new LinuxException("socket(AF_UNIX)", Libc.errno());
        }
        Fd fd = Fd.owning(number, path.toString());
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment address = arena.allocate(2 + PATH_BYTES_MAX + 1, 8);
            address.set(JAVA_SHORT, 0, (short) AF_UNIX);
            MemorySegment.copy(name, 0, address, JAVA_BYTE, 2, name.length);
            if ((int) Libc.call(BIND, number, address.address(), address.byteSize()) < 0
                    || (int) Libc.call(LISTEN, number, 1) < 0) {
                LinuxException e = new LinuxException("bind(" + path + ")", Libc.errno());
                fd.close();
                throw e;
            }
        }
        return new UnixSocket(fd);
    }

    /** Two that are connected with each other. */
    public record Pair(UnixSocket one, UnixSocket other) implements Closeable {
        @Override
        public void close() throws LinuxException {
            try (one) {
                other.close();
            }
        }
    }

    /** socketpair(2). */
    public static Pair pair() throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment ends = arena.allocate(8, 4);
            if ((int) Libc.call(SOCKETPAIR, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.address()) < 0) {
                throw new LinuxException("socketpair(AF_UNIX)", Libc.errno());
            }
            return new Pair(
                    new UnixSocket(Fd.owning(ends.get(JAVA_INT, 0), "socket's one end")),
                    new UnixSocket(Fd.owning(ends.get(JAVA_INT, 4), "socket's other end")));
        }
    }

    /** What {@link Poll} takes; stays owned by this. */
    public Fd fd() {
        return fd;
    }

    /** Waits for a connection, accept(2). */
    public UnixSocket accept() throws LinuxException {
        int number;
        do {
            number = (int) Libc.call(ACCEPT4, fd.number(), 0, 0, SOCK_CLOEXEC);
        } while (number < 0 && Libc.errno() == Errno.EINTR);
        if (number < 0) {
            throw new LinuxException("accept(" + fd + ")", Libc.errno());
        }
        return new UnixSocket(Fd.owning(number, "connection to " + fd));
    }

    /**
     * Waits until {@code dst} is full.
     *
     * @return false if the peer has closed before the first byte
     * @throws EOFException if it has closed after it
     */
    public boolean receive(MemorySegment dst) throws LinuxException, EOFException {
        for (long done = 0; done < dst.byteSize(); ) {
            long n = fd.read(dst.asSlice(done));
            if (n == 0 && done == 0) {
                return false;
            }
            if (n == 0) {
                throw new EOFException(fd + " ends within a message");
            }
            done += n;
        }
        return true;
    }

    /**
     * Waits for one byte with a descriptor beside it, SCM_RIGHTS.
     *
     * @param name what error messages are to call it
     * @return it, close-on-exec; the caller's
     * @throws EOFException if there comes none
     */
    public Fd receiveDescriptor(String name) throws LinuxException, EOFException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment data = arena.allocate(8, 8);
            MemorySegment vector = arena.allocate(16, 8);
            vector.set(JAVA_LONG, 0, data.address());
            vector.set(JAVA_LONG, 8, 1);
            MemorySegment control = arena.allocate(CONTROL_BYTES, 8);
            MemorySegment message = arena.allocate(MESSAGE_BYTES, 8);
            message.set(JAVA_LONG, 16, vector.address());
            message.set(JAVA_LONG, 24, 1);
            message.set(JAVA_LONG, 32, control.address());
            message.set(JAVA_LONG, 40, CONTROL_BYTES);
            long n;
            do {
                n = Libc.call(RECVMSG, fd.number(), message.address(), MSG_CMSG_CLOEXEC);
            } while (n < 0 && Libc.errno() == Errno.EINTR);
            if (n < 0) {
                throw new LinuxException("recvmsg(" + fd + ")", Libc.errno());
            }
            boolean passed = message.get(JAVA_LONG, 40) >= 20
                    && control.get(JAVA_INT, 8) == SOL_SOCKET
                    && control.get(JAVA_INT, 12) == SCM_RIGHTS;
            if ((message.get(JAVA_INT, 48) & MSG_CTRUNC) != 0) {
                // Above this process's limit of descriptors the kernel leaves out what has no room, recvmsg(2).
                throw new LinuxException("recvmsg(" + fd + ", SCM_RIGHTS)", Errno.EMFILE);
            }
            if (!passed) {
                throw new EOFException(fd + " passes no descriptor for " + name);
            }
            return Fd.owning(control.get(JAVA_INT, 16), name);
        }
    }

    /**
     * Sends one byte with a descriptor beside it, SCM_RIGHTS, without waiting. As long as nobody has received it, what it stands for
     * stays open, even if nobody else has it open any more.
     *
     * @return false if there is no room for it
     */
    public boolean sendDescriptor(Fd passed) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment vector = arena.allocate(16, 8);
            vector.set(JAVA_LONG, 0, arena.allocate(8, 8).address());
            vector.set(JAVA_LONG, 8, 1);
            MemorySegment control = arena.allocate(CONTROL_BYTES, 8);
            control.set(JAVA_LONG, 0, 20);
            control.set(JAVA_INT, 8, SOL_SOCKET);
            control.set(JAVA_INT, 12, SCM_RIGHTS);
            control.set(JAVA_INT, 16, passed.number());
            MemorySegment message = arena.allocate(MESSAGE_BYTES, 8);
            message.set(JAVA_LONG, 16, vector.address());
            message.set(JAVA_LONG, 24, 1);
            message.set(JAVA_LONG, 32, control.address());
            message.set(JAVA_LONG, 40, CONTROL_BYTES);
            long n;
            do {
                n = Libc.call(SENDMSG, fd.number(), message.address(), MSG_DONTWAIT | MSG_NOSIGNAL);
            } while (n < 0 && Libc.errno() == Errno.EINTR);
            if (n < 0 && Libc.errno() == Errno.EAGAIN) {
                return false;
            }
            if (n < 0) {
                throw new LinuxException("sendmsg(" + fd + ", SCM_RIGHTS)", Libc.errno());
            }
            return true;
        }
    }

    @Override
    public void close() throws LinuxException {
        fd.close();
    }
}
