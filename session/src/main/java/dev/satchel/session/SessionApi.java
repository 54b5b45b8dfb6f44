package dev.satchel.session;

import dev.satchel.display.web.Api;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The HTTP API of docs/PROTOCOL.md: for the viewer's buttons, and for programs that drive a session. */
final class SessionApi implements Api {
    /** What a supervisor does for it, each as the command of that name. */
    interface Session {
        Map<String, Object> describe() throws IOException;

        List<Map<String, Object>> history() throws IOException;

        JsonObject command(JsonObject request) throws IOException;

        byte[] picture() throws IOException;
    }

    private static final List<String> ACTIONS = List.of("suspend", "snapshot", "history");
    /** What POST does, each a command of the supervisor's. */
    private static final List<String> DOES = List.of("suspend", "snapshot", "type", "key", "click", "clipboard");

    private final Session session;

    SessionApi(Session session) {
        this.session = session;
    }

    @Override
    public Response handle(Request request) throws IOException {
        boolean get = request.method().equals("GET");
        boolean post = request.method().equals("POST");
        if (get && request.path().equals("session")) {
            Map<String, Object> answer = session.describe();
            answer.put("actions", request.control() ? ACTIONS : List.of("history"));
            return json(answer);
        }
        if (get && request.path().equals("history")) {
            return json(Map.of("snapshots", session.history()));
        }
        if (get && request.path().equals("screenshot.png")) {
            return Response.bytes(200, "image/png", session.picture());
        }
        // What a program inside copied may be for those only who may work there.
        if (get && request.path().equals("clipboard") && request.control()) {
            return json(session.command(new JsonObject(Map.of("do", "clipboard-get")))
                    .fields());
        }
        if (post && DOES.contains(request.path())) {
            Map<String, Object> command = new LinkedHashMap<>();
            String body = request.text();
            if (!body.isBlank()) {
                command.putAll(Json.read(body.getBytes(StandardCharsets.UTF_8)).fields());
            }
            command.put("do", request.path().equals("clipboard") ? "clipboard-set" : request.path());
            return json(session.command(new JsonObject(command)).fields());
        }
        return Response.json(404, "{\"error\":\"there is no such thing\"}");
    }

    private static Response json(Map<String, ?> answer) throws IOException {
        return Response.bytes(200, "application/json", Json.write(answer));
    }
}
