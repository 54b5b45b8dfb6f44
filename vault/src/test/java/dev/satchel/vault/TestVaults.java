package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/** What the tests of the vault need again and again. */
final class TestVaults {
    static final byte[] PASSPHRASE = "correct horse".getBytes(UTF_8);

    private TestVaults() {}

    static Vault create(Path directory) throws IOException {
        try (DirectoryBackend backend = new DirectoryBackend(directory)) {
            Vault.init(backend, PASSPHRASE, KdfParameters.FOR_TESTS);
        }
        return open(directory);
    }

    static Vault open(Path directory) throws IOException {
        return open(directory, HeadWitness.NONE);
    }

    static Vault open(Path directory, HeadWitness witness) throws IOException {
        DirectoryBackend backend = new DirectoryBackend(directory);
        try (VaultKey key = Vault.unlock(backend, PASSPHRASE)) {
            return Vault.open(backend, key, witness);
        }
    }

    static MemorySegment segment(Arena arena, byte[] bytes) {
        return arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes);
    }

    static ChunkRef put(ChunkWriter writer, byte[] bytes) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            return writer.put(segment(arena, bytes));
        }
    }

    static byte[] read(Vault vault, ChunkRef ref) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment target = arena.allocate(ref.length());
            vault.chunks().read(ref, target);
            return target.toArray(ValueLayout.JAVA_BYTE);
        }
    }

    /** A chunk of text: compressible, and different for different seeds. */
    static byte[] text(int seed, int length) {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = (byte) ('a' + (i / 7 + seed * 31 + (i % 100 == 0 ? seed : 0)) % 26);
        }
        byte[] mark = ("seed " + seed + ";").getBytes(UTF_8);
        System.arraycopy(mark, 0, bytes, 0, Math.min(mark.length, length));
        return bytes;
    }

    static byte[] noise(long seed, int length) {
        byte[] bytes = new byte[length];
        new java.util.Random(seed).nextBytes(bytes);
        return bytes;
    }

    static ChunkMapRef map(Vault vault, List<byte[]> contents) throws IOException {
        try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            ChunkMap.Editor editor =
                    ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
            for (int i = 0; i < contents.size(); i++) {
                editor.set(i, put(writer, contents.get(i)));
            }
            ChunkMapRef ref = editor.store(writer);
            writer.commit();
            return ref;
        }
    }

    static SnapshotDraft draft(SessionId session, Optional<SnapshotId> parent, ChunkMapRef volume) {
        SortedMap<String, ChunkMapRef> trees = new TreeMap<>();
        trees.put("volume", volume);
        return new SnapshotDraft(
                session,
                parent,
                Instant.ofEpochMilli(1_700_000_000_000L),
                "suspend",
                trees,
                "{\"pids\":3}".getBytes(UTF_8),
                10,
                20);
    }
}
