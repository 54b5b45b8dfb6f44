package dev.satchel.cli;

import java.io.IOException;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code clipboard set}. */
final class ClipboardSetCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session; it runs here.");
    private final PositionalParamSpec text = argument(1, "TEXT", "What to offer; - takes it from standard input.");

    ClipboardSetCommand() {
        super("set", "Have text ready to be pasted in a session");
        describe(
                "Until a program there, or somebody who looks at it, has something else ready; it is kept in the session.");
        examples("satchel clipboard set work 'https://example.org/'", "satchel clipboard set work - <notes.txt");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        invocation.satchel().setClipboard(text(name), StandardInput.orElse(text(text)));
        invocation.print(new SentenceReport("ready to be pasted in " + text(name), "session", text(name)));
        return 0;
    }
}
