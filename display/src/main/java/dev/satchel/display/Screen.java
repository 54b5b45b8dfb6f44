package dev.satchel.display;

import java.io.IOException;

/**
 * What draws a session's screen and takes its input: the display server in the session, as seen from outside. It says by a
 * {@link Listener} that there is something to fetch; nothing is polled, and a screen that nobody fetches from costs nothing.
 *
 * <p>Thread-safe. Once the session's display server is gone, methods throw {@link IOException} and the listener has been told.
 */
public interface Screen extends AutoCloseable {
    /** Called on a thread of the screen's, which is not to be held up; never after {@link Screen#close} has returned. */
    interface Listener {
        /** Something was drawn since the last {@link Screen#takeDamage}; said once until that is called again. */
        void damaged();

        /** The screen has another size; all of it counts as drawn. */
        void resized(int width, int height);

        void cursorChanged(CursorImage cursor);

        /** The pointer is there; what programs move is told a little later, perhaps only when something is drawn. */
        void pointerMoved(int x, int y);

        /** What the session's programs offer as text changed; {@link Screen#clipboard} fetches it. */
        void clipboardChanged();

        /** A program rang the bell. */
        default void bell() {}

        /** The display server is gone, not by {@link Screen#close}. */
        void lost(IOException reason);
    }

    /** There is text, but longer than whoever asks can take. */
    final class TooLongException extends IOException {
        private static final long serialVersionUID = 1;

        public TooLongException(int bytesMax) {
            super("the text is longer than " + bytesMax + " bytes");
        }
    }

    /** Its size now; x and y are 0. */
    Rectangle bounds();

    /** The largest it can be made. */
    Rectangle maximum();

    CursorImage cursor() throws IOException;

    /** @return what was drawn since it was asked last, within {@link #bounds}; all of that can be read now */
    Region takeDamage() throws IOException;

    /**
     * Copies pixels, as they are at this moment: what is drawn meanwhile is half there, and will be damage again.
     *
     * @param area within {@link #bounds}; what lies outside because the screen has just shrunk is left as it is
     * @param into 0x00RRGGBB, the area's upper left pixel at {@code offset}, rows {@code stride} apart
     */
    void read(Rectangle area, int[] into, int offset, int stride) throws IOException;

    /**
     * Moves the pointer and presses and releases its buttons.
     *
     * @param buttons those that are down: bit 0 left, 1 middle, 2 right, 3 wheel up, 4 wheel down, 5 wheel left, 6 wheel right, 7 back, 8 forward
     */
    void pointer(int x, int y, int buttons) throws IOException;

    /**
     * Presses or releases the key that means this where it is pressed, whatever layout the session has.
     *
     * @param keysym of X11 (RFC 6143 §7.5.4); for a character without one, 0x01000000 + its code point
     */
    void key(int keysym, boolean down) throws IOException;

    /** Releases every key and button that {@link #key} and {@link #pointer} hold down: of a viewer that went away. */
    void releaseAll() throws IOException;

    /** Asks for another size, at most {@link #maximum}; the listener is told if it comes to be. */
    void resize(int width, int height) throws IOException;

    /**
     * What the session's programs offer as text, asking the program that has it.
     *
     * @param bytesMax of UTF-8
     * @return empty if it is no text, or its owner does not answer in a second
     * @throws TooLongException if it is longer
     */
    String clipboard(int bytesMax) throws IOException;

    /**
     * Offers text to the session's programs, until one of them offers something else, or this is closed; whoever opens the screen next
     * offers it again. The same is done for text that a program offered, {@link #clipboard} gave, and whose program has gone. Text that a
     * program offers already stays that program's.
     */
    void setClipboard(String text) throws IOException;

    /** Whether programs have text from here: no longer once this is closed. */
    boolean offersClipboard();

    /** Lets go of all that is held inside the session, without its programs noticing. */
    @Override
    void close();
}
