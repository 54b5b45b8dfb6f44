package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;

/** Text as it is, without anything added. */
record ClipboardReport(String session, String clipboard) implements Report {
    @Override
    public void fields(JsonGenerator json) throws IOException {
        json.writeStringField("session", session);
        json.writeStringField("text", clipboard);
    }

    @Override
    public void text(StringBuilder text) {
        text.append(clipboard);
    }
}
