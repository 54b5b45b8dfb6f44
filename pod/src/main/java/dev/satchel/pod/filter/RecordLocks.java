package dev.satchel.pod.filter;

import dev.satchel.linux.Processes;
import dev.satchel.linux.RecordLock;
import dev.satchel.linux.Tracee;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * POSIX record locks. CRIU 4.2.1 sets them before it opens the files of mappings (criu/cr-restore.c, restore_one_alive_task) and
 * closes those in the same process, which drops all of its locks on such a file, fcntl(2): without a word an SQLite transaction in
 * WAL mode loses what keeps others out. Here they are set once more; one that is still there stays. On x86-64 only.
 */
public final class RecordLocks {
    private static final int MAGIC_FILE_LOCKS = 0x54323616;
    private static final int POSIX = 1; // criu/include/file-lock.h

    // file_lock_entry, images/file-lock.proto
    private static final int KIND = 1;
    private static final int TYPE = 2;
    private static final int PROCESS = 3;
    private static final int DESCRIPTOR = 4;
    private static final int START = 5;
    private static final int LENGTH = 6;

    private static final int F_RDLCK = 0;
    private static final int F_WRLCK = 1;

    private record Held(int fd, RecordLock lock) {}

    /** By process inside. */
    private final Map<Long, List<Held>> locks;

    private RecordLocks(Map<Long, List<Held>> locks) {
        this.locks = locks;
    }

    /** Those in the images in {@code directory}. */
    public static RecordLocks of(Path directory) throws IOException {
        Map<Long, List<Held>> locks = new HashMap<>();
        Path file = directory.resolve("filelocks.img");
        if (!Files.exists(file) || !Tracee.supported()) {
            return new RecordLocks(locks);
        }
        for (Message entry : ImageFile.read(file, MAGIC_FILE_LOCKS).messages()) {
            if ((entry.number(KIND) & POSIX) == 0) {
                continue;
            }
            long type = entry.number(TYPE);
            if (type != F_RDLCK && type != F_WRLCK) {
                throw new IOException(file + " has a record lock of unknown type " + type);
            }
            RecordLock lock = new RecordLock(type == F_WRLCK, entry.number(START), entry.number(LENGTH));
            locks.computeIfAbsent(entry.number(PROCESS), key -> new ArrayList<>())
                    .add(new Held((int) entry.number(DESCRIPTOR), lock));
        }
        return new RecordLocks(locks);
    }

    /** Whether there are none, so that {@link #set} has nothing to do. */
    public boolean isEmpty() {
        return locks.isEmpty();
    }

    /**
     * Sets them, each in the process whose it is. No program of the pod may run meanwhile, nor have a tracer. From a platform thread.
     *
     * @param processes the pod's, in the host's pid namespace; others among them are left alone
     * @param initPid its first process, in the host's pid namespace
     */
    public void set(List<Long> processes, long initPid) throws IOException {
        Map<Long, Long> outer = InnerIds.toOuter(processes, initPid);
        for (Map.Entry<Long, List<Held>> entry : locks.entrySet()) {
            long inner = entry.getKey();
            Long process = outer.get(inner);
            if (process == null) {
                throw new IOException("process " + inner + " of the session holds record locks and did not come back");
            }
            set(inner, process, entry.getValue());
        }
    }

    private static void set(long inner, long process, List<Held> locks) throws IOException {
        Path directory = InnerIds.directory(process);
        int fd = -1;
        try (Tracee tracee = Tracee.stop(process)) {
            for (Held held : locks) {
                fd = held.fd();
                held.lock().set(tracee, fd);
            }
        } catch (IOException e) {
            throw new IOException(
                    "a record lock of the session's process " + inner + " ("
                            + Processes.commandName(directory).orElse("ended") + ")"
                            + (fd < 0 ? "" : " on " + file(directory, fd)) + " could not be set again: "
                            + e.getMessage(),
                    e);
        }
    }

    private static String file(Path process, int fd) {
        try {
            return Files.readSymbolicLink(process.resolve("fd").resolve(Integer.toString(fd)))
                    .toString();
        } catch (IOException e) {
            return "its descriptor " + fd;
        }
    }
}
