package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;

/** Fields that are all text, and one line that says the same. */
final class SentenceReport implements Report {
    private final String sentence;
    private final String[] namesAndValues;

    SentenceReport(String sentence, String... namesAndValues) {
        this.sentence = sentence;
        this.namesAndValues = namesAndValues;
    }

    @Override
    public void fields(JsonGenerator json) throws IOException {
        for (int i = 0; i < namesAndValues.length; i += 2) {
            json.writeStringField(namesAndValues[i], namesAndValues[i + 1]);
        }
    }

    @Override
    public void text(StringBuilder text) {
        text.append(sentence).append('\n');
    }
}
