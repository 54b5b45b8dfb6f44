package dev.satchel.linux.vpx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class AlphaTest {
    @ParameterizedTest
    @CsvSource({"0,64,64,1", "3,100,1,7", "5,40,17,9", "1,33,33,33", "7,1024,1000,50", "0,32768,32768,1"})
    void isClearedWithinTheRectangleAndNothingElseIs(int from, int stride, int width, int height) {
        int[] pixels = new Random(from + stride)
                .ints(from + (long) stride * height + 9)
                .toArray();
        int[] expected = pixels.clone();
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                expected[from + y * stride + x] &= 0xffffff;
            }
        }
        Alpha.clear(pixels, from, stride, width, height);
        assertThat(pixels).isEqualTo(expected);
    }

    @Test
    void refusesWhatDoesNotFit() {
        int[] pixels = new int[100];
        Alpha.clear(pixels, 90, 10, 10, 1);
        Alpha.clear(pixels, -5, 10, 0, 3);
        assertThatThrownBy(() -> Alpha.clear(pixels, 91, 10, 10, 1)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> Alpha.clear(pixels, -1, 10, 10, 1)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> Alpha.clear(pixels, 0, 10, 10, 11)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> Alpha.clear(pixels, 0, 9, 10, 2)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> Alpha.clear(pixels, 0, 1 << 30, 1, Integer.MAX_VALUE))
                .isInstanceOf(IllegalArgumentException.class);
    }
}
