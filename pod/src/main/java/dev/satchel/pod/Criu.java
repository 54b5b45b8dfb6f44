package dev.satchel.pod;

import dev.satchel.linux.Processes;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * CRIU, driven by its command line (criu(8)): the OCI runtime's own checkpoint costs a second start of CRIU, of itself, and has no
 * way to the options needed here.
 */
final class Criu {
    /** Mounts of a pod whose other end is the host's; named after themselves on both sides. */
    static final List<String> DEVICES =
            List.of("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty");

    /** A file that the runtime hides from the pod, by mounting the host's {@code /dev/null} over it. */
    static final String MASKED = "/proc/keys";

    /** Deleted files that are still open go into the image, whatever their size: they are nowhere else. */
    private static final String GHOST_LIMIT = "16G";

    /** tar(1) keeps the files of a tmpfs in the image; its own format has times of whole seconds. */
    private static final Map<String, String> RESTORE_ENVIRONMENT = Map.of("TAR_OPTIONS", "--format=posix");

    /**
     * CRIU 4.2.1 takes the inner id of a thread that a timer notifies from memory it has not yet written, and gives up when that
     * happens to be 0. mallopt(3)'s M_PERTURB sees to it that it is not, and nothing that is an id; {@code TimerThreads} puts the
     * right one in.
     */
    private static final Map<String, String> DUMP_ENVIRONMENT = Map.of(
            "TAR_OPTIONS", "--format=posix", "GLIBC_TUNABLES", "glibc.malloc.perturb=1:glibc.malloc.tcache_count=0");

    /** What CRIU says, before a process's id, of one whose terminal is its parent's doing. */
    private static final String TERMINAL = "ctty pid_real ";

    /** What CRIU says, before a process's id, when it can't trace it. */
    private static final String UNSEIZABLE = "Unseizable non-zombie ";

    /** Where CRIU makes its cache of what the kernel can do, which saves 20 ms of each of its starts (criu/kerndat.c). */
    private static final Path NEW_KERNEL_CACHE = Path.of("/run/criu.kdat.tmp");

    /** CRIU needs some microseconds from making that file to renaming it. */
    private static final long ABANDONED_MILLIS = 60_000;

    private final Path program;

    Criu(Path program) {
        this.program = program;
    }

    /**
     * Freezes a pod, passes its state on to {@code stream}, and ends it, or lets it go on when {@code leaveRunning} or when a hook or
     * anything else fails.
     *
     * @param root the pod's root on the host
     * @param images where it writes its log, in memory
     * @param stream takes the images
     * @param external what is not CRIU's to dump, beside the mounts of each pod
     * @param processor where CRIU itself runs
     */
    void dump(
            long initPid,
            Path root,
            Path images,
            ImageStream stream,
            List<String> external,
            Hooks hooks,
            OneProcessor processor,
            boolean leaveRunning)
            throws IOException {
        List<String> line = new ArrayList<>(List.of(
                program.toString(),
                "dump",
                "--tree",
                Long.toString(initPid),
                "--stream",
                "--images-dir",
                stream.shortPath().toString(),
                "--log-file",
                "dump.log",
                "--root",
                root.toString(),
                "--network-lock",
                "skip",
                // A connection that no accept(2) has taken yet is lost, as if its packets were; without this the
                // checkpoint is.
                "--skip-in-flight",
                "--action-script",
                hooks.script().toString()));
        common(line);
        for (String one : external) {
            line.add("--external");
            line.add(one);
        }
        if (leaveRunning) {
            line.add("--leave-running");
        }
        try {
            run(line, DUMP_ENVIRONMENT, images, images.resolve("dump.log"), hooks, processor::take, "checkpoint");
        } catch (CheckpointException e) {
            // CRIU only sees that nobody reads any more.
            Throwable cause = stream.failure();
            throw cause == null ? e : new IOException("checkpoint failed: " + cause.getMessage(), cause);
        }
    }

    /**
     * Brings a pod back from {@code images}; when this returns its programs run.
     *
     * @param lazy whether a {@link LazyMemory} that listens in {@code work} has the lazy pages
     * @return its first process, in the host's pid namespace
     */
    long restore(Path root, Path images, Path work, Cgroup cgroup, Hooks hooks, boolean lazy) throws IOException {
        Path pidFile = work.resolve("restored.pid");
        Files.deleteIfExists(pidFile);
        List<String> line = new ArrayList<>(List.of(
                program.toString(),
                "restore",
                "--restore-detached",
                "--images-dir",
                images.toString(),
                "--work-dir",
                work.toString(),
                "--log-file",
                "restore.log",
                "--pidfile",
                pidFile.toString(),
                "--root",
                root.toString(),
                "--action-script",
                hooks.script().toString()));
        common(line);
        if (lazy) {
            line.add("--lazy-pages");
        }
        run(
                Launcher.inCgroup(cgroup, line),
                RESTORE_ENVIRONMENT,
                work,
                work.resolve("restore.log"),
                hooks,
                Launcher.Started.NOBODY,
                "restore");
        return Long.parseLong(Files.readString(pidFile).strip());
    }

    private static void common(List<String> line) {
        line.addAll(List.of(
                "-v1",
                // The pod's groups are made and left by whoever calls; with CRIU's own handling a restore takes twice
                // as long.
                "--manage-cgroups=ignore",
                // CRIU can't make a veth again on Linux 6.18 (EOPNOTSUPP): the network is plugged in by a hook.
                "--empty-ns",
                "net",
                "--tcp-established",
                "--file-locks",
                "--ext-unix-sk",
                "--link-remap",
                // Build ids would be read from the disk for each mapped file, whose inode is the same one anyway.
                "--file-validation",
                "filesize",
                "--ghost-limit",
                GHOST_LIMIT));
        for (String device : DEVICES) {
            line.add("--external");
            line.add("mnt[" + device + "]:" + device);
        }
        line.add("--external");
        line.add("mnt[" + MASKED + "]:/dev/null");
    }

    /**
     * Removes what a CRIU left that was killed while it wrote its cache: as long as it is there no CRIU of this host, its own one
     * neither, writes another. One that begins to write at the same instant writes none this time.
     */
    static void removeAbandoned(Path newKernelCache) throws IOException {
        try {
            long age = System.currentTimeMillis()
                    - Files.getLastModifiedTime(newKernelCache).toMillis();
            if (age > ABANDONED_MILLIS) {
                Files.deleteIfExists(newKernelCache);
            }
        } catch (NoSuchFileException e) {
            return; // as it should be
        }
    }

    private static void run(
            List<String> line,
            Map<String, String> environment,
            Path directory,
            Path log,
            Hooks hooks,
            Launcher.Started started,
            String what)
            throws IOException {
        removeAbandoned(NEW_KERNEL_CACHE);
        Path output = directory.resolve("criu.out");
        int code = Launcher.run(line, environment, output, started);
        // CRIU takes no notice of some hooks' failures, pre-resume's for one.
        Throwable cause = hooks.failure();
        if (code == 0 && cause == null) {
            return;
        }
        if (cause instanceof IOException e) {
            throw e;
        }
        if (cause != null) {
            throw new IOException(what + " failed: " + cause, cause);
        }
        throw new CheckpointException(reason(log, output));
    }

    /** The first error in CRIU's log, which is the cause; those after it are what followed from it. */
    private static String reason(Path log, Path output) throws IOException {
        if (!Files.exists(log)) {
            return Launcher.tail(output);
        }
        String first = "";
        String process = "";
        for (String line : new String(Files.readAllBytes(log), StandardCharsets.UTF_8)
                .lines()
                .toList()) {
            int at = line.indexOf("Error (");
            // Without CAP_SYS_RESOURCE CRIU can't raise its own limit of open files, and goes on.
            if (at < 0 || line.contains("RLIMIT_NOFILE")) {
                continue;
            }
            int text = line.indexOf("): ", at);
            String message = text < 0 ? line : line.substring(text + 3);
            if (first.isEmpty()) {
                first = message;
            }
            int pid = message.indexOf("(pid: ");
            int terminal = message.indexOf(TERMINAL);
            if (process.isEmpty() && pid >= 0) {
                int end = message.indexOf(')', pid);
                process = message.substring(pid + 6, end);
            } else if (process.isEmpty() && terminal >= 0) {
                int end = message.indexOf(' ', terminal + TERMINAL.length());
                process = message.substring(terminal + TERMINAL.length(), end);
            } else if (process.isEmpty() && message.startsWith(UNSEIZABLE)) {
                // ptrace(2): one tracer a process, and CRIU must be it.
                int end = message.indexOf(' ', UNSEIZABLE.length());
                process = message.substring(UNSEIZABLE.length(), end);
                first = "a debugger or tracer holds a process";
            }
        }
        if (first.isEmpty()) {
            return Launcher.tail(output);
        }
        return process.isEmpty() ? first : first + " (process " + process + commandName(process) + ")";
    }

    /** If it has ended meanwhile, its pid says enough. */
    private static String commandName(String pid) {
        return Processes.commandName(Path.of("/proc", pid)).map(" "::concat).orElse("");
    }
}
