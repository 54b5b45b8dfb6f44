package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.vault.CollectReport;
import java.io.IOException;

/** What {@code vault gc} prints. */
record CollectOutcome(String vault, CollectReport report, boolean dryRun) implements Report {
    @Override
    public void fields(JsonGenerator json) throws IOException {
        json.writeStringField("vault", vault);
        json.writeNumberField("bytes_freed", report.bytesFreed());
        json.writeNumberField("bytes_unneeded", report.bytesUnneeded());
        json.writeNumberField("packs_removed", report.packsRemoved());
        json.writeNumberField("packs_rewritten", report.packsRewritten());
        json.writeNumberField("files_removed", report.filesRemoved());
        json.writeBooleanField("dry_run", dryRun);
    }

    @Override
    public void text(StringBuilder text) {
        text.append(Quantities.bytes(report.bytesFreed()))
                .append(dryRun ? " would be given back: " : " given back: ")
                .append(report.packsRemoved())
                .append(dryRun ? " packs to remove, " : " packs removed, ")
                .append(report.packsRewritten())
                .append(dryRun ? " to write anew\n" : " written anew\n");
        if (report.bytesUnneeded() > 0) {
            text.append(Quantities.bytes(report.bytesUnneeded()))
                    .append(" that nothing needs stay, in packs of which most is needed\n");
        }
    }
}
