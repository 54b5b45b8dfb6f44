package dev.satchel.cli;

import dev.satchel.session.SessionInfo;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/** {@code ls}. */
final class ListCommand extends Command {
    ListCommand() {
        super("ls", "List the vault's sessions");
        describe("A session is created (never booted), running (here), elsewhere (on another host), suspended (with its"
                + " programs), stopped (files only) or crashed (its supervisor died here; 'resume' goes on with what is in"
                + " the vault).");
        examples("satchel ls", "satchel ls --json | jq -r 'select(.state == \"running\").session'");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Instant now = Instant.now();
        List<SessionReport> rows = new ArrayList<>();
        List<String> damaged = new ArrayList<>();
        for (SessionInfo session : invocation.satchel().sessions(damaged::add)) {
            rows.add(new SessionReport(session, now));
        }
        invocation.print(rows, SessionReport.table());
        for (String line : damaged) {
            invocation.note(line + "; 'satchel vault repair' mends it");
        }
        return damaged.isEmpty() ? 0 : Failure.NOT_AUTHENTIC;
    }
}
