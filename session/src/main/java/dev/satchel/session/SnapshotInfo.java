package dev.satchel.session;

import dev.satchel.vault.SnapshotId;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * A snapshot as {@code history} shows it.
 *
 * @param kind what made it: "create", "suspend", "snapshot", "stop", "crash" or, in the background, "auto"
 * @param bytesNew bytes it added to the vault
 * @param bytesLogical disk and memory it holds
 * @param thumbnail whether it has a picture of what the screen showed
 * @param windows titles of the windows that were open
 * @param label what somebody called it
 */
public record SnapshotInfo(
        SnapshotId snapshot,
        Optional<SnapshotId> parent,
        Instant created,
        String kind,
        long bytesNew,
        long bytesLogical,
        int processes,
        boolean thumbnail,
        List<String> windows,
        Optional<String> label) {
    public SnapshotInfo {
        windows = List.copyOf(windows);
    }
}
