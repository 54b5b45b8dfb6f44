package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.session.ImageInfo;
import java.io.IOException;
import java.time.Instant;

/**
 * An image that was made, or as a row of {@code image ls}.
 *
 * @param did e.g. {@code built}
 */
record ImageReport(ImageInfo info, String did, Instant now) implements Report, Row {
    static Table table() {
        return new Table("IMAGE", "CREATED", ">SIZE");
    }

    @Override
    public void fields(JsonGenerator json) throws IOException {
        json.writeStringField("image", info.image());
        json.writeNumberField("bytes", info.bytes());
        json.writeStringField("created", info.created().toString());
    }

    @Override
    public String[] cells() {
        return new String[] {info.image(), Quantities.ago(info.created(), now), Quantities.bytes(info.bytes())};
    }

    @Override
    public void text(StringBuilder text) {
        text.append("image ")
                .append(info.image())
                .append(' ')
                .append(did)
                .append(": ")
                .append(Quantities.bytes(info.bytes()))
                .append('\n');
    }
}
