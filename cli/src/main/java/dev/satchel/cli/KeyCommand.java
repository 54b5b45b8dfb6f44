package dev.satchel.cli;

import java.io.IOException;
import java.util.List;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code key}. */
final class KeyCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session; it runs here.");
    private final PositionalParamSpec keys = some(1, "KEY", "A key, or keys held together, such as ctrl+s.");

    KeyCommand() {
        super("key", "Press keys in a session");
        describe(
                "One after the other, in the window that has the keyboard. Keys have the names that X11 gives them, or are"
                        + " the character they write.");
        examples("satchel key work ctrl+s", "satchel key work alt+Tab Return", "satchel key work ctrl+alt+F2");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        List<String> chords = keys.getValue();
        invocation.satchel().key(text(name), chords);
        invocation.print(
                new SentenceReport("pressed " + String.join(" ", chords) + " in " + text(name), "session", text(name)));
        return 0;
    }
}
