package dev.satchel.pod.filter;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** CRIU's images with bytes that nobody has written so: an {@link IOException} or an answer, in bounded memory. */
class HostileMessagesTest {
    private static final int TRIES = Integer.getInteger("satchel.proof.tries", 3_000);
    private static final int MAGIC = 0x12345678;

    @TempDir
    Path directory;

    /** Two messages with numbers, bytes, messages inside, packed numbers and both fixed widths. */
    private static byte[] genuine() {
        byte[] message = {
            8,
            1,
            16,
            (byte) 0x96,
            1,
            26,
            4,
            8,
            5,
            16,
            6,
            34,
            3,
            1,
            2,
            3,
            41,
            1,
            2,
            3,
            4,
            5,
            6,
            7,
            8,
            53,
            1,
            2,
            3,
            4,
            26,
            2,
            8,
            7
        };
        ByteBuffer out = ByteBuffer.allocate(8 + 2 * (4 + message.length)).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(0x54564319).putInt(MAGIC);
        for (int i = 0; i < 2; i++) {
            out.putInt(message.length).put(message);
        }
        return out.array();
    }

    private void read(Path file) throws IOException {
        ImageFile image = ImageFile.read(file, MAGIC);
        IOException first = null;
        for (Message message : image.messages()) {
            for (int field = 1; field < 8; field++) {
                for (int what = 0; what < 5; what++) {
                    try {
                        ask(message, field, what);
                    } catch (IOException e) {
                        first = e;
                    }
                }
            }
        }
        image.write();
        if (first != null) {
            throw first;
        }
    }

    private static void ask(Message message, int field, int what) throws IOException {
        switch (what) {
            case 0 -> assertThat(message.number(field, 3)).isNotEqualTo(Long.MIN_VALUE + 7);
            case 1 -> assertThat(message.numbers(field).length).isLessThan(1000);
            case 2 -> assertThat(message.bytes(field).remaining()).isLessThan(1000);
            case 3 -> {
                for (Message inner : message.messages(field)) {
                    inner.set(1, 77);
                }
            }
            default -> message.set(9, 5);
        }
    }

    @Test
    void anything() throws IOException {
        long seed = Long.getLong("satchel.proof.seed", System.nanoTime());
        Random random = new Random(seed);
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        Path file = directory.resolve("image.img");
        int refused = 0;
        for (int i = 0; i < TRIES; i++) {
            byte[] bytes = genuine();
            for (int k = random.nextInt(4); k >= 0; k--) {
                bytes[random.nextInt(bytes.length)] = (byte) (random.nextInt(3) == 0 ? 0xff : random.nextInt());
            }
            if (random.nextInt(4) == 0) {
                bytes = Arrays.copyOf(bytes, random.nextInt(bytes.length + 1));
            }
            Files.write(file, bytes);
            long before = threads.getCurrentThreadAllocatedBytes();
            try {
                read(file);
            } catch (IOException e) {
                refused++;
            } catch (RuntimeException e) {
                throw new AssertionError("seed " + seed + ", try " + i, e);
            }
            // The first ones load classes.
            if (i > 100) {
                assertThat(threads.getCurrentThreadAllocatedBytes() - before)
                        .as("seed %d, try %d", seed, i)
                        .isLessThan(1 << 20);
            }
        }
        assertThat(refused).isBetween(TRIES / 100, TRIES);
    }
}
