package dev.satchel.session;

import java.time.Duration;
import java.util.Optional;

/**
 * What is to change of how a session is looked after.
 *
 * @param every time between snapshots in the background, at least 1 s; zero: none any more
 * @param keep which snapshots stay
 */
public record UpkeepChange(Optional<Duration> every, Optional<Retention> keep) {
    /** Nothing is to change. */
    public static final UpkeepChange NONE = new UpkeepChange(Optional.empty(), Optional.empty());

    private static final Duration EVERY_MIN = Duration.ofSeconds(1);

    public UpkeepChange {
        if (every.isPresent() && !every.get().isZero() && every.get().compareTo(EVERY_MIN) < 0) {
            throw new IllegalArgumentException(
                    "snapshots every " + every.get().toSeconds() + " s are too many: give 1s or more, or off");
        }
    }

    /** Whether nothing is to change. */
    public boolean isNone() {
        return every.isEmpty() && keep.isEmpty();
    }
}
