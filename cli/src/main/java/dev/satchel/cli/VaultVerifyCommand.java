package dev.satchel.cli;

import dev.satchel.vault.VerifyReport;
import java.io.IOException;

/** {@code vault verify}. */
final class VaultVerifyCommand extends Command {
    VaultVerifyCommand() {
        super("verify", "Check every byte of the vault");
        describe(
                "Reads everything and compares it with keys, hashes and signatures. What is damaged or forged is listed, and"
                        + " the exit code is 4.");
        examples("satchel vault verify");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        String vault = invocation.vault().toString();
        VerifyReport report = invocation.satchel().verify();
        invocation.print(new VerifyOutcome(vault, report));
        if (report.errors().isEmpty()) {
            return 0;
        }
        invocation.note("vault " + vault + " is damaged or forged in "
                + report.errors().size() + (report.errors().size() == 1 ? " place" : " places")
                + ": restore it from a copy that is whole");
        return Failure.NOT_AUTHENTIC;
    }
}
