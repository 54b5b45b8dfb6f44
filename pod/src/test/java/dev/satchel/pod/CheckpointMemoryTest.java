package dev.satchel.pod;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.linux.Fd;
import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.HeadWitness;
import dev.satchel.vault.KdfParameters;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultKey;
import dev.satchel.vault.WriteStats;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Images of one process that are written here, taken into a vault and read again. */
@Timeout(120)
class CheckpointMemoryTest {
    private static final int PAGE = 4096;
    private static final int WINDOW_PAGES = 16;
    private static final byte[] PASSPHRASE = "correct horse".getBytes(StandardCharsets.UTF_8);

    @TempDir
    private Path directory = Path.of("");

    private Vault vault;
    private final WindowPrints prints = new WindowPrints();
    private int dumps;

    @BeforeEach
    void init() throws IOException {
        try (DirectoryBackend backend = new DirectoryBackend(directory.resolve("vault"))) {
            Vault.init(backend, PASSPHRASE, KdfParameters.FOR_TESTS);
        }
        open();
    }

    private void open() throws IOException {
        Path place = directory.resolve("vault");
        DirectoryBackend backend = new DirectoryBackend(place);
        try (VaultKey key = Vault.unlock(backend, PASSPHRASE)) {
            vault = Vault.open(backend, key, HeadWitness.NONE);
        }
    }

    @AfterEach
    void close() throws IOException {
        vault.close();
        prints.close();
    }

    /** Noise: nothing of it is saved by compression. */
    private static SortedMap<Long, byte[]> memory(int pages) {
        SortedMap<Long, byte[]> memory = new TreeMap<>();
        for (long page = 0; page < pages; page++) {
            memory.put(1000 + page, page(page));
        }
        return memory;
    }

    private static byte[] page(long seed) {
        byte[] page = new byte[PAGE];
        new Random(seed).nextBytes(page);
        return page;
    }

    /** @param named how many windows were named as chunks */
    private record Taken(Checkpoint checkpoint, WriteStats stats, int named, WindowPrints.Table table) {}

    /** Counts what is hashed. */
    private static final class Counting implements ChunkWriter {
        private final ChunkWriter writer;
        private final AtomicInteger named = new AtomicInteger();

        Counting(ChunkWriter writer) {
            this.writer = writer;
        }

        @Override
        public ChunkRef put(MemorySegment plaintext) throws IOException {
            named.incrementAndGet();
            return writer.put(plaintext);
        }

        @Override
        public ChunkRef refTo(MemorySegment plaintext) throws IOException {
            named.incrementAndGet();
            return writer.refTo(plaintext);
        }

        @Override
        public boolean has(ChunkRef ref) throws IOException {
            return writer.has(ref);
        }

        @Override
        public WriteStats commit() throws IOException {
            return writer.commit();
        }

        @Override
        public void close() throws IOException {
            writer.close();
        }
    }

    private Taken take(SortedMap<Long, byte[]> memory, PageWindows before) throws IOException {
        return take(memory, before, null, false);
    }

    private Taken take(
            SortedMap<Long, byte[]> memory, PageWindows before, WindowPrints.@Nullable Table table, boolean sifting)
            throws IOException {
        Path images = Files.createDirectory(directory.resolve("dump" + dumps++));
        ByteArrayOutputStream pages = new ByteArrayOutputStream();
        ByteBuffer pagemap = ByteBuffer.allocate(16 + memory.size() * 32).order(ByteOrder.LITTLE_ENDIAN);
        pagemap.putInt(0x54564319).putInt(0x56084025);
        pagemap.putInt(2).put((byte) 8).put((byte) 1); // pagemap_head: pages_id 1
        for (Map.Entry<Long, byte[]> page : memory.entrySet()) {
            pages.write(page.getValue());
            int lengthAt = pagemap.position();
            pagemap.putInt(0).put((byte) 8); // vaddr
            for (long rest = page.getKey() * PAGE; ; rest >>>= 7) {
                pagemap.put((byte) ((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0)));
                if (rest <= 0x7f) {
                    break;
                }
            }
            pagemap.put((byte) (2 << 3)).put((byte) 1); // compat_nr_pages
            pagemap.put((byte) (4 << 3)).put((byte) 4); // flags: present
            pagemap.putInt(lengthAt, pagemap.position() - lengthAt - 4);
        }
        byte[] map = new byte[pagemap.position()];
        pagemap.flip().get(map);
        Path mapFile = Files.write(images.resolve("pagemap-7.img"), map);
        try (Fd.Pipe pipe = Fd.pipe();
                Arena arena = Arena.ofConfined();
                Counting writer =
                        new Counting(vault.chunks().writer(vault.chunks().ownDomain()));
                CheckpointWriter checkpoint = new CheckpointWriter(
                        images,
                        vault.chunks(),
                        writer,
                        new CheckpointWriter.Earlier(CompletableFuture.completedFuture(before), prints, table),
                        sifting)) {
            pipe.writer().resizePipe(1 << 20);
            MemorySegment bytes = arena.allocate(pages.size());
            bytes.copyFrom(MemorySegment.ofArray(pages.toByteArray()));
            assertThat(pipe.writer().write(bytes)).isEqualTo(bytes.byteSize());
            CapturedPages captured = new CapturedPages("pages-1.img");
            captured.add(new CapturedPages.Part(pipe.reader(), bytes.byteSize(), () -> {}));
            checkpoint.pagemap(mapFile);
            checkpoint.pages(captured);
            if (sifting) {
                checkpoint.awaitSifted();
                // Whatever the processes do now.
                assertThatThrownBy(() -> captured.read(bytes.asSlice(0, 1))).isInstanceOf(EOFException.class);
            }
            int named = writer.named.get();
            Checkpoint stored = checkpoint.store(List.of());
            assertThat(sifting ? named : 0).isZero();
            return new Taken(stored, writer.commit(), writer.named.get(), checkpoint.table());
        }
    }

    private PageWindows windows(Taken taken) throws IOException {
        return PageWindows.of(vault.chunks(), taken.checkpoint());
    }

    /** Reads as CRIU does: parts of windows, one after another. */
    private byte[] read(Taken taken) throws IOException {
        return read(taken, CheckpointPages.Listener.NONE);
    }

    private byte[] read(Taken taken, CheckpointPages.Listener listener) throws IOException {
        Map<String, byte[]> pagemaps = new HashMap<>();
        List<PagesFile> files =
                ImageArchive.pagemaps(vault.chunks(), taken.checkpoint().images(), pagemaps);
        PageWindows.Layout layout =
                PageWindows.Layout.of("pagemap", pagemaps.values().iterator().next(), PageWindows.WINDOWS_MAX);
        ChunkMap map = ChunkMap.load(vault.chunks(), taken.checkpoint().pages());
        try (Arena arena = Arena.ofConfined();
                WindowScratch scratch = new WindowScratch();
                CheckpointPages pages =
                        new CheckpointPages(vault.chunks(), map, files.getFirst(), layout, scratch, listener)) {
            MemorySegment bytes = arena.allocate(pages.sizeBytes());
            long step = 100_000 / PAGE * PAGE;
            for (long at = 0; at < bytes.byteSize(); at += step) {
                pages.read(at, bytes.asSlice(at, Math.min(step, bytes.byteSize() - at)));
            }
            return bytes.toArray(ValueLayout.JAVA_BYTE);
        }
    }

    private static byte[] bytes(SortedMap<Long, byte[]> memory) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        memory.values().forEach(all::writeBytes);
        return all.toByteArray();
    }

    @Test
    void storesOfAWindowThatChangedOnlyThePagesThatDid() throws IOException {
        SortedMap<Long, byte[]> memory = memory(14 * WINDOW_PAGES);
        Taken first = take(memory, PageWindows.NONE);
        assertThat(read(first)).isEqualTo(bytes(memory));

        for (long page = 1000; page < 1000 + 14 * WINDOW_PAGES; page += WINDOW_PAGES) {
            memory.put(page, page(-page));
        }
        Taken second = take(memory, windows(first));

        assertThat(read(second)).isEqualTo(bytes(memory));
        // 14 pages, and what describes them; the windows are fourteen times 64 KiB.
        assertThat(second.stats().bytesNew()).isBetween(14L * PAGE, 24L * PAGE);
        Taken third = take(memory, windows(second));
        assertThat(third.stats().bytesNew()).isLessThan(3L * PAGE);
        assertThat(third.checkpoint().pages()).isEqualTo(second.checkpoint().pages());
    }

    @Test
    void knowsAWindowThatDidNotChangeByItsName() throws IOException {
        SortedMap<Long, byte[]> memory = memory(2 * WINDOW_PAGES);
        Taken first = take(memory, PageWindows.NONE);
        memory.put(1008L, page(-1));
        Taken second = take(memory, windows(first));
        WindowForm form = Objects.requireNonNull(windows(second).find("pagemap-7.img", 1008 / WINDOW_PAGES))
                .form();
        WindowForm.Over over = Objects.requireNonNull(form.over());

        ByteArrayOutputStream window = new ByteArrayOutputStream();
        memory.subMap(1008L, 1008L + WINDOW_PAGES).values().forEach(window::writeBytes);
        try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain());
                Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(window.size());
            bytes.copyFrom(MemorySegment.ofArray(window.toByteArray()));
            assertThat(over.isOf(writer.refTo(bytes).id())).isTrue();
            bytes.set(ValueLayout.JAVA_BYTE, 0, (byte) ~bytes.get(ValueLayout.JAVA_BYTE, 0));
            assertThat(over.isOf(writer.refTo(bytes).id())).isFalse();
        }
        PageWindows third = windows(take(memory, windows(second)));
        assertThat(Objects.requireNonNull(third.find("pagemap-7.img", 1008 / WINDOW_PAGES))
                        .form())
                .isEqualTo(form);
    }

    /** Of programs that go on, checkpoint after checkpoint; windows that changed have something over their base from the second on. */
    @Test
    void knowsWindowsThatDidNotChangeByTheirFingerprints() throws IOException {
        SortedMap<Long, byte[]> memory = memory(14 * WINDOW_PAGES);
        Taken before = take(memory, PageWindows.NONE, null, true);
        assertThat(read(before)).isEqualTo(bytes(memory));
        for (int round = 1; round < 5; round++) {
            memory.put(1000L + round, page(-round));
            memory.put(1100L, page(-100L * round));
            Taken now = take(memory, windows(before), before.table(), true);
            assertThat(read(now)).isEqualTo(bytes(memory));
            assertThat(now.stats().bytesNew()).isLessThan(10L * PAGE);
            // Of the two windows that changed what is new; then the map's nodes and the names. Not the windows: they
            // are known to be others.
            assertThat(now.named()).isEqualTo(6);
            before = now;
        }
        Taken suspended = take(memory, windows(before), before.table(), false);
        assertThat(suspended.named()).isLessThan(6);
        assertThat(suspended.checkpoint().pages()).isEqualTo(before.checkpoint().pages());
        assertThat(take(memory, windows(before)).named()).isGreaterThan(14);
    }

    /** As by a resume. */
    @Test
    void takesTheFingerprintsOfWhatItReads() throws IOException {
        SortedMap<Long, byte[]> memory = memory(14 * WINDOW_PAGES);
        Taken first = take(memory, PageWindows.NONE);
        memory.put(1007L, page(-1));
        Taken second = take(memory, windows(first));
        WindowPrints.Table table = new WindowPrints.Table(second.checkpoint().pages());
        table.add(1, 15);
        byte[] read = read(second, (number, window) -> table.set(1, number, prints.of(window)));
        assertThat(read).isEqualTo(bytes(memory));
        assertThat(take(memory, windows(second), table, false).named()).isLessThan(6);
        prints.compareWith(table);
        assertThat(prints.tableOf(second.checkpoint())).isSameAs(table);
        assertThat(prints.tableOf(first.checkpoint())).isNull();
    }

    @Test
    void storesAgainWhatIsKnownByItsFingerprintButGone() throws IOException {
        SortedMap<Long, byte[]> memory = memory(2 * WINDOW_PAGES);
        Taken first = take(memory, PageWindows.NONE, null, true);
        PageWindows windows = windows(first);
        for (Path pack : packs()) {
            Files.delete(pack);
        }
        vault.close();
        open();
        Taken second = take(memory, windows, first.table(), false);
        assertThat(read(second)).isEqualTo(bytes(memory));
    }

    private List<Path> packs() throws IOException {
        try (Stream<Path> files = Files.walk(directory.resolve("vault"))) {
            return files.filter(file -> file.toString().contains("/packs/") && Files.isRegularFile(file))
                    .toList();
        }
    }

    @Test
    void readsPagesThatCameAndWentAndMoved() throws IOException {
        Random random = new Random(5);
        SortedMap<Long, byte[]> memory = memory(12 * WINDOW_PAGES);
        Taken before = take(memory, PageWindows.NONE);
        for (int round = 0; round < 20; round++) {
            for (int change = 0; change < 15; change++) {
                long page = 1000L + random.nextInt(13 * WINDOW_PAGES);
                switch (random.nextInt(3)) {
                    case 0 -> memory.remove(page);
                    case 1 -> memory.put(page, page(random.nextLong()));
                    default -> {
                        byte[] moved = memory.remove(page);
                        if (moved != null) {
                            memory.put(page + 1, moved);
                        }
                    }
                }
            }
            Taken now = take(memory, windows(before));
            assertThat(read(now)).isEqualTo(bytes(memory));
            before = now;
        }
    }

    @Test
    void aWindowOfWhichLittleIsLeftIsStoredWholeAndIsTheNextBase() throws IOException {
        SortedMap<Long, byte[]> memory = memory(WINDOW_PAGES * 2);
        Taken first = take(memory, PageWindows.NONE);
        long window = 1008; // a multiple of 16 pages
        for (long page = window; page < window + 13; page++) {
            memory.put(page, page(-page));
        }
        Taken second = take(memory, windows(first));
        assertThat(second.stats().bytesNew()).isGreaterThan(16L * PAGE);
        memory.put(window, page(77));
        Taken third = take(memory, windows(second));
        assertThat(third.stats().bytesNew()).isBetween((long) PAGE, 4L * PAGE);
        assertThat(read(third)).isEqualTo(bytes(memory));
    }

    @Test
    void saysThatImagesAreOfAFormatThatItDoesNotKnow() throws IOException {
        try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain());
                Arena arena = Arena.ofConfined()) {
            MemorySegment images = arena.allocate(16);
            MemorySegment.copy(
                    "SATCHKP3".getBytes(StandardCharsets.UTF_8), 0, images, ValueLayout.JAVA_BYTE, 0, Long.BYTES);
            ChunkMap.Editor map =
                    ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
            map.set(0, writer.put(images));
            ChunkMapRef archive = map.store(writer);
            writer.commit();
            assertThatThrownBy(() -> ImageArchive.extract(vault.chunks(), archive, directory))
                    .hasMessageContaining("format 3")
                    .hasMessageContaining("newer version");
            assertThatThrownBy(() ->
                            CheckpointFormats.upgrade(vault.chunks(), writer, new Checkpoint(archive, archive, 1, 0)))
                    .hasMessageContaining("format 3")
                    .hasMessageContaining("up to 2");
            Checkpoint earlier = new Checkpoint(archive, archive, 1, 0);
            assertThat(PageWindows.ofReadable(vault.chunks(), earlier)).isSameAs(PageWindows.NONE);
        }
    }

    @Test
    void refusesADeltaThatIsNone() throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment base = arena.allocate(2 * PAGE);
            MemorySegment window = arena.allocate(2 * PAGE);
            MemorySegment delta = arena.allocate(2);
            delta.set(ValueLayout.JAVA_BYTE, 1, (byte) 2);
            assertThatThrownBy(() -> PageDelta.decode(delta, base, window, 2 * PAGE))
                    .hasMessageContaining("not as this version");
            delta.set(ValueLayout.JAVA_BYTE, 1, (byte) 255);
            assertThatThrownBy(() -> PageDelta.decode(delta, base, window, 2 * PAGE))
                    .hasMessageContaining("not as this version");
        }
        try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain());
                Arena arena = Arena.ofConfined()) {
            ChunkRef ref = writer.put(arena.allocate(PAGE));
            assertThatThrownBy(() -> PageDelta.windowBytes(ref)).hasMessageContaining("not as this version");
        }
    }
}
