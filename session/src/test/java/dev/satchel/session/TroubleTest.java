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
            here.sh("kill $(cat /home/user/traced)");
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
        try (Running running = here.resume(name).awaitDesktop()) {
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
