package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.io.Closeable;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** A process held by descriptor, pidfd_open(2): it can't be mistaken for a later one with the same number. */
public final class PidFd implements Closeable {
    private static final MemorySegment PIDFD_OPEN = Libc.function("pidfd_open");
    private static final MemorySegment PIDFD_SEND_SIGNAL = Libc.function("pidfd_send_signal");
    private static final MemorySegment POLL = Libc.function("poll");
    private static final short POLLIN = 1;

    private final long pid;
    private final Fd fd;

    private PidFd(long pid, Fd fd) {
        this.pid = pid;
        this.fd = fd;
    }

    /**
     * Takes hold of a process.
     *
     * @throws LinuxException ESRCH if there is no such process
     */
    public static PidFd open(long pid) throws LinuxException {
        int number = (int) Libc.call(PIDFD_OPEN, pid, 0);
        if (number < 0) {
            throw new LinuxException("pidfd_open(" + pid + ")", Libc.errno());
        }
        return new PidFd(pid, Fd.owning(number, "process " + pid));
    }

    public long pid() {
        return pid;
    }

    /** Sends a signal, signal(7). @return false if the process has ended and was reaped */
    public boolean signal(int signal) throws LinuxException {
        if ((int) Libc.call(PIDFD_SEND_SIGNAL, fd.number(), signal, 0, 0) < 0) {
            if (Libc.errno() == Errno.ESRCH) {
                return false;
            }
            throw new LinuxException("pidfd_send_signal(" + pid + ", " + signal + ")", Libc.errno());
        }
        return true;
    }

    /**
     * Waits until the process has ended; it may be a zombie still. Blocks the calling thread (a virtual thread's carrier too).
     *
     * @param timeoutMillis 0 only looks, negative waits for ever
     * @return whether it has ended
     */
    public boolean awaitExit(long timeoutMillis) throws LinuxException {
        long deadline = System.nanoTime() + timeoutMillis * 1_000_000;
        try (Arena arena = Arena.ofConfined()) {
            // struct pollfd: fd, events, revents
            MemorySegment poll = arena.allocate(8, 4);
            poll.set(JAVA_INT, 0, fd.number());
            poll.set(JAVA_SHORT, 4, POLLIN);
            long remaining = timeoutMillis;
            while (true) {
                int ready = (int) Libc.call(POLL, poll.address(), 1, Math.clamp(remaining, -1, Integer.MAX_VALUE));
                if (ready > 0) {
                    return true;
                }
                if (ready < 0 && Libc.errno() != Errno.EINTR) {
                    throw new LinuxException("poll(" + fd + ", " + timeoutMillis + ")", Libc.errno());
                }
                if (timeoutMillis >= 0) {
                    remaining = Math.max(0, (deadline - System.nanoTime() + 999_999) / 1_000_000);
                    if (remaining == 0) {
                        return false;
                    }
                }
            }
        }
    }

    @Override
    public void close() throws LinuxException {
        fd.close();
    }
}
