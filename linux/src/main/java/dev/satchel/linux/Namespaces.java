package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/** Making and entering namespaces, namespaces(7). */
public final class Namespaces {
    /** Kinds that one thread can enter alone, setns(2). */
    public enum Kind {
        IPC("ipc", 0x08000000),
        NET("net", 0x40000000);

        private final String file;
        private final int flag;

        Kind(String file, int flag) {
            this.file = file;
            this.flag = flag;
        }
    }

    private Namespaces() {}

    /** The namespace of that kind that a process is in; closing it is the caller's. */
    public static Fd of(long pid, Kind kind) throws LinuxException {
        return Fd.open(Path.of("/proc/" + pid + "/ns/" + kind.file), Fd.O_RDONLY);
    }

    /**
     * Moves the calling thread, which must be a platform thread, into that namespace, setns(2). Only this thread: so use one made
     * for it, and let it end afterwards.
     */
    public static void enter(Fd namespace, Kind kind) throws LinuxException {
        if (Thread.currentThread().isVirtual()) {
            throw new IllegalStateException("a virtual thread would take its carrier into the namespace");
        }
        if ((int) Libc.call(Calls.SETNS, namespace.number(), kind.flag) < 0) {
            throw new LinuxException("setns(" + namespace + ", " + kind + ")", Libc.errno());
        }
    }

    /** What is done in another namespace. */
    public interface Visit<T> {
        T make() throws IOException;
    }

    /** Does something in the namespace of that kind that a process is in, on a thread made for it, and waits for it. */
    public static <T> T within(long pid, Kind kind, Visit<T> visit) throws IOException {
        FutureTask<T> inside = new FutureTask<>(() -> {
            try (Fd namespace = of(pid, kind)) {
                enter(namespace, kind);
            }
            return visit.make();
        });
        Thread.ofPlatform().name("inside-" + kind.file).daemon().start(inside);
        try {
            return inside.get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof IOException cause) {
                throw cause;
            }
            throw new IllegalStateException(e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while something was done in a namespace of process " + pid, e);
        }
    }

    /**
     * Moves the calling thread, which must be a platform thread, into a new namespace of that kind, unshare(2), and gives the
     * namespace, which lives as long as a thread is in it or a descriptor of it is open.
     */
    public static Fd unshare(Kind kind) throws LinuxException {
        if (Thread.currentThread().isVirtual()) {
            throw new IllegalStateException("a virtual thread would take its carrier into the namespace");
        }
        if ((int) Libc.call(Calls.UNSHARE, kind.flag) < 0) {
            throw new LinuxException("unshare(" + kind + ")", Libc.errno());
        }
        return Fd.open(Path.of("/proc/thread-self/ns/" + kind.file), Fd.O_RDONLY);
    }

    /**
     * A new user namespace with these id maps, which lives as long as the descriptor or a mount made with it. As root of the
     * parent namespace.
     */
    public static Fd user(List<IdMap> users, List<IdMap> groups) throws IOException {
        // unshare(2) refuses CLONE_NEWUSER in a process with several threads, so another process does it and waits
        // until its
        // standard input ends: it dies with us too. It tells when it is inside.
        try (Arena arena = Arena.ofConfined();
                Fd.Pipe stop = Fd.pipe();
                Fd.Pipe ready = Fd.pipe()) {
            int pid = spawn(
                    arena,
                    List.of("unshare", "--user", "--", "sh", "-c", "echo && read line"),
                    stop.reader(),
                    ready.writer());
            try {
                stop.reader().close();
                ready.writer().close();
                if (ready.reader().read(arena.allocate(1)) != 1) {
                    throw new IOException("no new user namespace: unshare --user failed: if sysctl"
                            + " says that user.max_user_namespaces is 0, raise it; in a chroot there are none");
                }
                writeMap(pid, "uid_map", users);
                writeMap(pid, "gid_map", groups);
                return Fd.open(Path.of("/proc/" + pid + "/ns/user"), Fd.O_RDONLY);
            } finally {
                stop.writer().close();
                MemorySegment status = arena.allocate(JAVA_INT);
                while ((int) Libc.call(Calls.WAITPID, pid, status.address(), 0) < 0 && Libc.errno() == Errno.EINTR) {}
            }
        }
    }

    /** proc_pid_uid_map(5) wants all ranges in one write(2). */
    private static void writeMap(int pid, String file, List<IdMap> ranges) throws IOException {
        StringBuilder text = new StringBuilder();
        for (IdMap range : ranges) {
            text.append(range.inside())
                    .append(' ')
                    .append(range.outside())
                    .append(' ')
                    .append(range.count())
                    .append('\n');
        }
        try {
            Files.writeString(Path.of("/proc/" + pid + "/" + file), text);
        } catch (IOException e) {
            throw new IOException("new user namespace: " + file + " refuses " + ranges, e);
        }
    }

    /**
     * posix_spawnp(3) with these as standard input and output and no other descriptor. Ten times as fast as {@link ProcessBuilder}
     * in a cold JVM, and the parent reaps.
     */
    private static int spawn(Arena arena, List<String> command, Fd input, Fd output) throws LinuxException {
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

    private static final class Calls {
        static final MemorySegment SETNS = Libc.function("setns");
        static final MemorySegment UNSHARE = Libc.function("unshare");
        static final MemorySegment WAITPID = Libc.function("waitpid");

        private Calls() {}
    }

    private static final class Spawn {
        static final MemorySegment SPAWN = Libc.function("posix_spawnp");
        static final MemorySegment ACTIONS_INIT = Libc.function("posix_spawn_file_actions_init");
        static final MemorySegment ACTIONS_DESTROY = Libc.function("posix_spawn_file_actions_destroy");
        static final MemorySegment ACTIONS_DUP2 = Libc.function("posix_spawn_file_actions_adddup2");
        static final MemorySegment ACTIONS_CLOSE_FROM = Libc.function("posix_spawn_file_actions_addclosefrom_np");

        private Spawn() {}
    }
}
