package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/** Changes of the mount table, as poll(2) tells of them on /proc/self/mountinfo (proc_pid_mountinfo(5)): waiting costs nothing. */
public final class MountEvents implements AutoCloseable {
    private static final MemorySegment POLL = Libc.function("poll");
    private static final short POLLIN = 1;
    private static final short POLLPRI = 2;
    private static final short POLLERR = 8;
    private static final int ENTRY_BYTES = 8;

    private final Fd table;
    private final Fd.Pipe wake;

    private MountEvents(Fd table, Fd.Pipe wake) {
        this.table = table;
        this.wake = wake;
    }

    /** From now on changes are noted. */
    public static MountEvents open() throws IOException {
        Fd table = Fd.open(Path.of("/proc/self/mountinfo"), Fd.O_RDONLY | Fd.O_CLOEXEC);
        try {
            return new MountEvents(table, Fd.pipe());
        } catch (IOException e) {
            table.close();
            throw e;
        }
    }

    /** Waits until the table has changed since {@link #open}, or until {@link #close}; then lets everything go. Call once. */
    public void await() throws IOException {
        try (Arena arena = Arena.ofShared();
                Fd mountinfo = table;
                Fd end = wake.reader()) {
            MemorySegment entries = arena.allocate(2L * ENTRY_BYTES, ENTRY_BYTES);
            entries.set(JAVA_INT, 0, mountinfo.number());
            entries.set(JAVA_SHORT, 4, POLLPRI);
            entries.set(JAVA_INT, ENTRY_BYTES, end.number());
            entries.set(JAVA_SHORT, ENTRY_BYTES + 4L, POLLIN);
            int ready;
            do {
                ready = (int) Libc.callWith(entries, POLL, entries.address(), 2, -1, 0, 0, 0);
            } while ((ready < 0 && Libc.errno() == Errno.EINTR)
                    || (ready > 0
                            && (entries.get(JAVA_SHORT, 6) & (POLLPRI | POLLERR)) == 0
                            && entries.get(JAVA_SHORT, ENTRY_BYTES + 6L) == 0));
            if (ready < 0) {
                throw new LinuxException("poll(/proc/self/mountinfo)", Libc.errno());
            }
        } finally {
            wake.writer().close();
        }
    }

    /** Ends the waiting. */
    @Override
    public void close() throws IOException {
        wake.writer().close();
    }
}
