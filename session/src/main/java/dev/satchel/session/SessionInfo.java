package dev.satchel.session;

import dev.satchel.vault.SnapshotId;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/**
 * A session as {@code ls} and {@code inspect} show it.
 *
 * @param state what it is doing
 * @param host the name of the host it runs on, or was running on when that died
 * @param bytesStored its newest snapshot's own new bytes in the vault, summed over its history
 * @param bytesLogical disk and memory of its newest snapshot, before deduplication and compression
 * @param supervisorLog what its supervisor on this host has to say, as long as that runs; one that died leaves it to the next resume
 * @param snapshotEvery time between snapshots in the background
 * @param keep which snapshots stay
 * @param trouble why the last snapshot in the background could not be taken
 */
public record SessionInfo(
        String session,
        State state,
        String image,
        Optional<SnapshotId> snapshot,
        Optional<String> host,
        Instant created,
        long bytesStored,
        long bytesLogical,
        String address,
        String hostname,
        long diskBytes,
        Optional<Path> supervisorLog,
        Optional<Duration> snapshotEvery,
        Retention keep,
        Optional<String> trouble) {
    /** The life of a session. */
    public enum State {
        /** Never booted. */
        CREATED,
        /** Runs on this host. */
        RUNNING,
        /** Runs on another host. */
        ELSEWHERE,
        /** At rest, with the state of its processes. */
        SUSPENDED,
        /** At rest, files only. */
        STOPPED,
        /** Its supervisor died here; what it fsynced is in the vault. */
        CRASHED
    }
}
