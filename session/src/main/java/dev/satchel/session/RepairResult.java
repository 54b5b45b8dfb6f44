package dev.satchel.session;

import dev.satchel.vault.RepairReport;
import java.util.List;

/**
 * What {@code vault repair} did.
 *
 * @param entrance one line for each file that had to be put back before the vault could be opened
 * @param report what was mended
 * @param lost what could not be mended, and what that means for sessions and images
 */
public record RepairResult(List<String> entrance, RepairReport report, List<LossInfo> lost) {
    public RepairResult {
        entrance = List.copyOf(entrance);
        lost = List.copyOf(lost);
    }
}
