package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.io.Closeable;
import java.io.InterruptedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The terminal that controls this process, tty(4), for asking what must not be seen: it is there though the standard streams lead
 * elsewhere. Closing gives the echo back if it was taken. Used by one thread.
 */
public final class Terminal implements Closeable {
    /* termios(3) as the C library has it, the same on x86-64 and aarch64: four 32-bit flag words first, 60 bytes in all. */
    private static final long TERMIOS_BYTES = 60;
    private static final long C_LFLAG = 12;
    private static final int ECHO = 0x8;
    private static final int ECHONL = 0x40;
    private static final int TCSAFLUSH = 2;
    private static final long TIOCGWINSZ = 0x5413;
    private static final long WS_COL = 2;
    private static final short POLLIN = 1;
    private static final int INTERRUPT_POLL_MILLIS = 50; // Java can't wake a thread that is in a native call
    private static final int LINE_BYTES_MAX = 4096;

    private final Fd fd;
    private byte @Nullable [] settings;

    private Terminal(Fd fd) {
        this.fd = fd;
    }

    /** Opens the controlling terminal, empty if this process has none. */
    public static Optional<Terminal> controlling() throws LinuxException {
        try {
            return Optional.of(new Terminal(Fd.open(Path.of("/dev/tty"), Fd.O_RDWR)));
        } catch (LinuxException e) {
            // ENXIO: no controlling terminal, tty(4). ENOENT: a container without /dev/tty. EIO: its other end is gone.
            if (e.errno() == Errno.ENXIO || e.errno() == Errno.ENOENT || e.errno() == Errno.EIO) {
                return Optional.empty();
            }
            throw e;
        }
    }

    /** Whether that descriptor is a terminal, isatty(3). */
    public static boolean isTerminal(int descriptor) {
        return (int) Libc.call(Calls.ISATTY, descriptor) == 1;
    }

    /** How many columns the terminal behind that descriptor has; 0 if it does not say or is none, ioctl_tty(2) TIOCGWINSZ. */
    public static int columns(int descriptor) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment size = arena.allocate(8, 2);
            int result = (int) Libc.call(Calls.IOCTL, descriptor, TIOCGWINSZ, size.address());
            return result < 0 ? 0 : Short.toUnsignedInt(size.get(JAVA_SHORT, WS_COL));
        }
    }

    /** From now on what is typed is not shown; what was typed ahead is dropped, tcsetattr(3) TCSAFLUSH. */
    public void hideEcho() throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment termios = arena.allocate(TERMIOS_BYTES, 4);
            if ((int) Libc.call(Calls.TCGETATTR, fd.number(), termios.address()) < 0) {
                throw new LinuxException("tcgetattr(/dev/tty)", Libc.errno());
            }
            if (settings == null) {
                settings = termios.toArray(JAVA_BYTE);
            }
            termios.set(JAVA_INT, C_LFLAG, termios.get(JAVA_INT, C_LFLAG) & ~(ECHO | ECHONL));
            set(termios);
        }
    }

    /** Undoes {@link #hideEcho}; does nothing if there is nothing to undo. */
    public void restoreEcho() throws LinuxException {
        byte[] before = settings;
        if (before == null) {
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment termios = arena.allocate(TERMIOS_BYTES, 4);
            MemorySegment.copy(before, 0, termios, JAVA_BYTE, 0, before.length);
            set(termios);
        }
        settings = null;
    }

    private void set(MemorySegment termios) throws LinuxException {
        if ((int) Libc.call(Calls.TCSETATTR, fd.number(), TCSAFLUSH, termios.address()) < 0) {
            throw new LinuxException("tcsetattr(/dev/tty, TCSAFLUSH)", Libc.errno());
        }
    }

    /** Shows text. */
    public void write(String text) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            MemorySegment rest = arena.allocate(Math.max(bytes.length, 1));
            MemorySegment.copy(bytes, 0, rest, JAVA_BYTE, 0, bytes.length);
            rest = rest.asSlice(0, bytes.length);
            while (rest.byteSize() > 0) {
                rest = rest.asSlice(fd.write(rest));
            }
        }
    }

    /**
     * Waits for a line to be typed, whole, its end included; the caller overwrites it after use, nothing else keeps a copy.
     * Empty if end-of-file (Ctrl-D) was typed on an empty line. The kernel gives no line longer than 4096 bytes, termios(3).
     *
     * @throws InterruptedIOException when the thread is interrupted, which then no longer counts as interrupted
     */
    public byte[] readLine() throws LinuxException, InterruptedIOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment poll = arena.allocate(8, 4); // struct pollfd, poll(2)
            poll.set(JAVA_INT, 0, fd.number());
            poll.set(JAVA_SHORT, 4, POLLIN);
            int ready;
            do {
                if (Thread.interrupted()) {
                    throw new InterruptedIOException("interrupted while waiting for a line to be typed");
                }
                ready = (int) Libc.call(Calls.POLL, poll.address(), 1, INTERRUPT_POLL_MILLIS);
                if (ready < 0 && Libc.errno() != Errno.EINTR) {
                    throw new LinuxException("poll(/dev/tty, POLLIN)", Libc.errno());
                }
            } while (ready <= 0);
            MemorySegment line = arena.allocate(LINE_BYTES_MAX);
            try {
                return line.asSlice(0, fd.read(line)).toArray(JAVA_BYTE);
            } finally {
                line.fill((byte) 0);
            }
        }
    }

    @Override
    public void close() throws LinuxException {
        try (fd) {
            restoreEcho();
        }
    }

    private static final class Calls {
        static final MemorySegment ISATTY = Libc.function("isatty");
        static final MemorySegment IOCTL = Libc.function("ioctl");
        static final MemorySegment TCGETATTR = Libc.function("tcgetattr");
        static final MemorySegment TCSETATTR = Libc.function("tcsetattr");
        static final MemorySegment POLL = Libc.function("poll");

        private Calls() {}
    }
}
