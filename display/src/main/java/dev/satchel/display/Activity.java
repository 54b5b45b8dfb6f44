package dev.satchel.display;

import java.util.ArrayList;
import java.util.List;

/**
 * Tells moving pictures from the rest: places that keep changing for most of their pixels. What has moved, scrolled text say, is not
 * counted by who calls. Not thread-safe.
 */
final class Activity {
    private static final int TILE = 32;
    /** So often in a row a place has to change... */
    private static final int CHANGES_MIN = 6;
    /** ...with no longer pause than this between two, or, once it is a moving picture, before it has come to rest. */
    private static final long PAUSE_MILLIS_MAX = 150;

    private static final long REST_MILLIS = 350;
    /** Smaller moving things, a cursor or a spinner, cost little and are better exact. */
    private static final int AREA_MIN = 64 * 64;

    private final Rectangle bounds;
    private final int columns;
    private final int rows;
    private final long[] lastMillis;
    private final byte[] changes;
    private Region moving = Region.EMPTY;

    Activity(Rectangle bounds) {
        this.bounds = bounds;
        columns = (bounds.width() + TILE - 1) / TILE;
        rows = (bounds.height() + TILE - 1) / TILE;
        lastMillis = new long[columns * rows];
        changes = new byte[columns * rows];
    }

    /** Where moving pictures are. */
    Region moving() {
        return moving;
    }

    /** @return when {@link #moving} is to be looked at again if nothing changes, {@link Long#MAX_VALUE}: never */
    long restMillis() {
        return moving.isEmpty() ? Long.MAX_VALUE : oldest() + REST_MILLIS;
    }

    private long oldest() {
        long oldest = Long.MAX_VALUE;
        for (int i = 0; i < changes.length; i++) {
            if (changes[i] >= CHANGES_MIN) {
                oldest = Math.min(oldest, lastMillis[i]);
            }
        }
        return oldest == Long.MAX_VALUE ? 0 : oldest;
    }

    /**
     * @param nowMillis of any clock that does not go back
     * @param late whether it has changed some time before, and perhaps more than once
     */
    void changed(Region changed, long nowMillis, boolean late) {
        int[] pixels = new int[columns * rows];
        for (Rectangle part : changed.rectangles()) {
            for (int row = part.y() / TILE; row * TILE < part.bottom(); row++) {
                for (int column = part.x() / TILE; column * TILE < part.right(); column++) {
                    pixels[row * columns + column] +=
                            (int) part.intersect(tile(row, column)).area();
                }
            }
        }
        for (int i = 0; i < pixels.length; i++) {
            if (pixels[i] == 0) {
                continue;
            }
            boolean mostly = pixels[i] * 2L >= tile(i / columns, i % columns).area();
            if (nowMillis - lastMillis[i] > (changes[i] >= CHANGES_MIN ? REST_MILLIS : PAUSE_MILLIS_MAX)) {
                changes[i] = 0;
            }
            if (mostly && changes[i] < CHANGES_MIN) {
                changes[i] += (byte) (late ? 2 : 1);
            }
            if (mostly || changes[i] >= CHANGES_MIN) {
                lastMillis[i] = nowMillis;
            }
        }
        look(nowMillis);
    }

    /** @return what was a moving picture and is none any more */
    Region look(long nowMillis) {
        Region before = moving;
        List<Rectangle> tiles = new ArrayList<>();
        for (int i = 0; i < changes.length; i++) {
            if (changes[i] < CHANGES_MIN) {
                continue;
            }
            if (nowMillis - lastMillis[i] >= REST_MILLIS) {
                changes[i] = 0;
            } else {
                tiles.add(tile(i / columns, i % columns));
            }
        }
        Region now = Region.of(tiles);
        moving = now.area() < AREA_MIN ? Region.EMPTY : now;
        return before.subtract(moving);
    }

    private Rectangle tile(int row, int column) {
        return new Rectangle(column * TILE, row * TILE, TILE, TILE).intersect(bounds);
    }
}
