package dev.satchel.cli;

import java.io.IOException;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code snapshot}. */
final class SnapshotCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session; it runs here.");

    SnapshotCommand() {
        super("snapshot", "Keep this instant of a running session, which goes on");
        describe(
                "The same as 'suspend', but the session goes on running. 'resume --at' and 'fork' go on from there later.");
        examples("satchel snapshot work");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        invocation.print(new SuspendReport(invocation.satchel().snapshot(text(name)), "kept"));
        return 0;
    }
}
