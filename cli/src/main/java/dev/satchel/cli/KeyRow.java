package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.vault.KdfParameters;
import dev.satchel.vault.KeyKind;
import dev.satchel.vault.KeySlotInfo;
import java.io.IOException;
import java.time.Instant;

/** One of a vault's keys, in {@code vault keys ls}. */
record KeyRow(KeySlotInfo info, Instant now) implements Row {
    private static final int BRIEF_DIGITS = 12;

    static Table table() {
        return new Table("KEY", "LABEL", "KIND", "CREATED", "ONE GUESS");
    }

    @Override
    public void fields(JsonGenerator json) throws IOException {
        fields(info, json);
    }

    /** Those of every report about a key. */
    static void fields(KeySlotInfo info, JsonGenerator json) throws IOException {
        json.writeStringField("key", info.id().toString());
        json.writeStringField("label", info.label().orElse(null));
        json.writeStringField("kind", kind(info));
        json.writeStringField(
                "created", info.created().isPresent() ? info.created().get().toString() : null);
        if (info.cost().isPresent()) {
            KdfParameters cost = info.cost().get();
            json.writeObjectFieldStart("argon2id");
            json.writeNumberField("memory_kib", cost.memoryKib());
            json.writeNumberField("passes", cost.passes());
            json.writeNumberField("lanes", cost.lanes());
            if (info.costMillis().isPresent()) {
                json.writeNumberField("guess_ms", info.costMillis().get());
            } else {
                json.writeNullField("guess_ms");
            }
            json.writeEndObject();
        }
    }

    /** What to call it for people. */
    static String called(KeySlotInfo info) {
        String label = info.label().orElse("");
        return brief(info) + (label.isEmpty() ? "" : " (" + label + ")");
    }

    private static String brief(KeySlotInfo info) {
        return info.id().toString().substring(0, BRIEF_DIGITS);
    }

    private static String kind(KeySlotInfo info) {
        return info.kind().isPresent() ? kind(info.kind().get()) : "damaged";
    }

    static String kind(KeyKind kind) {
        return switch (kind) {
            case PASSPHRASE -> "passphrase";
            case RECOVERY -> "recovery";
            case SECURITY_KEY -> "security-key";
        };
    }

    @Override
    public String[] cells() {
        String label = info.label().orElse("");
        return new String[] {
            brief(info),
            label.isEmpty() ? "-" : label,
            kind(info),
            info.created().isPresent() ? Quantities.ago(info.created().get(), now) : "-",
            guess()
        };
    }

    private String guess() {
        if (info.cost().isEmpty()) {
            return info.kind().isPresent() ? "out of reach" : "-";
        }
        KdfParameters cost = info.cost().get();
        String work = Quantities.bytes((long) cost.memoryKib() << 10) + " × " + cost.passes();
        return info.costMillis().isPresent() ? work + ", " + info.costMillis().get() + " ms" : work;
    }
}
