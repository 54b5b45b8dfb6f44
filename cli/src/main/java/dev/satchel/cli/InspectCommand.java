package dev.satchel.cli;

import dev.satchel.session.Satchel;
import java.io.IOException;
import java.time.Instant;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code inspect}. */
final class InspectCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session.");

    InspectCommand() {
        super("inspect", "Show all there is to know of a session");
        describe(
                "Of one that runs here, also where its chunks are read from: how many each place gave, lacked and failed to give,"
                        + " and how long was waited for it.");
        examples("satchel inspect work", "satchel inspect work --json | jq -r .state");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Satchel satchel = invocation.satchel();
        SessionReport report = new SessionReport(satchel.inspect(text(name)), Instant.now());
        invocation.print(new InspectReport(report, satchel.sources(text(name))));
        return 0;
    }
}
