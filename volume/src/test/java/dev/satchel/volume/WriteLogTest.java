package dev.satchel.volume;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.DamagedException;
import dev.satchel.vault.SessionId;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WriteLogTest {
    private static final long BYTES = 16L << 20;
    private static final VolumeOptions OPTIONS =
            new VolumeOptions(VolumeOptions.ExistingLog.REPLAY, 4, 0, 1000, 1, 1L << 30, false);

    @TempDir
    Path directory;

    private TestVault vault;
    private final SessionId session = SessionId.random();

    @BeforeEach
    void makeVault() throws IOException {
        vault = TestVault.make(directory.resolve("vault"));
    }

    @AfterEach
    void closeVault() throws IOException {
        vault.close();
    }

    private Volume open(ChunkMapRef base) throws IOException {
        return Volume.open(vault.vault(), session, base, BYTES, OPTIONS);
    }

    private Volume open() throws IOException {
        return open(ChunkMapRef.EMPTY);
    }

    /** Without what is only set aside for the next one, which the folding thread does when it likes. */
    private List<Path> written() throws IOException {
        List<Path> written = new ArrayList<>();
        for (Path segment : vault.segments(session)) {
            if (Files.size(segment) > 0) {
                written.add(segment);
            }
        }
        return written;
    }

    @Test
    void aTornTailLosesOnlyTheRecordThatIsTorn() throws IOException {
        try (Volume volume = open()) {
            Blocks.write(volume, 7, 70);
            volume.flush();
            Blocks.write(volume, 8, 80);
        }
        Path segment = vault.segments(session).getLast();
        byte[] whole = Files.readAllBytes(segment);
        int last = whole.length - LogSegment.HEADER_BYTES - LogSegment.SEALED_BLOCK_BYTES;
        for (int length = whole.length; length >= last; length--) {
            VolumeTest.cut(segment, length);
            int at = whole.length - length;
            long expected = at == 0 ? 80 : 0;
            if (at % 512 < 2) {
                try (Volume volume = open()) {
                    assertThat(Blocks.read(volume, 6, 4)).as("%d cut off", at).containsExactly(0, 70, expected, 0);
                }
            }
            try (LogWriter writer = new LogWriter()) {
                var found =
                        requireNonNull(new VolumeLog(vault.vault(), session).replay(ChunkMapRef.EMPTY, true, writer));
                Layer layer = found.layers().getFirst();
                assertThat(layer.index.loggedBlocks()).as("%d cut off", at).isEqualTo(at == 0 ? 2 : 1);
                layer.segment.close();
            }
        }
    }

    @Test
    void whoChecksALogKeepsNobodyFromGoingOnWithIt() throws IOException {
        try (Volume volume = open()) {
            Blocks.write(volume, 7, 70);
            volume.flush();
        }
        try (LogWriter writer = new LogWriter()) {
            var checked =
                    requireNonNull(new VolumeLog(vault.vault(), session).replay(ChunkMapRef.EMPTY, false, writer));
            try (LogSegment _ = checked.layers().getFirst().segment;
                    Volume volume = open()) {
                Blocks.write(volume, 8, 80);
                assertThat(check(ChunkMapRef.EMPTY)).isEmpty();
                assertThat(Blocks.read(volume, 7, 2)).containsExactly(70, 80);
            }
        }
    }

    @Test
    void aTailOfZerosIsTornToo() throws IOException {
        try (Volume volume = open()) {
            Blocks.write(volume, 7, 70);
            volume.flush();
            Blocks.write(volume, 8, 80);
            Blocks.write(volume, 9, 90);
        }
        Path segment = vault.segments(session).getLast();
        byte[] whole = Files.readAllBytes(segment);
        int record = LogSegment.HEADER_BYTES + LogSegment.SEALED_BLOCK_BYTES;
        // The device kept the last record and not the one before: neither had been flushed.
        Arrays.fill(whole, whole.length - 2 * record, whole.length - record, (byte) 0);
        Files.write(segment, whole);
        try (Volume volume = open()) {
            assertThat(Blocks.read(volume, 6, 4)).containsExactly(0, 70, 0, 0);
            // What is written now must not come after the torn place.
            Blocks.write(volume, 6, 60);
        }
        try (Volume volume = open()) {
            assertThat(Blocks.read(volume, 6, 4)).containsExactly(60, 70, 0, 0);
        }
    }

    @Test
    void anAlteredByteOfWhatWasDurableIsFoundOut() throws IOException {
        long flushed;
        try (Volume volume = open()) {
            Blocks.write(volume, 7, 70, 71, 72);
            volume.discard(0, 4096);
            volume.flush();
            flushed = Files.size(written().getLast());
            Blocks.write(volume, 8, 80);
        }
        Path segment = vault.segments(session).getLast();
        byte[] whole = Files.readAllBytes(segment);
        for (int at = 16; at < flushed; at += at < 120 ? 1 : 41) {
            byte[] altered = whole.clone();
            altered[at] ^= 0x10;
            Files.write(segment, altered);
            int where = at;
            assertThatThrownBy(() -> open().close())
                    .as("byte %d of %d", where, whole.length)
                    .isInstanceOf(DamagedException.class)
                    .hasMessageContaining("damaged at byte");
        }
    }

    @Test
    void aLookAtALogTellsWhatOpeningItWouldAndChangesNothing() throws IOException {
        ChunkMapRef first;
        long flushed;
        try (Volume volume = open()) {
            Blocks.write(volume, 7, 70, 71, 72);
            volume.flush();
            first = vault.store(volume);
            Blocks.write(volume, 8, 80);
            volume.discard(0, 4096);
            volume.flush();
            flushed = Files.size(written().getLast());
            Blocks.write(volume, 9, 90);
            // Who writes it knows better.
            assertThat(check(ChunkMapRef.EMPTY)).isEmpty();
        }
        for (ChunkMapRef base : List.of(ChunkMapRef.EMPTY, first)) {
            assertThat(check(base)).isEmpty();
        }
        int noticed = 0;
        for (Path segment : vault.segments(session)) {
            byte[] whole = Files.readAllBytes(segment);
            boolean newest = segment.equals(vault.segments(session).getLast());
            for (int at = 0; at < whole.length; at += at < 400 ? 3 : 97) {
                byte[] altered = whole.clone();
                altered[at] ^= 0x10;
                Files.write(segment, altered);
                Optional<String> wrong = check(ChunkMapRef.EMPTY);
                // Bytes 12 to 15 say nothing; behind what was flushed it is what a crash does.
                assertThat(wrong.isPresent())
                        .as("byte %d of %d of %s", at, whole.length, segment)
                        .isEqualTo((at < 12 || at > 15) && (!newest || at < flushed));
                noticed += wrong.isPresent() ? 1 : 0;
            }
            Files.write(segment, whole);
        }
        assertThat(noticed).isGreaterThan(100);
        Path older = vault.segments(session).getFirst();
        byte[] kept = Files.readAllBytes(older);
        Files.delete(older);
        assertThat(check(ChunkMapRef.EMPTY))
                .hasValueSatisfying(text -> assertThat(text).contains("missing"));
        // The snapshot has what was in it.
        assertThat(check(first)).isEmpty();
        Files.write(older, kept);
        // A crash while a segment was being made.
        Path torn = older.resolveSibling("00000000000000ff");
        Files.write(torn, new byte[20]);
        assertThat(check(ChunkMapRef.EMPTY)).isEmpty();
        assertThat(torn).exists();
        try (Volume volume = open()) {
            assertThat(Blocks.read(volume, 6, 4)).containsExactly(0, 70, 80, 90);
        }
    }

    private Optional<String> check(ChunkMapRef base) throws IOException {
        return Volume.checkLog(vault.vault(), session, base);
    }

    @Test
    void anAlteredSaltIsFoundOut() throws IOException {
        try (Volume volume = open()) {
            Blocks.write(volume, 7, 70);
            volume.flush();
            vault.store(volume);
            Blocks.write(volume, 8, 80);
        }
        List<Path> segments = vault.segments(session);
        assertThat(segments).hasSize(2);
        byte[] older = Files.readAllBytes(segments.getFirst());
        older[20] ^= 1;
        Files.write(segments.getFirst(), older);
        assertThatThrownBy(() -> open().close()).isInstanceOf(DamagedException.class);
    }

    @Test
    void aSegmentThatIsMissingIsFoundOut() throws IOException {
        try (Volume volume = open()) {
            Blocks.write(volume, 7, 70);
            vault.store(volume);
            Blocks.write(volume, 8, 80);
        }
        Files.delete(vault.segments(session).getFirst());
        assertThatThrownBy(() -> open().close())
                .isInstanceOf(DamagedException.class)
                .hasMessageContaining("missing");
    }

    @Test
    void anotherSessionsSegmentOpensNothing() throws IOException {
        try (Volume volume = open()) {
            Blocks.write(volume, 7, 70);
            volume.flush();
            Blocks.write(volume, 7, 71);
        }
        SessionId thief = SessionId.random();
        Path stolen = vault.root().resolve("log").resolve(thief.toString());
        Files.createDirectories(stolen);
        Path segment = vault.segments(session).getLast();
        Files.copy(segment, stolen.resolve(segment.getFileName()));
        assertThatThrownBy(() -> Volume.open(vault.vault(), thief, ChunkMapRef.EMPTY, BYTES, OPTIONS)
                        .close())
                .isInstanceOf(DamagedException.class);
    }

    @Test
    void nothingWrittenLiesOnTheDeviceInPlain() throws IOException {
        byte[] secret = "the secret that nobody may find".getBytes(StandardCharsets.US_ASCII);
        try (Volume volume = open();
                var arena = java.lang.foreign.Arena.ofConfined()) {
            var block = arena.allocate(4096, 4096);
            for (int i = 0; i + secret.length <= 4096; i += 64) {
                java.lang.foreign.MemorySegment.copy(
                        secret, 0, block, java.lang.foreign.ValueLayout.JAVA_BYTE, i, secret.length);
            }
            volume.write(40960, block);
            volume.flush();
            vault.commit(volume);
            volume.write(81920, block);
        }
        try (var files = Files.walk(vault.root())) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                assertThat(new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1))
                        .as(file.toString())
                        .doesNotContain("the secret");
            }
        }
    }

    @Test
    void aLogBelongsToTheSnapshotsThatItCameFrom() throws IOException {
        ChunkMapRef first;
        ChunkMapRef second;
        try (Volume volume = open()) {
            Blocks.write(volume, 1, 10);
            first = vault.commit(volume);
            Blocks.write(volume, 2, 20);
            second = vault.store(volume);
            Blocks.write(volume, 3, 30);
        }
        // The session's head names the first or the second, depending on when the crash came: nothing is lost either
        // way.
        for (ChunkMapRef base : List.of(first, second, first)) {
            try (Volume volume = open(base)) {
                assertThat(Blocks.read(volume, 1, 3)).containsExactly(10, 20, 30);
            }
        }
        assertThatThrownBy(() -> open().close()).isInstanceOf(StaleLogException.class);
        assertThat(Volume.hasLog(vault.vault(), session)).isTrue();
        // Resuming a snapshot's processes wants its files, not later ones.
        try (Volume volume = Volume.open(
                vault.vault(), session, second, BYTES, OPTIONS.withLog(VolumeOptions.ExistingLog.DISCARD))) {
            assertThat(Blocks.read(volume, 1, 3)).containsExactly(10, 20, 0);
        }
        assertThat(Volume.hasLog(vault.vault(), session)).isFalse();
    }

    @Test
    void aChangeBackToTheOldSnapshotIsAChange() throws IOException {
        ChunkMapRef stored;
        try (Volume volume = open()) {
            Blocks.write(volume, 1, 10);
            stored = vault.store(volume);
            volume.discard(0, 64 * 4096);
            volume.foldAll();
        }
        // The base is the one that the log began with; but the head may name the stored one by now.
        try (Volume volume = open(stored)) {
            assertThat(Blocks.read(volume, 1, 1)).containsExactly(0);
        }
    }

    @Test
    void foldingAndRebasingFreeTheLog() throws IOException {
        ChunkMapRef base;
        try (Volume volume = open()) {
            for (int i = 0; i < 8; i++) {
                Blocks.write(volume, i * 64L, i + 1);
                volume.foldAll();
            }
            assertThat(written()).hasSize(1);
            assertThat(volume.stats().dirtyBytes()).isZero();
            base = vault.commit(volume);
            assertThat(written()).hasSize(1);
        }
        // It said nothing that the snapshot does not contain.
        assertThat(vault.segments(session)).isEmpty();
        try (Volume again = open(base)) {
            for (int i = 0; i < 8; i++) {
                assertThat(Blocks.read(again, i * 64L, 2)).containsExactly(i + 1, 0);
            }
        }
    }

    @Test
    void retiringGivesUpWhatCameAfterTheSnapshot() throws IOException {
        Volume volume = open();
        Blocks.write(volume, 1, 10);
        ChunkMapRef stored = vault.store(volume);
        Blocks.write(volume, 1, 11);
        volume.retire();
        assertThat(vault.segments(session)).isEmpty();
        try (Volume again = open(stored)) {
            assertThat(Blocks.read(again, 1, 1)).containsExactly(10);
        }
    }

    @Test
    void growsAndStaysGrown() throws IOException {
        try (Volume volume = open()) {
            Blocks.write(volume, 1, 10);
            volume.grow(2 * BYTES);
            Blocks.write(volume, 2 * BYTES / 4096 - 1, 99);
            volume.flush();
        }
        try (Volume volume = open()) {
            assertThat(volume.sizeBytes()).isEqualTo(2 * BYTES);
            assertThat(Blocks.read(volume, 2 * BYTES / 4096 - 2, 2)).containsExactly(0, 99);
        }
    }
}
