package dev.satchel.session;

import dev.satchel.vault.SessionId;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.stream.Stream;
import javax.imageio.ImageIO;

/** A host of tests: does what the commands do, each with a {@link Satchel} of its own as each command has. */
record TestHost(Site site, Host host, PassphraseSource passphrases) {
    /** A command. */
    interface Command<T> {
        T run(Satchel satchel) throws IOException;
    }

    <T> T with(Command<T> command) throws IOException {
        try (Satchel satchel = satchel()) {
            return command.run(satchel);
        }
    }

    Satchel satchel() {
        return new Satchel(host, site.vault(), passphrases, Progress.NONE);
    }

    SessionInfo create(String name) throws IOException {
        return create(new CreateRequest(
                name,
                Site.IMAGE,
                OptionalLong.empty(),
                OptionalLong.empty(),
                Optional.empty(),
                Map.of(),
                "640x480",
                "1024x768",
                false));
    }

    SessionInfo create(CreateRequest request) throws IOException {
        return with(satchel -> satchel.create(request));
    }

    SessionInfo.State state(String name) throws IOException {
        return with(satchel -> satchel.inspect(name)).state();
    }

    /** What a session shows, rows from the top, 0xffRRGGBB. */
    int[] screen(String name) throws IOException {
        Path png = Files.createTempFile(site.directory(), "screen", ".png");
        try {
            with(satchel -> {
                satchel.screenshot(name, png);
                return true;
            });
            BufferedImage picture = ImageIO.read(png.toFile());
            return picture.getRGB(0, 0, picture.getWidth(), picture.getHeight(), null, 0, picture.getWidth());
        } finally {
            Files.delete(png);
        }
    }

    Running resume(String name) throws IOException {
        return resume(new ResumeRequest(name, Optional.empty(), false, false, Optional.empty()));
    }

    Running resumeAt(String name, String snapshot) throws IOException {
        return resume(new ResumeRequest(name, Optional.of(snapshot), false, false, Optional.empty()));
    }

    Running resumeFresh(String name) throws IOException {
        return resume(new ResumeRequest(name, Optional.empty(), true, false, Optional.empty()));
    }

    /** Runs a session in this JVM, which becomes its supervisor. */
    Running resume(ResumeRequest request) throws IOException {
        SessionId id = site.sessionId(request.session());
        try (Satchel satchel = satchel()) {
            return new Running(this, request.session(), id, satchel.resume(request));
        }
    }

    /** What is in the state directory, by path relative to it; directories end with a slash. */
    List<String> stateFiles() throws IOException {
        List<String> files = new ArrayList<>();
        try (Stream<Path> all = Files.walk(host.state())) {
            for (Path path : all.sorted().toList()) {
                if (!path.equals(host.state())) {
                    files.add(host.state().relativize(path) + (Files.isDirectory(path) ? "/" : ""));
                }
            }
        }
        return files;
    }
}
