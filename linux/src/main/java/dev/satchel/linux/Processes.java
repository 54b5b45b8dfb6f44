package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.OptionalInt;

/** This process and others: identity, signals, prctl(2). See {@link PidFd} for waiting. */
public final class Processes {
    public static final int SIGHUP = 1;
    public static final int SIGINT = 2;
    public static final int SIGKILL = 9;
    public static final int SIGUSR1 = 10;
    public static final int SIGTERM = 15;
    public static final int SIGCONT = 18;
    public static final int SIGSTOP = 19;

    private static final int PR_SET_DUMPABLE = 4;
    private static final int PR_SET_CHILD_SUBREAPER = 36;
    private static final int PR_SET_IO_FLUSHER = 57;
    private static final int WNOHANG = 1;
    private static final int MCL_CURRENT = 1;
    private static final int MCL_FUTURE = 2;
    private static final int MCL_ONFAULT = 4;

    private Processes() {}

    /** This process's id in its own pid namespace, getpid(2). */
    public static int pid() {
        return (int) Libc.call(Calls.GETPID);
    }

    /** The real user id, getuid(2). */
    public static int uid() {
        return (int) Libc.call(Calls.GETUID);
    }

    /** The effective user id, geteuid(2). */
    public static int effectiveUid() {
        return (int) Libc.call(Calls.GETEUID);
    }

    /** kill(2); a negative pid means a process group. @return false if there is no such process */
    public static boolean kill(long pid, int signal) throws LinuxException {
        if ((int) Libc.call(Calls.KILL, pid, signal) < 0) {
            if (Libc.errno() == Errno.ESRCH) {
                return false;
            }
            throw new LinuxException("kill(" + pid + ", " + signal + ")", Libc.errno());
        }
        return true;
    }

    /** Starts a session of its own without a controlling terminal, setsid(2); EPERM if it leads a process group already. */
    public static void newSession() throws LinuxException {
        if ((int) Libc.call(Calls.SETSID) < 0) {
            throw new LinuxException("setsid()", Libc.errno());
        }
    }

    /**
     * Whether memory allocations of the calling <em>thread</em> (whatever the manual page says, kernel/sys.c) don't wait for I/O:
     * a server of a block device must not wait for memory that only its own answers can free, prctl(2) PR_SET_IO_FLUSHER. Needs
     * CAP_SYS_RESOURCE (EPERM).
     */
    public static void setIoFlusher(boolean on) throws LinuxException {
        prctl(PR_SET_IO_FLUSHER, "PR_SET_IO_FLUSHER", on);
    }

    /** Orphaned descendants become children of this process, which must {@link #reap} them, prctl(2) PR_SET_CHILD_SUBREAPER. */
    public static void setChildSubreaper(boolean on) throws LinuxException {
        prctl(PR_SET_CHILD_SUBREAPER, "PR_SET_CHILD_SUBREAPER", on);
    }

    /** Whether it may be core-dumped and traced, prctl(2) PR_SET_DUMPABLE: off keeps keys out of core files. */
    public static void setDumpable(boolean on) throws LinuxException {
        prctl(PR_SET_DUMPABLE, "PR_SET_DUMPABLE", on);
    }

    /** Keeps memory from being swapped out as it is touched, mlockall(2) MCL_ONFAULT; ENOMEM or EPERM where limits forbid. */
    public static void lockMemory() throws LinuxException {
        if ((int) Libc.call(Calls.MLOCKALL, MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0) {
            throw new LinuxException("mlockall(MCL_CURRENT|MCL_FUTURE|MCL_ONFAULT)", Libc.errno());
        }
    }

    /**
     * waitpid(2) without waiting, for children that Java did not start (adopted, see {@link #setChildSubreaper}).
     *
     * @return the wait status as in wait(2), or empty if it runs still
     * @throws LinuxException ECHILD if it is no child of this process, or was reaped already
     */
    public static OptionalInt reap(long pid) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment status = arena.allocate(JAVA_INT);
            int result = (int) Libc.call(Calls.WAITPID, pid, status.address(), WNOHANG);
            if (result < 0) {
                throw new LinuxException("waitpid(" + pid + ", WNOHANG)", Libc.errno());
            }
            return result == 0 ? OptionalInt.empty() : OptionalInt.of(status.get(JAVA_INT, 0));
        }
    }

    private static void prctl(int option, String name, boolean on) throws LinuxException {
        if ((int) Libc.call(Calls.PRCTL, option, on ? 1 : 0) < 0) {
            throw new LinuxException("prctl(" + name + ", " + (on ? 1 : 0) + ")", Libc.errno());
        }
    }

    private static final class Calls {
        static final MemorySegment GETPID = Libc.function("getpid");
        static final MemorySegment GETUID = Libc.function("getuid");
        static final MemorySegment GETEUID = Libc.function("geteuid");
        static final MemorySegment KILL = Libc.function("kill");
        static final MemorySegment SETSID = Libc.function("setsid");
        static final MemorySegment PRCTL = Libc.function("prctl");
        static final MemorySegment MLOCKALL = Libc.function("mlockall");
        static final MemorySegment WAITPID = Libc.function("waitpid");

        private Calls() {}
    }
}
