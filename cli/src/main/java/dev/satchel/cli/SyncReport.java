package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.session.SyncResult;
import dev.satchel.vault.Replication;
import dev.satchel.vault.ReplicationReport;
import java.io.IOException;
import java.util.List;

/** What {@code vault sync} prints. */
record SyncReport(String vault, SyncResult result, boolean dryRun) implements Report {
    @Override
    public void fields(JsonGenerator json) throws IOException {
        ReplicationReport report = result.report();
        json.writeStringField("vault", vault);
        json.writeStringField("destination", result.destination());
        json.writeNumberField("chunks_sent", report.chunksSent());
        json.writeNumberField("bytes_sent", report.bytesSent());
        json.writeNumberField("packs_sent", report.packsSent());
        json.writeNumberField("snapshots_sent", report.snapshotsSent());
        json.writeNumberField("images_sent", report.imagesSent());
        json.writeNumberField("sessions_moved", report.headsMoved());
        json.writeArrayFieldStart("branches");
        for (Replication.Branch branch : report.branches()) {
            json.writeStartObject();
            json.writeStringField("session", branch.name());
            json.writeStringField("of", branch.of());
            json.writeStringField("vault", branch.place());
            json.writeEndObject();
        }
        json.writeEndArray();
        texts(json, "waiting", report.waiting());
        texts(json, "removed", report.removed());
        texts(json, "damaged", report.damaged());
        json.writeBooleanField("auto_sync", result.auto());
    }

    private static void texts(JsonGenerator json, String name, List<String> texts) throws IOException {
        json.writeArrayFieldStart(name);
        for (String text : texts) {
            json.writeString(text);
        }
        json.writeEndArray();
    }

    @Override
    public void text(StringBuilder text) {
        ReplicationReport report = result.report();
        text.append(result.destination());
        if (dryRun) {
            text.append(" lacks ")
                    .append(report.chunksSent())
                    .append(" chunks, ")
                    .append(Quantities.bytes(report.bytesSent()))
                    .append('\n');
            return;
        }
        text.append(result.made() ? " is a copy of the vault now: " : " is up to date: ")
                .append(report.chunksSent())
                .append(" chunks and ")
                .append(report.snapshotsSent())
                .append(report.snapshotsSent() == 1 ? " snapshot sent, " : " snapshots sent, ")
                .append(Quantities.bytes(report.bytesSent()))
                .append('\n');
        for (Replication.Branch branch : report.branches()) {
            text.append("'")
                    .append(branch.of())
                    .append("' went on in two places: the other line is '")
                    .append(branch.name())
                    .append("' in ")
                    .append(branch.place())
                    .append('\n');
        }
        for (String name : report.waiting()) {
            text.append("'")
                    .append(name)
                    .append(
                            "' runs where it would have been changed, and stays as it is there: suspend it and sync again\n");
        }
        for (String name : report.removed()) {
            text.append("'")
                    .append(name)
                    .append("' was removed there and is not sent again: name it to have it sent\n");
        }
        if (result.auto()) {
            text.append("this host keeps it up to date by itself\n");
        }
    }
}
