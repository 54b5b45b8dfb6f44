package dev.satchel.display;

import java.io.IOException;
import java.util.List;
import java.util.Optional;

/**
 * One viewer of a {@link Display}: the queue of what it lacks, and the way back of what it does. A viewer that does not take its
 * commands costs nothing but memory of the order of the screen's outline. Thread-safe.
 */
public interface Viewer extends AutoCloseable {
    /**
     * What a viewer is like.
     *
     * @param control whether it may type, point, resize and set the clipboard
     * @param video whether it can show {@link Command.Video}
     * @param pointer whether it is to be told where the pointer is, not having moved it itself
     */
    record Options(boolean control, boolean video, boolean pointer) {
        public Options(boolean control, boolean video) {
            this(control, video, false);
        }
    }

    /** Where the pointer is, on the screen. */
    record Position(int x, int y) {}

    /**
     * Text to paste.
     *
     * @param there whether it was offered before the viewer came, or before the screen was held (again)
     */
    record Copied(String text, boolean there) {}

    /** Who of those that may control does so. */
    enum Controls {
        ALL,
        THIS_ALONE,
        ANOTHER_ALONE
    }

    /**
     * What to tell a viewer, in this order.
     *
     * @param size if the screen has another than was told last: all commands from now on are of a screen of this size, whose content is unknown
     * @param cursor if it changed
     * @param pointer if it was moved, and that is to be told
     * @param clipboard if the session's programs, or another viewer, offer other text than was told last
     * @param controls if that changed
     * @param bell whether a program rang, once or more
     * @param commands as many as were asked for; empty if nothing is to be drawn
     * @param ended why nothing will come any more
     */
    record Update(
            Optional<Rectangle> size,
            Optional<CursorImage> cursor,
            Optional<Position> pointer,
            Optional<Copied> clipboard,
            Optional<Controls> controls,
            boolean bell,
            List<Command> commands,
            Optional<String> ended) {}

    /**
     * Waits until there is something to tell, or the time is over.
     *
     * @param bytesMax how large the commands may be together once they are encoded, as far as that can be told before; one is given at least. 0: none,
     *     but all else
     * @return what there is, taken from the queue: the caller is to send all of it, in order
     */
    Update take(long bytesMax, long millisMax) throws InterruptedException;

    /** Ends a {@link #take} that waits, or else the next one, as if its time was over: something changed for the caller. */
    void wakeUp();

    /**
     * From now on moving pictures come whole each time, and stay where they are as long as that makes sense, or not: for a codec that sends
     * what is different from the time before.
     */
    void wholePictures(boolean whole);

    /** All is to be told again. */
    void refresh();

    /** As {@link Screen#pointer}; nothing if it may not control, or if the screen is gone just now. */
    void pointer(int x, int y, int buttons) throws IOException;

    /** As {@link Screen#key}. */
    void key(int keysym, boolean down) throws IOException;

    /** As {@link Screen#resize}, made to fit between 64x64 and what the screen can be. */
    void resize(int width, int height) throws IOException;

    /** As {@link Screen#setClipboard}; the other viewers are told. */
    void setClipboard(String text) throws IOException;

    /**
     * Takes control from all others, whose keys and buttons are released, or gives it back to all; nothing if this viewer may not control.
     * When the one that has it is closed all have it again.
     */
    void controlAlone(boolean alone);

    /** Closes an earlier viewer of the same person; control that it had alone is this one's, if this one may control. */
    void takeOver(Viewer earlier);

    /** Releases what it holds down, and lets go of its queue. */
    @Override
    void close();
}
