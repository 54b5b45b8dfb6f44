package dev.satchel.display;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Finds what has only moved, scrolled text and dragged windows, from pixels alone. Some short strips of what is new are looked for in
 * what was there: straight above, below and beside first, as nearly all moves are scrolling, which takes a tenth of the time; then
 * everywhere, by a rolling hash (Karp and Rabin 1987). Most of those that are found again agree on how far they have moved; how much
 * has moved so far is then compared pixel by pixel. Not thread-safe.
 */
final class MoveFinder {
    /** Less than this is not worth looking at, in pixels. */
    static final int AREA_MIN = 4096;

    private static final int STRIP = 16;
    private static final int STRIPS_MAX = 64;
    /** Of a strip's pixels, how many at least must differ from the one before: text does, a plain background is everywhere. */
    private static final int EDGES_MIN = 4;

    private static final int VOTES_MIN = 3;
    private static final int PASSES = 4;
    private static final int MOVED_MIN = 2048;
    private static final int RECTANGLES_MAX = 24;
    private static final int BLOCK = 16;
    private static final int TABLE = 256;
    private static final int VECTORS = 1024;
    private static final int PRIME = 0x01000193;
    /** After how many vain searches the next is left out, at most, each time. */
    private static final int PATIENCE_MAX = 8;

    private final int[] stripHash = new int[STRIPS_MAX];
    private final int[] stripX = new int[STRIPS_MAX];
    private final int[] stripY = new int[STRIPS_MAX];
    /** Of each strip's pixels the last that differs from the one before: few places have both. */
    private final int[] stripEdge = new int[STRIPS_MAX];

    private final int[] first = new int[TABLE];
    private final int[] following = new int[STRIPS_MAX];
    private final long[] vectors = new long[VECTORS];
    private final int[] votes = new int[VECTORS];
    private final int top;
    private int vain;
    private int skip;

    MoveFinder() {
        int power = 1;
        for (int i = 1; i < STRIP; i++) {
            power *= PRIME;
        }
        top = power;
    }

    /**
     * @param old the screen as it was
     * @param fresh what is there now, of {@code area} only, and there only where it was drawn on
     * @param drawn where fresh is known
     * @param changed what is different, where a move is to be found
     * @return null if nothing, or too little, has moved
     */
    Shadow.@Nullable Move find(int[] old, Rectangle bounds, int[] fresh, Rectangle area, Region drawn, Region changed) {
        if (changed.area() < AREA_MIN) {
            return null;
        }
        if (skip > 0) {
            skip--;
            return null;
        }
        Shadow.Move move = null;
        int strips = chooseStrips(fresh, area, changed);
        if (strips >= VOTES_MIN) {
            long vector = straight(old, bounds, area, strips, fresh, false);
            if (vector == 0) {
                vector = straight(old, bounds, area, strips, fresh, true);
            }
            if (vector == 0) {
                vector = vote(old, bounds, area, strips, fresh);
            }
            if (vector != 0) {
                move = extent(old, bounds, fresh, area, drawn, changed, (int) (vector >> 32), (int) vector);
            }
        }
        if (move == null) {
            vain = Math.min(vain + 1, PATIENCE_MAX);
            skip = vain - 1;
        } else {
            vain = 0;
        }
        return move;
    }

    /** Takes strips from all over what changed, none of a plain background. @return how many */
    private int chooseStrips(int[] fresh, Rectangle area, Region changed) {
        Arrays.fill(first, -1);
        int count = 0;
        List<Rectangle> rectangles = changed.rectangles();
        long step = Math.max(1, changed.area() / (4L * STRIPS_MAX * STRIP));
        long due = 0;
        long passed = 0;
        for (Rectangle part : rectangles) {
            if (part.width() < STRIP) {
                continue;
            }
            int across = part.width() / STRIP;
            for (int y = part.y(); y < part.bottom() && count < STRIPS_MAX; y++) {
                for (int i = 0; i < across && count < STRIPS_MAX; i++) {
                    if (passed++ < due) {
                        continue;
                    }
                    int x = part.x() + i * STRIP;
                    int at = (y - area.y()) * area.width() + x - area.x();
                    int edges = 0;
                    int edge = 0;
                    int hash = 0;
                    for (int k = 0; k < STRIP; k++) {
                        hash = hash * PRIME + fresh[at + k];
                        if (k > 0 && fresh[at + k] != fresh[at + k - 1]) {
                            edges++;
                            edge = k;
                        }
                    }
                    if (edges < EDGES_MIN) {
                        continue;
                    }
                    due = passed + step;
                    stripHash[count] = hash;
                    stripX[count] = x;
                    stripY[count] = y;
                    stripEdge[count] = edge;
                    int slot = slot(hash);
                    following[count] = first[slot];
                    first[slot] = count++;
                }
            }
        }
        return count;
    }

    private static int slot(int hash) {
        return (hash ^ hash >>> 16 ^ hash >>> 8) & (TABLE - 1);
    }

    /** @return how far most have moved up or down, or to a side; 0 if they don't agree */
    private long straight(int[] old, Rectangle bounds, Rectangle area, int strips, int[] fresh, boolean sideways) {
        Arrays.fill(votes, 0);
        int places = sideways ? area.width() - STRIP + 1 : area.height();
        int step = sideways ? 1 : bounds.width();
        int looked = 0;
        // Some from all over first: mostly they agree.
        for (int pass = 0; pass < PASSES; pass++) {
            for (int strip = pass; strip < strips; strip += PASSES) {
                int x = stripX[strip];
                int y = stripY[strip];
                int at = (y - area.y()) * area.width() + x - area.x();
                int edge = stripEdge[strip];
                int before = fresh[at + edge - 1];
                int after = fresh[at + edge];
                int from = sideways ? y * bounds.width() + area.x() : area.y() * bounds.width() + x;
                for (int i = 0; i < places; i++, from += step) {
                    if (old[from + edge] == after
                            && old[from + edge - 1] == before
                            && Arrays.equals(old, from, from + STRIP, fresh, at, at + STRIP)) {
                        count(sideways ? x - area.x() - i : 0, sideways ? 0 : y - area.y() - i);
                    }
                }
                looked++;
            }
            long vector = elected(Math.max(VOTES_MIN, (3 * looked + 3) / 4));
            if (vector != 0) {
                return vector;
            }
        }
        return elected(Math.max(VOTES_MIN, (looked + 1) / 2));
    }

    /** @return how far most have moved, dx in the upper half and dy in the lower; 0 if they don't agree */
    private long vote(int[] old, Rectangle bounds, Rectangle area, int strips, int[] fresh) {
        Arrays.fill(votes, 0);
        for (int y = area.y(); y < area.bottom(); y++) {
            int row = y * bounds.width();
            int hash = 0;
            for (int x = area.x(); x < area.right(); x++) {
                int pixel = old[row + x];
                if (x >= area.x() + STRIP) {
                    hash -= old[row + x - STRIP] * top;
                }
                hash = hash * PRIME + pixel;
                if (x < area.x() + STRIP - 1) {
                    continue;
                }
                for (int strip = first[slot(hash)]; strip >= 0; strip = following[strip]) {
                    if (stripHash[strip] == hash) {
                        int from = x - STRIP + 1;
                        int at = (stripY[strip] - area.y()) * area.width() + stripX[strip] - area.x();
                        if (Arrays.equals(old, row + from, row + from + STRIP, fresh, at, at + STRIP)) {
                            count(stripX[strip] - from, stripY[strip] - y);
                        }
                    }
                }
            }
        }
        return elected(Math.max(VOTES_MIN, (strips + 3) / 4));
    }

    /** @return what most have voted for; 0 if fewer than {@code enough} have */
    private long elected(int enough) {
        long best = 0;
        int most = enough - 1;
        for (int i = 0; i < VECTORS; i++) {
            if (votes[i] > most) {
                most = votes[i];
                best = vectors[i];
            }
        }
        return best;
    }

    private void count(int dx, int dy) {
        if (dx == 0 && dy == 0) {
            return;
        }
        long vector = (long) dx << 32 | (dy & 0xffffffffL);
        int slot = (dx * 31 + dy) & (VECTORS - 1);
        for (int i = 0; i < 8; i++) {
            int at = (slot + i) & (VECTORS - 1);
            if (votes[at] == 0) {
                vectors[at] = vector;
            }
            if (vectors[at] == vector) {
                votes[at]++;
                return;
            }
        }
    }

    private Shadow.@Nullable Move extent(
            int[] old, Rectangle bounds, int[] fresh, Rectangle area, Region drawn, Region changed, int dx, int dy) {
        List<Rectangle> moved = new ArrayList<>();
        // Where both ends are known: what was there before lies on the screen, what is there now was drawn.
        for (Rectangle part : drawn.intersect(bounds.translate(dx, dy)).rectangles()) {
            for (int y = part.y(); y < part.bottom(); y += BLOCK) {
                int bottom = Math.min(y + BLOCK, part.bottom());
                BitSet differ = differing(old, bounds, fresh, area, part, y, bottom, dx, dy);
                int blocks = (part.width() + BLOCK - 1) / BLOCK;
                for (int from = differ.nextClearBit(0); from < blocks; ) {
                    int next = differ.nextSetBit(from);
                    int to = next < 0 ? blocks : next;
                    int left = part.x() + from * BLOCK;
                    int right = Math.min(part.x() + to * BLOCK, part.right());
                    moved.add(new Rectangle(left, y, right - left, bottom - y));
                    from = differ.nextClearBit(to);
                }
            }
        }
        List<Rectangle> large = new ArrayList<>();
        for (Rectangle whole : grow(Region.of(moved).rectangles(), old, bounds, fresh, area, drawn, dx, dy)) {
            if (!changed.intersect(whole).isEmpty()) {
                large.add(whole);
            }
        }
        if (large.size() > RECTANGLES_MAX) {
            large.sort(Comparator.comparingLong(Rectangle::area).reversed());
            large.subList(RECTANGLES_MAX, large.size()).clear();
        }
        Region region = Region.of(large).intersect(changed.bounds());
        if (region.intersect(changed).area() < MOVED_MIN) {
            return null;
        }
        // Bands from the top and from the left; what moves down or right begins at the other end, so that nothing is
        // overwritten that is still to be read.
        List<Rectangle> ordered = new ArrayList<>(region.rectangles());
        if (ordered.size() > 2 * RECTANGLES_MAX) {
            return null;
        }
        if (dy > 0) {
            Collections.reverse(ordered);
        }
        if (dy > 0 ? dx < 0 : dx > 0) {
            reverseBands(ordered);
        }
        return new Shadow.Move(List.copyOf(ordered), dx, dy);
    }

    /** @return which blocks of some rows, counted from the part's left, are not what was {@code dx}, {@code dy} before them */
    private static BitSet differing(
            int[] old,
            Rectangle bounds,
            int[] fresh,
            Rectangle area,
            Rectangle part,
            int top,
            int bottom,
            int dx,
            int dy) {
        int blocks = (part.width() + BLOCK - 1) / BLOCK;
        BitSet differ = new BitSet(blocks);
        for (int y = top; y < bottom; y++) {
            int before = (y - dy) * bounds.width() - dx;
            int now = (y - area.y()) * area.width() - area.x();
            // As far at once as nothing differs, past what has differed in a row above.
            for (int block = differ.nextClearBit(0); block < blocks; ) {
                int next = differ.nextSetBit(block);
                int from = part.x() + block * BLOCK;
                int to = next < 0 ? part.right() : part.x() + next * BLOCK;
                int same = Arrays.mismatch(old, before + from, before + to, fresh, now + from, now + to);
                if (same >= 0) {
                    block += same / BLOCK;
                    differ.set(block);
                    block = differ.nextClearBit(block);
                } else {
                    block = next < 0 ? blocks : differ.nextClearBit(next);
                }
            }
        }
        return differ;
    }

    private static void reverseBands(List<Rectangle> ordered) {
        int from = 0;
        for (int i = 1; i <= ordered.size(); i++) {
            if (i == ordered.size() || ordered.get(i).y() != ordered.get(from).y()) {
                Collections.reverse(ordered.subList(from, i));
                from = i;
            }
        }
    }

    /** Blocks end where blocks end; what moved goes on a little further. */
    private static List<Rectangle> grow(
            List<Rectangle> blocks,
            int[] old,
            Rectangle bounds,
            int[] fresh,
            Rectangle area,
            Region drawn,
            int dx,
            int dy) {
        List<Rectangle> grown = new ArrayList<>(blocks.size());
        for (Rectangle block : blocks) {
            int x = block.x();
            int y = block.y();
            int right = block.right();
            int bottom = block.bottom();
            Rectangle limits = null;
            for (Rectangle part : drawn.rectangles()) {
                if (part.contains(block)) {
                    limits = part.intersect(bounds.translate(dx, dy));
                    break;
                }
            }
            if (limits != null) {
                while (y > limits.y() && same(old, bounds, fresh, area, x, y - 1, right, y, dx, dy)) {
                    y--;
                }
                while (bottom < limits.bottom()
                        && same(old, bounds, fresh, area, x, bottom, right, bottom + 1, dx, dy)) {
                    bottom++;
                }
                while (x > limits.x() && same(old, bounds, fresh, area, x - 1, y, x, bottom, dx, dy)) {
                    x--;
                }
                while (right < limits.right() && same(old, bounds, fresh, area, right, y, right + 1, bottom, dx, dy)) {
                    right++;
                }
            }
            grown.add(new Rectangle(x, y, right - x, bottom - y));
        }
        return grown;
    }

    private static boolean same(
            int[] old,
            Rectangle bounds,
            int[] fresh,
            Rectangle area,
            int left,
            int top,
            int right,
            int bottom,
            int dx,
            int dy) {
        for (int y = top; y < bottom; y++) {
            int before = (y - dy) * bounds.width() - dx;
            int now = (y - area.y()) * area.width() - area.x();
            if (!Arrays.equals(old, before + left, before + right, fresh, now + left, now + right)) {
                return false;
            }
        }
        return true;
    }
}
