package dev.satchel.cli;

import dev.satchel.vault.SnapshotId;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Snapshots as they are typed and printed: {@code NAME@SNAPSHOT}, and ids short enough to read. */
final class Snapshots {
    private static final int BRIEF_DIGITS = 12;

    private Snapshots() {}

    /** {@code NAME} or {@code NAME@SNAPSHOT}. */
    record Named(String session, Optional<String> snapshot) {
        static Named parse(String text) {
            int at = text.indexOf('@');
            if (at < 0) {
                return new Named(text, Optional.empty());
            }
            if (at == 0 || at == text.length() - 1) {
                throw new UsageException("'" + text + "' names no snapshot: write NAME@SNAPSHOT");
            }
            return new Named(text.substring(0, at), Optional.of(text.substring(at + 1)));
        }
    }

    /** As many digits as do for a person, and for a command that takes a prefix. */
    static String brief(SnapshotId id) {
        return id.toString().substring(0, BRIEF_DIGITS);
    }

    static @Nullable String textOrNull(Optional<SnapshotId> id) {
        return id.isPresent() ? id.get().toString() : null;
    }
}
