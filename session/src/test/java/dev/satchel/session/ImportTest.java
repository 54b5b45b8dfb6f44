package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.UserDefinedFileAttributeView;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

/** An image from a root file system's tar: everything of it is there in the session, special properties too. */
class ImportTest extends LiveTest {
    @Test
    void specialFilesAreKept() throws IOException {
        Path root = Files.createTempDirectory(site.directory(), "root");
        for (String program : List.of("sh", "sleep", "cat", "stat", "mkdir")) {
            install(root, Path.of("/bin", program));
        }
        Files.createDirectories(root.resolve("data"));
        Files.writeString(root.resolve("data/one"), "linked\n");
        Files.createLink(root.resolve("data/two"), root.resolve("data/one"));
        Files.createSymbolicLink(root.resolve("data/symbolic"), Path.of("one"));
        try (RandomAccessFile sparse =
                new RandomAccessFile(root.resolve("data/sparse").toFile(), "rw")) {
            sparse.setLength(256 << 20);
            sparse.seek(100 << 20);
            sparse.write("in the middle".getBytes(StandardCharsets.UTF_8));
        }
        attributes(root.resolve("data/one")).write("mood", ByteBuffer.wrap("good".getBytes(StandardCharsets.UTF_8)));
        Files.writeString(root.resolve("data/private"), "root's alone\n");
        Ran.of(List.of("chmod", "600", root.resolve("data/private").toString())).expect(0);
        Files.copy(root.resolve("bin/cat"), root.resolve("bin/cat-all"));
        Ran.of(List.of("chmod", "755", root.resolve("bin/cat-all").toString())).expect(0);
        Ran.of(List.of(
                        "setcap",
                        "cap_dac_override+ep",
                        root.resolve("bin/cat-all").toString()))
                .expect(0);
        Files.writeString(root.resolve("data/owned"), "");
        Ran.of(List.of("chown", "1234:2345", root.resolve("data/owned").toString()))
                .expect(0);
        Ran.of(List.of("chmod", "6751", root.resolve("data/owned").toString())).expect(0);
        Path tar = site.directory().resolve("root.tar.gz");
        Ran.of(List.of(
                        "tar",
                        "--create",
                        "--gzip",
                        "--sparse",
                        "--xattrs",
                        "--xattrs-include=*",
                        "--numeric-owner",
                        "--file",
                        tar.toString(),
                        "--directory",
                        root.toString(),
                        "."))
                .expect(0);

        String image = name("small");
        String name = name("imported");
        a.with(satchel -> satchel.importImage(image, tar));
        assertThat(a.stateFiles()).allMatch(file -> file.equals("host-id") || file.startsWith("seen/"));
        List<ImageInfo> images = b.with(Satchel::images);
        assertThat(images).extracting(ImageInfo::image).contains(image);
        b.create(new CreateRequest(
                name,
                image,
                OptionalLong.empty(),
                OptionalLong.empty(),
                Optional.empty(),
                Map.of(),
                "640x480",
                "1024x768",
                false));
        b.with(satchel -> {
            satchel.removeImage(image); // sessions made from it stay as they are
            return true;
        });
        assertThat(b.with(Satchel::images).toString()).doesNotContain(image);
        try (Running here = b.resume(name)) {
            assertKept(here);
            assertThatThrownBy(() -> here.exec("root", "cat")).hasMessageContaining("no user root");
            here.suspend();
        }
        try (Running there = a.resume(name)) {
            assertKept(there);
        }
    }

    private static void assertKept(Running session) throws IOException {
        assertThat(stat(session, "%h %F", "/data/one")).isEqualTo("2 regular file");
        assertThat(stat(session, "%i", "/data/one")).isEqualTo(stat(session, "%i", "/data/two"));
        assertThat(stat(session, "%F", "/data/symbolic")).isEqualTo("symbolic link");
        assertThat(stat(session, "%s", "/data/sparse")).isEqualTo(Long.toString(256 << 20));
        assertThat(Long.parseLong(stat(session, "%b", "/data/sparse"))).isLessThan(64);
        assertThat(stat(session, "%u:%g %a", "/data/owned")).isEqualTo("1234:2345 6751");
        UserDefinedFileAttributeView attributes = attributes(session.root().resolve("data/one"));
        ByteBuffer mood = ByteBuffer.allocate(16);
        attributes.read("mood", mood);
        assertThat(new String(mood.array(), 0, mood.position(), StandardCharsets.UTF_8))
                .isEqualTo("good");
        // The capability is not only there, it works: who has none otherwise reads what is root's.
        assertThat(session.exec("1000", "cat", "/data/private").code()).isNotZero();
        assertThat(session.exec("1000", "cat-all", "/data/private").expect(0).out())
                .isEqualTo("root's alone\n");
    }

    private static String stat(Running session, String format, String path) throws IOException {
        return session.exec("0", "stat", "-c", format, path).expect(0).out().strip();
    }

    private static UserDefinedFileAttributeView attributes(Path file) {
        return Files.getFileAttributeView(file, UserDefinedFileAttributeView.class);
    }

    /** Copies a program of this machine and the libraries that it needs. */
    private static void install(Path root, Path program) throws IOException {
        for (String word : (program + " "
                        + Ran.of(List.of("ldd", program.toString())).expect(0).out())
                .split("\\s+", -1)) {
            if (word.startsWith("/") && !Files.exists(root.resolve(word.substring(1)))) {
                Path to = root.resolve(word.substring(1));
                Files.createDirectories(to.getParent());
                Files.copy(Path.of(word).toRealPath(), to);
                Ran.of(List.of("chmod", "755", to.toString())).expect(0);
            }
        }
    }

    /** In which nothing would run. */
    @Test
    void aContainerImageIsNotTakenForARootFileSystem() throws IOException {
        Path layout = new ContainerImage(site.directory().resolve("squeezed"))
                .layer(ContainerImage.tar("data", '0', "", new byte[1]), "")
                .write("", ContainerImage.own());
        Path archive = site.directory().resolve("squeezed.tar");
        Files.write(archive, ContainerImage.tar(layout));
        Ran.of(List.of("xz", "--force", archive.toString())).expect(0);
        String image = name("squeezed");
        assertThatThrownBy(() -> a.with(satchel -> satchel.importImage(image, Path.of(archive + ".xz"))))
                .isInstanceOf(SatchelException.class)
                .hasMessageContaining("holds a container image")
                .hasMessageContaining("gzip or zstd");
        assertThat(a.with(Satchel::images)).extracting(ImageInfo::image).doesNotContain(image);
    }

    @Test
    void aContainerImageBootsWhatItsConfigurationSays() throws Exception {
        Path root = Files.createTempDirectory(site.directory(), "container");
        Ran.of(List.of("chmod", "755", root.toString())).expect(0); // the image's root directory, for all users
        for (String program : List.of("sh", "sleep", "id", "cat")) {
            install(root, Path.of("/bin", program));
        }
        Files.createDirectories(root.resolve("etc"));
        Files.writeString(root.resolve("etc/passwd"), "root:x:0:0::/:/bin/sh\nann:x:1234:50::/srv:/bin/sh\n");
        Files.writeString(root.resolve("etc/group"), "staff:x:50:\n");
        Files.writeString(root.resolve("bin/run"), """
                #!/bin/sh
                echo "$0 $*" in "$PWD", "$MOOD" "$OWN"
                id -u; id -g
                i=0
                while sleep 0.1; do i=$((i + 1)); echo "$i" >count; done
                """);
        Ran.of(List.of("chmod", "755", root.resolve("bin/run").toString())).expect(0);
        Files.createDirectories(root.resolve("srv/work"));
        Ran.of(List.of("chown", "1234:50", root.resolve("srv/work").toString())).expect(0);
        Path layout = new ContainerImage(site.directory().resolve("layout"))
                .layer(ContainerImage.tar(root), "gzip")
                .write(
                        "\"User\":\"ann:staff\",\"WorkingDir\":\"/srv/work\",\"Env\":[\"MOOD=good\",\"OWN=image's\"],"
                                + "\"Entrypoint\":[\"/bin/run\"],\"Cmd\":[\"one\",\"two three\"]",
                        ContainerImage.own());
        String image = name("container");
        String name = name("service");
        a.with(satchel -> satchel.importImage(image, layout));
        a.create(new CreateRequest(
                name,
                image,
                OptionalLong.empty(),
                OptionalLong.empty(),
                Optional.empty(),
                Map.of("OWN", "session's"),
                "640x480",
                "1024x768",
                false));
        long counted;
        try (Running here = a.resume(name)) {
            Eventually.holds(60_000, "the image's command counts", () -> count(here) > 3);
            assertThat(here.exec("ann", "sh", "-c", "echo $MOOD $OWN; id -u")
                            .expect(0)
                            .out())
                    .isEqualTo("good session's\n1234\n");
            ByteArrayOutputStream log = new ByteArrayOutputStream();
            a.with(satchel -> {
                satchel.logs(name, log);
                return true;
            });
            assertThat(log.toString(StandardCharsets.UTF_8))
                    .contains("/bin/run one two three in /srv/work, good session's\n1234\n50\n");
            assertThatThrownBy(() -> a.screen(name)).hasMessageContaining("no X server runs in it");
            counted = count(here);
            here.suspend();
        }
        try (Running there = b.resume(name)) {
            long before = counted;
            Eventually.holds(60_000, "it goes on counting", () -> count(there) > before + 3);
        }
    }

    private static long count(Running session) throws IOException {
        String count = session.exec("0", "cat", "/srv/work/count").out().strip();
        return count.isEmpty() ? 0 : Long.parseLong(count);
    }

    @Test
    void whatIsNoArchiveMakesNoImage() throws IOException {
        Path tar = site.directory().resolve("broken.tar");
        Files.writeString(tar, "this is no archive");
        String image = name("broken");
        assertThatThrownBy(() -> a.with(satchel -> satchel.importImage(image, tar)))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("tar");
        assertThatThrownBy(() -> a.with(
                        satchel -> satchel.importImage(image, site.directory().resolve("none.tar"))))
                .isInstanceOf(SatchelException.class)
                .hasMessageContaining("none.tar");
        assertThat(a.with(Satchel::images).toString()).doesNotContain(image);
        assertThat(a.stateFiles()).allMatch(file -> file.equals("host-id") || file.startsWith("seen/"));
    }
}
