package dev.satchel.vault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Space is given back, and nothing that anybody needs, whatever happens in between. */
class GarbageCollectionTest {
    private static final HostId HERE = new HostId(1, 1);
    private static final int PERCENT = 25;

    @TempDir
    Path directory;

    /** Where nothing waits for a device: tests of each operation there is take thousands. */
    private Path memory;

    private @Nullable VaultKey key;

    @BeforeEach
    void makeMemory() throws IOException {
        memory = Files.createTempDirectory(Path.of("/dev/shm"), "satchel-gc-");
    }

    @AfterEach
    void removeMemory() throws IOException {
        if (key != null) {
            key.close();
        }
        try (var files = Files.walk(memory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    /** What a test's session holds, and by which name. */
    private record Stored(SessionId session, SnapshotId snapshot) {}

    /** Does something before an operation, or instead of all from there on. */
    private static final class Stepping extends ForwardingBackend {
        private final int at;
        private final boolean ends;
        private final Step step;
        private int operations;
        private boolean armed = true;

        interface Step {
            void run() throws IOException;
        }

        Stepping(Path directory, int at, boolean ends, Step step) {
            super(new DirectoryBackend(directory));
            this.at = at;
            this.ends = ends;
            this.step = step;
        }

        private void next() throws IOException {
            if (!armed) {
                return;
            }
            int operation = operations++;
            if (operation == at || (ends && operation > at)) {
                step.run();
            }
        }

        @Override
        public boolean putIfAbsent(String name, MemorySegment... parts) throws IOException {
            next();
            return super.putIfAbsent(name, parts);
        }

        @Override
        public void commit(Map<String, PackFile> files) throws IOException {
            next();
            super.commit(files);
        }

        @Override
        public Optional<byte[]> get(String name, int sizeMax) throws IOException {
            next();
            return super.get(name, sizeMax);
        }

        @Override
        public List<String> list(String prefix) throws IOException {
            next();
            return super.list(prefix);
        }

        @Override
        public void delete(String name) throws IOException {
            next();
            super.delete(name);
        }

        @Override
        public boolean replace(String name, Optional<byte[]> expected, byte[] bytes) throws IOException {
            next();
            return super.replace(name, expected, bytes);
        }
    }

    /** The device was pulled. */
    private static final class Pulled extends IOException {
        private static final long serialVersionUID = 1;
    }

    /** Tests have one vault, and copies of it. */
    private Vault open(Backend backend) throws IOException {
        VaultKey present = key;
        if (present == null) {
            present = Vault.unlock(backend, TestVaults.PASSPHRASE);
            key = present;
        }
        return Vault.open(backend, present, HeadWitness.NONE);
    }

    private Vault open(Path where) throws IOException {
        return open(new DirectoryBackend(where));
    }

    private static Stored store(Vault vault, SessionId session, String name, List<byte[]> contents) throws IOException {
        try (Lease lease = vault.acquire(session, HERE, "here", true);
                ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            ChunkMapRef map = put(vault, writer, contents);
            return new Stored(session, name(vault, session, name, lease, writer, map));
        }
    }

    private static ChunkMapRef put(Vault vault, ChunkWriter writer, List<byte[]> contents) throws IOException {
        ChunkMap.Editor editor =
                ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
        for (int i = 0; i < contents.size(); i++) {
            editor.set(i, TestVaults.put(writer, contents.get(i)));
        }
        return editor.store(writer);
    }

    private static SnapshotId name(
            Vault vault, SessionId session, String name, Lease lease, ChunkWriter writer, ChunkMapRef map)
            throws IOException {
        writer.commit();
        Optional<Head> head = vault.head(session);
        try (Pin _ = vault.pin(session, List.of(map), writer)) {
            SnapshotId snapshot = vault.put(TestVaults.draft(session, head.flatMap(Head::snapshot), map));
            vault.putHead(
                    head.isPresent()
                            ? head.get().next(Optional.of(snapshot), new byte[0])
                            : Head.first(session, name, Optional.of(snapshot), new byte[0]),
                    lease);
            return snapshot;
        }
    }

    private static List<byte[]> noise(int from, int to) {
        List<byte[]> contents = new ArrayList<>();
        for (int seed = from; seed < to; seed++) {
            contents.add(TestVaults.noise(seed, 20_000));
        }
        return contents;
    }

    private static void assertHolds(Vault vault, SnapshotId snapshot, List<byte[]> contents) throws IOException {
        List<byte[]> read = new ArrayList<>();
        ChunkMap.load(vault.chunks(), vault.snapshot(snapshot).trees().get("volume"))
                .forEach(0, 1000, (slot, ref) -> read.add(TestVaults.read(vault, ref)));
        assertThat(read).hasSameSizeAs(contents);
        for (int i = 0; i < read.size(); i++) {
            assertThat(Arrays.equals(read.get(i), contents.get(i))).isTrue();
        }
    }

    private static void assertWhole(Vault vault) throws IOException {
        assertThat(vault.verify(ProgressListener.NONE).errors()).isEmpty();
    }

    private long bytes() throws IOException {
        long bytes = 0;
        try (var files = Files.walk(directory)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                bytes += Files.size(file);
            }
        }
        return bytes;
    }

    private static void copy(Path from, Path to) throws IOException {
        try (var files = Files.walk(from)) {
            for (Path file : files.toList()) {
                Files.copy(file, to.resolve(from.relativize(file).toString()));
            }
        }
    }

    private static CollectReport collect(Vault vault) throws IOException {
        return vault.collect(PERCENT, false, ProgressListener.NONE);
    }

    /** A session of three snapshots, the first two removed: one pack needed, one not at all, one in part. */
    private Stored threeAndRemoved(Path where) throws IOException {
        try (Vault vault = TestVaults.create(where)) {
            SessionId session = SessionId.random();
            Stored first = store(vault, session, "work", noise(0, 10));
            List<byte[]> contents = noise(10, 20);
            Stored second = store(vault, session, "work", contents);
            Stored third = store(vault, session, "work", third());
            assertThat(vault.remove(Set.of(first.snapshot(), second.snapshot(), third.snapshot())))
                    .containsExactlyInAnyOrder(first.snapshot(), second.snapshot());
            return third;
        }
    }

    private static List<byte[]> third() {
        List<byte[]> contents = noise(15, 20);
        contents.addAll(noise(20, 25));
        return contents;
    }

    @Test
    void givesBackWhatNothingNeedsAndKeepsTheRest() throws IOException {
        Stored kept = threeAndRemoved(directory);
        long before = bytes();
        try (Vault early = open(directory);
                Vault vault = open(directory)) {
            assertHolds(early, kept.snapshot(), third());
            CollectReport expected = vault.collect(PERCENT, true, ProgressListener.NONE);
            assertThat(bytes()).isEqualTo(before);
            CollectReport report = collect(vault);
            assertThat(report.bytesFreed()).isEqualTo(before - bytes()).isBetween(300_000L, 320_000L);
            assertThat(report.packsRemoved()).isEqualTo(1).isEqualTo(expected.packsRemoved());
            assertThat(report.packsRewritten()).isEqualTo(1).isEqualTo(expected.packsRewritten());
            assertThat(expected.bytesFreed())
                    .isCloseTo(report.bytesFreed(), org.assertj.core.data.Percentage.withPercentage(5));
            assertHolds(vault, kept.snapshot(), third());
            // Knew where things had been.
            assertHolds(early, kept.snapshot(), third());
            assertWhole(vault);
            assertWhole(early);
            assertThat(collect(vault)).isEqualTo(new CollectReport(0, 0, 0, 0, 0));
            // What is gone is stored again, also by who remembers it.
            List<byte[]> again = noise(0, 15);
            Stored stored = store(early, SessionId.random(), "again", again);
            assertHolds(vault, stored.snapshot(), again);
            assertWhole(vault);
        }
    }

    @Test
    void leavesAPackOfWhichMostIsNeeded() throws IOException {
        try (Vault vault = TestVaults.create(directory)) {
            SessionId session = SessionId.random();
            Stored first = store(vault, session, "work", noise(0, 10));
            store(vault, session, "work", noise(1, 10));
            vault.remove(Set.of(first.snapshot()));
            CollectReport report = collect(vault);
            assertThat(report.packsRewritten()).isZero();
            assertThat(report.bytesUnneeded()).isGreaterThan(20_000);
            assertThat(vault.collect(5, false, ProgressListener.NONE).packsRewritten())
                    .isEqualTo(1);
            assertWhole(vault);
        }
    }

    @Test
    void canBePulledAtEachOperationAndGoesOnTheNextTime() throws IOException {
        Path made = Files.createDirectory(memory.resolve("made"));
        Stored kept = threeAndRemoved(made);
        int at = 0;
        for (boolean finished = false; !finished; at++) {
            Path copied = memory.resolve("copy-" + at);
            copy(made, copied);
            Stepping stepping = new Stepping(copied, at, true, () -> {
                throw new Pulled();
            });
            finished = true;
            try (Vault vault = open(stepping)) {
                collect(vault);
            } catch (Pulled e) {
                finished = false;
            }
            try (Vault vault = open(copied)) {
                assertHolds(vault, kept.snapshot(), third());
                assertWhole(vault);
                collect(vault);
                assertHolds(vault, kept.snapshot(), third());
                assertWhole(vault);
                assertThat(vault.info().chunks()).isEqualTo(11);
                assertThat(vault.protection().intents()).isEmpty();
                assertThat(vault.info().bytesStored()).isLessThan(225_000);
            }
        }
        assertThat(at).isGreaterThan(25);
    }

    /** Somebody who has been about to store since before the collection, or begins in its middle. */
    @Test
    void writersAtEachOperationOfACollectionLoseNothing() throws IOException {
        Path made = Files.createDirectory(memory.resolve("made"));
        threeAndRemoved(made);
        List<byte[]> wanted = noise(3, 18);
        boolean overtaken = false;
        boolean finished = false;
        for (int at = 0; !finished; at++) {
            for (boolean early : new boolean[] {false, true}) {
                Path copied = memory.resolve("copy-" + at + "-" + early);
                copy(made, copied);
                SessionId session = SessionId.random();
                try (Vault other = open(copied);
                        Lease lease = other.acquire(session, HERE, "here", false);
                        ChunkWriter begun = other.chunks().writer(other.chunks().ownDomain())) {
                    ChunkMapRef map = early ? put(other, begun, wanted) : ChunkMapRef.EMPTY;
                    List<SnapshotId> stored = new ArrayList<>();
                    boolean[] collected = {false};
                    Stepping stepping = new Stepping(copied, at, false, () -> {
                        try (ChunkWriter writer =
                                other.chunks().writer(other.chunks().ownDomain())) {
                            ChunkWriter used = early ? begun : writer;
                            ChunkMapRef ref = early ? map : put(other, writer, wanted);
                            stored.add(name(other, session, "late", lease, used, ref));
                        } catch (CollectedException e) {
                            collected[0] = true;
                            try (ChunkWriter again =
                                    other.chunks().writer(other.chunks().ownDomain())) {
                                stored.add(name(other, session, "late", lease, again, put(other, again, wanted)));
                            }
                        }
                    });
                    overtaken |= collected[0];
                    try (Vault vault = open(stepping)) {
                        collect(vault);
                    }
                    overtaken |= collected[0];
                    finished = stored.isEmpty();
                    try (Vault vault = open(copied)) {
                        assertWhole(vault);
                        if (!finished) {
                            assertHolds(vault, stored.getFirst(), wanted);
                        }
                        collect(vault);
                        assertWhole(vault);
                        assertThat(vault.protection().intents()).isEmpty();
                    }
                }
            }
        }
        // Otherwise this has tested nothing.
        assertThat(overtaken).isTrue();
    }

    @Test
    void aCollectionAtEachOperationOfAWriterTakesNothing() throws IOException {
        Path made = Files.createDirectory(memory.resolve("made"));
        threeAndRemoved(made);
        List<byte[]> wanted = noise(3, 18);
        boolean finished = false;
        for (int at = 0; !finished; at++) {
            Path copied = memory.resolve("copy-" + at);
            copy(made, copied);
            boolean[] reached = {false};
            try (Vault collector = open(copied)) {
                Stepping stepping = new Stepping(copied, at, false, () -> {
                    reached[0] = true;
                    collect(collector);
                });
                SessionId session = SessionId.random();
                stepping.armed = false;
                try (Vault vault = open(stepping)) {
                    stepping.armed = true;
                    Stored stored;
                    try {
                        stored = store(vault, session, "late", wanted);
                    } catch (CollectedException e) {
                        stored = store(vault, session, "late", wanted);
                    }
                    stepping.armed = false;
                    assertHolds(vault, stored.snapshot(), wanted);
                    collect(collector);
                    assertHolds(vault, stored.snapshot(), wanted);
                    assertHolds(collector, stored.snapshot(), wanted);
                    assertWhole(collector);
                }
            }
            finished = !reached[0];
        }
    }

    /** Each of two packs has the only other copy of what the other has. */
    @Test
    void twoCollectionsInsideEachOtherLeaveOneCopyAtLeast() throws IOException {
        Path made = Files.createDirectory(memory.resolve("made"));
        TestVaults.create(made).close();
        SessionId session = SessionId.random();
        Stored kept;
        try (Vault one = open(made);
                Vault two = open(made)) {
            SessionId other = SessionId.random();
            try (ChunkWriter writer = one.chunks().writer(one.chunks().ownDomain())) {
                // Both begin before either has committed.
                put(one, writer, noise(0, 10));
                List<byte[]> same = noise(5, 10);
                same.addAll(noise(100, 110));
                Stored gone = store(two, other, "other", same);
                writer.commit();
                kept = store(one, session, "work", noise(5, 10));
                try (Lease lease = two.acquire(other, HERE, "here", true)) {
                    two.delete(other, lease);
                }
                assertThat(one.head("other")).isEmpty();
                assertThat(gone.session()).isEqualTo(other);
            }
        }
        boolean finished = false;
        for (int at = 0; !finished; at++) {
            Path copied = memory.resolve("copy-" + at);
            copy(made, copied);
            boolean[] reached = {false};
            try (Vault other = open(copied)) {
                Stepping stepping = new Stepping(copied, at, false, () -> {
                    reached[0] = true;
                    collect(other);
                });
                try (Vault vault = open(stepping)) {
                    collect(vault);
                }
                assertHolds(other, kept.snapshot(), noise(5, 10));
                assertWhole(other);
                collect(other);
                assertWhole(other);
                assertThat(other.info().chunks()).isEqualTo(6);
                assertThat(other.info().bytesStored()).isLessThan(125_000);
                assertThat(other.protection().intents()).isEmpty();
            }
            finished = !reached[0];
        }
    }

    @Test
    void noHeadEverNamesASnapshotThatWasRemoved() throws IOException {
        Path made = Files.createDirectory(memory.resolve("made"));
        SessionId session = SessionId.random();
        Stored first;
        try (Vault vault = TestVaults.create(made)) {
            first = store(vault, session, "work", noise(0, 2));
            store(vault, session, "work", noise(2, 4));
        }
        Set<Boolean> outcomes = new HashSet<>();
        boolean finished = false;
        for (int at = 0; !finished; at++) {
            Path copied = memory.resolve("copy-" + at);
            copy(made, copied);
            boolean[] reached = {false};
            boolean[] forked = {false};
            SessionId fork = SessionId.random();
            try (Vault other = open(copied)) {
                Stepping stepping = new Stepping(copied, at, false, () -> {
                    reached[0] = true;
                    try (Lease lease = other.acquire(fork, HERE, "here", false)) {
                        other.putHead(Head.first(fork, "fork", Optional.of(first.snapshot()), new byte[0]), lease);
                        forked[0] = other.stays(first.snapshot());
                        if (!forked[0]) {
                            other.delete(fork, lease);
                        }
                    }
                });
                try (Vault vault = open(stepping)) {
                    Set<SnapshotId> removed = vault.remove(Set.of(first.snapshot()));
                    if (forked[0]) {
                        assertThat(removed).isEmpty();
                    }
                }
                assertWhole(other);
                assertThat(other.head("fork").isPresent()).isEqualTo(forked[0]);
                if (forked[0]) {
                    assertHolds(other, first.snapshot(), noise(0, 2));
                }
            }
            outcomes.add(forked[0]);
            finished = !reached[0];
        }
        assertThat(outcomes).containsExactlyInAnyOrder(true, false);
    }

    @Test
    void aRemovalThatBrokeOffIsFinished() throws IOException {
        Path made = Files.createDirectory(memory.resolve("made"));
        SessionId session = SessionId.random();
        try (Vault vault = TestVaults.create(made)) {
            store(vault, session, "work", noise(0, 2));
            store(vault, session, "work", noise(2, 4));
            store(vault, SessionId.random(), "other", noise(4, 6));
        }
        int removedAt = 0;
        boolean finished = false;
        for (int at = 0; !finished; at++) {
            Path copied = memory.resolve("copy-" + at);
            copy(made, copied);
            finished = true;
            Stepping stepping = new Stepping(copied, at, true, () -> {
                throw new Pulled();
            });
            // Opening and taking the lease are not what is to break off.
            stepping.armed = false;
            try (Vault vault = open(stepping)) {
                Lease lease = vault.acquire(session, HERE, "here", true);
                stepping.armed = true;
                vault.delete(session, lease);
            } catch (Pulled e) {
                finished = false;
            }
            try (Vault vault = open(copied)) {
                collect(vault);
                assertWhole(vault);
                if (!vault.protection().intents().isEmpty()) {
                    throw new AssertionError("an intent stayed after operation " + at);
                }
                if (vault.head("work").isEmpty() && vault.info().snapshots() == 1) {
                    removedAt++;
                    assertThat(vault.info().chunks()).isEqualTo(3);
                } else {
                    assertThat(vault.info().snapshots()).isEqualTo(3);
                }
            }
        }
        assertThat(removedAt).isGreaterThan(5);
    }

    @Test
    void removesWhatDeadSessionsAndUnfinishedImagesLeftAndNoMore() throws IOException {
        SessionId alive = SessionId.random();
        SessionId dead = SessionId.random();
        try (Vault vault = TestVaults.create(directory)) {
            store(vault, alive, "alive", noise(0, 2));
            Lease held = vault.acquire(alive, HERE, "here", true);
            for (SessionId session : List.of(alive, dead)) {
                try (AppendLog log = vault.backend().openLog("log/" + session + "/1", true)) {
                    log.append(TestVaults.segment(java.lang.foreign.Arena.ofAuto(), new byte[1000]));
                }
            }
            ChunkMapRef folded = TestVaults.map(vault, noise(10, 12));
            try (ChunkWriter none = vault.chunks().writer(vault.chunks().ownDomain())) {
                vault.pinVolume(alive, List.of(folded), folded, none);
                Pin pinned = vault.pin(alive, List.of(TestVaults.map(vault, noise(20, 22))));
                Pin left = vault.pin(dead, List.of(TestVaults.map(vault, noise(30, 32))));
                assertThat(left).isNotSameAs(pinned);
                vault.pinVolume(dead, List.of(folded), folded, none);
            }
            KeyDomain unfinished = KeyDomain.random();
            KeyDomain abandoned = KeyDomain.random();
            for (KeyDomain domain : List.of(unfinished, abandoned)) {
                try (ChunkWriter writer = vault.chunks().writer(domain)) {
                    TestVaults.put(writer, TestVaults.noise(40, 20_000));
                    writer.commit();
                }
            }
            Pin making = vault.pin(alive, unfinished.id());
            try (AppendLog used = vault.backend().openLog("log/" + SessionId.random() + "/1", true)) {
                CollectReport report = collect(vault);
                assertThat(report.filesRemoved()).isEqualTo(4);
                assertThat(used.size()).isZero();
            }
            assertThat(vault.backend().list("log")).hasSize(2).anyMatch(name -> name.contains(alive.toString()));
            assertThat(vault.backend().list("pins")).hasSize(3).allMatch(name -> name.contains(alive.toString()));
            assertThat(vault.backend().list(Pack.directory(abandoned.id()))).isEmpty();
            assertThat(vault.backend().list(Pack.directory(unfinished.id()))).hasSize(1);
            assertThat(TestVaults.read(
                            vault, ChunkMap.load(vault.chunks(), folded).get(0).orElseThrow()))
                    .isEqualTo(TestVaults.noise(10, 20_000));
            making.close();
            held.close();
            // Its lease let go, nobody is storing; its log, and so what that is over, stays.
            collect(vault);
            assertThat(vault.backend().list("pins")).containsExactly("pins/" + alive + "/volume");
            assertThat(vault.info().chunks()).isEqualTo(6);
            vault.unpinVolume(alive);
            collect(vault);
            assertThat(vault.info().chunks()).isEqualTo(3);
            assertWhole(vault);
        }
    }

    @Test
    void anImagesChunksGoWithTheLastThatNeedsThem() throws IOException {
        try (Vault vault = TestVaults.create(directory)) {
            KeyDomain keys = KeyDomain.random();
            SessionId maker = SessionId.random();
            ChunkMapRef map;
            try (ChunkWriter writer = vault.chunks().writer(keys)) {
                map = put(vault, writer, noise(0, 10));
                writer.commit();
            }
            ImageManifest image = new ImageManifest(
                    ImageId.random(), "debian", Instant.ofEpochMilli(1), keys, map, 1 << 20, 200_000, new byte[0]);
            vault.putImage(image);
            collect(vault);
            assertWhole(vault);
            SessionId session = SessionId.random();
            SnapshotId first;
            try (Lease lease = vault.acquire(session, HERE, "here", false);
                    Pin _ = vault.pin(session, List.of(map))) {
                first = vault.put(TestVaults.draft(session, Optional.empty(), map));
                vault.putHead(Head.first(session, "work", Optional.of(first), new byte[0]), lease);
            }
            vault.deleteImage(image.id());
            collect(vault);
            assertHolds(vault, first, noise(0, 10));
            try (Lease lease = vault.acquire(session, HERE, "here", false)) {
                vault.delete(session, lease);
            }
            assertThat(collect(vault).bytesFreed()).isGreaterThan(200_000);
            assertThat(vault.backend().list("domains/" + keys.id())).isEmpty();
            assertThat(vault.info().chunks()).isZero();
            assertThat(maker).isNotEqualTo(session);
        }
    }

    @Test
    void whatCannotBeReadIsNotGuessedAt() throws IOException {
        Stored kept = threeAndRemoved(directory);
        try (Vault vault = open(directory)) {
            List<String> packs = vault.backend().list("domains");
            for (String pack : packs) {
                Path file = directory.resolve(pack);
                byte[] bytes = Files.readAllBytes(file);
                bytes[150] ^= 1;
                bytes[bytes.length - 50] ^= 1;
                Files.write(file, bytes);
            }
        }
        try (Vault vault = open(directory)) {
            long before = bytes();
            assertThatThrownBy(() -> collect(vault)).isInstanceOf(DamagedException.class);
            assertThat(bytes()).isEqualTo(before);
            assertThat(kept.snapshot()).isNotNull();
        }
    }

    @Test
    void aPinOrIntentThatCannotBeOpenedEndsACollectionBeforeAPackGoes() throws IOException {
        Stored kept = threeAndRemoved(directory);
        SessionId session = SessionId.random();
        for (String kind : List.of("pins", "intents")) {
            try (Vault vault = open(directory);
                    Lease held = vault.acquire(session, HERE, "here", true)) {
                assertThat(held.session()).isEqualTo(session);
                if (kind.equals("pins")) {
                    Pin pin = vault.pin(session, List.of(TestVaults.map(vault, noise(70, 72))));
                    assertThat(pin).isNotNull();
                } else {
                    vault.protection().announce(List.of(), List.of(new SnapshotId(1, 2, 3, 4)));
                }
                String file = vault.backend().list(kind).getFirst();
                byte[] whole = Files.readAllBytes(directory.resolve(file));
                byte[] altered = whole.clone();
                altered[whole.length / 2] ^= 4;
                Files.write(directory.resolve(file), altered);
                long packs = packs(vault);
                assertThatThrownBy(() -> collect(vault))
                        .isInstanceOfAny(DamagedException.class, ForgedException.class)
                        .hasMessageContaining(file);
                assertThat(packs(vault)).isEqualTo(packs);
                Files.write(directory.resolve(file), whole);
            }
        }
        try (Vault vault = open(directory)) {
            assertThat(collect(vault).packsRemoved()).isPositive();
            assertHolds(vault, kept.snapshot(), third());
        }
    }

    @Test
    void whatACollectionThatDiedHadCondemnedGoesThoughItIsNeeded() throws IOException {
        Stored kept = threeAndRemoved(directory);
        try (Vault vault = open(directory)) {
            collect(vault);
        }
        try (Vault vault = open(directory)) {
            DomainPacks packs = vault.chunks().domain(vault.chunks().ownDomain().id());
            Set<Pack> all = Set.copyOf(packs.index().packs());
            // Others depend on none of them, and the one that announced it may not be dead: it removes them at any
            // moment.
            vault.protection().announce(all, Set.of());
            assertThat(collect(vault).packsRewritten()).isEqualTo(all.size());
            for (Pack pack : all) {
                assertThat(vault.backend().size(pack.name())).isEmpty();
            }
            assertThat(vault.protection().intents()).isEmpty();
            assertHolds(vault, kept.snapshot(), third());
            assertWhole(vault);
        }
    }

    private static long packs(Vault vault) throws IOException {
        return vault.backend().list("domains").stream()
                .filter(name -> name.contains("/packs/"))
                .count();
    }
}
