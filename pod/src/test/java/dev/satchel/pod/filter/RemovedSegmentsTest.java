package dev.satchel.pod.filter;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RemovedSegmentsTest {
    private static final int SHM = 0x46283044;

    @TempDir
    Path directory;

    private static Bytes segment(long id, int mode) {
        Bytes description = new Bytes();
        for (int field = 1; field <= 5; field++) {
            description.number(field, 0);
        }
        return new Bytes()
                .message(1, description.number(6, mode).number(7, id))
                .number(2, 4096)
                .number(3, 1);
    }

    @Test
    void aRemovedSegmentHasItsMark() throws IOException {
        Files.write(
                directory.resolve("ipcns-shm-9.img"),
                Bytes.image(SHM, segment(0, 0600), segment(32769, 01600), segment(5, 01777), segment(6, 0777)));
        Files.write(directory.resolve("ipcns-sem-9.img"), new byte[3]);
        assertThat(RemovedSegments.find(directory)).containsExactly(32769, 5);
    }

    @Test
    void aDamagedImageIsNamed() throws IOException {
        byte[] image = Bytes.image(SHM, segment(5, 01777));
        Files.write(directory.resolve("ipcns-shm-9.img"), java.util.Arrays.copyOf(image, image.length - 1));
        assertThatThrownBy(() -> RemovedSegments.find(directory)).hasMessageContaining("ipcns-shm-9.img");
    }

    /** A process in an IPC namespace of its own with one segment, which nobody has attached: removing ends it. */
    @Test
    void removesInTheOtherNamespaceOnly() throws IOException {
        Process other = new ProcessBuilder(
                        "unshare", "--ipc", "sh", "-c", "ipcmk -M 4096 && read line && ipcs -m | grep -c 0x; true")
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        try (var output = other.inputReader(StandardCharsets.UTF_8);
                var input = other.outputWriter(StandardCharsets.UTF_8)) {
            String made = output.readLine();
            int id = Integer.parseInt(made.substring(made.lastIndexOf(' ') + 1));
            RemovedSegments.remove(List.of(id), other.pid());
            assertThatThrownBy(() -> RemovedSegments.remove(List.of(id), other.pid()))
                    .hasMessageContaining("shmctl(" + id + ", IPC_RMID)");
            input.write("\n");
            input.flush();
            assertThat(output.readLine()).isEqualTo("0");
        } finally {
            other.destroyForcibly();
        }
    }
}
