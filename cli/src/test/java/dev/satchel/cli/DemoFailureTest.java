package dev.satchel.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@code demo} says and ends with when not all goes well, with a script in the launcher's place. */
class DemoFailureTest {
    @TempDir
    private Path home = Path.of("");

    @BeforeEach
    void putTheLauncher() throws IOException {
        for (String name : List.of("page.html", "count", "start", "look", "read-document", "objects.py")) {
            Files.writeString(Files.createDirectories(home.resolve("demo")).resolve(name), "");
        }
        // Commands succeed, and none of the programs inside has anything to say.
        Path launcher = Files.writeString(home.resolve("satchel"), """
                #!/bin/sh
                [ ! -e "${0%/*}/broken" ] || { echo 'satchel: broken: mend it' >&2; exit 5; }
                mkdir -p "$SATCHEL_STATE"
                case $* in
                  'vault init'*) mkdir "$SATCHEL_VAULT" ;;
                  suspend* | snapshot*)
                    echo '{"snapshot":"1f","frozen_ms":1,"total_ms":1,"criu_ms":1,"processes":1,"bytes_memory":1,"bytes_new":1}' ;;
                  resume*) echo '{"total_ms":1,"criu_ms":1,"view_url":"http://127.0.0.1:1/?k=s"}' ;;
                esac
                """);
        Files.setPosixFilePermissions(launcher, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    @Test
    void aDemoWhoseChecksFailEndsWithOneAndNamesThem() {
        Ran played = demo();

        assertThat(played.exitCode()).isEqualTo(1);
        assertThat(played.out()).contains("  FAILED the terminal went on counting, without a gap");
        assertThat(played.err().lines())
                .singleElement()
                .asString()
                .startsWith(
                        "satchel: not all went on, these checks failed (host A keeps nothing of the session, Firefox's page")
                .contains("the terminal", "the Python program's kernel objects", "Writer has the text")
                .contains("left running on host B", home + "/satchel logs demo");
    }

    @Test
    void theSameForPrograms() {
        Ran played = demo("--json");

        assertThat(played.exitCode()).isEqualTo(1);
        assertThat(played.out().lines())
                .singleElement()
                .asString()
                .startsWith("{\"session\":\"demo\"")
                .contains("\"ok\":false")
                .doesNotContain("\"ok\":true");
    }

    @Test
    void aDemoThatCanNotBePlayedSaysWhy() throws IOException {
        Files.createFile(home.resolve("broken"));

        Ran played = demo();

        assertThat(played.exitCode()).isEqualTo(1);
        assertThat(played.err()).startsWith("satchel: 'vault init' failed with exit code 5: satchel: broken: mend it");
    }

    private Ran demo(String... options) {
        String[] arguments = new String[options.length + 3];
        System.arraycopy(options, 0, arguments, 3, options.length);
        arguments[0] = "demo";
        arguments[1] = "--dir";
        arguments[2] = home.resolve("played").toString();
        return Ran.in(home, Ran.untouched(), home.resolve("state"), Map.of(), arguments);
    }
}
