package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What happens to a vault whose files have suffered, with and without a copy that is whole. */
class RepairTest {
    private static final HostId HERE = new HostId(1, 2);

    /** More than one node has. */
    private static final int SLOTS = 1100;

    @TempDir
    Path directory;

    private Path home;
    private Path copy;
    private SessionId session;
    private SnapshotId older;
    private SnapshotId newest;

    @BeforeEach
    void vaultAndCopy() throws IOException {
        home = directory.resolve("home");
        copy = directory.resolve("copy");
        try (Vault vault = TestVaults.create(home)) {
            session = SessionId.random();
            older = vault.put(TestVaults.draft(session, Optional.empty(), TestVaults.map(vault, contents(0, 5))));
            newest =
                    vault.put(TestVaults.draft(session, Optional.of(older), TestVaults.map(vault, contents(3, SLOTS))));
            try (Lease lease = vault.acquire(session, HERE, "here", false)) {
                vault.putHead(Head.first(session, "work", Optional.of(newest), "{}".getBytes(UTF_8)), lease);
            }
            try (KeyDomain keys = KeyDomain.random()) {
                ChunkMap.Editor map =
                        ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
                ChunkMapRef volume;
                try (ChunkWriter writer = vault.chunks().writer(keys)) {
                    map.set(7, TestVaults.put(writer, TestVaults.noise(77, 5000)));
                    volume = map.store(writer);
                    writer.commit();
                }
                vault.putImage(new ImageManifest(
                        ImageId.random(), "debian", Instant.EPOCH, keys, volume, 1 << 20, 5000, new byte[0]));
            }
            DomainPacks packs = new DomainPacks(vault.backend(), vault.chunks().ownDomain());
            vault.chunks().refresh(packs);
            packs.indexAll();
        }
        copyTree(home, copy);
    }

    private static List<byte[]> contents(int from, int count) {
        List<byte[]> contents = new ArrayList<>();
        for (int i = from; i < from + count; i++) {
            contents.add(TestVaults.noise(i, 300 + i % 50));
        }
        return contents;
    }

    private static void copyTree(Path from, Path to) throws IOException {
        try (var all = Files.walk(from)) {
            for (Path file : all.toList()) {
                Path target = to.resolve(from.relativize(file).toString());
                if (Files.isDirectory(file)) {
                    Files.createDirectories(target);
                } else {
                    Files.copy(file, target);
                }
            }
        }
    }

    private List<Path> files(String part) throws IOException {
        try (var all = Files.walk(home)) {
            return all.filter(Files::isRegularFile)
                    .filter(file -> home.relativize(file).toString().contains(part))
                    .sorted()
                    .toList();
        }
    }

    private static void flip(Path file, long at) throws IOException {
        byte[] bytes = Files.readAllBytes(file);
        bytes[(int) at] ^= 4;
        Files.write(file, bytes);
    }

    private RepairRequest request(boolean dryRun, boolean giveUp, Path... from) {
        List<Backend> replicas = new ArrayList<>();
        for (Path replica : from) {
            replicas.add(new DirectoryBackend(replica));
        }
        return new RepairRequest(
                replicas, List.of(), dryRun, giveUp, HERE, "here", id -> false, snapshot -> Optional.empty());
    }

    private RepairReport repair(boolean dryRun, boolean giveUp, Path... from) throws IOException {
        try (Vault vault = TestVaults.open(home)) {
            return vault.repair(request(dryRun, giveUp, from), ProgressListener.NONE);
        }
    }

    private VerifyReport verify() throws IOException {
        try (Vault vault = TestVaults.open(home)) {
            return vault.verify(ProgressListener.NONE);
        }
    }

    private void assertWhole() throws IOException {
        VerifyReport report = verify();
        assertThat(report.errors()).isEmpty();
        assertThat(report.hit()).isEmpty();
        try (Vault vault = TestVaults.open(home)) {
            assertThat(vault.head("work").orElseThrow().snapshot()).contains(newest);
            assertReads(vault, newest, contents(3, SLOTS));
            assertReads(vault, older, contents(0, 5));
            ImageManifest image = vault.image("debian").orElseThrow();
            assertThat(TestVaults.read(
                            vault,
                            ChunkMap.load(vault.chunks(), image.volume()).get(7).orElseThrow()))
                    .isEqualTo(TestVaults.noise(77, 5000));
            assertThat(vault.holder(session)).isEmpty();
        }
    }

    private static void assertReads(Vault vault, SnapshotId id, List<byte[]> contents) throws IOException {
        ChunkMap map = ChunkMap.load(vault.chunks(), vault.snapshot(id).trees().get("volume"));
        for (int i = 0; i < contents.size(); i++) {
            assertThat(TestVaults.read(vault, map.get(i).orElseThrow())).isEqualTo(contents.get(i));
        }
    }

    private Map<String, String> state() throws IOException {
        Map<String, String> state = new TreeMap<>();
        for (Path file : files("")) {
            state.put(home.relativize(file).toString(), new String(Files.readAllBytes(file), UTF_8));
        }
        return state;
    }

    @Test
    void mendsEveryKindOfFileFromACopy() throws IOException {
        List<String> names = new ArrayList<>();
        for (Path file : files("")) {
            names.add(home.relativize(file).toString());
        }
        names.remove(".lock");
        assertThat(names).hasSizeGreaterThan(9);
        for (String name : names) {
            Path file = home.resolve(name);
            byte[] whole = Files.readAllBytes(file);
            for (Damage damage : Damage.values()) {
                String as = damage + " of " + name;
                damage.to(file, whole);
                List<String> entered;
                try (DirectoryBackend here = new DirectoryBackend(home)) {
                    entered = Vault.repairEntrance(here, List.of(new DirectoryBackend(copy)), false);
                }
                assertThat(entered).as(as).hasSize(name.equals("vault") || name.startsWith("keys/") ? 1 : 0);
                RepairReport report = repair(false, false, copy);
                assertThat(report.left().errors()).as("%s: %s", as, report).isEmpty();
                // Heads, images, leases and names that are not there at all may have been removed on purpose.
                if (damage != Damage.REMOVAL || name.startsWith("domains") || name.equals("snapshots/" + newest)) {
                    assertWhole();
                }
                deleteTree(home);
                copyTree(copy, home);
            }
        }
    }

    private enum Damage {
        FLIP,
        TRUNCATION,
        REMOVAL;

        void to(Path file, byte[] whole) throws IOException {
            switch (this) {
                case FLIP -> flip(file, whole.length / 2);
                case TRUNCATION -> Files.write(file, java.util.Arrays.copyOf(whole, whole.length / 3));
                case REMOVAL -> Files.delete(file);
            }
        }
    }

    private static void deleteTree(Path tree) throws IOException {
        try (var all = Files.walk(tree)) {
            for (Path file : all.sorted(java.util.Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    @Test
    void mendsOneCopyFromSeveralOfWhichNoneIsWhole() throws IOException {
        Path other = directory.resolve("other");
        copyTree(copy, other);
        // Different parts of one pack are damaged here and there, and one copy has lost the pack.
        Path pack = largest();
        flip(pack, 120);
        flip(pack, 5000);
        Path theirs = copy.resolve(home.relativize(pack));
        flip(theirs, 120);
        Path others = other.resolve(home.relativize(pack));
        flip(others, 5000);
        assertThat(verify().errors()).hasSize(2);
        RepairReport report = repair(false, false, copy, other);
        assertThat(report.left().errors()).isEmpty();
        assertThat(report.chunksMended()).isEqualTo(2);
        assertThat(pack).doesNotExist();
        assertWhole();
    }

    /** Who has a vault open for long has its packs open, and what it knows of them. */
    @Test
    void whoHasItOpenReadsWhatWasMended() throws IOException {
        for (boolean elsewhere : new boolean[] {false, true}) {
            try (Vault open = TestVaults.open(home)) {
                if (elsewhere) {
                    open.chunks().readThrough(Optional.empty(), List.of(), true, note -> {});
                }
                ChunkMap map = ChunkMap.load(
                        open.chunks(), open.snapshot(newest).trees().get("volume"));
                ChunkRef ref = map.get(40).orElseThrow();
                ChunkIndex.Place place =
                        open.chunks().domain(ref.domain()).index().find(ref.id());
                Path pack = home.resolve(
                        java.util.Objects.requireNonNull(place).pack().name());
                // Put back under the same name.
                flip(pack, place.offset());
                assertThatThrownBy(() -> TestVaults.read(open, ref)).isInstanceOf(DamagedException.class);
                Files.delete(pack);
                Files.copy(copy.resolve(home.relativize(pack)), pack);
                assertThat(TestVaults.read(open, ref)).isEqualTo(TestVaults.noise(43, 343));
                // Mended in a pack of its own.
                flip(pack, place.offset());
                assertThatThrownBy(() -> TestVaults.read(open, ref)).isInstanceOf(DamagedException.class);
                assertThat(repair(false, false, copy).chunksMended()).isEqualTo(1);
                assertThat(pack).doesNotExist();
                assertThat(TestVaults.read(open, ref)).isEqualTo(TestVaults.noise(43, 343));
            }
            deleteTree(home);
            copyTree(copy, home);
        }
    }

    private Path largest() throws IOException {
        Path largest = files("/packs/").getFirst();
        for (Path pack : files("/packs/")) {
            largest = Files.size(pack) > Files.size(largest) ? pack : largest;
        }
        return largest;
    }

    @Test
    void aDryRunTellsAndChangesNothing() throws IOException {
        flip(largest(), 120);
        flip(files("/lease").getFirst(), 50);
        Files.delete(files("/index/").getFirst());
        Map<String, String> before = state();
        RepairReport report = repair(true, false, copy);
        assertThat(report.chunksMended()).isEqualTo(1);
        assertThat(report.actions()).anyMatch(line -> line.contains("/lease made again"));
        assertThat(report.left().errors()).isEmpty();
        assertThat(repair(true, false).left().errors()).hasSize(1).allMatch(line -> line.contains("--from"));
        assertThat(state()).isEqualTo(before);
    }

    @Test
    void saysWhatIsLostKeepsTheRestUsableAndMendsItWhenACopyTurnsUp() throws IOException {
        Path pack = largest();
        flip(pack, Pack.HEADER_BYTES + 10);
        VerifyReport verified = verify();
        assertThat(verified.errors()).hasSize(1);
        RepairReport report = repair(false, false);
        assertThat(report.chunksMoved()).isGreaterThan(900);
        assertThat(pack).doesNotExist();
        assertThat(files("damaged/"))
                .singleElement()
                .satisfies(aside ->
                        assertThat(aside).hasFileName(pack.getFileName().toString()));
        assertThat(report.left().hit()).hasSize(1);
        TreeDamage hit = report.left().hit().getFirst();
        assertThat(hit.lost()).isEqualTo(verified.hit().getFirst().lost());
        assertThat(hit.owner()).isEqualTo("work");
        assertThat(hit.snapshot().orElseThrow().id()).isEqualTo(newest);
        assertThat(hit.tree()).isEqualTo("volume");
        assertThat(hit.chunks()).isEqualTo(1);
        long lost = hit.lost().getFirst().first();
        assertThat(hit.hits(lost)).isTrue();
        assertThat(hit.hits(lost + 1)).isFalse();
        try (Vault vault = TestVaults.open(home)) {
            assertReads(vault, older, contents(0, 5));
            ChunkMap map =
                    ChunkMap.load(vault.chunks(), vault.snapshot(newest).trees().get("volume"));
            for (int slot = 0; slot < SLOTS; slot++) {
                ChunkRef ref = map.get(slot).orElseThrow();
                if (slot == lost) {
                    assertThatThrownBy(() -> TestVaults.read(vault, ref)).isInstanceOf(DamagedException.class);
                } else {
                    assertThat(TestVaults.read(vault, ref))
                            .isEqualTo(TestVaults.noise(3 + slot, 300 + (3 + slot) % 50));
                }
            }
        }
        assertThat(repair(false, false, copy).chunksMended()).isEqualTo(1);
        assertWhole();
    }

    @Test
    void ofALostNodeAllSlotsBelowItAreHit() throws IOException {
        ChunkRef leaf;
        try (Vault vault = TestVaults.open(home)) {
            List<ChunkRef> nodes = new ArrayList<>();
            ChunkMap.load(vault.chunks(), vault.snapshot(newest).trees().get("volume"))
                    .forEachNode((slot, ref) -> nodes.add(ref));
            leaf = nodes.get(1);
            ChunkIndex.Place place =
                    vault.chunks().domain(leaf.domain()).index().find(leaf.id());
            flip(home.resolve(java.util.Objects.requireNonNull(place).pack().name()), place.offset());
        }
        assertThat(verify().hit().getFirst().lost()).containsExactly(new SlotRange(0, 1024));
        assertThat(repair(false, false).left().hit().getFirst().lost()).containsExactly(new SlotRange(0, 1024));
        assertThat(repair(false, false, copy).left().errors()).isEmpty();
        assertWhole();
    }

    @Test
    void aCopyThatLiesDoesNoHarm() throws IOException {
        Path pack = largest();
        flip(pack, 120);
        Path strange = directory.resolve("strange");
        try (Vault vault = TestVaults.create(strange)) {
            TestVaults.map(vault, contents(0, 10));
        }
        // Another vault's packs under the names of ours.
        Path theirs = strange.resolve(home.relativize(pack));
        Files.createDirectories(theirs.getParent());
        try (var packs = Files.walk(strange)) {
            Files.copy(
                    packs.filter(file -> file.toString().contains("/packs/") && Files.isRegularFile(file))
                            .findFirst()
                            .orElseThrow(),
                    theirs);
        }
        RepairReport report = repair(false, false, strange);
        assertThat(report.chunksMended()).isZero();
        assertThat(report.left().hit()).hasSize(1);
        assertThatThrownBy(() -> {
                    Files.write(home.resolve("vault"), new byte[100]);
                    try (DirectoryBackend here = new DirectoryBackend(home)) {
                        Vault.repairEntrance(here, List.of(new DirectoryBackend(strange)), false);
                    }
                })
                .isInstanceOf(DamagedException.class)
                .hasMessageContaining("another vault");
        try (DirectoryBackend here = new DirectoryBackend(home)) {
            assertThat(Vault.repairEntrance(
                            here, List.of(new DirectoryBackend(copy), new DirectoryBackend(strange)), false))
                    .hasSize(1);
        }
        assertThat(repair(false, false, strange, copy).left().errors()).isEmpty();
        assertWhole();
    }

    @Test
    void aSessionGoesBackOnlyWhenThatIsAskedFor() throws IOException {
        Files.delete(home.resolve("snapshots/" + newest));
        RepairReport report = repair(false, false);
        assertThat(report.left().errors()).hasSize(1);
        report = repair(false, true);
        assertThat(report.left().errors()).isEmpty();
        try (Vault vault = TestVaults.open(home)) {
            Head head = vault.head("work").orElseThrow();
            assertThat(head.snapshot()).contains(older);
            assertThat(head.generation()).isEqualTo(2);
            try (Lease lease = vault.acquire(session, HERE, "here", false)) {
                assertThat(lease.holder().epoch()).isGreaterThan(2);
                vault.putHead(head.next(Optional.of(older), head.settings()), lease);
            }
        }
    }

    @Test
    void aHeadThatNobodyHasIsMadeFromWhatItsSnapshotSays() throws IOException {
        Path head = files("/head").getFirst();
        Path seen = directory.resolve("seen");
        try (Vault vault = TestVaults.open(home, new FileHeadWitness(seen))) {
            for (int i = 0; i < 3; i++) {
                Head present = vault.head("work").orElseThrow();
                try (Lease lease = vault.acquire(session, HERE, "here", false)) {
                    vault.putHead(present.next(present.snapshot(), present.settings()), lease);
                }
            }
        }
        SessionId second = SessionId.random();
        try (Vault vault = TestVaults.open(home);
                Lease lease = vault.acquire(second, HERE, "here", false)) {
            vault.putHead(Head.first(second, "second", Optional.empty(), new byte[0]), lease);
        }
        flip(head, 60);
        try (Vault vault = TestVaults.open(home, new FileHeadWitness(seen))) {
            // The other session, and names that nobody has, are as usable as before.
            List<String> damaged = new ArrayList<>();
            assertThat(vault.heads(damaged::add))
                    .singleElement()
                    .satisfies(other -> assertThat(other.name()).isEqualTo("second"));
            assertThat(damaged).hasSize(1);
            assertThat(vault.head("third")).isEmpty();
            assertThatThrownBy(() -> vault.head("work")).isInstanceOf(ForgedException.class);
            // The copy's is older than what this host has seen: not by itself.
            assertThat(vault.repair(request(false, false, copy), ProgressListener.NONE)
                            .left()
                            .errors())
                    .hasSize(1);
            RepairRequest described = new RepairRequest(
                    List.of(),
                    List.of(),
                    false,
                    true,
                    HERE,
                    "here",
                    id -> false,
                    snapshot -> Optional.of(Head.first(session, "work", Optional.empty(), "{}".getBytes(UTF_8))));
            assertThat(vault.repair(described, ProgressListener.NONE).left().errors())
                    .isEmpty();
            Head mended = vault.head("work").orElseThrow();
            assertThat(mended.snapshot()).contains(newest);
            assertThat(mended.generation()).isEqualTo(5);
        }
    }

    @Test
    void theStructureIsCheckedWithoutReadingContents() throws IOException {
        flip(largest(), 120);
        try (Vault vault = TestVaults.open(home)) {
            assertThat(vault.verifyStructure(ProgressListener.NONE).errors()).isEmpty();
        }
        Path pack = largest();
        byte[] bytes = Files.readAllBytes(pack);
        Files.write(pack, java.util.Arrays.copyOf(bytes, bytes.length - 1));
        try (Vault vault = TestVaults.open(home)) {
            assertThat(vault.verifyStructure(ProgressListener.NONE).errors()).isNotEmpty();
        }
    }

    /** Has the session's log be over more than its snapshot. @return the pack of that */
    private Path folded() throws IOException {
        try (Vault vault = TestVaults.open(home)) {
            List<Path> before = files("/packs/");
            ChunkMapRef folded = TestVaults.map(vault, contents(500, 20));
            try (ChunkWriter none = vault.chunks().writer(vault.chunks().ownDomain())) {
                vault.pinVolume(session, List.of(folded), folded, none);
            }
            return files("/packs/").stream()
                    .filter(file -> !before.contains(file))
                    .findFirst()
                    .orElseThrow();
        }
    }

    @Test
    void whatTheLogOfALostSnapshotWasOverIsGivenUpWithIt() throws IOException {
        Files.delete(folded());
        Files.delete(home.resolve("snapshots/" + newest));
        assertThat(repair(false, true).left().errors()).isEmpty();
        assertThat(verify().errors()).isEmpty();
        try (Vault vault = TestVaults.open(home)) {
            assertThat(vault.head("work").orElseThrow().snapshot()).contains(older);
            // Nothing is left that a collection would ask for.
            assertThat(vault.collect(0, false, ProgressListener.NONE).packsRemoved())
                    .isNotNegative();
        }
    }

    @Test
    void whatALogIsOverIsLookedAtAndMendedThoughNoSnapshotNamesIt() throws IOException {
        Path pack = folded();
        deleteTree(copy);
        copyTree(home, copy);
        assertWhole();
        Files.delete(pack);
        assertThat(verify().errors())
                .isNotEmpty()
                .anySatisfy(line -> assertThat(line).contains("what was written in session " + session));
        // All else is as it was, and none of it is hit.
        assertThat(verify().hit()).isEmpty();
        assertThat(repair(false, false, copy).left().errors()).isEmpty();
        assertWhole();
    }

    @Test
    void whatIsKnownOfOtherCopiesIsVerifiedAndForgottenIfItIsDamaged() throws IOException {
        try (Vault vault = TestVaults.open(home)) {
            Common.write(vault, new ReplicaId(4, 4), Map.of(session, newest), new long[] {1, 2});
        }
        assertWhole();
        Path note = files("replicas/").getFirst();
        flip(note, 50);
        assertThat(verify().errors()).singleElement().asString().contains("replicas/");
        assertThat(repair(true, false).actions()).singleElement().asString().contains("removed");
        assertThat(note).exists();
        assertThat(repair(false, false).left().errors()).isEmpty();
        assertThat(note).doesNotExist();
        assertWhole();
    }

    @Test
    void aPlaceThatIsFarAwayIsToldAheadWhatWillBeAskedOfIt() throws IOException {
        Set<ChunkId> announced = new HashSet<>();
        int[] asked = new int[2];
        Path lost = largest();
        Files.delete(lost);
        try (Vault theirs = TestVaults.open(copy);
                Vault vault = TestVaults.open(home)) {
            ChunkSource place = theirs.chunks().sourceIn(new DirectoryBackend(copy));
            ChunkSource far = new ChunkSource() {
                @Override
                public String location() {
                    return "far away";
                }

                @Override
                public Optional<SealedChunk> fetch(KeyDomainId domain, ChunkId id, MemorySegment buffer)
                        throws IOException {
                    asked[0]++;
                    asked[1] += announced.contains(id) ? 0 : 1;
                    return place.fetch(domain, id, buffer);
                }

                @Override
                public void willNeed(List<ChunkRef> chunks) {
                    chunks.forEach(chunk -> announced.add(chunk.id()));
                }

                @Override
                public void close() {}
            };
            RepairRequest request = new RepairRequest(
                    List.of(), List.of(far), false, false, HERE, "here", id -> false, snapshot -> Optional.empty());
            assertThat(vault.repair(request, ProgressListener.NONE).left().errors())
                    .isEmpty();
            place.close();
        }
        assertThat(asked[0]).isGreaterThan(10);
        assertThat(asked[1]).isZero();
        assertWhole();
    }
}
