package dev.satchel.cli;

import dev.satchel.session.SessionInfo;
import dev.satchel.session.UpkeepChange;
import java.io.IOException;
import java.time.Instant;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code set}. */
final class SetCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session; it may run here, or nowhere.");
    private final UpkeepOptions upkeep = new UpkeepOptions(this);

    SetCommand() {
        super("set", "Change how often a session is saved, and which snapshots are kept");
        describe("What is set holds wherever the session runs. 'inspect' shows it.");
        examples(
                "satchel set work --snapshot-every 10m --keep last=10,hourly=24,daily=30",
                "satchel set work --snapshot-every off");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        UpkeepChange change = upkeep.change();
        if (change.isNone()) {
            throw new UsageException("nothing to set: give --snapshot-every or --keep");
        }
        SessionInfo session = invocation.satchel().configure(text(name), change);
        invocation.print(new SessionDoneReport(
                new SessionReport(session, Instant.now()), session.session() + " " + SessionReport.upkeep(session)));
        return 0;
    }
}
