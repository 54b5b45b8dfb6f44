package dev.satchel.session;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.EnumMap;
import java.util.Map;

/**
 * What is the matter with a running session though nobody asked: one line a kind in a file of its run directory, where commands that
 * report on it find it, and in the supervisor's log. Thread-safe.
 */
final class Troubles {
    enum Kind {
        /** Memory that can't be read. */
        MEMORY,
        /** The last snapshot in the background. */
        SNAPSHOT,
        /** Removing what the rules of retention don't keep. */
        RETENTION,
        /** The suspend when the last viewer had left. */
        SUSPEND_ON_CLOSE,
    }

    private final Path file;
    private final Map<Kind, String> present = new EnumMap<>(Kind.class);

    /** @param file there as long as there is anything to tell */
    Troubles(Path file) {
        this.file = file;
    }

    /**
     * Takes the place of what was told of that kind.
     *
     * @param what for a person, with what to do
     */
    synchronized void tell(Kind kind, String what) {
        String line = Instant.now().truncatedTo(ChronoUnit.SECONDS) + ": " + what;
        System.err.println("satchel: " + line);
        present.put(kind, line);
        write();
    }

    /** It is no more. */
    synchronized void over(Kind kind) {
        if (present.remove(kind) != null) {
            write();
        }
    }

    private void write() {
        try {
            if (present.isEmpty()) {
                Files.deleteIfExists(file);
            } else {
                Files.writeString(file, String.join("; ", present.values()));
            }
        } catch (IOException e) {
            System.err.println("satchel: what is the matter can't be noted in " + file + ": " + e.getMessage());
        }
    }
}
