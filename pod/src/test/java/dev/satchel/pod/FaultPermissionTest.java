package dev.satchel.pod;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FaultPermissionTest {
    @TempDir
    private Path directory = Path.of("");

    private Path setting(String value) throws IOException {
        return Files.writeString(directory.resolve("setting"), value + "\n");
    }

    private static String now(Path setting) throws IOException {
        return Files.readString(setting).strip();
    }

    @Test
    void isThereAsLongAsSomebodyNeedsIt() throws IOException {
        Path setting = setting("0");
        Path file = directory.resolve("made/file");
        FaultPermission first = FaultPermission.give(file, setting);
        assertThat(now(setting)).isEqualTo("1");
        FaultPermission second = FaultPermission.give(file, setting);
        first.close();
        assertThat(now(setting)).isEqualTo("1");
        second.close();
        assertThat(now(setting)).isEqualTo("0");
        try (FaultPermission again = FaultPermission.give(file, setting)) {
            assertThat(again).isNotNull();
            assertThat(now(setting)).isEqualTo("1");
        }
        assertThat(now(setting)).isEqualTo("0");
    }

    @Test
    void aHostThatHadItKeepsIt() throws IOException {
        Path setting = setting("1");
        FaultPermission.give(directory.resolve("file"), setting).close();
        assertThat(now(setting)).isEqualTo("1");
    }

    @Test
    void whatAKilledProcessLeftIsPutBack() throws IOException {
        Path setting = setting("1");
        Path file = Files.writeString(directory.resolve("file"), "0"); // it was being given
        FaultPermission.settle(file, setting);
        assertThat(now(setting)).isEqualTo("0");
        FaultPermission.settle(directory.resolve("none"), setting("1"));
        assertThat(now(setting)).isEqualTo("1");
    }
}
