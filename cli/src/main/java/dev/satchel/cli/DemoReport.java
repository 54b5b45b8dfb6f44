package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.session.DemoResult;
import java.io.IOException;
import java.nio.file.Path;

/** What {@code demo} prints with {@code --json}; people have read it all while it was played. */
record DemoReport(DemoResult result) implements Report {
    @Override
    public void fields(JsonGenerator json) throws IOException {
        json.writeStringField("session", result.session());
        json.writeBooleanField("ok", result.failures().isEmpty());
        json.writeArrayFieldStart("checks");
        for (DemoResult.Check check : result.checks()) {
            json.writeStartObject();
            json.writeStringField("name", check.name());
            json.writeBooleanField("ok", check.ok());
            json.writeStringField("detail", check.detail());
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeObjectFieldStart("first");
        suspended(json, result.first());
        json.writeEndObject();
        json.writeObjectFieldStart("suspend");
        suspended(json, result.suspended());
        json.writeEndObject();
        json.writeObjectFieldStart("resume");
        json.writeNumberField("typed_ms", result.typedMillis());
        json.writeNumberField("total_ms", result.resumed().totalMillis());
        json.writeNumberField("criu_ms", result.resumed().criuMillis());
        json.writeNumberField("unlock_ms", result.unlockMillis());
        json.writeEndObject();
        json.writeArrayFieldStart("pictures");
        for (Path picture : result.pictures()) {
            json.writeString(picture.toString());
        }
        json.writeEndArray();
    }

    private static void suspended(JsonGenerator json, DemoResult.Suspended suspended) throws IOException {
        json.writeStringField("snapshot", suspended.snapshot());
        json.writeNumberField("frozen_ms", suspended.frozenMillis());
        json.writeNumberField("total_ms", suspended.totalMillis());
        json.writeNumberField("criu_ms", suspended.criuMillis());
        json.writeNumberField("processes", suspended.processes());
        json.writeNumberField("bytes_memory", suspended.bytesMemory());
        json.writeNumberField("bytes_new", suspended.bytesNew());
    }

    @Override
    public void text(StringBuilder text) {
        // Told step by step by the demo itself.
    }
}
