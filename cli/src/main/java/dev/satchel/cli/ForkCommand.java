package dev.satchel.cli;

import dev.satchel.session.SessionInfo;
import java.io.IOException;
import java.time.Instant;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code fork}. */
final class ForkCommand extends Command {
    private final PositionalParamSpec from = session(
            "NAME[@SNAPSHOT]", "The session, or one of its snapshots; of a session that runs, this very instant.");
    private final PositionalParamSpec newName = argument(1, "NEW", "What to call the new session.");

    ForkCommand() {
        super("fork", "Make a second session that goes on from the same instant");
        describe(
                "Nothing is copied: both refer to the same chunks, and each stores only what it changes from then on.");
        examples("satchel fork work work-try", "satchel fork work@3f2a9c work-tuesday");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Snapshots.Named source = Snapshots.Named.parse(text(from));
        SessionInfo session = invocation.satchel().fork(source.session(), source.snapshot(), text(newName));
        String brief = session.snapshot().isPresent()
                ? " at " + Snapshots.brief(session.snapshot().get())
                : "";
        invocation.print(new SessionDoneReport(
                new SessionReport(session, Instant.now()),
                session.session() + " forked from " + source.session() + brief));
        return 0;
    }
}
