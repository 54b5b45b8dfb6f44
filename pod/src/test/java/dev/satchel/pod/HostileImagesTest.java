package dev.satchel.pod;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import dev.satchel.vault.ChunkId;
import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.HeadWitness;
import dev.satchel.vault.KdfParameters;
import dev.satchel.vault.KeyDomainId;
import dev.satchel.vault.SimulatedDisk;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultKey;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Parts of a checkpoint that are authentic and make no sense, from a host that is hostile or another version: an {@link IOException}
 * or something that can be gone on with, in bounded memory.
 */
class HostileImagesTest {
    private static final int TRIES = Integer.getInteger("satchel.proof.tries", 8_000);
    private static final long ALLOCATED_BYTES_MAX = 1 << 20;

    private interface Parser {
        void parse(byte[] bytes, Random random) throws IOException;
    }

    private static void survives(byte[] genuine, Parser parser) {
        survives(genuine, TRIES, parser);
    }

    private static void survives(byte[] genuine, int tries, Parser parser) {
        long seed = Long.getLong("satchel.proof.seed", System.nanoTime());
        Random random = new Random(seed);
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        int refused = 0;
        for (int i = 0; i < tries; i++) {
            byte[] bytes = genuine.clone();
            for (int k = random.nextInt(4); k >= 0; k--) {
                byte value = (byte) (random.nextInt(3) == 0 ? 0xff : random.nextInt());
                bytes[random.nextInt(bytes.length)] = value;
            }
            if (random.nextInt(4) == 0) {
                bytes = java.util.Arrays.copyOf(bytes, random.nextInt(bytes.length + 20));
            }
            long before = threads.getCurrentThreadAllocatedBytes();
            try {
                parser.parse(bytes, random);
            } catch (IOException e) {
                refused++;
            } catch (RuntimeException e) {
                throw new AssertionError("seed " + seed + ", try " + i, e);
            }
            // The first ones load classes.
            if (i > 100) {
                assertThat(threads.getCurrentThreadAllocatedBytes() - before)
                        .as("seed %d, try %d", seed, i)
                        .isLessThan(ALLOCATED_BYTES_MAX);
            }
        }
        assertThat(refused).as("refused").isBetween(tries / 100, tries);
    }

    @Test
    void pagemaps() {
        ByteBuffer out = ByteBuffer.allocate(200).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(0x54564319).putInt(0x56084025);
        out.putInt(2).put(new byte[] {8, 1});
        for (int i = 0; i < 8; i++) {
            out.putInt(9).put(new byte[] {8, (byte) (0x80 | i), 0x20, 0x20, 4, 0x28, (byte) 0x81, 1, 0x20});
        }
        byte[] genuine = java.util.Arrays.copyOf(out.array(), out.position());
        survives(genuine, (bytes, random) -> {
            long[] total = new long[1];
            long unused = Pagemap.read("pagemap-1.img", ByteBuffer.wrap(bytes), (address, length, _) -> {
                assertThat(length).isPositive();
                total[0] += length;
            });
            assertThat(unused).isGreaterThanOrEqualTo(Long.MIN_VALUE);
        });
    }

    @Test
    void deltasOfPages() {
        byte[] genuine = new byte[16 + 3 * 4096];
        for (int i = 0; i < 16; i++) {
            genuine[i] = (byte) (i % 5 == 0 && i < 15 ? 255 : i);
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment base = arena.allocate(16 * 4096);
            MemorySegment window = arena.allocate(ChunkRef.LENGTH_MAX);
            survives(genuine, (bytes, random) -> {
                if (bytes.length == 0) {
                    throw new IOException("no chunk is empty");
                }
                // The head is where a delta can lie.
                for (int k = random.nextInt(3); k > 0; k--) {
                    bytes[random.nextInt(Math.min(16, bytes.length))] = (byte) random.nextInt();
                }
                ChunkRef ref = new ChunkRef(new KeyDomainId(1, 1), new ChunkId(1, 2, 3, 4), bytes.length);
                try (Arena scratch = Arena.ofConfined()) {
                    MemorySegment delta = scratch.allocateFrom(ValueLayout.JAVA_BYTE, bytes);
                    int windowBytes = PageDelta.windowBytes(ref);
                    assertThat(windowBytes).isBetween(4096, ChunkRef.LENGTH_MAX);
                    PageDelta.decode(delta, base, window, windowBytes);
                }
            });
        }
    }

    /** A table that is damaged, and a few files behind it. */
    private static byte[] archive() {
        ByteBuffer out = ByteBuffer.allocate(400);
        out.put("SATCHKP2".getBytes(StandardCharsets.US_ASCII)).putInt(4).putInt(2);
        String[] names = {"core-1.img", "pagemap-1.img", "pagemap-2.img", "inventory.img"};
        for (String name : names) {
            out.putShort((short) name.length()).put(name.getBytes(StandardCharsets.US_ASCII));
            out.putLong(20);
        }
        for (int i = 1; i <= 2; i++) {
            out.putShort((short) 11).put(("pages-" + i + ".img").getBytes(StandardCharsets.US_ASCII), 0, 11);
            out.putLong(i * 8L).putLong(8).putLong(4096 * 7);
        }
        out.put(new byte[names.length * 20]);
        return java.util.Arrays.copyOf(out.array(), out.position());
    }

    @Test
    void tablesOfFiles(@TempDir Path directory) throws IOException {
        SimulatedDisk.Program disk = new SimulatedDisk(1, 1L << 30).process();
        byte[] passphrase = {1, 2, 3};
        try (DirectoryBackend backend = disk.backend("/vault")) {
            Vault.init(backend, passphrase, KdfParameters.FOR_TESTS);
        }
        DirectoryBackend backend = disk.backend("/vault");
        try (VaultKey key = Vault.unlock(backend, passphrase);
                Vault vault = Vault.open(backend, key, HeadWitness.NONE);
                ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            Path to = Files.createDirectory(directory.resolve("to"));
            survives(archive(), TRIES / 16, (bytes, random) -> {
                if (bytes.length == 0) {
                    throw new IOException("no chunk is empty");
                }
                ChunkMapRef ref;
                try (Arena arena = Arena.ofConfined()) {
                    ChunkMap.Editor map =
                            ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
                    map.set(0, writer.put(arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes)));
                    ref = map.store(writer);
                    writer.commit();
                }
                IOException first = null;
                Map<String, byte[]> pagemaps = new HashMap<>();
                for (int what = 0; what < 4; what++) {
                    try {
                        switch (what) {
                            case 0 ->
                                assertThat(ImageArchive.format(vault.chunks(), ref))
                                        .isBetween(1, 9);
                            case 1 ->
                                assertThat(ImageArchive.pagemaps(vault.chunks(), ref, pagemaps))
                                        .allMatch(file -> file.slots() >= 0 && file.firstSlot() >= 0);
                            case 2 ->
                                assertThat(ImageArchive.extract(vault.chunks(), ref, to))
                                        .hasSizeLessThan(9);
                            default ->
                                assertThat(ImageArchive.convert(
                                                vault.chunks(), ref, ImageArchive.FORMAT, file -> file, writer))
                                        .isNotNull();
                        }
                    } catch (IOException e) {
                        first = e;
                    }
                }
                try (Stream<Path> files = Files.list(to)) {
                    for (Path file : files.toList()) {
                        Files.delete(file);
                    }
                }
                if (first != null) {
                    throw first;
                }
            });
        }
        try (Stream<Path> all = Files.list(directory)) {
            assertThat(all.map(file -> file.getFileName().toString())).containsExactly("to");
        }
    }

    /** Of a process whose memory is one run of pages. */
    private static byte[] pagemap(long pages) {
        ByteBuffer out = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(0x54564319).putInt(0x56084025);
        out.putInt(2).put(new byte[] {8, 1});
        int lengthAt = out.position();
        out.putInt(0).put(new byte[] {8, 0, 0x20, 4, 0x28});
        for (long rest = pages; ; rest >>>= 7) {
            out.put((byte) ((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0)));
            if (rest <= 0x7f) {
                break;
            }
        }
        out.putInt(lengthAt, out.position() - lengthAt - 4);
        return java.util.Arrays.copyOf(out.array(), out.position());
    }

    /** A checkpoint of four windows, the last by a delta, that tells of more. */
    private static Checkpoint checkpoint(
            Vault vault, Path directory, byte[] pagemap, List<PagesFile> files, int namesSlots) throws IOException {
        try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain());
                Arena arena = Arena.ofConfined()) {
            ChunkMap.Editor map =
                    ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
            ChunkRef window = writer.put(arena.allocate(PageWindows.BYTES));
            for (int i = 0; i < 4; i++) {
                map.set((long) i * PageWindows.SLOTS, window);
            }
            map.set(7, window);
            ChunkRef names = writer.put(arena.allocate(ChunkRef.LENGTH_MAX));
            ChunkRef missing = new ChunkRef(names.domain(), new ChunkId(1, 2, 3, 4), ChunkRef.LENGTH_MAX);
            for (int i = 0; i < namesSlots; i++) {
                map.set(8 + i, i == 0 ? names : missing);
            }
            Path file = Files.write(directory.resolve("pagemap-1.img"), pagemap);
            ChunkMapRef images = ImageArchive.store(List.of(file), files, vault.chunks(), writer);
            ChunkMapRef pages = map.store(writer);
            writer.commit();
            return new Checkpoint(images, pages, 1, 4 * PageWindows.BYTES);
        }
    }

    private interface Reading {
        void read() throws IOException;
    }

    private static void refuses(Reading reading, String what) {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long before = threads.getCurrentThreadAllocatedBytes();
        assertThatThrownBy(reading::read).isInstanceOf(IOException.class).hasMessageContaining(what);
        assertThat(threads.getCurrentThreadAllocatedBytes() - before).isLessThan(8 * ALLOCATED_BYTES_MAX);
    }

    @Test
    void memoryThatIsNotThere(@TempDir Path directory) throws IOException {
        SimulatedDisk.Program disk = new SimulatedDisk(1, 1L << 30).process();
        byte[] passphrase = {1, 2, 3};
        try (DirectoryBackend backend = disk.backend("/vault")) {
            Vault.init(backend, passphrase, KdfParameters.FOR_TESTS);
        }
        DirectoryBackend backend = disk.backend("/vault");
        try (VaultKey key = Vault.unlock(backend, passphrase);
                Vault vault = Vault.open(backend, key, HeadWitness.NONE)) {
            byte[] genuine = pagemap(64);
            byte[] vast = pagemap(1L << 28);
            List<PagesFile> whole = List.of(new PagesFile(1, 0, 8, 64 * 4096));

            // Names are read as they are needed, not all that there may be.
            PageWindows windows = PageWindows.of(vault.chunks(), checkpoint(vault, directory, genuine, whole, 1000));
            assertThat(windows.find("pagemap-1.img", 3)).isNotNull();
            assertThat(windows.find("pagemap-1.img", 4)).isNull();
            Checkpoint none = checkpoint(vault, directory, genuine, whole, 0);
            refuses(() -> PageWindows.of(vault.chunks(), none), "names of windows are not whole");

            Checkpoint runs = checkpoint(vault, directory, vast, whole, 1);
            refuses(() -> PageWindows.of(vault.chunks(), runs), "pages-1.img is not whole");
            Path run = Files.createDirectory(directory.resolve("run"));
            refuses(
                    () -> CheckpointImages.of(run, vault.chunks(), runs, true).close(),
                    "more memory than the checkpoint has");

            long slots = (long) PageWindows.WINDOWS_MAX * PageWindows.SLOTS;
            Checkpoint longer = checkpoint(vault, directory, genuine, List.of(new PagesFile(1, 0, slots, 1L << 40)), 1);
            refuses(() -> PageWindows.of(vault.chunks(), longer), "not whole");
            for (List<PagesFile> files : List.of(
                    List.of(new PagesFile(1, 0, slots + 2, 1L << 40)),
                    List.of(new PagesFile(1, 0, 8, 64 * 4096), new PagesFile(2, 6, 8, 64 * 4096)))) {
                Checkpoint overlapping = checkpoint(vault, directory, genuine, files, 1);
                refuses(() -> PageWindows.of(vault.chunks(), overlapping), "table of files is damaged");
            }
        }
    }
}
