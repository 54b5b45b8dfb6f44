package dev.satchel.volume;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.Head;
import dev.satchel.vault.HeadWitness;
import dev.satchel.vault.HostId;
import dev.satchel.vault.Lease;
import dev.satchel.vault.ProgressListener;
import dev.satchel.vault.Replication;
import dev.satchel.vault.ReplicationReport;
import dev.satchel.vault.SessionId;
import dev.satchel.vault.SnapshotDraft;
import dev.satchel.vault.SnapshotId;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VolumeReplication;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a session's disk has become is in a copy of the vault before a snapshot names it. */
@Timeout(60)
class VolumeReplicationTest {
    private static final HostId HOST = new HostId(1, 1);
    private static final HostId OTHER_HOST = new HostId(2, 2);
    private static final long BYTES = 64L << 20;
    private static final int WRITTEN = 12 << 20;
    private static final VolumeOptions QUIET =
            new VolumeOptions(VolumeOptions.ExistingLog.REPLAY, 8, 4, 1000, 1, 1L << 30, false);

    @TempDir
    Path directory;

    private final SessionId session = SessionId.random();
    private final Random random = new Random(11);
    private TestVault home;
    private Lease lease;
    private Volume volume;

    @BeforeEach
    void makeVault() throws IOException {
        home = TestVault.make(directory.resolve("home"));
        lease = home.vault().acquire(session, HOST, "here", false);
        volume = Volume.open(home.vault(), session, ChunkMapRef.EMPTY, BYTES, QUIET);
        write(40 << 20, 1 << 20);
        snapshot();
    }

    @AfterEach
    void closeVault() throws IOException {
        volume.close();
        home.close();
    }

    /** Bytes that can't be compressed. */
    private void write(long offset, int length) throws IOException {
        byte[] bytes = new byte[length];
        random.nextBytes(bytes);
        try (Arena arena = Arena.ofConfined()) {
            volume.write(offset, arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes));
        }
        volume.flush();
    }

    private SnapshotId snapshot() throws IOException {
        Vault vault = home.vault();
        ChunkMapRef stored = home.store(volume);
        Optional<Head> head = vault.head(session);
        SnapshotId id = vault.put(new SnapshotDraft(
                session,
                head.flatMap(Head::snapshot),
                Instant.ofEpochMilli(1),
                "suspend",
                new TreeMap<>(Map.of("volume", stored)),
                new byte[0],
                0,
                0));
        vault.putHead(
                head.isPresent()
                        ? head.get().next(Optional.of(id), head.get().settings())
                        : Head.first(session, "work", Optional.of(id), new byte[0]),
                lease);
        volume.rebase(stored);
        return id;
    }

    private Vault copy(String name) throws IOException {
        return home.vault().openReplica(new DirectoryBackend(directory.resolve(name)), HeadWitness.NONE, true);
    }

    private ReplicationReport sync(String copy) throws IOException {
        try (Vault to = copy(copy)) {
            return new Replication(
                            home.vault(),
                            to,
                            new Replication.Options(
                                    Replication.Direction.PUSH, Set.of(), false, false, Replication.Pace.NONE),
                            HOST,
                            "here",
                            ProgressListener.NONE)
                    .run();
        }
    }

    private VolumeReplication.Carried carryAhead(String copy) throws IOException {
        try (Vault to = copy(copy)) {
            return new VolumeReplication(home.vault(), to, Replication.Pace.NONE).run();
        }
    }

    @Test
    void theNextSyncFindsWhatWasCarriedAheadThoughGarbageWasCollectedMeanwhile() throws IOException {
        sync("with");
        sync("without");
        write(0, WRITTEN);
        volume.foldAll();
        VolumeReplication.Carried carried = carryAhead("with");
        assertThat(carried.bytes()).isGreaterThan(WRITTEN);
        assertThat(carryAhead("with").chunks()).isZero();
        try (Vault copy = copy("with")) {
            copy.collect(0, false, ProgressListener.NONE);
            assertThat(copy.verify(ProgressListener.NONE).errors()).isEmpty();
        }
        // The disk changes once more where it was carried already: only that is left.
        write(1 << 20, 1 << 20);
        volume.foldAll();
        assertThat(carryAhead("with").bytes()).isBetween(1L << 20, 3L << 20);
        write(20 << 20, 300_000);
        snapshot();

        ReplicationReport with = sync("with");
        ReplicationReport without = sync("without");
        System.out.println("left for the last sync: " + with.bytesSent() + " bytes, without anything carried ahead "
                + without.bytesSent());
        assertThat(with.bytesSent()).isBetween(300_000L, 2L << 20);
        assertThat(without.bytesSent()).isGreaterThan(WRITTEN);
        for (String name : new String[] {"with", "without"}) {
            try (Vault copy = copy(name)) {
                assertThat(copy.verify(ProgressListener.NONE).errors()).isEmpty();
                assertThat(copy.head(session).orElseThrow().snapshot())
                        .isEqualTo(home.vault().head(session).orElseThrow().snapshot());
            }
        }
    }

    @Test
    void whatWasCarriedAheadGoesWhenNothingComesOfIt() throws IOException {
        SnapshotId first = home.vault().head(session).orElseThrow().snapshot().orElseThrow();
        snapshot();
        sync("copy");
        write(0, WRITTEN);
        volume.foldAll();
        carryAhead("copy");
        try (Vault copy = copy("copy")) {
            // Its pin keeps nobody from removing snapshots there.
            assertThat(copy.remove(Set.of(first))).containsExactly(first);
            // The device is lost: the session goes on in the copy, and then what it was there counts for nothing.
            Lease taken = copy.acquire(session, OTHER_HOST, "other", true);
            copy.collect(0, false, ProgressListener.NONE);
            assertThat(copy.backend().list("pins")).hasSize(1);
            taken.close();
            long freed = copy.collect(0, false, ProgressListener.NONE).bytesFreed();
            assertThat(freed).isGreaterThan(WRITTEN);
            assertThat(copy.backend().list("pins")).isEmpty();
            assertThat(copy.verify(ProgressListener.NONE).errors()).isEmpty();
        }
    }

    @Test
    void aSyncTakesThePinBackWhenTheLogIsGone() throws IOException {
        sync("copy");
        write(0, 1 << 20);
        volume.foldAll();
        carryAhead("copy");
        snapshot();
        sync("copy");
        try (Vault copy = copy("copy")) {
            assertThat(copy.backend().list("pins")).hasSize(1);
        }
        volume.retire();
        sync("copy");
        try (Vault copy = copy("copy")) {
            assertThat(copy.backend().list("pins")).isEmpty();
            assertThat(copy.collect(0, true, ProgressListener.NONE).packsRemoved())
                    .isZero();
        }
    }

    @Test
    void nothingIsCarriedForASessionThatACopyHasItself() throws IOException {
        sync("copy");
        write(0, 1 << 20);
        volume.foldAll();
        try (Vault copy = copy("copy");
                Lease _ = copy.acquire(session, OTHER_HOST, "other", true)) {
            assertThat(carryAhead("copy").bytes()).isZero();
            assertThat(copy.backend().list("pins")).isEmpty();
        }
    }
}
