package dev.satchel.pod;

import dev.satchel.linux.Mount;
import dev.satchel.linux.Mounts;
import dev.satchel.linux.Processes;
import java.io.IOException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * A pod's control group: one directory in the unified hierarchy (cgroups(7) version 2), or one in each hierarchy of version 1, or
 * both where a host mounts them side by side.
 */
final class Cgroup implements AutoCloseable {
    static final String THAWED = "THAWED";
    private static final int CPU_PERIOD_MICROS = 100_000;
    private static final int REMOVE_TRIES_MAX = 100;

    private final List<Path> directories;
    private final String path;

    private Cgroup(String path, List<Path> directories) {
        this.path = path;
        this.directories = directories;
    }

    /**
     * Makes the group, or takes the one that is there, and sets its limits.
     *
     * @param path below each hierarchy's root, e.g. {@code satchel/<session>}
     */
    static Cgroup create(String path, OptionalLong memoryBytes, Optional<Double> cpus) throws IOException {
        Cgroup group = new Cgroup(path, new ArrayList<>());
        try {
            for (Mount mount : Mounts.list()) {
                boolean unified = mount.type().equals("cgroup2");
                if (!unified && !mount.type().equals("cgroup")) {
                    continue;
                }
                Path directory = mount.target().resolve(path);
                if (unified) {
                    delegate(mount.target(), directory);
                }
                Files.createDirectories(directory);
                group.directories.add(directory);
                group.limit(directory, unified, memoryBytes, cpus);
            }
            if (group.directories.isEmpty()) {
                throw new IOException("no control groups are mounted: mount them at /sys/fs/cgroup");
            }
        } catch (IOException | RuntimeException e) {
            group.close();
            throw e;
        }
        return group;
    }

    /** Version 2 wants a controller switched on in every group above before a group has its files. */
    private static void delegate(Path root, Path directory) throws IOException {
        String controllers = read(root.resolve("cgroup.controllers"));
        for (Path group = root;
                !group.equals(directory);
                group = group.resolve(directory.getName(group.getNameCount()))) {
            Files.createDirectories(group);
            for (String controller : new String[] {"memory", "cpu", "pids"}) {
                if ((" " + controllers + " ").contains(" " + controller + " ")) {
                    Files.writeString(group.resolve("cgroup.subtree_control"), "+" + controller);
                }
            }
        }
    }

    private void limit(Path directory, boolean unified, OptionalLong memoryBytes, Optional<Double> cpus)
            throws IOException {
        if (unified) {
            set(directory, "memory.max", memoryBytes.isPresent() ? Long.toString(memoryBytes.getAsLong()) : "max");
            set(
                    directory,
                    "cpu.max",
                    (cpus.isPresent() ? Long.toString(Math.round(cpus.get() * CPU_PERIOD_MICROS)) : "max") + " "
                            + CPU_PERIOD_MICROS);
        } else {
            set(directory, "memory.limit_in_bytes", Long.toString(memoryBytes.orElse(-1)));
            set(directory, "cpu.cfs_period_us", Integer.toString(CPU_PERIOD_MICROS));
            set(
                    directory,
                    "cpu.cfs_quota_us",
                    Long.toString(cpus.isPresent() ? Math.round(cpus.get() * CPU_PERIOD_MICROS) : -1));
            // cpuset(7): a new version 1 group has no processors and no memory nodes, and takes no process until it
            // has.
            inherit(directory, "cpuset.cpus");
            inherit(directory, "cpuset.mems");
        }
    }

    /** Sets a limit where the hierarchy has that controller. */
    private static void set(Path directory, String file, String value) throws IOException {
        Path path = directory.resolve(file);
        if (Files.exists(path)) {
            Files.writeString(path, value);
        }
    }

    private static void inherit(Path directory, String file) throws IOException {
        Path path = directory.resolve(file);
        Path parent = directory.getParent();
        if (parent == null || !Files.exists(path) || !Files.exists(parent.resolve(file))) {
            return;
        }
        if (read(parent.resolve(file)).isEmpty()) {
            inherit(parent, file);
        }
        if (read(path).isEmpty()) {
            Files.writeString(path, read(parent.resolve(file)));
        }
    }

    private static String read(Path file) throws IOException {
        return Files.readString(file).strip();
    }

    /** Path below each hierarchy's root, with a slash before it, as an OCI bundle names it. */
    String ociPath() {
        return "/" + path;
    }

    /** The {@code cgroup.procs} file of each hierarchy: a process joins by writing its pid to all. */
    List<Path> processFiles() {
        List<Path> files = new ArrayList<>();
        for (Path directory : directories) {
            files.add(directory.resolve("cgroup.procs"));
        }
        return files;
    }

    /** Pids, in the host's namespace, of what is in the group. */
    List<Long> processes() throws IOException {
        return ids(processFiles().getFirst());
    }

    /** Thread ids, in the host's namespace, of all of them. */
    List<Long> threads() throws IOException {
        Path unified = directories.getFirst().resolve("cgroup.threads");
        return ids(Files.exists(unified) ? unified : directories.getFirst().resolve("tasks"));
    }

    private static List<Long> ids(Path file) throws IOException {
        List<Long> ids = new ArrayList<>();
        for (String line : Files.readAllLines(file)) {
            ids.add(Long.parseLong(line));
        }
        return ids;
    }

    /** Has all of its processes stand still, or go on; they may take a moment to stop (cgroups(7), {@code cgroup.freeze}). */
    void freeze(boolean still) throws IOException {
        Optional<Path> freezer = freezer();
        if (freezer.isPresent()) {
            Files.writeString(freezer.get(), still ? "FROZEN" : THAWED);
            return;
        }
        for (Path directory : directories) {
            Path file = directory.resolve("cgroup.freeze");
            if (Files.exists(file)) {
                Files.writeString(file, still ? "1" : "0");
                return;
            }
        }
    }

    /**
     * The {@code freezer.state} of a hierarchy of version 1. A process that it has frozen hears SIGKILL when {@link #THAWED} is written
     * there; one that version 2 has frozen hears it at once.
     */
    Optional<Path> freezer() {
        for (Path directory : directories) {
            Path file = directory.resolve("freezer.state");
            if (Files.exists(file)) {
                return Optional.of(file);
            }
        }
        return Optional.empty();
    }

    /** Removes the group; its processes must be gone or going. */
    @Override
    public void close() throws IOException {
        remove(directories);
    }

    /** Kills what is in the group of that path and removes it, in whatever hierarchies it is; does nothing when it is not there. */
    static void endIfPresent(String path, long timeoutMillis) throws IOException {
        List<Path> directories = new ArrayList<>();
        for (Mount mount : Mounts.list()) {
            if (mount.type().equals("cgroup2") || mount.type().equals("cgroup")) {
                Path directory = mount.target().resolve(path);
                if (Files.isDirectory(directory)) {
                    directories.add(directory);
                }
            }
        }
        if (directories.isEmpty()) {
            return;
        }
        Cgroup group = new Cgroup(path, directories);
        long deadline = System.nanoTime() + timeoutMillis * 1_000_000;
        for (List<Long> pids = group.processes(); !pids.isEmpty(); pids = group.processes()) {
            if (System.nanoTime() > deadline) {
                throw new IOException(
                        "process " + pids.getFirst() + " of a dead session does not end: it waits for a device");
            }
            for (long pid : pids) {
                Processes.kill(pid, Processes.SIGKILL);
            }
            group.freeze(false);
            pause();
        }
        group.close();
    }

    private static void remove(List<Path> directories) throws IOException {
        for (Path directory : directories) {
            // A group whose last process was just reaped stays busy for a moment.
            for (int tries = 0; ; tries++) {
                try {
                    Files.delete(directory);
                    break;
                } catch (NoSuchFileException e) {
                    break;
                } catch (DirectoryNotEmptyException e) {
                    throw e;
                } catch (FileSystemException e) {
                    if (tries == REMOVE_TRIES_MAX) {
                        throw e;
                    }
                    pause();
                }
            }
        }
    }

    private static void pause() throws IOException {
        try {
            Thread.sleep(10);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while a control group was being removed", e);
        }
    }
}
