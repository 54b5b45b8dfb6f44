package dev.satchel.cli;

import dev.satchel.session.SessionInfo;
import java.io.IOException;
import java.time.Instant;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code stop}. */
final class StopCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session; it runs here.");

    StopCommand() {
        super("stop", "Shut a running session down");
        describe("Its programs are asked to end, then ended. Its files are kept; 'resume' boots it on them.");
        examples("satchel stop work");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        SessionInfo session = invocation.satchel().stop(text(name));
        invocation.print(new SessionDoneReport(
                new SessionReport(session, Instant.now()), session.session() + " stopped, its files are in the vault"));
        return 0;
    }
}
