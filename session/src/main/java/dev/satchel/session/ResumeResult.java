package dev.satchel.session;

import dev.satchel.vault.SnapshotId;
import java.util.Optional;

/**
 * What {@code resume} did.
 *
 * @param snapshot the one it went on from
 * @param totalMillis from this program's start (the JVM's included) to programs running
 * @param processes restored, or 1 when it was booted
 * @param booted whether it was booted rather than restored
 * @param criuMillis CRIU's own time of the total, or the OCI runtime's when it was booted
 */
public record ResumeResult(
        String session,
        Optional<SnapshotId> snapshot,
        long totalMillis,
        int processes,
        boolean booted,
        String viewUrl,
        long criuMillis) {}
