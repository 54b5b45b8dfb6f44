package dev.satchel.display.record;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;

/** A recorder that can be killed. */
final class RecordingProcess {
    private RecordingProcess() {}

    public static void main(String[] arguments) throws IOException {
        Recording.Result ignored =
                Recording.record(URI.create(arguments[0]), Path.of(arguments[1]), 600_000, 25, (millis, bytes) -> {});
    }
}
