package dev.satchel.display;

import java.util.ArrayDeque;
import java.util.Iterator;
import org.jspecify.annotations.Nullable;

/**
 * Commands that were made just now of pixels that are still so: of viewers that keep up with each other each gets the very same, and what is done
 * to it, encoding above all, is done once. In a bounded room; not thread-safe.
 */
final class SharedCommands {
    /**
     * Sixteen of the largest, 4 MiB. A viewer takes one or two of them at a time, so with a quarter of that the first of eight is ahead of the
     * last by more than is kept, and two commands of three are made again; with this none is.
     */
    private static final long PIXELS_MAX = 16L * ViewerQueue.PIXELS_MAX;

    private static final int COMMANDS_MAX = 64;

    /** What comes first was made first. */
    private final ArrayDeque<Made> made = new ArrayDeque<>();

    private long pixels;

    private record Made(ViewerQueue.Piece piece, Command command) {}

    @Nullable
    Command find(ViewerQueue.Piece piece) {
        for (Made each : made) {
            if (each.piece().equals(piece)) {
                return each.command();
            }
        }
        return null;
    }

    void add(ViewerQueue.Piece piece, Command command) {
        made.addLast(new Made(piece, command));
        pixels += piece.area().area();
        while (pixels > PIXELS_MAX || made.size() > COMMANDS_MAX) {
            pixels -= made.removeFirst().piece().area().area();
        }
    }

    /** The pixels there are others now. */
    void changed(Region region) {
        for (Iterator<Made> all = made.iterator(); all.hasNext(); ) {
            Rectangle area = all.next().piece().area();
            if (region.intersects(area)) {
                pixels -= area.area();
                all.remove();
            }
        }
    }

    void clear() {
        made.clear();
        pixels = 0;
    }
}
