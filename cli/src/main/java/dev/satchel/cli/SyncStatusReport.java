package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.session.SyncStatus;
import java.io.IOException;

/** What {@code vault sync --status} prints. */
record SyncStatusReport(String vault, SyncStatus status) implements Report {
    @Override
    public void fields(JsonGenerator json) throws IOException {
        json.writeStringField("vault", vault);
        json.writeBooleanField("auto_sync", status.destination().isPresent());
        if (status.destination().isPresent()) {
            json.writeStringField("destination", status.destination().get());
            json.writeBooleanField("reachable", status.reachable());
            json.writeBooleanField("working", status.working());
        }
        if (status.last().isPresent()) {
            json.writeStringField("last", status.last().get().toString());
        }
        if (status.failure().isPresent()) {
            json.writeStringField("failure", status.failure().get());
        }
        if (status.bytesLeft().isPresent()) {
            json.writeNumberField("bytes_left", status.bytesLeft().get());
        }
    }

    @Override
    public void text(StringBuilder text) {
        if (status.destination().isEmpty()) {
            text.append("this host keeps no copy of the vault up to date by itself\n");
            return;
        }
        Table table = new Table("Copy", status.destination().get());
        table.add("Reachable", status.reachable() ? "yes" : "no");
        table.add("Syncing now", status.working() ? "yes" : "no");
        table.add("Last", status.last().map(Object::toString).orElse("never"));
        status.failure().ifPresent(why -> table.add("Failed since", why));
        status.bytesLeft().ifPresent(bytes -> table.add("Lacks", Quantities.bytes(bytes)));
        table.appendTo(text);
    }
}
