package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;

/** {@code vault clear-cache}. */
final class VaultClearCacheCommand extends Command {
    VaultClearCacheCommand() {
        super("clear-cache", "Forget the chunks that this host's disk keeps");
        describe(
                "The cache of this host, of all vaults, gives its space back. Sessions that run through it go on, and fill it"
                        + " again. What is in it is encrypted; --cache-size 0 keeps it from being used.");
        examples("satchel vault clear-cache");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        invocation.print(new Freed(invocation.satchel().clearCache()));
        return 0;
    }

    private record Freed(long bytes) implements Report {
        @Override
        public void fields(JsonGenerator json) throws IOException {
            json.writeNumberField("bytes_freed", bytes);
        }

        @Override
        public void text(StringBuilder text) {
            text.append(bytes == 0 ? "there was nothing in the cache" : "the cache had " + Quantities.bytes(bytes))
                    .append('\n');
        }
    }
}
