package dev.satchel.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code image import}. */
final class ImageImportCommand extends Command {
    private final PositionalParamSpec name = argument(0, "NAME", "What to call the image.");
    private final PositionalParamSpec path = argument(
            1,
            "PATH",
            "An OCI image layout (a directory), an archive of one, what 'docker save' or 'podman save' writes, or the tar"
                    + " of a whole root file system, compressed or not.");

    ImageImportCommand() {
        super("import", "Make an image of a container image or a root file system");
        describe(
                "Owners, modes, hard links, sparse files, extended attributes and capabilities are kept. Of a container image the"
                        + " layers are laid over each other, after their digests have been checked, and sessions run its entrypoint"
                        + " and command, as its user, in its working directory and with its environment; 'satchel create -e' adds"
                        + " to that. When the command ends, the session does.");
        examples(
                "skopeo copy docker://docker.io/library/nginx oci:nginx && satchel image import nginx nginx",
                "docker save box > box.tar && satchel image import box box.tar",
                "docker export box | gzip > box.tar.gz && satchel image import box box.tar.gz");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        invocation.print(new ImageReport(
                invocation.satchel().importImage(text(name), Path.of(text(path))), "imported", Instant.now()));
        return 0;
    }
}
