package dev.satchel.session;

import dev.satchel.display.web.Api;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The HTTP API of docs/PROTOCOL.md: for the viewer's buttons, and for programs that drive a session. */
final class SessionApi implements Api {
    /** What a supervisor does for it, each as the command of that name. */
    interface Session {
        Map<String, Object> describe() throws IOException;

        List<Map<String, Object>> history() throws IOException;

        JsonObject command(JsonObject request) throws IOException;

        /** Whether one viewer has taken control from all others. */
        boolean isControlledByOne();

        byte[] picture() throws IOException;

        /** Of a snapshot. */
        Optional<byte[]> thumbnail(String snapshot) throws IOException;

        /** See {@link Recorder#begin}. */
        void beginVideo(Recorder.Wanted wanted) throws IOException;

        JsonObject endVideo() throws IOException;

        /** Where the last video can be read. */
        Path video() throws IOException;

        SessionFiles files();

        long uploadBytesMax();
    }

    private static final List<String> ACTIONS = List.of("suspend", "snapshot", "history", "fork", "fetch-file");
    /** What POST does, each a command of the supervisor's. */
    private static final List<String> DOES =
            List.of("suspend", "snapshot", "fork", "type", "key", "click", "clipboard");

    /** Of those, what a viewer does as well that is let control: not while another one has taken it for itself. */
    private static final List<String> INPUT = List.of("type", "key", "click", "clipboard");

    private static final String THUMBNAIL_BEGIN = "history/";
    private static final String THUMBNAIL_END = "/thumbnail";

    private final Session session;

    SessionApi(Session session) {
        this.session = session;
    }

    @Override
    public Response handle(Request request) throws IOException {
        try {
            return answer(request);
        } catch (SatchelException e) {
            int status = switch (e.kind()) {
                case WRONG_USAGE -> 400;
                case NOT_FOUND -> 404;
                case EXISTS, IN_USE -> 409;
                default -> 500;
            };
            return error(status, String.valueOf(e.getMessage()));
        }
    }

    private static Response error(int status, String what) throws IOException {
        return Response.bytes(status, "application/json", Json.write(Map.of("error", what)));
    }

    private Response answer(Request request) throws IOException {
        boolean get = request.method().equals("GET");
        boolean post = request.method().equals("POST");
        if (get && request.path().equals("session")) {
            Map<String, Object> answer = session.describe();
            answer.put("actions", actions(request.control()));
            return json(answer);
        }
        if (get && request.path().equals("history")) {
            List<Map<String, Object>> snapshots = session.history();
            if (!request.control()) {
                snapshots.forEach(SessionApi::withoutScreen);
            }
            return json(Map.of("snapshots", snapshots));
        }
        if (get
                && request.control()
                && request.path().startsWith(THUMBNAIL_BEGIN)
                && request.path().endsWith(THUMBNAIL_END)) {
            String snapshot = request.path()
                    .substring(
                            THUMBNAIL_BEGIN.length(),
                            Math.max(THUMBNAIL_BEGIN.length(), request.path().length() - THUMBNAIL_END.length()));
            Optional<byte[]> jpeg = snapshot.isEmpty() ? Optional.empty() : session.thumbnail(snapshot);
            return jpeg.isPresent()
                    ? Response.bytes(200, "image/jpeg", jpeg.get())
                    : Response.json(404, "{\"error\":\"there is no picture of that snapshot\"}");
        }
        if (get && request.path().equals("screenshot.png")) {
            return Response.bytes(200, "image/png", session.picture());
        }
        // What a program inside copied may be for those only who may work there.
        if (get && request.path().equals("clipboard") && request.control()) {
            return json(session.command(new JsonObject(Map.of("do", "clipboard-get")))
                    .fields());
        }
        // Files are for those who may work there, as what was copied is.
        if (request.path().equals("files/list") && get && request.control()) {
            return files(() -> json(session.files().list(request.query().getOrDefault("path", ""))));
        }
        if (request.path().equals("files") && get && request.control()) {
            return files(() -> {
                SessionFiles.Opened file = session.files().open(request.query().getOrDefault("path", ""));
                return new Response(
                        200, "application/octet-stream", file.bytes(), file.content(), Optional.of(file.name()));
            });
        }
        if (request.path().equals("files") && post) {
            return files(() -> {
                SessionFiles.Written file = session.files()
                        .receive(request.query().getOrDefault("name", ""), request.length(), request.body());
                return json(Map.of("path", file.path(), "bytes", file.bytes()));
            });
        }
        if (post && INPUT.contains(request.path()) && session.isControlledByOne()) {
            return error(
                    409,
                    "somebody has taken control of the session in a viewer: take it there, or wait until it is given back;"
                            + " on its host, 'satchel type', 'key', 'click' and 'clipboard' work all the same");
        }
        // It takes a process, and memory.
        if (post && request.path().equals("record")) {
            session.beginVideo(from(request, Recorder.Wanted::from));
            return json(Map.of());
        }
        if (post && request.path().equals("record/end")) {
            return json(session.endVideo().fields());
        }
        if (get && request.path().equals("record.webm") && request.control()) {
            Path video = session.video();
            return new Response(
                    200, "video/webm", Files.size(video), Files.newInputStream(video), Optional.of("record.webm"));
        }
        if (post && DOES.contains(request.path())) {
            return json(session.command(from(request, body -> command(request.path(), body)))
                    .fields());
        }
        return Response.json(404, "{\"error\":\"there is no such thing\"}");
    }

    private interface Reader<T> {
        T read(JsonObject body) throws IOException;
    }

    /** What is not in a body, or not as it must be, is its caller's fault. */
    private static <T> T from(Request request, Reader<T> reader) throws IOException {
        try {
            return reader.read(body(request));
        } catch (SatchelException e) {
            throw e;
        } catch (IOException e) {
            throw new SatchelException(SatchelException.Kind.WRONG_USAGE, String.valueOf(e.getMessage()), e);
        }
    }

    /** @throws IOException if it is no JSON object */
    private static JsonObject body(Request request) throws IOException {
        String body = request.text();
        if (body.isBlank()) {
            return new JsonObject(Map.of());
        }
        try {
            return Json.read(body.getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new IOException("the body is no JSON object", e);
        }
    }

    /** @throws IOException if the body has not what belongs to it */
    private static JsonObject command(String path, JsonObject body) throws IOException {
        Map<String, Object> command = new LinkedHashMap<>();
        command.put("do", path.equals("clipboard") ? "clipboard-set" : path);
        switch (path) {
            case "type", "clipboard" -> command.put("text", body.text("text"));
            case "key" -> command.put("keys", body.texts("keys"));
            case "click" -> {
                command.put("x", body.number("x"));
                command.put("y", body.number("y"));
                command.put("button", body.number("button", 1));
                command.put("count", body.number("count", 1));
            }
            case "fork" -> {
                command.put("name", body.text("name"));
                body.optionalText("snapshot").ifPresent(snapshot -> command.put("snapshot", snapshot));
            }
            default -> body.optionalText("label").ifPresent(label -> command.put("label", label));
        }
        return new JsonObject(command);
    }

    /** Who is shown a session sees what is on its screen now, not what was there before they came. */
    private static void withoutScreen(Map<String, Object> snapshot) {
        snapshot.put("thumbnail", false);
        snapshot.put("windows", List.of());
    }

    private List<String> actions(boolean control) {
        if (!control) {
            return List.of("history");
        }
        List<String> actions = new ArrayList<>(ACTIONS);
        if (session.uploadBytesMax() > 0) {
            actions.add("send-file");
        }
        return actions;
    }

    @Override
    public long bodyBytesMax(String method, String path) {
        return method.equals("POST") && path.equals("files") ? session.uploadBytesMax() : BODY_BYTES_MAX;
    }

    private interface Task {
        Response run() throws IOException;
    }

    private static Response files(Task task) throws IOException {
        try {
            return task.run();
        } catch (SessionFiles.Refused e) {
            return error(e.status(), String.valueOf(e.getMessage()));
        }
    }

    private static Response json(Map<String, ?> answer) throws IOException {
        return Response.bytes(200, "application/json", Json.write(answer));
    }
}
