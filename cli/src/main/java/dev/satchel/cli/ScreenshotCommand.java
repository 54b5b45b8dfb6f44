package dev.satchel.cli;

import java.io.IOException;
import java.nio.file.Path;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code screenshot}. */
final class ScreenshotCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session; it runs here.");
    private final PositionalParamSpec file = argument(1, "FILE.png", "Where to put the picture.");

    ScreenshotCommand() {
        super("screenshot", "Make a picture of a session's screen");
        examples("satchel screenshot work screen.png");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        invocation.satchel().screenshot(text(name), Path.of(text(file)));
        invocation.print(new SentenceReport(
                "screen of " + text(name) + " in " + text(file), "session", text(name), "file", text(file)));
        return 0;
    }
}
