package dev.satchel.cli;

import java.io.IOException;
import java.time.Instant;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code inspect}. */
final class InspectCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session.");

    InspectCommand() {
        super("inspect", "Show all there is to know of a session");
        examples("satchel inspect work", "satchel inspect work --json | jq -r .state");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        invocation.print(new SessionReport(invocation.satchel().inspect(text(name)), Instant.now()));
        return 0;
    }
}
