package dev.satchel.cli;

import dev.satchel.session.SnapshotInfo;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code history}. */
final class HistoryCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session.");

    HistoryCommand() {
        super("history", "List a session's snapshots, newest first");
        describe(
                "Each can be gone back to ('resume --at'), be the start of another session ('fork NAME@SNAPSHOT'), or be"
                        + " removed ('rm NAME@SNAPSHOT').");
        examples("satchel history work");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Instant now = Instant.now();
        List<HistoryRow> rows = new ArrayList<>();
        for (SnapshotInfo snapshot : invocation.satchel().history(text(name))) {
            rows.add(new HistoryRow(text(name), snapshot, now));
        }
        invocation.print(rows, HistoryRow.table());
        return 0;
    }
}
