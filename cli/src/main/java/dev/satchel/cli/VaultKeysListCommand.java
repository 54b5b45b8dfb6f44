package dev.satchel.cli;

import dev.satchel.vault.KeySlotInfo;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/** {@code vault keys ls}. */
final class VaultKeysListCommand extends Command {
    VaultKeysListCommand() {
        super("ls", "List what opens the vault");
        describe(
                "With what one guess at a passphrase costs: the memory that it takes, how often that is gone over (Argon2id),"
                        + " and how long it took on the host where the key was added. Keys of older vaults have no label or time.");
        examples("satchel vault keys ls", "satchel vault keys ls --json | jq -r .label");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Instant now = Instant.now();
        List<KeyRow> rows = new ArrayList<>();
        for (KeySlotInfo info : invocation.satchel().keys().list()) {
            rows.add(new KeyRow(info, now));
        }
        invocation.print(rows, KeyRow.table());
        return 0;
    }
}
