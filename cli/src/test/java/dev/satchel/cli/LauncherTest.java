package dev.satchel.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * The launcher at the top of the checkout, run for real by bash, with {@link FakeSupervisor} in the program's place: exit codes,
 * signals and the terminal reach whom they must. Needs root, as the launcher does.
 */
@Timeout(60)
class LauncherTest {
    private static final Path CHECKOUT =
            Path.of(System.getProperty("user.dir")).toAbsolutePath().getParent();

    private Path home = Path.of("");
    private Path notes = Path.of("");

    @BeforeEach
    void makeHome() throws IOException {
        // Not @TempDir: other users must be able to go there, as to an installed checkout.
        home = Files.createTempDirectory("satchel-launcher-");
        notes = Files.createDirectories(home.resolve("notes"));
        Files.copy(CHECKOUT.resolve("satchel"), home.resolve("satchel"));
        Path java = home.resolve("java");
        // Takes the main class that the launcher names away, and puts the fake one in its place.
        Files.writeString(java, """
                #!/bin/sh
                : >'%2$s/flags'
                while [ "$1" != dev.satchel.cli.Main ]; do echo "$1" >>'%2$s/flags'; shift; done
                shift
                exec '%1$s' -XX:+UseSerialGC -XX:TieredStopAtLevel=1 --enable-native-access=ALL-UNNAMED -Dnotes='%2$s' -cp '%3$s' %4$s "$@"
                """.formatted(
                        Path.of(System.getProperty("java.home"), "bin", "java"),
                        notes,
                        CHECKOUT.resolve("cli/target/test-classes"),
                        FakeSupervisor.class.getName()));
        Path criu = Files.createDirectories(home.resolve("tools/criu")).resolve("criu");
        Files.writeString(criu, "");
        Path app = Files.createDirectories(home.resolve("build/app-1"));
        Files.writeString(
                home.resolve("build/launch"),
                "java=%s\njvm=(-Dx='a b')\napp=%s\ntools=%s\nreflog=\n".formatted(java, app, home.resolve("tools")));
        for (Path executable : List.of(java, criu, home.resolve("satchel"))) {
            Files.setPosixFilePermissions(executable, PosixFilePermissions.fromString("rwxr-xr-x"));
        }
        Files.setPosixFilePermissions(home, PosixFilePermissions.fromString("rwxr-xr-x"));
        Files.setPosixFilePermissions(notes, PosixFilePermissions.fromString("rwxrwxrwx"));
    }

    @AfterEach
    void removeHome() throws IOException, InterruptedException {
        fakeProcess().ifPresent(ProcessHandle::destroyForcibly);
        assertThat(run(Optional.empty(), "rm", "-rf", home.toString()).exitCode())
                .isZero();
    }

    @Test
    void endsWithTheCodeOfASessionThatRunsAndLeavesItRunning() throws Exception {
        Ended ended = satchel("resume", "supervise", "0");

        assertThat(ended.exitCode()).isZero();
        assertThat(ended.output()).isEqualTo("session runs\n");
        ProcessHandle supervisor = fakeProcess().orElseThrow();
        assertThat(supervisor.isAlive()).isTrue();
        assertThat(ended.took()).isLessThan(Duration.ofSeconds(45));
        assertThat(sessionId(supervisor)).isEqualTo(supervisor.pid());
    }

    @Test
    void passesOnEveryCodeThatTheSupervisorWrites() throws Exception {
        assertThat(satchel("resume", "supervise", "6").exitCode()).isEqualTo(6);
    }

    @Test
    void takesTheExitCodeOfAProgramThatEndsWithoutASession() throws Exception {
        assertThat(satchel("resume", "exit", "4").exitCode()).isEqualTo(4);
        assertThat(satchel("resume", "exit", "0").exitCode()).isZero();
    }

    @Test
    void reportsAProgramThatWasKilled() throws Exception {
        assertThat(satchel("resume", "die").exitCode()).isEqualTo(137);
    }

    @Test
    void ctrlCReachesTheProgramAndThePromptComesBackOnlyWhenItIsDone() throws Exception {
        Ended ended = onTerminal("working", "\u0003", "resume", "undo-slowly", "50000");

        assertThat(ended.exitCode()).isEqualTo(130);
        assertThat(ended.output()).contains("undone").contains("launcher gone");
        assertThat(ended.output().indexOf("undone")).isLessThan(ended.output().indexOf("launcher gone"));
    }

    @Test
    void whatIsTypedReachesTheProgram() throws Exception {
        Ended ended = onTerminal("passphrase?", "open sesame\n", "resume", "ask");

        assertThat(ended.output()).contains("got open sesame from a terminal");
        assertThat(ended.exitCode()).isZero();
    }

    @Test
    void standardInputReachesTheProgram() throws Exception {
        Ended ended = run(Optional.of("open sesame\n"), home.resolve("satchel").toString(), "resume", "ask");

        assertThat(ended.output()).contains("got open sesame\n");
    }

    @Test
    void passesTerminationOn() throws Exception {
        Process launcher =
                new ProcessBuilder(home.resolve("satchel").toString(), "resume", "undo-slowly", "50000").start();
        try (var output = launcher.inputReader()) {
            assertThat(output.readLine()).isEqualTo("working");
            signal(launcher.pid(), "TERM");
            assertThat(output.readLine()).isEqualTo("undone");
        }
        assertThat(launcher.waitFor()).isEqualTo(143);
        assertThat(fakeProcess()).isEmpty();
    }

    @Test
    void respectsAnInterruptThatTheCallerIgnores() throws Exception {
        Process launcher = new ProcessBuilder(
                        "env",
                        "--ignore-signal=INT",
                        home.resolve("satchel").toString(),
                        "resume",
                        "undo-slowly",
                        "1500")
                .start();
        try (var output = launcher.inputReader()) {
            assertThat(output.readLine()).isEqualTo("working");
            new ProcessBuilder(
                            "kill",
                            "-INT",
                            Long.toString(fakeProcess().orElseThrow().pid()))
                    .start()
                    .waitFor();
            assertThat(output.readLine()).isEqualTo("undone");
        }
        assertThat(launcher.waitFor()).isZero();
    }

    @Test
    void keepsNoEndOfTheStatusPipeThatWouldHideItsEnd() throws Exception {
        Ended ended = satchel("resume", "descriptors");

        // Standard input, output and error are pipes to this test; the only other one is the status pipe, once.
        List<String> others = ended.output()
                .lines()
                .filter(line -> !line.startsWith("0 ") && !line.startsWith("1 ") && !line.startsWith("2 "))
                .toList();
        assertThat(others).singleElement().asString().startsWith("9 pipe:");
    }

    @Test
    void tellsWhatItsCallerHasOpen() throws Exception {
        String satchel = home.resolve("satchel").toString();
        assertThat(run(Optional.empty(), "bash", "-c", "\"$0\" resume exit 0", satchel)
                        .exitCode())
                .isZero();
        assertThat(note("inherited-fds")).isEmpty();

        // 9, which scripts like for locks, becomes the status pipe.
        assertThat(run(
                                Optional.empty(),
                                "bash",
                                "-c",
                                "\"$0\" resume exit 0 9>\"$1\" 7</dev/zero 61</dev/zero",
                                satchel,
                                notes.resolve("lock").toString())
                        .exitCode())
                .isZero();
        assertThat(note("inherited-fds").split(",", -1)).containsExactlyInAnyOrder("7", "61");
    }

    @Test
    void onlyTheCommandItselfMakesASupervisor() throws Exception {
        assertThat(satchel("--vault", "resume", "exit", "3").exitCode()).isNotZero();
        assertThat(note("status-fd")).isEqualTo("null");

        satchel("exec", "exit", "0", "--", "resume");
        assertThat(note("status-fd")).isEqualTo("null");

        satchel("resume", "exit", "0", "--vault", "v");
        assertThat(note("status-fd")).isEqualTo("9");
    }

    @Test
    void handsArgumentsOverAsTheyAre() throws Exception {
        satchel("resume", "exit", "0", "", "two words", "*", "$HOME", "ends in \\");
        assertThat(note("arguments")).isEqualTo("resume\nexit\n0\n\ntwo words\n*\n$HOME\nends in \\");

        satchel("ls", "exit", "0", "", "two words", "*");
        assertThat(note("arguments")).isEqualTo("ls\nexit\n0\n\ntwo words\n*");
    }

    /** The optimizing compiler is for what computes long enough to profit from it. */
    @Test
    void startsJavaAsItSuitsTheCommand() throws Exception {
        String fast = "-XX:TieredStopAtLevel=1\n-Dx=a b\n";
        for (String command : List.of("ls", "resume", "suspend", "exec")) {
            assertThat(satchel(command, "exit", "0").exitCode()).isZero();
            assertThat(note("flags")).as(command).isEqualTo(fast);
        }
        for (String command : List.of("image", "vault", "demo")) {
            assertThat(satchel(command, "exit", "0").exitCode()).isZero();
            assertThat(note("flags")).as(command).isEqualTo("-Dx=a b\n");
        }
        assertThat(satchel("demo", "exit", "0", "--help").exitCode()).isZero();
        assertThat(note("flags")).isEqualTo(fast);
        // The stand-in knows no such words, and ends when it has noted how it was started.
        for (String brief : List.of("info", "sync")) {
            satchel("vault", "verify", brief);
            assertThat(note("flags")).isEqualTo("-Dx=a b\n");
            satchel("--vault", "vault", "vault", brief);
            assertThat(note("flags")).as(brief).isEqualTo(fast);
        }
    }

    @Test
    void givesTheProgramWhatALongLifeNeeds() throws Exception {
        String satchel = home.resolve("satchel").toString();
        for (String command : List.of("ls", "resume")) {
            assertThat(run(Optional.empty(), "bash", "-c", "umask 077; \"$0\" " + command + " exit 0", satchel)
                            .exitCode())
                    .isZero();
            assertThat(note("arenas")).isEqualTo("2");
            assertThat(Files.getPosixFilePermissions(notes.resolve("arenas")))
                    .isEqualTo(PosixFilePermissions.fromString("rw-r--r--"));
            Files.delete(notes.resolve("arenas"));
        }
    }

    @Test
    void isFoundThroughSymbolicLinks() throws Exception {
        Path direct = Files.createSymbolicLink(home.resolve("direct"), home.resolve("satchel"));
        Path relative = Files.createSymbolicLink(home.resolve("notes/relative"), Path.of("../direct"));

        assertThat(run(Optional.empty(), direct.toString(), "ls", "exit", "7").exitCode())
                .isEqualTo(7);
        assertThat(run(Optional.empty(), relative.toString(), "ls", "exit", "8").exitCode())
                .isEqualTo(8);
    }

    @Test
    void saysSoWhenItIsNotRoot() throws Exception {
        String satchel = home.resolve("satchel").toString();

        Ended ended = run(Optional.empty(), "setpriv", "--reuid=65534", "--clear-groups", satchel, "ls");
        assertThat(ended.exitCode()).isEqualTo(1);
        assertThat(ended.output())
                .isEqualTo("satchel: not root: sessions need mounts and namespaces of their own;"
                        + " run it as root, or with sudo\n");

        // Help that a command inside is asked for is none of ours.
        Ended inside = run(
                Optional.empty(),
                "setpriv",
                "--reuid=65534",
                "--clear-groups",
                satchel,
                "exec",
                "exit",
                "0",
                "--",
                "--help");
        assertThat(inside.exitCode()).isEqualTo(1);

        Ended help =
                run(Optional.empty(), "setpriv", "--reuid=65534", "--clear-groups", satchel, "--help", "exit", "9");
        assertThat(help.exitCode()).isEqualTo(9);
    }

    @Test
    void preparesOnlyWhenSomethingIsMissing() throws Exception {
        Path launch = home.resolve("build/launch");
        String prepared = Files.readString(launch);
        Path prepare = Files.createDirectories(home.resolve("setup")).resolve("prepare");
        Files.writeString(prepare, "#!/bin/sh\necho preparing\ncat >'%s' <<'EOF'\n%sEOF\n".formatted(launch, prepared));
        Files.setPosixFilePermissions(prepare, PosixFilePermissions.fromString("rwxr-xr-x"));

        assertThat(satchel("ls", "exit", "0").output()).isEmpty();

        Files.delete(launch);
        assertThat(satchel("ls", "exit", "3"))
                .matches(ended -> ended.exitCode() == 3)
                .matches(Ended::prepared);
        assertThat(satchel("ls", "exit", "0").output()).isEmpty();

        Files.move(home.resolve("tools"), home.resolve("tools.gone"));
        assertThat(satchel("ls", "exit", "0")).matches(Ended::prepared);
        Files.move(home.resolve("tools.gone"), home.resolve("tools"));

        Files.move(home.resolve("build/app-1"), home.resolve("build/app-gone"));
        assertThat(satchel("ls", "exit", "0")).matches(Ended::prepared);
        Files.move(home.resolve("build/app-gone"), home.resolve("build/app-1"));
        assertThat(satchel("ls", "exit", "0").output()).isEmpty();

        // A checkout that was copied or moved still names the other's build.
        Path elsewhere = Files.createDirectories(home.resolveSibling(home.getFileName() + "-other"));
        Files.writeString(launch, prepared + "app=" + elsewhere + "\n");
        assertThat(satchel("ls", "exit", "0")).matches(Ended::prepared);
        Files.delete(elsewhere);

        Files.writeString(launch, prepared + "java=" + home.resolve("no-java") + "\n");
        assertThat(satchel("ls", "exit", "0")).matches(Ended::prepared);

        Path reflog = Files.writeString(home.resolve("reflog"), "");
        Files.writeString(launch, prepared.replace("reflog=", "reflog=" + reflog));
        Files.setLastModifiedTime(launch, FileTime.from(Instant.now().minusSeconds(10)));
        assertThat(satchel("ls", "exit", "0")).matches(Ended::prepared);

        Files.writeString(launch, prepared + "release=another\n");
        assertThat(satchel("ls", "exit", "0")).matches(Ended::prepared);
    }

    @Test
    void onlyRootPrepares() throws Exception {
        Files.delete(home.resolve("build/launch"));
        String satchel = home.resolve("satchel").toString();

        Ended ended = run(Optional.empty(), "setpriv", "--reuid=65534", "--clear-groups", satchel, "--version");

        assertThat(ended.exitCode()).isEqualTo(1);
        assertThat(ended.output())
                .isEqualTo(
                        "satchel: not prepared yet: the first call prepares this machine, and must be made by root\n");
    }

    @Test
    void endsWithTheCodeOfAFailedPreparation() throws Exception {
        Files.delete(home.resolve("build/launch"));
        Path prepare = Files.createDirectories(home.resolve("setup")).resolve("prepare");
        Files.writeString(prepare, "#!/bin/sh\nexit 5\n");
        Files.setPosixFilePermissions(prepare, PosixFilePermissions.fromString("rwxr-xr-x"));

        assertThat(satchel("ls", "exit", "0").exitCode()).isEqualTo(5);
    }

    private record Ended(int exitCode, String output, Duration took) {
        boolean prepared() {
            return output.contains("preparing");
        }
    }

    private Ended satchel(String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(arguments));
        command.addFirst(home.resolve("satchel").toString());
        return run(Optional.empty(), command.toArray(String[]::new));
    }

    /** Runs to the end of both the command and its output, so that a command that leaves its output open does not end. */
    private Ended run(Optional<String> input, String... command) throws IOException, InterruptedException {
        Path errors = Files.createTempFile("satchel-launcher-", ".err");
        long began = System.nanoTime();
        Process process =
                new ProcessBuilder(command).redirectError(errors.toFile()).start();
        try (OutputStream stdin = process.getOutputStream()) {
            stdin.write(input.orElse("").getBytes(StandardCharsets.UTF_8));
        }
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        int exitCode = process.waitFor();
        output += Files.readString(errors);
        Files.delete(errors);
        return new Ended(exitCode, output, Duration.ofNanos(System.nanoTime() - began));
    }

    /** Runs the launcher on a pseudo-terminal of its own, and types once it has said something. */
    private Ended onTerminal(String waitFor, String typed, String... arguments)
            throws IOException, InterruptedException {
        long began = System.nanoTime();
        // script(1) makes the terminal; it hands what it reads on to it as if typed.
        String line = home.resolve("satchel") + " " + String.join(" ", arguments)
                + "; code=$?; echo launcher gone; exit $code";
        Process script = new ProcessBuilder("script", "-qec", "trap : INT; " + line, "/dev/null")
                .redirectErrorStream(true)
                .start();
        StringBuilder output = new StringBuilder();
        try (var reader = script.inputReader();
                OutputStream keyboard = script.getOutputStream()) {
            boolean done = false;
            for (int c = reader.read(); c >= 0; c = reader.read()) {
                output.append((char) c);
                if (!done && output.indexOf(waitFor) >= 0) {
                    keyboard.write(typed.getBytes(StandardCharsets.UTF_8));
                    keyboard.flush();
                    done = true;
                }
            }
        }
        assertThat(script.waitFor(10, TimeUnit.SECONDS)).isTrue();
        return new Ended(script.exitValue(), output.toString(), Duration.ofNanos(System.nanoTime() - began));
    }

    /** Process.destroy would close the pipes as well. */
    private void signal(long pid, String signal) throws IOException, InterruptedException {
        assertThat(run(Optional.empty(), "kill", "-s", signal, Long.toString(pid))
                        .exitCode())
                .isZero();
    }

    private String note(String name) throws IOException {
        return Files.readString(notes.resolve(name));
    }

    private Optional<ProcessHandle> fakeProcess() throws IOException {
        Path pid = notes.resolve("pid");
        return Files.exists(pid) ? ProcessHandle.of(Long.parseLong(Files.readString(pid))) : Optional.empty();
    }

    /** Sixth field of /proc/PID/stat, proc(5). */
    private static long sessionId(ProcessHandle process) throws IOException {
        String stat = Files.readString(Path.of("/proc", Long.toString(process.pid()), "stat"));
        return Long.parseLong(stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1)[3]);
    }
}
