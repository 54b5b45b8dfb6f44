package dev.satchel.cli;

import dev.satchel.vault.KeySlotInfo;
import java.io.IOException;
import picocli.CommandLine.Model.OptionSpec;

/** {@code vault passwd}. */
final class VaultPasswordCommand extends Command {
    private final OptionSpec key =
            option("KEY", "Which of the vault's keys the present passphrase is, by label or id.", "--key");
    private final OptionSpec file = option(
            "FILE",
            "Take the new passphrase from this file's first line, - for standard input.",
            "--new-passphrase-file");

    VaultPasswordCommand() {
        super("passwd", "Change a passphrase");
        describe(
                "Asks for the present one, and twice for the new one, which then has its place and label. Whatever happens in"
                        + " between, one of the two opens the vault.",
                "Who has a copy of the vault from before, and the old passphrase, can still open that copy, and read with its"
                        + " key what is added to the vault later. If you fear so, make a new vault.");
        examples("satchel vault passwd", "satchel vault passwd --key office");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        invocation.nameKey(optional(key));
        KeySlotInfo added = invocation.satchel().keys().changePassphrase(invocation.newPassphrase(optional(file)));
        invocation.print(new KeyReport("passphrase changed: it is key " + KeyRow.called(added) + " now", added));
        return 0;
    }
}
