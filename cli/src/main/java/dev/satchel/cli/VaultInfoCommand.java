package dev.satchel.cli;

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
        invocation.print(new VaultInfoReport(vault, invocation.satchel().info()));
        return 0;
    }
}
