package dev.satchel.display.web;

import dev.satchel.display.Display;
import java.io.IOException;

/** Where a server has the session's display from, as a session may be without one for a while. Thread-safe. */
@FunctionalInterface
public interface DisplaySource {
    /** @throws IOException if there is none just now; its message is told to viewers */
    Display display() throws IOException;
}
