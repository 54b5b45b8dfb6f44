package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.vault.DamagedException;
import dev.satchel.vault.ForgedException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** When a suspend can't be done the session goes on and the last snapshot is whole; what is not authentic does not run. */
class TroubleTest extends LiveTest {
    private static final long SMALL_BYTES = 512L << 20;

    @Test
    void aFullDeviceStopsASuspendAndNothingElse() throws IOException {
        Device device = device(SMALL_BYTES);
        Site small = alsoWatch(site.withCopyOfVault(device.path().resolve("vault")));
        TestHost here = small.host();
        TestHost there = small.host();
        String name = name("full");
        here.create(name);
        long before;
        SuspendResult whole;
        try (Running running = here.resume(name)) {
            running.start(DURABLE_LINES);
            holdIncompressible(running, "first");
            whole = running.snapshot();
            running.sh("pkill -x python3-memory");
            holdIncompressible(running, "second");
            device.fill(40L << 20);
            for (int i = 0; i < 2; i++) {
                assertRefused(running, running::suspend, whole);
                assertRefused(running, running::snapshot, whole);
            }
            // With nothing left at all, what was set aside does for what programs want to be durable.
            device.fill(0);
            running.sh("dd if=/dev/urandom of=/home/user/kept bs=1M count=4 conv=fsync status=none");
            assertRefused(running, running::suspend, whole);
            String kept = running.sh("sha256sum /home/user/kept");
            device.empty();
            before = lines(running);
            running.suspend();
            try (Running moved = there.resume(name)) {
                assertThat(lines(moved)).isGreaterThanOrEqualTo(before);
                assertThat(moved.sh("pgrep -xc python3-memory").strip()).isEqualTo("1");
                assertThat(moved.sh("sha256sum /home/user/kept")).isEqualTo(kept);
                assertLinesAreThere(moved);
                moved.suspend();
            }
        }
        try (Running back = there.resumeAt(name, whole.snapshot().toString())) {
            assertThat(lines(back)).isLessThan(before);
            assertLinesAreThere(back);
            back.suspend();
        }
        assertThat(small.verify().errors()).isEmpty();
        assertThat(leftovers()).isEmpty();
        assertThat(device.abandoned(small.sessionId(name))).isEmpty();
        small.checkFileSystem(name);
    }

    private interface Capture {
        SuspendResult take() throws IOException;
    }

    private static void assertRefused(Running running, Capture capture, SuspendResult newest) throws IOException {
        assertThatThrownBy(capture::take)
                .isInstanceOf(SatchelException.class)
                .hasMessageMatching("no space left on the device of the vault \\S+: free some, or use a larger device")
                .satisfies(e ->
                        assertThat(((SatchelException) e).kind().exitCode()).isEqualTo(1));
        assertThat(running.host.state(running.name)).isEqualTo(SessionInfo.State.RUNNING);
        assertThat(running.host.with(satchel -> satchel.inspect(running.name)).snapshot())
                .contains(newest.snapshot());
        long now = lines(running);
        Eventually.holds(60_000, "it goes on", () -> lines(running) > now + 10);
    }

    /** Starts a program with so much random memory that a snapshot of it does not fit into what {@link Device#fill} leaves. */
    private static void holdIncompressible(Running running, String which) throws IOException {
        running.start("exec python3 -c '\n"
                + "import os, time\n"
                + "open(\"/proc/self/comm\", \"w\").write(\"python3-memory\")\n"
                + "memory = os.urandom(80 << 20)\n"
                + "open(\"/dev/shm/" + which + "\", \"w\").close()\n"
                + "time.sleep(1000)'");
        running.awaitInside("/dev/shm/" + which);
    }

    private static long lines(Running running) throws IOException {
        return Long.parseLong(running.sh("cat /dev/shm/failed 2>/dev/null || cat /dev/shm/count")
                .strip());
    }

    private static void assertLinesAreThere(Running running) throws IOException {
        long counted = lines(running);
        String[] lines = running.sh("cat /home/user/lines").strip().split("\n", -1);
        assertThat((long) lines.length).isGreaterThanOrEqualTo(counted);
        for (int i = 0; i < lines.length; i++) {
            assertThat(lines[i]).isEqualTo(Integer.toString(i + 1));
        }
    }

    /** A write that finds no space, what was set aside included, is told so to who made it durable, and nobody else loses anything. */
    @Test
    void aWriteThatFindsNoSpaceSaysSo() throws IOException {
        Device device = device(SMALL_BYTES);
        Site small = alsoWatch(site.withCopyOfVault(device.path().resolve("vault")));
        TestHost here = small.host();
        String name = name("full");
        here.create(name);
        String whole;
        long durable;
        try (Running running = here.resume(name)) {
            running.start(DURABLE_LINES);
            running.awaitInside("/dev/shm/count");
            whole = running.snapshot().snapshot().toString();
            device.fill(0);
            Ran written = running.exec(
                    "user", "dd", "if=/dev/urandom", "of=/home/user/large", "bs=1M", "count=100", "conv=fsync");
            assertThat(written.code()).as(written.err()).isEqualTo(1);
            assertThat(written.err()).contains("No space left on device");
            device.empty();
            durable = Long.parseLong(running.sh("cat /dev/shm/count").strip());
        }
        // It was ended without a word: what was durable before, and while there was no space, is in its log alone.
        small.checkFileSystem(name);
        try (Running fresh = here.resumeFresh(name)) {
            List<String> lines = fresh.sh("cat /home/user/lines").lines().toList();
            assertThat((long) lines.size()).isGreaterThanOrEqualTo(durable);
            for (int i = 0; i < durable; i++) {
                assertThat(lines.get(i)).isEqualTo(Integer.toString(i + 1));
            }
            fresh.stop();
        }
        small.checkFileSystem(name);
        try (Running back = here.resumeAt(name, whole)) {
            assertLinesAreThere(back);
            back.suspend();
        }
        assertThat(small.verify().errors()).isEmpty();
        assertThat(device.abandoned(small.sessionId(name))).isEmpty();
    }

    @Test
    void aTracedProcessIsNamedAndTheSessionGoesOn() throws IOException {
        String name = name("traced");
        a.create(name);
        try (Running here = a.resume(name).startCounting()) {
            Running.Count before = here.count();
            here.start("exec python3 -c '\n"
                    + "import ctypes, os, time\n"
                    + "child = os.fork()\n"
                    + "if child == 0:\n"
                    + "  while True: time.sleep(1)\n"
                    + "ctypes.CDLL(None).ptrace(16, child, 0, 0)\n" // PTRACE_ATTACH
                    + "os.waitpid(child, 0x40000000)\n"
                    + "open(\"/home/user/traced\", \"w\").write(str(os.getpid()))\n"
                    + "time.sleep(1000)'");
            here.awaitFile("home/user/traced");
            for (int i = 0; i < 2; i++) {
                assertThatThrownBy(here::suspend)
                        .isInstanceOf(SatchelException.class)
                        .hasMessageContaining("can't be frozen")
                        .hasMessageContaining("python3")
                        .hasMessageContaining("tracer");
                here.assertGoesOnFrom(before);
            }
            here.sh("p=$(cat /home/user/traced); kill $p; while kill -0 $p 2>/dev/null; do sleep 0.1; done");
            here.suspend();
        }
        try (Running there = b.resume(name)) {
            there.assertGoesOnFrom(there.count());
        }
    }

    @Test
    void damagedChunksAreRefusedBeforeAnythingRuns() throws IOException {
        Site own = alsoWatch(site.withCopyOfVault(site.directory().resolve("vault-damaged-" + System.nanoTime())));
        TestHost here = own.host();
        TestHost there = own.host();
        String name = name("damaged");
        here.create(name);
        Set<Path> before = new HashSet<>(files(own.vault()));
        try (Running running = here.resume(name)) {
            running.suspend();
        }
        List<Path> damaged = new ArrayList<>();
        for (Path file : files(own.vault())) {
            if (!before.contains(file) && Files.size(file) > 100_000) {
                damaged.add(file);
                byte[] bytes = Files.readAllBytes(file);
                for (int at = bytes.length / 4; at < bytes.length * 3 / 4; at += 500) {
                    bytes[at] ^= 1;
                }
                Path whole = file.resolveSibling(file.getFileName() + ".whole");
                Files.move(file, whole);
                Files.write(file, bytes);
            }
        }
        assertThat(damaged).isNotEmpty();
        assertThatThrownBy(() -> there.resume(name)).isInstanceOfAny(DamagedException.class, ForgedException.class);
        assertThat(leftovers()).isEmpty();
        assertThat(there.state(name)).isEqualTo(SessionInfo.State.SUSPENDED);
        assertThat(own.verify().errors()).isNotEmpty();
        for (Path file : damaged) {
            Files.move(file.resolveSibling(file.getFileName() + ".whole"), file, StandardCopyOption.REPLACE_EXISTING);
        }
        assertThat(own.verify().errors()).isEmpty();
        try (Running running = there.resume(name)) {
            running.sh("true");
        }
    }

    @Test
    void aVaultThatWasRolledBackIsRefusedByWhoHasSeenMore() throws IOException {
        Path vault = site.directory().resolve("vault-rolled-back");
        Site own = alsoWatch(site.withCopyOfVault(vault));
        TestHost here = own.host();
        String name = name("rolled");
        here.create(name);
        try (Running running = here.resume(name)) {
            running.suspend();
        }
        Path older = site.directory().resolve("vault-older");
        Site.copy(vault, older);
        try (Running running = here.resume(name)) {
            running.suspend();
        }
        DirectoryTree.delete(vault);
        Files.move(older, vault);
        assertThatThrownBy(() -> here.resume(name)).isInstanceOf(ForgedException.class);
        assertThat(leftovers()).isEmpty();
    }

    private static List<Path> files(Path directory) throws IOException {
        try (Stream<Path> files = Files.walk(directory)) {
            return files.filter(Files::isRegularFile).toList();
        }
    }
}
