package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.microsoft.playwright.Page;
import dev.satchel.vault.DamagedException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Part of a session's memory can't be read, as its pack is away or damaged. Programs run until one needs it; then all of them stand
 * still, which is told, and they go on with what they had when it can be read again. Who wants memory first is refused.
 */
class MissingMemoryTest extends LiveTest {
    /** Holds memory, and looks at all of it once it finds that time has passed without it. */
    private static final String HOLDER = """
            exec python3 -c '
            import hashlib, os, time
            memory = os.urandom(200 << 20)
            found = hashlib.sha256(memory).hexdigest()
            open("/dev/shm/held", "w").close()
            last = time.time()
            while time.time() < last + 1:
                last = time.time()
                time.sleep(0.05)
            looked = "right" if hashlib.sha256(memory).hexdigest() == found else "wrong"
            with open("/home/user/looked", "w") as file:
                file.write(looked)
            '""";

    private Site own;
    private TestHost here;
    private TestHost there;
    private String name = "";
    private Path pack = Path.of("");

    private void suspendWithMemory(String what) throws IOException {
        own = alsoWatch(site.withCopyOfVault(site.directory().resolve("vault-" + what)));
        here = own.host();
        there = own.host();
        name = name(what);
        here.create(name);
        Set<Path> before = new HashSet<>(packs());
        try (Running running = here.resume(name)) {
            running.start(HOLDER);
            running.awaitInside("/dev/shm/held");
            running.suspend();
        }
        List<Path> fresh = new ArrayList<>(packs());
        fresh.removeAll(before);
        assertThat(fresh).hasSizeGreaterThan(5);
        // In the middle of what was written is what there is most of.
        fresh.sort(Comparator.comparingLong(file -> file.toFile().lastModified()));
        pack = fresh.get(fresh.size() / 2);
    }

    private List<Path> packs() throws IOException {
        try (Stream<Path> files = Files.walk(own.vault())) {
            return files.filter(
                            file -> Files.isRegularFile(file) && file.toFile().length() > 1_000_000)
                    .toList();
        }
    }

    /** It runs, and stands still when the memory is needed; commands and viewers are told so, and it can't be suspended. */
    private void standsStill(Running running, Chromium browser) throws IOException {
        Path trouble = running.directory().trouble();
        Eventually.holds(
                60_000,
                "it stands still",
                () -> Files.exists(trouble) && Files.readString(trouble).contains("stands still"));
        assertThat(there.with(satchel -> satchel.inspect(name)).trouble().orElseThrow())
                .contains("memory that it needs can't be read")
                .contains("satchel vault repair");
        assertThat(Files.exists(running.root().resolve("home/user/looked"))).isFalse();
        Page page = browser.open(running.result().viewUrl());
        page.locator("#pill").getByText("It stands still").waitFor();
        assertThatThrownBy(() -> running.supervisor.suspend(Progress.NONE))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("memory is still in the vault and can't be read");
        page.locator("#pill").getByText("It stands still").waitFor();
    }

    private void goesOn(Running running) throws IOException {
        running.awaitFile("home/user/looked");
        Eventually.holds(
                60_000,
                "all memory is there",
                () -> !running.read("home/user/looked").isEmpty());
        assertThat(running.read("home/user/looked")).isEqualTo("right");
        Eventually.holds(
                60_000,
                "nothing is the matter",
                () -> there.with(satchel -> satchel.inspect(name)).trouble().isEmpty());
    }

    private ResumeRequest memoryFirst() {
        return new ResumeRequest(name, Optional.empty(), false, false, Optional.of(false));
    }

    @Test
    void aPackThatIsAwayIsWaitedFor() throws Exception {
        suspendWithMemory("away");
        Path elsewhere = pack.resolveSibling("elsewhere");
        Files.move(pack, elsewhere);
        assertThatThrownBy(() -> there.resume(memoryFirst())).isInstanceOf(DamagedException.class);
        assertThat(leftovers()).isEmpty();
        try (Chromium browser = new Chromium();
                Running running = there.resume(name)) {
            standsStill(running, browser);
            Files.move(elsewhere, pack);
            goesOn(running);
            Page page = browser.open(running.result().viewUrl());
            Chromium.awaitSame("the desktop goes on", page, there, name);
            running.suspend();
        }
        assertThat(own.verify().errors()).isEmpty();
        try (Running first = here.resume(memoryFirst())) {
            assertThat(first.read("home/user/looked")).isEqualTo("right");
        }
    }

    @Test
    void memoryThatIsDamagedIsMendedWhileItsSessionWaits() throws Exception {
        suspendWithMemory("mended");
        Path copy = site.directory().resolve("vault-mended-copy");
        Site.copy(own.vault(), copy);
        byte[] bytes = Files.readAllBytes(pack);
        bytes[bytes.length / 2] ^= 1;
        Files.write(pack, bytes);
        assertThatThrownBy(() -> there.resume(memoryFirst())).isInstanceOf(DamagedException.class);
        assertThat(leftovers()).isEmpty();
        try (Chromium browser = new Chromium();
                Running running = there.resume(name)) {
            standsStill(running, browser);
            RepairResult repaired = there.with(satchel -> satchel.repair(List.of(copy.toString()), false, false));
            assertThat(repaired.lost()).isEmpty();
            goesOn(running);
            running.suspend();
        }
        assertThat(own.verify().errors()).isEmpty();
    }
}
