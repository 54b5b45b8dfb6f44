package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/**
 * The vault is taken away while a session runs and writes, and given back: what needs nothing of it goes on, what does waits for it, what
 * was made durable is there, and nothing is put where the vault was.
 */
class TakenAwayTest extends LiveTest {
    private static final long SMALL_BYTES = 512L << 20;

    /** So many lines take seconds: longer than leases are looked at, and the background wants to work. */
    private static final int LINES = 120;

    @Test
    void aVaultThatIsAwayForATimeIsWaitedFor() throws Exception {
        Device device = device(SMALL_BYTES);
        Path vault = device.path().resolve("vault");
        Site stick = alsoWatch(site.withCopyOfVault(vault));
        TestHost here = stick.host();
        TestHost there = stick.host();
        String name = name("away");
        here.create(name);
        long told;
        try (Running running = here.resume(name).startCounting()) {
            Running.Count count = running.count();
            running.start(DURABLE_LINES);
            running.awaitInside("/dev/shm/count");
            running.snapshot();

            // Its directory is moved.
            Path elsewhere = device.path().resolve("elsewhere");
            Process reader = goesOnWithout(running, vault, "/usr/bin", () -> Files.move(vault, elsewhere));
            assertThat(vault).doesNotExist();
            isGivenBack(reader, () -> Files.move(elsewhere, vault));
            count = running.assertGoesOnFrom(count);
            running.snapshot();

            // Its device is unmounted as far as that can be done.
            String loop = Ran.of(
                            List.of("findmnt", "-no", "SOURCE", device.path().toString()))
                    .expect(0)
                    .out()
                    .strip();
            Process again = goesOnWithout(
                    running,
                    vault,
                    "/usr/lib/x86_64-linux-gnu",
                    () -> Ran.of(List.of("umount", "--lazy", device.path().toString()))
                            .expect(0));
            assertThat(device.path()).isEmptyDirectory();
            isGivenBack(
                    again,
                    () -> Ran.of(List.of("mount", loop, device.path().toString()))
                            .expect(0));
            running.assertGoesOnFrom(count);
            running.snapshot();
            told = lines(running);
            running.suspend();
        }
        try (Running moved = there.resume(name)) {
            assertThat(lines(moved)).isGreaterThanOrEqualTo(told);
            String[] lines = moved.sh("cat /home/user/lines").strip().split("\n", -1);
            assertThat((long) lines.length).isGreaterThanOrEqualTo(told);
            for (int i = 0; i < lines.length; i++) {
                assertThat(lines[i]).isEqualTo(Integer.toString(i + 1));
            }
            moved.suspend();
        }
        assertThat(stick.verify().errors()).isEmpty();
        assertThat(device.abandoned(stick.sessionId(name))).isEmpty();
        stick.checkFileSystem(name);
    }

    private static final String COUNT = "cat /dev/shm/failed 2>/dev/null || cat /dev/shm/count";

    /** A line that runs something inside; commands find sessions by the vault, so it is made while that is there. */
    private static List<String> line(Running running, String script) throws IOException {
        return running.host.with(
                satchel -> satchel.execCommand(running.name, Optional.of("user"), false, List.of("sh", "-c", script)));
    }

    private static long lines(List<String> line) throws IOException {
        return Long.parseLong(Ran.of(line).expect(0).out().strip());
    }

    private static long lines(Running running) throws IOException {
        return lines(line(running, COUNT));
    }

    private interface Deed {
        void run() throws IOException;
    }

    /**
     * It writes while the vault is away, and its suspend is refused.
     *
     * @param unread a directory of files that nobody has read yet
     * @return who reads these, and is to end when that is back
     */
    private static Process goesOnWithout(Running running, Path vault, String unread, Deed takeAway) throws IOException {
        List<String> count = line(running, COUNT);
        List<String> use = line(
                running,
                "echo new >/home/user/new-$$ && sync && find " + unread
                        + " -type f -exec sha256sum {} + >/dev/null && exec echo read");
        takeAway.run();
        long before = lines(count);
        Eventually.holds(60_000, "lines are written", () -> lines(count) > before + LINES);
        for (int i = 0; i < 2; i++) {
            assertThatThrownBy(() -> running.supervisor.snapshot(Progress.NONE))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("connect its device again")
                    .hasMessageContaining(vault.toString());
            assertThatThrownBy(() -> running.supervisor.suspend(Progress.NONE))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("connect its device again");
        }
        assertThatThrownBy(() -> running.host.with(satchel -> satchel.inspect(running.name)))
                .isInstanceOf(IOException.class);
        long after = lines(count);
        Eventually.holds(60_000, "lines are written", () -> lines(count) > after + LINES / 4);
        return new ProcessBuilder(use).redirectErrorStream(true).start();
    }

    /** Who reads waits for it; then it is there again. */
    private static void isGivenBack(Process reader, Deed giveBack) throws Exception {
        assertThat(reader.waitFor(2, TimeUnit.SECONDS)).as("a reader waits").isFalse();
        giveBack.run();
        assertThat(reader.waitFor(60, TimeUnit.SECONDS)).as("a reader goes on").isTrue();
        assertThat(new String(reader.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
                .isEqualTo("read\n");
    }
}
