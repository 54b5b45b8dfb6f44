package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.session.SnapshotInfo;
import java.io.IOException;
import java.time.Instant;

/** A snapshot in {@code history}. */
record HistoryRow(String session, SnapshotInfo info, Instant now) implements Row {
    private static final int WINDOWS_LENGTH_MAX = 40;

    static Table table() {
        return new Table("SNAPSHOT", "KIND", "CREATED", "PARENT", ">PROCESSES", ">NEW", ">SIZE", "LABEL", "WINDOWS");
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
        json.writeStringField("label", info.label().orElse(null));
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
            Quantities.bytes(info.bytesLogical()),
            info.label().orElse("-"),
            windows()
        };
    }

    /** As much of the titles as a line has room for; what programs call their windows is not to be trusted by a terminal. */
    private String windows() {
        StringBuilder text = new StringBuilder();
        for (String window : info.windows()) {
            text.append(text.isEmpty() ? "" : ", ");
            for (int i = 0; i < window.length() && text.length() < WINDOWS_LENGTH_MAX; i++) {
                char c = window.charAt(i);
                text.append(Character.isISOControl(c) ? ' ' : c);
            }
            if (text.length() >= WINDOWS_LENGTH_MAX) {
                return text.append("…").toString();
            }
        }
        return text.isEmpty() ? "-" : text.toString();
    }
}
