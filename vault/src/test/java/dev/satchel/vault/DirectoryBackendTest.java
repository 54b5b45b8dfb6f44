package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.linux.Errno;
import dev.satchel.linux.LinuxException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DirectoryBackendTest {
    @TempDir
    Path directory;

    private static MemorySegment bytes(Arena arena, String text) {
        return TestVaults.segment(arena, text.getBytes(UTF_8));
    }

    private static Optional<String> text(Backend backend, String name) throws IOException {
        return backend.get(name, 1000).map(bytes -> new String(bytes, UTF_8));
    }

    @Test
    void keepsTheContract() throws IOException {
        try (DirectoryBackend backend = new DirectoryBackend(directory.resolve("a/b"));
                Arena arena = Arena.ofConfined()) {
            assertThat(backend.list("")).isEmpty();
            assertThat(backend.get("x", 10)).isEmpty();
            assertThat(backend.putIfAbsent("packs/one", bytes(arena, "on"), bytes(arena, "e")))
                    .isTrue();
            assertThat(backend.putIfAbsent("packs/one", bytes(arena, "other"))).isFalse();
            assertThat(text(backend, "packs/one")).contains("one");
            assertThat(backend.size("packs/one")).contains(3L);
            MemorySegment range = arena.allocate(10);
            assertThat(backend.getRange("packs/one", 1, range)).isEqualTo(2);
            assertThat(range.getString(0)).isEqualTo("ne");
            assertThat(backend.getRange("packs/one", 7, range)).isZero();
            assertThatThrownBy(() -> backend.getRange("packs/two", 0, range)).isInstanceOf(NoSuchException.class);
            assertThatThrownBy(() -> backend.get("packs/one", 2)).isInstanceOf(DamagedException.class);
            try (PackFile file = backend.begin();
                    PackFile thrownAway = backend.begin()) {
                file.append(bytes(arena, "two"));
                thrownAway.append(bytes(arena, "three"));
                assertThat(backend.list("")).containsExactly("packs/one");
                file.sync();
                backend.commit(Map.of("packs/x/two", file));
            }
            assertThat(backend.list("packs")).containsExactly("packs/one", "packs/x/two");
            assertThat(backend.list("pac")).isEmpty();
            backend.delete("packs/one");
            backend.delete("packs/one");
            assertThat(backend.list("packs")).containsExactly("packs/x/two");
            assertThatThrownBy(() -> backend.getRange("packs/one", 0, range)).isInstanceOf(NoSuchException.class);
        }
        assertThat(directory.resolve("a/b/.tmp")).isEmptyDirectory();
    }

    /** Whose device is taken away is not made anew in the mount point, where nobody would find it when the device is back. */
    @Test
    void aVaultThatIsAwayIsNotMadeAnew() throws IOException {
        Path vault = directory.resolve("stick");
        TestVaults.create(vault).close();
        try (DirectoryBackend backend = new DirectoryBackend(vault);
                Arena arena = Arena.ofConfined()) {
            assertThat(backend.get(Vault.CONFIG, 1000)).isPresent();
            backend.putIfAbsent("packs/one", bytes(arena, "one"));
            Path elsewhere = directory.resolve("elsewhere");
            for (boolean mountPoint : new boolean[] {false, true}) {
                Files.move(vault, elsewhere);
                if (mountPoint) {
                    Files.createDirectory(vault);
                }
                for (ThrowingCallable use : List.<ThrowingCallable>of(
                        () -> backend.putIfAbsent("packs/two", bytes(arena, "two")),
                        () -> backend.putIfAbsent("other/two", bytes(arena, "two")),
                        () -> backend.openLog("log/s/1", true),
                        () -> backend.replace("head", Optional.empty(), new byte[1]),
                        () -> backend.getRange("packs/three", 0, arena.allocate(1)),
                        // Nobody is to take it for empty.
                        () -> backend.get("packs/one", 1000),
                        () -> backend.size("packs/one"),
                        () -> backend.list("packs"),
                        () -> backend.list(""))) {
                    assertThatThrownBy(use)
                            .isInstanceOf(AwayException.class)
                            .hasMessageContaining("connect its device again");
                }
                if (mountPoint) {
                    assertThat(vault).isEmptyDirectory();
                    Files.delete(vault);
                }
                assertThat(vault).doesNotExist();
                Files.move(elsewhere, vault);
                assertThat(backend.putIfAbsent(mountPoint ? "packs/second" : "packs/first", bytes(arena, "two")))
                        .isTrue();
            }
        }
    }

    /** What was open then stays dead when the device is back; what is opened by name need not be. */
    @Test
    void whatWasOpenOnADeviceThatWentIsOpenedAnew() throws IOException {
        Path path = directory.resolve("stick");
        TestVaults.create(path).close();
        DyingDisk disk = new DyingDisk();
        try (DirectoryBackend backend = new DirectoryBackend(path, disk);
                Arena arena = Arena.ofConfined()) {
            assertThat(backend.get(Vault.CONFIG, 1000)).isPresent();
            backend.putIfAbsent("packs/one", bytes(arena, "one"));
            backend.putIfAbsent("packs/two", bytes(arena, "two"));
            MemorySegment range = arena.allocate(3);
            for (int errno : new int[] {Errno.EIO, Errno.ESTALE, Errno.ENODEV, Errno.ENXIO, Errno.ENOTCONN}) {
                assertThat(backend.getRange("packs/one", 0, range)).isEqualTo(3);
                disk.takeAway(errno);
                for (ThrowingCallable use : List.<ThrowingCallable>of(
                        () -> backend.getRange("packs/one", 0, range),
                        () -> backend.getRange("packs/two", 0, range),
                        () -> backend.get("packs/one", 1000),
                        () -> backend.get(Vault.CONFIG, 1000),
                        () -> backend.list("packs"),
                        () -> backend.putIfAbsent("packs/three", bytes(arena, "three")),
                        () -> backend.replace("head", Optional.empty(), new byte[1]))) {
                    assertThatThrownBy(use)
                            .isInstanceOf(AwayException.class)
                            .hasMessageContaining("connect its device again");
                }
                disk.giveBack();
                assertThat(backend.getRange("packs/one", 0, range)).isEqualTo(3);
                disk.takeAway(errno);
                disk.giveBack();
                // Never known to be away.
                assertThat(backend.getRange("packs/one", 0, range)).isEqualTo(3);
                int opened = disk.opened.get();
                assertThat(backend.getRange("packs/one", 0, range)).isEqualTo(3);
                assertThat(disk.opened).hasValue(opened);
            }
            // One file that can't be read is no vault that is away.
            disk.spoil(path.resolve("packs/two"));
            assertThatThrownBy(() -> backend.getRange("packs/two", 0, range)).isInstanceOf(LinuxException.class);
            assertThat(backend.getRange("packs/one", 0, range)).isEqualTo(3);
        }
    }

    /** Its next sync would say that all is well, and the kernel has thrown away what it could not write. */
    @Test
    void nobodyWaitsForALogThatHasDied() throws IOException {
        Path path = directory.resolve("stick");
        TestVaults.create(path).close();
        DyingDisk disk = new DyingDisk();
        try (DirectoryBackend backend = new DirectoryBackend(path, disk);
                Arena arena = Arena.ofConfined()) {
            assertThat(backend.get(Vault.CONFIG, 1000)).isPresent();
            AppendLog log = backend.openLog("log/s/1", true);
            log.append(bytes(arena, "one"));
            disk.takeAway(Errno.EIO);
            assertThatThrownBy(() -> log.append(bytes(arena, "two"))).isInstanceOf(LinuxException.class);
            assertThatThrownBy(log::sync).isInstanceOf(LinuxException.class);
            disk.giveBack();
            log.close();
        }
    }

    @Test
    void whoReadsALogKeepsNobodyFromIt() throws Exception {
        try (DirectoryBackend backend = new DirectoryBackend(directory.resolve("v"))) {
            assertThatThrownBy(() -> backend.readLog("log/s/1")).isInstanceOf(NoSuchException.class);
            try (AppendLog log = backend.openLog("log/s/1", true);
                    Arena arena = Arena.ofConfined()) {
                log.append(bytes(arena, "one"));
                assertThatThrownBy(() -> backend.readLog("log/s/1")).isInstanceOf(LogInUseException.class);
            }
            try (AppendLog read = backend.readLog("log/s/1");
                    AppendLog log = backend.openLog("log/s/1", false);
                    Arena arena = Arena.ofConfined()) {
                assertThat(read.size()).isEqualTo(3);
                assertThatThrownBy(() -> read.append(bytes(arena, "two"))).isInstanceOf(IOException.class);
                assertThat(log.append(bytes(arena, "two"))).isEqualTo(3);
            }
            // Nor while it looks whether anybody writes it.
            AtomicBoolean ended = new AtomicBoolean();
            Thread looking = Thread.ofPlatform().start(() -> {
                try {
                    while (!ended.get()) {
                        backend.readLog("log/s/1").close();
                    }
                } catch (IOException e) {
                    ended.set(true);
                }
            });
            for (int i = 0; i < 500; i++) {
                backend.openLog("log/s/1", false).close();
            }
            assertThat(ended.getAndSet(true)).isFalse();
            looking.join();
        }
    }

    /** Of a file whose sync has failed a later one says nothing: it must not become anybody's log. */
    @Test
    void aLogThatCouldNotBeMadeSafeIsMadeAnew() throws IOException {
        int failed = 0;
        for (int seed = 0; seed < 200; seed++) {
            SimulatedDisk disk = new SimulatedDisk(seed, 1 << 20);
            try (Backend backend = disk.process().backend("/vault");
                    Arena arena = Arena.ofConfined()) {
                disk.light(SimulatedDisk.Fault.ERROR, 1 + seed % 10);
                try {
                    backend.openLog("log/s/1", true).close();
                } catch (IOException e) {
                    failed++;
                }
                disk.defuse();
                try (AppendLog log = backend.openLog("log/s/1", true)) {
                    assertThat(log.append(bytes(arena, "one"))).isZero();
                    log.sync();
                }
                disk.cutPower();
            }
            try (Backend backend = disk.process().backend("/vault");
                    AppendLog log = backend.readLog("log/s/1")) {
                assertThat(log.size()).as("seed %d", seed).isEqualTo(3);
            }
        }
        assertThat(failed).isPositive();
    }

    @Test
    void replacesOnlyWhatIsExpected() throws IOException {
        try (DirectoryBackend backend = new DirectoryBackend(directory)) {
            byte[] one = {1};
            byte[] two = {2};
            assertThat(backend.replace("h/e", Optional.of(one), two)).isFalse();
            assertThat(backend.replace("h/e", Optional.empty(), one)).isTrue();
            assertThat(backend.replace("h/e", Optional.empty(), two)).isFalse();
            assertThat(backend.replace("h/e", Optional.of(two), two)).isFalse();
            assertThat(backend.replace("h/e", Optional.of(one), two)).isTrue();
            assertThat(backend.get("h/e", 5)).contains(two);
        }
    }

    @Test
    void refusesNamesThatCouldLeaveTheDirectory() throws IOException {
        try (DirectoryBackend backend = new DirectoryBackend(directory)) {
            for (String name : List.of(
                    "",
                    "/",
                    "a/",
                    "/a",
                    "..",
                    "a/../b",
                    ".tmp/x",
                    "A",
                    "a b",
                    "a/b/c/d/e",
                    "a//b",
                    "ä",
                    "x".repeat(81))) {
                assertThatThrownBy(() -> backend.get(name, 1))
                        .as("%s", name)
                        .isInstanceOf(IllegalArgumentException.class);
            }
        }
    }

    @Test
    void logsGrowAreReadAndCut() throws IOException {
        try (DirectoryBackend backend = new DirectoryBackend(directory);
                Arena arena = Arena.ofConfined()) {
            assertThatThrownBy(() -> backend.openLog("log/s/1", false)).isInstanceOf(NoSuchException.class);
            try (AppendLog log = backend.openLog("log/s/1", true)) {
                assertThat(log.append(bytes(arena, "hello "))).isZero();
                assertThat(log.append(bytes(arena, "world"))).isEqualTo(6);
                log.sync();
                MemorySegment read = arena.allocate(20);
                assertThat(log.read(6, read)).isEqualTo(5);
                assertThat(read.getString(0)).isEqualTo("world");
                assertThatThrownBy(() -> backend.openLog("log/s/1", false)).hasMessageContaining("in use");
                log.truncate(5);
                assertThat(log.append(bytes(arena, "!"))).isEqualTo(5);
            }
            try (AppendLog log = backend.openLog("log/s/1", false)) {
                assertThat(log.size()).isEqualTo(6);
            }
            assertThat(text(backend, "log/s/1")).contains("hello!");
        }
    }

    @Test
    void removesWhatDeadWritersLeftAndNothingElse() throws IOException {
        try (DirectoryBackend backend = new DirectoryBackend(directory);
                DirectoryBackend other = new DirectoryBackend(directory);
                Arena arena = Arena.ofConfined();
                PackFile alive = backend.begin()) {
            alive.append(bytes(arena, "alive"));
            Files.writeString(directory.resolve(".tmp/0123456789abcdef"), "dead");
            assertThat(other.removeAbandoned()).isEqualTo(4);
            alive.commit("x");
            assertThat(text(other, "x")).contains("alive");
            assertThat(directory.resolve(".tmp")).isEmptyDirectory();
        }
    }

    @Test
    void aFullDeviceIsSaidCleanlyAndHarmsNothing() throws Exception {
        Path mount = Files.createDirectory(directory.resolve("small"));
        run("mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "satchel-test", mount.toString());
        try {
            Vault vault = TestVaults.create(mount);
            SessionId session = SessionId.random();
            ChunkRef kept;
            try (Lease lease = vault.acquire(session, new HostId(1, 1), "here", false)) {
                vault.putHead(Head.first(session, "work", Optional.empty(), new byte[0]), lease);
                kept = store(vault, 1, 1);
                long before = used(mount);
                assertThatThrownBy(() -> store(vault, 100, 60))
                        .isInstanceOf(VaultFullException.class)
                        .hasMessageContaining(": free some");
                assertThat(mount.resolve(".tmp")).isEmptyDirectory();
                assertThat(used(mount)).isEqualTo(before);
                try (AppendLog log = vault.backend().openLog("log/x", true);
                        Arena arena = Arena.ofConfined()) {
                    log.append(bytes(arena, "abc"));
                    MemorySegment large = arena.allocate(8 << 20);
                    assertThatThrownBy(() -> log.append(large)).isInstanceOf(VaultFullException.class);
                    assertThat(log.size()).isEqualTo(3);
                    assertThat(log.append(bytes(arena, "def"))).isEqualTo(3);
                    // Now to the brim: not even a head fits any more.
                    MemorySegment page = arena.allocate(4096);
                    fill(log, page);
                    Head head = vault.head(session).orElseThrow();
                    assertThatThrownBy(() -> vault.putHead(head.next(Optional.empty(), new byte[10_000]), lease))
                            .isInstanceOf(VaultFullException.class);
                    assertThatThrownBy(() -> vault.put(TestVaults.draft(session, Optional.empty(), ChunkMapRef.EMPTY)))
                            .isInstanceOf(VaultFullException.class);
                    assertThat(vault.head(session).orElseThrow().generation()).isEqualTo(1);
                    log.truncate(0);
                    vault.putHead(head.next(Optional.empty(), new byte[10_000]), lease);
                }
                assertThat(mount.resolve(".tmp")).isEmptyDirectory();
            }
            assertThat(TestVaults.read(vault, kept)).isEqualTo(TestVaults.noise(1, 200_000));
            assertThat(vault.verify(ProgressListener.NONE).errors()).isEmpty();
            vault.close();
        } finally {
            run("umount", mount.toString());
        }
    }

    @Test
    void whatALogHasSetAsideIsThereWhenOthersTakeTheRest() throws Exception {
        Path small = Files.createDirectories(directory.resolve("set-aside"));
        run("mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "satchel-test", small.toString());
        try (Backend backend = new DirectoryBackend(small.resolve("vault"));
                Arena arena = Arena.ofConfined()) {
            MemorySegment page = arena.allocate(4096);
            try (AppendLog log = backend.openLog("log/x", true);
                    AppendLog other = backend.openLog("log/y", true)) {
                log.append(page);
                assertThat(log.setAside(2 << 20)).isTrue();
                assertThat(log.size()).isEqualTo(4096);
                fill(other, page);
                for (int i = 0; i < (2 << 20) / 4096; i++) {
                    log.append(page);
                }
                assertThatThrownBy(() -> log.append(page)).isInstanceOf(VaultFullException.class);
                assertThatThrownBy(() -> log.setAside(4096)).isInstanceOf(VaultFullException.class);
                assertThat(log.size()).isEqualTo(4096 + (2 << 20));
                log.truncate(4096);
                assertThat(log.setAside(1 << 20)).isTrue();
                log.truncate(4096);
                // Given back.
                for (int i = 0; i < (2 << 20) / 4096; i++) {
                    other.append(page);
                }
            }
        } finally {
            run("umount", small.toString());
        }
    }

    private static void fill(AppendLog log, MemorySegment page) throws IOException {
        while (true) {
            try {
                log.append(page);
            } catch (VaultFullException full) {
                return;
            }
        }
    }

    private static ChunkRef store(Vault vault, int seed, int count) throws IOException {
        try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            ChunkRef last = TestVaults.put(writer, TestVaults.noise(seed, 200_000));
            for (int i = 1; i < count; i++) {
                last = TestVaults.put(writer, TestVaults.noise(seed + i, 200_000));
            }
            writer.commit();
            return last;
        }
    }

    private static long used(Path mount) throws IOException {
        var store = Files.getFileStore(mount);
        return store.getTotalSpace() - store.getUnallocatedSpace();
    }

    private static void run(String... command) throws Exception {
        Process process = new ProcessBuilder(command).inheritIO().start();
        assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).as(String.join(" ", command)).isZero();
    }
}
