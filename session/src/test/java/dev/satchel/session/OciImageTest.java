package dev.satchel.session;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Container images of which the layers are laid over each other in a directory. */
class OciImageTest {
    private static final String CONFIG =
            "\"User\":\"ann:staff\",\"WorkingDir\":\"/srv/work\",\"Env\":[\"MOOD=good\",\"A=b=c\"],"
                    + "\"Entrypoint\":[\"/bin/run\"],\"Cmd\":[\"one\",\"two\"],\"Labels\":{\"made\":\"here\"}";

    @TempDir
    Path directory;

    private Path made(String name) throws IOException {
        return Files.createDirectories(directory.resolve(name));
    }

    private Path unpacked(Path image) throws IOException {
        Path root = Files.createTempDirectory(directory, "root-");
        try (OciImage oci = OciImage.at(image, directory, 1L << 30).orElseThrow()) {
            oci.unpack(root, 1L << 30, Progress.NONE);
        }
        return root;
    }

    private Path twoLayers() throws IOException {
        Path below = made("below");
        Files.createDirectories(below.resolve("etc"));
        Files.writeString(below.resolve("etc/passwd"), "root:x:0:0::/:/bin/sh\nann:x:1234:1234::/:/bin/sh\n");
        Files.writeString(below.resolve("etc/group"), "staff:x:50:\n");
        Files.createDirectories(below.resolve("data/deep"));
        Files.writeString(below.resolve("data/gone"), "below");
        Files.writeString(below.resolve("data/kept"), "below");
        Files.writeString(below.resolve("data/changed"), "below");
        Files.writeString(below.resolve("data/deep/one"), "below");
        Files.createDirectories(below.resolve("hidden/inside"));
        Files.writeString(below.resolve("hidden/inside/old"), "below");
        Files.createDirectories(below.resolve("becomes-file/x"));
        Files.createSymbolicLink(below.resolve("way"), Path.of("/data"));
        Files.writeString(
                below.resolve("a name that is so long that no field of the header has room for it, which".repeat(2)),
                "");
        try (RandomAccessFile sparse =
                new RandomAccessFile(below.resolve("sparse").toFile(), "rw")) {
            sparse.setLength(64 << 20);
            sparse.seek(40 << 20);
            sparse.write("in the middle".getBytes(UTF_8));
        }
        Files.writeString(below.resolve("able"), "x");
        for (List<String> line : List.of(
                List.of("chown", "1234:2345", below.resolve("able").toString()),
                List.of("chmod", "6751", below.resolve("able").toString()),
                List.of("setcap", "cap_net_raw+ep", below.resolve("able").toString()),
                List.of("mkfifo", below.resolve("fifo").toString()))) {
            Ran.of(line).expect(0);
        }
        Path above = made("above");
        Files.createDirectories(above.resolve("data"));
        Files.writeString(above.resolve("data/.wh.gone"), "");
        Files.writeString(above.resolve("data/changed"), "above");
        Files.writeString(above.resolve("becomes-file"), "above");
        Files.createDirectories(above.resolve("hidden"));
        Files.writeString(above.resolve("hidden/.wh..wh..opq"), "");
        Files.writeString(above.resolve("hidden/new"), "above");
        Files.writeString(above.resolve(".wh.data-that-never-was"), "");
        return new ContainerImage(directory.resolve("layout"))
                .layer(ContainerImage.tar(below), "gzip")
                .layer(ContainerImage.tar(above), "zstd")
                // A name of a file of another layer.
                .layer(ContainerImage.tar("data/second", '1', "data/kept", new byte[0]), "")
                .write(CONFIG, ContainerImage.own());
    }

    private void assertLaidOver(Path root) throws IOException {
        assertThat(root.resolve("data/gone")).doesNotExist();
        assertThat(root.resolve("data/kept")).hasContent("below");
        assertThat(root.resolve("data/changed")).hasContent("above");
        assertThat(root.resolve("data/deep/one")).hasContent("below");
        assertThat(root.resolve("becomes-file")).hasContent("above");
        try (Stream<Path> hidden = Files.list(root.resolve("hidden"))) {
            assertThat(hidden.map(file -> file.getFileName().toString())).containsExactly("new");
        }
        try (Stream<Path> all = Files.walk(root)) {
            assertThat(all.map(Path::toString)).noneMatch(name -> name.contains(".wh."));
        }
        assertThat(Files.isSameFile(root.resolve("data/second"), root.resolve("data/kept")))
                .isTrue();
        assertThat(Files.readSymbolicLink(root.resolve("way"))).hasToString("/data");
        assertThat(root.resolve("a name that is so long that no field of the header has room for it, which".repeat(2)))
                .isEmptyFile();
        assertThat(Files.size(root.resolve("sparse"))).isEqualTo(64 << 20);
        assertThat(Long.parseLong(stat("%b", root.resolve("sparse")))).isLessThan(64);
        try (RandomAccessFile sparse =
                new RandomAccessFile(root.resolve("sparse").toFile(), "r")) {
            byte[] middle = new byte[13];
            sparse.seek(40 << 20);
            sparse.readFully(middle);
            assertThat(new String(middle, UTF_8)).isEqualTo("in the middle");
        }
        assertThat(stat("%u:%g %a", root.resolve("able"))).isEqualTo("1234:2345 6751");
        assertThat(stat("%Y", root.resolve("data/kept"))).isEqualTo(stat("%Y", directory.resolve("below/data/kept")));
        assertThat(Ran.of(List.of("getcap", root.resolve("able").toString()))
                        .expect(0)
                        .out())
                .contains("cap_net_raw=ep");
        assertThat(stat("%F", root.resolve("fifo"))).isEqualTo("fifo");
        assertThat(root.resolve("srv/work")).isDirectory();
        assertThat(OciImage.ids(root, "ann:staff")).containsExactly(1234, 50);
        assertThat(OciImage.ids(root, "ann")).containsExactly(1234, 1234);
        assertThat(OciImage.ids(root, "7")).containsExactly(7, 0);
        assertThatThrownBy(() -> OciImage.ids(root, "nobody-knows")).hasMessageContaining("nobody-knows");
    }

    private static String stat(String format, Path file) throws IOException {
        return Ran.of(List.of("stat", "-c", format, file.toString()))
                .expect(0)
                .out()
                .strip();
    }

    @Test
    void laysLayersOverEachOther() throws IOException {
        Path layout = twoLayers();
        assertLaidOver(unpacked(layout));
        try (OciImage image = OciImage.at(layout, directory, 1L << 30).orElseThrow()) {
            assertThat(image.config().command()).containsExactly("/bin/run", "one", "two");
            assertThat(image.config().environment()).isEqualTo(Map.of("MOOD", "good", "A", "b=c"));
            assertThat(image.config().user()).isEqualTo("ann:staff");
            assertThat(image.config().directory()).isEqualTo("/srv/work");
            assertThat(image.config().labels()).isEqualTo(Map.of("made", "here"));
        }
        // The same as an archive.
        Path archive = directory.resolve("image.tar");
        Files.write(archive, ContainerImage.tar(layout));
        assertLaidOver(unpacked(archive));
        assertTakenCompressed(archive);
        // And as docker writes it: no index, layers by their files.
        JsonObject inner = Json.read(Files.readAllBytes(layout.resolve("index.json")));
        JsonObject list = Json.read(
                Files.readAllBytes(blob(layout, inner.objects("manifests").getFirst())));
        JsonObject manifest = Json.read(
                Files.readAllBytes(blob(layout, list.objects("manifests").getLast())));
        StringBuilder layers = new StringBuilder();
        for (JsonObject layer : manifest.objects("layers")) {
            layers.append(layers.isEmpty() ? "" : ",")
                    .append('"')
                    .append(name(layer))
                    .append('"');
        }
        Files.writeString(
                layout.resolve("manifest.json"),
                "[{\"Config\":\"" + name(manifest.object("config")) + "\",\"RepoTags\":[\"box:latest\"],\"Layers\":["
                        + layers + "]}]");
        Files.delete(layout.resolve("index.json"));
        Files.write(archive, ContainerImage.tar(layout));
        assertLaidOver(unpacked(archive));
        assertTakenCompressed(archive);
    }

    /** As {@code docker save box | gzip} writes it. */
    private void assertTakenCompressed(Path archive) throws IOException {
        Path scratch = Files.createTempDirectory(directory, "scratch-");
        for (List<String> tool : List.of(List.of("gzip", "--keep"), List.of("zstd", "-q", "--keep"))) {
            Path compressed = Path.of(archive + (tool.getFirst().equals("gzip") ? ".gz" : ".zst"));
            Files.deleteIfExists(compressed);
            List<String> line = new ArrayList<>(tool);
            line.add(archive.toString());
            Ran.of(line).expect(0);
            assertLaidOver(unpacked(compressed));
            try (OciImage image = OciImage.at(compressed, scratch, 1L << 30).orElseThrow()) {
                assertThat(image.config().user()).isEqualTo("ann:staff");
                assertThat(scratch).isEmptyDirectory();
            }
            assertThatThrownBy(() -> OciImage.at(compressed, scratch, 10_000))
                    .isInstanceOf(SatchelException.class)
                    .hasMessageContaining("no room in " + scratch);
            assertThat(scratch).isEmptyDirectory();
            // One that was cut, or is damaged, is no image: tar tells of it.
            byte[] whole = Files.readAllBytes(compressed);
            Files.write(compressed, java.util.Arrays.copyOf(whole, whole.length / 2));
            assertThat(OciImage.at(compressed, scratch, 1L << 30)).isEmpty();
            Files.write(compressed, java.util.Arrays.copyOf(whole, 4));
            assertThat(OciImage.at(compressed, scratch, 1L << 30)).isEmpty();
        }
    }

    private static String name(JsonObject described) throws IOException {
        return "blobs/sha256/" + described.text("digest").substring("sha256:".length());
    }

    private static Path blob(Path layout, JsonObject described) throws IOException {
        return layout.resolve(name(described));
    }

    @Test
    void usesNothingWhoseDigestIsAnother() throws IOException {
        Path layout = twoLayers();
        try (Stream<Path> blobs = Files.list(layout.resolve("blobs/sha256"))) {
            for (Path blob : blobs.toList()) {
                byte[] whole = Files.readAllBytes(blob);
                byte[] flipped = whole.clone();
                flipped[whole.length / 2] ^= 1;
                Files.write(blob, flipped);
                assertThatThrownBy(() -> unpacked(layout))
                        .as(blob.toString())
                        .isInstanceOf(IOException.class)
                        .hasMessageContaining(blob.getFileName().toString());
                Files.write(blob, whole);
            }
        }
        assertLaidOver(unpacked(layout));
    }

    @Test
    void nothingReachesOutOfTheRoot() throws IOException {
        Path outside = made("outside");
        Files.writeString(outside.resolve("victim"), "whole");
        byte[] bad = "bad".getBytes(UTF_8);
        // Through a link of the layer below, by its own name, and by a name of a file outside.
        Path image = new ContainerImage(directory.resolve("linked"))
                .layer(ContainerImage.tar("way", '2', outside.toString(), new byte[0]), "")
                .layer(ContainerImage.tar("way/victim", '0', "", bad), "")
                .layer(ContainerImage.tar("way/.wh.victim", '0', "", new byte[0]), "")
                .layer(ContainerImage.tar("/absolute", '0', "", bad), "")
                .write("", ContainerImage.own());
        assertThatThrownBy(() -> unpacked(image)).hasMessageContaining("way");
        assertThat(outside.resolve("victim")).hasContent("whole");
        for (byte[] tar : List.of(
                ContainerImage.tar("../outside/victim", '0', "", bad),
                ContainerImage.tar("a/../../outside/victim", '0', "", bad),
                ContainerImage.tar("name", '1', "../outside/victim", new byte[0]))) {
            Path hostile = new ContainerImage(Files.createTempDirectory(directory, "hostile-"))
                    .layer(tar, "gzip")
                    .write("", ContainerImage.own());
            assertThatThrownBy(() -> unpacked(hostile)).hasMessageContaining("leads out");
        }
        assertThat(outside.resolve("victim")).hasContent("whole");
        Path absolute = new ContainerImage(directory.resolve("absolute"))
                .layer(ContainerImage.tar("/absolute", '0', "", bad), "")
                .write("", ContainerImage.own());
        assertThat(unpacked(absolute).resolve("absolute")).hasContent("bad");
        assertThat(Files.exists(Path.of("/absolute"), LinkOption.NOFOLLOW_LINKS))
                .isFalse();
    }

    @Test
    void refusesWhatIsNotForUs() throws IOException {
        Path foreign = new ContainerImage(directory.resolve("foreign"))
                .layer(ContainerImage.tar("x", '0', "", new byte[1]), "")
                .write("", "riscv64");
        assertThatThrownBy(() -> OciImage.at(foreign, directory, 1L << 30))
                .hasMessageContaining("no image for linux on");
        assertThatThrownBy(() -> OciImage.at(made("empty"), directory, 1L << 30))
                .hasMessageContaining("index.json");
        byte[] huge = ContainerImage.tar("huge", '0', "", new byte[1]);
        System.arraycopy("77777777777".getBytes(UTF_8), 0, huge, 124, 11);
        Path absurd =
                new ContainerImage(directory.resolve("absurd")).layer(huge, "").write("", ContainerImage.own());
        assertThatThrownBy(() -> unpacked(absurd)).isInstanceOf(IOException.class);
        // A root file system's tar is none of ours.
        Path root = made("rootfs");
        Files.createDirectories(root.resolve("etc"));
        Files.writeString(root.resolve("manifest.json"), "[]");
        Path tar = directory.resolve("rootfs.tar");
        Files.write(tar, ContainerImage.tar(root));
        assertThat(OciImage.at(tar, directory, 1L << 30)).isEmpty();
        Ran.of(List.of("gzip", tar.toString())).expect(0);
        assertThat(OciImage.at(Path.of(tar + ".gz"), directory, 1L << 30)).isEmpty();
    }
}
