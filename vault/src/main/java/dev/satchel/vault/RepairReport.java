package dev.satchel.vault;

import static java.util.Objects.requireNonNull;

import java.util.List;

/**
 * What {@link Vault#repair} did; with {@link RepairRequest#dryRun} what it would do.
 *
 * @param chunksMended chunks that were damaged or missing and are there again
 * @param chunksMoved whole chunks of damaged packs that are in new packs now
 * @param objectsMended other files that are whole again
 * @param actions one line for each file that was mended, remade, removed or put aside, and for each place that failed; at most {@link VerifyReport#ERRORS_MAX}
 * @param left what is still wrong; without errors when all was mended. Of a dry run: what nothing that was given could mend
 */
public record RepairReport(
        long chunksMended, long chunksMoved, long objectsMended, List<String> actions, VerifyReport left) {
    public RepairReport {
        actions = List.copyOf(actions);
        requireNonNull(left, "left");
    }
}
