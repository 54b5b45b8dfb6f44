package dev.satchel.display.x11;

import dev.satchel.display.CursorImage;

/** A pointer's picture for when the server has none to tell: an arrow, black with a white edge. */
final class Arrow {
    private static final String[] ROWS = {
        "o           ",
        "oo          ",
        "oxo         ",
        "oxxo        ",
        "oxxxo       ",
        "oxxxxo      ",
        "oxxxxxo     ",
        "oxxxxxxo    ",
        "oxxxxxxxo   ",
        "oxxxxxxxxo  ",
        "oxxxxxxxxxo ",
        "oxxxxxxooooo",
        "oxxxoxxo    ",
        "oxxo oxxo   ",
        "oxo  oxxo   ",
        "oo    oxxo  ",
        "      oxxo  ",
        "       oo   ",
    };

    static final CursorImage IMAGE = new CursorImage(ROWS[0].length(), ROWS.length, 0, 0, pixels());

    private Arrow() {}

    private static int[] pixels() {
        int width = ROWS[0].length();
        int[] pixels = new int[width * ROWS.length];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = switch (ROWS[i / width].charAt(i % width)) {
                case 'x' -> 0xff000000;
                case 'o' -> 0xffffffff;
                default -> 0;
            };
        }
        return pixels;
    }
}
