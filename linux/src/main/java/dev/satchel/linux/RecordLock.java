package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A POSIX record lock, fcntl(2) "Advisory record locking". It is a process's and a file's: no other process can set it, and it is gone
 * once the process closes any descriptor of that file.
 *
 * @param exclusive F_WRLCK, else F_RDLCK
 * @param start first byte, from the file's beginning
 * @param length in bytes; 0 is up to the end, however far that goes
 */
public record RecordLock(boolean exclusive, long start, long length) {
    private static final int SYS_FCNTL = 72; // x86-64
    private static final int F_SETLK = 6;
    private static final short F_RDLCK = 0;
    private static final short F_WRLCK = 1;
    private static final long FLOCK_BYTES = 32;
    private static final long FLOCK_START = 8;
    private static final long FLOCK_LENGTH = 16;

    /**
     * Sets it for another process. One that is set already stays.
     *
     * @param process a stopped thread of the process whose lock it is to be
     * @param fd the number of that process's descriptor
     * @throws LinuxException EAGAIN or EACCES when another process has a lock that forbids this one, EBADF when there is no such
     *     descriptor or it is not open for that
     */
    public void set(Tracee process, int fd) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment flock = arena.allocate(FLOCK_BYTES, 8);
            flock.set(JAVA_SHORT, 0, exclusive ? F_WRLCK : F_RDLCK); // and l_whence is SEEK_SET
            flock.set(JAVA_LONG, FLOCK_START, start);
            flock.set(JAVA_LONG, FLOCK_LENGTH, length);
            long result = process.callWith(flock, 2, SYS_FCNTL, fd, F_SETLK, 0);
            if (result < 0) {
                throw new LinuxException(
                        "fcntl(" + fd + ", F_SETLK, " + (exclusive ? "F_WRLCK " : "F_RDLCK ") + start + "+" + length
                                + ")",
                        (int) -result);
            }
        }
    }
}
