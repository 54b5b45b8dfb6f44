package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.vault.HostCache;
import dev.satchel.vault.VaultInfo;
import java.io.IOException;
import java.util.Optional;

/** What {@code vault info} prints. */
record VaultInfoReport(String vault, VaultInfo info, Optional<HostCache.Usage> cache) implements Report {
    @Override
    public void fields(JsonGenerator json) throws IOException {
        json.writeStringField("vault", vault);
        json.writeStringField("id", info.id().toString());
        json.writeNumberField("sessions", info.sessions());
        json.writeNumberField("snapshots", info.snapshots());
        json.writeNumberField("images", info.images());
        json.writeNumberField("chunks", info.chunks());
        json.writeNumberField("bytes_stored", info.bytesStored());
        json.writeNumberField("bytes_logical", info.bytesLogical());
        json.writeNumberField(
                "cache_bytes", cache.map(HostCache.Usage::bytesUsed).orElse(0L));
        json.writeNumberField(
                "cache_bytes_max", cache.map(HostCache.Usage::bytesMax).orElse(0L));
    }

    @Override
    public void text(StringBuilder text) {
        Table table = new Table("Vault", vault);
        table.add("Id", info.id().toString());
        table.add("Sessions", Integer.toString(info.sessions()));
        table.add("Snapshots", Integer.toString(info.snapshots()));
        table.add("Images", Integer.toString(info.images()));
        table.add("Chunks", Long.toString(info.chunks()));
        table.add("Stored", Quantities.bytes(info.bytesStored()));
        table.add("Logical", Quantities.bytes(info.bytesLogical()));
        if (cache.isPresent()) {
            table.add(
                    "Cache",
                    Quantities.bytes(cache.get().bytesUsed()) + " of "
                            + Quantities.bytes(cache.get().bytesMax()) + " on this host, of all vaults");
        }
        table.appendTo(text);
    }
}
