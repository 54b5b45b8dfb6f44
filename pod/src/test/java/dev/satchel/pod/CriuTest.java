package dev.satchel.pod;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CriuTest {
    @TempDir
    Path directory;

    @Test
    void whatAKilledCriuLeftOfItsCacheIsRemoved() throws Exception {
        Path cache = Files.createFile(directory.resolve("criu.kdat.tmp"));
        Criu.removeAbandoned(cache);
        assertThat(cache).as("it may be being written").exists();
        Files.setLastModifiedTime(cache, FileTime.from(Instant.now().minusSeconds(61)));
        Criu.removeAbandoned(cache);
        assertThat(cache).doesNotExist();
        Criu.removeAbandoned(cache);
    }
}
