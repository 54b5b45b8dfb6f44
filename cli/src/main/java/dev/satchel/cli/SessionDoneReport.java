package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;

/** A session to which something was done: its fields for scripts, one line for people. */
record SessionDoneReport(SessionReport session, String sentence) implements Report {
    @Override
    public void fields(JsonGenerator json) throws IOException {
        session.fields(json);
    }

    @Override
    public void text(StringBuilder text) {
        text.append(sentence).append('\n');
    }
}
