package dev.satchel.pod;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Runs the host's programs to their end. */
final class Launcher {
    private static final int OUTPUT_MAX = 64 * 1024;

    private Launcher() {}

    /** Is told of a program that has just been started. */
    interface Started {
        Started NOBODY = _ -> {};

        void at(long pid) throws IOException;
    }

    /** As {@link #run(List, Map, Path, Started)}, with the environment as it is. */
    static int run(List<String> command, Path output) throws IOException {
        return run(command, Map.of(), output, Started.NOBODY);
    }

    /**
     * Runs a command; its output goes to a file, so that a program which stays in the background can't hold a pipe open.
     *
     * @param environment variables that it gets beside this process's own
     * @return its exit code
     */
    static int run(List<String> command, Map<String, String> environment, Path output, Started started)
            throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command)
                .redirectInput(ProcessBuilder.Redirect.from(DEV_NULL))
                .redirectErrorStream(true)
                .redirectOutput(output.toFile());
        builder.environment().putAll(environment);
        Process process = builder.start();
        try {
            started.at(process.pid());
            return process.waitFor();
        } catch (IOException | RuntimeException e) {
            process.destroy();
            throw e;
        } catch (InterruptedException e) {
            process.destroy();
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while " + command.getFirst() + " ran", e);
        }
    }

    private static final java.io.File DEV_NULL = new java.io.File("/dev/null");

    /** Runs a command and fails with what it said when its exit code is not 0. */
    static void check(List<String> command, Path output) throws IOException {
        int code = run(command, output);
        if (code != 0) {
            throw new IOException(
                    Path.of(command.getFirst()).getFileName() + " failed with exit code " + code + ": " + tail(output));
        }
    }

    /** The last lines of what a program wrote, on one line. */
    static String tail(Path output) throws IOException {
        if (!Files.exists(output)) {
            return "it said nothing";
        }
        byte[] bytes = Files.readAllBytes(output);
        int from = Math.max(0, bytes.length - OUTPUT_MAX);
        List<String> lines = new ArrayList<>(new String(bytes, from, bytes.length - from, StandardCharsets.UTF_8)
                .strip()
                .lines()
                .toList());
        if (lines.isEmpty()) {
            return "it said nothing";
        }
        return String.join("; ", lines.subList(Math.max(0, lines.size() - 3), lines.size()));
    }

    /**
     * A command line that joins control groups, moves into a control group namespace of its own whose root they are, and becomes
     * {@code command}. The namespace is the host's user namespace's: CRIU restores processes into the one it runs in when it is told
     * to leave control groups alone.
     */
    static List<String> inCgroup(Cgroup cgroup, List<String> command) {
        StringBuilder script = new StringBuilder();
        for (Path file : cgroup.processFiles()) {
            script.append("echo 0 >'").append(file).append("' && ");
        }
        script.append("exec unshare --cgroup \"$@\"");
        List<String> line = new ArrayList<>(List.of("/bin/sh", "-c", script.toString(), "sh"));
        line.addAll(command);
        return line;
    }
}
