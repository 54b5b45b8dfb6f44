package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.session.RepairResult;
import dev.satchel.vault.RepairReport;
import java.io.IOException;

/** What {@code vault repair} prints. */
record RepairOutcome(String vault, boolean dryRun, RepairResult result) implements Report {
    @Override
    public void fields(JsonGenerator json) throws IOException {
        RepairReport report = result.report();
        json.writeStringField("vault", vault);
        json.writeBooleanField("dry_run", dryRun);
        json.writeNumberField("chunks_mended", report.chunksMended());
        json.writeNumberField("chunks_moved", report.chunksMoved());
        json.writeNumberField(
                "objects_mended", report.objectsMended() + result.entrance().size());
        json.writeArrayFieldStart("actions");
        for (String action : result.entrance()) {
            json.writeString(action);
        }
        for (String action : report.actions()) {
            json.writeString(action);
        }
        json.writeEndArray();
        json.writeArrayFieldStart("errors");
        for (String error : report.left().errors()) {
            json.writeString(error);
        }
        json.writeEndArray();
        Losses.fields(json, result.lost());
    }

    @Override
    public void text(StringBuilder text) {
        RepairReport report = result.report();
        for (String action : result.entrance()) {
            text.append(action).append('\n');
        }
        for (String action : report.actions()) {
            text.append(action).append('\n');
        }
        for (String error : report.left().errors()) {
            text.append(error).append('\n');
        }
        Losses.text(text, result.lost());
        long objects = report.objectsMended() + result.entrance().size();
        text.append(report.chunksMended())
                .append(" chunks and ")
                .append(objects)
                .append(dryRun ? " other objects could be mended" : " other objects mended")
                .append(report.left().errors().isEmpty() ? ": all is well" : ": not all is well")
                .append(dryRun && report.left().errors().isEmpty() ? " then\n" : "\n");
    }
}
