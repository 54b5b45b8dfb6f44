package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.linux.Fd;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Instant;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** That the simulated disk loses what it may lose, and what that does to a vault. {@link VaultSchedule#main} is the long form. */
class SimulatedDiskTest {
    private static MemorySegment bytes(Arena arena, String text) {
        return TestVaults.segment(arena, text.getBytes(UTF_8));
    }

    /** What is left of a file that was made in a directory that is safe, by what was synced. */
    private static Set<String> leftOf(boolean syncFile, boolean syncDirectory) throws IOException {
        Set<String> left = new HashSet<>();
        for (int seed = 0; seed < 200; seed++) {
            SimulatedDisk disk = new SimulatedDisk(seed, 1 << 20);
            SimulatedDisk.Program process = disk.process();
            try (Arena arena = Arena.ofConfined();
                    Disk.File file = process.open(Path.of("/a"), Fd.O_RDWR | Fd.O_CREAT)) {
                file.writeFully(bytes(arena, "x".repeat(512)), 0);
                file.writeFully(bytes(arena, "y".repeat(512)), 512);
                if (syncFile) {
                    file.sync();
                }
                if (syncDirectory) {
                    process.syncDirectory(Path.of("/"));
                }
            }
            disk.cutPower();
            byte[] found = disk.contents().get("/a");
            left.add(
                    found == null
                            ? "nothing"
                            : new String(found, UTF_8)
                                    .replaceAll("(.)\\1{511}", "$1")
                                    .replace('\0', '0'));
        }
        return left;
    }

    @Test
    void keepsNothingThatWasNotSynced() throws IOException {
        assertThat(leftOf(true, true)).containsExactly("xy");
        assertThat(leftOf(true, false)).containsExactlyInAnyOrder("nothing", "xy");
        assertThat(leftOf(false, true)).containsExactlyInAnyOrder("", "x", "0y", "xy", "x0", "00");
        assertThat(leftOf(false, false)).contains("nothing", "", "x", "0y", "xy");
    }

    @Test
    void tellsApartWhoHasALockAndWhoIsDead() throws IOException {
        SimulatedDisk disk = new SimulatedDisk(1, 1 << 20);
        SimulatedDisk.Program one = disk.process();
        SimulatedDisk.Program other = disk.process();
        Disk.File held = one.open(Path.of("/a"), Fd.O_RDWR | Fd.O_CREAT);
        try (Disk.File wanted = other.open(Path.of("/a"), Fd.O_RDWR)) {
            assertThat(held.tryLock()).isTrue();
            assertThat(wanted.tryLock()).isFalse();
            one.kill();
            assertThat(wanted.tryLock()).isTrue();
            assertThatThrownBy(() -> held.truncate(0)).hasMessageContaining("EIO");
        }
    }

    /** The disk's contract is the kernel's as far as a backend can tell. */
    @Test
    void aBackendWorksOnIt() throws IOException {
        SimulatedDisk disk = new SimulatedDisk(1, 10_000);
        try (DirectoryBackend backend = disk.process().backend("/v");
                Arena arena = Arena.ofConfined()) {
            assertThat(backend.putIfAbsent("packs/one", bytes(arena, "one"))).isTrue();
            assertThat(backend.putIfAbsent("packs/one", bytes(arena, "one"))).isFalse();
            assertThat(backend.list("")).containsExactly("packs/one");
            assertThatThrownBy(() -> backend.putIfAbsent("packs/two", arena.allocate(20_000)))
                    .isInstanceOf(VaultFullException.class);
            assertThat(backend.list("")).containsExactly("packs/one");
            backend.delete("packs/one");
            assertThat(backend.list("")).isEmpty();
            try (AppendLog log = backend.openLog("log/a", true)) {
                log.append(bytes(arena, "abc"));
                assertThatThrownBy(() -> log.append(arena.allocate(20_000))).isInstanceOf(VaultFullException.class);
                assertThat(log.size()).isEqualTo(3);
                assertThat(disk.contents().get("/v/log/a")).hasSize(3);
            }
        }
    }

    /** Runs something until the process is killed just after so many names have changed, then cuts the power often enough. */
    private interface Part {
        void run(DirectoryBackend backend, Arena arena) throws IOException;
    }

    /** What somebody else stores after one has been killed between a name and its being safe must outlive a power cut. */
    private static void killedThenStored(int names, Part killed, Part stored, Part found) throws IOException {
        for (int seed = 0; seed < 60; seed++) {
            SimulatedDisk disk = new SimulatedDisk(seed, 1 << 20);
            SimulatedDisk.Program first = disk.process();
            try (Arena arena = Arena.ofConfined()) {
                disk.lightAtName(SimulatedDisk.Fault.KILL, names);
                assertThatThrownBy(() -> killed.run(first.backend("/v"), arena)).isInstanceOf(IOException.class);
                assertThat(first.isDead()).isTrue();
                stored.run(disk.process().backend("/v"), arena);
                disk.cutPower();
                found.run(disk.process().backend("/v"), arena);
            }
        }
    }

    @Test
    void aDirectoryOfSomebodyWhoWasKilledIsMadeSafe() throws IOException {
        Part store = (backend, arena) -> backend.putIfAbsent("packs/x/one", bytes(arena, "one"));
        Part find =
                (backend, arena) -> assertThat(backend.get("packs/x/one", 10)).isPresent();
        // /v, /v/.tmp, /v/packs, /v/packs/x, the rename: killed behind each of them.
        for (int names = 1; names <= 5; names++) {
            killedThenStored(names, store, store, find);
        }
    }

    @Test
    void anEmptyLogOfSomebodyWhoWasKilledIsMadeSafe() throws IOException {
        Part make = (backend, arena) -> backend.openLog("log/1", true).close();
        killedThenStored(
                2,
                make,
                (backend, arena) -> {
                    try (AppendLog log = backend.openLog("log/1", true)) {
                        log.append(bytes(arena, "abc"));
                        log.sync();
                    }
                },
                (backend, arena) -> assertThat(backend.size("log/1")).contains(3L));
    }

    @Test
    void anImageThatWasNotFinishedHarmsNobodyInTheSameProcess() throws IOException {
        SimulatedDisk disk = new SimulatedDisk(1, 1 << 20);
        DirectoryBackend backend = disk.process().backend("/v");
        Vault.init(backend, TestVaults.PASSPHRASE, KdfParameters.FOR_TESTS);
        try (VaultKey key = Vault.unlock(backend, TestVaults.PASSPHRASE);
                Vault vault = Vault.open(backend, key, HeadWitness.NONE)) {
            try (KeyDomain keys = KeyDomain.random();
                    ChunkWriter writer = vault.chunks().writer(keys)) {
                TestVaults.put(writer, TestVaults.text(1, 100));
                writer.commit();
            }
            assertThat(vault.verify(ProgressListener.NONE).errors()).isEmpty();
        }
    }

    @Test
    void knownSchedulesLoseNothing() {
        for (long seed = 1; seed <= 4; seed++) {
            VaultSchedule.run(seed, 60);
        }
    }

    @Test
    void anyScheduleLosesNothing() {
        long first = System.nanoTime();
        System.out.println("SimulatedDiskTest: schedules from seed " + first);
        long until = System.nanoTime() + 1_500_000_000L;
        for (long seed = first; System.nanoTime() < until; seed++) {
            VaultSchedule.run(seed, 60);
        }
    }

    private static final SessionId WORK = new SessionId(7, 7);

    private static void goOn(Vault vault, int stamp) throws IOException {
        try (Lease lease = vault.acquire(WORK, new HostId(1, 1), "here", true)) {
            Optional<Head> head = vault.head(WORK);
            ChunkMapRef map = TestVaults.map(vault, List.of(TestVaults.noise(1, 3000), TestVaults.noise(stamp, 3000)));
            SnapshotId snapshot = vault.put(TestVaults.draft(WORK, head.flatMap(Head::snapshot), map));
            vault.putHead(
                    head.map(present -> present.next(Optional.of(snapshot), present.settings()))
                            .orElseGet(() -> Head.first(WORK, "work", Optional.of(snapshot), new byte[0])),
                    lease);
        }
    }

    private static void sync(Vault home, SimulatedDisk.Program away, HeadWitness witness) throws IOException {
        try (Vault copy = home.openReplica(away.backend("/copy"), witness, true)) {
            ReplicationReport report = new Replication(
                            home,
                            copy,
                            new Replication.Options(
                                    Replication.Direction.PUSH, Set.of(), false, false, Replication.Pace.NONE),
                            new HostId(1, 1),
                            "here",
                            ProgressListener.NONE)
                    .run();
            assertThat(report.waiting()).isEmpty();
            assertThat(report.damaged()).isEmpty();
        }
    }

    /** An image is seen to be gone once its name is, and may come back until that is safe: not to a vault without its chunks. */
    @Test
    void anImageWhoseRemoverWasKilledDoesNotComeBackWithoutItsKeys() throws IOException {
        int killed = 0;
        for (int names = 1; names <= 3; names++) {
            for (int seed = 0; seed < 20; seed++) {
                SimulatedDisk disk = new SimulatedDisk(seed, 1 << 24);
                Vault.init(disk.process().backend("/v"), TestVaults.PASSPHRASE, KdfParameters.FOR_TESTS);
                HeadWitness witness =
                        new SimulatedDisk(seed + 200, 1 << 20).process().witness("/state");
                try (VaultKey key = Vault.unlock(disk.process().backend("/v"), TestVaults.PASSPHRASE)) {
                    ImageId image = ImageId.random();
                    SimulatedDisk.Program remover = disk.process();
                    try (Vault vault = Vault.open(remover.backend("/v"), key, witness)) {
                        goOn(vault, 2);
                        putImage(vault, image);
                        disk.lightAtName(SimulatedDisk.Fault.KILL, names);
                        try {
                            vault.deleteImage(image);
                        } catch (IOException e) {
                            assertThat(remover.isDead()).isTrue();
                            killed++;
                        }
                    }
                    disk.defuse();
                    remover.kill();
                    try (Vault vault = Vault.open(disk.process().backend("/v"), key, witness)) {
                        CollectReport _ = vault.collect(0, false, ProgressListener.NONE);
                    }
                    disk.cutPower();
                    try (Vault vault = Vault.open(disk.process().backend("/v"), key, witness)) {
                        assertThat(vault.verify(ProgressListener.NONE).errors())
                                .as("killed at name %d, seed %d", names, seed)
                                .isEmpty();
                        CollectReport _ = vault.collect(0, false, ProgressListener.NONE);
                    }
                }
            }
        }
        assertThat(killed).isGreaterThan(20);
    }

    private static void putImage(Vault vault, ImageId id) throws IOException {
        try (KeyDomain keys = KeyDomain.random();
                ChunkWriter writer = vault.chunks().writer(keys)) {
            ChunkMap.Editor editor =
                    ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
            editor.set(0, TestVaults.put(writer, TestVaults.noise(9, 3000)));
            ChunkMapRef map = editor.store(writer);
            writer.commit();
            vault.putImage(new ImageManifest(id, "image", Instant.EPOCH, keys, map, 1, 1, new byte[0]));
        }
    }

    /** What a sync that was killed has stored is there for the next one, which must not count on what only the cache has. */
    @Test
    void whatASyncThatWasKilledHasStoredIsMadeSafeByTheNextOne() throws IOException {
        int killed = 0;
        for (int names = 1; names <= 24; names++) {
            for (int seed = 0; seed < 6; seed++) {
                SimulatedDisk stick = new SimulatedDisk(seed, 1 << 24);
                SimulatedDisk other = new SimulatedDisk(seed + 100, 1 << 24);
                Vault.init(stick.process().backend("/v"), TestVaults.PASSPHRASE, KdfParameters.FOR_TESTS);
                // A host's memory of heads is of all copies.
                HeadWitness witness =
                        new SimulatedDisk(seed + 200, 1 << 20).process().witness("/state");
                try (VaultKey key = Vault.unlock(stick.process().backend("/v"), TestVaults.PASSPHRASE);
                        Vault home = Vault.open(stick.process().backend("/v"), key, witness)) {
                    goOn(home, 2);
                    if (seed % 2 == 0) {
                        sync(home, other.process(), witness);
                        goOn(home, 3);
                    }
                    SimulatedDisk.Program first = other.process();
                    other.lightAtName(SimulatedDisk.Fault.KILL, names);
                    try {
                        sync(home, first, witness);
                    } catch (IOException e) {
                        assertThat(first.isDead()).isTrue();
                        killed++;
                    }
                    other.defuse();
                    first.kill();
                    sync(home, other.process(), witness);
                    other.cutPower();
                    try (Vault copy = Vault.open(other.process().backend("/copy"), key, witness)) {
                        assertThat(copy.head("work").flatMap(Head::snapshot))
                                .as("killed at name %d, seed %d", names, seed)
                                .isEqualTo(home.head("work").orElseThrow().snapshot());
                        assertThat(copy.history(WORK)).hasSameSizeAs(home.history(WORK));
                        assertThat(copy.verify(ProgressListener.NONE).errors())
                                .as("killed at name %d, seed %d", names, seed)
                                .isEmpty();
                    }
                }
            }
        }
        assertThat(killed).isGreaterThan(60);
    }

    @Test
    void anyScheduleOfTwoCopiesLosesNothing() {
        long first = System.nanoTime();
        System.out.println("SimulatedDiskTest: schedules of two copies from seed " + first);
        long until = System.nanoTime() + 2_000_000_000L;
        int syncs = 0;
        for (long seed = first; System.nanoTime() < until || syncs == 0; seed++) {
            syncs += SyncSchedule.run(seed, 50);
        }
        assertThat(syncs).isPositive();
    }
}
