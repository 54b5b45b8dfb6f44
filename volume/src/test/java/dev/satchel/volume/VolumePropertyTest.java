package dev.satchel.volume;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.SessionId;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.ShrinkingMode;

/** Whatever is done to a volume, it says what an array would say; after a crash, what the array said at some moment after the last flush. */
class VolumePropertyTest {
    private static final int SLOTS = 10;
    private static final int BYTES = SLOTS * Geometry.SLOT_BYTES - 5 * Geometry.BLOCK_BYTES;

    @Property(tries = 12, shrinking = ShrinkingMode.OFF)
    void behavesLikeAnArray(@ForAll long seed) throws IOException {
        Path root = Files.createTempDirectory(Path.of("/dev/shm"), "satchel-volume-property");
        try (TestVault vault = TestVault.make(root.resolve("vault"))) {
            new Run(vault, new Random(seed)).run(120);
        } finally {
            deleteTree(root);
        }
    }

    static void deleteTree(Path root) throws IOException {
        try (var files = Files.walk(root)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    /** One volume's life. */
    private static final class Run {
        /** What the volume said at some moment, and how long the newest segment was then. */
        @SuppressWarnings("ArrayRecordComponent") // compared by contents, explicitly
        private record Moment(byte[] content, Path segment, long length) {}

        private final TestVault vault;
        private final Random random;
        private final SessionId session = SessionId.random();
        private final VolumeOptions options;
        private ChunkMapRef base = ChunkMapRef.EMPTY;
        private byte[] model = new byte[BYTES];
        /** Since the last flush, whose own moment is the first. */
        private final List<Moment> moments = new ArrayList<>();

        private Volume volume;

        Run(TestVault vault, Random random) throws IOException {
            this.vault = vault;
            this.random = random;
            this.options = new VolumeOptions(
                    VolumeOptions.ExistingLog.REPLAY, 4, random.nextInt(3), 1, 1, 1 << 20, random.nextInt(3) == 0);
            volume = open();
        }

        private Volume open() throws IOException {
            return Volume.open(vault.vault(), session, base, BYTES, options);
        }

        void run(int steps) throws IOException {
            for (int step = 0; step < steps; step++) {
                switch (random.nextInt(22)) {
                    case 0, 1, 2, 3, 4, 5, 6 -> write(true);
                    case 7, 8 -> write(false);
                    case 9 -> discard(true);
                    case 10 -> discard(false);
                    case 11, 12, 13, 14 -> read();
                    case 15, 16 -> flush();
                    case 17 -> volume.foldAll();
                    case 18 -> snapshotIsExact();
                    case 19 -> store();
                    case 20 -> reopen();
                    default -> crash();
                }
            }
            check(volume, model);
            volume.close();
        }

        private long[] range(boolean aligned, int most) {
            int unit = aligned ? Geometry.BLOCK_BYTES : 1 + random.nextInt(700);
            int length = unit * (1 + random.nextInt(Math.max(1, most / unit)));
            int offset = unit * random.nextInt((BYTES - length) / unit + 1);
            return new long[] {offset, length};
        }

        private void write(boolean aligned) throws IOException {
            long[] range = range(aligned, random.nextInt(8) == 0 ? 3 << 19 : 1 << 16);
            byte[] bytes = new byte[(int) range[1]];
            if (random.nextInt(6) != 0) {
                random.nextBytes(bytes);
            }
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment native0 = arena.allocate(bytes.length, 8);
                native0.copyFrom(MemorySegment.ofArray(bytes));
                volume.write(range[0], native0);
            }
            System.arraycopy(bytes, 0, model, (int) range[0], bytes.length);
            // One larger than a record may be torn inside; it makes no moment by itself.
            changed(aligned && bytes.length <= 1 << 20);
        }

        private void discard(boolean aligned) throws IOException {
            long[] range = range(aligned, BYTES / 2);
            volume.discard(range[0], range[1]);
            Arrays.fill(model, (int) range[0], (int) (range[0] + range[1]), (byte) 0);
            changed(aligned);
        }

        /** Remembers what a crash may leave. Changes of several records are flushed, so that no crash falls between. */
        private void changed(boolean oneRecord) throws IOException {
            if (oneRecord) {
                remember();
            } else {
                flush();
            }
        }

        private void remember() throws IOException {
            List<Path> segments = vault.segments(session);
            if (!segments.isEmpty()) {
                moments.add(new Moment(model.clone(), segments.getLast(), size(segments.getLast())));
            }
        }

        /** Of a segment that folding may delete at any moment; then it is of no interest. */
        private static long size(Path segment) throws IOException {
            try {
                return Files.size(segment);
            } catch (NoSuchFileException e) {
                return -1;
            }
        }

        private void flush() throws IOException {
            Optional<LogSegment> segment = volume.newestSegment();
            long end = segment.map(LogSegment::end).orElse(0L);
            volume.flush();
            if (segment.equals(volume.newestSegment())) {
                assertThat(segment.map(LogSegment::durable).orElse(0L)).isGreaterThanOrEqualTo(end);
            }
            moments.clear();
            remember();
        }

        private void read() throws IOException {
            long[] range = range(random.nextBoolean(), random.nextInt(4) == 0 ? BYTES : 1 << 17);
            byte[] expected = Arrays.copyOfRange(model, (int) range[0], (int) (range[0] + range[1]));
            assertThat(bytes(volume::read, range[0], range[1])).isEqualTo(expected);
        }

        private void snapshotIsExact() throws IOException {
            byte[] then = model.clone();
            try (Frozen frozen = volume.snapshot()) {
                write(true);
                discard(true);
                if (random.nextBoolean()) {
                    volume.foldAll();
                }
                write(true);
                check(frozen, then);
            }
            flush();
        }

        private void store() throws IOException {
            byte[] then = model.clone();
            ChunkMapRef stored;
            try (Frozen frozen = volume.snapshot();
                    var writer =
                            vault.vault().chunks().writer(vault.vault().chunks().ownDomain())) {
                write(true);
                stored = frozen.store(writer, task -> Thread.ofVirtual().start(task), random.nextInt(3));
                if (random.nextBoolean()) {
                    volume.foldAll();
                }
                writer.commit();
                write(true);
            }
            flush();
            // Somebody else's volume over the same map says what was there at the cut.
            try (Volume fork = Volume.open(vault.vault(), SessionId.random(), stored, BYTES, options)) {
                check(fork, then);
            }
            switch (random.nextInt(3)) {
                case 0 -> {
                    // The crash came before the head was replaced...
                    reopen();
                    volume.rebase(stored);
                    base = stored;
                }
                case 1 -> {
                    // ...or after, but before the log was told.
                    base = stored;
                    reopen();
                }
                default -> {
                    volume.rebase(stored);
                    base = stored;
                }
            }
            flush();
        }

        private void reopen() throws IOException {
            volume.close();
            volume = open();
            check(volume, model);
            flush();
        }

        /** The power goes: of the newest segment, only what was flushed is sure to be there. */
        private void crash() throws IOException {
            List<Path> before = vault.segments(session);
            long length = before.isEmpty() ? 0 : size(before.getLast());
            long durable = volume.newestSegment().map(LogSegment::durable).orElse(0L);
            volume.close();
            List<Path> segments = vault.segments(session);
            if (segments.isEmpty()
                    || moments.isEmpty()
                    || !moments.getFirst().segment().equals(segments.getLast())
                    || !segments.equals(before)
                    || Files.size(segments.getLast()) != length) {
                // Folded since the last flush, or just now: all of it is durable.
                volume = open();
                check(volume, model);
                flush();
                return;
            }
            Path newest = segments.getLast();
            long flushed = Math.max(durable, moments.getFirst().length());
            long kept = flushed + random.nextLong(length - flushed + 1);
            byte[] left = Arrays.copyOf(Files.readAllBytes(newest), (int) kept);
            boolean flipped = random.nextBoolean() && kept > flushed;
            if (flipped) {
                left[(int) (flushed + random.nextLong(kept - flushed))] ^= (byte) (1 << random.nextInt(8));
            }
            Files.write(newest, left);
            volume = open();
            byte[] found = bytes(volume::read, 0, BYTES);
            int newestWhole = -1;
            for (int i = moments.size() - 1; i >= 0 && newestWhole < 0; i--) {
                if (moments.get(i).length() <= kept) {
                    boolean same = Arrays.equals(moments.get(i).content(), found);
                    newestWhole = same ? i : -1;
                    assertThat(same || flipped)
                            .as("the last whole change is there")
                            .isTrue();
                }
            }
            assertThat(newestWhole)
                    .as("a moment between the last flush and the crash")
                    .isNotNegative();
            model = moments.get(newestWhole).content().clone();
            flush();
        }

        private static void check(dev.satchel.linux.fuse.FuseFile volume, byte[] expected) throws IOException {
            assertThat(Arrays.mismatch(bytes(volume::read, 0, expected.length), expected))
                    .isEqualTo(-1);
        }

        private interface Reading {
            void read(long offset, MemorySegment dst) throws IOException;
        }

        private static byte[] bytes(Reading reading, long offset, long length) throws IOException {
            try (Arena arena = Arena.ofShared()) {
                MemorySegment bytes = arena.allocate(length, 8);
                bytes.fill((byte) 0x77);
                reading.read(offset, bytes);
                return bytes.toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
            }
        }
    }
}
