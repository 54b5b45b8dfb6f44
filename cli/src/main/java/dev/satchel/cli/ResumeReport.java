package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.session.ResumeResult;
import java.io.IOException;

/** What {@code resume} prints. */
record ResumeReport(ResumeResult result) implements Report {
    @Override
    public void fields(JsonGenerator json) throws IOException {
        json.writeStringField("session", result.session());
        json.writeStringField("snapshot", Snapshots.textOrNull(result.snapshot()));
        json.writeNumberField("total_ms", result.totalMillis());
        json.writeNumberField("processes", result.processes());
        json.writeNumberField("criu_ms", result.criuMillis());
        json.writeBooleanField("booted", result.booted());
        json.writeStringField("view_url", result.viewUrl().isEmpty() ? null : result.viewUrl());
    }

    @Override
    public void text(StringBuilder text) {
        text.append(result.session()).append(result.booted() ? " booted" : " resumed");
        if (result.snapshot().isPresent()) {
            text.append(result.booted() ? " on the files of " : " from ")
                    .append(Snapshots.brief(result.snapshot().get()));
        }
        text.append(" in ").append(Quantities.millis(result.totalMillis()));
        if (!result.booted()) {
            text.append(": ").append(Quantities.processes(result.processes()));
        }
        text.append('\n');
        if (!result.viewUrl().isEmpty()) {
            text.append("view it at ").append(result.viewUrl()).append('\n');
        }
    }
}
