package dev.satchel.session;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * One of the demo's two hosts: the program as a person types it, with a state directory of its own. Used by one thread, whose
 * interruption ends the command under way, waits until that has undone what it began, and then fails with
 * {@link InterruptedException}.
 */
final class DemoHost {
    /** Building an image from a slow mirror takes longest. */
    private static final int COMMAND_MINUTES_MAX = 60;
    /** Within what the program itself has when it is interrupted; a second command has to fit in as well. */
    private static final int UNDO_SECONDS_MAX = 15;

    private final Path program;
    private final Path directory;
    private final String name;

    /**
     * A host.
     *
     * @param program the launcher, {@code ./satchel}
     * @param directory the demo's; the host's state is in it, named as the host
     */
    DemoHost(Path program, Path directory, String name) {
        this.program = program;
        this.directory = directory;
        this.name = name;
    }

    /** How a command ended: what it printed, or what it said went wrong. */
    record Run(int code, String output, String errors) {}

    Path state() {
        return directory.resolve(name);
    }

    /** What to export so that a command typed by hand means this host. */
    String exports() {
        return "export SATCHEL_VAULT=" + directory.resolve("vault") + " SATCHEL_STATE=" + state()
                + " SATCHEL_PASSPHRASE_FILE=" + directory.resolve("passphrase");
    }

    /** Runs a command that must succeed: the one object that it prints. */
    JsonObject json(String... words) throws IOException, InterruptedException {
        List<String> line = new ArrayList<>(List.of(words));
        line.add("--json");
        String output = must(run(line.toArray(String[]::new)), words);
        return Json.read((output.isBlank() ? "{}" : output).getBytes(StandardCharsets.UTF_8));
    }

    /** Runs a command that must succeed: what it prints. */
    String text(String... words) throws IOException, InterruptedException {
        return must(run(words), words);
    }

    Run run(String... words) throws IOException, InterruptedException {
        return run(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()), words);
    }

    /** Runs a command that must succeed, with that file as its input. */
    void feed(Path file, String... words) throws IOException, InterruptedException {
        must(run(ProcessBuilder.Redirect.from(file.toFile()), words), words);
    }

    /** Runs a command that takes long and must succeed; its progress is shown as it is told. */
    void watch(String... words) throws IOException, InterruptedException {
        Process process = builder(words)
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        must(new Run(finish(process, words), "", "see above"), words);
    }

    private Run run(ProcessBuilder.Redirect input, String... words) throws IOException, InterruptedException {
        Path errors = directory.resolve("errors");
        Process process = builder(words)
                .redirectInput(input)
                .redirectError(errors.toFile())
                .start();
        int code = finish(process, words);
        return new Run(code, Files.readString(directory.resolve("output")), Files.readString(errors));
    }

    /** Output goes to files: waiting for a process can be interrupted, reading from its pipe can't. */
    private ProcessBuilder builder(String... words) {
        List<String> line = new ArrayList<>(List.of(program.toString()));
        line.addAll(List.of(words));
        ProcessBuilder builder = new ProcessBuilder(line)
                .redirectOutput(directory.resolve("output").toFile());
        builder.environment().put("SATCHEL_VAULT", directory.resolve("vault").toString());
        builder.environment().put("SATCHEL_STATE", state().toString());
        builder.environment()
                .put("SATCHEL_PASSPHRASE_FILE", directory.resolve("passphrase").toString());
        return builder;
    }

    private static int finish(Process process, String... words) throws IOException, InterruptedException {
        try {
            if (process.waitFor(COMMAND_MINUTES_MAX, TimeUnit.MINUTES)) {
                return process.exitValue();
            }
            throw new IOException(
                    "'" + String.join(" ", words) + "' does not end: waited " + COMMAND_MINUTES_MAX + " minutes");
        } finally {
            end(process);
        }
    }

    /** Tells it to end, if it has not, and gives it time to undo what it began. */
    private static void end(Process process) {
        if (!process.isAlive()) {
            return;
        }
        process.destroy();
        boolean interrupted = false;
        boolean ended = false;
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(UNDO_SECONDS_MAX);
        while (!ended && System.nanoTime() < deadline) {
            try {
                ended = process.waitFor(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        process.destroyForcibly();
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private static String must(Run run, String... words) throws IOException {
        if (run.code() != 0) {
            String errors = run.errors().strip();
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    "'" + String.join(" ", words) + "' failed with exit code " + run.code()
                            + (errors.isEmpty() ? "" : ": " + errors));
        }
        return run.output();
    }
}
