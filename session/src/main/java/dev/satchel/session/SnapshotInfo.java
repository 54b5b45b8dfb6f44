package dev.satchel.session;

import dev.satchel.vault.SnapshotId;
import java.time.Instant;
import java.util.Optional;

/**
 * A snapshot as {@code history} shows it.
 *
 * @param kind what made it: "create", "suspend", "snapshot", "stop" or "crash"
 * @param bytesNew bytes it added to the vault
 * @param bytesLogical disk and memory it holds
 */
public record SnapshotInfo(
        SnapshotId snapshot,
        Optional<SnapshotId> parent,
        Instant created,
        String kind,
        long bytesNew,
        long bytesLogical,
        int processes) {}
