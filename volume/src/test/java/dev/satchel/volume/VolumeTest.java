package dev.satchel.volume;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.linux.Errno;
import dev.satchel.linux.LinuxException;
import dev.satchel.linux.Mounts;
import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.CollectReport;
import dev.satchel.vault.HostId;
import dev.satchel.vault.Lease;
import dev.satchel.vault.ProgressListener;
import dev.satchel.vault.SessionId;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(300)
class VolumeTest {
    private static final long BYTES = 64L << 20;
    private static final long BLOCKS = BYTES / 4096;
    private static final VolumeOptions QUIET =
            new VolumeOptions(VolumeOptions.ExistingLog.REPLAY, 8, 4, 1000, 1, 1L << 30, false);

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

    private Volume open(ChunkMapRef base, VolumeOptions options) throws IOException {
        return Volume.open(vault.vault(), session, base, BYTES, options);
    }

    @Test
    void whatWasFoldedSurvivesACollectionAndACrashAfterIt() throws Exception {
        // A session that nobody holds and that has no head is no more, and its log goes.
        Lease lease = vault.vault().acquire(session, HostId.random(), "test", false);
        Volume volume = open(ChunkMapRef.EMPTY, QUIET);
        long[] stamps = new long[600];
        for (int i = 0; i < stamps.length; i++) {
            stamps[i] = i + 1L;
        }
        Blocks.write(volume, 0, stamps);
        volume.foldAll();
        Blocks.write(volume, 10, new long[] {1000});
        volume.foldAll();
        Blocks.write(volume, 300, new long[] {2000});
        volume.flush();
        CollectReport report = vault.vault().collect(0, false, ProgressListener.NONE);
        // The first fold's, which the log was over until the second was in its place, are kept as long as that pin.
        assertThat(report.packsRemoved()).isZero();
        stamps[10] = 1000;
        stamps[300] = 2000;
        assertThat(Blocks.read(volume, 0, stamps.length)).isEqualTo(stamps);
        volume.abandon();
        vault.vault().collect(0, false, ProgressListener.NONE);
        try (Volume again = open(ChunkMapRef.EMPTY, QUIET)) {
            assertThat(Blocks.read(again, 0, stamps.length)).isEqualTo(stamps);
            again.retire();
        }
        assertThat(vault.vault().collect(0, false, ProgressListener.NONE).packsRemoved())
                .isPositive();
        assertThat(vault.vault().info().chunks()).isZero();
        lease.close();
    }

    @Test
    void aSnapshotIsOneInstantHoweverFastWritesGoOn() throws Exception {
        try (Volume volume = open(ChunkMapRef.EMPTY, QUIET);
                ExecutorService threads = Executors.newFixedThreadPool(2)) {
            AtomicBoolean stop = new AtomicBoolean();
            AtomicLong acknowledged = new AtomicLong();
            Future<?> writer = threads.submit(() -> {
                // Block n mod 4096 gets stamp n: an instant has all stamps up to some n and none beyond.
                long n = 1;
                while (!stop.get()) {
                    // One record at a time, small ones and such as are sealed aside.
                    int count = (int) Math.min(n % 3 == 0 ? 1 : 24, 4096 - n % 4096);
                    long[] stamps = new long[count];
                    for (int i = 0; i < count; i++) {
                        stamps[i] = n + i;
                    }
                    Blocks.write(volume, n % 4096, stamps);
                    n += count;
                    acknowledged.set(n - 1);
                }
                return null;
            });
            Future<?> folder = threads.submit(() -> {
                while (!stop.get()) {
                    volume.foldAll();
                    Thread.sleep(20);
                }
                return null;
            });
            try {
                for (int round = 0; round < 3; round++) {
                    long before = acknowledged.get();
                    try (Frozen frozen = volume.snapshot()) {
                        long after = acknowledged.get() + 24;
                        long[] first = stamps(frozen);
                        long newest = 0;
                        for (long stamp : first) {
                            newest = Math.max(newest, stamp);
                        }
                        assertThat(newest).isBetween(before, after);
                        for (int block = 0; block < 4096; block++) {
                            long expected = newest - Math.floorMod(newest - block, 4096L);
                            assertThat(first[block]).isEqualTo(Math.max(0, expected));
                        }
                        assertThat(stamps(frozen)).isEqualTo(first);
                    }
                }
            } finally {
                stop.set(true);
            }
            writer.get();
            folder.get();
        }
    }

    private static long[] stamps(Frozen frozen) throws IOException {
        long[] stamps = new long[4096];
        for (int block = 0; block < 4096; block += 256) {
            System.arraycopy(Blocks.read(frozen, block, 256), 0, stamps, block, 256);
        }
        return stamps;
    }

    @Test
    void manyThreadsWriteReadAndFlushWhileItFolds() throws Exception {
        VolumeOptions busy = new VolumeOptions(VolumeOptions.ExistingLog.REPLAY, 4, 4, 1, 1, 1L << 20, true);
        int threadCount = 6;
        long[] last = new long[threadCount * 512];
        try (Volume volume = open(ChunkMapRef.EMPTY, busy);
                ExecutorService threads = Executors.newFixedThreadPool(threadCount)) {
            List<Future<?>> running = new ArrayList<>();
            for (int t = 0; t < threadCount; t++) {
                int first = t * 512;
                running.add(threads.submit(() -> {
                    var random = new java.util.Random(first);
                    for (int n = 1; n <= 120; n++) {
                        int block = first + random.nextInt(380);
                        int count = 1 + random.nextInt(random.nextInt(3) == 0 ? 130 : 12);
                        long[] stamps = new long[count];
                        for (int i = 0; i < count; i++) {
                            stamps[i] = random.nextInt(10) == 0 ? 0 : (long) first << 32 | n << 8 | i;
                            last[block + i] = stamps[i];
                        }
                        Blocks.write(volume, block, stamps);
                        if (n % 16 == 0) {
                            volume.flush();
                        }
                        int at = first + random.nextInt(500);
                        assertThat(Blocks.read(volume, at, 12))
                                .isEqualTo(java.util.Arrays.copyOfRange(last, at, at + 12));
                    }
                    return null;
                }));
            }
            for (int i = 0; i < 20; i++) {
                // Who cuts faster than it folds finds no place for another layer.
                while (volume.stats().layers() > Volume.LAYERS_MAX / 2) {
                    Thread.sleep(1);
                }
                volume.snapshot().close();
                Thread.sleep(10);
            }
            for (Future<?> future : running) {
                future.get();
            }
            assertThat(volume.stats().foldedSlots()).isPositive();
        }
        try (Volume volume = open(ChunkMapRef.EMPTY, QUIET)) {
            assertThat(Blocks.read(volume, 0, last.length)).isEqualTo(last);
        }
    }

    @Test
    void whatWasDecodedCanBeForgottenWhileItIsRead() throws Exception {
        try (Volume volume = open(ChunkMapRef.EMPTY, QUIET);
                ExecutorService thread = Executors.newSingleThreadExecutor()) {
            for (int slot = 0; slot < 12; slot++) {
                Blocks.write(volume, slot * 64L, slot + 1);
            }
            volume.flush();
            volume.foldAll();
            AtomicBoolean stop = new AtomicBoolean();
            Future<?> forgetting = thread.submit(() -> {
                while (!stop.get()) {
                    volume.forgetChunks();
                }
            });
            try {
                for (int i = 0; i < 300; i++) {
                    int slot = i % 12;
                    assertThat(Blocks.read(volume, slot * 64L, 1)).containsExactly(slot + 1);
                }
            } finally {
                stop.set(true);
            }
            forgetting.get();
            long missesBefore = volume.stats().cacheMisses();
            volume.forgetChunks();
            assertThat(Blocks.read(volume, 0, 1)).containsExactly(1);
            assertThat(volume.stats().cacheMisses()).isGreaterThan(missesBefore);
        }
    }

    @Test
    void itFoldsWhenIdleAndThenItsLogIsSmall() throws Exception {
        VolumeOptions quick = new VolumeOptions(VolumeOptions.ExistingLog.REPLAY, 4, 0, 500, 4, 1L << 30, true);
        try (Volume volume = open(ChunkMapRef.EMPTY, quick)) {
            for (int slot = 0; slot < 40; slot++) {
                Blocks.write(volume, slot * 64L, slot + 1, slot + 2);
            }
            assertThat(volume.stats().dirtySlots()).isEqualTo(40);
            long deadline = System.nanoTime() + 40_000_000_000L;
            while (volume.stats().dirtySlots() > 0 && System.nanoTime() < deadline) {
                Thread.sleep(5);
            }
            assertThat(volume.stats().dirtyBytes()).isZero();
            assertThat(volume.stats().foldedSlots()).isEqualTo(40);
            assertThat(volume.stats().logBytes()).isLessThan(4096);
            assertThat(Blocks.read(volume, 39 * 64, 3)).containsExactly(40, 41, 0);
        }
        try (Volume volume = open(ChunkMapRef.EMPTY, QUIET)) {
            assertThat(volume.stats().replayedBytes()).isZero();
            assertThat(Blocks.read(volume, 39 * 64, 3)).containsExactly(40, 41, 0);
        }
    }

    @Test
    void aBoundOnDirtOverrulesEverything() throws IOException {
        VolumeOptions small =
                new VolumeOptions(VolumeOptions.ExistingLog.REPLAY, 4, 0, 3_600_000, 1000, 1L << 20, false);
        try (Volume volume = open(ChunkMapRef.EMPTY, small)) {
            long most = 0;
            for (int n = 0; n < 4000; n++) {
                Blocks.write(volume, n % 1000, n + 1, n + 1);
                most = Math.max(most, volume.stats().logBytes());
            }
            assertThat(most).isLessThan(5L << 20);
            assertThat(volume.stats().foldedSlots()).isPositive();
        }
    }

    @Test
    void forksDivergeWithoutTouchingEachOther() throws IOException {
        ChunkMapRef base;
        try (Volume volume = open(ChunkMapRef.EMPTY, QUIET)) {
            for (int slot = 0; slot < 10; slot++) {
                Blocks.write(volume, slot * 64L, 100 + slot);
            }
            base = vault.commit(volume);
        }
        try (Volume left = Volume.open(vault.vault(), SessionId.random(), base, BYTES, QUIET);
                Volume right = Volume.open(vault.vault(), SessionId.random(), base, BYTES, QUIET)) {
            Blocks.write(left, 0, 1);
            Blocks.write(right, 64, 2);
            right.discard(128 * 4096L, 64 * 4096L);
            vault.commit(left);
            Blocks.write(left, 0, 3);
            assertThat(Blocks.read(left, 0, 1)).containsExactly(3);
            assertThat(Blocks.read(left, 64, 1)).containsExactly(101);
            assertThat(Blocks.read(left, 128, 1)).containsExactly(102);
            assertThat(Blocks.read(right, 0, 1)).containsExactly(100);
            assertThat(Blocks.read(right, 64, 1)).containsExactly(2);
            assertThat(Blocks.read(right, 128, 1)).containsExactly(0);
        }
    }

    @Test
    void aSnapshotHoldsOnlyWhatIsNotZero() throws IOException {
        try (Volume volume = open(ChunkMapRef.EMPTY, QUIET)) {
            Blocks.write(volume, 0, 1);
            Blocks.write(volume, 64, 0, 0); // zeros written
            Blocks.write(volume, 128, 5);
            Blocks.write(volume, 192, 7);
            vault.commit(volume);
            volume.discard(128 * 4096L, 64 * 4096L); // a slot that was used
            Blocks.write(volume, 192, 0);
            Blocks.write(volume, 256, 9);
            ChunkMapRef stored = vault.commit(volume);
            List<Long> slots = new ArrayList<>();
            ChunkMap.load(vault.vault().chunks(), stored).forEach(0, 1000, (slot, ref) -> slots.add(slot));
            assertThat(slots).containsExactly(0L, 4L);
        }
    }

    @Test
    void storingWithoutAChangeStoresNothing() throws IOException {
        try (Volume volume = open(ChunkMapRef.EMPTY, QUIET)) {
            assertThat(vault.commit(volume)).isEqualTo(ChunkMapRef.EMPTY);
            assertThat(vault.segments(session)).isEmpty();
            Blocks.write(volume, 5, 5);
            ChunkMapRef first = vault.commit(volume);
            assertThat(vault.commit(volume)).isEqualTo(first);
        }
    }

    @Test
    void onlyWhatChangedIsFolded() throws IOException {
        try (Volume volume = open(ChunkMapRef.EMPTY, QUIET)) {
            for (int slot = 0; slot < 100; slot++) {
                Blocks.write(volume, slot * 64L, slot + 1);
            }
            vault.commit(volume);
            Blocks.write(volume, 64 * 64L, 99);
            long before = volume.stats().foldedSlots();
            vault.commit(volume);
            assertThat(volume.stats().foldedSlots() - before).isEqualTo(1);
        }
    }

    @Test
    void aSequentialReaderFindsItsChunksDecoded() throws IOException {
        ChunkMapRef base;
        try (Volume volume = open(ChunkMapRef.EMPTY, QUIET)) {
            for (int block = 0; block < 64 * 64; block += 256) {
                long[] stamps = new long[256];
                for (int i = 0; i < 256; i++) {
                    stamps[i] = block + i + 1L;
                }
                Blocks.write(volume, block, stamps);
            }
            base = vault.commit(volume);
        }
        try (Volume volume = open(base, QUIET)) {
            for (int block = 0; block < 64 * 64; block += 16) {
                assertThat(Blocks.read(volume, block, 16)[15]).isEqualTo(block + 16);
            }
            VolumeStats stats = volume.stats();
            assertThat(stats.cacheHits() + stats.cacheMisses()).isEqualTo(256);
            assertThat(stats.cacheMisses()).isLessThan(32);
        }
    }

    @Test
    void whoReadsSmallFilesSideBySideFindsTheNextOnesDecoded() throws Exception {
        ChunkMapRef base;
        try (Volume volume = open(ChunkMapRef.EMPTY, QUIET)) {
            for (int slot = 0; slot < 256; slot++) {
                Blocks.write(volume, slot * 64L, slot + 1);
            }
            base = vault.commit(volume);
        }
        try (Volume volume = open(base, QUIET)) {
            // Programs that start: far apart, and never more than two steps from where they were.
            for (long slot = 128; slot < 256; slot += 16) {
                for (long touched : new long[] {slot, slot + 1, slot, slot + 2}) {
                    assertThat(Blocks.read(volume, touched * 64, 1)).containsExactly(touched + 1);
                }
                assertThat(volume.stats().readAhead()).isZero();
            }
            // What describes them lies elsewhere, and is read between them.
            long[] order = {40, 40, 42, 41, 43, 42, 45};
            for (int i = 0; i < order.length; i++) {
                assertThat(Blocks.read(volume, order[i] * 64, 1)).containsExactly(order[i] + 1);
                assertThat(Blocks.read(volume, (i % 2) * 64L, 1)).containsExactly(i % 2 + 1);
            }
            while (volume.baseChunkToRead(46).isPresent()) {
                Thread.sleep(1);
            }
            assertThat(volume.stats().readAhead()).isPositive();
        }
    }

    @Test
    void requestsOutsideAreRefused() throws IOException {
        try (Volume volume = open(ChunkMapRef.EMPTY, QUIET)) {
            for (long offset : new long[] {-4096, BYTES - 2048, BYTES, Long.MAX_VALUE - 100}) {
                try (Arena arena = Arena.ofConfined()) {
                    MemorySegment block = arena.allocate(4096);
                    assertThatThrownBy(() -> volume.read(offset, block)).isInstanceOf(LinuxException.class);
                    assertThatThrownBy(() -> volume.write(offset, block)).isInstanceOf(LinuxException.class);
                    assertThatThrownBy(() -> volume.discard(offset, 4096)).isInstanceOf(LinuxException.class);
                }
            }
        }
    }

    @Test
    void aFullDeviceFailsWritesAndHarmsNothing() throws Exception {
        Path small = Files.createDirectories(directory.resolve("small"));
        Mounts.mount("satchel-test", small, "tmpfs", 0, "size=6m");
        try {
            TestVault full = TestVault.make(small.resolve("vault"));
            try (full) {
                Path ballast = small.resolve("ballast");
                Files.write(ballast, new byte[2 << 20]);
                long written;
                try (Volume volume = Volume.open(full.vault(), session, ChunkMapRef.EMPTY, BYTES, QUIET)) {
                    written = fill(volume, 0);
                    assertThat(written).isBetween(500L, 1024L);
                    // Full stays full, in whatever size one tries, and leaves no litter.
                    for (int i = 0; i < 40; i++) {
                        assertThat(fill(volume, written)).isLessThanOrEqualTo(written + 2);
                        long large = written + 8;
                        assertThatThrownBy(() -> Blocks.write(volume, large, new long[200]))
                                .isInstanceOf(LinuxException.class)
                                .hasMessageContaining("ENOSPC");
                    }
                    volume.flush();
                    assertThat(full.segments(session)).hasSizeLessThan(4);
                    check(volume, written);
                    Files.delete(ballast);
                    long more = fill(volume, written);
                    assertThat(more).isGreaterThan(written + 300);
                    volume.flush();
                    check(volume, more);
                    written = more;
                }
                try (Volume volume = Volume.open(full.vault(), session, ChunkMapRef.EMPTY, BYTES, QUIET)) {
                    check(volume, written);
                }
            }
        } finally {
            Mounts.unmount(small, 0);
        }
    }

    @Test
    void othersWhoFillTheDeviceLeaveTheLogItsSpace() throws Exception {
        Path small = Files.createDirectories(directory.resolve("small"));
        Mounts.mount("satchel-test", small, "tmpfs", 0, "size=64m");
        try {
            try (TestVault full = TestVault.make(small.resolve("vault"))) {
                long written = 0;
                try (Volume volume = Volume.open(full.vault(), session, ChunkMapRef.EMPTY, BYTES, QUIET)) {
                    Blocks.write(volume, written++, 1);
                    volume.setSpaceAside();
                    takeAll(small.resolve("ballast"));
                    // The segment that is there,
                    for (; written < 700; written++) {
                        Blocks.write(volume, written, written + 1);
                    }
                    volume.flush();
                    try (Frozen cut = volume.snapshot()) {
                        // and the one after it.
                        for (; written < 2000; written++) {
                            Blocks.write(volume, written, written + 1);
                        }
                        volume.flush();
                        assertThat(cut.sizeBytes()).isEqualTo(BYTES);
                    }
                    check(volume, written);
                    takeAll(small.resolve("more-ballast"));
                    assertThat(fill(volume, written)).isGreaterThan(written);
                    assertThat(Volume.hasLog(full.vault(), session)).isTrue();
                    Files.delete(small.resolve("ballast"));
                    Files.delete(small.resolve("more-ballast"));
                    full.commit(volume);
                }
                assertThat(full.segments(session)).isEmpty();
            }
        } finally {
            Mounts.unmount(small, 0);
        }
    }

    @Test
    void aSegmentThatIsOnlySetAsideIsNoLog() throws Exception {
        try (Volume volume = open(ChunkMapRef.EMPTY, QUIET)) {
            volume.setSpaceAside();
            assertThat(vault.segments(session)).hasSize(1);
            assertThat((long) Files.getAttribute(vault.segments(session).getFirst(), "size"))
                    .isZero();
            assertThat(Volume.hasLog(vault.vault(), session)).isFalse();
        }
        assertThat(vault.segments(session)).isEmpty();
        // As a crash leaves it.
        Path left = Files.createDirectories(vault.root().resolve("log").resolve(session.toString()))
                .resolve("0000000000000001");
        Files.createFile(left);
        try (Volume volume = open(ChunkMapRef.EMPTY, QUIET)) {
            Blocks.write(volume, 0, 1);
            check(volume, 1);
        }
    }

    private static void takeAll(Path ballast) throws IOException {
        try (FileChannel file = FileChannel.open(ballast, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            java.nio.ByteBuffer page = java.nio.ByteBuffer.allocate(4096);
            while (true) {
                file.write(page.rewind());
            }
        } catch (IOException e) {
            assertThat(e).hasMessageContaining("No space left");
        }
    }

    /** Cuts a file. */
    static void cut(Path file, long length) throws IOException {
        try (FileChannel opened = FileChannel.open(file, StandardOpenOption.WRITE)) {
            opened.truncate(length);
        }
    }

    /** Writes incompressible blocks from one on until there is no space; tells the first that could not be written. */
    private static long fill(Volume volume, long from) throws IOException {
        for (long block = from; block < BLOCKS; block++) {
            try {
                Blocks.write(volume, block, block + 1);
            } catch (LinuxException e) {
                assertThat(e.errno()).isEqualTo(Errno.ENOSPC);
                return block;
            }
        }
        throw new AssertionError("the device never became full");
    }

    private static void check(Volume volume, long written) throws IOException {
        for (long block = 0; block < written; block++) {
            assertThat(Blocks.read(volume, block, 1)).containsExactly(block + 1);
        }
    }
}
