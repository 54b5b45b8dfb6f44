package dev.satchel.display.codec;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.display.Command;
import dev.satchel.display.CommandPlayer;
import dev.satchel.display.Rectangle;
import java.io.IOException;
import java.util.Arrays;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class DecoderTest {
    private static final Rectangle SCREEN = new Rectangle(0, 0, 400, 300);

    private static void draw(Decoder decoder, byte[] bytes) throws IOException {
        decoder.draw(bytes, 0, bytes.length);
    }

    @Property(tries = 300)
    void drawsTheSameAsTheReference(@ForAll long seed, @ForAll @IntRange(max = Pictures.KINDS - 1) int kind)
            throws IOException {
        Random random = new Random(seed);
        CommandPlayer reference = new CommandPlayer();
        reference.resize(SCREEN);
        try (Encoder encoder = new Encoder();
                Decoder decoder = new Decoder()) {
            decoder.size(SCREEN.width(), SCREEN.height());
            byte[] first = encoder.encode(
                    new Command.Pixels(SCREEN, Pictures.picture(kind, SCREEN.width(), SCREEN.height(), random)));
            draw(decoder, first);
            ReferenceDecoder.decode(first).forEach(reference::play);
            for (int i = 0; i < 6; i++) {
                int width = 1 + random.nextInt(SCREEN.width());
                int height = 1 + random.nextInt(SCREEN.height());
                Rectangle area = new Rectangle(
                        random.nextInt(SCREEN.width() - width + 1),
                        random.nextInt(SCREEN.height() - height + 1),
                        width,
                        height);
                Command command = i % 3 == 2
                        ? new Command.Copy(
                                area,
                                random.nextInt(SCREEN.width() - width + 1),
                                random.nextInt(SCREEN.height() - height + 1))
                        : Classifier.classify(
                                area, Pictures.picture(random.nextInt(Pictures.KINDS), width, height, random));
                byte[] bytes = encoder.encode(command);
                // Wherever it lies in its message.
                byte[] within = new byte[bytes.length + 7];
                System.arraycopy(bytes, 0, within, 4, bytes.length);
                decoder.draw(within, 4, 4 + bytes.length);
                ReferenceDecoder.decode(bytes).forEach(reference::play);
                assertThat(decoder.pixels()).isEqualTo(reference.pixels());
            }
        }
    }

    @Test
    void videoIsDrawnAboutAsItIs() throws IOException {
        Rectangle area = new Rectangle(17, 9, 301, 203);
        int[] pixels = Pictures.picture(5, 301, 203, new Random(5));
        try (Encoder encoder = new Encoder(90);
                Decoder decoder = new Decoder()) {
            decoder.size(SCREEN.width(), SCREEN.height());
            draw(decoder, encoder.encode(new Command.Video(area, pixels)));
            long sum = 0;
            for (int y = 0; y < area.height(); y++) {
                for (int x = 0; x < area.width(); x++) {
                    int is = decoder.pixels()[(area.y() + y) * SCREEN.width() + area.x() + x];
                    int was = pixels[y * area.width() + x];
                    assertThat(is >>> 24).isZero();
                    sum += Math.abs((is >> 8 & 0xff) - (was >> 8 & 0xff));
                }
            }
            assertThat(sum / (double) pixels.length).isLessThan(4);
            assertThat(decoder.pixels()[0]).isZero();
        }
    }

    @Test
    void knowsWhetherAllIsThere() throws IOException {
        try (Encoder encoder = new Encoder();
                Decoder decoder = new Decoder()) {
            assertThat(decoder.isWhole()).isFalse();
            decoder.size(100, 100);
            draw(decoder, encoder.encode(new Command.Fill(new Rectangle(0, 0, 100, 60), 1)));
            assertThat(decoder.isWhole()).isFalse();
            // What is copied from where nothing is brings nothing.
            draw(decoder, encoder.encode(new Command.Copy(new Rectangle(0, 50, 100, 20), 0, 45)));
            draw(decoder, encoder.encode(new Command.Fill(new Rectangle(0, 70, 100, 30), 1)));
            assertThat(decoder.isWhole()).isFalse();
            draw(decoder, encoder.encode(new Command.Copy(new Rectangle(0, 40, 100, 30), 0, 0)));
            assertThat(decoder.isWhole()).isTrue();
            decoder.size(100, 100);
            assertThat(decoder.isWhole()).isFalse();
        }
    }

    /** Whatever comes, it draws or refuses: in memory that was not meant it does nothing. */
    @Property(tries = 2000)
    void whatIsDamagedIsRefused(@ForAll long seed, @ForAll @IntRange(max = Pictures.KINDS) int kind) {
        Random random = new Random(seed);
        Rectangle area = new Rectangle(20, 30, 60, 50);
        try (Encoder encoder = new Encoder();
                Decoder decoder = new Decoder()) {
            decoder.size(100, 100);
            int[] pixels = Pictures.picture(kind % Pictures.KINDS, 60, 50, random);
            byte[] bytes = encoder.encode(
                    kind == Pictures.KINDS ? new Command.Video(area, pixels) : Classifier.classify(area, pixels));
            for (int i = 0; i < 3; i++) {
                byte[] damaged =
                        Arrays.copyOf(bytes, random.nextInt(4) == 0 ? random.nextInt(bytes.length) : bytes.length);
                for (int k = random.nextInt(4); k >= 0 && damaged.length > 0; k--) {
                    damaged[random.nextInt(random.nextBoolean() ? Math.min(30, damaged.length) : damaged.length)] =
                            (byte) random.nextInt();
                }
                try {
                    draw(decoder, damaged);
                } catch (IOException e) {
                    assertThat(e).hasMessageStartingWith("the server sent ");
                }
                assertThat(decoder.pixels()).hasSize(10_000);
            }
        }
    }

    @Test
    void whatIsOutsideIsRefused() throws IOException {
        try (Encoder encoder = new Encoder();
                Decoder decoder = new Decoder()) {
            decoder.size(100, 100);
            for (Command command : new Command[] {
                new Command.Fill(new Rectangle(90, 0, 11, 10), 1),
                new Command.Fill(new Rectangle(0, 100, 1, 1), 1),
                new Command.Copy(new Rectangle(0, 0, 50, 50), 51, 0),
                new Command.Copy(new Rectangle(0, 0, 50, 50), 0, 51)
            }) {
                byte[] bytes = encoder.encode(command);
                assertThatThrownBy(() -> draw(decoder, bytes))
                        .isInstanceOf(IOException.class)
                        .hasMessageContaining("outside of the screen");
            }
            assertThatThrownBy(() -> draw(decoder, new byte[] {7, 0, 0, 0, 0, 1, 0, 1, 0}))
                    .isInstanceOf(IOException.class);
        }
    }
}
