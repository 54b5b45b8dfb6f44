package dev.satchel.pod.filter;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.linux.Processes;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Images that are written here, and a process in a pid namespace that has the file open but no lock. */
class RecordLocksTest {
    private static final int FILE_LOCKS = 0x54323616;
    private static final int POSIX = 1;
    private static final int OFD = 4;
    private static final int READ = 0;
    private static final int WRITE = 1;

    @TempDir
    private Path directory = Path.of("");

    private Path file = Path.of("");
    private Process namespace;
    private long pid;

    @BeforeEach
    void open() throws IOException {
        file = Files.write(directory.resolve("file"), new byte[100]);
        // Its first process is a shell, whose child has descriptor 9.
        namespace = new ProcessBuilder(
                        "unshare",
                        "--pid",
                        "--fork",
                        "--kill-child",
                        "--mount-proc",
                        "sh",
                        "-c",
                        "exec 9<>\"$0\"; sleep 1000 & echo; wait",
                        file.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        BufferedReader out = namespace.inputReader(StandardCharsets.UTF_8);
        assertThat(out.readLine()).isEmpty();
        pid = child(child(namespace.pid()));
        while (!Files.readString(Path.of("/proc/" + pid + "/comm")).equals("sleep\n")) {
            Thread.onSpinWait();
        }
    }

    private static long child(long process) throws IOException {
        String children = Files.readString(Path.of("/proc/" + process + "/task/" + process + "/children"));
        return Long.parseLong(children.strip());
    }

    @AfterEach
    void end() throws Exception {
        namespace.destroyForcibly().waitFor();
        Processes.kill(pid, Processes.SIGKILL);
    }

    private static Bytes lock(int kind, int type, long process, int fd, long start, long length) {
        return new Bytes()
                .number(1, kind)
                .number(2, type)
                .number(3, process)
                .number(4, fd)
                .number(5, start)
                .number(6, length);
    }

    private void set(Bytes... locks) throws IOException {
        Files.write(directory.resolve("filelocks.img"), Bytes.image(FILE_LOCKS, locks));
        // This process is none of the pod's, whose ids are other ones.
        RecordLocks.of(directory)
                .set(List.of((long) Processes.pid(), child(namespace.pid()), pid), child(namespace.pid()));
    }

    private boolean isFree(long start, long length, boolean shared) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE);
                FileLock lock = channel.tryLock(start, length, shared)) {
            return lock != null;
        }
    }

    @Test
    void setsThemInTheProcessWhoseTheyAre() throws Exception {
        set(
                lock(POSIX, WRITE, 2, 9, 10, 10),
                lock(POSIX, READ, 2, 9, 30, 10),
                lock(POSIX, WRITE, 2, 9, 1L << 40, 0),
                lock(OFD, WRITE, 2, 9, 60, 10));
        assertThat(isFree(0, 10, false)).isTrue();
        assertThat(isFree(10, 1, true)).isFalse();
        assertThat(isFree(19, 1, true)).isFalse();
        assertThat(isFree(20, 10, false)).isTrue();
        assertThat(isFree(30, 10, true)).isTrue();
        assertThat(isFree(30, 10, false)).isFalse();
        assertThat(isFree(60, 10, false)).isTrue(); // CRIU does not lose those
        assertThat(isFree(1L << 50, 1, true)).isFalse();
        assertThat(Files.readString(Path.of("/proc/" + pid + "/status")))
                .contains("TracerPid:\t0")
                .doesNotContain("State:\tt");
    }

    @Test
    void doesNothingWithoutLocks() throws Exception {
        assertThat(RecordLocks.of(directory).isEmpty()).isTrue();
        set(lock(OFD, WRITE, 2, 9, 60, 10));
        assertThat(isFree(0, 100, false)).isTrue();
    }

    @Test
    void namesTheProcessAndTheFile() throws Exception {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE);
                FileLock lock = channel.lock(10, 10, false)) {
            assertThat(lock.isValid()).isTrue();
            assertThatThrownBy(() -> set(lock(POSIX, WRITE, 2, 9, 19, 1)))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("a record lock of the session's process 2 (sleep) on " + file.toRealPath())
                    .hasMessageContaining("EAGAIN");
        }
        assertThat(Files.readString(Path.of("/proc/" + pid + "/status")))
                .contains("TracerPid:\t0")
                .doesNotContain("State:\tt");
        assertThatThrownBy(() -> set(lock(POSIX, WRITE, 77, 9, 19, 1)))
                .hasMessageContaining("process 77 of the session holds record locks and did not come back");
    }
}
