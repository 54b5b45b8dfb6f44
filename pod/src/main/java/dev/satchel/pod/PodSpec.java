package dev.satchel.pod;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * What a pod is, the same for life and wherever it runs: it goes into the session's settings.
 *
 * @param command what its first process runs, absolute path first
 * @param uid whom its first process runs as, an id inside
 * @param gid its group
 * @param directory where it runs, an absolute path
 * @param environment of its first process and of what is executed in it
 * @param hostname as its programs see it
 * @param idBase the host's user and group id that stands for 0 inside; 65536 ids from there are the pod's
 * @param memoryBytes limit on its memory; none when absent
 * @param cpus limit on its processors; none when absent
 */
public record PodSpec(
        List<String> command,
        long uid,
        long gid,
        String directory,
        Map<String, String> environment,
        String hostname,
        long idBase,
        OptionalLong memoryBytes,
        Optional<Double> cpus) {
    /** User and group ids that a pod has. */
    public static final long ID_COUNT = 65536;

    /** One whose first process is root's, in the root directory. */
    public PodSpec(
            List<String> command,
            Map<String, String> environment,
            String hostname,
            long idBase,
            OptionalLong memoryBytes,
            Optional<Double> cpus) {
        this(command, 0, 0, "/", environment, hostname, idBase, memoryBytes, cpus);
    }

    public PodSpec {
        command = List.copyOf(command);
        environment = Map.copyOf(environment);
        if (command.isEmpty()
                || idBase < ID_COUNT
                || idBase + ID_COUNT > 0xffff_ffffL
                || uid < 0
                || uid >= ID_COUNT
                || gid < 0
                || gid >= ID_COUNT
                || !directory.startsWith("/")) {
            throw new IllegalArgumentException(
                    "command " + command + " of " + uid + ":" + gid + " in " + directory + ", id base " + idBase);
        }
    }
}
