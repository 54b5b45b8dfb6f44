package dev.satchel.display;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;

/**
 * A set of pixels, as bands of rows that have the same columns: the form that X servers use. Immutable; each set has one form only, so
 * that equal sets are equal objects.
 */
public final class Region {
    public static final Region EMPTY = new Region(new int[0]);

    /** Bands from the top, none touching another with the same columns: first row, row after the last, n, then n pairs of first and past-last column. */
    private final int[] bands;

    private Region(int[] bands) {
        this.bands = bands;
    }

    public static Region of(Rectangle rectangle) {
        return rectangle.isEmpty()
                ? EMPTY
                : new Region(new int[] {rectangle.y(), rectangle.bottom(), 1, rectangle.x(), rectangle.right()});
    }

    /** @return what is in any of them */
    public static Region of(Collection<Rectangle> rectangles) {
        // Halves, so that many rectangles don't cost their number squared.
        List<Region> regions = new ArrayList<>(rectangles.size());
        for (Rectangle rectangle : rectangles) {
            regions.add(of(rectangle));
        }
        while (regions.size() > 1) {
            List<Region> merged = new ArrayList<>((regions.size() + 1) / 2);
            for (int i = 0; i < regions.size(); i += 2) {
                merged.add(i + 1 < regions.size() ? regions.get(i).union(regions.get(i + 1)) : regions.get(i));
            }
            regions = merged;
        }
        return regions.isEmpty() ? EMPTY : regions.getFirst();
    }

    public boolean isEmpty() {
        return bands.length == 0;
    }

    /** In pixels. */
    public long area() {
        long area = 0;
        for (int at = 0; at < bands.length; at = next(at)) {
            long columns = 0;
            for (int i = at + 3; i < next(at); i += 2) {
                columns += bands[i + 1] - bands[i];
            }
            area += columns * (bands[at + 1] - bands[at]);
        }
        return area;
    }

    /** @return the smallest rectangle that holds all of it */
    public Rectangle bounds() {
        if (isEmpty()) {
            return new Rectangle(0, 0, 0, 0);
        }
        int left = Integer.MAX_VALUE;
        int right = Integer.MIN_VALUE;
        int bottom = 0;
        for (int at = 0; at < bands.length; at = next(at)) {
            left = Math.min(left, bands[at + 3]);
            right = Math.max(right, bands[next(at) - 1]);
            bottom = bands[at + 1];
        }
        return new Rectangle(left, bands[0], right - left, bottom - bands[0]);
    }

    /** @return rectangles that together are this and don't overlap, from the top and in each band from the left */
    public List<Rectangle> rectangles() {
        List<Rectangle> rectangles = new ArrayList<>();
        for (int at = 0; at < bands.length; at = next(at)) {
            for (int i = at + 3; i < next(at); i += 2) {
                rectangles.add(new Rectangle(bands[i], bands[at], bands[i + 1] - bands[i], bands[at + 1] - bands[at]));
            }
        }
        return rectangles;
    }

    public boolean contains(int x, int y) {
        for (int at = 0; at < bands.length && bands[at] <= y; at = next(at)) {
            if (y < bands[at + 1]) {
                for (int i = at + 3; i < next(at) && bands[i] <= x; i += 2) {
                    if (x < bands[i + 1]) {
                        return true;
                    }
                }
            }
        }
        return false;
    }

    public Region translate(int dx, int dy) {
        int[] moved = bands.clone();
        for (int at = 0; at < moved.length; at = next(at)) {
            moved[at] += dy;
            moved[at + 1] += dy;
            for (int i = at + 3; i < next(at); i++) {
                moved[i] += dx;
            }
        }
        return new Region(moved);
    }

    public Region union(Region other) {
        if (other.isEmpty() || equals(other)) {
            return this;
        }
        return isEmpty() ? other : combine(other, true, true, true);
    }

    public Region union(Rectangle rectangle) {
        return union(of(rectangle));
    }

    public Region intersect(Region other) {
        return isEmpty() || other.isEmpty() ? EMPTY : combine(other, false, true, false);
    }

    public Region intersect(Rectangle rectangle) {
        return intersect(of(rectangle));
    }

    /** @return what is in this and not in the other */
    public Region subtract(Region other) {
        return isEmpty() || other.isEmpty() ? this : combine(other, true, false, false);
    }

    public Region subtract(Rectangle rectangle) {
        return subtract(of(rectangle));
    }

    public boolean intersects(Rectangle rectangle) {
        return !intersect(rectangle).isEmpty();
    }

    private int next(int band) {
        return band + 3 + 2 * bands[band + 2];
    }

    /** @param mine whether what only this has is in the result; likewise what both have, what only the other has */
    private Region combine(Region other, boolean mine, boolean both, boolean others) {
        Bands result = new Bands(bands.length + other.bands.length);
        int a = 0;
        int b = 0;
        int row = Integer.MIN_VALUE;
        while (a < bands.length || b < other.bands.length) {
            boolean inA = a < bands.length && bands[a] <= row;
            boolean inB = b < other.bands.length && other.bands[b] <= row;
            // Where the columns change next.
            int end = Integer.MAX_VALUE;
            if (a < bands.length) {
                end = Math.min(end, inA ? bands[a + 1] : bands[a]);
            }
            if (b < other.bands.length) {
                end = Math.min(end, inB ? other.bands[b + 1] : other.bands[b]);
            }
            if (inA || inB) {
                result.add(
                        row,
                        end,
                        columns(inA ? this : EMPTY, inA ? a : 0, inB ? other : EMPTY, inB ? b : 0, mine, both, others));
            }
            row = end;
            if (inA && bands[a + 1] == row) {
                a = next(a);
            }
            if (inB && other.bands[b + 1] == row) {
                b = other.next(b);
            }
        }
        return result.region();
    }

    /** Of one band of each, or of none where a region is empty. */
    private static int[] columns(Region x, int bandX, Region y, int bandY, boolean mine, boolean both, boolean others) {
        int i = bandX + 3;
        int endX = x.isEmpty() ? i : x.next(bandX);
        int j = bandY + 3;
        int endY = y.isEmpty() ? j : y.next(bandY);
        int[] columns = new int[endX - i + endY - j + 2];
        int count = 0;
        boolean inX = false;
        boolean inY = false;
        boolean in = false;
        while (i < endX || j < endY) {
            int column = Math.min(i < endX ? x.bands[i] : Integer.MAX_VALUE, j < endY ? y.bands[j] : Integer.MAX_VALUE);
            if (i < endX && x.bands[i] == column) {
                inX = !inX;
                i++;
            }
            if (j < endY && y.bands[j] == column) {
                inY = !inY;
                j++;
            }
            boolean now = (inX && inY) ? both : inX ? mine : (inY && others);
            if (now != in) {
                columns[count++] = column;
                in = now;
            }
        }
        return Arrays.copyOf(columns, count);
    }

    /** Bands on their way to a region's one form. */
    private static final class Bands {
        private int[] bands;
        private int length;
        private int last = -1;

        Bands(int expected) {
            bands = new int[expected + 16];
        }

        void add(int row, int end, int[] columns) {
            if (columns.length == 0) {
                return;
            }
            if (last >= 0
                    && bands[last + 1] == row
                    && Arrays.equals(bands, last + 3, length, columns, 0, columns.length)) {
                bands[last + 1] = end;
                return;
            }
            if (length + 3 + columns.length > bands.length) {
                bands = Arrays.copyOf(bands, 2 * bands.length + columns.length);
            }
            last = length;
            bands[length] = row;
            bands[length + 1] = end;
            bands[length + 2] = columns.length / 2;
            System.arraycopy(columns, 0, bands, length + 3, columns.length);
            length += 3 + columns.length;
        }

        Region region() {
            return length == 0 ? EMPTY : new Region(Arrays.copyOf(bands, length));
        }
    }

    @Override
    public boolean equals(Object o) {
        return o instanceof Region other && Arrays.equals(bands, other.bands);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(bands);
    }

    @Override
    public String toString() {
        return rectangles().toString();
    }
}
