package dev.satchel.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What the program does to its own process, its terminal and its descriptors, seen from outside. */
@Timeout(120)
class ProcessTest {
    @TempDir
    Path scratch;

    // --- The passphrase
    // ----------------------------------------------------------------------------------------------------------

    @Test
    void takesTheFirstLineOfAFileWithoutItsEnd() throws Exception {
        assertThat(fromFile("open sesame\nsecond line\n")).isEqualTo("got <open sesame>\n");
        assertThat(fromFile("open sesame")).isEqualTo("got <open sesame>\n");
        assertThat(fromFile(" spaces stay \r\n")).isEqualTo("got < spaces stay >\n");
        assertThat(fromFile("größer 鍵\n")).isEqualTo("got <größer 鍵>\n");
        assertThat(fromFile("x".repeat(4096) + "\n")).isEqualTo("got <" + "x".repeat(4096) + ">\n");
    }

    @Test
    void aFileThatHasNoneIsSaidSo() throws Exception {
        assertThat(fromFile("")).startsWith("failed: the first line of ").contains("is empty: ");
        assertThat(fromFile("\nsecond\n")).contains("is empty: ");
        assertThat(fromFile("x".repeat(5000))).contains("is longer than 4096 bytes: ");
        assertThat(output(
                        "",
                        Part.commandLine("passphrase", scratch.resolve("none").toString())))
                .startsWith("failed: no passphrase file ");
    }

    @Test
    void aDashIsStandardInput() throws Exception {
        assertThat(output("open sesame\n", Part.commandLine("passphrase", "-"))).isEqualTo("got <open sesame>\n");
    }

    @Test
    void withoutATerminalItSaysWhereElseAPassphraseMayComeFrom() throws Exception {
        List<String> line = new ArrayList<>(Part.commandLine("passphrase", "ask"));
        line.addFirst("--wait");
        line.addFirst("setsid");

        assertThat(output("open sesame\n", line))
                .startsWith("failed: no passphrase and no terminal to ask for it on: ")
                .contains("--passphrase-file", "SATCHEL_PASSPHRASE_FILE", "vault unlock");
    }

    @Test
    void asksOnTheTerminalThoughTheStreamsLeadElsewhereAndShowsNothing() throws Exception {
        String seen = onTerminal(
                Part.commandLine("passphrase", "ask"),
                "> " + scratch.resolve("out") + " < /dev/null",
                "/v: ",
                "open sesame\r");

        assertThat(seen).contains("Passphrase for vault /v: ").doesNotContain("sesame");
        assertThat(Files.readString(scratch.resolve("out"))).isEqualTo("got <open sesame>\n");
        assertThat(seen).contains("echo restored");
    }

    @Test
    void aNewOneIsTypedTwice() throws Exception {
        String seen = onTerminal(
                Part.commandLine("passphrase", "ask", "new"), "", "/v: ", "open sesame\r", "again: ", "open sesame\r");
        assertThat(seen).contains("New passphrase for vault /v: ", "The same again: ", "got <open sesame>");

        String differing = onTerminal(
                Part.commandLine("passphrase", "ask", "new"), "", "/v: ", "open sesame\r", "again: ", "open seasme\r");
        assertThat(differing)
                .contains("failed: the two passphrases differ: try again")
                .doesNotContain("got <");
    }

    @Test
    void ctrlCAtTheQuestionEndsItAndGivesTheEchoBack() throws Exception {
        String seen = onTerminal(Part.commandLine("passphrase", "ask"), "", "/v: ", "\u0003");

        assertThat(seen).contains("code 130", "echo restored").doesNotContain("got <");
    }

    @Test
    void ctrlDAtTheQuestionGivesNone() throws Exception {
        assertThat(onTerminal(Part.commandLine("passphrase", "ask"), "", "/v: ", "\u0004"))
                .contains("failed: no passphrase given: ");
    }

    // --- Signals
    // -----------------------------------------------------------------------------------------------------------------

    @Test
    void aSignalHasTheCommandUndoneBeforeTheProcessEnds() throws Exception {
        for (int i = 0; i < 5; i++) { // the code is the signal's, each time
            endsBy("INT", 130, "undo", "works", "undone true");
        }
        endsBy("TERM", 143, "undo", "works", "undone true");
        endsBy("HUP", 129, "undo", "works", "undone true");
    }

    @Test
    void aSignalHasASupervisorEndWhatItServes() throws Exception {
        endsBy("TERM", 143, "supervise", "serves", "ended");
    }

    private static void endsBy(String signal, int exitCode, String part, String before, String after) throws Exception {
        Process process = new ProcessBuilder(Part.commandLine(part)).start();
        try (var output = process.inputReader()) {
            assertThat(output.readLine()).isEqualTo(before);
            assertThat(new ProcessBuilder("kill", "-s", signal, Long.toString(process.pid()))
                            .start()
                            .waitFor())
                    .isZero();
            assertThat(output.readLine()).isEqualTo(after);
        }
        assertThat(process.waitFor()).isEqualTo(exitCode);
    }

    // --- Becoming something else
    // -------------------------------------------------------------------------------------------------

    @Test
    void execLeavesNothingOfTheProgramBehind() throws Exception {
        Process process = new ProcessBuilder(Part.commandLine(
                        "replace",
                        "sh",
                        "-c",
                        // Read by the shell itself, which blocks signals for a moment whenever it starts something.
                        "echo $$; echo /proc/self/fd/*; while read -r key value; do"
                                + " [ $key != SigBlk: ] || echo $value; done </proc/$$/status; kill -TERM $$"))
                .start();
        process.getOutputStream().close();
        String[] lines = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).split("\n", -1);

        assertThat(lines[0]).as("the same process").isEqualTo(Long.toString(process.pid()));
        assertThat(lines[1])
                .as("no descriptor but the shell's own, of the directory it lists")
                .isEqualTo("/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3");
        assertThat(lines[2]).as("signals blocked").isEqualTo("0000000000000000");
        assertThat(process.waitFor()).isEqualTo(143);
    }

    @Test
    void execOfWhatIsNotThereFails() throws Exception {
        Process process = new ProcessBuilder(Part.commandLine("replace", "/no/such/program"))
                .redirectErrorStream(true)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

        assertThat(process.waitFor()).isEqualTo(1);
        assertThat(output).contains("execvp(/no/such/program): No such file or directory");
    }

    @Test
    void aSupervisorLetsGoOfTerminalAndLauncher() throws Exception {
        Path status = scratch.resolve("status");
        List<String> line = new ArrayList<>(List.of(
                "bash",
                "-c",
                "SATCHEL_STATUS_FD=9 SATCHEL_INHERITED_FDS=6,61 exec \"$@\" 6</dev/zero 8</dev/zero 9>" + status
                        + " 61</dev/zero",
                "bash"));
        Path log = scratch.resolve("log");
        line.addAll(Part.commandLine("let-go", log.toString()));
        Process supervisor = new ProcessBuilder(line).redirectErrorStream(true).start();
        try {
            // Its output ends though it lives on: it has let go of it.
            assertThat(new String(supervisor.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
                    .isEqualTo("runs\n");
            for (int i = 0; i < 500 && Files.size(status) == 0; i++) {
                Thread.sleep(10);
            }
            assertThat(Files.readString(status)).isEqualTo("0\n");
            assertThat(supervisor.isAlive()).isTrue();
            Path self = Path.of("/proc", Long.toString(supervisor.pid()));
            for (String stream : List.of("0", "1")) {
                assertThat(Files.readSymbolicLink(self.resolve("fd").resolve(stream)))
                        .isEqualTo(Path.of("/dev/null"));
            }
            assertThat(Files.readSymbolicLink(self.resolve("fd/2"))).isEqualTo(log);
            for (int i = 0; i < 500 && Files.size(log) == 0; i++) {
                Thread.sleep(10);
            }
            assertThat(Files.readString(log)).isEqualTo("said\n");
            assertThat(Files.getPosixFilePermissions(log)).isEqualTo(PosixFilePermissions.fromString("rw-------"));
            // Of the three that lead there it was to close two; their numbers may be others' by now.
            List<String> zeros = new ArrayList<>();
            try (var open = Files.list(self.resolve("fd"))) {
                for (Path fd : (Iterable<Path>) open::iterator) {
                    if (Files.isSymbolicLink(fd) && Files.readSymbolicLink(fd).equals(Path.of("/dev/zero"))) {
                        zeros.add(fd.getFileName().toString());
                    }
                }
            }
            assertThat(zeros).containsExactly("8");
            String stat = Files.readString(self.resolve("stat"));
            assertThat(stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1)[3])
                    .as("leads a session of its own")
                    .isEqualTo(Long.toString(supervisor.pid()));
        } finally {
            supervisor.destroyForcibly();
        }
    }

    @Test
    void aLogStaysSmallWhateverIsWritten() throws Exception {
        Path file = scratch.resolve("log");
        try (PrintStream log = new PrintStream(new BoundedLog(file), true, StandardCharsets.UTF_8)) {
            for (int i = 0; i < 100_000; i++) {
                log.println("line " + i);
                if (i % 1000 == 0) {
                    assertThat(Files.size(file)).isLessThanOrEqualTo(BoundedLog.BYTES_MAX);
                }
            }
            assertThat(Files.readString(file)).startsWith("satchel: ").endsWith("line 99998\nline 99999\n");
            log.println("x".repeat(2 * BoundedLog.BYTES_MAX));
            assertThat(Files.size(file)).isLessThanOrEqualTo(BoundedLog.BYTES_MAX);
        }
    }

    // ---

    private String fromFile(String contents) throws Exception {
        Path file = scratch.resolve("passphrase");
        Files.writeString(file, contents);
        return output("", Part.commandLine("passphrase", file.toString()));
    }

    private static String output(String input, List<String> line) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(line).redirectErrorStream(true).start();
        try (OutputStream stdin = process.getOutputStream()) {
            stdin.write(input.getBytes(StandardCharsets.UTF_8));
        }
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        process.waitFor();
        return output;
    }

    /**
     * Runs it on a pseudo-terminal of its own, made by script(1), types each answer when its question has been seen, and says in
     * the end with which code it ended and whether the terminal echoes again. The result is all that a person would see.
     */
    private String onTerminal(List<String> line, String redirections, String... questionsAndAnswers)
            throws IOException, InterruptedException {
        Path commands = scratch.resolve("commands");
        Files.writeString(
                commands,
                "trap : INT\n'" + String.join("' '", line) + "' " + redirections
                        + "\necho code $?\nstty -a | grep -qw -e '-echo' || echo echo restored\n");
        Process script = new ProcessBuilder("script", "-qec", "bash " + commands, "/dev/null")
                .redirectErrorStream(true)
                .start();
        StringBuilder seen = new StringBuilder();
        try (var reader = script.inputReader();
                OutputStream keyboard = script.getOutputStream()) {
            int next = 0;
            int from = 0;
            for (int c = reader.read(); c >= 0; c = reader.read()) {
                seen.append((char) c);
                if (next < questionsAndAnswers.length && seen.indexOf(questionsAndAnswers[next], from) >= 0) {
                    from = seen.length();
                    keyboard.write(questionsAndAnswers[next + 1].getBytes(StandardCharsets.UTF_8));
                    keyboard.flush();
                    next += 2;
                }
            }
        }
        assertThat(script.waitFor(10, TimeUnit.SECONDS)).isTrue();
        return seen.toString();
    }
}
