package dev.satchel.pod;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * What a pod is, the same for life and wherever it runs: it goes into the session's settings.
 *
 * @param command what its first process runs, absolute path first
 * @param environment of its first process and of what is executed in it
 * @param hostname as its programs see it
 * @param idBase the host's user and group id that stands for 0 inside; 65536 ids from there are the pod's
 * @param memoryBytes limit on its memory; none when absent
 * @param cpus limit on its processors; none when absent
 */
public record PodSpec(
        List<String> command,
        Map<String, String> environment,
        String hostname,
        long idBase,
        OptionalLong memoryBytes,
        Optional<Double> cpus) {
    /** User and group ids that a pod has. */
    public static final long ID_COUNT = 65536;

    public PodSpec {
        command = List.copyOf(command);
        environment = Map.copyOf(environment);
        if (command.isEmpty() || idBase < ID_COUNT || idBase + ID_COUNT > 0xffff_ffffL) {
            throw new IllegalArgumentException("command " + command + ", id base " + idBase);
        }
    }
}
