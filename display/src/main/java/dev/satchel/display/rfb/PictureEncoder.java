package dev.satchel.display.rfb;

import dev.satchel.display.Command;
import dev.satchel.display.Rectangle;
import java.util.Arrays;

/** Writes what a command draws as one of RFB's encodings. Used by one thread; has the state that a client's decoder has. */
sealed interface PictureEncoder extends AutoCloseable permits RawEncoder, TightEncoder, ZrleEncoder {
    /** As RFB numbers it. */
    int number();

    /** From now on pixels are written so. */
    void use(PixelFormat format);

    /**
     * Adds what follows a rectangle's head.
     *
     * @param command no copy; of a size that {@link Part} has
     */
    void encode(Command command, RfbMessage out);

    @Override
    void close();

    /** What a command draws, pixel for pixel; not to be written to. */
    static int[] pixels(Command command) {
        Rectangle area = command.area();
        return switch (command) {
            case Command.Pixels pixels -> pixels.pixels();
            case Command.Video video -> video.pixels();
            case Command.Fill fill -> {
                int[] pixels = new int[area.width() * area.height()];
                Arrays.fill(pixels, fill.color());
                yield pixels;
            }
            case Command.Bitmap bitmap -> {
                int[] pixels = new int[area.width() * area.height()];
                int stride = (area.width() + 7) / 8;
                for (int y = 0, i = 0; y < area.height(); y++) {
                    for (int x = 0; x < area.width(); x++) {
                        boolean one = ((bitmap.bits()[y * stride + (x >> 3)] >> (7 - (x & 7))) & 1) != 0;
                        pixels[i++] = one ? bitmap.one() : bitmap.zero();
                    }
                }
                yield pixels;
            }
            case Command.Pattern pattern -> pixels(new Part(pattern, area).alone());
            case Command.Copy copy -> throw new IllegalArgumentException("a copy has no pixels of its own: " + copy);
        };
    }
}
