package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.session.CheckResult;
import java.io.IOException;
import java.util.List;

/** What {@code doctor} prints. */
record DoctorReport(List<CheckResult> checks) implements Report {
    @Override
    public void fields(JsonGenerator json) throws IOException {
        json.writeArrayFieldStart("checks");
        for (CheckResult check : checks) {
            json.writeStartObject();
            json.writeStringField("name", check.name());
            json.writeBooleanField("ok", check.ok());
            json.writeStringField("detail", check.detail());
            json.writeStringField("fix", check.fix());
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    @Override
    public void text(StringBuilder text) {
        Table table = new Table("CHECK", "", "DETAIL");
        for (CheckResult check : checks) {
            table.add(check.name(), check.ok() ? "ok" : "NO", check.detail());
            if (!check.ok()) {
                table.add("", "", "mend it: " + check.fix());
            }
        }
        table.appendTo(text);
    }

    /** The names of what fails. */
    List<String> failing() {
        return checks.stream()
                .filter(check -> !check.ok())
                .map(CheckResult::name)
                .toList();
    }
}
