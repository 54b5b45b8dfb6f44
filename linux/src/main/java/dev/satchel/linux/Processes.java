package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/** This process and others: identity, signals, prctl(2). See {@link PidFd} for waiting. */
public final class Processes {
    private static final int PRIO_PROCESS = 0;

    public static final int SIGHUP = 1;
    public static final int SIGINT = 2;
    public static final int SIGKILL = 9;
    public static final int SIGUSR1 = 10;
    public static final int SIGTERM = 15;
    public static final int SIGCONT = 18;
    public static final int SIGSTOP = 19;

    /** Of an environment or a command line so much is looked at. */
    private static final int TEXTS_BYTES_MAX = 64 << 10;

    private static final int PR_SET_DUMPABLE = 4;
    private static final int PR_SET_CHILD_SUBREAPER = 36;
    private static final int PR_SET_IO_FLUSHER = 57;
    private static final int WNOHANG = 1;
    private static final int MCL_CURRENT = 1;
    private static final int MCL_FUTURE = 2;
    private static final int MCL_ONFAULT = 4;
    private static final int CLOSE_RANGE_CLOEXEC = 4;
    private static final int SIG_SETMASK = 2;
    private static final long SIGSET_BYTES = 128; // the C library's, larger than the kernel's

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

    /**
     * What a process is called, proc_pid_comm(5), for messages.
     *
     * @param process its directory in /proc
     * @return empty when it has ended, or can't be looked at
     */
    public static Optional<String> commandName(Path process) {
        try {
            return Optional.of(Files.readString(process.resolve("comm")).strip());
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    /**
     * What a process has in its environment, proc_pid_environ(5), as it began with; empty if it has ended.
     *
     * @param process its directory in {@code /proc}
     */
    public static Map<String, String> environment(Path process) {
        Map<String, String> environment = new LinkedHashMap<>();
        for (String variable : texts(process.resolve("environ"))) {
            int equals = variable.indexOf('=');
            if (equals > 0) {
                environment.put(variable.substring(0, equals), variable.substring(equals + 1));
            }
        }
        return environment;
    }

    /**
     * What a process was started as, proc_pid_cmdline(5); empty if it has ended.
     *
     * @param process its directory in {@code /proc}
     */
    public static List<String> commandLine(Path process) {
        return texts(process.resolve("cmdline"));
    }

    /** Those that end with a zero, of a file that may not be there any more. */
    private static List<String> texts(Path file) {
        byte[] bytes;
        try (InputStream in = Files.newInputStream(file)) {
            bytes = in.readNBytes(TEXTS_BYTES_MAX);
        } catch (IOException e) {
            return List.of();
        }
        List<String> texts = new ArrayList<>();
        int from = 0;
        for (int to = 0; to < bytes.length; to++) {
            if (bytes[to] == 0) {
                texts.add(new String(bytes, from, to - from, StandardCharsets.UTF_8));
                from = to + 1;
            }
        }
        return texts;
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

    /**
     * Runs a command in this process's place, execve(2): the same process id, terminal, standard streams and environment. Every
     * other descriptor is closed on the way, and no signal stays blocked (the JVM blocks SIGQUIT in its threads). The JVM is gone
     * at once: no shutdown hook runs, and nothing is let go that the kernel does not let go by itself.
     *
     * @param command looked up in PATH if its first word has no slash
     * @throws LinuxException when the command can't be started; then this process goes on, with its descriptors
     */
    public static void replace(List<String> command) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment arguments = arena.allocate(8L * (command.size() + 1), 8);
            for (int i = 0; i < command.size(); i++) {
                arguments.setAtIndex(JAVA_LONG, i, Libc.string(arena, command.get(i)));
            }
            if ((int) Libc.call(Exec.CLOSE_RANGE, 3, 0xffff_ffffL, CLOSE_RANGE_CLOEXEC) < 0) {
                throw new LinuxException("close_range(3, ~0, CLOSE_RANGE_CLOEXEC)", Libc.errno());
            }
            MemorySegment none = arena.allocate(SIGSET_BYTES, 8);
            if ((int) Libc.call(Exec.SIGPROCMASK, SIG_SETMASK, none.address(), 0) < 0) {
                throw new LinuxException("sigprocmask(SIG_SETMASK)", Libc.errno());
            }
            Libc.call(Exec.EXECVP, arguments.getAtIndex(JAVA_LONG, 0), arguments.address());
            throw new LinuxException("execvp(" + command.getFirst() + ")", Libc.errno());
        }
    }

    /**
     * posix_spawnp(3) with these as standard input and output, this process's standard error and no other descriptor. Ten times as
     * fast as {@link ProcessBuilder} in a cold JVM; the caller waits for it with {@link #awaitEnd}.
     *
     * @param command looked up in PATH if its first word has no slash; its environment is a PATH and no more
     * @return its process id
     */
    public static int start(List<String> command, Fd input, Fd output) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            return start(arena, command, input, output);
        }
    }

    private static int start(Arena arena, List<String> command, Fd input, Fd output) throws LinuxException {
        MemorySegment argv = arena.allocate(8L * (command.size() + 1), 8);
        for (int i = 0; i < command.size(); i++) {
            argv.setAtIndex(JAVA_LONG, i, Libc.string(arena, command.get(i)));
        }
        MemorySegment environment = arena.allocate(16, 8);
        environment.set(JAVA_LONG, 0, Libc.string(arena, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"));
        MemorySegment pid = arena.allocate(JAVA_INT);
        // posix_spawn_file_actions_t is opaque, 80 bytes in glibc.
        MemorySegment actions = arena.allocate(256, 16);
        long address = actions.fill((byte) 0).address();
        Libc.call(Spawn.ACTIONS_INIT, address);
        try {
            Libc.call(Spawn.ACTIONS_DUP2, address, input.number(), 0);
            Libc.call(Spawn.ACTIONS_DUP2, address, output.number(), 1);
            Libc.call(Spawn.ACTIONS_CLOSE_FROM, address, 3);
            int errno = (int) Libc.call(
                    Spawn.SPAWN,
                    pid.address(),
                    argv.get(JAVA_LONG, 0),
                    address,
                    0,
                    argv.address(),
                    environment.address());
            if (errno != 0) {
                throw new LinuxException("posix_spawnp(" + String.join(" ", command) + ")", errno);
            }
        } finally {
            Libc.call(Spawn.ACTIONS_DESTROY, address);
        }
        return pid.get(JAVA_INT, 0);
    }

    /** waitpid(2): waits until a child that Java did not start has ended, and takes notice of it. */
    public static void awaitEnd(long child) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment status = arena.allocate(JAVA_INT);
            int result;
            do {
                result = (int) Libc.call(Calls.WAITPID, child, status.address(), 0);
            } while (result < 0 && Libc.errno() == Errno.EINTR);
        }
    }

    /**
     * setpriority(2) of the calling thread, which must be a platform thread: on Linux a thread has a nice value of its own. A hint, so
     * its failure is of no interest.
     *
     * @param nice 0 to 19: the higher, the more others have of the processor
     */
    public static void beNice(int nice) {
        Libc.call(Priority.SETPRIORITY, PRIO_PROCESS, 0, nice);
    }

    private static void prctl(int option, String name, boolean on) throws LinuxException {
        if ((int) Libc.call(Calls.PRCTL, option, on ? 1 : 0) < 0) {
            throw new LinuxException("prctl(" + name + ", " + (on ? 1 : 0) + ")", Libc.errno());
        }
    }

    private static final class Spawn {
        static final MemorySegment SPAWN = Libc.function("posix_spawnp");
        static final MemorySegment ACTIONS_INIT = Libc.function("posix_spawn_file_actions_init");
        static final MemorySegment ACTIONS_DESTROY = Libc.function("posix_spawn_file_actions_destroy");
        static final MemorySegment ACTIONS_DUP2 = Libc.function("posix_spawn_file_actions_adddup2");
        static final MemorySegment ACTIONS_CLOSE_FROM = Libc.function("posix_spawn_file_actions_addclosefrom_np");

        private Spawn() {}
    }

    private static final class Priority {
        static final MemorySegment SETPRIORITY = Libc.function("setpriority");

        private Priority() {}
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

    private static final class Exec {
        static final MemorySegment CLOSE_RANGE = Libc.function("close_range");
        static final MemorySegment SIGPROCMASK = Libc.function("sigprocmask");
        static final MemorySegment EXECVP = Libc.function("execvp");

        private Exec() {}
    }
}
