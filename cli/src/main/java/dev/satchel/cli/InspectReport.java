package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.vault.SourceReport;
import java.io.IOException;
import java.util.List;
import java.util.Locale;

/** What {@code inspect} prints: the session, and how the places have done that its chunks are read from. */
record InspectReport(SessionReport session, List<SourceReport> sources) implements Report {
    @Override
    public void fields(JsonGenerator json) throws IOException {
        session.fields(json);
        json.writeArrayFieldStart("sources");
        for (SourceReport source : sources) {
            json.writeStartObject();
            json.writeStringField("kind", source.kind().name().toLowerCase(Locale.ROOT));
            json.writeStringField("location", source.location());
            json.writeStringField("state", state(source));
            json.writeNumberField("chunks", source.chunks());
            json.writeNumberField("bytes", source.bytes());
            json.writeNumberField("misses", source.misses());
            json.writeNumberField("failures", source.failures());
            json.writeNumberField("ms", source.millis());
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    private static String state(SourceReport source) {
        return source.state().name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    @Override
    public void text(StringBuilder text) {
        session.text(text);
        if (sources.isEmpty()) {
            return;
        }
        text.append('\n');
        Table table = new Table("CHUNKS FROM", "", ">CHUNKS", ">BYTES", ">LACKED", ">FAILED", ">TIME");
        for (SourceReport source : sources) {
            table.add(
                    source.kind().name().toLowerCase(Locale.ROOT)
                            + (source.state() == SourceReport.State.IN_USE ? "" : " (" + state(source) + ")"),
                    source.location(),
                    Long.toString(source.chunks()),
                    Quantities.bytes(source.bytes()),
                    Long.toString(source.misses()),
                    Long.toString(source.failures()),
                    Quantities.millis(source.millis()));
        }
        table.appendTo(text);
    }
}
