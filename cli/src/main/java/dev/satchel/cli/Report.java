package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;

/** What a command prints about one thing: fields for scripts, whose names and types are a promise, or text for people. */
interface Report {
    /** Writes the fields of a JSON object that is open. */
    void fields(JsonGenerator json) throws IOException;

    /** Writes whole lines. */
    void text(StringBuilder text);
}
