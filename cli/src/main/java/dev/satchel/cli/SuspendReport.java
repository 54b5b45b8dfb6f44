package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.session.SuspendResult;
import java.io.IOException;

/**
 * What {@code suspend} and {@code snapshot} print.
 *
 * @param did e.g. {@code suspended}
 */
record SuspendReport(SuspendResult result, String did) implements Report {
    @Override
    public void fields(JsonGenerator json) throws IOException {
        json.writeStringField("session", result.session());
        json.writeStringField("snapshot", result.snapshot().toString());
        json.writeNumberField("frozen_ms", result.frozenMillis());
        json.writeNumberField("total_ms", result.totalMillis());
        json.writeNumberField("processes", result.processes());
        json.writeNumberField("bytes_memory", result.bytesMemory());
        json.writeNumberField("bytes_new", result.bytesNew());
        json.writeNumberField("criu_ms", result.criuMillis());
        json.writeNumberField("durable_ms", result.durableMillis());
    }

    @Override
    public void text(StringBuilder text) {
        text.append(result.session())
                .append(' ')
                .append(did)
                .append(" as ")
                .append(Snapshots.brief(result.snapshot()))
                .append(" in ")
                .append(Quantities.millis(result.totalMillis()))
                .append(": ")
                .append(Quantities.processes(result.processes()))
                .append(", frozen for ")
                .append(Quantities.millis(result.frozenMillis()))
                .append(", ")
                .append(Quantities.bytes(result.bytesMemory()))
                .append(" of memory, ")
                .append(Quantities.bytes(result.bytesNew()))
                .append(" new in the vault\n");
    }
}
