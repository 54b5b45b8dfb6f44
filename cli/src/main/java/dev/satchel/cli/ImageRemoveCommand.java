package dev.satchel.cli;

import java.io.IOException;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code image rm}. */
final class ImageRemoveCommand extends Command {
    private final PositionalParamSpec name = argument(0, "NAME", "The image.");

    ImageRemoveCommand() {
        super("rm", "Remove an image");
        describe("Sessions that were made from it keep what they refer to.");
        examples("satchel image rm lab");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        invocation.satchel().removeImage(text(name));
        invocation.print(new SentenceReport("image " + text(name) + " removed", "image", text(name)));
        return 0;
    }
}
