package dev.satchel.vault;

import java.util.ArrayList;
import java.util.List;

/**
 * What {@link Vault#verify} found.
 *
 * @param chunksChecked chunks read, opened and compared with their ids
 * @param objectsChecked heads, snapshots, images, key files and indexes read and checked
 * @param errors one line for each thing that is damaged, forged or missing; empty when all is well. At most
 *     {@link #ERRORS_MAX}, the last one saying when there were more
 * @param hit trees that can't be read whole; everything else of the vault can. At most {@link #HIT_MAX}
 */
public record VerifyReport(long chunksChecked, long objectsChecked, List<String> errors, List<TreeDamage> hit) {
    /** Most lines in {@link #errors}. */
    public static final int ERRORS_MAX = 1000;

    /** Most trees in {@link #hit}. */
    public static final int HIT_MAX = 10_000;

    public VerifyReport {
        errors = List.copyOf(errors);
        hit = List.copyOf(hit);
    }

    /** The same, with what others have found damaged. */
    public VerifyReport with(List<String> more) {
        List<String> all = new ArrayList<>(errors);
        for (String line : more) {
            if (all.size() < ERRORS_MAX) {
                all.add(line);
            }
        }
        return new VerifyReport(chunksChecked, objectsChecked, all, hit);
    }
}
