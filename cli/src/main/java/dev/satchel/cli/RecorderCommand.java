package dev.satchel.cli;

import dev.satchel.session.Recorder;
import java.io.IOException;
import java.util.List;

/** {@code recorder}: makes a video for a supervisor that was asked for one over HTTP. */
final class RecorderCommand extends Command {
    RecorderCommand() {
        super("recorder", "Make a video for a session's supervisor");
        describe("A supervisor starts it and tells it on standard input what to record; it ends when that does.");
        examples("satchel recorder <request.json");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Recorder.run(System.in, System.out);
        return 0;
    }

    /** Its command line. */
    static List<String> line(Invocation invocation) throws IOException {
        return List.of(invocation.again().getFirst(), "recorder"); // no vault, no host: it is told what it needs
    }
}
