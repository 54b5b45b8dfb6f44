package dev.satchel.session;

import dev.satchel.display.record.Recording;
import dev.satchel.vault.SnapshotId;
import dev.satchel.vault.SourceReport;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What supervisors answer, as JSON and back. */
final class Results {
    private Results() {}

    static JsonObject toJson(SuspendResult result) {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("session", result.session());
        json.put("snapshot", result.snapshot().toString());
        json.put("frozen_ms", result.frozenMillis());
        json.put("total_ms", result.totalMillis());
        json.put("processes", (long) result.processes());
        json.put("bytes_memory", result.bytesMemory());
        json.put("bytes_new", result.bytesNew());
        json.put("criu_ms", result.criuMillis());
        json.put("durable_ms", result.durableMillis());
        return new JsonObject(json);
    }

    static SuspendResult suspend(JsonObject json) throws IOException {
        return new SuspendResult(
                json.text("session"),
                SnapshotId.parse(json.text("snapshot")),
                json.number("frozen_ms"),
                json.number("total_ms"),
                (int) json.number("processes"),
                json.number("bytes_memory"),
                json.number("bytes_new"),
                json.number("criu_ms"),
                json.number("durable_ms"));
    }

    static JsonObject toJson(Recording.Result result) {
        return new JsonObject(Map.of(
                "ended", result.end().name().toLowerCase(Locale.ROOT),
                "duration_ms", result.millis(),
                "frames", result.frames(),
                "bytes", result.bytes(),
                "width", (long) result.width(),
                "height", (long) result.height()));
    }

    static JsonObject toJson(VncAccess access) {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("address", access.address());
        json.put("port", (long) access.port());
        json.put("user", access.user());
        json.put("password", access.password());
        json.put("certificate_sha256", access.fingerprint());
        json.put("certificate_file", access.certificateFile());
        json.put("websocket_url", access.webSocketUrl());
        return new JsonObject(json);
    }

    static VncAccess vncAccess(JsonObject json) throws IOException {
        return new VncAccess(
                json.text("address"),
                (int) json.number("port"),
                json.text("user"),
                json.text("password"),
                json.text("certificate_sha256"),
                json.text("certificate_file"),
                json.text("websocket_url"));
    }

    static JsonObject toJson(RemoteAccess access) {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("url", access.url());
        json.put("certificate_sha256", access.fingerprint());
        json.put("own", access.ownCertificate());
        return new JsonObject(json);
    }

    static RemoteAccess remoteAccess(JsonObject json) throws IOException {
        return new RemoteAccess(json.text("url"), json.text("certificate_sha256"), json.truth("own"));
    }

    static JsonObject ofLine(List<String> line) {
        return new JsonObject(Map.of("line", line));
    }

    static JsonObject ofSources(List<SourceReport> reports) {
        List<Object> sources = new ArrayList<>();
        for (SourceReport report : reports) {
            Map<String, Object> json = new LinkedHashMap<>();
            json.put("kind", report.kind().name());
            json.put("location", report.location());
            json.put("state", report.state().name());
            json.put("chunks", report.chunks());
            json.put("bytes", report.bytes());
            json.put("misses", report.misses());
            json.put("failures", report.failures());
            json.put("ms", report.millis());
            sources.add(json);
        }
        return new JsonObject(Map.of("sources", sources));
    }

    static List<SourceReport> sources(JsonObject json) throws IOException {
        List<SourceReport> reports = new ArrayList<>();
        for (JsonObject source : json.objects("sources")) {
            reports.add(new SourceReport(
                    SourceReport.Kind.valueOf(source.text("kind")),
                    source.text("location"),
                    SourceReport.State.valueOf(source.text("state")),
                    source.number("chunks"),
                    source.number("bytes"),
                    source.number("misses"),
                    source.number("failures"),
                    source.number("ms")));
        }
        return reports;
    }

    static JsonObject ofStatus(long initPid, List<Long> processes, String hostSideAddress) {
        List<String> pids = new ArrayList<>();
        for (long pid : processes) {
            pids.add(Long.toString(pid));
        }
        return new JsonObject(Map.of("init_pid", initPid, "processes", pids, "host_side_address", hostSideAddress));
    }
}
