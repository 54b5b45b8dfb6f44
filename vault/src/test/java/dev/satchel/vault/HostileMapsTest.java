package dev.satchel.vault;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * Nodes of chunk maps that are authentic and make no sense, from a host that is hostile or another version: all ways to read and to
 * change a map end with a {@link VaultException} or an answer, in bounded memory.
 */
class HostileMapsTest {
    private static final int TRIES = Integer.getInteger("satchel.proof.tries", 600);

    /** Of all ways together; a node has a thousand entries of some fifty bytes. */
    private static final long ALLOCATED_BYTES_MAX = 24 << 20;

    private static final long SLOT = 5 * ChunkMap.FANOUT + 7;

    @Test
    void nodes() throws IOException {
        long seed = Long.getLong("satchel.proof.seed", System.nanoTime());
        Random random = new Random(seed);
        SimulatedDisk.Program disk = new SimulatedDisk(seed, 1L << 30).process();
        try (DirectoryBackend backend = disk.backend("/vault")) {
            Vault.init(backend, TestVaults.PASSPHRASE, KdfParameters.FOR_TESTS);
        }
        DirectoryBackend backend = disk.backend("/vault");
        try (VaultKey key = Vault.unlock(backend, TestVaults.PASSPHRASE);
                Vault vault = Vault.open(backend, key, HeadWitness.NONE)) {
            List<ChunkRef> nodes = new ArrayList<>();
            ChunkMapRef map = genuine(vault, nodes);
            ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
            int refused = 0;
            for (int i = 0; i < TRIES; i++) {
                boolean leaf = random.nextBoolean();
                byte[] bytes = TestVaults.read(vault, nodes.get(leaf ? 1 : 0));
                for (int k = random.nextInt(4); k > 0; k--) {
                    // What comes first says how all else is to be read.
                    int at = random.nextInt(random.nextBoolean() ? 24 : bytes.length);
                    bytes[at] = (byte) (random.nextInt(3) == 0 ? 0xff : random.nextInt());
                }
                if (random.nextInt(4) == 0) {
                    bytes = Arrays.copyOf(bytes, 1 + random.nextInt(bytes.length + 40));
                }
                ChunkRef root = stored(vault, bytes);
                // Where it does not belong, too: a leaf as a root of many levels, an inner node as a leaf.
                long slots =
                        random.nextInt(3) > 0 ? map.slots() : 1 + (random.nextLong() >>> (24 + random.nextInt(40)));
                ChunkMapRef hostile = new ChunkMapRef(Optional.of(root), slots, random.nextLong() >>> 1);
                long before = threads.getCurrentThreadAllocatedBytes();
                try {
                    refused += ask(vault, hostile, slots) ? 1 : 0;
                } catch (IOException | RuntimeException e) {
                    throw new AssertionError("seed " + seed + ", try " + i, e);
                }
                if (i > 50) {
                    assertThat(threads.getCurrentThreadAllocatedBytes() - before)
                            .as("seed %d, try %d", seed, i)
                            .isLessThan(ALLOCATED_BYTES_MAX);
                }
            }
            assertThat(refused).isBetween(TRIES / 10, TRIES - 1);
        }
    }

    /** Three nodes, each of the upper ones a thousand times the one below: a thousand million slots. */
    @Test
    void aNodeInManyPlaces() throws IOException {
        SimulatedDisk.Program disk = new SimulatedDisk(1, 1L << 30).process();
        try (DirectoryBackend backend = disk.backend("/vault")) {
            Vault.init(backend, TestVaults.PASSPHRASE, KdfParameters.FOR_TESTS);
        }
        DirectoryBackend backend = disk.backend("/vault");
        try (VaultKey key = Vault.unlock(backend, TestVaults.PASSPHRASE);
                Vault vault = Vault.open(backend, key, HeadWitness.NONE)) {
            ChunkRef below = stored(vault, TestVaults.text(1, 3000));
            for (int level = 0; level < 3; level++) {
                ByteBuffer node = ByteBuffer.allocate(4 + 16 + ChunkMap.FANOUT / 8 + ChunkMap.FANOUT * 36);
                node.put((byte) 1).put((byte) level).putShort((short) 1);
                node.putLong(below.domain().high()).putLong(below.domain().low());
                node.put(filled(ChunkMap.FANOUT / 8));
                for (int i = 0; i < ChunkMap.FANOUT; i++) {
                    ChunkId id = below.id();
                    node.putLong(id.a()).putLong(id.b()).putLong(id.c()).putLong(id.d());
                    node.putInt(below.length());
                }
                below = stored(vault, node.array());
            }
            ChunkMap map = ChunkMap.load(vault.chunks(), new ChunkMapRef(Optional.of(below), 1 << 30, 1));
            ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
            long before = threads.getCurrentThreadAllocatedBytes();
            long[] seen = new long[1];
            map.forEach(0, 1 << 20, (slot, chunk) -> seen[0]++);
            assertThat(map.get((1 << 30) - 1)).isPresent();
            assertThat(seen[0]).isEqualTo(1 << 20);
            assertThat(threads.getCurrentThreadAllocatedBytes() - before).isLessThan(ALLOCATED_BYTES_MAX);
        }
    }

    private static byte[] filled(int count) {
        byte[] bytes = new byte[count];
        Arrays.fill(bytes, (byte) 0xff);
        return bytes;
    }

    /** A root and two leaves, of chunks of two domains. */
    private static ChunkMapRef genuine(Vault vault, List<ChunkRef> nodes) throws IOException {
        try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            ChunkMap.Editor editor =
                    ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
            ChunkRef chunk = TestVaults.put(writer, TestVaults.text(1, 3000));
            for (int slot = 0; slot < 40; slot++) {
                editor.set(slot * 3L, chunk);
            }
            editor.set(SLOT, new ChunkRef(new KeyDomainId(1, 2), chunk.id(), 77));
            ChunkMapRef map = editor.store(writer);
            writer.commit();
            ChunkMap.load(vault.chunks(), map).forEachNode((slot, node) -> nodes.add(node));
            assertThat(nodes).hasSize(3);
            return map;
        }
    }

    private static ChunkRef stored(Vault vault, byte[] bytes) throws IOException {
        try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            ChunkRef ref = TestVaults.put(writer, bytes);
            writer.commit();
            return ref;
        }
    }

    private interface Way {
        void ask(ChunkMap map) throws IOException;
    }

    /** @return whether some way was refused */
    private static boolean ask(Vault vault, ChunkMapRef ref, long slots) throws IOException {
        ChunkStore chunks = vault.chunks();
        long[] seen = new long[1];
        List<Way> ways = List.of(
                map -> assertThat(map.get(0)).isNotNull(),
                map -> assertThat(map.get(Math.min(SLOT, ChunkMap.SLOTS_MAX - 1)))
                        .isNotNull(),
                map -> assertThat(map.get(slots - 1)).isNotNull(),
                map -> map.forEach(0, ChunkMap.SLOTS_MAX, (slot, chunk) -> {
                    assertThat(slot).isBetween(0L, ChunkMap.SLOTS_MAX - 1);
                    seen[0]++;
                }),
                map -> map.forEachNode((slot, chunk) -> seen[0]++),
                map -> ChunkMap.walk(chunks, ref, new ChunkMap.Walker() {
                    @Override
                    public boolean node(ChunkRef node) {
                        return true;
                    }

                    @Override
                    public void chunk(ChunkRef chunk) {
                        seen[0]++;
                    }
                }),
                map -> map.survey(new ChunkMap.Survey() {
                    @Override
                    public boolean knownWhole(ChunkRef node) {
                        return false;
                    }

                    @Override
                    public boolean readable(ChunkRef chunk) throws IOException {
                        return chunks.contains(chunk);
                    }

                    @Override
                    public void lost(SlotRange range, ChunkRef chunk) {
                        seen[0]++;
                    }

                    @Override
                    public void whole(ChunkRef node) {
                        seen[0]++;
                    }
                }),
                map -> {
                    ChunkMap.Editor editor = map.edit();
                    editor.set(SLOT + 1, new ChunkRef(new KeyDomainId(3, 4), new ChunkId(1, 2, 3, 4), 5));
                    editor.clear(3);
                    try (ChunkWriter writer = chunks.writer(chunks.ownDomain())) {
                        assertThat(editor.store(writer).slots()).isGreaterThan(SLOT);
                    }
                });
        boolean refused = false;
        for (Way way : ways) {
            try {
                way.ask(ChunkMap.load(chunks, ref));
            } catch (VaultException e) {
                assertThat(e.getMessage()).contains(": ");
                refused = true;
            }
        }
        return refused;
    }
}
