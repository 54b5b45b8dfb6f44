package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.vault.WrongPassphraseException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

/** Nothing readable of a session is in the vault, and nothing at all on the host, once it is suspended. */
class PrivacyTest extends LiveTest {
    @Test
    void nothingReadableIsLeftAnywhere() throws IOException {
        String inFile = canary();
        String inWindow = canary();
        String inMemory = canary();
        String inEnvironment = canary();
        String inFileName = canary();
        String name = name("secret");
        a.create(new CreateRequest(
                name,
                Site.IMAGE,
                OptionalLong.empty(),
                OptionalLong.empty(),
                Optional.empty(),
                Map.of("SECRET", inEnvironment),
                "640x480",
                "1024x768",
                false));
        List<String> canaries = List.of(inFile, inWindow, inMemory, inEnvironment, inFileName);
        Path start = Files.createTempFile(site.directory(), "start", "");
        try (Running here = a.resume(name)) {
            // Through standard input: a command line can be read in the host's /proc.
            plant(here, "cat >/home/user/diary", inFile);
            plant(here, "cat >/home/user/\"$(cat)\"", inFileName);
            plant(here, "cat >/dev/shm/page", inWindow);
            plant(here, "cat >/dev/shm/secret", inMemory);
            here.start("exec xterm -e sh -c 'cat /dev/shm/page; rm /dev/shm/page; exec sleep 1000'");
            here.start(
                    "exec python3 -c '"
                            + "import os, time; s = open(\"/dev/shm/secret\").read(); os.unlink(\"/dev/shm/secret\"); time.sleep(1000)'");
            Eventually.holds(
                    60_000, "both are read", () -> here.sh("ls -A /dev/shm").isEmpty());
            // That they are where they were planted is seen from inside, by reading memory.
            here.put(Site.inside("../../../../../session/src/test/resources/inside/found.py")
                    .normalize());
            assertThat(plant(here, "python3 /home/user/found.py", inMemory + "\n" + inWindow))
                    .isEqualTo("found found\n");
            here.suspend();
        }
        assertThat(a.stateFiles()).allMatch(file -> file.equals("host-id") || file.startsWith("seen/"));
        assertThat(a.stateFiles()).contains("host-id");
        List<Path> everywhere = List.of(site.directory(), Path.of("/run"));
        assertThat(grep(canaries, everywhere)).isEmpty();
        assertThat(grepNewer(canaries, start)).isEmpty();

        // The search finds what is there.
        Path planted = Files.createTempFile(site.directory(), "planted", "");
        Files.writeString(planted, "x".repeat(100_000) + inMemory);
        assertThat(grep(canaries, everywhere)).contains(planted.toString());
        assertThat(grepNewer(canaries, start)).contains(planted.toString());
        Files.delete(planted);

        try (Running there = b.resume(name)) {
            assertThat(there.sh("cat /home/user/diary")).isEqualTo(inFile);
            assertThat(plant(there, "python3 /home/user/found.py", inMemory + "\n" + inWindow))
                    .isEqualTo("found found\n");
            there.suspend();
        }
        assertThat(b.stateFiles()).allMatch(file -> file.equals("host-id") || file.startsWith("seen/"));
    }

    private static String plant(Running session, String script, String secret) throws IOException {
        return session.exec("user", secret.getBytes(StandardCharsets.UTF_8), "sh", "-c", script)
                .expect(0)
                .out();
    }

    private static String canary() {
        SecureRandom random = new SecureRandom();
        StringBuilder letters = new StringBuilder();
        for (int i = 0; i < 20; i++) {
            letters.append((char) ('a' + random.nextInt(26)));
        }
        return letters.toString();
    }

    /** Files that contain one of them, as bytes or as UTF-16 or UTF-32, the way that programs keep what they show. */
    private static String grep(List<String> canaries, List<Path> directories) throws IOException {
        List<String> line = pattern(canaries);
        line.add("--recursive");
        line.add("--devices=skip");
        directories.forEach(directory -> line.add(directory.toString()));
        return found(Ran.of(line));
    }

    /** The same in what has changed since then where programs keep what they have, for a while or for longer. */
    private static String grepNewer(List<String> canaries, Path since) throws IOException {
        List<String> line =
                new ArrayList<>(List.of("find", "/tmp", "/var/tmp", "/var/lib", "/dev/shm", "-xdev", "-type", "f"));
        line.addAll(List.of("-newer", since.toString(), "-size", "-200M", "-exec"));
        line.addAll(pattern(canaries));
        line.addAll(List.of("{}", "+"));
        return found(Ran.of(line));
    }

    private static List<String> pattern(List<String> canaries) {
        List<String> line =
                new ArrayList<>(List.of("env", "LC_ALL=C", "grep", "--files-with-matches", "--text", "--perl-regexp"));
        StringBuilder any = new StringBuilder();
        for (String canary : canaries) {
            any.append(any.isEmpty() ? "" : "|").append(String.join("\\x00{0,3}", canary.split("", -1)));
        }
        line.add("--regexp=" + any.toString().replace("\\x00{0,3}\\x00{0,3}", "\\x00{0,3}"));
        return line;
    }

    private static String found(Ran ran) {
        // 1 is grep's (and so find's) for nothing found; files that vanish meanwhile make 2.
        assertThat(ran.code()).as(ran.err()).isBetween(0, 2);
        return ran.out();
    }

    @Test
    void aWrongPassphraseOpensNothingAndSaysNothing() throws IOException {
        String name = name("secret");
        a.create(name);
        TestHost stranger =
                new TestHost(site, b.host(), () -> "correct horse battery stable".getBytes(StandardCharsets.UTF_8));
        for (TestHost.Command<?> command : List.<TestHost.Command<?>>of(
                satchel -> satchel.sessions(damaged -> {}),
                Satchel::images,
                satchel -> satchel.resume(new ResumeRequest(name, Optional.empty(), false, false, Optional.empty())))) {
            assertThatThrownBy(() -> stranger.with(command))
                    .isInstanceOf(WrongPassphraseException.class)
                    .message()
                    .doesNotContain(name)
                    .doesNotContain(Site.IMAGE);
        }
        assertThat(stranger.stateFiles()).allMatch(file -> file.equals("host-id") || file.startsWith("seen/"));
    }

    @Test
    void aKeyIsKeptForThisHostAloneUntilLocked() throws IOException {
        String name = name("secret");
        a.create(name);
        a.with(satchel -> {
            satchel.unlock(java.time.Duration.ofMinutes(1));
            return true;
        });
        PassphraseSource none = () -> {
            throw new IOException("asked for the passphrase");
        };
        TestHost unlocked = new TestHost(site, a.host(), none);
        try {
            assertThat(unlocked.state(name)).isEqualTo(SessionInfo.State.CREATED);
            try (Running here = unlocked.resume(name)) {
                here.suspend();
            }
            TestHost other = new TestHost(site, b.host(), none);
            assertThatThrownBy(() -> other.state(name)).hasMessage("asked for the passphrase");
        } finally {
            a.with(satchel -> {
                satchel.lock();
                return true;
            });
        }
        assertThatThrownBy(() -> unlocked.state(name)).hasMessage("asked for the passphrase");
    }
}
