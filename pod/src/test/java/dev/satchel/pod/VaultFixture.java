package dev.satchel.pod;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.satchel.linux.Fd;
import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.Head;
import dev.satchel.vault.HeadWitness;
import dev.satchel.vault.HostId;
import dev.satchel.vault.ImageId;
import dev.satchel.vault.ImageManifest;
import dev.satchel.vault.KdfParameters;
import dev.satchel.vault.KeyDomain;
import dev.satchel.vault.Lease;
import dev.satchel.vault.SessionId;
import dev.satchel.vault.SnapshotDraft;
import dev.satchel.vault.SnapshotId;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultKey;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Writes the vaults in {@code src/test/resources/vaults}, one with each version whose files differ: run with an empty directory as its
 * argument, by the code of that version, and packed with {@code zip -r}. What is in them is the same for all, and
 * {@link FixtureVaultsTest} knows it.
 */
final class VaultFixture {
    static final byte[] PASSPHRASE = "kept for those who come after".getBytes(UTF_8);
    static final String SESSION = "work";
    static final String IMAGE = "debian";
    static final String SETTINGS = "{\"image\":\"debian\"}";
    static final Instant CREATED = Instant.ofEpochMilli(1_763_700_000_000L);
    static final int PAGES = 40;
    private static final int PAGE = 4096;

    private VaultFixture() {}

    public static void main(String[] arguments) throws IOException {
        Path place = Path.of(arguments[0]);
        try (DirectoryBackend backend = new DirectoryBackend(place)) {
            Vault.init(backend, PASSPHRASE, KdfParameters.FOR_TESTS);
        }
        DirectoryBackend backend = new DirectoryBackend(place);
        try (VaultKey key = Vault.unlock(backend, PASSPHRASE);
                Vault vault = Vault.open(backend, key, HeadWitness.NONE)) {
            write(vault);
        }
    }

    private static void write(Vault vault) throws IOException {
        SessionId session = SessionId.random();
        SortedMap<String, ChunkMapRef> trees = new TreeMap<>();
        SnapshotId first;
        SnapshotId second;
        try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            ChunkMap.Editor disk =
                    ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
            put(writer, disk, 0, text("the first block"));
            put(writer, disk, 5, noise(5, 3000));
            trees.put("volume", disk.store(writer));
            writer.commit();
            first = vault.put(draft(session, Optional.empty(), "create", trees));
            put(writer, disk, 0, text("the first block, changed"));
            put(writer, disk, 3000, text("far behind"));
            trees.put("volume", disk.store(writer));
            ChunkMap.Editor thumbnail =
                    ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
            put(writer, thumbnail, 0, noise(8, 900));
            trees.put("thumbnail", thumbnail.store(writer));
            Checkpoint checkpoint = checkpoint(vault, writer);
            trees.put("checkpoint/images", checkpoint.images());
            trees.put("checkpoint/pages", checkpoint.pages());
            writer.commit();
            second = vault.put(draft(session, Optional.of(first), "suspend", trees));
        }
        try (Lease lease = vault.acquire(session, new HostId(1, 2), "fixture", false)) {
            vault.putHead(Head.first(session, SESSION, Optional.of(second), SETTINGS.getBytes(UTF_8)), lease);
        }
        try (KeyDomain keys = KeyDomain.random()) {
            ChunkMapRef volume;
            try (ChunkWriter writer = vault.chunks().writer(keys)) {
                ChunkMap.Editor disk =
                        ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
                put(writer, disk, 7, text("an image"));
                volume = disk.store(writer);
                writer.commit();
            }
            vault.putImage(new ImageManifest(
                    ImageId.random(), IMAGE, CREATED, keys, volume, 1 << 20, 8, "{}".getBytes(UTF_8)));
        }
    }

    private static SnapshotDraft draft(
            SessionId session, Optional<SnapshotId> parent, String kind, SortedMap<String, ChunkMapRef> trees) {
        return new SnapshotDraft(
                session,
                parent,
                CREATED,
                kind,
                trees,
                "{\"disk_bytes\":1048576,\"processes\":1,\"bytes_memory\":163840}".getBytes(UTF_8),
                1,
                2);
    }

    private static void put(ChunkWriter writer, ChunkMap.Editor map, long slot, byte[] content) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment chunk = arena.allocate(content.length);
            chunk.copyFrom(MemorySegment.ofArray(content));
            map.set(slot, writer.put(chunk));
        }
    }

    /** Compressible. */
    static byte[] text(String line) {
        return (line + "\n").repeat(40).getBytes(UTF_8);
    }

    static byte[] noise(long seed, int length) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    /** The memory of its one process, by page. */
    static byte[] memory() {
        ByteArrayOutputStream pages = new ByteArrayOutputStream();
        for (int page = 0; page < PAGES; page++) {
            pages.writeBytes(page % 2 == 0 ? noise(page, PAGE) : new byte[PAGE]);
        }
        return pages.toByteArray();
    }

    private static Checkpoint checkpoint(Vault vault, ChunkWriter writer) throws IOException {
        Path images = Files.createTempDirectory("fixture-");
        ByteBuffer pagemap = ByteBuffer.allocate(16 + 32).order(ByteOrder.LITTLE_ENDIAN);
        pagemap.putInt(0x54564319).putInt(0x56084025);
        pagemap.putInt(2).put((byte) 8).put((byte) 1); // pagemap_head: pages_id 1
        // pagemap_entry: vaddr 0x9000, compat_nr_pages, flags: present
        pagemap.putInt(8).put(new byte[] {8, (byte) 0x80, (byte) 0xa0, 2, 2 << 3, PAGES, 4 << 3, 4});
        Path mapFile = Files.write(
                images.resolve("pagemap-7.img"), java.util.Arrays.copyOf(pagemap.array(), pagemap.position()));
        Files.write(images.resolve("core-7.img"), text("registers"));
        try (Fd.Pipe pipe = Fd.pipe();
                Arena arena = Arena.ofConfined();
                WindowPrints prints = new WindowPrints();
                CheckpointWriter checkpoint = new CheckpointWriter(
                        images,
                        vault.chunks(),
                        writer,
                        CheckpointWriter.Earlier.of(vault.chunks(), Optional.empty(), prints),
                        false)) {
            pipe.writer().resizePipe(1 << 20);
            byte[] memory = memory();
            MemorySegment bytes = arena.allocate(memory.length);
            bytes.copyFrom(MemorySegment.ofArray(memory));
            pipe.writer().write(bytes);
            CapturedPages captured = new CapturedPages("pages-1.img");
            captured.add(new CapturedPages.Part(pipe.reader(), memory.length, () -> {}));
            checkpoint.pagemap(mapFile);
            checkpoint.pages(captured);
            return checkpoint.store(List.of());
        }
    }
}
