package dev.satchel.pod;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.satchel.vault.ChunkId;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.KeyDomainId;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;
import org.junit.jupiter.api.Test;

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
        long seed = Long.getLong("satchel.proof.seed", System.nanoTime());
        Random random = new Random(seed);
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        int refused = 0;
        for (int i = 0; i < TRIES; i++) {
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
        assertThat(refused).as("refused").isBetween(TRIES / 100, TRIES);
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
}
