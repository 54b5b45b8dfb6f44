package dev.satchel.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code suspend}. */
final class SuspendCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session; it runs here.");
    private final OptionSpec label = option("TEXT", "What to call the snapshot, see 'label'.", "-l", "--label");

    SuspendCommand() {
        super("suspend", "Put a running session into the vault, whole");
        describe(
                "Files, programs and what they were doing go into the vault as one snapshot, encrypted and signed. When it"
                        + " returns with 0, all of it is on stable storage and nothing runs or stays on this host: the device may be"
                        + " pulled. If it fails, the session goes on running.");
        examples("satchel suspend work", "satchel suspend work --json | jq .total_ms");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Optional<String> called = optional(label);
        invocation.print(new SuspendReport(invocation.satchel().suspend(text(name), called), "suspended"));
        Optional<Path> copy = invocation.satchel().keptCopy();
        if (copy.isPresent()) {
            invocation.note("its copy in " + copy.get()
                    + " is brought up to date in the background: see 'satchel vault sync" + " --status'");
        }
        return 0;
    }
}
