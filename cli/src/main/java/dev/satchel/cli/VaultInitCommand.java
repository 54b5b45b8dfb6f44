package dev.satchel.cli;

import java.io.IOException;
import java.util.Optional;
import picocli.CommandLine.Model.OptionSpec;

/** {@code vault init}. */
final class VaultInitCommand extends Command {
    private final OptionSpec label =
            option("LABEL", "What to call the passphrase among the vault's keys; nothing if left out.", "--label");

    VaultInitCommand() {
        super("init", "Make a vault");
        describe(
                "All that goes into it is encrypted; the passphrase opens it on any host. Who has lost all that opens"
                        + " it has lost the vault: 'vault keys add --recovery' makes a key to keep on paper.",
                "One guess at the passphrase is made to take about half a second on this host, which is measured, and"
                        + " takes a moment itself.");
        examples("satchel vault init --vault /media/stick/vault");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        String vault = invocation.vault().toString();
        Optional<String> named = optional(label);
        invocation.satchel(true).initVault(named.orElse(""));
        invocation.print(new SentenceReport("vault made in " + vault, "vault", vault));
        return 0;
    }
}
