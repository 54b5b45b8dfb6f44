package dev.satchel.session;

import dev.satchel.vault.VerifyReport;
import java.util.List;

/**
 * What {@code vault verify} found.
 *
 * @param report about the vault's files
 * @param lost what that means for sessions and images
 */
public record VerifyResult(VerifyReport report, List<LossInfo> lost) {
    public VerifyResult {
        lost = List.copyOf(lost);
    }
}
