package dev.satchel.display;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The screen as viewers are told of it: what all of them have once they have all their commands. By comparing it with what the screen
 * shows now it finds what has really changed, and what has only moved. Not thread-safe.
 */
final class Shadow {
    /** What moved: {@code to} holds what was {@code dx}, {@code dy} before it; rectangles in an order that overwrites none that is still to be read. */
    record Move(List<Rectangle> to, int dx, int dy) {}

    /**
     * What became of the screen.
     *
     * @param moves to be done before all else, one after the other
     * @param changed what is different besides
     */
    record Changes(List<Move> moves, Region changed) {
        static final Changes NONE = new Changes(List.of(), Region.EMPTY);
    }

    /** Pixels that are compared at once; a change is told with this accuracy, and trimmed. */
    private static final int TILE_WIDTH = 64;

    private static final int TILE_HEIGHT = 16;

    private final Rectangle bounds;
    private final int[] pixels;
    private int[] fresh = new int[0];
    private final MoveFinder finder = new MoveFinder();

    Shadow(Rectangle bounds) {
        this.bounds = bounds;
        this.pixels = new int[bounds.width() * bounds.height()];
    }

    Rectangle bounds() {
        return bounds;
    }

    /** @return 0x00RRGGBB, rows from the top */
    int[] copy(Rectangle area) {
        int[] copy = new int[area.width() * area.height()];
        for (int y = 0; y < area.height(); y++) {
            System.arraycopy(pixels, (area.y() + y) * bounds.width() + area.x(), copy, y * area.width(), area.width());
        }
        return copy;
    }

    /** Takes all as it is, without looking what changed. */
    void read(Screen screen) throws IOException {
        screen.read(bounds, pixels, 0, bounds.width());
    }

    /**
     * Takes what the screen shows now where it was drawn on.
     *
     * @param noMoves where nothing is to be looked for that has moved: moving pictures
     */
    Changes update(Screen screen, Region damage, Region noMoves) throws IOException {
        Rectangle area = damage.intersect(bounds).bounds();
        if (area.isEmpty()) {
            return Changes.NONE;
        }
        if (fresh.length < area.width() * area.height()) {
            fresh = new int[area.width() * area.height()];
        }
        List<Rectangle> changed = new ArrayList<>();
        for (Rectangle part : damage.intersect(bounds).rectangles()) {
            screen.read(part, fresh, (part.y() - area.y()) * area.width() + part.x() - area.x(), area.width());
            compare(part, area, changed);
        }
        Region different = Region.of(changed);
        List<Move> moves = new ArrayList<>();
        Region rest = different;
        if (different.area() >= MoveFinder.AREA_MIN) {
            // Outside of what was drawn on, fresh has nothing to compare with.
            Region within = different.subtract(noMoves);
            Move move = finder.find(pixels, bounds, fresh, area, damage.intersect(bounds), within);
            if (move != null) {
                moves.add(move);
                rest = different.subtract(Region.of(move.to()));
            }
        }
        for (Rectangle part : different.rectangles()) {
            for (int y = part.y(); y < part.bottom(); y++) {
                System.arraycopy(
                        fresh,
                        (y - area.y()) * area.width() + part.x() - area.x(),
                        pixels,
                        y * bounds.width() + part.x(),
                        part.width());
            }
        }
        return new Changes(moves, rest);
    }

    private void compare(Rectangle part, Rectangle area, List<Rectangle> changed) {
        for (int top = part.y(); top < part.bottom(); top += TILE_HEIGHT) {
            int bottom = Math.min(top + TILE_HEIGHT, part.bottom());
            Rectangle run = null;
            for (int left = part.x(); left < part.right(); left += TILE_WIDTH) {
                int right = Math.min(left + TILE_WIDTH, part.right());
                Rectangle found = difference(left, top, right, bottom, area);
                if (found == null) {
                    continue;
                }
                // Neighbours of about the same rows are one: few rectangles matter more than few pixels.
                if (run != null
                        && found.x() - run.right() <= TILE_WIDTH / 4
                        && Math.abs(found.y() - run.y()) + Math.abs(found.bottom() - run.bottom()) <= TILE_HEIGHT / 4) {
                    run = run.union(found);
                } else {
                    if (run != null) {
                        changed.add(run);
                    }
                    run = found;
                }
            }
            if (run != null) {
                changed.add(run);
            }
        }
    }

    /** @return the smallest rectangle of the tile that holds all that is different; null if nothing is */
    private @org.jspecify.annotations.Nullable Rectangle difference(
            int left, int top, int right, int bottom, Rectangle area) {
        int firstRow = top;
        while (firstRow < bottom && mismatch(left, right, firstRow, area) < 0) {
            firstRow++;
        }
        if (firstRow == bottom) {
            return null;
        }
        int lastRow = bottom - 1;
        while (lastRow > firstRow && mismatch(left, right, lastRow, area) < 0) {
            lastRow--;
        }
        // Of the rows between, only what lies beyond what is known to differ counts.
        int firstColumn = right;
        int lastColumn = left - 1;
        for (int y = firstRow; y <= lastRow && (firstColumn > left || lastColumn < right - 1); y++) {
            int first = mismatch(left, firstColumn, y, area);
            if (first >= 0) {
                firstColumn = left + first;
            }
            int old = y * bounds.width();
            int now = (y - area.y()) * area.width() - area.x();
            int last = right - 1;
            while (last > lastColumn && pixels[old + last] == fresh[now + last]) {
                last--;
            }
            lastColumn = last;
        }
        return new Rectangle(firstColumn, firstRow, lastColumn + 1 - firstColumn, lastRow + 1 - firstRow);
    }

    /** @return how far from {@code left} the first pixel of a row is that differs; -1 if none does */
    private int mismatch(int left, int right, int y, Rectangle area) {
        int old = y * bounds.width();
        int now = (y - area.y()) * area.width() - area.x();
        return Arrays.mismatch(pixels, old + left, old + right, fresh, now + left, now + right);
    }
}
