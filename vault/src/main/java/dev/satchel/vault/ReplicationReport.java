package dev.satchel.vault;

import java.util.List;

/**
 * What a sync did.
 *
 * @param chunksSent chunks that a copy lacked and has now
 * @param bytesSent bytes written for all that was carried, packs and other objects
 * @param packsSent packs that were carried as they are
 * @param snapshotsSent snapshots that a copy lacked
 * @param imagesSent images that a copy lacked
 * @param headsMoved sessions that came to a copy, or went on in one, or got another name
 * @param branches sessions that were made or went on because another one had gone on in two places
 * @param waiting sessions that are left as they were in the copy in which somebody has them just now
 * @param removed sessions that both copies had and that were removed where they would have gone
 * @param damaged what is damaged where it would have come from, a line each, and was left out
 */
public record ReplicationReport(
        long chunksSent,
        long bytesSent,
        long packsSent,
        int snapshotsSent,
        int imagesSent,
        int headsMoved,
        List<Replication.Branch> branches,
        List<String> waiting,
        List<String> removed,
        List<String> damaged) {
    public ReplicationReport {
        branches = List.copyOf(branches);
        waiting = List.copyOf(waiting);
        removed = List.copyOf(removed);
        damaged = List.copyOf(damaged);
    }
}
