package dev.satchel.session;

import dev.satchel.linux.Fd;
import dev.satchel.linux.Mounts;
import dev.satchel.linux.Processes;
import dev.satchel.pod.Pod;
import dev.satchel.vault.SessionId;
import dev.satchel.volume.MountedVolume;
import java.io.IOException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Where a running session keeps its mounts, sockets and bundle on this host. It is there exactly as long as the session runs; a
 * lock on it, which the kernel takes back from a process that dies, says whether its supervisor lives. What a dead one left there
 * is undone by the next command that wants the session.
 */
final class RunDirectory implements AutoCloseable {
    private static final Path ROOTS = Path.of("/run/satchel");
    private static final int MOUNT_DEPTH_MAX = 8;

    private final Path path;
    private final SessionId session;
    private @Nullable Fd lock;

    private RunDirectory(Path path, SessionId session) {
        this.path = path;
        this.session = session;
    }

    static RunDirectory of(Host host, SessionId session) {
        return new RunDirectory(host.runDirectory(session), session);
    }

    /**
     * The sessions of this host whose supervisors were started with that word among others, as they are with the session's name. None may
     * be meant, or one that is missing here: whoever asks one must be told who answers.
     */
    static List<RunDirectory> startedWith(Host host, String word) throws IOException {
        List<RunDirectory> found = new ArrayList<>();
        try (DirectoryStream<Path> runs = Files.newDirectoryStream(host.runs())) {
            for (Path path : runs) {
                SessionId session;
                try {
                    session = SessionId.parse(String.valueOf(path.getFileName()));
                } catch (IllegalArgumentException e) {
                    continue; // not one of ours
                }
                RunDirectory run = of(host, session);
                if (run.supervisorsLine().contains(word)) {
                    found.add(run);
                }
            }
        } catch (NoSuchFileException e) {
            return List.of();
        }
        return found;
    }

    private List<String> supervisorsLine() throws IOException {
        Optional<JsonObject> noted = note();
        return noted.isEmpty()
                ? List.of()
                : Processes.commandLine(
                        Path.of("/proc", Long.toString(noted.get().number("supervisor_pid"))));
    }

    /** What was left here, by a supervisor that lives or one that died. */
    boolean exists() {
        return Files.isDirectory(path);
    }

    /** Whether a supervisor holds it. */
    boolean supervised() throws IOException {
        if (!exists()) {
            return false;
        }
        try (Fd file = Fd.open(path.resolve("lock"), Fd.O_RDWR | Fd.O_CLOEXEC)) {
            return !file.tryLock();
        } catch (dev.satchel.linux.LinuxException e) {
            if (!exists() || e.errno() == 2) {
                return false; // it ends just now
            }
            throw e;
        }
    }

    /**
     * Takes it for this process, having undone what a dead supervisor left.
     *
     * @return false when a supervisor that lives has it
     */
    boolean claim() throws IOException {
        Files.createDirectories(
                path, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Fd file = Fd.open(path.resolve("lock"), Fd.O_RDWR | Fd.O_CREAT | Fd.O_CLOEXEC, 0600);
        try {
            if (!file.tryLock()) {
                file.close();
                return false;
            }
            lock = file;
            undoLeftovers();
        } catch (IOException | RuntimeException e) {
            lock = null;
            file.close();
            throw e;
        }
        return true;
    }

    private void undoLeftovers() throws IOException {
        Pod.cleanUp(podId(), pod());
        Network.cleanUp(this);
        removeRoot();
        for (Path mount : new Path[] {pod().resolve("images").resolve("pages"), pod().resolve("images")}) {
            for (int depth = 0; depth < MOUNT_DEPTH_MAX && Mounts.isMountPoint(mount); depth++) {
                Mounts.unmount(mount, Mounts.MNT_DETACH);
            }
        }
        MountedVolume.cleanUpAfterCrash(volume());
        for (int depth = 0; depth < MOUNT_DEPTH_MAX && Mounts.isMountPoint(files()); depth++) {
            Mounts.unmount(files(), Mounts.MNT_DETACH);
        }
        DirectoryTree.deleteContents(path, path.resolve("lock"));
    }

    SessionId session() {
        return session;
    }

    /** The pod's name on this host: two hosts on one machine may run two sessions of one id. */
    String podId() {
        return session + "-" + Integer.toHexString(path.toString().hashCode());
    }

    Path control() {
        return path.resolve("control");
    }

    Path volume() {
        return path.resolve("volume");
    }

    /** The file system as it is. */
    Path files() {
        return path.resolve("files");
    }

    /**
     * The file system with the pod's ids. Not in the state directory: the pod's first process, nobody outside, must be able to walk
     * there, and a state directory may lie where only root can.
     */
    Path root() {
        return ROOTS.resolve(podId()).resolve("root");
    }

    /** Makes {@link #root}, in a directory that only the host's root and the pod's can enter. */
    void makeRoot(long idBase) throws IOException {
        Path directory = ROOTS.resolve(podId());
        Files.createDirectories(
                ROOTS, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx--x--x")));
        Files.createDirectory(
                directory, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Files.setAttribute(directory, "unix:gid", (int) idBase);
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx--x---"));
        Files.createDirectory(root());
    }

    /** Unmounts and removes {@link #root}; does nothing when it is not there. */
    void removeRoot() throws IOException {
        for (int depth = 0; depth < MOUNT_DEPTH_MAX && Mounts.isMountPoint(root()); depth++) {
            Mounts.unmount(root(), Mounts.MNT_DETACH);
        }
        DirectoryTree.delete(ROOTS.resolve(podId()));
    }

    Path network() {
        return path.resolve("network");
    }

    Path pod() {
        return path.resolve("pod");
    }

    /** Where the supervisor writes what it has to say; gone with the session. */
    Path supervisorLog() {
        return path.resolve("supervisor.log");
    }

    /** What is the matter with the session, see {@link Troubles}; there is none if nothing is. */
    Path trouble() {
        return path.resolve("trouble");
    }

    /** Notes what others need to know. */
    void note(String vault, long initPid) throws IOException {
        Path fresh = path.resolve("note.new");
        Files.write(
                fresh,
                Json.write(Map.of(
                        "vault", vault,
                        "supervisor_pid", (long) Processes.pid(),
                        "init_pid", initPid)));
        Files.move(fresh, path.resolve("note"), StandardCopyOption.ATOMIC_MOVE);
    }

    Optional<JsonObject> note() throws IOException {
        try {
            return Optional.of(Json.read(Files.readAllBytes(path.resolve("note"))));
        } catch (NoSuchFileException e) {
            return Optional.empty();
        }
    }

    /** Another session's directory may be there, or come just now. */
    private static void removeIfEmpty(@Nullable Path parent) throws IOException {
        try {
            if (parent != null) {
                Files.deleteIfExists(parent);
            }
        } catch (DirectoryNotEmptyException e) {
            return;
        }
    }

    /** Removes it; everything in it must have been undone by its owners. */
    @Override
    public void close() throws IOException {
        Fd held = lock;
        if (held == null) {
            return;
        }
        lock = null;
        try (held) {
            if (Mounts.isMountPoint(files())) {
                throw new IOException(files() + " is still mounted: unmount it, then remove " + path);
            }
            DirectoryTree.deleteContents(path, path.resolve("lock"));
            Files.delete(path.resolve("lock"));
            Files.delete(path);
            removeIfEmpty(path.getParent());
        }
    }
}
