package dev.satchel.cli;

import java.io.IOException;
import java.util.Optional;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code snapshot}. */
final class SnapshotCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session; it runs here.");
    private final OptionSpec label = option("TEXT", "What to call the snapshot, see 'label'.", "-l", "--label");

    SnapshotCommand() {
        super("snapshot", "Keep this instant of a running session, which goes on");
        describe(
                "The same as 'suspend', but the session goes on running. 'resume --at' and 'fork' go on from there later.");
        examples("satchel snapshot work");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Optional<String> called = optional(label);
        invocation.print(new SuspendReport(invocation.satchel().snapshot(text(name), called), "kept"));
        return 0;
    }
}
