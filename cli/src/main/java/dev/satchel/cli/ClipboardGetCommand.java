package dev.satchel.cli;

import java.io.IOException;
import java.util.Optional;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code clipboard get}. */
final class ClipboardGetCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session; it runs here.");

    ClipboardGetCommand() {
        super("get", "Print what was copied in a session");
        describe("Text only, up to 1 MiB, else it fails; nothing if a program copied something else, or none did.");
        examples("satchel clipboard get work");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Optional<String> text = invocation.satchel().clipboard(text(name));
        invocation.print(new ClipboardReport(text(name), text.orElse("")));
        return 0;
    }
}
