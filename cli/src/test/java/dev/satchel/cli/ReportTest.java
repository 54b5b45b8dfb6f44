package dev.satchel.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.session.ImageInfo;
import dev.satchel.session.LossInfo;
import dev.satchel.session.RepairResult;
import dev.satchel.session.ResumeResult;
import dev.satchel.session.Retention;
import dev.satchel.session.SessionInfo;
import dev.satchel.session.SnapshotInfo;
import dev.satchel.session.SuspendResult;
import dev.satchel.session.VerifyResult;
import dev.satchel.session.VncAccess;
import dev.satchel.vault.RepairReport;
import dev.satchel.vault.SnapshotId;
import dev.satchel.vault.VaultId;
import dev.satchel.vault.VaultInfo;
import dev.satchel.vault.VerifyReport;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What scripts read and people see. A field that is renamed here breaks somebody's script. */
class ReportTest {
    private static final SnapshotId ID = SnapshotId.parse("3f2a9c81".repeat(8));
    private static final SnapshotId PARENT = SnapshotId.parse("0123456789abcdef".repeat(4));
    private static final Instant THEN = Instant.parse("2026-11-20T10:00:00Z");
    private static final Instant NOW = Instant.parse("2026-11-20T13:30:00Z");
    private static final SessionInfo RUNNING = new SessionInfo(
            "work",
            SessionInfo.State.RUNNING,
            "desktop",
            Optional.of(ID),
            Optional.of("tower"),
            THEN,
            5L << 20,
            3L << 30,
            "10.88.0.2",
            "work",
            8L << 30,
            Optional.of(Path.of("/state/run/x/supervisor.log")),
            Optional.of(Duration.ofMinutes(10)),
            Retention.parse("last=3"),
            Optional.empty());

    @Test
    void suspend() throws Exception {
        SuspendReport report = new SuspendReport(
                new SuspendResult("work", ID, 310, 905, 42, 400 << 20, 30 << 20, 290, 740), "suspended");

        assertThat(json(report::fields))
                .isEqualTo(
                        "{\"session\":\"work\",\"snapshot\":\"" + ID
                                + "\",\"frozen_ms\":310,\"total_ms\":905,\"processes\":42,\"bytes_memory\":419430400,\"bytes_new\":31457280,\"criu_ms\":290,\"durable_ms\":740}");
        assertThat(text(report))
                .isEqualTo("work suspended as 3f2a9c813f2a in 0.91 s: 42 processes, frozen for 0.31 s,"
                        + " 400 MiB of memory, 30.0 MiB new in the vault\n");
    }

    @Test
    void resume() throws Exception {
        ResumeReport restored = new ResumeReport(
                new ResumeResult("work", Optional.of(ID), 580, 42, false, "http://127.0.0.1:1/x", 300));
        assertThat(json(restored::fields))
                .isEqualTo(
                        "{\"session\":\"work\",\"snapshot\":\"" + ID
                                + "\",\"total_ms\":580,\"processes\":42,\"criu_ms\":300,\"booted\":false,\"view_url\":\"http://127.0.0.1:1/x\"}");
        assertThat(text(restored))
                .isEqualTo("work resumed from 3f2a9c813f2a in 0.58 s: 42 processes\nview it at http://127.0.0.1:1/x\n");

        ResumeReport booted = new ResumeReport(new ResumeResult("work", Optional.empty(), 1234, 1, true, "", 900));
        assertThat(json(booted::fields))
                .isEqualTo(
                        "{\"session\":\"work\",\"snapshot\":null,\"total_ms\":1234,\"processes\":1,\"criu_ms\":900,\"booted\":true,"
                                + "\"view_url\":null}");
        assertThat(text(booted)).isEqualTo("work booted in 1.23 s\n");
    }

    @Test
    void vnc() throws Exception {
        VncReport report = new VncReport(
                "work",
                new VncAccess(
                        "127.0.0.1",
                        5901,
                        "satchel",
                        "aB3dE6gH9jK2mN5p",
                        "AB:CD",
                        "/var/lib/satchel/viewer.pem",
                        "ws://127.0.0.1:4321/rfb?k=s-_1"));
        assertThat(json(report::fields))
                .isEqualTo("{\"session\":\"work\",\"address\":\"127.0.0.1\",\"port\":5901,\"user\":\"satchel\","
                        + "\"password\":\"aB3dE6gH9jK2mN5p\",\"certificate_sha256\":\"AB:CD\","
                        + "\"certificate_file\":\"/var/lib/satchel/viewer.pem\","
                        + "\"websocket_url\":\"ws://127.0.0.1:4321/rfb?k=s-_1\"}");
        assertThat(text(report)).isEqualTo("""
                VNC clients on this host come to 127.0.0.1 port 5901
                  password     aB3dE6gH9jK2mN5p (user name, if asked: satchel)
                  TigerVNC     vncviewer -Shared 127.0.0.1::5901
                  encrypted    vncviewer -Shared -SecurityTypes=X509Plain -X509CA=/var/lib/satchel/viewer.pem 127.0.0.1::5901
                  Remmina      remmina -c vnc://127.0.0.1:5901
                  noVNC        vnc.html#host=127.0.0.1&port=4321&path=rfb%3Fk%3Ds-_1
                  certificate  SHA-256 AB:CD
                  elsewhere    ssh -L 5901:127.0.0.1:5901 THIS-HOST, then the same there
                """);
    }

    @Test
    void session() throws Exception {
        SessionReport report = new SessionReport(RUNNING, NOW);
        String fields = "{\"session\":\"work\",\"state\":\"running\",\"image\":\"desktop\",\"snapshot\":\"" + ID
                + "\",\"host\":\"tower\",\"created\":\"2026-11-20T10:00:00Z\",\"bytes_stored\":5242880,"
                + "\"bytes_logical\":3221225472,\"address\":\"10.88.0.2\",\"hostname\":\"work\",\"disk_bytes\":8589934592,\"supervisor_log\":\"/state/run/x/supervisor.log\",\"snapshot_every_seconds\":600,\"keep\":\"last=3\",\"trouble\":null}";

        assertThat(json(report::fields)).isEqualTo(fields);
        assertThat(json(new SessionDoneReport(report, "done")::fields)).isEqualTo(fields);
        assertThat(text(new SessionDoneReport(report, "done"))).isEqualTo("done\n");
        assertThat(text(report))
                .contains("Session    work\n", "Host       tower\n", "Created    2026-11-20T10:00:00Z (3 hours ago)\n");

        Table table = SessionReport.table();
        table.add(report.cells());
        table.add(new SessionReport(
                        new SessionInfo(
                                "a-longer-name",
                                SessionInfo.State.CREATED,
                                "minimal",
                                Optional.empty(),
                                Optional.empty(),
                                NOW,
                                0,
                                0,
                                "10.88.0.3",
                                "x",
                                0,
                                Optional.empty(),
                                Optional.empty(),
                                Retention.ALL,
                                Optional.of("2026: full")),
                        NOW)
                .cells());
        StringBuilder text = new StringBuilder();
        table.appendTo(text);
        assertThat(text.toString()).isEqualTo("""
                SESSION         STATE         IMAGE     SNAPSHOT       HOST    CREATED         STORED
                work            running       desktop   3f2a9c813f2a   tower   3 hours ago   5.00 MiB
                a-longer-name   created (!)   minimal   -              -       just now           0 B
                """);
    }

    @Test
    void history() throws Exception {
        HistoryRow row = new HistoryRow(
                "work",
                new SnapshotInfo(
                        ID,
                        Optional.of(PARENT),
                        THEN,
                        "suspend",
                        100,
                        200,
                        42,
                        true,
                        List.of("a \"b\""),
                        Optional.of("good")),
                NOW);

        assertThat(json(row::fields))
                .isEqualTo(
                        "{\"session\":\"work\",\"snapshot\":\"" + ID + "\",\"parent\":\"" + PARENT
                                + "\",\"created\":\"2026-11-20T10:00:00Z\",\"kind\":\"suspend\",\"bytes_new\":100,"
                                + "\"bytes_logical\":200,\"processes\":42,\"thumbnail\":true,\"windows\":[\"a \\\"b\\\"\"],\"label\":\"good\"}");
        assertThat(row.cells())
                .containsExactly(
                        "3f2a9c813f2a",
                        "suspend",
                        "3 hours ago",
                        "0123456789ab",
                        "42",
                        "100 B",
                        "200 B",
                        "good",
                        "a \"b\"");
    }

    @Test
    void image() throws Exception {
        ImageReport report = new ImageReport(new ImageInfo("desktop", 1_500_000_000, THEN), "built", NOW);

        assertThat(json(report::fields))
                .isEqualTo("{\"image\":\"desktop\",\"bytes\":1500000000,\"created\":\"2026-11-20T10:00:00Z\"}");
        assertThat(text(report)).isEqualTo("image desktop built: 1.40 GiB\n");
        assertThat(report.cells()).containsExactly("desktop", "3 hours ago", "1.40 GiB");
    }

    @Test
    void vault() throws Exception {
        VaultId id = VaultId.parse("00112233445566778899aabbccddeeff");
        VaultInfoReport info = new VaultInfoReport("/v", new VaultInfo(id, 1, 2, 3, 4, 5, 6), Optional.empty());
        assertThat(json(info::fields))
                .isEqualTo("{\"vault\":\"/v\",\"id\":\"" + id
                        + "\",\"sessions\":1,\"snapshots\":2,\"images\":3,\"chunks\":4,\"bytes_stored\":5,\"bytes_logical\":6,"
                        + "\"cache_bytes\":0,\"cache_bytes_max\":0}");
        assertThat(text(info)).contains("Sessions    1\n", "Stored      5 B\n");

        VerifyOutcome whole =
                new VerifyOutcome("/v", new VerifyResult(new VerifyReport(10, 2, List.of(), List.of()), List.of()));
        assertThat(json(whole::fields))
                .isEqualTo("{\"vault\":\"/v\",\"chunks_checked\":10,\"objects_checked\":2,\"errors\":[],\"lost\":[]}");
        assertThat(text(whole)).isEqualTo("10 chunks and 2 other objects checked: all is well\n");

        LossInfo loss = new LossInfo(
                "work", Optional.of(ID), Optional.of(NOW), 3, true, true, List.of("/home/ann/letter"), false, true);
        LossInfo image =
                new LossInfo("debian", Optional.empty(), Optional.empty(), 1, false, true, List.of(), false, false);
        VerifyOutcome damaged = new VerifyOutcome(
                "/v",
                new VerifyResult(
                        new VerifyReport(10, 2, List.of("pack 1", "pack 2"), List.of()), List.of(loss, image)));
        assertThat(json(damaged::fields))
                .contains("\"errors\":[\"pack 1\",\"pack 2\"]")
                .contains("{\"session\":\"work\",\"snapshot\":\"" + ID + "\",\"created\":\"" + NOW
                        + "\",\"chunks\":3,\"processes\":true,\"disk\":true,\"file_system\":true,"
                        + "\"files\":[\"/home/ann/letter\"],\"more_files\":false}")
                .endsWith("{\"image\":\"debian\",\"chunks\":1,\"processes\":false,\"disk\":true,\"file_system\":false,"
                        + "\"files\":[],\"more_files\":false}]}");
        assertThat(text(damaged))
                .startsWith("pack 1\npack 2\nwork, snapshot ")
                .contains("tables of the file system itself\n  /home/ann/letter\n")
                .contains("image debian: 1 chunk can't be read; no file is in them\n")
                .contains("not all is well");

        RepairOutcome repaired = new RepairOutcome(
                "/v",
                false,
                new RepairResult(
                        List.of("vault put back"),
                        new RepairReport(
                                1, 2, 3, List.of("a lease made again"), new VerifyReport(0, 0, List.of(), List.of())),
                        List.of()));
        assertThat(json(repaired::fields))
                .isEqualTo("{\"vault\":\"/v\",\"dry_run\":false,\"chunks_mended\":1,\"chunks_moved\":2,"
                        + "\"objects_mended\":4,\"actions\":[\"vault put back\",\"a lease made again\"],\"errors\":[],"
                        + "\"lost\":[]}");
        assertThat(text(repaired))
                .isEqualTo("vault put back\na lease made again\n1 chunks and 4 other objects mended: all is well\n");
    }

    @Test
    void sentence() throws Exception {
        SentenceReport report = new SentenceReport("work \"removed\"", "session", "work", "snapshot", "3f\"");

        assertThat(json(report::fields)).isEqualTo("{\"session\":\"work\",\"snapshot\":\"3f\\\"\"}");
        assertThat(text(report)).isEqualTo("work \"removed\"\n");
    }

    private interface Fields {
        void write(JsonGenerator json) throws IOException;
    }

    private static String json(Fields fields) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (JsonGenerator json = new JsonFactory().createGenerator(bytes)) {
            json.writeStartObject();
            fields.write(json);
            json.writeEndObject();
        }
        return bytes.toString(StandardCharsets.UTF_8);
    }

    private static String text(Report report) {
        StringBuilder text = new StringBuilder();
        report.text(text);
        return text.toString();
    }
}
