package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.session.VerifyResult;
import dev.satchel.vault.VerifyReport;
import java.io.IOException;

/** What {@code vault verify} prints. */
record VerifyOutcome(String vault, VerifyResult result) implements Report {
    @Override
    public void fields(JsonGenerator json) throws IOException {
        json.writeStringField("vault", vault);
        fields(json, result.report());
        Losses.fields(json, result.lost());
    }

    static void fields(JsonGenerator json, VerifyReport report) throws IOException {
        json.writeNumberField("chunks_checked", report.chunksChecked());
        json.writeNumberField("objects_checked", report.objectsChecked());
        json.writeArrayFieldStart("errors");
        for (String error : report.errors()) {
            json.writeString(error);
        }
        json.writeEndArray();
    }

    @Override
    public void text(StringBuilder text) {
        VerifyReport report = result.report();
        for (String error : report.errors()) {
            text.append(error).append('\n');
        }
        Losses.text(text, result.lost());
        text.append(report.chunksChecked())
                .append(" chunks and ")
                .append(report.objectsChecked())
                .append(" other objects checked: ")
                .append(report.errors().isEmpty() ? "all is well" : "not all is well")
                .append('\n');
    }
}
