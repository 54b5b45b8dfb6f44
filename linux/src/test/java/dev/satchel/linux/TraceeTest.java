package dev.satchel.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TraceeTest {
    private static final int SYS_GETPID = 39;
    private static final int SYS_CLOSE = 3;

    @TempDir
    Path directory;

    /** A child of a shell: Java itself must not wait for what is traced. */
    private record Program(Process shell, BufferedReader out, long pid) implements AutoCloseable {
        static Program python(String text, String... arguments) throws IOException {
            List<String> line = new ArrayList<>(List.of(
                    "sh", "-c", "exec 3<&0; \"$@\" <&3 & echo $!; wait; echo over", "sh", "python3", "-c", text));
            line.addAll(List.of(arguments));
            Process shell = new ProcessBuilder(line)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            BufferedReader out = shell.inputReader(StandardCharsets.UTF_8);
            return new Program(shell, out, Long.parseLong(out.readLine()));
        }

        void expect(String word) throws IOException {
            assertThat(out.readLine()).isEqualTo(word);
        }

        void tell(String line) throws IOException {
            shell.getOutputStream().write((line + "\n").getBytes(StandardCharsets.UTF_8));
            shell.getOutputStream().flush();
        }

        String status(String field) throws IOException {
            for (String line : Files.readAllLines(Path.of("/proc/" + pid + "/status"))) {
                if (line.startsWith(field + ":")) {
                    return line.substring(field.length() + 1).strip();
                }
            }
            throw new AssertionError("no " + field);
        }

        @Override
        public void close() throws IOException {
            Processes.kill(pid, Processes.SIGKILL);
            shell.destroyForcibly();
        }
    }

    /** Locks are a process's: whoever tries for them in this JVM is another process than the tracee. */
    private boolean isFree(Path file, long start, long length) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE);
                FileLock lock = channel.tryLock(start, length, false)) {
            return lock != null;
        }
    }

    @Test
    void setsALockForAProcessThatGoesOnUnawares() throws Exception {
        Path file = Files.write(directory.resolve("file"), new byte[100]);
        // Its memory, registers and mask are what they were if it still finds its words, and the line that it waits
        // for.
        try (Program program = Program.python("""
                import signal, sys
                words = [str(n) for n in range(1000)]
                file = open(sys.argv[1], "r+b")
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
                print("ready", file.fileno(), flush=True)
                line = sys.stdin.readline().strip()
                good = words == [str(n) for n in range(1000)]
                good &= signal.pthread_sigmask(signal.SIG_BLOCK, []) == {signal.SIGUSR2}
                print(line, good, flush=True)
                sys.stdin.readline()
                """, file.toString())) {
            int fd = Integer.parseInt(program.out().readLine().substring("ready ".length()));
            String mask = program.status("SigBlk");
            assertThat(isFree(file, 0, 100)).isTrue();
            try (Tracee tracee = Tracee.stop(program.pid())) {
                assertThat(program.status("State")).startsWith("t");
                assertThat(program.status("SigBlk")).isNotEqualTo(mask);
                new RecordLock(true, 10, 20).set(tracee, fd);
                new RecordLock(true, 10, 20).set(tracee, fd);
                new RecordLock(false, 50, 0).set(tracee, fd);
                assertThat(tracee.call(SYS_GETPID)).isEqualTo(program.pid());
            }
            assertThat(program.status("SigBlk")).isEqualTo(mask);
            assertThat(program.status("TracerPid")).isEqualTo("0");
            assertThat(isFree(file, 0, 10)).isTrue();
            assertThat(isFree(file, 10, 1)).isFalse();
            assertThat(isFree(file, 29, 1)).isFalse();
            assertThat(isFree(file, 30, 20)).isTrue();
            assertThat(isFree(file, 1000, 1)).isFalse();
            program.tell("a line");
            program.expect("a line True");
            assertThat(isFree(file, 10, 20)).isFalse();
        }
        assertThat(eventuallyFree(file)).isTrue();
    }

    private boolean eventuallyFree(Path file) throws Exception {
        for (int tries = 0; tries < 100 && !isFree(file, 0, 100); tries++) {
            Thread.sleep(20);
        }
        return isFree(file, 0, 100);
    }

    @Test
    void saysWhyALockCannotBeSet() throws Exception {
        Path file = Files.write(directory.resolve("file"), new byte[100]);
        try (Program program = Program.python("""
                        import sys
                        file = open(sys.argv[1], "r+b")
                        print(file.fileno(), flush=True)
                        print(sys.stdin.readline().strip(), flush=True)
                        """, file.toString());
                FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            int fd = Integer.parseInt(program.out().readLine());
            try (FileLock lock = channel.lock(0, 10, false);
                    Tracee tracee = Tracee.stop(program.pid())) {
                assertThat(lock.isValid()).isTrue();
                assertThatThrownBy(() -> new RecordLock(true, 5, 10).set(tracee, fd))
                        .isInstanceOf(LinuxException.class)
                        .hasMessageContaining("fcntl(" + fd + ", F_SETLK, F_WRLCK 5+10)")
                        .hasMessageContaining("EAGAIN");
                assertThatThrownBy(() -> new RecordLock(true, 5, 10).set(tracee, 999))
                        .hasMessageContaining("EBADF");
            }
            program.tell("unharmed");
            program.expect("unharmed");
        }
    }

    @Test
    void aWaitThatItCutIsWaitedToItsEnd() throws Exception {
        // nanosleep(2) is restarted with what the kernel remembers is left, read(2) from its beginning.
        try (Program program = Program.python("""
                import time
                print("sleeps", flush=True)
                start = time.monotonic()
                time.sleep(3)
                print(3 <= time.monotonic() - start < 4.9, flush=True)
                """)) {
            program.expect("sleeps");
            Thread.sleep(2_000); // from its beginning again it would be five seconds in all
            for (int i = 0; i < 5; i++) {
                try (Tracee tracee = Tracee.stop(program.pid())) {
                    assertThat(tracee.call(SYS_CLOSE, 999)).isEqualTo(-Errno.EBADF);
                }
                Thread.sleep(100);
            }
            program.expect("True");
        }
    }

    @Test
    void keepsSignalsThatComeMeanwhile() throws Exception {
        try (Program program = Program.python("""
                import signal, sys
                caught = []
                signal.signal(signal.SIGUSR1, lambda number, frame: caught.append(number))
                print("ready", flush=True)
                sys.stdin.readline()
                print(len(caught), flush=True)
                """)) {
            program.expect("ready");
            try (Tracee tracee = Tracee.stop(program.pid())) {
                Processes.kill(program.pid(), Processes.SIGUSR1);
                assertThat(tracee.call(SYS_GETPID)).isEqualTo(program.pid());
            }
            program.tell("");
            program.expect("1");
        }
    }

    @Test
    void aStoppedProcessStaysStopped() throws Exception {
        try (Program program = Program.python("""
                import sys
                print("ready", flush=True)
                print(sys.stdin.readline().strip(), flush=True)
                """)) {
            program.expect("ready");
            long pid = program.pid();
            Processes.kill(pid, Processes.SIGSTOP);
            awaitState(program, "T");
            try (Tracee tracee = Tracee.stop(pid)) {
                assertThat(tracee.call(SYS_GETPID)).isEqualTo(pid);
            }
            awaitState(program, "T");
            program.tell("later");
            Thread.sleep(100);
            assertThat(program.status("State")).startsWith("T");
            Processes.kill(pid, Processes.SIGCONT);
            program.expect("later");
        }
    }

    private static void awaitState(Program program, String state) throws Exception {
        for (int tries = 0; tries < 100 && !program.status("State").startsWith(state); tries++) {
            Thread.sleep(20);
        }
        assertThat(program.status("State")).startsWith(state);
    }

    @Test
    void waitsForASystemCall() throws Exception {
        // Most often met while it computes.
        try (Program program = Program.python("""
                import time
                print("ready", flush=True)
                while True:
                    for n in range(5000):
                        pass
                    time.sleep(0.00002)
                """)) {
            program.expect("ready");
            for (int i = 0; i < 5; i++) {
                try (Tracee tracee = Tracee.stop(program.pid())) {
                    assertThat(tracee.call(SYS_GETPID)).isEqualTo(program.pid());
                }
            }
            assertThat(program.status("State")).doesNotStartWith("Z");
        }
    }

    @Test
    void tellsWhatEnded() throws Exception {
        try (Program program = Program.python("print('ready', flush=True)\nimport time\ntime.sleep(60)")) {
            program.expect("ready");
            long pid = program.pid();
            try (Tracee tracee = Tracee.stop(pid)) {
                Processes.kill(pid, Processes.SIGKILL);
                assertThatThrownBy(() -> {
                            for (int i = 0; i < 1000; i++) {
                                tracee.call(SYS_GETPID);
                            }
                        })
                        .isInstanceOf(IOException.class)
                        .hasMessageContaining("" + pid);
            }
            program.expect("over"); // its parent was told
        }
    }
}
