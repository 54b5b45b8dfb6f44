package dev.satchel.display;

import java.io.IOException;

/** A running session's display: its screen, followed as long as somebody looks, and its viewers. Thread-safe. */
public interface Display extends AutoCloseable {
    /** @throws IOException if the session has no display server that answers */
    Viewer attach(Viewer.Options options) throws IOException;

    /**
     * Waits while its screen is let go, as it is when a snapshot is taken.
     *
     * @throws IOException if it has ended
     */
    void await() throws IOException;

    /** Its size now, and the largest it can be made. @throws IOException if there is no screen, or it is let go just now */
    Rectangle bounds() throws IOException;

    Rectangle maximum() throws IOException;

    @Override
    void close();
}
