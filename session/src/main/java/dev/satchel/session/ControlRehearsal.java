package dev.satchel.session;

import dev.satchel.vault.SnapshotId;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** What comes between a command and the supervisor that carries it out, for who trains the start-up cache: no session is needed. */
public final class ControlRehearsal {
    private ControlRehearsal() {}

    /**
     * Asks, and answers itself.
     *
     * @param directory a socket is made there, and removed again
     */
    public static void run(Path directory) throws IOException {
        SuspendResult result =
                new SuspendResult("work", new SnapshotId(1, 2, 3, 4), 300, 900, 42, 1 << 20, 1 << 20, 250, 700);
        Path socket = directory.resolve("control");
        try (ControlServer server = ControlServer.listen(socket, (request, progress) -> {
            progress.at("storing", 0, 0);
            return request.texts("line").isEmpty() ? new JsonObject(Map.of()) : Results.toJson(result);
        })) {
            SuspendResult _ = Results.suspend(ControlClient.ask(
                    socket, Map.of("do", "suspend", "line", List.of("true"), "count", 1), Progress.NONE));
            server.awaitAnswers();
        }
    }
}
