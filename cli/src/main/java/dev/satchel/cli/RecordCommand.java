package dev.satchel.cli;

import dev.satchel.display.record.Recording;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code record}. */
final class RecordCommand extends Command {
    private static final int FRAMES_DEFAULT = 25;
    private static final int FRAMES_MAX = 60;

    private final PositionalParamSpec name = session("NAME", "The session; it runs here.");
    private final PositionalParamSpec file =
            argument(1, "FILE.webm", "Where to put the video; what is there is overwritten.");
    private final OptionSpec time = option(
            Duration.class,
            new Quantities.Time(),
            "TIME",
            "For how long, e.g. 90s, 30m or 8h; until Ctrl-C if left out.",
            "--for");
    private final OptionSpec frames = option(
            Integer.class,
            word -> Quantities.parseCount(word, 1, FRAMES_MAX),
            "N",
            "Pictures a second at most; " + FRAMES_DEFAULT + " if left out. Only what changes makes one.",
            "--fps");

    RecordCommand() {
        super("record", "Make a video of what happens in a session");
        describe(
                "Until the time is over, Ctrl-C, or the session is suspended or stopped: the video, WebM with VP8, is whole in"
                        + " any case, and browsers play it. It shows all of the screen with the pointer, in the size that the"
                        + " screen has at first: a screen that is resized meanwhile is scaled. What is recorded counts as"
                        + " looked at, as if by one viewer more: see 'satchel create --help' for --suspend-on-close.");
        examples("satchel record work work.webm", "satchel record work tour.webm --for 90s");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Duration longest = time.getValue();
        Integer most = frames.getValue();
        invocation.interruption().expect();
        Recording.Result result = invocation
                .satchel()
                .recording(
                        text(name),
                        Path.of(text(file)),
                        Optional.ofNullable(longest),
                        most == null ? FRAMES_DEFAULT : most);
        invocation.print(new RecordReport(text(name), text(file), result));
        if (result.end() == Recording.End.LOST) {
            throw new IOException("the session can't be seen any more, " + result.why()
                    + ": what was recorded until then is in " + text(file));
        }
        return 0;
    }
}
