package dev.satchel.cli;

import dev.satchel.session.ImageInfo;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/** {@code image ls}. */
final class ImageListCommand extends Command {
    ImageListCommand() {
        super("ls", "List the vault's images");
        describe("Sizes are of the images' files, before anything is shared or compressed.");
        examples("satchel image ls");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Instant now = Instant.now();
        List<ImageReport> rows = new ArrayList<>();
        for (ImageInfo image : invocation.satchel().images()) {
            rows.add(new ImageReport(image, "", now));
        }
        invocation.print(rows, ImageReport.table());
        return 0;
    }
}
