package dev.satchel.cli;

import java.io.IOException;

/** {@code vault init}. */
final class VaultInitCommand extends Command {
    VaultInitCommand() {
        super("init", "Make a vault");
        describe(
                "All that goes into it is encrypted; the passphrase opens it on any host. Who has lost the passphrase has"
                        + " lost the vault.");
        examples("satchel vault init --vault /media/stick/vault");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        String vault = invocation.vault().toString();
        invocation.satchel(true).initVault();
        invocation.print(new SentenceReport("vault made in " + vault, "vault", vault));
        return 0;
    }
}
