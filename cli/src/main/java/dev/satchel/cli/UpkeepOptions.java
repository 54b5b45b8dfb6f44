package dev.satchel.cli;

import dev.satchel.session.Retention;
import dev.satchel.session.UpkeepChange;
import java.time.Duration;
import java.util.Optional;
import picocli.CommandLine.Model.OptionSpec;

/** {@code --snapshot-every} and {@code --keep}, wherever a session's upkeep can be said. */
final class UpkeepOptions {
    private final OptionSpec every;
    private final OptionSpec keep;

    UpkeepOptions(Command command) {
        every = command.option(
                Duration.class,
                new Quantities.TimeOrOff(),
                "TIME",
                "Take a snapshot in the background that long after the last one, e.g. 10m, unless no program has run since; off:"
                        + " never.",
                "--snapshot-every");
        keep = command.option(
                Retention.class,
                new Quantities.Keeping(),
                "RULES",
                "After each of these, remove the session's snapshots but those that rules keep, e.g."
                        + " last=10,hourly=24,daily=30,weekly=8,monthly=12,yearly=5: the last ten, and the newest of each of the last"
                        + " 24 hours that have any, and so on. What has a label is kept, too. all: remove none.",
                "--keep");
    }

    UpkeepChange change() {
        Optional<Duration> time = Command.optional(every);
        Optional<Retention> rules = Command.optional(keep);
        try {
            return new UpkeepChange(time, rules);
        } catch (IllegalArgumentException e) {
            throw new UsageException(String.valueOf(e.getMessage()));
        }
    }
}
