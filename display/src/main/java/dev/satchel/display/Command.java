package dev.satchel.display;

/**
 * A display command: what a viewer is to do to its copy of the screen (MobiDesk §3). Immutable, arrays included: several viewers may get
 * the same. Colours are {@code 0x00RRGGBB}.
 */
// Arrays, not copies of them: nobody compares commands, and pixels are many.
@SuppressWarnings("ArrayRecordComponent")
public sealed interface Command {
    /** What it overwrites; not empty. */
    Rectangle area();

    /** COPY: the area becomes what the viewer's copy has at {@code fromX}, {@code fromY} when this is carried out; the two may overlap. */
    record Copy(Rectangle area, int fromX, int fromY) implements Command {}

    /** SFILL: one colour. */
    record Fill(Rectangle area, int color) implements Command {}

    /**
     * BITMAP: two colours.
     *
     * @param bits rows from the top, each filled up to whole bytes, leftmost pixel in the highest bit; set means {@code one}
     */
    record Bitmap(Rectangle area, int zero, int one, byte[] bits) implements Command {}

    /**
     * PFILL: a tile over and over, beginning in the area's upper left corner.
     *
     * @param tile rows from the top, {@code tileWidth} pixels each
     */
    record Pattern(Rectangle area, int tileWidth, int[] tile) implements Command {
        public int tileHeight() {
            return tile.length / tileWidth;
        }
    }

    /**
     * RAW: any pixels, exactly.
     *
     * @param pixels rows from the top, of the area's width
     */
    record Pixels(Rectangle area, int[] pixels) implements Command {}

    /** VIDEO: pixels of a place that keeps changing, which may be sent inexactly; {@link Pixels} follow when it rests. */
    record Video(Rectangle area, int[] pixels) implements Command {}
}
