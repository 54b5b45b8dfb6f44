package dev.satchel.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FifoTest {
    @TempDir
    Path directory;

    @Test
    void isMadeOnceWithItsMode() throws Exception {
        Path fifo = directory.resolve("fifo");
        Fifo.make(fifo, 0600);
        // S_IFIFO is 0010000, inode(7).
        assertThat((int) Files.getAttribute(fifo, "unix:mode")).isEqualTo(0010600);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(fifo)))
                .isEqualTo("rw-------");
        assertThatThrownBy(() -> Fifo.make(fifo, 0600))
                .isInstanceOf(LinuxException.class)
                .hasMessageContaining("mkfifo(" + fifo + ")");
    }
}
