package dev.satchel.session;

import dev.satchel.vault.SnapshotId;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * What damage to the vault costs one snapshot, or one image.
 *
 * @param owner name of the session, or of the image
 * @param snapshot which of its snapshots; empty for an image
 * @param created when that was made; empty for an image
 * @param chunks how many chunks can't be read
 * @param processes whether its processes can't be restored; if its disk is whole, the session can still be booted on its files
 * @param disk whether parts of its disk can't be read
 * @param files the files in these parts, by their paths on the disk, sorted; at most {@link #FILES_MAX}
 * @param moreFiles whether there are more than {@code files}, or some could not be named
 * @param fileSystem whether tables of the file system itself are in these parts
 */
public record LossInfo(
        String owner,
        Optional<SnapshotId> snapshot,
        Optional<Instant> created,
        long chunks,
        boolean processes,
        boolean disk,
        List<String> files,
        boolean moreFiles,
        boolean fileSystem) {
    /** Most files that are named for one snapshot. */
    public static final int FILES_MAX = 1000;

    public LossInfo {
        files = List.copyOf(files);
    }
}
