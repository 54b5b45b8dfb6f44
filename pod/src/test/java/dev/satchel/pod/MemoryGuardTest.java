package dev.satchel.pod;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.linux.UnixSocket;
import dev.satchel.linux.Userfaultfd;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What becomes of programs that wait for memory when whoever was to bring it is killed. */
@Timeout(60)
class MemoryGuardTest {
    private static final int SIGKILL = 9;

    @TempDir
    private Path directory = Path.of("");

    /** The supervisor's part, in a process of its own: takes a program's userfaultfd, guards it, and does nothing more. */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        try (UnixSocket server = UnixSocket.listen(Path.of(arguments[0]))) {
            System.out.println("listening");
            UnixSocket program = server.accept();
            try (Arena arena = Arena.ofConfined()) {
                boolean zombie = program.receive(arena.allocate(4));
                boolean process = program.receive(arena.allocate(4));
                Userfaultfd faults = new Userfaultfd(program.receiveDescriptor("userfaultfd"));
                MemoryGuard guard = MemoryGuard.of(Cgroup.create(arguments[1], OptionalLong.empty(), Optional.empty()));
                guard.keep(faults);
                System.out.println(zombie && process ? "guarding" : "nobody there");
            }
            Thread.sleep(Long.MAX_VALUE);
        }
    }

    @Test
    void theyAreKilledAndNeverSeeZeros() throws Exception {
        killSupervisor(false);
    }

    @Test
    void theyAreKilledAlsoWhenTheyStandStill() throws Exception {
        killSupervisor(true);
    }

    private void killSupervisor(boolean standingStill) throws Exception {
        Path script = directory.resolve("lazy.py");
        try (InputStream source = Objects.requireNonNull(getClass().getResourceAsStream("lazy.py"))) {
            Files.copy(source, script);
        }
        Path present = Files.writeString(directory.resolve("present"), "0\n1\n2\n");
        Path socket = directory.resolve("socket");
        String path = "satchel/test-guard-" + ProcessHandle.current().pid();
        try (Cgroup cgroup = Cgroup.create(path, OptionalLong.empty(), Optional.empty())) {
            Process supervisor = new ProcessBuilder(
                            Path.of(System.getProperty("java.home"), "bin/java").toString(),
                            "--enable-native-access=ALL-UNNAMED",
                            "-cp",
                            System.getProperty("java.class.path"),
                            MemoryGuardTest.class.getName(),
                            socket.toString(),
                            path)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            try (BufferedReader says = supervisor.inputReader()) {
                assertThat(says.readLine()).isEqualTo("listening");
                Process program = new ProcessBuilder(
                                "python3", script.toString(), socket.toString(), "1", "3", present.toString(), "touch")
                        .redirectErrorStream(true)
                        .start();
                try (BufferedReader said = program.inputReader()) {
                    for (Path file : cgroup.processFiles()) {
                        Files.writeString(file, Long.toString(program.pid()), StandardOpenOption.WRITE);
                    }
                    assertThat(said.readLine()).isEqualTo("touching");
                    assertThat(says.readLine()).isEqualTo("guarding");
                    assertThat(program.waitFor(300, TimeUnit.MILLISECONDS)).isFalse();
                    cgroup.freeze(standingStill); // as when what it waits for can't be read

                    supervisor.destroyForcibly();

                    assertThat(program.waitFor()).isEqualTo(128 + SIGKILL);
                    assertThat(said.readLine()).isNull();
                } finally {
                    program.destroyForcibly();
                }
            } finally {
                supervisor.destroyForcibly();
            }
        }
    }
}
