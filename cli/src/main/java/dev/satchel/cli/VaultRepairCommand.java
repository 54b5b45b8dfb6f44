package dev.satchel.cli;

import dev.satchel.session.RepairResult;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Model.OptionSpec;

/** {@code vault repair}. */
final class VaultRepairCommand extends Command {
    private final OptionSpec from = add(OptionSpec.builder("--from")
            .type(List.class)
            .auxiliaryTypes(String.class)
            .arity("1")
            .paramLabel("DIR")
            .description(
                    "A directory with another copy of the vault, older or newer, whole or not: what is good in it is taken."
                            + " May be repeated.")
            .build());
    private final OptionSpec dryRun =
            flag("Say what would be mended and what would be lost, and change nothing.", "-n", "--dry-run");
    private final OptionSpec giveUp = flag(
            "Put aside what nothing can mend, and have a session whose newest snapshot is lost go back to its newest one whose"
                    + " disk is whole. Without this, it is left as it is, for a copy that may turn up later.",
            "--give-up");

    VaultRepairCommand() {
        super("repair", "Mend what is damaged, from copies of the vault");
        describe(
                "Reads everything, as 'satchel vault verify' does, and mends what is damaged or missing from the copies that"
                        + " are named, chunks also from lookasides. Copies are not trusted: only what this vault's own keys say it must be is taken.",
                "What was good in a damaged file is stored anew, before that file goes; a file with something that is nowhere"
                        + " else is kept in the vault's directory damaged/. Indexes, names and leases need no copy. May be broken"
                        + " off and begun again, also while sessions run.",
                "What nothing can mend is listed, with the snapshots and files that are hit, and the exit code is 4; all else can"
                        + " be used as ever.");
        examples(
                "satchel vault repair",
                "satchel vault repair --from /media/backup/vault",
                "satchel vault repair --from /media/backup/vault --dry-run");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        String vault = invocation.vault().toString();
        Optional<List<String>> named = optional(from);
        List<String> copies = named.orElse(List.of());
        RepairResult result = invocation.satchel().repair(copies, given(dryRun), given(giveUp));
        invocation.print(new RepairOutcome(vault, given(dryRun), result));
        if (result.report().left().errors().isEmpty() && result.lost().isEmpty()) {
            return 0;
        }
        invocation.note("vault " + vault + " is still damaged"
                + (copies.isEmpty()
                        ? ": name a copy of it with --from"
                        : ": the copies that were named don't have it either, name another with --from"));
        return Failure.NOT_AUTHENTIC;
    }
}
