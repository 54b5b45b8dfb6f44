package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReplicationTest {
    private static final HostId HERE = new HostId(1, 1);
    private static final HostId THERE = new HostId(2, 2);
    private static final SessionId WORK = new SessionId(7, 7);

    @TempDir
    Path directory;

    private final List<Vault> open = new ArrayList<>();
    private Vault home;
    private Path away;

    @BeforeEach
    void makeVault() throws IOException {
        home = keep(TestVaults.create(directory.resolve("home")));
        away = directory.resolve("away");
    }

    @AfterEach
    void closeAll() throws IOException {
        for (Vault vault : open) {
            vault.close();
        }
    }

    private Vault keep(Vault vault) {
        open.add(vault);
        return vault;
    }

    private Vault copy() throws IOException {
        return keep(home.openReplica(new DirectoryBackend(away), HeadWitness.NONE, true));
    }

    private static Replication.Options options(Replication.Direction direction) {
        return new Replication.Options(direction, Set.of(), false, false, Replication.Pace.NONE);
    }

    private static ReplicationReport sync(Vault a, Vault b, Replication.Direction direction) throws IOException {
        return new Replication(a, b, options(direction), HERE, "here", ProgressListener.NONE).run();
    }

    private static ReplicationReport push(Vault a, Vault b) throws IOException {
        return sync(a, b, Replication.Direction.PUSH);
    }

    /** The session goes on: a snapshot of these contents, as a host would take it. */
    static SnapshotId goOn(Vault vault, SessionId session, String name, byte[]... contents) throws IOException {
        try (Lease lease = vault.acquire(session, HERE, "here", false)) {
            return goOn(vault, lease, name, contents);
        }
    }

    private static SnapshotId goOn(Vault vault, Lease lease, String name, byte[]... contents) throws IOException {
        Optional<Head> head = vault.head(lease.session());
        SnapshotId snapshot = vault.put(TestVaults.draft(
                lease.session(), head.flatMap(Head::snapshot), TestVaults.map(vault, Arrays.asList(contents))));
        vault.putHead(
                head.isPresent()
                        ? head.get().next(Optional.of(snapshot), head.get().settings())
                        : Head.first(lease.session(), name, Optional.of(snapshot), "{}".getBytes(UTF_8)),
                lease);
        return snapshot;
    }

    private static List<byte[]> contents(Vault vault, SnapshotId snapshot) throws IOException {
        List<byte[]> contents = new ArrayList<>();
        ChunkMap.load(vault.chunks(), vault.snapshot(snapshot).trees().get("volume"))
                .forEach(0, 1 << 20, (slot, ref) -> contents.add(TestVaults.read(vault, ref)));
        return contents;
    }

    private static void assertWhole(Vault vault) throws IOException {
        assertThat(vault.verify(ProgressListener.NONE).errors()).isEmpty();
    }

    private static long bytesIn(Path vault) throws IOException {
        long bytes = 0;
        try (Stream<Path> files = Files.walk(vault)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                bytes += Files.size(file);
            }
        }
        return bytes;
    }

    /** Random bytes, so that every byte of them costs one. */
    private static byte[] noise(int seed) {
        return TestVaults.noise(seed, 100_000);
    }

    @Test
    void theFirstSyncMakesACopyThatOpensWithThePassphraseAndTheNextOneSendsNothing() throws IOException {
        goOn(home, WORK, "work", noise(1), noise(2));
        SnapshotId newest = goOn(home, WORK, "work", noise(1), noise(3));
        try (KeyDomain domain = KeyDomain.random()) {
            ChunkMapRef volume;
            try (ChunkWriter writer = home.chunks().writer(domain)) {
                ChunkMap.Editor map =
                        ChunkMap.load(home.chunks(), ChunkMapRef.EMPTY).edit();
                map.set(0, TestVaults.put(writer, noise(9)));
                volume = map.store(writer);
                writer.commit();
            }
            home.putImage(new ImageManifest(
                    new ImageId(5, 5),
                    "desktop",
                    java.time.Instant.ofEpochMilli(1),
                    domain,
                    volume,
                    1 << 20,
                    100_000,
                    new byte[0]));
        }

        ReplicationReport first;
        try (Vault copy = home.openReplica(new DirectoryBackend(away), HeadWitness.NONE, true)) {
            first = push(home, copy);
        }

        assertThat(first.bytesSent()).isBetween(400_000L, bytesIn(away));
        assertThat(first.snapshotsSent()).isEqualTo(2);
        assertThat(first.imagesSent()).isEqualTo(1);
        assertThat(first.damaged()).isEmpty();
        try (Vault copy = TestVaults.open(away)) {
            assertThat(copy.id()).isEqualTo(home.id());
            assertThat(copy.replica()).isNotEqualTo(home.replica());
            assertWhole(copy);
            assertThat(copy.head("work").orElseThrow().snapshot()).contains(newest);
            assertThat(contents(copy, newest)).containsExactly(noise(1), noise(3));
            assertThat(copy.history(WORK)).hasSize(2);
            assertThat(copy.image("desktop")).isPresent();
            ReplicationReport again = push(home, copy);
            assertThat(again.chunksSent()).isZero();
            assertThat(again.bytesSent()).isZero();
            goOn(home, WORK, "work", noise(1), noise(4));
            ReplicationReport more = push(home, copy);
            assertThat(more.bytesSent()).isBetween(100_000L, 110_000L);
            assertThat(more.headsMoved()).isEqualTo(1);
            assertWhole(copy);
        }
    }

    @Test
    void anotherVaultOrSomethingElseOrTheSamePlaceIsRefused() throws IOException {
        TestVaults.create(directory.resolve("other")).close();
        assertThatThrownBy(() ->
                        home.openReplica(new DirectoryBackend(directory.resolve("other")), HeadWitness.NONE, true))
                .isInstanceOf(ExistsException.class)
                .hasMessageContaining("another vault");
        Files.createDirectories(away.resolve("photos"));
        Files.writeString(away.resolve("photos/holiday.jpg"), "x");
        assertThatThrownBy(this::copy).isInstanceOf(ExistsException.class).hasMessageContaining("photos/holiday.jpg");
        assertThat(away.resolve("vault")).doesNotExist();
        Vault same = keep(TestVaults.open(directory.resolve("home")));
        assertThatThrownBy(() -> push(home, same))
                .isInstanceOf(ExistsException.class)
                .hasMessageContaining("the same place");
        assertThat(directory.resolve("home/replica")).doesNotExist();
        assertThatThrownBy(() ->
                        home.openReplica(new DirectoryBackend(directory.resolve("nothing")), HeadWitness.NONE, false))
                .isInstanceOf(NoSuchException.class);
    }

    @Test
    void aCopyMadeByCopyingFilesIsAsGoodAsOneOfASync() throws IOException {
        goOn(home, WORK, "work", noise(1));
        try (Stream<Path> files = Files.walk(directory.resolve("home"))) {
            for (Path file : files.toList()) {
                Files.copy(file, away.resolve(directory.resolve("home").relativize(file)));
            }
        }
        SnapshotId newest = goOn(home, WORK, "work", noise(2));
        Vault copy = keep(TestVaults.open(away));
        ReplicationReport report = push(home, copy);
        assertThat(report.bytesSent()).isBetween(100_000L, 110_000L);
        assertThat(copy.replica()).isNotEqualTo(home.replica());
        assertThat(copy.head(WORK).orElseThrow().snapshot()).contains(newest);
    }

    @Test
    void whoIsBehindCatchesUpEitherWayAndNoHostRaisesAnAlarm() throws IOException {
        FileHeadWitness seen = new FileHeadWitness(directory.resolve("seen"));
        Vault a = keep(TestVaults.open(directory.resolve("home"), seen));
        goOn(a, WORK, "work", noise(1));
        Vault b = keep(a.openReplica(new DirectoryBackend(away), seen, true));
        push(a, b);
        goOn(a, WORK, "work", noise(2));
        SnapshotId third = goOn(a, WORK, "work", noise(3));
        // The copy is behind what this host has seen elsewhere: that is no alarm, but told.
        assertThat(b.isBehind(b.head(WORK).orElseThrow())).isTrue();
        assertThat(a.isBehind(a.head(WORK).orElseThrow())).isFalse();
        push(a, b);
        assertThat(b.head(WORK).orElseThrow().snapshot()).contains(third);
        assertThat(b.isBehind(b.head(WORK).orElseThrow())).isFalse();
        SnapshotId fourth = goOn(b, WORK, "work", noise(4));
        ReplicationReport nothing = push(a, b);
        assertThat(nothing.headsMoved()).isZero();
        assertThat(b.head(WORK).orElseThrow().snapshot()).contains(fourth);
        sync(a, b, Replication.Direction.PULL);
        assertThat(a.head(WORK).orElseThrow().snapshot()).contains(fourth);
        assertThat(a.heads()).hasSize(1);
        assertThat(b.heads()).hasSize(1);
        assertWhole(a);
        assertWhole(b);

        // Somebody rolls the copy's head back to what it was: this host has seen that copy further.
        byte[] old = Files.readAllBytes(away.resolve(Vault.headFile(WORK)));
        goOn(a, WORK, "work", noise(5));
        push(a, b);
        Files.write(away.resolve(Vault.headFile(WORK)), old);
        assertThatThrownBy(() -> push(a, b)).isInstanceOf(ForgedException.class).hasMessageContaining("rolled back");
    }

    @Test
    void goingBackToAnEarlierSnapshotIsFollowedNotUndone() throws IOException {
        SnapshotId first = goOn(home, WORK, "work", noise(1));
        goOn(home, WORK, "work", noise(2));
        Vault copy = copy();
        push(home, copy);
        try (Lease lease = home.acquire(WORK, HERE, "here", false)) {
            Head head = home.head(WORK).orElseThrow();
            home.putHead(head.next(Optional.of(first), head.settings()), lease);
        }
        sync(home, copy, Replication.Direction.BOTH);
        assertThat(copy.head(WORK).orElseThrow().snapshot()).contains(first);
        assertThat(home.head(WORK).orElseThrow().snapshot()).contains(first);
    }

    @Test
    void historyThatWasThinnedOutBetweenIsNoBranch() throws IOException {
        goOn(home, WORK, "work", noise(1));
        Vault copy = copy();
        push(home, copy);
        SnapshotId second = goOn(home, WORK, "work", noise(2));
        SnapshotId third = goOn(home, WORK, "work", noise(3));
        SnapshotId fourth = goOn(home, WORK, "work", noise(4));
        home.delete(second);
        home.delete(third);
        ReplicationReport report = push(home, copy);
        assertThat(report.branches()).isEmpty();
        assertThat(copy.heads()).hasSize(1);
        assertThat(copy.head(WORK).orElseThrow().snapshot()).contains(fourth);
    }

    @Test
    void whatWasRemovedInACopyIsNotBroughtBackUnlessAskedFor() throws IOException {
        SnapshotId old = goOn(home, WORK, "work", noise(1));
        goOn(home, WORK, "work", noise(2));
        SessionId play = new SessionId(8, 8);
        goOn(home, play, "play", noise(3));
        Vault copy = copy();
        push(home, copy);
        copy.delete(old);
        copy.delete(play, copy.acquire(play, HERE, "here", false));
        ReplicationReport report = sync(home, copy, Replication.Direction.BOTH);
        assertThat(report.removed()).containsExactly("play");
        assertThat(copy.history(WORK)).hasSize(1);
        assertThat(home.heads()).extracting(Head::name).containsExactly("play", "work");
        new Replication(
                        home,
                        copy,
                        new Replication.Options(
                                Replication.Direction.PUSH, Set.of("play"), false, false, Replication.Pace.NONE),
                        HERE,
                        "here",
                        ProgressListener.NONE)
                .run();
        assertThat(copy.head("play")).isPresent();
        new Replication(
                        home,
                        copy,
                        new Replication.Options(
                                Replication.Direction.PUSH, Set.of(), true, false, Replication.Pace.NONE),
                        HERE,
                        "here",
                        ProgressListener.NONE)
                .run();
        assertThat(copy.history(WORK)).hasSize(2);
        assertWhole(copy);
    }

    @Test
    void aDryRunTellsWhatWouldGoAndWritesNothing() throws IOException {
        goOn(home, WORK, "work", noise(1));
        Vault copy = copy();
        push(home, copy);
        goOn(home, WORK, "work", noise(2));
        long before = bytesIn(away);
        ReplicationReport report = new Replication(
                        home,
                        copy,
                        new Replication.Options(
                                Replication.Direction.PUSH, Set.of(), false, true, Replication.Pace.NONE),
                        HERE,
                        "here",
                        ProgressListener.NONE)
                .run();
        assertThat(report.chunksSent()).isEqualTo(2); // the contents, and the map's node
        assertThat(report.bytesSent()).isBetween(100_000L, 110_000L);
        assertThat(bytesIn(away)).isEqualTo(before);
    }

    @Test
    void twoLinesBecomeTwoSessionsAndBothCopiesAgree() throws IOException {
        FileHeadWitness seen = new FileHeadWitness(directory.resolve("seen"));
        Vault a = keep(TestVaults.open(directory.resolve("home"), seen));
        goOn(a, WORK, "work", noise(1));
        Vault b = keep(a.openReplica(new DirectoryBackend(away), seen, true));
        push(a, b);
        SnapshotId inA = goOn(a, WORK, "work", noise(2));
        goOn(b, WORK, "work", noise(3));
        SnapshotId inB = goOn(b, WORK, "work", noise(4));

        ReplicationReport report = push(a, b);

        // More was done in b, so that keeps the name.
        assertThat(report.branches()).hasSize(1);
        String branch = report.branches().getFirst().name();
        assertThat(branch).isEqualTo("work~20231114-2213");
        assertThat(b.head("work").orElseThrow().snapshot()).contains(inB);
        assertThat(b.head(branch).orElseThrow().snapshot()).contains(inA);
        assertThat(a.heads()).hasSize(1);
        assertThat(push(a, b).branches()).isEmpty();

        // Goes on in a without ever hearing of it: the branch goes on.
        SnapshotId further = goOn(a, WORK, "work", noise(5));
        push(a, b);
        assertThat(b.head(branch).orElseThrow().snapshot()).contains(further);
        assertThat(b.heads()).hasSize(2);

        sync(a, b, Replication.Direction.PULL);
        assertThat(a.head("work").orElseThrow().snapshot()).contains(inB);
        assertThat(a.head(branch).orElseThrow().snapshot()).contains(further);
        sync(a, b, Replication.Direction.BOTH);
        assertThat(sync(a, b, Replication.Direction.BOTH).headsMoved()).isZero();
        assertThat(a.heads()).hasSize(2);
        assertThat(b.heads()).hasSize(2);
        assertThat(contents(a, inB)).containsExactly(noise(4));
        assertThat(contents(b, further)).containsExactly(noise(5));
        assertWhole(a);
        assertWhole(b);
    }

    @Test
    void twoSessionsOfOneNameKeepApart() throws IOException {
        Vault copy = copy();
        push(home, copy);
        goOn(home, new SessionId(2, 2), "work", noise(1));
        goOn(copy, new SessionId(1, 1), "work", noise(2));
        sync(home, copy, Replication.Direction.BOTH);
        sync(home, copy, Replication.Direction.BOTH);
        for (Vault vault : List.of(home, copy)) {
            assertThat(vault.head("work").orElseThrow().id()).isEqualTo(new SessionId(1, 1));
            assertThat(vault.head("work~000000").orElseThrow().id()).isEqualTo(new SessionId(2, 2));
        }
        assertThat(sync(home, copy, Replication.Direction.BOTH).headsMoved()).isZero();
    }

    @Test
    void aSessionThatRunsIsNotToBeResumedInTheCopyWithoutBeingTold() throws IOException {
        Vault copy = copy();
        try (Lease lease = home.acquire(WORK, HERE, "here", false)) {
            goOn(home, lease, "work", noise(1));
            push(home, copy);
            assertThat(copy.holder(WORK)).isEmpty();
            assertThat(copy.holderElsewhere(WORK).orElseThrow().hostName()).isEqualTo("here");
            InUseException told = (InUseException) catchThrowable(() -> copy.acquire(WORK, THERE, "there", false));
            assertThat(told.inAnotherCopy()).isTrue();
            // The session at home is not disturbed.
            assertThat(lease.stillHeld()).isTrue();
            goOn(home, lease, "work", noise(2));
        }
        push(home, copy);
        assertThat(copy.holderElsewhere(WORK)).isEmpty();
        try (Lease lease = copy.acquire(WORK, THERE, "there", false)) {
            // Runs in the copy now: what comes from home must wait, and what is known of home is as it was.
            goOn(home, WORK, "work", noise(3));
            ReplicationReport report = push(home, copy);
            assertThat(report.waiting()).containsExactly("work");
            assertThat(lease.stillHeld()).isTrue();
            goOn(copy, lease, "work", noise(4));
        }
        ReplicationReport report = push(home, copy);
        assertThat(report.branches()).hasSize(1);
        assertWhole(copy);
    }

    @Test
    void whoTakesASessionOverInACopyMakesABranchAndTheOtherGoesOn() throws IOException {
        Vault copy = copy();
        SnapshotId atHome;
        SnapshotId inCopy;
        try (Lease lease = home.acquire(WORK, HERE, "here", false)) {
            goOn(home, lease, "work", noise(1));
            push(home, copy);
            try (Lease taken = copy.acquire(WORK, THERE, "there", true)) {
                inCopy = goOn(copy, taken, "work", noise(2));
            }
            atHome = goOn(home, lease, "work", noise(3));
            // At home it runs: nothing of it may change there, whoever has more changes.
            ReplicationReport report = sync(home, copy, Replication.Direction.BOTH);
            assertThat(report.waiting()).containsExactly("work");
            assertThat(lease.stillHeld()).isTrue();
            atHome = goOn(home, lease, "work", noise(4));
        }
        sync(home, copy, Replication.Direction.BOTH);
        sync(home, copy, Replication.Direction.BOTH);
        for (Vault vault : List.of(home, copy)) {
            assertThat(vault.heads()).hasSize(2);
            assertThat(vault.heads())
                    .extracting(head -> head.snapshot().orElseThrow())
                    .containsExactlyInAnyOrder(atHome, inCopy);
            assertWhole(vault);
        }
    }

    @Test
    void aPackThatIsMostlyGarbageIsNotCarried() throws IOException {
        List<byte[]> many = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            many.add(noise(i));
        }
        SnapshotId all = goOn(home, WORK, "work", many.toArray(byte[][]::new));
        goOn(home, WORK, "work", noise(0), noise(39));
        // All but two of the pack's chunks are garbage once the first snapshot is gone.
        home.delete(all);
        Vault copy = copy();
        ReplicationReport report = push(home, copy);
        assertThat(report.bytesSent()).isBetween(200_000L, 220_000L);
        assertThat(report.packsSent()).isEqualTo(1); // the second snapshot's map
        assertWhole(copy);
        assertThat(push(home, copy).bytesSent()).isZero();
    }

    @Test
    void slotsThatWereAddedOrRemovedAreSoInTheCopyAndTheCopysOwnStay() throws IOException {
        Vault copy = copy();
        push(home, copy);
        DirectoryBackend here = new DirectoryBackend(directory.resolve("home"));
        DirectoryBackend there = new DirectoryBackend(away);
        KdfCost cost = new KdfCost(KdfParameters.FOR_TESTS, 0);
        byte[] fresh = "fresh".getBytes(UTF_8);
        byte[] own = "own".getBytes(UTF_8);
        try (VaultKey key = Vault.unlock(here, TestVaults.PASSPHRASE)) {
            KeySlotInfo first = KeySlots.of(here).list(key).getFirst();
            KeySlotInfo added = KeySlots.of(here).addPassphrase(key, fresh, cost, "fresh");
            assertThat(added.label()).contains("fresh");
            assertThat(KeySlots.of(there).addPassphrase(key, own, cost, "own").label())
                    .contains("own");
            assertThat(KeySlots.of(here).remove(key, first.id().toString()).id())
                    .isEqualTo(first.id());
            push(home, copy);
            assertThat(KeySlots.of(there).list(key))
                    .extracting(KeySlotInfo::label)
                    .containsExactlyInAnyOrder(Optional.of("fresh"), Optional.of("own"));
        }
        Vault.unlock(there, fresh).close();
        Vault.unlock(there, own).close();
        assertThatThrownBy(() -> Vault.unlock(there, TestVaults.PASSPHRASE))
                .isInstanceOf(WrongPassphraseException.class);
        // A damaged one is left out, and told of.
        Files.write(directory.resolve("home/keys").resolve(VaultId.random().toString()), new byte[196]);
        assertThat(push(home, copy).damaged()).hasSize(1);
    }

    @Test
    void whatIsDamagedAtTheSourceIsLeftOutAndToldOfAndAllElseArrives() throws IOException {
        goOn(home, WORK, "work", noise(1));
        SessionId play = new SessionId(8, 8);
        SnapshotId whole = goOn(home, play, "play", noise(2));
        Vault copy = copy();
        Path pack = largest(directory.resolve("home"), "packs");
        byte[] bytes = Files.readAllBytes(pack);
        bytes[50_000] ^= 1;
        Files.write(pack, bytes);
        ReplicationReport report = push(home, copy);
        assertThat(report.damaged()).hasSize(1);
        assertThat(copy.heads()).hasSize(1);
        assertWhole(copy);
        assertThat(report.snapshotsSent()).isEqualTo(1);
        if (copy.head("play").isPresent()) {
            assertThat(contents(copy, whole)).containsExactly(noise(2));
        }
    }

    private static Path largest(Path vault, String kind) throws IOException {
        try (Stream<Path> files = Files.walk(vault)) {
            return files.filter(file -> file.toString().contains("/" + kind + "/") && Files.isRegularFile(file))
                    .max((a, b) -> Long.compare(a.toFile().length(), b.toFile().length()))
                    .orElseThrow();
        }
    }

    /** A place that hands out and keeps damaged packs: found by verifying there, and mended by the next sync once the pack is away. */
    @Test
    void aDestinationThatLiesIsFoundOutThere() throws IOException {
        goOn(home, WORK, "work", noise(1));
        AtomicInteger flips = new AtomicInteger();
        Backend lying = new ForwardingBackend(new DirectoryBackend(away)) {
            @Override
            public int getRange(String name, long offset, MemorySegment target) throws IOException {
                int read = super.getRange(name, offset, target);
                if (name.contains("/packs/") && read > 20_000) {
                    flips.incrementAndGet();
                    target.set(java.lang.foreign.ValueLayout.JAVA_BYTE, 10_000, (byte) 99);
                }
                return read;
            }
        };
        Vault copy = keep(home.openReplica(lying, HeadWitness.NONE, true));
        push(home, copy);
        assertThat(copy.verify(ProgressListener.NONE).errors()).isNotEmpty();
        assertThat(flips).hasPositiveValue();
        // Lies that stay are found as well, and a pack that is taken away comes again.
        Path pack = largest(away, "packs");
        byte[] bytes = Files.readAllBytes(pack);
        bytes[70_000] ^= 4;
        Files.write(pack, bytes);
        try (Vault again = TestVaults.open(away)) {
            assertThat(again.verify(ProgressListener.NONE).errors()).hasSize(1);
        }
        Files.delete(pack);
        try (Vault again = TestVaults.open(away)) {
            // Its snapshots are there, so nothing is lacking as far as a sync looks; asked to look at all, it brings
            // the pack again.
            new Replication(
                            home,
                            again,
                            new Replication.Options(
                                    Replication.Direction.PUSH, Set.of(), true, false, Replication.Pace.NONE),
                            HERE,
                            "here",
                            ProgressListener.NONE)
                    .run();
            assertWhole(again);
        }
    }

    @Test
    void packsThatGoAwayMeanwhileAreLookedForAgain() throws IOException {
        SnapshotId newest = goOn(home, WORK, "work", noise(1), noise(2));
        // A collection of garbage on another host: the same chunks in another pack, and the old one gone, between
        // planning and copying.
        Path pack = largest(directory.resolve("home"), "packs");
        AtomicInteger begun = new AtomicInteger();
        Backend collecting = new ForwardingBackend(new DirectoryBackend(away)) {
            @Override
            public PackFile begin() throws IOException {
                if (begun.getAndIncrement() == 0) {
                    Files.delete(pack);
                    try (Vault other = TestVaults.open(directory.resolve("home"))) {
                        TestVaults.map(other, List.of(noise(1), noise(2)));
                    }
                }
                return super.begin();
            }
        };
        Vault copy = keep(home.openReplica(new DirectoryBackend(away), HeadWitness.NONE, true));
        Vault slow = keep(home.openReplica(collecting, HeadWitness.NONE, false));
        assertThat(copy.heads()).isEmpty();
        ReplicationReport report = push(home, slow);
        assertThat(begun.get()).isPositive();
        assertThat(report.damaged()).isEmpty();
        try (Vault again = TestVaults.open(away)) {
            assertThat(contents(again, newest)).containsExactly(noise(1), noise(2));
            assertWhole(again);
        }
    }

    /** Whoever removes a snapshot looks at all heads, and so may see one that a sync takes back. */
    @Test
    void aHeadThatIsTakenBackRaisesNoAlarm() throws IOException {
        FileHeadWitness seen = new FileHeadWitness(directory.resolve("seen"));
        SnapshotId first = goOn(home, WORK, "work", noise(1));
        Vault remover = keep(home.openReplica(new DirectoryBackend(away), seen, true));
        push(home, remover);
        SnapshotId second = goOn(home, WORK, "work", noise(2));
        List<Protection.Intent> intents = new ArrayList<>();
        Backend between = new ForwardingBackend(new DirectoryBackend(away)) {
            @Override
            public boolean replace(String name, Optional<byte[]> expected, byte[] next) throws IOException {
                boolean done = super.replace(name, expected, next);
                if (name.equals(Vault.headFile(WORK)) && intents.isEmpty()) {
                    intents.add(remover.protection().announce(List.of(), List.of(second)));
                    assertThat(remover.head(WORK).orElseThrow().snapshot()).contains(second);
                }
                return done;
            }
        };
        Vault copy = keep(home.openReplica(between, HeadWitness.NONE, false));
        assertThat(push(home, copy).headsMoved()).isZero();
        assertThat(intents).hasSize(1);
        assertThat(remover.head(WORK).orElseThrow().snapshot()).contains(first);
        remover.protection().withdraw(intents.getFirst());
        // It was not removed after all: the next sync has the session stand there.
        assertThat(push(home, copy).headsMoved()).isEqualTo(1);
        assertThat(remover.head(WORK).orElseThrow().snapshot()).contains(second);
        assertThat(remover.heads()).hasSize(1);
        assertWhole(remover);
    }

    @Test
    void whatAnUnfinishedSyncHasSentIsNotCollectedAndACollectionBesideItHarmsNothing() throws IOException {
        goOn(home, WORK, "work", noise(1), noise(2));
        Vault copy = copy();
        push(home, copy);
        SnapshotId garbage = goOn(home, WORK, "work", noise(3), noise(4));
        push(home, copy);
        // In the copy these are garbage now, which a new snapshot at home needs.
        copy.delete(garbage);
        List<byte[]> many = new ArrayList<>();
        for (int i = 10; i < 210; i++) {
            many.add(noise(i));
        }
        SnapshotId newest = goOn(home, WORK, "work", many.toArray(byte[][]::new));
        AtomicInteger begun = new AtomicInteger();
        Backend breaking = new ForwardingBackend(new DirectoryBackend(away)) {
            @Override
            public void commit(Map<String, PackFile> files) throws IOException {
                if (files.keySet().iterator().next().contains("/packs/") && begun.incrementAndGet() == 2) {
                    throw new VaultFullException("full: free some", null);
                }
                super.commit(files);
            }
        };
        try (Vault broken = home.openReplica(breaking, HeadWitness.NONE, false)) {
            assertThatThrownBy(() -> push(home, broken)).isInstanceOf(VaultFullException.class);
        }
        long arrived = bytesIn(away);
        try (Vault collecting = TestVaults.open(away)) {
            assertThat(collecting.collect(25, false, ProgressListener.NONE).bytesFreed())
                    .isLessThan(300_000);
        }
        assertThat(bytesIn(away)).isGreaterThan(arrived - 300_000);
        // And one that runs between what a sync sees and what it does.
        Backend collected = new ForwardingBackend(new DirectoryBackend(away)) {
            private boolean done;

            @Override
            public PackFile begin() throws IOException {
                if (!done) {
                    done = true;
                    try (Vault collecting = TestVaults.open(away)) {
                        collecting.collect(0, false, ProgressListener.NONE);
                    }
                }
                return super.begin();
            }
        };
        try (Vault target = home.openReplica(collected, HeadWitness.NONE, false)) {
            ReplicationReport report = push(home, target);
            assertThat(report.damaged()).isEmpty();
        }
        try (Vault whole = TestVaults.open(away)) {
            assertThat(contents(whole, newest)).hasSize(200);
            assertWhole(whole);
            assertThat(whole.backend().list("pins")).isEmpty();
            assertThat(push(home, whole).bytesSent()).isZero();
        }
    }

    /** Fails once at each of its writing operations, one after the other, and is whole after each. */
    @Test
    void whateverWriteFailsTheCopyIsWholeAndTheNextSyncGoesOn() throws IOException {
        SessionId play = new SessionId(8, 8);
        goOn(home, WORK, "work", noise(1), noise(2));
        goOn(home, WORK, "work", noise(1), noise(3));
        goOn(home, play, "play", noise(4));
        Path clean = directory.resolve("clean");
        try (Vault copy = home.openReplica(new DirectoryBackend(clean), HeadWitness.NONE, true)) {
            push(home, copy);
        }
        int failures = 0;
        boolean failed = true;
        for (int at = 0; failed; at++) {
            Path place = directory.resolve("away-" + at);
            failed = false;
            try (Vault copy = home.openReplica(full(new DirectoryBackend(place), at), HeadWitness.NONE, true)) {
                push(home, copy);
            } catch (VaultFullException e) {
                failed = true;
                failures++;
            }
            if (Files.exists(place.resolve("vault"))) {
                try (Vault copy = TestVaults.open(place)) {
                    assertWhole(copy);
                    for (Head head : copy.heads()) {
                        assertThat(head.snapshot())
                                .isEqualTo(home.head(head.id()).orElseThrow().snapshot());
                    }
                }
            }
            try (Vault copy = home.openReplica(new DirectoryBackend(place), HeadWitness.NONE, true)) {
                push(home, copy);
                assertThat(copy.heads()).hasSize(2);
                assertThat(copy.history(WORK)).hasSize(2);
                assertWhole(copy);
                assertThat(push(home, copy).bytesSent()).isZero();
            }
            // Nothing was carried twice.
            assertThat(bytesIn(place)).as("after failing at operation " + at).isLessThan(bytesIn(clean) + 2_000);
        }
        assertThat(failures).isGreaterThan(15);
    }

    /** Full at the n-th operation that writes, and from then on. */
    private static Backend full(Backend next, int operations) {
        return new DyingBackend(next, operations, () -> new VaultFullException("full: free some", null));
    }

    /** Syncs slowly, in a process that can be killed. */
    public static final class Sender {
        private Sender() {}

        /** Arguments: vault, copy. */
        public static void main(String[] arguments) throws IOException {
            Replication.Pace slow = (bytes, nanos) -> {
                System.out.println("piece");
                try {
                    Thread.sleep(20);
                } catch (InterruptedException e) {
                    throw new IOException(e);
                }
            };
            try (Vault home = TestVaults.open(Path.of(arguments[0]));
                    Vault copy =
                            home.openReplica(new DirectoryBackend(Path.of(arguments[1])), HeadWitness.NONE, true)) {
                ReplicationReport report = new Replication(
                                home,
                                copy,
                                new Replication.Options(Replication.Direction.PUSH, Set.of(), false, false, slow),
                                HERE,
                                "here",
                                ProgressListener.NONE)
                        .run();
                System.out.println("sent " + report.bytesSent());
            }
        }
    }

    @Test
    void aSyncThatIsKilledIsGoneOnWithAndRepeatsNothingThatHasArrived() throws Exception {
        for (int i = 0; i < 24; i++) {
            goOn(home, WORK, "work", noise(3 * i), noise(3 * i + 1), noise(3 * i + 2));
        }
        Random random = new Random(4);
        int kills = 0;
        long named = 0;
        for (boolean done = false; !done; ) {
            Process sender = new ProcessBuilder(
                            Path.of(System.getProperty("java.home"), "bin", "java")
                                    .toString(),
                            "--enable-native-access=ALL-UNNAMED",
                            "-cp",
                            System.getProperty("java.class.path"),
                            Sender.class.getName(),
                            directory.resolve("home").toString(),
                            away.toString())
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            try (var lines = sender.inputReader()) {
                int piecesLeft = 6 + random.nextInt(6);
                for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                    if (line.startsWith("sent ")) {
                        done = true;
                    } else if (--piecesLeft == 0 && !done) {
                        Thread.sleep(random.nextInt(30));
                        // It may have come to its end meanwhile.
                        kills += sender.toHandle().destroyForcibly() ? 1 : 0;
                    }
                }
            }
            assertThat(sender.waitFor(60, java.util.concurrent.TimeUnit.SECONDS))
                    .isTrue();
            if (Files.exists(away.resolve("vault"))) {
                long now = 0;
                try (Vault copy = TestVaults.open(away)) {
                    assertWhole(copy);
                    for (String name : copy.backend().list("domains")) {
                        now += copy.backend().size(name).orElse(0L);
                    }
                }
                assertThat(now).isGreaterThanOrEqualTo(named);
                named = now;
            }
            assertThat(kills).as("a sync that gets no further").isLessThan(40);
        }
        assertThat(kills).isGreaterThan(1);
        try (Vault copy = TestVaults.open(away)) {
            assertThat(push(home, copy).bytesSent()).isZero();
            assertThat(copy.history(WORK)).hasSize(24);
        }
        assertThat(bytesIn(away)).isLessThan(bytesIn(directory.resolve("home")) + 10_000);
        assertThat(away.resolve(".tmp")).isEmptyDirectory();
    }

    /** Copies that go on, are synced in any pair and direction, and in the end with each other: all agree, and nothing is lost. */
    @Test
    void randomHistoriesOfThreeCopiesConverge() throws IOException {
        for (int seed = 1; seed <= 12; seed++) {
            converge(seed);
        }
    }

    private void converge(int seed) throws IOException {
        Random random = new Random(seed);
        Path root = directory.resolve("seed-" + seed);
        List<Vault> copies = new ArrayList<>();
        try {
            FileHeadWitness seen = new FileHeadWitness(root.resolve("seen"));
            TestVaults.create(root.resolve("0")).close();
            copies.add(TestVaults.open(root.resolve("0"), seen));
            for (int i = 1; i < 3; i++) {
                copies.add(copies.getFirst().openReplica(new DirectoryBackend(root.resolve("" + i)), seen, true));
            }
            Map<SnapshotId, byte[]> taken = new HashMap<>();
            for (int step = 0; step < 25; step++) {
                Vault vault = copies.get(random.nextInt(3));
                if (random.nextInt(3) > 0) {
                    List<Head> heads = vault.heads();
                    byte[] content = TestVaults.noise(seed * 1000L + step, 200);
                    String name = vault.head("work").isPresent() ? "work-" + step % 3 : "work";
                    boolean isNew = vault.head(name).isEmpty() && (heads.isEmpty() || random.nextInt(8) == 0);
                    SnapshotId id = isNew
                            ? goOn(vault, new SessionId(random.nextLong(), step), name, content)
                            : goOn(
                                    vault,
                                    heads.get(random.nextInt(heads.size())).id(),
                                    "",
                                    content);
                    taken.put(id, content);
                } else {
                    Vault other = copies.get(random.nextInt(3));
                    if (other != vault) {
                        Replication.Direction[] all = Replication.Direction.values();
                        sync(vault, other, all[random.nextInt(all.length)]);
                    }
                }
            }
            for (int round = 0; round < 4; round++) {
                for (int i = 0; i < 3; i++) {
                    sync(copies.get(i), copies.get((i + 1) % 3), Replication.Direction.BOTH);
                }
            }
            Map<String, Optional<SnapshotId>> expected = new HashMap<>();
            for (Head head : copies.getFirst().heads()) {
                expected.put(head.name() + " " + head.id(), head.snapshot());
            }
            assertThat(expected.keySet()).as("seed " + seed).isNotEmpty();
            for (Vault copy : copies) {
                Map<String, Optional<SnapshotId>> heads = new HashMap<>();
                Set<String> names = new HashSet<>();
                Set<SnapshotId> reachable = new HashSet<>();
                for (Head head : copy.heads()) {
                    heads.put(head.name() + " " + head.id(), head.snapshot());
                    assertThat(names.add(head.name())).as("seed " + seed).isTrue();
                    SnapshotId at = head.snapshot().orElseThrow();
                    while (reachable.add(at)) {
                        Optional<SnapshotId> parent = copy.snapshot(at).parent();
                        if (parent.isEmpty()) {
                            break;
                        }
                        at = parent.get();
                    }
                }
                assertThat(heads).as("seed " + seed).isEqualTo(expected);
                // Every line that somebody went on with ends at a head, or is on the way to one.
                assertThat(reachable).as("seed " + seed).containsAll(taken.keySet());
                for (Map.Entry<SnapshotId, byte[]> one : taken.entrySet()) {
                    assertThat(contents(copy, one.getKey())).containsExactly(one.getValue());
                }
                assertWhole(copy);
            }
        } finally {
            for (Vault copy : copies) {
                copy.close();
            }
        }
    }
}
