package dev.satchel.linux.vpx;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class Vp8EncoderTest {
    /** Blue, green, red in a picture that moves: soft colours, and a block with sharp edges. */
    private static void draw(MemorySegment pixels, int width, int height, int time) {
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int block = (x + 3 * time) / 16 % 4 == 0 && y / 16 % 3 == 0 ? 0xe0e0e0 : 0;
                int soft = (x + time) % 256 << 16 | (y + time) % 256 << 8 | (x + y) / 2 % 256;
                pixels.setAtIndex(JAVA_INT, (long) y * width + x, block != 0 ? block : soft);
            }
        }
    }

    /** ITU-R BT.601, as RFC 6386 §9.2 has it. */
    private static double bright(int pixel) {
        return 16 + (65.481 * (pixel >> 16 & 255) + 128.553 * (pixel >> 8 & 255) + 24.966 * (pixel & 255)) / 255;
    }

    private static double peakSignalToNoise(MemorySegment pixels, int[] decoded) {
        double sum = 0;
        for (int i = 0; i < decoded.length; i++) {
            double difference = bright(pixels.getAtIndex(JAVA_INT, i)) - decoded[i];
            sum += difference * difference;
        }
        return 10 * Math.log10(255.0 * 255.0 * decoded.length / Math.max(sum, 1e-9));
    }

    @ParameterizedTest
    @CsvSource({"320,240", "1,1", "17,5", "333,201", "1024,768"})
    void whatIsDecodedLooksAsWhatWasEncoded(int width, int height) {
        try (Arena arena = Arena.ofConfined();
                Vp8Encoder encoder = new Vp8Encoder(width, height, Vp8Encoder.Rate.constantQuality(8), 8);
                Vp8Decoder decoder = new Vp8Decoder()) {
            MemorySegment pixels = arena.allocate(4L * width * height, 4);
            for (int i = 0; i < 8; i++) {
                draw(pixels, width, height, i);
                Vp8Encoder.Frame frame = encoder.encode(pixels, width, 40L * i, 40, i == 5);
                assertThat(frame.key()).isEqualTo(i == 0 || i == 5);
                assertThat(peakSignalToNoise(pixels, decoder.decode(frame, width, height)))
                        .as("frame %d", i)
                        .isGreaterThan(36);
            }
        }
    }

    @Test
    void whatDoesNotChangeCostsNothing() {
        try (Arena arena = Arena.ofConfined();
                Vp8Encoder encoder = new Vp8Encoder(640, 480, Vp8Encoder.Rate.constantQuality(10), 8)) {
            MemorySegment pixels = arena.allocate(4L * 640 * 480, 4);
            draw(pixels, 640, 480, 0);
            long key = encoder.encode(pixels, 640, 0, 40, false).data().byteSize();
            long same = key;
            // What the first left over comes with those after it.
            for (int i = 1; i < 8; i++) {
                same = encoder.encode(pixels, 640, 40L * i, 40, false).data().byteSize();
            }
            assertThat(same).isLessThan(key / 8);
        }
    }

    @Test
    void theRateIsFollowed() {
        try (Arena arena = Arena.ofConfined();
                Vp8Encoder encoder = new Vp8Encoder(640, 480, new Vp8Encoder.Rate(2000, 4, 60), 10)) {
            MemorySegment pixels = arena.allocate(4L * 640 * 480, 4);
            long[] bytes = new long[3];
            for (int i = 0; i < 225; i++) {
                if (i == 75) {
                    encoder.rate(new Vp8Encoder.Rate(500, 4, 60));
                }
                draw(pixels, 640, 480, i);
                bytes[i / 75] +=
                        encoder.encode(pixels, 640, 40L * i, 40, false).data().byteSize();
            }
            // Three seconds each; those in the middle still pay for what was spent before.
            assertThat(bytes[0] * 8 / 3000.0).isBetween(600.0, 2600.0);
            assertThat(bytes[2] * 8 / 3000.0).isBetween(250.0, 650.0);
        }
    }

    @Test
    void rowsMayBeFurtherApart() {
        try (Arena arena = Arena.ofConfined();
                Vp8Encoder wide = new Vp8Encoder(64, 48, Vp8Encoder.Rate.constantQuality(4), 8);
                Vp8Decoder decoder = new Vp8Decoder()) {
            MemorySegment pixels = arena.allocate(4L * 100 * 48, 4);
            draw(pixels, 100, 48, 0);
            int[] decoded = decoder.decode(wide.encode(pixels, 100, 0, 40, false), 64, 48);
            MemorySegment part = arena.allocate(4L * 64 * 48, 4);
            for (int y = 0; y < 48; y++) {
                MemorySegment.copy(pixels, 400L * y, part, 256L * y, 256);
            }
            assertThat(peakSignalToNoise(part, decoded)).isGreaterThan(36);
        }
    }

    @Test
    void whatMakesNoSenseIsRefused() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment pixels = arena.allocate(4L * 64 * 48, 4);
            Vp8Encoder encoder = new Vp8Encoder(64, 48, Vp8Encoder.Rate.constantQuality(4), 8);
            assertThat(encoder.encode(pixels, 64, 5, 40, false).key()).isTrue();
            assertThatThrownBy(() -> encoder.encode(pixels, 64, 5, 40, false))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> encoder.encode(pixels, 63, 6, 40, false))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> encoder.encode(pixels.asSlice(4), 64, 6, 40, false))
                    .isInstanceOf(IllegalArgumentException.class);
            encoder.close();
            encoder.close();
            assertThatThrownBy(() -> encoder.encode(pixels, 64, 6, 40, false))
                    .isInstanceOf(IllegalStateException.class);
        }
        assertThatThrownBy(() -> new Vp8Encoder(0, 48, Vp8Encoder.Rate.constantQuality(4), 8))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new Vp8Encoder.Rate(1, 5, 4)).isInstanceOf(IllegalArgumentException.class);
    }

    /** Encoders take memory of the order of their pictures, and give it back. */
    @Test
    void memoryIsGivenBack() throws java.io.IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment pixels = arena.allocate(4L * 1024 * 768, 4);
            draw(pixels, 1024, 768, 0);
            encodeOnce(pixels);
            long before = residentKilobytes();
            for (int i = 0; i < 20; i++) {
                encodeOnce(pixels);
            }
            assertThat(residentKilobytes() - before).isLessThan(30_000);
        }
    }

    private static void encodeOnce(MemorySegment pixels) {
        try (Vp8Encoder encoder = new Vp8Encoder(1024, 768, Vp8Encoder.Rate.constantQuality(10), 12)) {
            assertThat(encoder.encode(pixels, 1024, 0, 40, false).key()).isTrue();
        }
    }

    private static long residentKilobytes() throws java.io.IOException {
        for (String line : java.nio.file.Files.readAllLines(java.nio.file.Path.of("/proc/self/status"))) {
            if (line.startsWith("VmRSS:")) {
                return Long.parseLong(line.replaceAll("[^0-9]", ""));
            }
        }
        throw new AssertionError("no VmRSS");
    }
}
