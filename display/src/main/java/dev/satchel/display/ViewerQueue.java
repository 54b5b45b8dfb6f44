package dev.satchel.display;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * What one viewer lacks (MobiDesk §3.2). Copies wait as they are, in order; all other drawing waits as the region whose pixels the viewer has not got,
 * and becomes commands, of the pixels there are by then, only when it is sent: so what is overwritten meanwhile is never sent, and a
 * viewer that takes nothing costs a region. Not thread-safe.
 *
 * <p>Invariant: once the viewer has carried out {@code copies}, it has the shadow's pixels everywhere but in {@code lacking}.
 */
final class ViewerQueue {
    /** More copies than this are not worth keeping: what they would bring is sent as pixels. */
    private static final int COPIES_MAX = 256;
    /** A command's pixels: what is sent before something shorter can get past it. */
    static final int PIXELS_MAX = 1 << 16;
    /** After so long, what waits is no longer overtaken. */
    private static final long PATIENCE_MILLIS = 500;

    private static final int COMMAND_BYTES = 16;
    /** About what encoded pixels need, pages of text and pictures taken together; of a moving picture. */
    private static final double BYTES_PER_PIXEL = 0.3;

    private static final double MOVING_BYTES_PER_PIXEL = 0.1;
    private static final double FILM_BYTES_PER_PIXEL = 0.02;
    private static final Rectangle NOWHERE = new Rectangle(0, 0, 0, 0);

    private final boolean video;
    private final List<Command.Copy> copies = new ArrayList<>();
    private Rectangle bounds;
    private Region lacking = Region.EMPTY;
    /** Of what is lacking, what has waited long; and what was lacking at {@code lookedMillis}, and has been since. */
    private Region overdue = Region.EMPTY;

    private Region older = Region.EMPTY;
    private long lookedMillis;
    /** Where the viewer has what is only about right. */
    private Region inexact = Region.EMPTY;

    private boolean whole;
    /** If {@code whole}: the moving picture that is largest, where it was found first. */
    private Rectangle film = NOWHERE;

    /** @param video whether moving pictures may be sent inexactly */
    ViewerQueue(Rectangle bounds, boolean video) {
        this.bounds = bounds;
        this.video = video;
        all();
    }

    boolean isEmpty() {
        return copies.isEmpty() && lacking.isEmpty();
    }

    /** See {@link Viewer#wholePictures}. */
    void wholePictures(boolean wanted) {
        whole = wanted;
        film = NOWHERE;
    }

    /** What the viewer has not got exactly once all that was taken is carried out. */
    Region inexact() {
        return inexact.union(lacking);
    }

    /** All is to be sent, of a screen of this size. */
    void reset(Rectangle newBounds) {
        bounds = newBounds;
        all();
    }

    private void all() {
        copies.clear();
        lacking = Region.of(bounds);
        overdue = Region.EMPTY;
        older = Region.EMPTY;
        inexact = Region.EMPTY;
    }

    /** The shadow has just changed so. */
    void add(Shadow.Changes changes) {
        for (Shadow.Move move : changes.moves()) {
            for (Rectangle to : move.to()) {
                copy(to, move.dx(), move.dy());
            }
        }
        lacking = lacking.union(changes.changed());
    }

    private void copy(Rectangle to, int dx, int dy) {
        // What it would bring that is not there, or not exactly, is as much lacking where it goes to.
        Rectangle from = to.translate(-dx, -dy);
        Region lackingThere = lacking.intersect(from).translate(dx, dy);
        Region inexactThere = inexact.intersect(from).translate(dx, dy);
        lacking = lacking.subtract(to).union(lackingThere);
        inexact = inexact.subtract(to).union(inexactThere);
        if (lackingThere.area() == to.area()) {
            return;
        }
        copies.add(new Command.Copy(to, from.x(), from.y()));
        if (copies.size() > COPIES_MAX) {
            for (Command.Copy copy : copies) {
                lacking = lacking.union(copy.area());
            }
            copies.clear();
        }
    }

    /**
     * What is no moving picture, or none any more, is to become exact.
     *
     * @param moving where moving pictures are
     */
    void settle(Region moving) {
        if (!inexact.isEmpty()) {
            lacking = lacking.union(inexact.subtract(Region.of(pictures(moving))));
        }
    }

    /** An area to be sent next, of a moving picture or not. */
    record Piece(Rectangle area, boolean moving) {}

    /**
     * Takes what is to be sent, copies first, then what is shortest.
     *
     * @param moving where moving pictures are
     * @param copied where to put copies
     * @return the areas whose pixels go then
     */
    List<Piece> take(long bytesMax, Region moving, long nowMillis, List<Command> copied) {
        long bytes = 0;
        for (Command.Copy copy : copies) {
            copied.add(copy);
            bytes += COMMAND_BYTES;
        }
        copies.clear();
        overdue = overdue.intersect(lacking);
        older = older.intersect(lacking);
        if (nowMillis - lookedMillis >= PATIENCE_MILLIS) {
            overdue = overdue.union(older);
            older = lacking;
            lookedMillis = nowMillis;
        }
        List<Piece> taken = new ArrayList<>();
        for (Piece piece : pieces(video ? moving : Region.EMPTY)) {
            long cost = COMMAND_BYTES + (long) (piece.area().area() * bytesPerPixel(piece));
            if (bytes > 0 && bytes + cost > bytesMax) {
                break;
            }
            bytes += cost;
            taken.add(piece);
            lacking = lacking.subtract(piece.area());
            inexact = piece.moving() ? inexact.union(piece.area()) : inexact.subtract(piece.area());
        }
        return taken;
    }

    private double bytesPerPixel(Piece piece) {
        if (piece.area().equals(film)) {
            return FILM_BYTES_PER_PIXEL;
        }
        return piece.moving() ? MOVING_BYTES_PER_PIXEL : BYTES_PER_PIXEL;
    }

    private List<Piece> pieces(Region moving) {
        List<Piece> pieces = new ArrayList<>();
        Region still = lacking;
        for (Rectangle picture : pictures(moving)) {
            Rectangle part = lacking.intersect(picture).bounds();
            if (picture.equals(film) && !part.isEmpty()) {
                part = film;
            }
            if (!part.isEmpty()) {
                pieces.add(new Piece(part, true));
                still = still.subtract(part);
            }
        }
        for (Rectangle part : joined(still)) {
            int rows = Math.max(1, PIXELS_MAX / part.width());
            for (int y = part.y(); y < part.bottom(); y += rows) {
                pieces.add(new Piece(
                        new Rectangle(part.x(), y, part.width(), Math.min(rows, part.bottom() - y)), false));
            }
        }
        pieces.sort(Comparator.comparing((Piece piece) -> !overdue.intersects(piece.area()))
                .thenComparingLong(piece -> piece.area().area()));
        return pieces;
    }

    /** Where moving pictures are sent; the largest one does not change its place for what moves a little less or more. */
    private List<Rectangle> pictures(Region moving) {
        List<Rectangle> now = solid(moving.intersect(bounds));
        if (!whole || now.isEmpty()) {
            film = NOWHERE;
            return now;
        }
        Rectangle largest = now.get(0);
        for (Rectangle picture : now) {
            largest = picture.area() > largest.area() ? picture : largest;
        }
        if (!film.contains(largest) || film.area() > 2 * largest.area()) {
            film = largest;
        }
        List<Rectangle> pictures = new ArrayList<>(Region.of(now).subtract(film).rectangles());
        pictures.add(film);
        return pictures;
    }

    /** One rectangle if most of it is meant, else each. */
    private static List<Rectangle> solid(Region region) {
        if (region.isEmpty()) {
            return List.of();
        }
        Rectangle whole = region.bounds();
        return region.area() * 4 >= whole.area() * 3 ? List.of(whole) : region.rectangles();
    }

    /** Rectangles of the region with little more than it: many small ones cost more than some pixels that are sent in vain. */
    private static List<Rectangle> joined(Region region) {
        List<Rectangle> joined = new ArrayList<>();
        for (Rectangle part : region.rectangles()) {
            boolean taken = false;
            for (int i = joined.size() - 1; i >= 0 && i >= joined.size() - 4 && !taken; i--) {
                Rectangle both = joined.get(i).union(part);
                if (both.area() <= joined.get(i).area() + part.area() + Math.max(256, both.area() / 8)) {
                    joined.set(i, both);
                    taken = true;
                }
            }
            if (!taken) {
                joined.add(part);
            }
        }
        return joined;
    }
}
