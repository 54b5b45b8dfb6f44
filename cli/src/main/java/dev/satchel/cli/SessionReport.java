package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.session.SessionInfo;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Locale;

/** A session, all that is known of it ({@code inspect}) or as a row ({@code ls}). The fields are the same. */
record SessionReport(SessionInfo info, Instant now) implements Report, Row {
    static Table table() {
        return new Table("SESSION", "STATE", "IMAGE", "SNAPSHOT", "HOST", "CREATED", ">STORED");
    }

    @Override
    public void fields(JsonGenerator json) throws IOException {
        json.writeStringField("session", info.session());
        json.writeStringField("state", state());
        json.writeStringField("image", info.image());
        json.writeStringField("snapshot", Snapshots.textOrNull(info.snapshot()));
        json.writeStringField("host", info.host().orElse(null));
        json.writeStringField("created", info.created().toString());
        json.writeNumberField("bytes_stored", info.bytesStored());
        json.writeNumberField("bytes_logical", info.bytesLogical());
        json.writeStringField("address", info.address());
        json.writeStringField("hostname", info.hostname());
        json.writeNumberField("disk_bytes", info.diskBytes());
        json.writeStringField(
                "supervisor_log", info.supervisorLog().map(Path::toString).orElse(null));
        json.writeNumberField(
                "snapshot_every_seconds",
                info.snapshotEvery().isPresent() ? info.snapshotEvery().get().toSeconds() : 0);
        json.writeStringField("keep", info.keep().toString());
        json.writeStringField("trouble", info.trouble().orElse(null));
    }

    @Override
    public String[] cells() {
        return new String[] {
            info.session(),
            info.trouble().isPresent() ? state() + " (!)" : state(),
            info.image(),
            snapshot(),
            info.host().orElse("-"),
            Quantities.ago(info.created(), now),
            Quantities.bytes(info.bytesStored())
        };
    }

    @Override
    public void text(StringBuilder text) {
        Table table = new Table("Session", info.session());
        table.add("State", state());
        table.add("Image", info.image());
        table.add(
                "Snapshot", info.snapshot().isPresent() ? info.snapshot().get().toString() : "-");
        table.add("Host", info.host().orElse("-"));
        table.add("Created", info.created() + " (" + Quantities.ago(info.created(), now) + ")");
        table.add("Hostname", info.hostname());
        table.add("Address", info.address());
        table.add("Disk", Quantities.bytes(info.diskBytes()));
        table.add("Stored", Quantities.bytes(info.bytesStored()));
        table.add("Logical", Quantities.bytes(info.bytesLogical()));
        table.add("Upkeep", upkeep(info));
        if (info.trouble().isPresent()) {
            table.add("Trouble", info.trouble().get());
        }
        if (info.supervisorLog().isPresent()) {
            table.add("Log", info.supervisorLog().get() + " (the supervisor's)");
        }
        table.appendTo(text);
    }

    /** What is done about its snapshots, in words. */
    static String upkeep(SessionInfo info) {
        return (info.snapshotEvery().isPresent()
                        ? "is saved every "
                                + Quantities.duration(info.snapshotEvery().get())
                        : "is saved when asked")
                + (info.keep().keepsAll() ? ", keeps all snapshots" : ", keeps " + info.keep());
    }

    private String snapshot() {
        return info.snapshot().isPresent() ? Snapshots.brief(info.snapshot().get()) : "-";
    }

    private String state() {
        return info.state().name().toLowerCase(Locale.ROOT);
    }
}
