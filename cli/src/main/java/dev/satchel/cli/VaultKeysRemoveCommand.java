package dev.satchel.cli;

import dev.satchel.vault.KeySlotInfo;
import java.io.IOException;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code vault keys rm}. */
final class VaultKeysRemoveCommand extends Command {
    private final PositionalParamSpec key =
            argument(0, "KEY", "Its label, or its id, or the beginning of that, of four digits at least.");

    VaultKeysRemoveCommand() {
        super("rm", "Remove a key, so that it opens the vault no more");
        describe(
                "Refuses if no passphrase or recovery key would be left: security keys alone break, or are lost.",
                "Copies of the vault from before still open with it. Who has such a copy and the key can read with it what is"
                        + " added to the vault later, too. If you fear so, make a new vault.");
        examples("satchel vault keys rm office", "satchel vault keys rm 3f21");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        KeySlotInfo removed = invocation.satchel().keys().remove(text(key));
        invocation.print(new KeyReport("key " + KeyRow.called(removed) + " removed", removed));
        return 0;
    }
}
