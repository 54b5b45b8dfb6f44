package dev.satchel.cli;

import dev.satchel.session.Demo;
import dev.satchel.session.DemoResult;
import dev.satchel.session.SatchelException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Model.OptionSpec;

/** {@code demo}. */
final class DemoCommand extends Command {
    private static final String DIRECTORY = "/var/lib/satchel-demo";

    private final OptionSpec directory = option(
            "DIR", "Where its vault, its two hosts and its pictures are kept; default " + DIRECTORY + ".", "--dir");
    private final OptionSpec clean =
            flag("End and remove what an earlier demo left, its vault and image too, and do nothing else.", "--clean");

    DemoCommand() {
        super("demo", "Carry a live desktop from one host to another, on this machine");
        describe(
                "Makes a vault, boots a desktop with Firefox, LibreOffice and a terminal at work on host A, suspends it, resumes it on"
                        + " host B, which is another state directory on this machine, and checks that everything went on. The first"
                        + " time, the image 'desktop' is built from Debian packages, which takes some minutes. --vault, --state and"
                        + " --passphrase-file are not used. In the end the session runs on host B, to be tried out. A failed or"
                        + " interrupted demo leaves nothing running; one whose checks fail does, and says which.");
        examples("satchel demo", "satchel demo --clean");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Path home = Path.of(System.getProperty("satchel.home", "."));
        // With --json standard output is for the object alone.
        PrintStream told = invocation.json()
                ? invocation.errors()
                : new PrintStream(invocation.output(), true, StandardCharsets.UTF_8);
        Optional<String> given = optional(directory);
        Demo demo = new Demo(home.resolve("satchel"), home.resolve("demo"), Path.of(given.orElse(DIRECTORY)), told);
        if (given(clean)) {
            demo.clean();
            if (invocation.json()) {
                invocation.print(new SentenceReport("", "session", "demo"));
            }
            return 0;
        }
        DemoResult result = demo.play();
        invocation.print(new DemoReport(result));
        List<DemoResult.Check> failures = result.failures();
        if (!failures.isEmpty()) {
            StringBuilder names = new StringBuilder();
            for (DemoResult.Check failure : failures) {
                names.append(names.isEmpty() ? "" : ", ").append(failure.name());
            }
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    "not all went on, these checks failed (" + names
                            + "): the session is left running on host B to be looked"
                            + " at, '" + result.exports() + "; " + home.resolve("satchel") + " logs "
                            + result.session() + "'");
        }
        return 0;
    }
}
