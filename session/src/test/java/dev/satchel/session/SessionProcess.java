package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.linux.Processes;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** A supervisor in a process of its own, for tests that kill it: {@code STATE VAULT SESSION AT TAKE_OVER}. */
final class SessionProcess implements AutoCloseable {
    /** In place of a snapshot: boots from the disk, which a crash has left. */
    static final String FRESH = "fresh";

    private static final String NONE = "-";

    private final Process process;
    private final BufferedReader out;

    private SessionProcess(Process process) {
        this.process = process;
        this.out = process.inputReader(StandardCharsets.UTF_8);
    }

    /** Starts it; it stands before its resume when this returns. */
    static SessionProcess start(TestHost host, String session, Optional<String> at) throws IOException {
        return start(host, session, at, List.of());
    }

    /** The same, by way of a command that becomes the one behind its own words, such as nsenter(1). */
    static SessionProcess start(TestHost host, String session, Optional<String> at, List<String> by)
            throws IOException {
        List<String> line = new ArrayList<>(by);
        line.addAll(line(host, session, at));
        SessionProcess started = new SessionProcess(new ProcessBuilder(line)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start());
        started.await("starts");
        return started;
    }

    /** Its command line. */
    static List<String> line(TestHost host, String session, Optional<String> at) {
        return List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-Xshare:auto",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                SessionProcess.class.getName(),
                host.host().state().toString(),
                host.site().vault().toString(),
                session,
                at.orElse(NONE));
    }

    /** Waits until the session runs. */
    SessionProcess awaitRunning() throws IOException {
        await("runs");
        return this;
    }

    private void await(String word) throws IOException {
        String line = out.readLine();
        if (!word.equals(line)) {
            throw new AssertionError("the supervisor's process said " + line + ", not " + word);
        }
    }

    /** As if power went: no time to undo anything. */
    void kill() throws IOException {
        process.destroyForcibly();
        awaitExit();
    }

    /** Stops it where it is. */
    void pause() throws IOException {
        assertThat(Processes.kill(process.pid(), Processes.SIGSTOP)).isTrue();
    }

    void goOn() throws IOException {
        assertThat(Processes.kill(process.pid(), Processes.SIGCONT)).isTrue();
    }

    int awaitExit() throws IOException {
        try {
            if (!process.waitFor(60, TimeUnit.SECONDS)) {
                throw new AssertionError("the supervisor's process does not end");
            }
            return process.exitValue();
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
    }

    @Override
    public void close() throws IOException {
        kill();
    }

    public static void main(String[] arguments) throws IOException {
        Host host =
                Host.open(Path.of(arguments[0]), Site.tools(), Site.repository().resolve("images"));
        Satchel satchel = new Satchel(host, Path.of(arguments[1]), Site::passphrase, Progress.NONE);
        boolean fresh = arguments[3].equals(FRESH);
        Optional<String> at = fresh || arguments[3].equals(NONE) ? Optional.empty() : Optional.of(arguments[3]);
        System.out.println("starts");
        try (Supervisor supervisor =
                satchel.resume(new ResumeRequest(arguments[2], at, fresh, false, Optional.empty()))) {
            System.out.println("runs");
            supervisor.serve();
        } catch (SatchelException e) {
            // As the program does.
            System.err.println("satchel: " + e.getMessage());
            System.exit(e.kind().exitCode());
        }
    }
}
