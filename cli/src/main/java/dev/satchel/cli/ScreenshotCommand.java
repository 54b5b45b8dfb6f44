package dev.satchel.cli;

import java.io.IOException;
import java.nio.file.Path;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code screenshot}. */
final class ScreenshotCommand extends Command {
    private final PositionalParamSpec name = session(
            "NAME[@SNAPSHOT]", "The session, which runs here; or one of a session's snapshots, wherever that is.");
    private final PositionalParamSpec file = argument(1, "FILE", "Where to put the picture.");

    ScreenshotCommand() {
        super("screenshot", "Make a picture of a session's screen");
        describe(
                "The screen comes whole, as PNG; of a snapshot there is a small picture, as JPEG, that was taken with it.");
        examples("satchel screenshot work screen.png", "satchel screenshot work@3f2a9c then.jpg");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Snapshots.Named shown = Snapshots.Named.parse(text(name));
        Path picture = Path.of(text(file));
        if (shown.snapshot().isPresent()) {
            invocation.satchel().screenshot(shown.session(), shown.snapshot().get(), picture);
        } else {
            invocation.satchel().screenshot(shown.session(), picture);
        }
        invocation.print(new SentenceReport(
                "screen of " + text(name) + " in " + text(file), "session", shown.session(), "file", text(file)));
        return 0;
    }
}
