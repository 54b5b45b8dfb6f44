package dev.satchel.vault;

import java.time.Instant;
import java.util.Optional;

/**
 * One of a vault's keys. Label, time and measured cost are from under the vault's key, and empty for a slot of the first version, which has none.
 *
 * @param kind empty for a slot that is damaged, or of a newer version: nothing here opens it
 * @param label what its maker called it; may be empty text
 * @param cost of guessing it, for passphrases only
 * @param costMillis how long one guess took on the host where it was made
 */
public record KeySlotInfo(
        KeySlotId id,
        Optional<KeyKind> kind,
        Optional<String> label,
        Optional<Instant> created,
        Optional<KdfParameters> cost,
        Optional<Integer> costMillis) {
    /** The longest label, in bytes of UTF-8. */
    public static final int LABEL_BYTES_MAX = 100;
}
