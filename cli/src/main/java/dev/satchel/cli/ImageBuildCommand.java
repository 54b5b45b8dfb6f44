package dev.satchel.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.time.Instant;
import java.util.Optional;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code image build}. */
final class ImageBuildCommand extends Command {
    private static final String RECIPE_DEFAULT = "desktop";

    private final PositionalParamSpec name = argument(0, "NAME", "What to call the image.");
    private final OptionSpec recipe = option(
            "RECIPE",
            "'desktop', 'minimal' or a directory with a recipe of your own; if left out, the one called like the image,"
                    + " else '" + RECIPE_DEFAULT + "'.",
            "--recipe");

    ImageBuildCommand() {
        super("build", "Build an image from Debian packages");
        describe("Packages come from the mirror that this host's own apt uses. Takes minutes.");
        examples("satchel image build desktop", "satchel image build lab --recipe minimal");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Optional<String> named = optional(recipe);
        String chosen = named.isPresent()
                ? named.get()
                : Files.isDirectory(invocation.host().recipes().resolve(text(name))) ? text(name) : RECIPE_DEFAULT;
        invocation.print(new ImageReport(invocation.satchel().buildImage(text(name), chosen), "built", Instant.now()));
        return 0;
    }
}
