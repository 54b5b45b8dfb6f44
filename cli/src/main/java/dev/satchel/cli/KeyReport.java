package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.vault.KeySlotInfo;
import java.io.IOException;

/** A key that was added, or removed. */
record KeyReport(String sentence, KeySlotInfo info) implements Report {
    @Override
    public void fields(JsonGenerator json) throws IOException {
        KeyRow.fields(info, json);
    }

    @Override
    public void text(StringBuilder text) {
        text.append(sentence).append('\n');
    }
}
