package dev.satchel.cli;

import dev.satchel.session.CreateRequest;
import dev.satchel.session.SessionInfo;
import java.io.IOException;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code create}. */
final class CreateCommand extends Command {
    private static final String GEOMETRY_DEFAULT = "1280x800";
    private static final String GEOMETRY_MAX_DEFAULT = "2560x1600";

    private final PositionalParamSpec name = argument(0, "NAME", "What to call it.");
    private final OptionSpec image =
            requiredOption("IMAGE", "The image it starts from, see 'satchel image ls'.", "--image");
    private final OptionSpec disk = option(
            Long.class,
            new Quantities.Bytes(),
            "SIZE",
            "Size of its disk, e.g. 8G; the image's if left out.",
            "--disk");
    private final OptionSpec memory = option(
            Long.class,
            new Quantities.Bytes(),
            "SIZE",
            "Most memory its programs may use, e.g. 2G; no limit if left out.",
            "-m",
            "--memory");
    private final OptionSpec cpus = option(
            Double.class,
            new Quantities.Processors(),
            "N",
            "Most processors its programs may use, e.g. 1.5; no limit if left out.",
            "--cpus");
    private final OptionSpec environment = add(
            Environment.option(
                    "An environment variable of all its programs; without =VALUE, the value that it has here. May be repeated."));
    private final OptionSpec geometry = option(
            String.class,
            new Quantities.Geometry(),
            "WxH",
            "Its screen in pixels; " + GEOMETRY_DEFAULT + " if left out.",
            "--geometry");
    private final OptionSpec geometryMax = option(
            String.class,
            new Quantities.Geometry(),
            "WxH",
            "The largest screen that a viewer can ask for, as each pixel of it takes 4 bytes of memory; "
                    + GEOMETRY_MAX_DEFAULT + " if left out.",
            "--geometry-max");
    private final OptionSpec uploadMax = option(
            Long.class,
            new Quantities.Bytes(),
            "SIZE",
            "The largest file that a viewer may send into it, 0 for none; 4G if left out.",
            "--upload-max");
    private final OptionSpec suspendOnClose = flag("Suspend it when its last viewer goes.", "--suspend-on-close");

    private final UpkeepOptions upkeep = new UpkeepOptions(this);

    CreateCommand() {
        super("create", "Make a session from an image");
        describe(
                "Takes no time and no space whatever the image's size: the session refers to the image's chunks, and only"
                        + " what it changes is stored. The session does not run yet: 'satchel resume' boots it.");
        examples(
                "satchel create work --image desktop",
                "satchel create lab --image minimal --memory 1G --cpus 2 -e LANG=de_DE.UTF-8");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        Long diskBytes = disk.getValue();
        Long memoryBytes = memory.getValue();
        Optional<List<String>> given = optional(environment);
        Map<String, String> variables = given.isPresent() ? Environment.parse(given.get(), invocation) : Map.of();
        Optional<Double> processors = optional(cpus);
        Optional<String> screen = optional(geometry);
        Optional<String> largest = optional(geometryMax);
        Long uploadBytes = uploadMax.getValue();
        SessionInfo session = invocation
                .satchel()
                .create(new CreateRequest(
                        text(name),
                        text(image),
                        diskBytes == null ? OptionalLong.empty() : OptionalLong.of(diskBytes),
                        memoryBytes == null ? OptionalLong.empty() : OptionalLong.of(memoryBytes),
                        processors,
                        variables,
                        screen.orElse(GEOMETRY_DEFAULT),
                        largest.orElse(GEOMETRY_MAX_DEFAULT),
                        given(suspendOnClose),
                        uploadBytes == null ? CreateRequest.UPLOAD_BYTES_MAX : uploadBytes,
                        upkeep.change()));
        invocation.print(new SessionDoneReport(
                new SessionReport(session, Instant.now()),
                session.session() + " created from image " + session.image() + ": boot it with 'satchel resume "
                        + session.session() + "'"));
        return 0;
    }
}
