package dev.satchel.cli;

import dev.satchel.session.Progress;
import java.io.PrintStream;
import java.util.function.LongSupplier;

/**
 * How a long job goes, on standard error: on a terminal one line that is drawn over and over and vanishes in the end, else a plain
 * line now and then. Short jobs say nothing.
 */
final class ProgressLine implements Progress {
    private static final long SECOND_NANOS = 1_000_000_000;
    /* On a terminal: the first after, the next after. A person sees a tenth of a second; below it a line is only flicker. */
    private static final long DRAWN_FIRST_NANOS = SECOND_NANOS / 5;
    private static final long DRAWN_NEXT_NANOS = SECOND_NANOS / 10;
    /* In a log. */
    private static final long PLAIN_FIRST_NANOS = 2 * SECOND_NANOS;
    private static final long PLAIN_NEXT_NANOS = 10 * SECOND_NANOS;
    private static final int COLUMNS_DEFAULT = 80;

    private final PrintStream err;
    private final boolean terminal;
    private final int columns;
    private final LongSupplier nanoClock;
    private final long begun;
    private volatile long next;
    private boolean drawn;

    /**
     * Begins the job.
     *
     * @param columns of the terminal, 0 when unknown
     */
    ProgressLine(PrintStream err, boolean terminal, int columns, LongSupplier nanoClock) {
        this.err = err;
        this.terminal = terminal;
        this.columns = columns == 0 ? COLUMNS_DEFAULT : columns;
        this.nanoClock = nanoClock;
        begun = nanoClock.getAsLong();
        next = begun + (terminal ? DRAWN_FIRST_NANOS : PLAIN_FIRST_NANOS);
    }

    @Override
    public void at(String what, long done, long total) {
        // Called often: without the lock until something is due. Two who find it due at once draw twice, which does no
        // harm.
        long now = nanoClock.getAsLong();
        if (now - next < 0) {
            return;
        }
        next = now + (terminal ? DRAWN_NEXT_NANOS : PLAIN_NEXT_NANOS);
        StringBuilder line = new StringBuilder(what);
        if (total > 0) {
            line.append(' ').append(percent(done, total)).append(" %");
        }
        line.append(", ").append((now - begun) / SECOND_NANOS).append(" s");
        draw(line);
    }

    private synchronized void draw(StringBuilder line) {
        if (terminal) {
            if (line.length() >= columns) {
                line.setLength(columns - 1);
            }
            err.print("\r" + line + "\u001b[K");
            drawn = true;
        } else {
            err.print(line.append('\n'));
        }
        err.flush();
    }

    /** Takes the line away, so that something else can be printed; the next progress draws it again. */
    synchronized void clear() {
        if (drawn) {
            err.print("\r\u001b[K");
            err.flush();
            drawn = false;
        }
    }

    private static long percent(long done, long total) {
        return Math.clamp((long) (100.0 * done / total), 0, 100);
    }
}
