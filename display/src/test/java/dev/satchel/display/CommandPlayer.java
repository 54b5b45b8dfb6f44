package dev.satchel.display;

import java.util.Arrays;

/** A viewer's copy of the screen, which commands are carried out on. What was never brought has a colour that no screen has. */
public final class CommandPlayer {
    private static final int UNKNOWN = 0xff000000;

    private int width;
    private int[] pixels = new int[0];

    public void resize(Rectangle size) {
        width = size.width();
        pixels = new int[size.width() * size.height()];
        Arrays.fill(pixels, UNKNOWN);
    }

    public int[] pixels() {
        return pixels.clone();
    }

    public void play(Command command) {
        Rectangle area = command.area();
        int[] before = command instanceof Command.Copy ? pixels.clone() : pixels;
        for (int y = 0; y < area.height(); y++) {
            for (int x = 0; x < area.width(); x++) {
                pixels[(area.y() + y) * width + area.x() + x] = switch (command) {
                    case Command.Copy copy -> before[(copy.fromY() + y) * width + copy.fromX() + x];
                    case Command.Fill fill -> fill.color();
                    case Command.Bitmap bitmap -> {
                        int stride = (area.width() + 7) / 8;
                        boolean one = (bitmap.bits()[y * stride + x / 8] >> (7 - x % 8) & 1) != 0;
                        yield one ? bitmap.one() : bitmap.zero();
                    }
                    case Command.Pattern pattern ->
                        pattern.tile()[y % pattern.tileHeight() * pattern.tileWidth() + x % pattern.tileWidth()];
                    case Command.Pixels raw -> raw.pixels()[y * area.width() + x];
                    case Command.Video video -> video.pixels()[y * area.width() + x] ^ 0x010101;
                };
            }
        }
    }
}
