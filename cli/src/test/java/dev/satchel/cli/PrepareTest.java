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
 * The set-up scripts against an apt that only says what it would do, or does it to a directory: a host without {@code runc}, and
 * nothing of this one touched. Needs root, as the scripts do.
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
        Process link = new ProcessBuilder(
                        "sh", "-c", "ln -sf /usr/sbin/* /usr/bin/* . && rm -f runc apt-get apt-cache mvn java javac")
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

    // --- All of it, with programs in apt's, Maven's and Java's places that do what counts of theirs
    // ------------------------------------

    @Test
    void preparesFromNothing() throws Exception {
        Path jdk = bare();

        assertThat(prepare(jdk)).satisfies(PrepareTest::succeeded);

        Launch launch = launch();
        assertThat(launch.java()).isEqualTo(jdk.resolve("bin/java").toString());
        assertThat(launch.tools()).isEqualTo(home.resolve("tools").toString());
        assertThat(launch.release()).isEqualTo("JAVA_VERSION=\"25.0.1\"");
        assertThat(launch.app().getParent()).isEqualTo(home.resolve("build"));
        assertThat(launch.app().resolve("lib/satchel-cli-0.jar")).exists();
        assertThat(launch.app().resolve("lib/dependency.jar")).exists();
        // Without it every command takes half as long again.
        assertThat(launch.app().resolve("satchel.aot")).hasContent("cache\n");
        assertThat(launch.jvm()).contains("-XX:AOTCache=" + launch.app() + "/satchel.aot", "-XX:+UseSerialGC");
        assertThat(aptCalls()).anyMatch(call -> call.endsWith(" install runc"));
    }

    /** What CRIU was built with must not get into the host's programs, nor the host's libraries into CRIU. */
    @Test
    void theProgramsOwnCriuRunsWithItsOwnLibrariesAndNobodyElseDoes() throws Exception {
        assertThat(prepare(bare())).satisfies(PrepareTest::succeeded);

        // Here "CRIU" is a copy of cat(1), which shows its own mappings.
        Ended ran = run(home.resolve("tools/criu/criu").toString(), "/proc/self/maps");
        assertThat(ran.exitCode()).isZero();
        assertThat(ran.output().lines().filter(line -> line.contains(".so")))
                .isNotEmpty()
                .allMatch(line -> line.contains(" " + home.resolve("tools")));
        assertThat(home.resolve("tools/criu/version")).hasContent("CRIU 9.9");
        assertThat(aptCalls())
                .filteredOn(call -> call.contains("install criu"))
                .singleElement()
                .asString()
                .contains("--download-only", "Dir::State::status=", "Dir::Etc::sourcelist=");
        try (var tools = Files.list(home.resolve("tools"))) {
            assertThat(tools.map(path -> path.getFileName().toString()))
                    .containsExactlyInAnyOrder(".lock", "criu", "criu-9.9-" + architecture());
        }
    }

    @Test
    void theSecondTimeNothingIsFetchedNorBuilt() throws Exception {
        Path jdk = bare();
        assertThat(prepare(jdk)).satisfies(PrepareTest::succeeded);
        Launch first = launch();
        Files.delete(home.resolve("calls"));
        Files.delete(home.resolve("built"));

        assertThat(prepare(jdk)).satisfies(PrepareTest::succeeded);

        assertThat(home.resolve("calls")).doesNotExist();
        assertThat(home.resolve("built")).doesNotExist();
        assertThat(launch()).isEqualTo(first);
    }

    @Test
    void builtAnewIsWhatChangedAndOnlyWhatNobodyRunsGoes() throws Exception {
        Path jdk = bare();
        assertThat(prepare(jdk)).satisfies(PrepareTest::succeeded);
        Path first = launch().app();
        Process supervisor = new ProcessBuilder("bash", "-c", "exec -a java:" + first + "/lib/x.jar sleep 60").start();
        try {
            edit();
            assertThat(prepare(jdk)).satisfies(PrepareTest::succeeded);
            Path second = launch().app();
            assertThat(second).isNotEqualTo(first);

            Files.writeString(jdk.resolve("release"), "JAVA_VERSION=\"25.0.2\"\n");
            assertThat(prepare(jdk)).satisfies(PrepareTest::succeeded);
            Path third = launch().app();
            assertThat(third).isNotEqualTo(second);
            assertThat(launch().release()).isEqualTo("JAVA_VERSION=\"25.0.2\"");
            // The one before stays for who has read its name; the first, for who runs from it.
            assertThat(first).exists();
            assertThat(second).exists();

            supervisor.destroy();
            assertThat(supervisor.waitFor()).isNotZero();
            assertThat(prepare(jdk)).satisfies(PrepareTest::succeeded);
            assertThat(first).doesNotExist();
            assertThat(third).exists();
        } finally {
            supervisor.destroy();
        }
    }

    @Test
    void whatIsEditedDuringABuildIsBuiltTheNextTime() throws Exception {
        Path jdk = bare();
        Files.writeString(home.resolve("edits"), "");
        assertThat(prepare(jdk)).satisfies(PrepareTest::succeeded);
        Path first = launch().app();
        assertThat(prepare(jdk)).satisfies(PrepareTest::succeeded);
        assertThat(launch().app()).isNotEqualTo(first);
    }

    @Test
    void aBuildThatFailsLeavesTheProgramAsItWas() throws Exception {
        Path jdk = bare();
        assertThat(prepare(jdk)).satisfies(PrepareTest::succeeded);
        Launch before = launch();
        edit();
        Files.writeString(home.resolve("broken"), "");

        Ended ended = prepare(jdk);

        assertThat(ended.exitCode()).isEqualTo(1);
        assertThat(ended.errors()).contains("| cannot find symbol").contains("program failed");
        assertThat(launch()).isEqualTo(before);
        assertThat(before.app().resolve("lib/satchel-cli-0.jar")).exists();

        Files.delete(home.resolve("broken"));
        assertThat(prepare(jdk)).satisfies(PrepareTest::succeeded);
        assertThat(launch().app()).isNotEqualTo(before.app());
    }

    @Test
    void takesTheJdkOfJavaHomeElseTheNearestThatIsInstalled() throws Exception {
        Path newer = bare();
        Files.writeString(newer.resolve("release"), "JAVA_VERSION=\"26\"\n");
        String others = "for v in 21 26 25 27; do cp -r " + newer + " /usr/lib/jvm/jdk-$v"
                + " && echo \"JAVA_VERSION=\\\"$v\\\"\" >/usr/lib/jvm/jdk-$v/release; done";

        assertThat(prepareApart(newer.toString(), others)).satisfies(PrepareTest::succeeded);
        assertThat(launch().java()).isEqualTo(newer.resolve("bin/java").toString());

        assertThat(prepareApart("", others)).satisfies(PrepareTest::succeeded);
        assertThat(launch().java()).isEqualTo("/usr/lib/jvm/jdk-25/bin/java");

        Files.writeString(newer.resolve("release"), "JAVA_VERSION=\"21.0.4\"\n");
        assertThat(prepareApart(newer.toString(), others)).satisfies(PrepareTest::succeeded);
        assertThat(launch().java()).isEqualTo("/usr/lib/jvm/jdk-25/bin/java");
    }

    @Test
    void withoutAJdkItInstallsTheDistributionsOrSaysHowToGetOne() throws Exception {
        Path spare = bare();

        Ended none = prepareApart("", ":");
        assertThat(none.exitCode()).isEqualTo(5);
        assertThat(none.errors())
                .contains("satchel: no JDK 25 here")
                .contains("https://adoptium.net", "JAVA_HOME", "then call again");

        Files.createFile(home.resolve("has-jdk"));
        assertThat(prepareApart("", ":")).satisfies(PrepareTest::succeeded);
        assertThat(launch().java()).isEqualTo("/usr/lib/jvm/java-25-openjdk/bin/java");
        assertThat(spare).exists();
    }

    @Test
    void aMavenThatIsTooOldIsRefused() throws Exception {
        Path jdk = bare();
        write("mvn", "#!/bin/sh\necho 'Apache Maven 3.6.0'\n");

        Ended ended = prepare(jdk);

        assertThat(ended.exitCode()).isEqualTo(5);
        assertThat(ended.errors()).contains("satchel: Maven 3.6.0 is too old: 3.6.3 or newer is needed");
    }

    @Test
    void onlyRootMayAndToolsLieSomewhere() throws Exception {
        ProcessBuilder builder = builder(home.resolve("setup/prepare").toString());
        builder.environment().put("SATCHEL_TOOLS", "tools");
        assertThat(ended(builder.start()).exitCode()).isEqualTo(2);

        Files.setPosixFilePermissions(home, PosixFilePermissions.fromString("rwxr-xr-x"));
        Ended other = run(
                "setpriv",
                "--reuid=65534",
                "--clear-groups",
                home.resolve("setup/prepare").toString());
        assertThat(other.exitCode()).isEqualTo(1);
        assertThat(other.errors()).contains("not root");
    }

    /** A host with nothing, whose apt has all there is, and a checkout. @return a JDK of version 25 */
    private Path bare() throws Exception {
        write("apt-cache", """
                #!/bin/sh
                case $2 in openjdk-*) [ -e '%s/has-jdk' ] || { echo '  Candidate: (none)'; exit; } ;; esac
                echo '  Candidate: 1.0'
                """.formatted(home));
        write("apt-get", """
                #!/bin/sh
                set -e
                echo "$*" >>'%1$s/calls'
                case $* in
                  '-s '*) ;;
                  indextargets*) . /etc/os-release; echo "Debian http://mirror.example/debian $VERSION_CODENAME main" ;;
                  *' install runc') ln -s /usr/bin/true '%1$s/bin/runc' ;;
                  *' install openjdk-25-jdk-headless') cp -r '%1$s/jdk' /usr/lib/jvm/java-25-openjdk ;;
                  *'--download-only install criu')
                    for word; do case $word in Dir::Cache=*) archives=${word#Dir::Cache=}/archives ;; esac; done
                    package=$archives/package libraries=/usr/lib/$(uname -m)-linux-gnu
                    mkdir -p $package/DEBIAN $package/usr/sbin $package$libraries
                    cp /usr/bin/cat $package/usr/sbin/criu
                    cp -L $libraries/ld-linux-*.so.* $libraries/libc.so.6 $package$libraries
                    printf 'Package: criu\nVersion: 9.9\nArchitecture: all\nMaintainer: m\nDescription: d\n' \
                      >$package/DEBIAN/control
                    dpkg-deb -Znone -b $package $archives/criu_9.9_all.deb
                    rm -r $package ;;
                  *) ;;
                esac
                """.formatted(home));
        write("mvn", """
                #!/bin/sh
                case $* in --version) echo 'Apache Maven 3.9.9'; exit ;; esac
                echo "$*" >>'%1$s/built'
                [ ! -e '%1$s/broken' ] || { echo 'cannot find symbol'; exit 1; }
                if [ -e '%1$s/edits' ]; then rm '%1$s/edits'; sleep 0.05; : >cli/src/main/Meanwhile.java; sleep 0.05; fi
                for word; do case $word in -Dsatchel.lib=*) lib=${word#*=} ;; esac; done
                mkdir -p cli/target
                : >cli/target/satchel-cli-0.jar
                : >"$lib/dependency.jar"
                """.formatted(home));
        Path jdk = home.resolve("jdk");
        Files.createDirectories(jdk.resolve("bin"));
        for (String program : List.of("java", "javac", "jar")) {
            executable(
                    Files.writeString(
                            jdk.resolve("bin").resolve(program),
                            "#!/bin/sh\nfor word; do case $word in -XX:AOTCacheOutput=*) echo cache >\"${word#*=}\" ;; esac; done\n"));
        }
        Files.writeString(jdk.resolve("release"), "JAVA_VERSION=\"25.0.1\"\n");
        Files.createDirectories(home.resolve("cli/src/main"));
        Files.createDirectories(home.resolve(".mvn"));
        Files.writeString(home.resolve("pom.xml"), "");
        Files.writeString(home.resolve("cli/pom.xml"), "");
        return jdk;
    }

    private void edit() throws Exception {
        Thread.sleep(20); // a file's time is as coarse as the kernel's tick
        Files.writeString(home.resolve("cli/src/main/Edited.java"), "");
    }

    private static void succeeded(Ended ended) {
        assertThat(ended.exitCode()).as("%s", ended.errors()).isZero();
    }

    private Ended prepare(Path jdk) throws Exception {
        ProcessBuilder builder = builder(home.resolve("setup/prepare").toString());
        builder.environment().put("JAVA_HOME", jdk.toString());
        return ended(builder.start());
    }

    /** Where no JDK of this host's is to be seen, but what that script makes. */
    private Ended prepareApart(String javaHome, String script) throws Exception {
        ProcessBuilder builder = builder(
                "unshare",
                "--mount",
                "sh",
                "-ec",
                "for d in /usr/lib/jvm /opt /usr/local; do [ ! -d $d ] || mount -t tmpfs tmpfs $d; done; " + script
                        + "; exec \"$0\"",
                home.resolve("setup/prepare").toString());
        builder.environment().put("JAVA_HOME", javaHome);
        builder.environment().put("HOME", home.toString());
        return ended(builder.start());
    }

    /** What ./satchel would find. */
    private record Launch(String java, String jvm, Path app, String tools, String release) {}

    private Launch launch() throws Exception {
        Ended sourced = ended(new ProcessBuilder(
                        "bash",
                        "-c",
                        ". \"$0\"; printf '%s\\n' \"$java\" \"${jvm[*]}\" \"$app\" \"$tools\" \"$release\"",
                        home.resolve("build/launch").toString())
                .start());
        succeeded(sourced);
        List<String> lines = sourced.output().lines().toList();
        return new Launch(lines.get(0), lines.get(1), Path.of(lines.get(2)), lines.get(3), lines.get(4));
    }

    private String architecture() throws Exception {
        return run("dpkg", "--print-architecture").output().strip();
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
        Files.deleteIfExists(bin.resolve(name)); // which may be a link to the host's own
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
