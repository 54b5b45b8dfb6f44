package dev.satchel.display.codec;

import dev.satchel.display.Command;
import dev.satchel.display.Rectangle;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Finds the shortest command that draws given pixels exactly. */
public final class Classifier {
    /** Longer periods are not looked for. */
    private static final int PERIOD_MAX = 16;
    /** A tile must be at most this part of the area: else compression finds its repetitions as well. */
    private static final int REPETITIONS_MIN = 8;

    private Classifier() {}

    /**
     * Takes the pixels for one command.
     *
     * @param pixels {@code 0x00RRGGBB}, rows from the top, as many as the area has; the command may keep the array
     */
    public static Command classify(Rectangle area, int[] pixels) {
        if (area.isEmpty() || pixels.length != area.area()) {
            throw new IllegalArgumentException(pixels.length + " pixels for " + area);
        }
        // The comparison of an array with itself, moved by one, runs on vector instructions in any compiler's code.
        int differs = period(pixels, 0, pixels.length, 1);
        if (differs < 0) {
            return new Command.Fill(area, pixels[0]);
        }
        Command pattern = pattern(area, pixels);
        if (pattern != null) {
            return pattern;
        }
        Command bitmap = bitmap(area, pixels, pixels[0], pixels[differs]);
        return bitmap != null ? bitmap : new Command.Pixels(area, pixels);
    }

    /** @return the first index from which on pixels do not repeat those before, negative if all do */
    private static int period(int[] pixels, int from, int to, int period) {
        int found = Arrays.mismatch(pixels, from, to - period, pixels, from + period, to);
        return found < 0 ? -1 : from + period + found;
    }

    private static @Nullable Command pattern(Rectangle area, int[] pixels) {
        int width = area.width();
        int height = area.height();
        int tileHeight = height;
        for (int rows = 1; rows <= PERIOD_MAX && rows < height; rows++) {
            if (period(pixels, 0, pixels.length, rows * width) < 0) {
                tileHeight = rows;
                break;
            }
        }
        int tileWidth = width;
        // Rows of one colour repeat with any period: it is enough to begin at the first other.
        int firstRow = 0;
        for (int columns = 1; columns <= PERIOD_MAX && columns < width; columns++) {
            int row = firstRow;
            while (row < tileHeight && period(pixels, row * width, (row + 1) * width, columns) < 0) {
                row++;
            }
            if (row == tileHeight) {
                tileWidth = columns;
                break;
            }
            if (columns == 1) {
                firstRow = row;
            }
        }
        if ((long) tileWidth * tileHeight * REPETITIONS_MIN > pixels.length) {
            return null;
        }
        int[] tile = new int[tileWidth * tileHeight];
        for (int y = 0; y < tileHeight; y++) {
            System.arraycopy(pixels, y * width, tile, y * tileWidth, tileWidth);
        }
        return new Command.Pattern(area, tileWidth, tile);
    }

    private static @Nullable Command bitmap(Rectangle area, int[] pixels, int zero, int one) {
        // Most pixels that have a third colour show it soon, before anything is allocated.
        int third = 0;
        while (third < pixels.length && (pixels[third] == zero || pixels[third] == one)) {
            third++;
        }
        if (third < pixels.length) {
            return null;
        }
        int width = area.width();
        int stride = (width + 7) / 8;
        byte[] bits = new byte[stride * area.height()];
        for (int y = 0, i = 0; y < area.height(); y++) {
            for (int x = 0; x < width; x++, i++) {
                if (pixels[i] == one) {
                    bits[y * stride + (x >> 3)] |= (byte) (0x80 >> (x & 7));
                }
            }
        }
        return new Command.Bitmap(area, zero, one, bits);
    }
}
