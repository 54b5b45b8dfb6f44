package dev.satchel.session;

import dev.satchel.vault.Replication;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * What {@code vault sync} is to do.
 *
 * @param destination the other copy's directory; empty: the one that is kept up to date by itself
 * @param direction which way
 * @param sessions only these; empty: all, and the images
 * @param resend looks through everything instead of through what is new
 * @param dryRun only says what would be done
 */
public record SyncRequest(
        Optional<Path> destination,
        Replication.Direction direction,
        List<String> sessions,
        boolean resend,
        boolean dryRun) {
    public SyncRequest {
        sessions = List.copyOf(sessions);
    }
}
