package dev.satchel.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.session.CheckResult;
import dev.satchel.session.Host;
import dev.satchel.session.PassphraseSource;
import dev.satchel.session.Progress;
import dev.satchel.session.Satchel;
import dev.satchel.session.SatchelException;
import dev.satchel.vault.DamagedException;
import dev.satchel.vault.ExistsException;
import dev.satchel.vault.ForgedException;
import dev.satchel.vault.HostId;
import dev.satchel.vault.InUseException;
import dev.satchel.vault.LeaseHolder;
import dev.satchel.vault.NoSuchException;
import dev.satchel.vault.VaultFullException;
import dev.satchel.vault.WrongPassphraseException;
import java.io.DataInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** From arguments to exit codes, without sessions behind the door. */
class ProgramTest {
    @TempDir
    Path state;

    // --- Wrong usage
    // -------------------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(
            strings = {
                "frobnicate",
                "resum work",
                "--frobnicate",
                "ls --frobnicate",
                "ls work",
                "resume",
                "resume work other",
                "resume work --at",
                "create work",
                "create --image desktop",
                "create work --image desktop --disk 8X",
                "create work --image desktop --disk 0",
                "create work --image desktop --disk -8G",
                "create work --image desktop --cpus many",
                "create work --image desktop --cpus 0",
                "create work --image desktop --geometry 1280",
                "create work --image desktop -e =x",
                "vault",
                "vault frobnicate",
                "vault --json",
                "vault unlock --for 8",
                "vault unlock --for soon",
                "image",
                "image build",
                "image import desktop",
                "fork work",
                "fork @x new",
                "fork work@ new",
                "rm",
                "rm work@3f -f",
                "exec work",
                "exec",
                "screenshot work",
                "record work",
                "record work x.webm --for 0",
                "record work x.webm --fps 61",
                "type work",
                "key work",
                "click work 1",
                "click work 1 y",
                "click work 1 2 --button 10",
                "clipboard work",
                "clipboard get",
                "help frobnicate",
                "vault help",
                "completion fish",
                "--vault",
                "--vault s3://bucket ls",
            })
    void wrongUsageIsExitCode2AndOneLine(String line) {
        Ran ran = Ran.with(Ran.untouched(), state, Map.of(), line.split(" ", -1));

        assertThat(ran.exitCode()).as(ran.err()).isEqualTo(2);
        assertThat(ran.out()).isEmpty();
        assertOneLine(ran.err());
    }

    @Test
    void aVaultMustBeNamed() {
        Ran ran = Ran.with(Ran.untouched(), state, Map.of("SATCHEL_VAULT", ""), "ls");

        assertThat(ran.exitCode()).isEqualTo(2);
        assertThat(ran.err()).isEqualTo("satchel: no vault named: give --vault PATH, or set SATCHEL_VAULT\n");
    }

    @Test
    void whatWasMeantIsGuessed() {
        assertThat(Ran.with(Ran.untouched(), state, Map.of(), "resum", "work").err())
                .startsWith("satchel: no command 'resum': did you mean 'resume'");
        assertThat(Ran.with(Ran.untouched(), state, Map.of(), "resume", "work", "--frsh")
                        .err())
                .startsWith("satchel: unknown option '--frsh': ");
        assertThat(Ran.with(Ran.untouched(), state, Map.of(), "create", "work").err())
                .isEqualTo("satchel: missing required option '--image=IMAGE': see 'satchel create --help'\n");
    }

    // --- Failures
    // ----------------------------------------------------------------------------------------------------------------

    private static InUseException inUse() {
        return new InUseException(
                "session work runs elsewhere: suspend it there first",
                new LeaseHolder(new HostId(1, 2), "tower", Instant.EPOCH, 1));
    }

    static List<Object[]> failures() {
        List<Object[]> failures = new ArrayList<>();
        for (SatchelException.Kind kind : SatchelException.Kind.values()) {
            failures.add(new Object[] {new SatchelException(kind, "it broke: mend it"), kind.exitCode()});
        }
        failures.add(new Object[] {new NoSuchException("no session work: see 'satchel ls'"), 3});
        failures.add(new Object[] {new WrongPassphraseException("wrong passphrase: try again"), 4});
        failures.add(new Object[] {new DamagedException("pack 1 is damaged: restore it"), 4});
        failures.add(new Object[] {new ForgedException("head work is forged: restore it"), 4});
        failures.add(new Object[] {inUse(), 6});
        failures.add(new Object[] {new ExistsException("session work exists: take another name"), 1});
        failures.add(new Object[] {new VaultFullException("no space: make some"), 1});
        failures.add(new Object[] {new NoSuchFileException("/x/y"), 1});
        failures.add(new Object[] {new FileNotFoundException("/x/y (Permission denied)"), 1});
        failures.add(new Object[] {new IOException("first line\nsecond line\r\n\u001b[31mthird"), 1});
        failures.add(new Object[] {new IOException(), 1});
        failures.add(new Object[] {new IllegalStateException("a bug"), 1});
        return failures;
    }

    @ParameterizedTest
    @MethodSource("failures")
    void everyFailureHasItsExitCodeAndIsOneLine(Exception failure, int exitCode) {
        Ran ran = Ran.with(Ran.failing(failure), state, Map.of(), "ls");

        assertThat(ran.exitCode()).isEqualTo(exitCode);
        assertThat(ran.out()).isEmpty();
        assertOneLine(ran.err());
    }

    @ParameterizedTest
    @MethodSource("failures")
    void jsonChangesNothingOfThat(Exception failure, int exitCode) {
        Ran ran = Ran.with(Ran.failing(failure), state, Map.of(), "--json", "inspect", "work");

        assertThat(ran.exitCode()).isEqualTo(exitCode);
        assertThat(ran.out()).isEmpty();
        assertOneLine(ran.err());
    }

    @Test
    void theKindsOfSessionsAreThePromisedCodes() {
        assertThat(SatchelException.Kind.NOT_FOUND.exitCode()).isEqualTo(3);
        assertThat(SatchelException.Kind.NOT_AUTHENTIC.exitCode()).isEqualTo(4);
        assertThat(SatchelException.Kind.HOST_LACKS.exitCode()).isEqualTo(5);
        assertThat(SatchelException.Kind.IN_USE.exitCode()).isEqualTo(6);
    }

    @Test
    void inUseNamesTheHost() {
        assertThat(Ran.with(Ran.failing(inUse()), state, Map.of(), "resume", "work")
                        .err())
                .contains("tower");
    }

    @Test
    void whereItCameFromIsSaidOnlyWhenAsked() {
        Exception failure = new NoSuchException("no session work: see 'satchel ls'");

        assertThat(Ran.with(Ran.failing(failure), state, Map.of(), "ls").err()).doesNotContain("at dev.satchel");
        for (String[] line : new String[][] {{"-v", "ls"}, {"ls", "-v"}, {"ls", "--verbose"}}) {
            assertThat(Ran.with(Ran.failing(failure), state, Map.of(), line).err())
                    .startsWith("satchel: no session work: see 'satchel ls'\n")
                    .contains("NoSuchException", "at dev.satchel");
        }
        assertThat(Ran.with(Ran.untouched(), state, Map.of(), "-v", "frobnicate")
                        .err())
                .contains("UnmatchedArgumentException");
    }

    // --- Options that every command has
    // ------------------------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(
            strings = {
                "--vault /a/vault --state STATE vault info",
                "vault --vault /a/vault --state STATE info",
                "vault info --vault /a/vault --state STATE",
                "vault info --vault=/a/vault --state=STATE",
                "--vault=/a/vault vault --state=STATE info --json",
            })
    void globalOptionsMayStandAnywhereAndWinOverVariables(String line) {
        Path mine = state.resolve("mine");
        List<String> seen = new ArrayList<>();
        SatchelFactory recording = new SatchelFactory() {
            @Override
            public Satchel open(Host host, Path vault, PassphraseSource passphrase, Progress progress)
                    throws IOException {
                seen.add(vault + " " + host.state());
                throw new NoSuchException("no vault: make one");
            }

            @Override
            public List<CheckResult> doctor(Host host) {
                return List.of();
            }
        };
        Ran ran = Ran.with(
                recording,
                state,
                Map.of(),
                line.replace("STATE", mine.toString()).split(" ", -1));

        assertThat(ran.exitCode()).as(ran.err()).isEqualTo(3);
        assertThat(seen).containsExactly("/a/vault " + mine);
    }

    @Test
    void variablesStandInForOptions() {
        List<String> seen = new ArrayList<>();
        SatchelFactory recording = new SatchelFactory() {
            @Override
            public Satchel open(Host host, Path vault, PassphraseSource passphrase, Progress progress)
                    throws IOException {
                seen.add(vault + " " + host.state() + " " + ((Passphrases) passphrase).file());
                throw new NoSuchException("no vault: make one");
            }

            @Override
            public List<CheckResult> doctor(Host host) {
                return List.of();
            }
        };
        Ran.with(
                recording,
                state,
                Map.of(
                        "SATCHEL_VAULT", "/b/vault",
                        "SATCHEL_STATE", state.resolve("b").toString(),
                        "SATCHEL_PASSPHRASE_FILE", "/b/file"),
                "ls");

        assertThat(seen).containsExactly("/b/vault " + state.resolve("b") + " Optional[/b/file]");
    }

    // --- exec
    // --------------------------------------------------------------------------------------------------------------------

    static List<Object[]> execLines() {
        return List.of(
                new Object[] {"exec work -- ls -l -t", List.of("ls", "-l", "-t")},
                new Object[] {"exec work ls -l -t", List.of("ls", "-l", "-t")},
                new Object[] {"exec -u user -t work ls --vault x", List.of("ls", "--vault", "x")},
                new Object[] {"exec work -u user -it -- sh -c exit", List.of("sh", "-c", "exit")},
                new Object[] {"exec work -- sh -- x", List.of("sh", "--", "x")},
                new Object[] {"exec work -- -odd", List.of("-odd")});
    }

    @ParameterizedTest
    @MethodSource("execLines")
    void whatFollowsTheCommandOfExecIsItsOwn(String line, List<String> command) {
        CommandLine.ParseResult exec =
                Program.tree().parseArgs(line.split(" ", -1)).subcommand();

        assertThat(exec.commandSpec().positionalParameters().get(0).<String>getValue())
                .isEqualTo("work");
        assertThat(exec.commandSpec().positionalParameters().get(1).<List<String>>getValue())
                .isEqualTo(command);
    }

    // --- What needs no sessions
    // --------------------------------------------------------------------------------------------------

    @Test
    void doctorSaysWhatIsMissingAndEndsWith5() {
        SatchelFactory lacking = new SatchelFactory() {
            @Override
            public Satchel open(Host host, Path vault, PassphraseSource passphrase, Progress progress) {
                throw new AssertionError();
            }

            @Override
            public List<CheckResult> doctor(Host host) {
                return List.of(
                        new CheckResult("fuse", true, "works", ""),
                        new CheckResult("criu", false, "no such file", "run setup/prepare"));
            }
        };
        Ran ran = Ran.with(lacking, state, Map.of("SATCHEL_VAULT", ""), "doctor");
        assertThat(ran.exitCode()).isEqualTo(5);
        assertThat(ran.out()).contains("criu", "NO", "no such file", "mend it: run setup/prepare");
        assertThat(ran.err()).isEqualTo("satchel: this host lacks criu: 'satchel doctor' says how to mend each\n");

        Ran json = Ran.with(lacking, state, Map.of(), "doctor", "--json");
        assertThat(json.exitCode()).isEqualTo(5);
        assertThat(json.out())
                .isEqualTo(
                        "{\"checks\":[{\"name\":\"fuse\",\"ok\":true,\"detail\":\"works\",\"fix\":\"\"},"
                                + "{\"name\":\"criu\",\"ok\":false,\"detail\":\"no such file\",\"fix\":\"run setup/prepare\"}]}\n");
    }

    @Test
    void saysItsVersionWhichIsThatOfTheBuild() throws Exception {
        String pom = Files.readString(Path.of("pom.xml"));
        String version = pom.substring(pom.indexOf("<version>") + 9, pom.indexOf("</version>"));

        assertThat(Ran.with(Ran.untouched(), state, Map.of(), "--version"))
                .isEqualTo(new Ran(0, "satchel " + version + "\n", ""));
        assertThat(Ran.with(Ran.untouched(), state, Map.of(), "-V", "--json").out())
                .isEqualTo("{\"version\":\"" + version + "\"}\n");
    }

    /** Else the start-up cache can't hold it, and each command takes twice its processor time. */
    @Test
    void theParserIsCompiledForACurrentJava() throws Exception {
        try (DataInputStream parser = new DataInputStream(CommandLine.class.getResourceAsStream("CommandLine.class"))) {
            parser.readInt();
            parser.readUnsignedShort();
            assertThat(parser.readUnsignedShort()).isGreaterThanOrEqualTo(65);
        }
    }

    private static void assertOneLine(String err) {
        assertThat(err).startsWith("satchel: ").endsWith("\n").matches("[^\\p{Cntrl}]+\n");
        assertThat(err.substring("satchel: ".length()))
                .as("what happened: what to do")
                .contains(": ");
    }
}
