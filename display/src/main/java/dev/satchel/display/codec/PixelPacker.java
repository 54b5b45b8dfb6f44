package dev.satchel.display.codec;

import java.util.Arrays;

/**
 * Brings pixels into an order that compresses well: {@code docs/PROTOCOL.md}, "Packings". Not thread-safe. Its buffers are as large as its
 * largest picture needs, about four bytes a pixel.
 */
final class PixelPacker {
    private static final int COLORS_MAX = 256;
    private static final int SLOTS = 1024;
    private static final int EMPTY = -1;
    /** Fibonacci hashing (Knuth, TAOCP vol. 3, §6.4): 2^32 by the golden ratio. */
    private static final int GOLDEN = 0x9E3779B1;

    /** Three bytes of a pixel are in one number, ten bits each; this is the bit above each of them. */
    private static final int SIGNS = 0x10040100;

    private final int[] slotColor = new int[SLOTS];
    private final short[] slotNumber = new short[SLOTS];
    private final int[] colors = new int[COLORS_MAX];
    private final int[] sorted = new int[COLORS_MAX];
    private final int[] rank = new int[COLORS_MAX];
    private byte[] numbers = new byte[0];
    private byte[] packed = new byte[0];
    private int[] above = new int[0];

    /** What the last call made, until the next one. */
    byte[] packed() {
        return packed;
    }

    /** Red, green and blue of each pixel. @return the length of {@link #packed} */
    int plain(int[] pixels, int from, int count) {
        reserve(3 * count);
        for (int i = 0; i < count; i++) {
            int pixel = pixels[from + i];
            packed[3 * i] = (byte) (pixel >> 16);
            packed[3 * i + 1] = (byte) (pixel >> 8);
            packed[3 * i + 2] = (byte) pixel;
        }
        return 3 * count;
    }

    /**
     * A sorted palette, and each pixel's number in it, in 1, 2, 4 or 8 bits.
     *
     * @return the length of {@link #packed}, or −1 if there are too many colours for that
     */
    int palette(int[] pixels, int from, int width, int height) {
        int count = width * height;
        // With more colours than that, each is so rare that the palette costs more than what it saves.
        int colorsMax = Math.min(COLORS_MAX, Math.max(2, count / 2));
        int found = collect(pixels, from, count, colorsMax);
        if (found < 0) {
            return -1;
        }
        System.arraycopy(colors, 0, sorted, 0, found);
        Arrays.sort(sorted, 0, found);
        for (int i = 0; i < found; i++) {
            rank[slotNumber[slot(sorted[i])]] = i;
        }
        int bits = found <= 2 ? 1 : found <= 4 ? 2 : found <= 16 ? 4 : 8;
        int stride = (width * bits + 7) / 8;
        int length = 1 + 3 * found + stride * height;
        reserve(length);
        packed[0] = (byte) (found - 1);
        int lastGreen = 0;
        int lastRed = 0;
        int lastBlue = 0;
        for (int i = 0; i < found; i++) {
            int green = sorted[i] >> 8;
            int red = (sorted[i] >> 16) - green;
            int blue = sorted[i] - green;
            packed[1 + i] = (byte) (green - lastGreen);
            packed[1 + found + i] = (byte) (red - lastRed);
            packed[1 + 2 * found + i] = (byte) (blue - lastBlue);
            lastGreen = green;
            lastRed = red;
            lastBlue = blue;
        }
        int at = 1 + 3 * found;
        if (bits == 8) {
            for (int i = 0; i < count; i++) {
                packed[at + i] = (byte) rank[numbers[i] & 0xff];
            }
            return length;
        }
        for (int y = 0, i = 0; y < height; y++) {
            int collected = 0;
            int free = 8;
            for (int x = 0; x < width; x++, i++) {
                free -= bits;
                collected |= rank[numbers[i] & 0xff] << free;
                if (free == 0) {
                    packed[at++] = (byte) collected;
                    collected = 0;
                    free = 8;
                }
            }
            if (free < 8) {
                packed[at++] = (byte) collected;
            }
        }
        return length;
    }

    private int slot(int color) {
        int slot = (color * GOLDEN) >>> 22;
        while (slotColor[slot] != color && slotColor[slot] != EMPTY) {
            slot = (slot + 1) & (SLOTS - 1);
        }
        return slot;
    }

    /** Numbers colours as they come. @return how many there are, −1: more than that */
    private int collect(int[] pixels, int from, int count, int colorsMax) {
        if (numbers.length < count) {
            numbers = new byte[count];
        }
        Arrays.fill(slotColor, EMPTY);
        int found = 0;
        int last = EMPTY;
        byte number = 0;
        for (int i = 0; i < count; i++) {
            int color = pixels[from + i] & 0xffffff;
            if (color != last) {
                int slot = slot(color);
                if (slotColor[slot] == EMPTY) {
                    if (found == colorsMax) {
                        return -1;
                    }
                    slotColor[slot] = color;
                    slotNumber[slot] = (short) found;
                    colors[found++] = color;
                }
                last = color;
                number = (byte) slotNumber[slot];
            }
            numbers[i] = number;
        }
        return found;
    }

    /**
     * What is wrong in the median prediction (Weinberger, Seroussi, Sapiro 2000, LOCO-I) of green, red less green, blue less green.
     *
     * @return the length of {@link #packed}
     */
    int predicted(int[] pixels, int from, int width, int height) {
        reserve(3 * width * height);
        if (above.length < width) {
            above = new int[width];
        }
        byte[] out = packed;
        int[] row = above;
        int at = 0;
        for (int y = 0; y < height; y++) {
            int left = y == 0 ? 0 : row[0];
            int corner = left;
            for (int x = 0; x < width; x++) {
                int pixel = pixels[from++];
                int green = pixel >> 8 & 0xff;
                int here = green | ((pixel >> 16) - green + 128 & 0xff) << 10 | (pixel - green + 128 & 0xff) << 20;
                int predicted = left;
                int up = y == 0 ? left : row[x];
                if (y > 0 && (here != left || here != up)) {
                    // Left + up less the corner, or less the lower or the higher of the two where the corner is not
                    // between them.
                    // Of all three bytes at once, without branches, which photographs would mislead, and without calls.
                    int swapped = (left ^ up) & notLess(left, up);
                    int low = left ^ swapped;
                    int high = up ^ swapped;
                    int least = high ^ ((high ^ corner) & notLess(high, corner));
                    predicted = left + up - (low ^ ((low ^ least) & notLess(least, low)));
                }
                int wrong = (here | SIGNS) - predicted;
                out[at] = (byte) wrong;
                out[at + 1] = (byte) (wrong >> 10);
                out[at + 2] = (byte) (wrong >> 20);
                at += 3;
                corner = up;
                left = here;
                row[x] = here;
            }
        }
        return at;
    }

    /** @return all bits of those of the three in which a is not less than b */
    private static int notLess(int a, int b) {
        int signs = ((a | SIGNS) - b) & SIGNS;
        return signs - (signs >>> 8);
    }

    private void reserve(int length) {
        if (packed.length < length) {
            packed = new byte[length];
        }
    }
}
