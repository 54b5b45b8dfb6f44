package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the demo's {@code look} says of programs that did not go on, with files and a window of the test's in the session's place. */
class DemoLookTest {
    @TempDir
    private Path home = Path.of("");

    private Path look = Path.of("");

    @BeforeEach
    void putAway() throws IOException {
        Files.createDirectories(home.resolve("demo/objects"));
        Files.writeString(
                home.resolve("demo/objects/pid"), ProcessHandle.current().pid() + "\n");
        Path window = Files.writeString(
                Files.createDirectories(home.resolve("bin")).resolve("xdotool"),
                "#!/bin/sh\necho 'page abc 10 — Mozilla Firefox'\n");
        look = Files.writeString(
                home.resolve("look"),
                Files.readString(Site.repository().resolve("demo/look"))
                        .replace("/home/user", home.toString())
                        .replace(". /usr/lib/satchel/environment", "PATH=" + home + "/bin:$PATH"));
        for (Path program : List.of(window, look)) {
            Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxr-xr-x"));
        }
        count("1\n2\n3\n");
    }

    @Test
    void aCounterThatWentOnHasNoGaps() throws IOException {
        assertThat(look()).contains("count 3", "gaps 0");
    }

    @Test
    void aCounterThatMissesANumberOrBeganAgainHas() throws IOException {
        count("1\n2\n4\n");
        assertThat(look()).contains("count 4", "gaps 1");
        count("1\n2\n1\n2\n");
        assertThat(look()).contains("count 2", "gaps 2");
        count("1\n2\n2\n");
        assertThat(look()).contains("gaps 1");
    }

    @Test
    void pageAndProcessesAreToldAsTheyAre() throws IOException {
        ProcessHandle self = ProcessHandle.current();
        assertThat(look())
                .contains("page page abc 10 — Mozilla Firefox")
                .anyMatch(line -> line.startsWith("process-python3 " + self.pid() + " "
                        + self.parent().orElseThrow().pid() + " "));
    }

    private void count(String text) throws IOException {
        Files.writeString(home.resolve("demo/count.log"), text);
    }

    private List<String> look() throws IOException {
        return Ran.of(List.of(look.toString())).expect(0).out().lines().toList();
    }
}
