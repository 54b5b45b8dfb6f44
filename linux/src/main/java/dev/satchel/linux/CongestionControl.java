package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * How the kernel decides how much of a TCP connection may be on its way: TCP_CONGESTION, tcp(7). For sockets that Java made, which has no
 * option for it.
 */
public final class CongestionControl {
    /**
     * Sends what the link was measured to carry, and begins with that again after a pause, where cubic and reno begin anew (RFC 2861).
     */
    public static final String BBR = "bbr";

    private static final Path DESCRIPTORS = Path.of("/proc/self/fd");
    private static final int SOL_SOCKET = 1;
    private static final int SO_ACCEPTCONN = 30;
    private static final int IPPROTO_TCP = 6;
    private static final int TCP_CONGESTION = 13;
    /** {@code struct sockaddr_in} and {@code sockaddr_in6} alike: family u16, port u16, big-endian. */
    private static final int ADDRESS_BYTES = 28;

    private static final int AF_INET = 2;
    private static final int AF_INET6 = 10;

    private CongestionControl() {}

    /**
     * Sets it for the connections that come to a port from now on.
     *
     * @param port at which a socket of this process listens
     * @return false if there is no such socket, or this kernel has no algorithm of that name: connections have the host's own then
     */
    public static boolean ofListener(int port, String algorithm) throws IOException {
        try (DirectoryStream<Path> descriptors = Files.newDirectoryStream(DESCRIPTORS);
                Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocateFrom(algorithm, StandardCharsets.US_ASCII);
            MemorySegment address = arena.allocate(ADDRESS_BYTES, 8);
            MemorySegment value = arena.allocate(JAVA_INT);
            MemorySegment length = arena.allocate(JAVA_INT);
            boolean set = false;
            for (Path descriptor : descriptors) {
                int fd = Integer.parseInt(String.valueOf(descriptor.getFileName()));
                if (listensAt(fd, port, address, value, length)) {
                    set |= (int) Libc.call(
                                    Calls.SETSOCKOPT,
                                    fd,
                                    IPPROTO_TCP,
                                    TCP_CONGESTION,
                                    name.address(),
                                    algorithm.length())
                            == 0;
                }
            }
            return set;
        } catch (DirectoryIteratorException e) {
            throw e.getCause();
        }
    }

    /** What is no socket, or has been closed meanwhile, does not. */
    private static boolean listensAt(
            int fd, int port, MemorySegment address, MemorySegment value, MemorySegment length) {
        length.set(JAVA_INT, 0, (int) JAVA_INT.byteSize());
        value.set(JAVA_INT, 0, 0);
        if ((int) Libc.call(Calls.GETSOCKOPT, fd, SOL_SOCKET, SO_ACCEPTCONN, value.address(), length.address()) < 0
                || value.get(JAVA_INT, 0) == 0) {
            return false;
        }
        length.set(JAVA_INT, 0, ADDRESS_BYTES);
        if ((int) Libc.call(Calls.GETSOCKNAME, fd, address.address(), length.address()) < 0) {
            return false;
        }
        int family = address.get(JAVA_BYTE, 0) & 0xff;
        int at = (address.get(JAVA_BYTE, 2) & 0xff) << 8 | (address.get(JAVA_BYTE, 3) & 0xff);
        return (family == AF_INET || family == AF_INET6) && at == port;
    }

    private static final class Calls {
        static final MemorySegment SETSOCKOPT = Libc.function("setsockopt");
        static final MemorySegment GETSOCKOPT = Libc.function("getsockopt");
        static final MemorySegment GETSOCKNAME = Libc.function("getsockname");
    }
}
