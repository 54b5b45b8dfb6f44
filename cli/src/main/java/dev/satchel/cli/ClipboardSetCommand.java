package dev.satchel.cli;

import java.io.IOException;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code clipboard set}. */
final class ClipboardSetCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session; it runs here.");
    private final PositionalParamSpec text = argument(1, "TEXT", "What to offer; - takes it from standard input.");

    ClipboardSetCommand() {
        super("set", "Have text ready to be pasted in a session");
        describe("As long as somebody looks at the session, or for a moment: what is pasted comes from this host.");
        examples("satchel clipboard set work 'https://example.org/'", "satchel clipboard set work - <notes.txt");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        invocation.satchel().setClipboard(text(name), StandardInput.orElse(text(text)));
        invocation.print(new SentenceReport("ready to be pasted in " + text(name), "session", text(name)));
        return 0;
    }
}
