package dev.satchel.pod;

import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkStore;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.HeadWitness;
import dev.satchel.vault.Snapshot;
import dev.satchel.vault.SnapshotId;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultKey;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Writes a snapshot as plain files, for programs that Satchel is measured beside: {@code SnapshotExport VAULT PASSPHRASE-FILE
 * PREVIOUS SNAPSHOT DIRECTORY}. The disk goes into {@code disk}, the processes' state, as CRIU would have written it, into {@code
 * memory}, which must not be there. If {@code PREVIOUS} is not {@code -}, {@code disk} is that snapshot's already, and is changed to
 * be this one's.
 */
public final class SnapshotExport {
    private SnapshotExport() {}

    /** Runs it. */
    public static void main(String[] arguments) throws Exception {
        DirectoryBackend backend = new DirectoryBackend(Path.of(arguments[0]));
        byte[] passphrase =
                Files.readAllLines(Path.of(arguments[1])).getFirst().getBytes(java.nio.charset.StandardCharsets.UTF_8);
        Path directory = Path.of(arguments[4]);
        try (VaultKey key = Vault.unlock(backend, passphrase);
                Vault vault = Vault.open(backend, key, HeadWitness.NONE);
                Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(ChunkRef.LENGTH_MAX, 64);
            ChunkMapRef before = arguments[2].equals("-")
                    ? ChunkMapRef.EMPTY
                    : tree(vault.snapshot(SnapshotId.parse(arguments[2])), "volume");
            Snapshot snapshot = vault.snapshot(SnapshotId.parse(arguments[3]));
            disk(vault.chunks(), before, tree(snapshot, "volume"), directory.resolve("disk"), buffer);
            Path memory = Files.createDirectory(directory.resolve("memory"));
            if (snapshot.trees().containsKey("checkpoint/images")) {
                memory(
                        vault.chunks(),
                        tree(snapshot, "checkpoint/images"),
                        tree(snapshot, "checkpoint/pages"),
                        memory,
                        buffer);
            }
        }
    }

    private static ChunkMapRef tree(Snapshot snapshot, String name) {
        ChunkMapRef tree = snapshot.trees().get(name);
        if (tree == null) {
            throw new IllegalArgumentException("the snapshot " + snapshot.id() + " has no " + name);
        }
        return tree;
    }

    private static void disk(ChunkStore chunks, ChunkMapRef before, ChunkMapRef after, Path file, MemorySegment buffer)
            throws IOException {
        Map<Long, ChunkRef> there = new HashMap<>();
        ChunkMap.load(chunks, before).forEach(0, before.slots(), there::put);
        try (FileChannel out = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            ChunkMap.load(chunks, after).forEach(0, after.slots(), (slot, ref) -> {
                boolean known = ref.equals(there.remove(slot));
                // The superblock says whether the journal is to be replayed; who replays it notes so there.
                if (!known || slot == 0) {
                    int length = chunks.read(ref, buffer);
                    write(out, buffer.asSlice(0, length), slot * ChunkRef.LENGTH_MAX);
                }
            });
            buffer.fill((byte) 0);
            for (long slot : there.keySet()) {
                write(out, buffer, slot * ChunkRef.LENGTH_MAX);
            }
        }
    }

    private static void memory(
            ChunkStore chunks, ChunkMapRef images, ChunkMapRef pages, Path directory, MemorySegment buffer)
            throws IOException {
        List<PagesFile> files = ImageArchive.extract(chunks, images, directory);
        Map<Long, PageWindows.Layout> layouts = new HashMap<>();
        try (DirectoryStream<Path> pagemaps = Files.newDirectoryStream(directory, Pagemap.PREFIX + "*")) {
            for (Path pagemap : pagemaps) {
                PageWindows.Layout layout =
                        PageWindows.Layout.of(pagemap.toString(), Pagemap.bytes(pagemap), PageWindows.WINDOWS_MAX);
                layouts.put(layout.id(), layout);
            }
        }
        ChunkMap map = ChunkMap.load(chunks, pages);
        try (WindowScratch scratch = new WindowScratch()) {
            for (PagesFile file : files) {
                PageWindows.Layout layout = Objects.requireNonNull(layouts.get(file.id()), file.name());
                try (CheckpointPages decoded =
                                new CheckpointPages(chunks, map, file, layout, scratch, CheckpointPages.Listener.NONE);
                        FileChannel out = FileChannel.open(
                                directory.resolve(file.name()),
                                StandardOpenOption.CREATE_NEW,
                                StandardOpenOption.WRITE)) {
                    long position = 0;
                    for (int window = 0; window < decoded.count(); window++) {
                        int length = decoded.decode(window, buffer);
                        write(out, buffer.asSlice(0, length), position);
                        position += length;
                    }
                }
            }
        }
    }

    private static void write(FileChannel out, MemorySegment bytes, long position) throws IOException {
        ByteBuffer left = bytes.asByteBuffer();
        while (left.hasRemaining()) {
            out.write(left, position + left.position());
        }
    }
}
