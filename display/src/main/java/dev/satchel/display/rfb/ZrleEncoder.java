package dev.satchel.display.rfb;

import dev.satchel.display.Command;
import dev.satchel.display.Rectangle;

/** ZRLE (RFC 6143 §7.7.6): tiles of one colour, of a few, or as they are, through one zlib stream. */
final class ZrleEncoder implements PictureEncoder {
    static final int NUMBER = 16;

    private static final int TILE = 64;
    private static final int SOLID = 1;
    private static final int PALETTE_RUNS = 128;
    private static final int PACKED_COLORS_MAX = 16;
    private static final int COLORS_MAX = 127;

    private final ZlibStream stream;
    private final Palette palette = new Palette();
    private PixelLayout layout = PixelFormat.OWN.compressed();
    private byte[] tiles = new byte[4 << 10];
    private int length;

    /** @param level of compression, 1 to 9 */
    ZrleEncoder(int level) {
        stream = new ZlibStream(level);
    }

    @Override
    public int number() {
        return NUMBER;
    }

    @Override
    public void use(PixelFormat format) {
        layout = format.compressed();
    }

    @Override
    public void encode(Command command, RfbMessage out) {
        Rectangle area = command.area();
        int across = (area.width() + TILE - 1) / TILE;
        int down = (area.height() + TILE - 1) / TILE;
        length = 0;
        if (command instanceof Command.Fill fill) {
            reserve(across * down * (1 + layout.bytes()));
            int[] color = {fill.color()};
            for (int i = 0; i < across * down; i++) {
                solid(color, 0);
            }
        } else {
            int[] pixels = PictureEncoder.pixels(command);
            // Nothing is longer than a tile as it is.
            reserve(across * down + pixels.length * layout.bytes());
            for (int y = 0; y < area.height(); y += TILE) {
                for (int x = 0; x < area.width(); x += TILE) {
                    tile(
                            pixels,
                            y * area.width() + x,
                            area.width(),
                            Math.min(TILE, area.width() - x),
                            Math.min(TILE, area.height() - y));
                }
            }
        }
        int compressed = stream.compress(tiles, length);
        out.u32(compressed).bytes(stream.compressed(), 0, compressed);
    }

    private void tile(int[] pixels, int from, int stride, int width, int height) {
        palette.clear();
        boolean few = true;
        for (int y = 0; y < height && few; y++) {
            few = palette.add(pixels, from + y * stride, width, COLORS_MAX);
        }
        int plain = width * height * layout.bytes();
        if (few && palette.size() == 1) {
            solid(pixels, from);
        } else if (few && packedBytes(width, height) < plain) {
            packed(pixels, from, stride, width, height);
        } else if (few
                && palette.size() > PACKED_COLORS_MAX
                && runsBytes(pixels, from, stride, width, height) < plain) {
            runs(pixels, from, stride, width, height);
        } else {
            tiles[length++] = 0;
            for (int y = 0; y < height; y++) {
                length = layout.put(pixels, from + y * stride, width, tiles, length);
            }
        }
    }

    private void solid(int[] pixels, int at) {
        tiles[length++] = SOLID;
        length = layout.put(pixels, at, 1, tiles, length);
    }

    private int bits() {
        return palette.size() == 2 ? 1 : palette.size() <= 4 ? 2 : 4;
    }

    private int packedBytes(int width, int height) {
        return palette.size() > PACKED_COLORS_MAX
                ? Integer.MAX_VALUE
                : palette.size() * layout.bytes() + (width * bits() + 7) / 8 * height;
    }

    private void packed(int[] pixels, int from, int stride, int width, int height) {
        tiles[length++] = (byte) palette.size();
        length = layout.put(palette.colors(), 0, palette.size(), tiles, length);
        int bits = bits();
        for (int y = 0; y < height; y++) {
            int row = 0;
            int filled = 0;
            for (int x = 0; x < width; x++) {
                row = (row << bits) | palette.number(pixels[from + y * stride + x]);
                filled += bits;
                if (filled == 8) {
                    tiles[length++] = (byte) row;
                    row = 0;
                    filled = 0;
                }
            }
            if (filled > 0) {
                tiles[length++] = (byte) (row << (8 - filled));
            }
        }
    }

    private int runsBytes(int[] pixels, int from, int stride, int width, int height) {
        int bytes = palette.size() * layout.bytes();
        int run = 0;
        int color = 0;
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int pixel = pixels[from + y * stride + x];
                if (run > 0 && pixel != color) {
                    bytes += runBytes(run);
                    run = 0;
                }
                color = pixel;
                run++;
            }
        }
        return bytes + runBytes(run);
    }

    private static int runBytes(int run) {
        return run == 1 ? 1 : 2 + (run - 1) / 255;
    }

    private void runs(int[] pixels, int from, int stride, int width, int height) {
        tiles[length++] = (byte) (PALETTE_RUNS + palette.size());
        length = layout.put(palette.colors(), 0, palette.size(), tiles, length);
        int run = 0;
        int color = 0;
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int pixel = pixels[from + y * stride + x];
                if (run > 0 && pixel != color) {
                    run(color, run);
                    run = 0;
                }
                color = pixel;
                run++;
            }
        }
        run(color, run);
    }

    private void run(int color, int run) {
        int number = palette.number(color);
        if (run == 1) {
            tiles[length++] = (byte) number;
            return;
        }
        tiles[length++] = (byte) (number | 0x80);
        int rest = run - 1;
        for (; rest >= 255; rest -= 255) {
            tiles[length++] = (byte) 255;
        }
        tiles[length++] = (byte) rest;
    }

    private void reserve(int bytes) {
        if (tiles.length < bytes) {
            tiles = new byte[bytes];
        }
    }

    @Override
    public void close() {
        stream.close();
    }
}
