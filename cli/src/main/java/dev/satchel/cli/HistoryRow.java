package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.session.SnapshotInfo;
import java.io.IOException;
import java.time.Instant;

/** A snapshot in {@code history}. */
record HistoryRow(String session, SnapshotInfo info, Instant now) implements Row {
    static Table table() {
        return new Table("SNAPSHOT", "KIND", "CREATED", "PARENT", ">PROCESSES", ">NEW", ">SIZE");
    }

    @Override
    public void fields(JsonGenerator json) throws IOException {
        json.writeStringField("session", session);
        json.writeStringField("snapshot", info.snapshot().toString());
        json.writeStringField("parent", Snapshots.textOrNull(info.parent()));
        json.writeStringField("created", info.created().toString());
        json.writeStringField("kind", info.kind());
        json.writeNumberField("bytes_new", info.bytesNew());
        json.writeNumberField("bytes_logical", info.bytesLogical());
        json.writeNumberField("processes", info.processes());
        json.writeBooleanField("thumbnail", info.thumbnail());
        json.writeArrayFieldStart("windows");
        for (String window : info.windows()) {
            json.writeString(window);
        }
        json.writeEndArray();
    }

    @Override
    public String[] cells() {
        return new String[] {
            Snapshots.brief(info.snapshot()),
            info.kind(),
            Quantities.ago(info.created(), now),
            info.parent().isPresent() ? Snapshots.brief(info.parent().get()) : "-",
            info.processes() == 0 ? "-" : Integer.toString(info.processes()),
            Quantities.bytes(info.bytesNew()),
            Quantities.bytes(info.bytesLogical())
        };
    }
}
