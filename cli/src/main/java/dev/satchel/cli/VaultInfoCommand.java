package dev.satchel.cli;

import dev.satchel.session.Satchel;
import java.io.IOException;

/** {@code vault info}. */
final class VaultInfoCommand extends Command {
    VaultInfoCommand() {
        super("info", "Show the vault's size and contents");
        examples("satchel vault info");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        String vault = invocation.vault().toString();
        Satchel satchel = invocation.satchel();
        invocation.print(new VaultInfoReport(vault, satchel.info(), satchel.cache()));
        return 0;
    }
}
