package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.linux.Mounts;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * A busy session is suspended and resumed again and again: it loses nothing, and neither this process nor the kernel nor the vault keeps
 * more each time. The long form is {@code bench/prove cycles}.
 */
class CyclesTest extends LiveTest {
    private static final int CYCLES = Integer.getInteger("satchel.proof.cycles", 4);

    /** After so many old snapshots go, and garbage is collected, as people have it done. */
    private static final int TIDY_EVERY = Math.min(10, CYCLES / 2);

    /** The first ones fill caches and load classes. */
    private static final int WARM_UP = Math.min(20, TIDY_EVERY);

    private static final Retention KEPT = Retention.parse("last=3");

    /** What the vault may have more at the end: what changed since the last snapshots differs, and packs are not written anew for little garbage. */
    private static final long MORE_BYTES_MAX = 96L << 20;

    private static final String BUSY = """
            import os, threading, time
            memory = bytearray(os.urandom(8 << 20))
            r, w = os.pipe()
            n = 0
            def read():
                got = 0
                while True:
                    got += 1
                    if int(os.read(r, 20)) != got:
                        open("/home/user/lost", "w").write(f"the pipe lost {got}")
                        os._exit(1)
            threading.Thread(target=read, daemon=True).start()
            lines = open("/home/user/busy", "a")
            while True:
                n += 1
                os.write(w, b"%20d" % n)
                memory[n * 4099 % len(memory)] = n & 255
                if memory[n * 4099 % len(memory)] != n & 255:
                    open("/home/user/lost", "w").write("memory")
                lines.write(f"{n}\\n")
                lines.flush()
                time.sleep(0.005)
            """;

    /** What is held at some moment. */
    private record Held(
            int cycles,
            long descriptors,
            long threads,
            long mounts,
            long loops,
            long stateFiles,
            long heapKib,
            long residentKib,
            long storedBytes) {}

    private Held held(int cycles) throws IOException {
        System.gc();
        long resident = 0;
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmRSS:")) {
                resident = Long.parseLong(line.replaceAll("[^0-9]", ""));
            }
        }
        Runtime runtime = Runtime.getRuntime();
        return new Held(
                cycles,
                count(Path.of("/proc/self/fd")),
                count(Path.of("/proc/self/task")),
                Mounts.list().stream()
                        .filter(mount -> mount.target().startsWith(site.directory()))
                        .count(),
                loops(),
                (long) a.stateFiles().size() + b.stateFiles().size(),
                (runtime.totalMemory() - runtime.freeMemory()) >> 10,
                resident,
                stored());
    }

    private static long count(Path directory) throws IOException {
        try (Stream<Path> entries = Files.list(directory)) {
            return entries.count();
        }
    }

    private long loops() throws IOException {
        try (Stream<Path> blocks = Files.list(Path.of("/sys/block"))) {
            String here = site.directory().toString();
            return blocks.map(block -> block.resolve("loop/backing_file"))
                    .filter(backing -> {
                        try {
                            return Files.exists(backing)
                                    && Files.readString(backing).contains(here);
                        } catch (IOException e) {
                            return false; // it goes just now
                        }
                    })
                    .count();
        }
    }

    private long stored() throws IOException {
        long bytes = 0;
        try (Stream<Path> files = Files.walk(site.vault())) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                bytes += Files.size(file);
            }
        }
        return bytes;
    }

    @Test
    void nothingIsLostAndNothingGrows() throws IOException {
        String name = name("cycles");
        a.create(name);
        Running.Count count;
        try (Running first = a.resume(name).startCounting()) {
            first.put("busy.py", BUSY);
            first.start("exec python3 busy.py");
            first.awaitFile("home/user/busy");
            count = first.count();
            first.suspend();
        }
        List<Held> after = new ArrayList<>();
        for (int i = 1; i <= CYCLES; i++) {
            TestHost host = i % 2 == 0 ? b : a;
            try (Running running = host.resume(name)) {
                assertThat(running.result().booted()).isFalse();
                count = running.assertGoesOnFrom(count);
                assertThat(running.root().resolve("home/user/lost")).doesNotExist();
                running.suspend();
            }
            if (i % TIDY_EVERY == 0) {
                host.with(satchel -> satchel.prune(name, Optional.of(KEPT), false));
                host.with(satchel -> satchel.collect(false));
                assertThat(leftovers()).as("left after %d cycles", i).isEmpty();
                after.add(held(i));
                if (CYCLES > 10) {
                    System.out.println("CyclesTest: " + after.getLast());
                }
            }
        }
        try (Running last = b.resume(name)) {
            last.assertGoesOnFrom(count);
            String[] lines = last.sh("cat /home/user/busy").strip().split("\n", -1);
            for (int i = 0; i < lines.length; i++) {
                assertThat(lines[i]).isEqualTo(Integer.toString(i + 1));
            }
            assertThat(last.sh("pgrep -fc '[b]usy.py'").strip()).isEqualTo("1");
            last.suspend();
        }
        Held warm = after.get(WARM_UP / TIDY_EVERY - 1);
        Held end = after.getLast();
        System.out.println("CyclesTest: " + warm + "\nCyclesTest: " + end);
        assertThat(end.descriptors()).as("descriptors").isLessThanOrEqualTo(warm.descriptors() + 4);
        assertThat(end.threads()).as("threads").isLessThanOrEqualTo(warm.threads() + 4);
        assertThat(end.mounts()).as("mounts").isEqualTo(warm.mounts());
        assertThat(end.loops()).as("loop devices").isEqualTo(warm.loops());
        assertThat(end.stateFiles()).as("files of the hosts' states").isLessThanOrEqualTo(warm.stateFiles() + 2);
        assertThat(end.heapKib()).as("KiB of objects").isLessThanOrEqualTo(warm.heapKib() + 16 * 1024);
        assertThat(end.residentKib()).as("KiB of memory").isLessThanOrEqualTo(warm.residentKib() + 100 * 1024);
        assertThat(end.storedBytes()).as("bytes stored").isLessThanOrEqualTo(warm.storedBytes() + MORE_BYTES_MAX);
        List<SnapshotInfo> history = a.with(satchel -> satchel.history(name));
        assertThat(history).hasSizeBetween(1, 3 + 1 + CYCLES % TIDY_EVERY);
        assertThat(site.verify().errors()).isEmpty();
    }
}
