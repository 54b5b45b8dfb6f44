package dev.satchel.display.codec;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.display.Command;
import dev.satchel.display.CommandPlayer;
import dev.satchel.display.Rectangle;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

/** What is encoded and decoded again draws the same. */
class EncoderTest {
    private static final Rectangle SCREEN = new Rectangle(0, 0, 400, 300);

    private static int[] played(List<Command> commands) {
        CommandPlayer player = new CommandPlayer();
        player.resize(SCREEN);
        commands.forEach(player::play);
        return player.pixels();
    }

    private static byte[] encoded(Command command) {
        try (Encoder encoder = new Encoder()) {
            return encoder.encode(command);
        }
    }

    @Property(tries = 600)
    void drawsTheSame(
            @ForAll long seed,
            @ForAll @IntRange(max = Pictures.KINDS - 1) int kind,
            @ForAll @IntRange(min = 1, max = 400) int width,
            @ForAll @IntRange(min = 1, max = 300) int height) {
        Random random = new Random(seed);
        int[] pixels = Pictures.picture(kind, width, height, random);
        Rectangle area = new Rectangle(
                random.nextInt(SCREEN.width() - width + 1),
                random.nextInt(SCREEN.height() - height + 1),
                width,
                height);
        int[] expected = played(List.of(new Command.Pixels(area, pixels)));
        Command command = Classifier.classify(area, pixels.clone());
        assertThat(played(List.of(command))).isEqualTo(expected);
        try (Encoder encoder = new Encoder()) {
            // Twice: nothing is left over from what was before.
            for (Command one : List.of(command, new Command.Pixels(area, pixels), command)) {
                byte[] bytes = encoder.encode(one);
                assertThat(played(ReferenceDecoder.decode(bytes))).isEqualTo(expected);
                assertThat(bytes.length)
                        .isLessThanOrEqualTo(3 * pixels.length + 20 * (1 + pixels.length / Encoder.PIXELS_MAX));
            }
        }
    }

    @Test
    void takesTheShortestCommand() {
        Rectangle area = new Rectangle(3, 4, 40, 30);
        int[] pixels = new int[1200];
        Arrays.fill(pixels, 0x123456);
        assertThat(Classifier.classify(area, pixels)).isEqualTo(new Command.Fill(area, 0x123456));
        pixels[1199] = 0xffffff;
        assertThat(Classifier.classify(area, pixels)).isInstanceOf(Command.Bitmap.class);
        pixels[700] = 0;
        assertThat(Classifier.classify(area, pixels)).isInstanceOf(Command.Pixels.class);
        // Ordered dither, an upright gradient, stripes.
        for (int i = 0; i < 1200; i++) {
            pixels[i] = (i % 40 + i / 40) % 2 == 0 ? 0 : 0xffffff;
        }
        assertThat(((Command.Pattern) Classifier.classify(area, pixels)).tile())
                .containsExactly(0, 0xffffff, 0xffffff, 0);
        for (int i = 0; i < 1200; i++) {
            pixels[i] = i / 40;
        }
        Command.Pattern upright = (Command.Pattern) Classifier.classify(area, pixels);
        assertThat(upright.tileWidth()).isEqualTo(1);
        assertThat(upright.tileHeight()).isEqualTo(30);
        for (int i = 0; i < 1200; i++) {
            pixels[i] = i % 40;
        }
        Command.Pattern level = (Command.Pattern) Classifier.classify(area, pixels);
        assertThat(level.tileWidth()).isEqualTo(40);
        assertThat(level.tileHeight()).isEqualTo(1);
    }

    @Test
    void isAsShortAsMeasured() {
        Random random = new Random(1);
        Rectangle glyph = new Rectangle(0, 0, 10, 20);
        assertThat(encoded(new Command.Fill(glyph, 1))).hasSize(12);
        assertThat(encoded(new Command.Copy(glyph, 1, 2))).hasSize(13);
        assertThat(encoded(Classifier.classify(glyph, Pictures.picture(1, 10, 20, random))).length)
                .isLessThanOrEqualTo(60);
        Rectangle wide = new Rectangle(0, 0, 400, 160);
        // Random runs of few colours, and a gradient.
        assertThat(encoded(new Command.Pixels(wide, Pictures.picture(2, 400, 160, random))).length)
                .isLessThan(20000);
        assertThat(encoded(new Command.Pixels(wide, Pictures.picture(5, 400, 160, random))).length)
                .isLessThan(2000);
    }

    @Test
    void bandsBoundLargePictures() {
        Rectangle area = new Rectangle(0, 0, 1000, 600);
        int[] pixels = Pictures.picture(6, 1000, 600, new Random(4));
        List<Command> bands = ReferenceDecoder.decode(encoded(new Command.Pixels(area, pixels)));
        int row = 0;
        for (Command band : bands) {
            assertThat(band.area().area()).isLessThanOrEqualTo(Encoder.PIXELS_MAX);
            assertThat(band.area().y()).isEqualTo(row);
            assertThat(((Command.Pixels) band).pixels())
                    .isEqualTo(
                            Arrays.copyOfRange(pixels, row * 1000, band.area().bottom() * 1000));
            row = band.area().bottom();
        }
        assertThat(row).isEqualTo(600);
        Rectangle bitmap = new Rectangle(0, 0, 4001, 1000);
        int[] two = Pictures.picture(1, 4001, 1000, new Random(4));
        List<Command> bits = ReferenceDecoder.decode(encoded(Classifier.classify(bitmap, two)));
        assertThat(bits).hasSize(3);
        assertThat(bits.getLast().area().bottom()).isEqualTo(1000);
    }

    @Test
    void videoIsAboutRight() {
        for (int height : new int[] {1, 50, 700}) {
            Rectangle area = new Rectangle(5, 6, 801, height);
            int[] pixels = Pictures.picture(6, 801, height, new Random(9));
            byte[] bytes = encoded(new Command.Video(area, pixels));
            int bottom = 6;
            long error = 0;
            for (Command band : ReferenceDecoder.decode(bytes)) {
                assertThat(band.area().y()).isEqualTo(bottom);
                assertThat(band.area().area()).isLessThanOrEqualTo(Encoder.VIDEO_PIXELS_MAX);
                int[] drawn = ((Command.Video) band).pixels();
                for (int i = 0; i < drawn.length; i++) {
                    int original = pixels[(bottom - 6) * 801 + i];
                    for (int shift = 0; shift < 24; shift += 8) {
                        error += Math.abs(((drawn[i] >> shift) & 0xff) - ((original >> shift) & 0xff));
                    }
                }
                bottom = band.area().bottom();
            }
            assertThat(bottom).isEqualTo(area.bottom());
            assertThat(error / (3.0 * pixels.length)).isLessThan(4);
            assertThat(bytes.length).isLessThan(pixels.length / 3 + 1200);
        }
    }

    @Test
    void refusesWhatMakesNoSense() {
        Rectangle area = new Rectangle(0, 0, 4, 4);
        assertThatThrownBy(() -> encoded(new Command.Pixels(area, new int[15])))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> encoded(new Command.Bitmap(area, 0, 1, new byte[3])))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> encoded(new Command.Pattern(area, 2, new int[3])))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> encoded(new Command.Fill(new Rectangle(65535, 0, 1, 1), 0)))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> encoded(new Command.Fill(new Rectangle(0, 0, 0, 1), 0)))
                .isInstanceOf(IllegalArgumentException.class);
        Encoder closed = new Encoder();
        closed.close();
        closed.close();
        assertThatThrownBy(() -> closed.encode(new Command.Fill(area, 0))).isInstanceOf(IllegalStateException.class);
    }
}
