package dev.satchel.cli;

import java.io.IOException;
import picocli.CommandLine.Model.OptionSpec;

/** {@code vault gc}. */
final class VaultCollectCommand extends Command {
    private final OptionSpec dryRun = flag("Only say what would be given back.", "-n", "--dry-run");

    VaultCollectCommand() {
        super("gc", "Give back the space of what nothing needs any more");
        describe(
                "Chunks that no snapshot and no image refers to are removed, and what programs that died and sessions that"
                        + " were removed have left. Sessions may go on running meanwhile, here and on other hosts. It can be"
                        + " interrupted at any moment; the next run goes on.");
        examples("satchel vault gc", "satchel vault gc --dry-run");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        boolean look = given(dryRun);
        String vault = invocation.vault().toString();
        invocation.print(new CollectOutcome(vault, invocation.satchel().collect(look), look));
        return 0;
    }
}
