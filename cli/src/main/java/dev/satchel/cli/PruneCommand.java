package dev.satchel.cli;

import dev.satchel.session.Retention;
import dev.satchel.session.SnapshotInfo;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code prune}. */
final class PruneCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session; it may run, here or elsewhere.");
    private final OptionSpec keep = option(
            Retention.class,
            new Quantities.Keeping(),
            "RULES",
            "Instead of the session's own, e.g. last=10,daily=30; see 'set'.",
            "--keep");
    private final OptionSpec dryRun = flag("Only list what would go.", "-n", "--dry-run");

    PruneCommand() {
        super("prune", "Remove the snapshots of a session that its rules do not keep");
        describe(
                "Lists those that went, newest first. Those with labels stay, and those where a session stands, this or a fork."
                        + " 'vault gc' then gives their space back.");
        examples("satchel prune work --dry-run", "satchel prune work --keep last=3");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Optional<Retention> rules = optional(keep);
        Instant now = Instant.now();
        List<HistoryRow> rows = new ArrayList<>();
        for (SnapshotInfo snapshot : invocation.satchel().prune(text(name), rules, given(dryRun))) {
            rows.add(new HistoryRow(text(name), snapshot, now));
        }
        invocation.print(rows, HistoryRow.table());
        return 0;
    }
}
