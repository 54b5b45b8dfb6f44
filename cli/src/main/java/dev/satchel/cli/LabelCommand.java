package dev.satchel.cli;

import dev.satchel.vault.SnapshotId;
import java.io.IOException;
import java.util.Optional;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code label}. */
final class LabelCommand extends Command {
    private final PositionalParamSpec name =
            session("NAME@SNAPSHOT", "The snapshot: the first digits of its id, or a label that it has.");
    private final OptionSpec label = option("TEXT", "What to call it from now on.", "-l", "--label");
    private final OptionSpec remove = flag("Take its label away.", "--remove");

    LabelCommand() {
        super("label", "Name a snapshot");
        describe(
                "A label can be written wherever a snapshot can: NAME@LABEL, 'resume --at LABEL'. Of several with one label the"
                        + " newest is meant. Snapshots with labels are never removed by rules ('set --keep', 'prune').");
        examples("satchel label work@3f2a9c --label 'before the upgrade'", "satchel label work@3f2a9c --remove");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Snapshots.Named what = Snapshots.Named.parse(text(name));
        Optional<String> text = optional(label);
        if (what.snapshot().isEmpty()) {
            throw new UsageException("'" + text(name) + "' names no snapshot: write NAME@SNAPSHOT");
        }
        if (text.isPresent() == given(remove) || text.orElse("-").isEmpty()) {
            throw new UsageException("give either --label TEXT or --remove");
        }
        SnapshotId snapshot =
                invocation.satchel().label(what.session(), what.snapshot().get(), text.orElse(""));
        invocation.print(new SentenceReport(
                Snapshots.brief(snapshot)
                        + (text.isPresent()
                                ? " of " + what.session() + " is '" + text.get() + "'"
                                : " has no label now"),
                "session",
                what.session(),
                "snapshot",
                snapshot.toString(),
                "label",
                text.orElse("")));
        return 0;
    }
}
