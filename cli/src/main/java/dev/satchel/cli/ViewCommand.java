package dev.satchel.cli;

import java.io.IOException;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code view}. */
final class ViewCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session; it runs here.");

    ViewCommand() {
        super("view", "Print the address at which a browser shows a session");
        describe("There is no viewer yet: this fails, and 'satchel screenshot' shows what the session shows.");
        examples("xdg-open \"$(satchel view work)\"");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        String url = invocation.satchel().viewUrl(text(name));
        invocation.print(new SentenceReport(url, "session", text(name), "view_url", url));
        return 0;
    }
}
