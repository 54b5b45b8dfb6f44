package dev.satchel.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * The set-up scripts against an apt that only says what it would do: a host without {@code runc}, and nothing of this one touched.
 * Needs root, as the scripts do.
 */
@Timeout(60)
class PrepareTest {
    private static final Path CHECKOUT =
            Path.of(System.getProperty("user.dir")).toAbsolutePath().getParent();

    private Path home = Path.of("");

    private Path bin = Path.of("");

    @BeforeEach
    void makeHost() throws Exception {
        home = Files.createTempDirectory("satchel-prepare-");
        Path setup = Files.createDirectories(home.resolve("setup"));
        for (String script : List.of("prepare", "debian-sources")) {
            Files.copy(CHECKOUT.resolve("setup").resolve(script), setup.resolve(script));
            executable(setup.resolve(script));
        }
        bin = Files.createDirectories(home.resolve("bin"));
        Process link = new ProcessBuilder("sh", "-c", "ln -sf /usr/sbin/* /usr/bin/* . && rm runc apt-get apt-cache")
                .directory(bin.toFile())
                .inheritIO()
                .start();
        assertThat(link.waitFor()).isZero();
        write("apt-cache", "#!/bin/sh\necho '  Candidate: 1.0'\n");
    }

    /** Not by @TempDir, which warns of each of the thousand links. */
    @AfterEach
    void removeHost() throws Exception {
        assertThat(new ProcessBuilder("rm", "-rf", home.toString()).start().waitFor())
                .isZero();
    }

    @Test
    void refusesWhatWouldReplacePackagesOfTheHost() throws Exception {
        apt("Inst libc6 [2.36-9] (2.41-1 Debian:13/stable [amd64])", "Inst runc (1.1 Debian:12/oldstable [amd64])");

        Ended ended = prepare();

        assertThat(ended.exitCode()).isEqualTo(5);
        assertThat(ended.errors()).contains("would replace or remove packages of this host (libc6)");
        assertThat(aptCalls()).isNotEmpty().allMatch(call -> call.startsWith("-s "));
    }

    @Test
    void refusesWhatWouldRemovePackagesOfTheHost() throws Exception {
        apt("Remv containerd.io [1.7]", "Inst runc (1.1 Debian:12/oldstable [amd64])");

        Ended ended = prepare();

        assertThat(ended.exitCode()).isEqualTo(5);
        assertThat(ended.errors()).contains("(containerd.io)");
        assertThat(aptCalls()).isNotEmpty().allMatch(call -> call.startsWith("-s "));
    }

    @Test
    void installsWhatIsMissingAndNothingElse() throws Exception {
        apt("Inst runc (1.1 Debian:12/oldstable [amd64])");

        Ended ended = prepare();

        // This apt installs nothing, and that is noticed.
        assertThat(ended.exitCode()).isEqualTo(5);
        assertThat(ended.errors()).contains("runc is not there although runc was installed");
        assertThat(aptCalls())
                .filteredOn(call -> !call.startsWith("-s "))
                .singleElement()
                .asString()
                .contains("--no-upgrade")
                .endsWith(" install runc");
    }

    @Test
    void showsTheEndOfTheLogWhenAStepFails() throws Exception {
        write("apt-get", "#!/bin/sh\necho 'E: the disk is made of cheese'\nexit 100\n");

        Ended ended = prepare();

        assertThat(ended.exitCode()).isEqualTo(100);
        assertThat(ended.errors()).contains("| E: the disk is made of cheese").contains("build/prepare.log");
    }

    @Test
    void waitsForAnotherThatPreparesTheSameCheckout() throws Exception {
        apt("Remv containerd.io [1.7]");
        Path lock = Files.createDirectories(home.resolve("build")).resolve(".lock");
        Process holder = new ProcessBuilder("flock", lock.toString(), "sh", "-c", "echo held; cat").start();
        try {
            assertThat(holder.inputReader().readLine()).isEqualTo("held");
            Process waiting = start();
            var errors = waiting.errorReader();
            assertThat(errors.readLine()).contains("waiting for it");
            assertThat(waiting.waitFor(500, TimeUnit.MILLISECONDS)).isFalse();

            holder.getOutputStream().close();
            assertThat(errors.readLine()).contains("preparing this machine");
            errors.transferTo(Writer.nullWriter());
            assertThat(waiting.waitFor()).isEqualTo(5);
        } finally {
            holder.destroy();
        }
    }

    @Test
    void knowsDebiansOwnSourcesFromOthers() throws Exception {
        write("apt-get", """
                #!/bin/sh
                cat <<'END'
                Debian http://mirror.example/debian/ bookworm main
                Debian http://mirror.example/debian/ bookworm contrib
                Docker https://docker.example/linux/debian/ bookworm stable
                artifactory https://adoptium.example/deb/ bookworm main
                Debian http://mirror.example/security/ bookworm-security main
                END
                """);

        Ended ended = run(home.resolve("setup/debian-sources").toString());

        assertThat(ended.exitCode()).isZero();
        assertThat(ended.output())
                .isEqualTo("http://mirror.example/debian bookworm\nhttp://mirror.example/security bookworm-security\n");
    }

    @Test
    void saysThatThereIsNoDebianSource() throws Exception {
        write("apt-get", "#!/bin/sh\necho Docker https://docker.example/linux/debian/ bookworm stable\n");

        assertThat(run(home.resolve("setup/debian-sources").toString()).exitCode())
                .isEqualTo(1);
    }

    private record Ended(int exitCode, String output, String errors) {}

    /** An apt-get that notes how it was called, and in a simulation prints these lines. */
    private void apt(String... plan) throws IOException {
        write(
                "apt-get",
                "#!/bin/sh\necho \"$*\" >>'%s'\n[ \"$1\" != -s ] || cat <<'END'\n%s\nEND\n"
                        .formatted(home.resolve("calls"), String.join("\n", plan)));
    }

    private List<String> aptCalls() throws IOException {
        return Files.readAllLines(home.resolve("calls"));
    }

    private void write(String name, String script) throws IOException {
        executable(Files.writeString(bin.resolve(name), script));
    }

    private static void executable(Path script) throws IOException {
        Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    private Ended prepare() throws IOException, InterruptedException {
        return ended(start());
    }

    private Process start() throws IOException {
        return builder(home.resolve("setup/prepare").toString()).start();
    }

    private Ended run(String... command) throws IOException, InterruptedException {
        return ended(builder(command).start());
    }

    private ProcessBuilder builder(String... command) {
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().put("PATH", bin.toString());
        builder.environment().put("SATCHEL_TOOLS", home.resolve("tools").toString());
        return builder;
    }

    /** What these scripts write is less than a pipe holds. */
    private static Ended ended(Process process) throws IOException, InterruptedException {
        process.getOutputStream().close();
        int exitCode = process.waitFor();
        return new Ended(
                exitCode,
                new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8),
                new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8));
    }
}
