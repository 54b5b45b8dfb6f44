package dev.satchel.cli;

import java.io.IOException;

/** {@code vault lock}. */
final class VaultLockCommand extends Command {
    VaultLockCommand() {
        super("lock", "Forget the vault's key on this host");
        describe("Undoes 'unlock'. Sessions that run go on running.");
        examples("satchel vault lock");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        String vault = invocation.vault().toString();
        invocation.satchel().lock();
        invocation.print(new SentenceReport("vault " + vault + " locked", "vault", vault));
        return 0;
    }
}
