package dev.satchel.cli;

import java.io.IOException;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code click}. */
final class ClickCommand extends Command {
    private static final int COUNT_MAX = 100;
    private static final int PIXELS_MAX = 65_535;

    private final PositionalParamSpec name = session("NAME", "The session; it runs here.");
    private final PositionalParamSpec x = coordinate(1, "X", "Pixels from the left of its screen.");
    private final PositionalParamSpec y = coordinate(2, "Y", "Pixels from the top.");
    private final OptionSpec button = option(
            Integer.class,
            word -> Quantities.parseCount(word, 1, 9),
            "N",
            "1 left, 2 middle, 3 right, 4 and 5 the wheel up and down, 6 and 7 left and right, 8 back, 9 forward; 1 if left out.",
            "-b",
            "--button");
    private final OptionSpec count = option(
            Integer.class,
            word -> Quantities.parseCount(word, 0, COUNT_MAX),
            "N",
            "How often; 0 only moves the pointer there; 1 if left out.",
            "-n",
            "--count");

    ClickCommand() {
        super("click", "Click in a session");
        describe("'satchel screenshot' shows where things are.");
        examples(
                "satchel click work 640 400",
                "satchel click work 100 80 --button 3",
                "satchel click work 300 200 -n 2");
    }

    private PositionalParamSpec coordinate(int index, String label, String description) {
        return argument(index, Integer.class, word -> Quantities.parseCount(word, 0, PIXELS_MAX), label, description);
    }

    @Override
    int run(Invocation invocation) throws IOException {
        int left = x.<Integer>getValue();
        int top = y.<Integer>getValue();
        Integer which = button.getValue();
        Integer often = count.getValue();
        invocation.satchel().click(text(name), left, top, which == null ? 1 : which, often == null ? 1 : often);
        invocation.print(
                new SentenceReport("clicked at " + left + "," + top + " in " + text(name), "session", text(name)));
        return 0;
    }
}
