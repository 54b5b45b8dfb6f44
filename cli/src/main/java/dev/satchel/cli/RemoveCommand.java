package dev.satchel.cli;

import java.io.IOException;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code rm}. */
final class RemoveCommand extends Command {
    private final PositionalParamSpec name =
            session("NAME[@SNAPSHOT]", "The session with all its snapshots, or only that snapshot.");
    private final OptionSpec force = flag("If it runs here, end it first.", "-f", "--force");

    RemoveCommand() {
        super("rm", "Remove a session, or one of its snapshots");
        examples("satchel rm work-try", "satchel rm work@3f2a9c");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Snapshots.Named what = Snapshots.Named.parse(text(name));
        if (what.snapshot().isEmpty()) {
            invocation.satchel().remove(what.session(), given(force));
            invocation.print(new SentenceReport(what.session() + " removed", "session", what.session()));
            return 0;
        }
        if (given(force)) {
            throw new UsageException("--force is for sessions, " + text(name) + " is a snapshot: leave it out");
        }
        String snapshot = what.snapshot().get();
        invocation.satchel().removeSnapshot(what.session(), snapshot);
        invocation.print(new SentenceReport(text(name) + " removed", "session", what.session(), "snapshot", snapshot));
        return 0;
    }
}
