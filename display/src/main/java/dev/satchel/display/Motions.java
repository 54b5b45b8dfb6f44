package dev.satchel.display;

/**
 * What a viewer does with its pointer, on the way to the display. Of many motions that have come only the last one counts; but where a
 * button was pressed or let go, everything does: a drag begins there. Not thread-safe.
 */
public final class Motions {
    /** Takes what counts. */
    public interface Taker {
        /** See {@link Viewer#pointer}. */
        void pointer(int x, int y, int buttons);
    }

    private final Taker taker;
    private boolean waits;
    private int x;
    private int y;
    private int buttons;
    private int buttonsTaken;

    public Motions(Taker taker) {
        this.taker = taker;
    }

    /** One that has come; it waits until {@link #flush}, or until it is known that it counts. */
    public void add(int newX, int newY, int newButtons) {
        if (newButtons != buttons || buttons != buttonsTaken) {
            flush();
        }
        x = newX;
        y = newY;
        buttons = newButtons;
        waits = true;
    }

    /** Has what waits taken: nothing more has come, or something else. */
    public void flush() {
        if (waits) {
            waits = false;
            buttonsTaken = buttons;
            taker.pointer(x, y, buttons);
        }
    }
}
