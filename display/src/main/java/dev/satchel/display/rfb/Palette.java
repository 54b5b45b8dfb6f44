package dev.satchel.display.rfb;

import java.util.Arrays;

/** Finds out which few colours pixels have. Not thread-safe. */
final class Palette {
    static final int COLORS_MAX = 256;
    private static final int SLOTS = 1024;

    private final int[] colors = new int[COLORS_MAX];
    private final int[] keys = new int[SLOTS];
    private final short[] numbers = new short[SLOTS];
    private int size;

    void clear() {
        Arrays.fill(numbers, (short) -1);
        size = 0;
    }

    /** @return false if there are more colours than {@code max} now: the rest was not looked at */
    boolean add(int[] pixels, int from, int count, int max) {
        int end = from + count;
        int last = ~pixels[from];
        for (int i = from; i < end; i++) {
            int pixel = pixels[i];
            if (pixel != last) {
                last = pixel;
                int slot = slot(pixel);
                if (numbers[slot] < 0) {
                    if (size == max) {
                        return false;
                    }
                    keys[slot] = pixel;
                    numbers[slot] = (short) size;
                    colors[size++] = pixel;
                }
            }
        }
        return true;
    }

    int size() {
        return size;
    }

    /** In the order of their numbers. */
    int[] colors() {
        return colors;
    }

    /** @param color one that was added */
    int number(int color) {
        return numbers[slot(color)];
    }

    private int slot(int color) {
        int slot = (color * 0x9e3779b1) >>> 22;
        while (numbers[slot] >= 0 && keys[slot] != color) {
            slot = (slot + 1) % SLOTS;
        }
        return slot;
    }
}
