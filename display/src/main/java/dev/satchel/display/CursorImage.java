package dev.satchel.display;

/**
 * The pointer's picture.
 *
 * @param width in pixels, 0 if the pointer is not shown
 * @param hotX the column that points
 * @param pixels {@code 0xAARRGGBB}, premultiplied by alpha, rows from the top
 */
@SuppressWarnings("ArrayRecordComponent") // nobody compares pictures by equals
public record CursorImage(int width, int height, int hotX, int hotY, int[] pixels) {
    /** Of a pointer that is not shown. */
    public static final CursorImage NONE = new CursorImage(0, 0, 0, 0, new int[0]);
}
