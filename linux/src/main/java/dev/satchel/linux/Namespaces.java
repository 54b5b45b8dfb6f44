package dev.satchel.linux;

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
            int pid = Processes.start(
                    List.of("unshare", "--user", "--", "sh", "-c", "echo && read line"), stop.reader(), ready.writer());
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
                Processes.awaitEnd(pid);
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

    private static final class Calls {
        static final MemorySegment SETNS = Libc.function("setns");
        static final MemorySegment UNSHARE = Libc.function("unshare");

        private Calls() {}
    }
}
