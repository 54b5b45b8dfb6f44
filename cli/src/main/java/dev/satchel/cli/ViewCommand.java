package dev.satchel.cli;

import java.io.IOException;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code view}. */
final class ViewCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session; it runs here.");
    private final OptionSpec open = flag("Open it in this desktop's browser.", "--open");
    private final OptionSpec vnc = flag("Have VNC clients let in, too, and print how they connect.", "--vnc");
    private final OptionSpec look =
            flag("A link, or a password, for somebody who may look, and touch nothing.", "--view-only");

    ViewCommand() {
        super("view", "Print the link at which a browser shows a session");
        describe(
                "The session is seen and worked in at that link, by a browser on this host; several may look at once. The"
                        + " link holds a secret of this session's: whoever has it is let in, until the session is suspended"
                        + " or stopped.",
                "With --vnc, VNC clients on this host are let in as well, from then on: TigerVNC's viewer, Remmina, noVNC and"
                        + " others. Until it is asked for, nothing listens for them. Port and password stay the same until"
                        + " the session is stopped or goes on elsewhere. Clients that do not encrypt send a proof of the"
                        + " password's first eight characters only.");
        examples(
                "satchel view work",
                "satchel view work --open",
                "satchel view work --view-only            # to show somebody",
                "satchel view work --vnc                  # for a VNC client");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        if (given(vnc)) {
            if (given(open)) {
                throw new UsageException("--open is for browsers: leave out --vnc, or start the VNC client yourself");
            }
            invocation.print(new VncReport(text(name), invocation.satchel().vnc(text(name), given(look))));
            return 0;
        }
        String url = invocation.satchel().viewUrl(text(name), given(look));
        invocation.print(new SentenceReport(url, "session", text(name), "view_url", url));
        if (given(open)) {
            try {
                Process ignored = new ProcessBuilder("xdg-open", url)
                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                        .redirectError(ProcessBuilder.Redirect.DISCARD)
                        .start();
            } catch (IOException e) {
                throw new IOException(
                        "no browser could be started, as there is no xdg-open: open the link yourself", e);
            }
        }
        return 0;
    }
}
