package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.session.LossInfo;
import java.io.IOException;
import java.util.List;

/** How {@code vault verify} and {@code vault repair} tell what is lost. */
final class Losses {
    /** So many files are named to people; scripts get all there are. */
    private static final int FILES_SHOWN = 20;

    private Losses() {}

    static void fields(JsonGenerator json, List<LossInfo> losses) throws IOException {
        json.writeArrayFieldStart("lost");
        for (LossInfo loss : losses) {
            json.writeStartObject();
            json.writeStringField(loss.snapshot().isPresent() ? "session" : "image", loss.owner());
            if (loss.snapshot().isPresent()) {
                json.writeStringField("snapshot", loss.snapshot().get().toString());
            }
            if (loss.created().isPresent()) {
                json.writeStringField("created", loss.created().get().toString());
            }
            json.writeNumberField("chunks", loss.chunks());
            json.writeBooleanField("processes", loss.processes());
            json.writeBooleanField("disk", loss.disk());
            json.writeBooleanField("file_system", loss.fileSystem());
            json.writeArrayFieldStart("files");
            for (String file : loss.files()) {
                json.writeString(file);
            }
            json.writeEndArray();
            json.writeBooleanField("more_files", loss.moreFiles());
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    static void text(StringBuilder text, List<LossInfo> losses) {
        for (LossInfo loss : losses) {
            if (loss.snapshot().isPresent()) {
                text.append(loss.owner())
                        .append(", snapshot ")
                        .append(loss.snapshot().get().toString(), 0, 12)
                        .append(" of ")
                        .append(loss.created().map(Object::toString).orElse("?"));
            } else {
                text.append("image ").append(loss.owner());
            }
            text.append(": ").append(loss.chunks()).append(loss.chunks() == 1 ? " chunk" : " chunks");
            text.append(" can't be read");
            if (loss.processes()) {
                text.append(
                        loss.disk()
                                ? "; its processes are lost"
                                : "; its processes are lost, its files are whole: 'satchel resume --fresh' boots on them");
            }
            if (loss.disk()) {
                text.append(
                        loss.files().isEmpty() && !loss.fileSystem() && !loss.moreFiles()
                                ? "; no file is in them"
                                : "; of its disk are hit");
            }
            if (loss.fileSystem()) {
                text.append(" tables of the file system itself");
            }
            text.append('\n');
            int shown = 0;
            for (String file : loss.files()) {
                if (shown++ == FILES_SHOWN) {
                    break;
                }
                text.append("  ").append(file).append('\n');
            }
            int more = loss.files().size() - FILES_SHOWN;
            if (more > 0 || loss.moreFiles()) {
                text.append("  and ")
                        .append(loss.moreFiles() ? "others" : more + " more")
                        .append('\n');
            }
        }
    }
}
