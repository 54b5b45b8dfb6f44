package dev.satchel.display.rfb;

import dev.satchel.display.Command;
import dev.satchel.display.Rectangle;
import java.util.Arrays;
import java.util.Collection;

/**
 * What becomes one rectangle of an update.
 *
 * @param area within the command's
 */
record Part(Command command, Rectangle area) {
    /** Tight's (rfbproto, "Tight Encoding"); all are held to it, as a client may change its mind. */
    static final int WIDTH_MAX = 2048;
    /** Bounds buffers. */
    static final int PIXELS_MAX = 1 << 16;
    /** Of what is short whatever its size, but in Raw; of moving pictures, which shall show no seams. */
    static final int LARGE_PIXELS_MAX = 1 << 18;

    private static final int BLOCK_ROWS = 16;

    /** Divides what a command draws within an area, which is in the command's. */
    static void divide(Command command, Rectangle area, Collection<Part> into) {
        if (command instanceof Command.Copy) {
            into.add(new Part(command, area));
            return;
        }
        boolean large = command instanceof Command.Fill || command instanceof Command.Video;
        for (int x = area.x(); x < area.right(); x += WIDTH_MAX) {
            int width = Math.min(WIDTH_MAX, area.right() - x);
            int rows = Math.max(BLOCK_ROWS, (large ? LARGE_PIXELS_MAX : PIXELS_MAX) / width / BLOCK_ROWS * BLOCK_ROWS);
            for (int y = area.y(); y < area.bottom(); y += rows) {
                into.add(new Part(command, new Rectangle(x, y, width, Math.min(rows, area.bottom() - y))));
            }
        }
    }

    /** @return what draws the area and nothing else; a pattern becomes pixels */
    Command alone() {
        Rectangle whole = command.area();
        int left = area.x() - whole.x();
        int top = area.y() - whole.y();
        return switch (command) {
            case Command.Copy copy -> new Command.Copy(area, copy.fromX() + left, copy.fromY() + top);
            case Command.Fill fill -> new Command.Fill(area, fill.color());
            case Command.Bitmap bitmap -> area.equals(whole) ? bitmap : bits(bitmap, left, top);
            case Command.Pattern pattern -> tiled(pattern, left, top);
            case Command.Pixels pixels ->
                area.equals(whole) ? pixels : new Command.Pixels(area, cut(pixels.pixels(), left, top));
            case Command.Video video ->
                area.equals(whole) ? video : new Command.Video(area, cut(video.pixels(), left, top));
        };
    }

    private int[] cut(int[] pixels, int left, int top) {
        int stride = command.area().width();
        if (area.width() == stride) {
            return Arrays.copyOfRange(pixels, top * stride, (top + area.height()) * stride);
        }
        int[] cut = new int[area.width() * area.height()];
        for (int y = 0; y < area.height(); y++) {
            System.arraycopy(pixels, (top + y) * stride + left, cut, y * area.width(), area.width());
        }
        return cut;
    }

    private Command bits(Command.Bitmap bitmap, int left, int top) {
        int stride = (command.area().width() + 7) / 8;
        int cutStride = (area.width() + 7) / 8;
        byte[] cut = new byte[cutStride * area.height()];
        for (int y = 0; y < area.height(); y++) {
            for (int x = 0; x < area.width(); x++) {
                int from = left + x;
                int bit = (bitmap.bits()[(top + y) * stride + (from >> 3)] >> (7 - (from & 7))) & 1;
                cut[y * cutStride + (x >> 3)] |= (byte) (bit << (7 - (x & 7)));
            }
        }
        return new Command.Bitmap(area, bitmap.zero(), bitmap.one(), cut);
    }

    private Command tiled(Command.Pattern pattern, int left, int top) {
        int[] pixels = new int[area.width() * area.height()];
        int[] tile = pattern.tile();
        int tileWidth = pattern.tileWidth();
        for (int y = 0, i = 0; y < area.height(); y++) {
            int row = (top + y) % pattern.tileHeight() * tileWidth;
            int column = left % tileWidth;
            for (int x = 0; x < area.width(); x++) {
                pixels[i++] = tile[row + column];
                column = column + 1 == tileWidth ? 0 : column + 1;
            }
        }
        return new Command.Pixels(area, pixels);
    }
}
