package dev.satchel.display.web;

import java.io.IOException;
import java.io.InputStream;
import org.jspecify.annotations.Nullable;

/** The files that a browser shows a session with. Thread-safe. They never change while a server runs. */
@FunctionalInterface
public interface ViewerFiles {
    /** Those that are packed with the program. */
    ViewerFiles PACKED = path -> ViewerFiles.class.getResourceAsStream("/dev/satchel/display/web/" + path);

    /**
     * @param path relative, of letters, digits, dots, dashes and underlines between single slashes, no part of it {@code .} or {@code ..}
     * @return null if there is none
     */
    @Nullable
    InputStream open(String path) throws IOException;
}
