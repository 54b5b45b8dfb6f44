package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;

record VersionReport() implements Report {
    @Override
    public void fields(JsonGenerator json) throws IOException {
        json.writeStringField("version", Program.VERSION);
    }

    @Override
    public void text(StringBuilder text) {
        text.append("satchel ").append(Program.VERSION).append('\n');
    }
}
