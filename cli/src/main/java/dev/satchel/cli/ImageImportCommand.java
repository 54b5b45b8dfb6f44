package dev.satchel.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code image import}. */
final class ImageImportCommand extends Command {
    private final PositionalParamSpec name = argument(0, "NAME", "What to call the image.");
    private final PositionalParamSpec path =
            argument(1, "TAR", "A tar file of a whole root file system, compressed or not.");

    ImageImportCommand() {
        super("import", "Make an image of a root file system");
        describe("Owners, modes, hard links, sparse files, extended attributes and capabilities are kept.");
        examples("docker export box | gzip > box.tar.gz && satchel image import box box.tar.gz");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        invocation.print(new ImageReport(
                invocation.satchel().importImage(text(name), Path.of(text(path))), "imported", Instant.now()));
        return 0;
    }
}
