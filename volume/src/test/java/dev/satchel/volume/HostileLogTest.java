package dev.satchel.volume;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.satchel.linux.crypto.AesGcm;
import dev.satchel.linux.crypto.SecretBytes;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.HeadWitness;
import dev.satchel.vault.KdfParameters;
import dev.satchel.vault.SessionId;
import dev.satchel.vault.SimulatedDisk;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultException;
import dev.satchel.vault.VaultKey;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * A write log whose records are sealed with the right keys and make no sense, from a host that is hostile or another version: it is
 * refused with a word on why, or opens as a volume that can be read; in bounded memory.
 */
class HostileLogTest {
    private static final int TRIES = Integer.getInteger("satchel.proof.tries", 1_500);
    private static final long BYTES = 16L << 20;
    private static final long ALLOCATED_BYTES_MAX = 8 << 20;
    private static final byte[] PASSPHRASE = {1, 2, 3};
    private static final VolumeOptions OPTIONS =
            new VolumeOptions(VolumeOptions.ExistingLog.REPLAY, 4, 0, 1000, 1, 1L << 30, false);

    private final SimulatedDisk disk = new SimulatedDisk(1, 1L << 30);
    private final SimulatedDisk.Program process = disk.process();
    private final SessionId session = SessionId.random();
    private final Map<String, byte[]> genuine = new LinkedHashMap<>();

    /** A sealed piece of a segment: where, what kind, how long its plaintext is. */
    private record Piece(String path, int at, int kind, int length) {}

    @Test
    void records() throws IOException {
        long seed = Long.getLong("satchel.proof.seed", System.nanoTime());
        Random random = new Random(seed);
        try (DirectoryBackend backend = process.backend("/vault")) {
            Vault.init(backend, PASSPHRASE.clone(), KdfParameters.FOR_TESTS);
        }
        DirectoryBackend backend = process.backend("/vault");
        try (VaultKey key = Vault.unlock(backend, PASSPHRASE.clone());
                Vault vault = Vault.open(backend, key, HeadWitness.NONE)) {
            List<Piece> pieces = write(vault);
            ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
            int refused = 0;
            for (int i = 0; i < TRIES; i++) {
                Piece piece = pieces.get(random.nextInt(pieces.size()));
                Map<String, byte[]> hostile = new LinkedHashMap<>(genuine);
                hostile.put(piece.path(), altered(vault, piece, random));
                restore(hostile);
                long before = threads.getCurrentThreadAllocatedBytes();
                boolean opens = i % 16 == 0;
                try {
                    look(vault, opens);
                } catch (VaultException | StaleLogException e) {
                    assertThat(e.getMessage()).contains(": ");
                    refused++;
                } catch (IOException | RuntimeException | AssertionError e) {
                    throw new AssertionError("seed " + seed + ", try " + i + ", " + piece, e);
                }
                if (i > 50) {
                    assertThat(threads.getCurrentThreadAllocatedBytes() - before)
                            .as("seed %d, try %d, %s", seed, i, piece)
                            .isLessThan(ALLOCATED_BYTES_MAX);
                }
            }
            assertThat(refused).isBetween(TRIES / 10, TRIES - 1);
            restore(genuine);
            try (Volume volume = Volume.open(vault, session, ChunkMapRef.EMPTY, BYTES, OPTIONS)) {
                assertThat(Blocks.read(volume, 6, 5)).containsExactly(0, 70, 80, 72, 0);
            }
        }
    }

    @Test
    void aDiscardOfAllThatAVolumeCanHave() throws IOException {
        try (DirectoryBackend backend = process.backend("/vault")) {
            Vault.init(backend, PASSPHRASE.clone(), KdfParameters.FOR_TESTS);
        }
        long bytes = Geometry.VOLUME_BYTES_MAX;
        DirectoryBackend backend = process.backend("/vault");
        try (VaultKey key = Vault.unlock(backend, PASSPHRASE.clone());
                Vault vault = Vault.open(backend, key, HeadWitness.NONE)) {
            try (Volume volume = Volume.open(vault, session, ChunkMapRef.EMPTY, bytes, OPTIONS)) {
                Blocks.write(volume, 7, 70);
                volume.foldAll();
                volume.discard(0, bytes);
                Blocks.write(volume, 100_000, 80);
                volume.flush();
            }
            ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
            long before = threads.getCurrentThreadAllocatedBytes();
            try (Volume volume = Volume.open(vault, session, ChunkMapRef.EMPTY, bytes, OPTIONS)) {
                volume.foldAll();
                assertThat(Blocks.read(volume, 7, 1)).containsExactly(0);
                assertThat(Blocks.read(volume, 100_000, 1)).containsExactly(80);
                assertThat(volume.stats().foldedSlots()).isEqualTo(1);
            }
            assertThat(threads.getCurrentThreadAllocatedBytes() - before).isLessThan(ALLOCATED_BYTES_MAX);
        }
    }

    private void look(Vault vault, boolean opens) throws IOException {
        if (opens) {
            try (Volume volume = Volume.open(vault, session, ChunkMapRef.EMPTY, BYTES, OPTIONS);
                    Arena arena = Arena.ofConfined()) {
                volume.read(0, arena.allocate(1 << 20, 4096));
            }
            return;
        }
        try (LogWriter writer = new LogWriter()) {
            VolumeLog.Replayed found = new VolumeLog(vault, session).replay(ChunkMapRef.EMPTY, true, writer);
            if (found != null) {
                for (Layer layer : found.layers()) {
                    layer.segment.close();
                }
            }
        }
    }

    private void restore(Map<String, byte[]> files) {
        disk.contents().keySet().forEach(path -> {
            if (path.startsWith("/vault/log/") && !files.containsKey(path)) {
                disk.tamper(path, null);
            }
        });
        files.forEach(disk::tamper);
    }

    /** Two segments with all kinds of records. */
    private List<Piece> write(Vault vault) throws IOException {
        for (int segment = 0; segment < 2; segment++) {
            try (Volume volume = Volume.open(vault, session, ChunkMapRef.EMPTY, BYTES, OPTIONS)) {
                if (segment == 0) {
                    Blocks.write(volume, 7, 70, 71, 72);
                    volume.discard(0, 4 * 4096);
                } else {
                    Blocks.write(volume, 8, 80);
                    volume.discard(1 << 20, 1 << 20);
                }
                volume.flush();
            }
        }
        disk.contents().forEach((path, bytes) -> {
            if (path.startsWith("/vault/log/") && bytes.length > 0) {
                genuine.put(path, bytes);
            }
        });
        assertThat(genuine).hasSize(2);
        List<Piece> pieces = new ArrayList<>();
        for (String path : genuine.keySet()) {
            int at = LogSegment.PREAMBLE_BYTES;
            while (at + LogSegment.HEADER_BYTES <= genuine.get(path).length) {
                Piece header = new Piece(path, at, LogCipher.HEADER, 32);
                pieces.add(header);
                ByteBuffer said = ByteBuffer.wrap(opened(vault, header));
                int type = said.getInt();
                int count = said.getInt();
                at += LogSegment.HEADER_BYTES;
                if (type == LogSegment.TYPE_STATE) {
                    pieces.add(new Piece(path, at, LogCipher.STATE, count));
                    at += count + AesGcm.TAG_BYTES;
                } else if (type == LogSegment.TYPE_WRITE) {
                    at += count * LogSegment.SEALED_BLOCK_BYTES;
                }
            }
        }
        assertThat(pieces).hasSizeGreaterThanOrEqualTo(8);
        return pieces;
    }

    private SecretBytes key(Vault vault, String path, Arena arena) throws IOException {
        MemorySegment salt = arena.allocate(32);
        MemorySegment.copy(genuine.get(path), 16, salt, ValueLayout.JAVA_BYTE, 0, 32);
        return LogSegment.key(vault, path.substring("/vault/".length()), salt);
    }

    private byte[] opened(Vault vault, Piece piece) throws IOException {
        try (Arena arena = Arena.ofConfined();
                SecretBytes key = key(vault, piece.path(), arena);
                LogCipher cipher = new LogCipher()) {
            int sealedBytes = piece.length() + AesGcm.TAG_BYTES;
            MemorySegment sealed = arena.allocate(sealedBytes);
            MemorySegment.copy(genuine.get(piece.path()), piece.at(), sealed, ValueLayout.JAVA_BYTE, 0, sealedBytes);
            MemorySegment plain = arena.allocate(piece.length());
            assertThat(cipher.open(key, piece.kind(), piece.at(), sealed, plain))
                    .isTrue();
            return plain.toArray(ValueLayout.JAVA_BYTE);
        }
    }

    /** The segment with a piece that says something else, sealed as the writer would have. */
    private byte[] altered(Vault vault, Piece piece, Random random) throws IOException {
        byte[] plain = opened(vault, piece);
        for (int k = random.nextInt(3); k >= 0; k--) {
            // Of a state the first root is what counts; the rest is filled up.
            int at = random.nextInt(Math.min(plain.length, random.nextBoolean() ? 32 : 260));
            if (random.nextInt(3) == 0) {
                long[] numbers = {-1, Long.MAX_VALUE, Long.MIN_VALUE, 1L << 44, 1L << 32, 0x7fffffff, 1, 257};
                ByteBuffer.wrap(plain)
                        .putLong(Math.min(at & -8, plain.length - 8), numbers[random.nextInt(numbers.length)]);
            } else {
                plain[at] = (byte) (random.nextBoolean() ? 0xff : random.nextInt());
            }
        }
        byte[] segment = genuine.get(piece.path()).clone();
        try (Arena arena = Arena.ofConfined();
                SecretBytes key = key(vault, piece.path(), arena);
                LogCipher cipher = new LogCipher()) {
            MemorySegment sealed = arena.allocate(plain.length + (long) AesGcm.TAG_BYTES);
            cipher.seal(key, piece.kind(), piece.at(), arena.allocateFrom(ValueLayout.JAVA_BYTE, plain), sealed);
            MemorySegment.copy(sealed, ValueLayout.JAVA_BYTE, 0, segment, piece.at(), plain.length + AesGcm.TAG_BYTES);
        }
        return random.nextInt(10) == 0 ? Arrays.copyOf(segment, random.nextInt(segment.length)) : segment;
    }
}
