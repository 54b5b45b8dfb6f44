package dev.satchel.cli;

import dev.satchel.session.Door;
import dev.satchel.session.Doorkeeper;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** {@code doorkeeper}: what a supervisor leaves behind when it suspends a session that a page shows; reads from standard input which. */
final class DoorkeeperCommand extends Command {
    private static final int DOOR_BYTES_MAX = 1 << 16;

    DoorkeeperCommand() {
        super("doorkeeper", "Answer the pages of a session that was suspended");
        describe("A supervisor starts it and tells it on standard input which session it is; it ends by itself.");
        examples("satchel doorkeeper <door.json");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        byte[] door = System.in.readNBytes(DOOR_BYTES_MAX);
        List<String> line = invocation.again();
        Doorkeeper.at(
                        door,
                        (session, at) -> {
                            List<String> resume = new ArrayList<>(line);
                            resume.addAll(List.of("resume", session));
                            // In one word, or it could be taken for another option.
                            at.ifPresent(snapshot -> resume.add("--at=" + snapshot));
                            return resume;
                        },
                        invocation.hasPassphraseFile())
                .serve();
        return 0;
    }

    /** Starts one in the background, in a process of its own: this one's has had the session's keys and pages in its memory. */
    static void start(Invocation invocation, Door door) throws IOException {
        List<String> line = invocation.again();
        line.add("doorkeeper");
        ProcessBuilder builder = new ProcessBuilder(line)
                .directory(new File("/"))
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.DISCARD);
        Map<String, String> environment = builder.environment();
        environment.remove(Launcher.STATUS_FD);
        environment.remove(Launcher.INHERITED_FDS);
        // Not on the command line, which every user of the host can read: links have secrets in them.
        environment.putAll(invocation.placesVariables());
        // Given by name, where it can be given.
        environment.remove(GlobalOptions.PASSPHRASE_FILE);
        try (OutputStream in = builder.start().getOutputStream()) {
            in.write(door.toJson());
        }
    }
}
