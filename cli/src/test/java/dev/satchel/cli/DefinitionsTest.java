package dev.satchel.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;
import picocli.CommandLine.Model.ArgSpec;

/** Help, completion and manual, which all come of the definitions. */
class DefinitionsTest {
    /** What CLI.md and the issue promise. */
    private static final List<String> PROMISED = List.of(
            "doctor",
            "vault init",
            "vault unlock",
            "vault lock",
            "vault info",
            "vault verify",
            "vault repair",
            "vault gc",
            "vault passwd",
            "vault keys add",
            "vault keys ls",
            "vault keys rm",
            "image build",
            "image import",
            "image ls",
            "image rm",
            "create",
            "resume",
            "suspend",
            "snapshot",
            "stop",
            "exec",
            "logs",
            "ls",
            "inspect",
            "history",
            "set",
            "label",
            "prune",
            "fork",
            "rm",
            "screenshot",
            "record",
            "type",
            "key",
            "click",
            "clipboard get",
            "clipboard set",
            "view");

    @TempDir
    Path scratch;

    static List<CommandLine> commands() {
        List<CommandLine> all = new ArrayList<>();
        collect(Program.tree(), all);
        return all;
    }

    private static void collect(CommandLine command, List<CommandLine> all) {
        all.add(command);
        for (CommandLine below : command.getSubcommands().values()) {
            collect(below, all);
        }
    }

    @Test
    void whatIsPromisedIsThere() {
        List<String> names = commands().stream()
                .map(command -> command.getCommandSpec().qualifiedName())
                .toList();
        for (String name : PROMISED) {
            assertThat(names).contains("satchel " + name);
        }
    }

    @ParameterizedTest
    @MethodSource("commands")
    void everyCommandIsDescribed(CommandLine command) {
        Definition definition = Definition.of(command);

        assertThat(definition.summary()).isNotBlank().doesNotEndWith(".");
        for (ArgSpec argument : command.getCommandSpec().args()) {
            assertThat(String.join(" ", argument.description()))
                    .as(argument.toString())
                    .endsWith(".");
        }
        if (definition.commands().isEmpty()) {
            assertThat(definition.examples()).isNotEmpty();
        }
    }

    @ParameterizedTest
    @MethodSource("commands")
    void helpIsNarrowCompleteAndTheSameBothWays(CommandLine command) {
        String[] path = command.getCommandSpec().qualifiedName().split(" ", -1);
        String[] names = Arrays.copyOfRange(path, 1, path.length);
        List<String> optionLast = new ArrayList<>(Arrays.asList(names));
        optionLast.add("--help");
        List<String> helpFirst = new ArrayList<>(Arrays.asList(names));
        helpFirst.addFirst("help");

        Ran ran = Ran.with(Ran.untouched(), scratch, Map.of(), optionLast.toArray(String[]::new));
        assertThat(ran.exitCode()).as(ran.err()).isZero();
        assertThat(ran.err()).isEmpty();
        assertThat(ran).isEqualTo(Ran.with(Ran.untouched(), scratch, Map.of(), helpFirst.toArray(String[]::new)));
        assertThat(ran.out().lines())
                .allSatisfy(
                        line -> assertThat(line).hasSizeLessThanOrEqualTo(100).doesNotEndWith(" "));
        for (ArgSpec argument : command.getCommandSpec().args()) {
            if (argument.arity().max() > 0) {
                assertThat(ran.out()).contains(argument.paramLabel());
            }
        }
        command.getCommandSpec()
                .optionsMap()
                .keySet()
                .forEach(name -> assertThat(ran.out()).contains(name));
    }

    @Test
    void helpLooksLikeThis() {
        assertThat(Ran.with(Ran.untouched(), scratch, Map.of(), "fork", "--help")
                        .out())
                .startsWith("""
                        Usage: satchel fork NAME[@SNAPSHOT] NEW

                        Make a second session that goes on from the same instant.

                        Nothing is copied: both refer to the same chunks, and each stores only what it changes from then
                        on.

                        Arguments:
                          NAME[@SNAPSHOT]   The session, or one of its snapshots; of a session that runs, this very instant.
                          NEW               What to call the new session.
                        """.stripIndent().replace("this very instant.", "this very\n                    instant."));
    }

    @Test
    void withoutACommandItIsHelp() {
        assertThat(Ran.with(Ran.untouched(), scratch, Map.of()))
                .isEqualTo(Ran.with(Ran.untouched(), scratch, Map.of(), "--help"));
    }

    /** The branch that a command line names is the same as in the whole tree. */
    @ParameterizedTest
    @MethodSource("commands")
    void theBranchOfACommandIsItsWhole(CommandLine command) {
        String[] path = command.getCommandSpec().qualifiedName().split(" ", -1);
        GlobalOptions globals = new GlobalOptions(Map.of());
        CommandLine.Model.CommandSpec root =
                CommandLine.Model.CommandSpec.create().name("satchel");
        globals.addTo(root);
        CommandLine at = new CommandLine(Commands.branch(root, globals, Arrays.copyOfRange(path, 1, path.length)));
        for (int i = 1; i < path.length; i++) {
            at = at.getSubcommands().get(path[i]);
        }
        if (path.length > 1) {
            assertThat(new TreeSet<>(at.getCommandSpec().optionsMap().keySet()))
                    .isEqualTo(
                            new TreeSet<>(command.getCommandSpec().optionsMap().keySet()));
        }
    }

    // --- Completion
    // --------------------------------------------------------------------------------------------------------------

    @Test
    void bashCompletes() throws Exception {
        String script = Ran.with(Ran.untouched(), scratch, Map.of(), "completion", "bash")
                .out();
        Path file = scratch.resolve("completion");
        Files.writeString(file, script);

        assertThat(bash("bash -n " + file)).isEmpty();
        assertThat(completed(file, "satchel", "")).contains("resume", "suspend", "vault", "doctor");
        assertThat(completed(file, "satchel", "")).doesNotContain("manual");
        assertThat(completed(file, "satchel", "res")).containsExactly("resume");
        assertThat(completed(file, "satchel", "vault", "")).contains("init", "unlock", "lock", "info", "verify", "gc");
        assertThat(completed(file, "satchel", "resume", "--")).contains("--at", "--fresh", "--take-over", "--vault");
        assertThat(completed(file, "satchel", "create", "--im")).containsExactly("--image");
    }

    @Test
    void bashCompletesSessionsOfAnUnlockedVault() throws Exception {
        Path file = scratch.resolve("completion");
        Files.writeString(
                file,
                Ran.with(Ran.untouched(), scratch, Map.of(), "completion", "bash")
                        .out());
        Path program = Files.createFile(
                scratch.resolve("satchel"),
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Files.writeString(program, """
                #!/bin/sh
                [ "$*" = "ls --json" ] && [ "$SATCHEL_PASSPHRASE_FILE" = /dev/null ] || exit 9
                echo '{"session":"work","state":"running","image":"desktop"}'
                echo '{"session":"weekend_2.x","state":"suspended","image":"work"}'
                """);

        for (String command :
                List.of("resume", "suspend", "stop", "exec", "logs", "inspect", "history", "rm", "fork")) {
            assertThat(completed(file, program.toString(), command, ""))
                    .as(command)
                    .contains("work", "weekend_2.x")
                    .doesNotContain("sessions-of-the-vault");
        }
        assertThat(completed(file, program.toString(), "resume", "wo")).containsExactly("work");
        assertThat(completed(file, program.toString(), "resume", "--fresh", "we"))
                .containsExactly("weekend_2.x");
        assertThat(completed(file, program.toString(), "create", "")).doesNotContain("work");
        // Locked: it says on standard error what it misses, and offers nothing.
        Files.writeString(program, "#!/bin/sh\necho satchel: no passphrase >&2\nexit 4\n");
        assertThat(completed(file, program.toString(), "suspend", "")).isEmpty();
    }

    @Test
    void zshGetsTheSame() {
        assertThat(Ran.with(Ran.untouched(), scratch, Map.of(), "completion", "zsh")
                        .out())
                .contains("bashcompinit");
    }

    /** What bash would offer for the last of these words. */
    private static List<String> completed(Path script, String... words) throws Exception {
        return bash("source " + script + "; COMP_WORDS=('" + String.join("' '", words) + "'); COMP_CWORD="
                        + (words.length - 1)
                        + "; COMP_LINE=\"${COMP_WORDS[*]}\"; COMP_POINT=${#COMP_LINE}; _complete_satchel \"${COMP_WORDS[0]}\""
                        + " \"${COMP_WORDS[-1]}\" 2>/dev/null; printf '%s\\n' \"${COMPREPLY[@]}\"")
                .lines()
                .map(String::strip)
                .filter(line -> !line.isEmpty())
                .toList();
    }

    private static String bash(String line) throws IOException, InterruptedException {
        Process bash =
                new ProcessBuilder("bash", "-c", line).redirectErrorStream(true).start();
        bash.getOutputStream().close();
        String output = new String(bash.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
        bash.waitFor();
        return output;
    }

    // --- Manual
    // ------------------------------------------------------------------------------------------------------------------

    @Test
    void theManualIsWellFormedAndNamesEverything() {
        Ran ran = Ran.with(Ran.untouched(), scratch, Map.of(), "manual");
        assertThat(ran.exitCode()).isZero();
        List<String> lines = ran.out().lines().toList();

        assertThat(lines.getFirst()).startsWith(".TH SATCHEL 1 ");
        assertThat(lines).contains(".SH \"NAME\"", ".SH \"EXIT STATUS\"", ".SH \"ENVIRONMENT\"", ".SH \"FILES\"");
        boolean example = false;
        for (String line : lines) {
            if (line.startsWith(".")) {
                assertThat(line).matches("\\.(TH|SH|SS|PP|TP|B|EX|EE)( .*)?");
                long quotes = line.chars().filter(c -> c == '"').count();
                assertThat(quotes).as(line).isIn(0L, 2L, 6L);
            } else {
                assertThat(line).isNotBlank().doesNotStartWith("'").doesNotContain("\"");
            }
            if (line.equals(".EX") || line.equals(".EE")) {
                assertThat(example).as("examples begin and end in turn").isEqualTo(line.equals(".EE"));
                example = !example;
            }
        }
        assertThat(example).isFalse();
        for (String name : PROMISED) {
            assertThat(ran.out()).contains(".SS \"satchel " + name.replace("-", "\\-"));
        }
        for (String option : List.of("take\\-over", "suspend\\-on\\-close", "passphrase\\-file", "SATCHEL_VAULT")) {
            assertThat(ran.out()).contains(option);
        }
    }
}
