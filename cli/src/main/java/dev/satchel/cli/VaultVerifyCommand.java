package dev.satchel.cli;

import dev.satchel.session.VerifyResult;
import java.io.IOException;
import picocli.CommandLine.Model.OptionSpec;

/** {@code vault verify}. */
final class VaultVerifyCommand extends Command {
    private final OptionSpec quick = flag(
            "Check the structure only: objects, signatures, indexes, what packs say they hold, sizes, and that all is there that"
                    + " snapshots and images need. The contents of chunks are not read.",
            "--quick");

    VaultVerifyCommand() {
        super("verify", "Check every byte of the vault");
        describe(
                "Reads everything and compares it with keys, hashes and signatures. What is damaged or forged is listed, with"
                        + " the snapshots and files that are hit, and the exit code is 4. What is not listed can be used as ever."
                        + " 'satchel vault repair' mends it if there is a copy.");
        examples("satchel vault verify", "satchel vault verify --quick");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        String vault = invocation.vault().toString();
        VerifyResult result = invocation.satchel().verify(given(quick));
        invocation.print(new VerifyOutcome(vault, result));
        int errors = result.report().errors().size();
        if (errors == 0 && result.lost().isEmpty()) {
            return 0;
        }
        invocation.note("vault " + vault + " is damaged or forged in " + errors + (errors == 1 ? " place" : " places")
                + ": mend it with 'satchel vault repair --from' a copy that is whole");
        return Failure.NOT_AUTHENTIC;
    }
}
