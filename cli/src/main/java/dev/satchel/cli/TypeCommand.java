package dev.satchel.cli;

import java.io.IOException;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code type}. */
final class TypeCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session; it runs here.");
    private final PositionalParamSpec text = argument(1, "TEXT", "What to type; - takes it from standard input.");

    TypeCommand() {
        super("type", "Type text into a session");
        describe("As a person would, into the window that has the keyboard. A new line is the Return key.");
        examples("satchel type work 'Dear Ms. Ångström,'", "printf 'ls\\n' | satchel type work -");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        invocation.satchel().type(text(name), StandardInput.orElse(text(text)));
        invocation.print(new SentenceReport("typed into " + text(name), "session", text(name)));
        return 0;
    }
}
