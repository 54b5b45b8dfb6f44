package dev.satchel.display.codec;

import static org.assertj.core.api.Assertions.assertThat;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Random;
import javax.imageio.ImageIO;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PngTest {
    @ParameterizedTest
    @CsvSource({"1, 1", "3, 2", "640, 33"})
    void isReadByOthers(int width, int height) throws IOException {
        int[] pixels = new Random(1).ints((long) width * height, 0, 1 << 24).toArray();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        Png.write(out, width, height, pixels);
        BufferedImage read = ImageIO.read(new ByteArrayInputStream(out.toByteArray()));
        assertThat(read.getWidth()).isEqualTo(width);
        assertThat(read.getHeight()).isEqualTo(height);
        int[] seen = read.getRGB(0, 0, width, height, null, 0, width);
        for (int i = 0; i < seen.length; i++) {
            assertThat(seen[i]).isEqualTo(0xff000000 | pixels[i]);
        }
    }
}
