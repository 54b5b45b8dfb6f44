package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * What the demo makes of what it sees, and what it leaves, with a shell script in the program's place that answers as the program
 * does where all goes well, and otherwise as each test says.
 */
@Timeout(60)
class DemoTest {
    private static final int OBJECTS = 46;
    private static final String OBJECT_OK = "{\"check\":\"pipe\",\"ok\":true,\"detail\":\"\"}\n";

    @TempDir
    private Path scratch = Path.of("");

    private final ByteArrayOutputStream told = new ByteArrayOutputStream();
    private Path directory = Path.of("");

    @BeforeEach
    void goWell() throws IOException {
        directory = scratch.resolve("demo");
        answer("look-a", "page page abc 10 — Mozilla Firefox\ncount 20\ngaps 0\nprocess-Xvfb 7 1 7 7\n");
        answer("look-b", "page page abc 11 — Mozilla Firefox\ncount 21\ngaps 0\nprocess-Xvfb 7 1 7 7\n");
        answer("document", "This sentence was typed on host A and never saved.\n");
        answer("objects", OBJECT_OK.repeat(OBJECTS));
        answer("images", "{\"image\":\"desktop\"}\n");
        answer("suspend", """
                {"session":"demo","snapshot":"1f","frozen_ms":300,"total_ms":900,"criu_ms":250,"processes":40,\
                "bytes_memory":400000000,"bytes_new":50000000}
                """);
        for (String name : List.of("page.html", "count", "start", "look", "read-document", "objects.py")) {
            Files.writeString(
                    Files.createDirectories(scratch.resolve("programs")).resolve(name), name);
        }
        Path program = scratch.resolve("satchel");
        Files.writeString(program, """
                #!/bin/bash
                host=${SATCHEL_STATE##*/} here=${0%/*}
                mkdir -p "$SATCHEL_STATE"
                echo "$host $*" >>"$here/log"
                if [[ -e "$here/fail" && "$host $*" == "$(<"$here/fail")"* ]]; then echo 'satchel: broken: mend it' >&2; exit 1; fi
                if [[ -e "$here/hang" && "$host $*" == "$(<"$here/hang")"* ]]; then
                  trap ': >"$here/undone"; exit 143' TERM
                  : >"$here/hanging"
                  while :; do sleep 0.05; done
                fi
                case $* in
                  'vault init'*) mkdir "$SATCHEL_VAULT"; echo '{}' ;;
                  'image ls'*) cat "$here/images" ;;
                  snapshot*) cat "$here/suspend" ;;
                  suspend*) rm -f "$here/runs"; touch "$SATCHEL_STATE/host-id" "$SATCHEL_STATE/seen"; cat "$here/suspend" ;;
                  resume*) echo "$host" >"$here/runs"; echo '{"session":"demo","total_ms":500,"criu_ms":300,"view_url":"http://127.0.0.1:1/?k=s"}' ;;
                  rm*) rm "$here/runs" 2>/dev/null || exit 3 ;;
                  *demo/look) cat "$here/look-$host" ;;
                  *read-document) cat "$here/document" ;;
                  *objects/result) cat "$here/objects" ;;
                  screenshot*) echo png >"$3" ;;
                  exec*) cat >/dev/null ;;
                  *) echo '{}' ;;
                esac
                """);
        Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    @Test
    void aDemoWhereAllWentOnHasNoFailures() throws IOException {
        DemoResult result = demo().play();
        assertThat(result.failures()).isEmpty();
        assertThat(result.checks()).hasSize(6);
        assertThat(result.suspended().frozenMillis()).isEqualTo(300);
        assertThat(result.pictures()).allMatch(Files::exists).hasSize(2);
        assertThat(read("runs")).isEqualTo("b\n");
        assertThat(told())
                .contains("stand still", "900", "250", directory + "/before.png", "demo --clean --dir " + directory)
                .contains("http://127.0.0.1:1/?k=s")
                .contains("resume: from Enter to programs running", "first snapshot: all durable")
                .contains("export SATCHEL_VAULT=" + directory + "/vault SATCHEL_STATE=" + directory
                        + "/b SATCHEL_PASSPHRASE_FILE=" + directory + "/passphrase");
        // What B knows is the passphrase, not a key that A left.
        assertThat(read("log").lines().toList())
                .containsSubsequence(
                        "a suspend demo --json",
                        "a vault lock --json",
                        "b vault unlock --json",
                        "b resume demo --json");
    }

    @Test
    void whatOpensTheVaultIsForNobodyElse() throws IOException {
        DemoResult ignored = demo().play();
        assertThat(Files.getPosixFilePermissions(directory)).isEqualTo(PosixFilePermissions.fromString("rwx------"));
        assertThat(Files.getPosixFilePermissions(directory.resolve("passphrase")))
                .isEqualTo(PosixFilePermissions.fromString("rw-------"));
        assertThat(Files.readString(directory.resolve("passphrase"))).matches("[0-9a-f]{32}\n");
    }

    @Test
    void theImageIsBuiltOnlyIfItIsMissing() throws IOException {
        DemoResult first = demo().play();
        assertThat(first.failures()).isEmpty();
        assertThat(read("log").lines()).doesNotContain("a image build desktop");
        answer("images", "");
        DemoResult second = demo().play();
        assertThat(second.failures()).isEmpty();
        assertThat(read("log").lines().toList())
                .containsSubsequence("a image build desktop", "a create demo --image desktop --json");
    }

    @Test
    void twoDemosDoNotEndEachOthersSession() throws IOException {
        DemoResult ignored = demo().play();
        try (FileChannel other = FileChannel.open(directory.resolve("lock"), StandardOpenOption.WRITE);
                FileLock _ = other.lock()) {
            assertThatThrownBy(() -> demo().play()).hasMessageContaining("another demo is at work in " + directory);
            assertThatThrownBy(() -> demo().clean()).hasMessageContaining("another demo is at work in " + directory);
        }
        assertThat(read("runs")).isEqualTo("b\n");
    }

    @Test
    void aPageLoadedAgainIsSeen() throws IOException {
        answer("look-b", "page page xyz 11 — Mozilla Firefox\ncount 21\ngaps 0\nprocess-Xvfb 7 1 7 7\n");
        assertFails("Firefox's page");
    }

    @Test
    void aPageThatStandsStillIsSeen() throws IOException {
        answer("look-b", "page page abc 10 — Mozilla Firefox\ncount 21\ngaps 0\nprocess-Xvfb 7 1 7 7\n");
        assertFails("Firefox's page");
    }

    @Test
    void noPageAtAllIsSeen() throws IOException {
        answer("look-a", "page \ncount 20\ngaps 0\nprocess-Xvfb 7 1 7 7\n");
        answer("look-b", "page \ncount 21\ngaps 0\nprocess-Xvfb 7 1 7 7\n");
        assertFails("Firefox's page");
    }

    @Test
    void aGapInTheTerminalIsSeen() throws IOException {
        answer("look-b", "page page abc 11 — Mozilla Firefox\ncount 30\ngaps 1\nprocess-Xvfb 7 1 7 7\n");
        assertFails("the terminal");
    }

    @Test
    void aTerminalThatStandsStillIsSeen() throws IOException {
        answer("look-b", "page page abc 11 — Mozilla Firefox\ncount 20\ngaps 0\nprocess-Xvfb 7 1 7 7\n");
        assertFails("the terminal");
    }

    @Test
    void aTerminalThatNeverCountedIsSeen() throws IOException {
        answer("look-a", "page page abc 10 — Mozilla Firefox\ncount \ngaps 0\nprocess-Xvfb 7 1 7 7\n");
        assertFails("the terminal");
    }

    @Test
    void anotherProcessIsSeen() throws IOException {
        answer("look-b", "page page abc 11 — Mozilla Firefox\ncount 30\ngaps 0\nprocess-Xvfb 8 1 8 8\n");
        assertFails("Xvfb is the same process");
    }

    @Test
    void aProcessThatNeverRanIsSeen() throws IOException {
        answer("look-a", "page page abc 10 — Mozilla Firefox\ncount 20\ngaps 0\nprocess-Xvfb \n");
        answer("look-b", "page page abc 11 — Mozilla Firefox\ncount 30\ngaps 0\nprocess-Xvfb \n");
        assertFails("Xvfb is the same process");
    }

    @Test
    void aDocumentWithoutItsTextIsSeen() throws IOException {
        answer("document", "\n");
        assertFails("Writer");
    }

    @Test
    void aKernelObjectThatChangedIsNamed() throws IOException {
        answer("objects", OBJECT_OK.repeat(OBJECTS - 1) + "{\"check\":\"futex\",\"ok\":false,\"detail\":\"lost\"}\n");
        assertThat(demo().play().failures())
                .extracting(DemoResult.Check::name)
                .anyMatch(name -> name.contains("futex"));
    }

    @Test
    void aKernelObjectThatIsNotReportedIsSeen() throws IOException {
        answer("objects", OBJECT_OK.repeat(OBJECTS - 1));
        assertFails("the Python program");
    }

    @Test
    void somethingLeftOnHostAIsSeen() throws IOException {
        Files.createDirectories(directory.resolve("a/run"));
        assertFails("host A keeps nothing");
    }

    @Test
    void aCommandThatFailsEndsTheSession() throws IOException {
        answer("fail", "b resume");
        // As if it had still come to run.
        assertThatThrownBy(() -> demo().play())
                .hasMessageContaining("resume demo")
                .hasMessageContaining("broken: mend it");
        assertThat(read("log").lines()).contains("b rm demo --force", "a rm demo --force");
        answer("fail", "a screenshot");
        assertThatThrownBy(() -> demo().play()).hasMessageContaining("screenshot");
        assertThat(scratch.resolve("runs")).doesNotExist();
        assertThat(directory.resolve("session.log")).exists();
    }

    @Test
    void anInterruptedDemoEndsTheSession() throws Exception {
        answer("hang", "a suspend");
        AtomicReference<Throwable> thrown = new AtomicReference<>();
        Thread player = Thread.ofPlatform().start(() -> {
            try {
                demo().play();
            } catch (IOException e) {
                thrown.set(e);
            }
        });
        Instant deadline = Instant.now().plusSeconds(30);
        while (!Files.exists(scratch.resolve("hanging")) && Instant.now().isBefore(deadline)) {
            Thread.sleep(Duration.ofMillis(20));
        }
        assertThat(read("runs")).isEqualTo("a\n");
        player.interrupt();
        player.join(Duration.ofSeconds(30));
        assertThat(thrown.get()).hasMessageContaining("interrupted");
        // Not killed: it could not have undone what it had begun.
        assertThat(scratch.resolve("undone")).exists();
        assertThat(scratch.resolve("runs")).doesNotExist();
        assertThat(ProcessHandle.current().children()).isEmpty();
    }

    @Test
    void itIsPlayedAgainInItsDirectory() throws IOException {
        DemoResult first = demo().play();
        DemoResult second = demo().play();
        assertThat(first.failures()).isEmpty();
        assertThat(second.failures()).isEmpty();
        assertThat(read("log").lines().filter("a vault init --json"::equals)).hasSize(1);
        // What the first left running is ended before there can be another of its name; and no host knows the vault's
        // key.
        assertThat(read("log").lines().toList())
                .containsSubsequence(
                        "b resume demo --json",
                        "b rm demo --force",
                        "b vault lock",
                        "a vault lock",
                        "a vault unlock --json",
                        "a create demo --image desktop --json");
    }

    @Test
    void cleaningEndsTheSessionAndRemovesAll() throws IOException {
        DemoResult ignored = demo().play();
        demo().clean();
        assertThat(scratch.resolve("runs")).doesNotExist();
        assertThat(directory).doesNotExist();
        demo().clean();
    }

    @Test
    void aDirectoryOfOthersIsNeitherTakenNorRemoved() throws IOException {
        Path precious = Files.createDirectories(directory).resolve("thesis.odt");
        Files.writeString(precious, "precious");
        assertThatThrownBy(() -> demo().clean()).hasMessageContaining("thesis.odt");
        assertThatThrownBy(() -> demo().play()).hasMessageContaining("thesis.odt");
        assertThat(precious).hasContent("precious");
        assertThat(scratch.resolve("log")).doesNotExist();
    }

    @Test
    void aSessionThatCanNotBeRemovedKeepsItsDirectory() throws IOException {
        DemoResult ignored = demo().play();
        answer("fail", "b rm");
        Files.delete(scratch.resolve("runs")); // so that host A does not know it
        assertThatThrownBy(() -> demo().clean()).hasMessageContaining("can't be removed");
        assertThat(directory.resolve("vault")).exists();
    }

    private void assertFails(String check) throws IOException {
        assertThat(demo().play().failures())
                .extracting(DemoResult.Check::name)
                .singleElement()
                .asString()
                .startsWith(check);
    }

    private Demo demo() {
        return new Demo(
                scratch.resolve("satchel"),
                scratch.resolve("programs"),
                directory,
                new PrintStream(told, true, StandardCharsets.UTF_8));
    }

    private String told() {
        return told.toString(StandardCharsets.UTF_8);
    }

    private void answer(String name, String text) throws IOException {
        Files.writeString(scratch.resolve(name), text);
    }

    private String read(String name) throws IOException {
        return Files.readString(scratch.resolve(name));
    }
}
