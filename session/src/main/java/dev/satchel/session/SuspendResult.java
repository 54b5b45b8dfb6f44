package dev.satchel.session;

import dev.satchel.vault.SnapshotId;

/**
 * What {@code suspend} and {@code snapshot} did.
 *
 * @param frozenMillis from the first process stopped to the whole state captured; after that a snapshot's processes run again
 * @param totalMillis from the request to the end; of a suspend: until its programs have ended, and nothing is mounted
 * @param bytesMemory pages of memory in the checkpoint
 * @param bytesNew bytes added to the vault
 * @param criuMillis of the frozen time and what leads to it, CRIU's own: from its start to the state of all processes in memory
 * @param durableMillis of the total: from the request to everything on stable storage, signed
 */
public record SuspendResult(
        String session,
        SnapshotId snapshot,
        long frozenMillis,
        long totalMillis,
        int processes,
        long bytesMemory,
        long bytesNew,
        long criuMillis,
        long durableMillis) {}
