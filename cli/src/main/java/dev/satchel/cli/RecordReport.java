package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.display.record.Recording;
import java.io.IOException;
import java.util.Locale;

/** A recording that has ended. */
record RecordReport(String session, String file, Recording.Result result) implements Report {
    @Override
    public void fields(JsonGenerator json) throws IOException {
        json.writeStringField("session", session);
        json.writeStringField("file", file);
        json.writeStringField("ended", result.end().name().toLowerCase(Locale.ROOT));
        json.writeNumberField("duration_ms", result.millis());
        json.writeNumberField("frames", result.frames());
        json.writeNumberField("bytes", result.bytes());
        json.writeNumberField("width", result.width());
        json.writeNumberField("height", result.height());
    }

    @Override
    public void text(StringBuilder text) {
        text.append(Quantities.millis(result.millis()))
                .append(" of ")
                .append(session)
                .append(" in ")
                .append(file)
                .append(", ")
                .append(Quantities.bytes(result.bytes()));
        switch (result.end()) {
            case SUSPENDED -> text.append("; the session was suspended");
            case STOPPED -> text.append("; the session was stopped");
            case TIME, INTERRUPTED, LOST -> {}
        }
        text.append('\n');
    }
}
