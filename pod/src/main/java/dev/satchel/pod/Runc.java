package dev.satchel.pod;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * An OCI runtime, runc(8): it boots pods from a bundle generated here, with the ecosystem's own handling of namespaces, seccomp,
 * capabilities and control groups, and executes commands in them.
 *
 * <p>A pod that CRIU restored is not known to runc. For the first command executed in such a pod, runc is made to create a second
 * container from the same bundle that never starts; what it notes about that one (its {@code state.json}) says how commands are put
 * into a container of this bundle by this version of runc, and only the process, its start time and its namespaces are changed to
 * the pod's.
 */
final class Runc {
    /** Of root inside: what it needs over its own files, processes and sockets; capabilities(7). */
    private static final List<String> CAPABILITIES = List.of(
            "CAP_AUDIT_WRITE",
            "CAP_CHOWN",
            "CAP_DAC_OVERRIDE",
            "CAP_FOWNER",
            "CAP_FSETID",
            "CAP_KILL",
            "CAP_NET_BIND_SERVICE",
            "CAP_NET_RAW",
            "CAP_SETFCAP",
            "CAP_SETGID",
            "CAP_SETPCAP",
            "CAP_SETUID",
            "CAP_SYS_CHROOT",
            "CAP_SYS_PTRACE");

    private static final String PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    private static final Map<String, String> NAMESPACES = Map.of(
            "NEWIPC", "ipc", "NEWNET", "net", "NEWNS", "mnt", "NEWPID", "pid", "NEWUSER", "user", "NEWUTS", "uts");

    /** Loaded by who boots or executes; a restored pod needs neither, and a cold JVM half a second for this. */
    private static final class Json {
        static final ObjectMapper MAPPER = new ObjectMapper();

        private Json() {}
    }

    private final Path directory;

    /** @param directory where this pod's bundle and runc's state are kept */
    Runc(Path directory) {
        this.directory = directory;
    }

    private List<String> line(String... words) {
        List<String> line = new ArrayList<>(
                List.of("runc", "--root", directory.resolve("runc").toString()));
        line.addAll(List.of(words));
        return line;
    }

    private Path bundle() {
        return directory.resolve("bundle");
    }

    /** Writes the bundle; runtime-spec {@code config.json}. */
    void writeBundle(PodSpec spec, Path root, Cgroup cgroup) throws IOException {
        Files.createDirectories(bundle());
        ObjectNode config = Json.MAPPER.createObjectNode();
        config.put("ociVersion", "1.0.2");
        config.put("hostname", spec.hostname());
        config.putObject("root").put("path", root.toString()).put("readonly", false);

        ObjectNode process = config.putObject("process");
        process.put("terminal", false).put("cwd", spec.directory()).put("noNewPrivileges", false);
        process.putObject("user").put("uid", spec.uid()).put("gid", spec.gid());
        ArrayNode arguments = process.putArray("args");
        spec.command().forEach(arguments::add);
        ArrayNode environment = process.putArray("env");
        if (!spec.environment().containsKey("PATH")) {
            environment.add("PATH=" + PATH);
        }
        spec.environment().forEach((name, value) -> environment.add(name + "=" + value));
        ObjectNode capabilities = process.putObject("capabilities");
        for (String set : new String[] {"bounding", "effective", "permitted"}) {
            ArrayNode names = capabilities.putArray(set);
            CAPABILITIES.forEach(names::add);
        }

        ArrayNode mounts = config.putArray("mounts");
        mount(mounts, "/proc", "proc", "nosuid", "noexec", "nodev");
        mount(mounts, "/sys", "sysfs", "nosuid", "noexec", "nodev", "ro");
        mount(mounts, "/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5");
        mount(mounts, "/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777");
        mount(mounts, "/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev");

        ObjectNode linux = config.putObject("linux");
        linux.put("cgroupsPath", cgroup.ociPath());
        for (String map : new String[] {"uidMappings", "gidMappings"}) {
            linux.putArray(map)
                    .addObject()
                    .put("containerID", 0)
                    .put("hostID", spec.idBase())
                    .put("size", PodSpec.ID_COUNT);
        }
        ArrayNode namespaces = linux.putArray("namespaces");
        // Not cgroup: runc is started in the right one, see Launcher. Not time: runc 1.1 knows none, and CRIU makes one
        // at restore.
        for (String type : new String[] {"pid", "network", "ipc", "uts", "mount", "user"}) {
            namespaces.addObject().put("type", type);
        }
        linux.putObject("resources")
                .putArray("devices")
                .addObject()
                .put("allow", false)
                .put("access", "rwm");
        // The machine's keys and firmware are no business of a session's; its limits of IPC are not its to raise.
        linux.putArray("readonlyPaths").add("/proc/sys");
        linux.putArray("maskedPaths").add(Criu.MASKED).add("/sys/firmware");
        try (InputStream seccomp = Runc.class.getResourceAsStream("seccomp.json")) {
            if (seccomp == null) {
                throw new IllegalStateException("seccomp.json is missing from the program");
            }
            linux.set("seccomp", Json.MAPPER.readTree(seccomp));
        }
        Files.write(bundle().resolve("config.json"), Json.MAPPER.writeValueAsBytes(config));
    }

    private static void mount(ArrayNode mounts, String target, String type, String... options) {
        ObjectNode mount =
                mounts.addObject().put("destination", target).put("type", type).put("source", type);
        ArrayNode list = mount.putArray("options");
        for (String option : options) {
            list.add(option);
        }
    }

    /** Creates a container; its first process waits. @return that process, in the host's pid namespace */
    long create(String id, Cgroup cgroup) throws IOException {
        Path pidFile = directory.resolve("runc.pid");
        Path log = directory.resolve("runc.log");
        // The container's first process inherits the standard streams: a file of the host's could go into no
        // checkpoint.
        List<String> command = new ArrayList<>(List.of("/bin/sh", "-c", "exec \"$@\" >/dev/null 2>&1", "sh"));
        command.addAll(Launcher.inCgroup(
                cgroup,
                line(
                        "--log",
                        log.toString(),
                        "create",
                        "--bundle",
                        bundle().toString(),
                        "--pid-file",
                        pidFile.toString(),
                        id)));
        Launcher.check(command, log);
        return Long.parseLong(Files.readString(pidFile).strip());
    }

    /** Lets a created container's first process go. */
    void start(String id) throws IOException {
        Launcher.check(line("start", id), directory.resolve("runc.out"));
    }

    /** Ends a container and forgets it. */
    void delete(String id) throws IOException {
        Launcher.check(line("delete", "--force", id), directory.resolve("runc.out"));
    }

    /** Makes runc know a pod that it did not start; see the class comment. Costs a container's creation. */
    void adopt(String id, long initPid, PodSpec spec, Path root, Cgroup cgroup) throws IOException {
        Path state = directory.resolve("runc").resolve(id).resolve("state.json");
        if (Files.exists(state)) {
            return;
        }
        String standIn = id + "-stand-in";
        Cgroup standInGroup = Cgroup.create(
                cgroup.ociPath().substring(1) + "-stand-in",
                java.util.OptionalLong.empty(),
                java.util.Optional.empty());
        try (standInGroup) {
            writeBundle(spec, root, standInGroup);
            create(standIn, standInGroup);
            try {
                JsonNode template = Json.MAPPER.readTree(directory
                        .resolve("runc")
                        .resolve(standIn)
                        .resolve("state.json")
                        .toFile());
                String text = Json.MAPPER
                        .writeValueAsString(template)
                        .replace(standInGroup.ociPath(), cgroup.ociPath())
                        .replace(standIn, id);
                ObjectNode adopted = (ObjectNode) Json.MAPPER.readTree(text);
                adopted.put("init_process_pid", initPid);
                adopted.put("init_process_start", startTime(initPid));
                ObjectNode paths = adopted.putObject("namespace_paths");
                NAMESPACES.forEach((kind, name) -> paths.put(kind, "/proc/" + initPid + "/ns/" + name));
                Files.createDirectories(state.getParent());
                Files.write(state, Json.MAPPER.writeValueAsBytes(adopted));
            } finally {
                delete(standIn);
            }
        }
    }

    /** Field 22 of proc_pid_stat(5) as it is seen in the pod's time namespace, where runc runs for it. */
    private long startTime(long pid) throws IOException {
        Path output = directory.resolve("stat");
        List<String> line = new ArrayList<>(entering(pid));
        line.addAll(List.of("cat", "/proc/" + pid + "/stat"));
        Launcher.check(line, output);
        String stat = Files.readString(output);
        return Long.parseLong(stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1)[19]);
    }

    /** runc joins neither: its version 1.1 knows no time namespaces, and a control group namespace of the host's user namespace can't be joined from the pod's. */
    private static List<String> entering(long initPid) {
        return List.of("nsenter", "--time=/proc/" + initPid + "/ns/time", "--cgroup=/proc/" + initPid + "/ns/cgroup");
    }

    /** The command line that executes a command in a container. */
    List<String> execLine(
            String id,
            long initPid,
            String user,
            String directory,
            Map<String, String> environment,
            boolean terminal,
            List<String> command) {
        List<String> line = new ArrayList<>(entering(initPid));
        line.addAll(line("exec", "--user", user, "--cwd", directory));
        environment.forEach((name, value) -> {
            line.add("--env");
            line.add(name + "=" + value);
        });
        if (terminal) {
            line.add("--tty");
        }
        line.add(id);
        line.addAll(command);
        return line;
    }
}
