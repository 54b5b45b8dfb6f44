package dev.satchel.session;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.lang.management.ManagementFactory;
import java.net.StandardProtocolFamily;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What comes from outside with bytes that nobody has written so: archives, container images, messages of commands and supervisors. An
 * {@link IOException} with words, or an answer; in memory out of no proportion to what came.
 */
class HostileInputTest {
    private static final int TRIES = Integer.getInteger("satchel.proof.tries", 3_000);

    /** What lengths, lists and names are made of. */
    private static final byte[] MARKS = "0179-{}[]\",:\0/ .".getBytes(UTF_8);

    private interface Parser {
        void parse(byte[] bytes) throws IOException;
    }

    private static void survives(byte[] genuine, int tries, int unit, long allocatedMax, Parser parser) {
        long seed = Long.getLong("satchel.proof.seed", System.nanoTime());
        Random random = new Random(seed);
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        int refused = 0;
        for (int i = 0; i < tries; i++) {
            byte[] bytes = altered(genuine, unit, random);
            long before = threads.getCurrentThreadAllocatedBytes();
            try {
                parser.parse(bytes);
            } catch (IOException e) {
                assertThat(e.getMessage()).as("seed %d, try %d", seed, i).isNotBlank();
                refused++;
            } catch (RuntimeException e) {
                throw new AssertionError("seed " + seed + ", try " + i, e);
            }
            // The first ones load classes.
            if (i > 100) {
                assertThat(threads.getCurrentThreadAllocatedBytes() - before)
                        .as("seed %d, try %d", seed, i)
                        .isLessThan(allocatedMax);
            }
        }
        assertThat(refused).as("refused").isBetween(tries / 100, tries);
    }

    /** @param unit what is likely to be of one meaning: a tar's block, a message */
    private static byte[] altered(byte[] genuine, int unit, Random random) {
        byte[] bytes = genuine.clone();
        for (int k = random.nextInt(4); k >= 0; k--) {
            int at = random.nextInt(bytes.length);
            switch (random.nextInt(5)) {
                case 0 -> bytes[at] = (byte) random.nextInt();
                case 1 -> bytes[at] = bytes[random.nextInt(bytes.length)];
                case 2 -> bytes[at] = MARKS[random.nextInt(MARKS.length)];
                case 3 -> {
                    int from = random.nextInt(bytes.length);
                    int count = Math.min(1 + random.nextInt(unit), bytes.length - Math.max(at, from));
                    System.arraycopy(bytes, from, bytes, at, count);
                }
                default -> bytes[at] ^= (byte) (1 << random.nextInt(8));
            }
        }
        return random.nextInt(5) == 0 ? Arrays.copyOf(bytes, random.nextInt(bytes.length + unit)) : bytes;
    }

    /** Sums are put right, so that what is behind them is looked at. */
    private static byte[] summed(byte[] tar) {
        for (int at = 0; at + 512 <= tar.length; at += 512) {
            if (tar[at + 257] == 'u' && tar[at + 258] == 's') {
                Arrays.fill(tar, at + 148, at + 156, (byte) ' ');
                int sum = 0;
                for (int i = 0; i < 512; i++) {
                    sum += tar[at + i] & 0xff;
                }
                byte[] digits = "%06o".formatted(sum).getBytes(UTF_8);
                System.arraycopy(digits, 0, tar, at + 148, digits.length);
                tar[at + 154] = 0;
            }
        }
        return tar;
    }

    private static byte[] tar(Path directory) throws IOException {
        Path files = Files.createDirectories(directory.resolve("files/below"));
        Files.writeString(files.resolve("one"), "some words");
        Files.writeString(files.resolve("a name that is too long for its field, ".repeat(4)), "x");
        Files.createSymbolicLink(files.resolve("link"), Path.of("one"));
        Files.createLink(files.resolve("second"), files.resolve("one"));
        try (java.io.RandomAccessFile sparse =
                new java.io.RandomAccessFile(files.resolve("sparse").toFile(), "rw")) {
            sparse.setLength(1 << 20);
            sparse.seek(1 << 18);
            sparse.write(77);
        }
        byte[] tar = ContainerImage.tar(directory.resolve("files"));
        DirectoryTree.delete(directory.resolve("files"));
        return tar;
    }

    private static void readAll(InputStream in) throws IOException {
        TarReader reader = new TarReader(in);
        byte[] buffer = new byte[512];
        for (TarReader.Entry entry = reader.next(); entry != null; entry = reader.next()) {
            assertThat(entry.bytes()).isNotNegative();
            assertThat(entry.nanos()).isBetween(0, 999_999_999);
            assertThat(entry.name()).doesNotContain("\0").hasSizeLessThanOrEqualTo(4096);
            if (entry.bytes() % 2 == 0) {
                int ignored = reader.read(buffer, 0, buffer.length);
            }
        }
    }

    @Test
    void archives(@TempDir Path directory) throws IOException {
        byte[] genuine = tar(directory);
        survives(genuine, TRIES, 512, 4 << 20, bytes -> readAll(new ByteArrayInputStream(summed(bytes))));
    }

    /** What an archive says of one entry it may say in any number of headers. */
    @Test
    void headersWithoutEndAreRefused() {
        List<InputStream> headers = new ArrayList<>();
        for (int i = 0; i < 2_000; i++) {
            byte[] header = summed(ContainerImage.tar("pax", 'x', "", paxRecords(i)));
            headers.add(new ByteArrayInputStream(header, 0, header.length - 1024));
        }
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long before = threads.getCurrentThreadAllocatedBytes();
        assertThatThrownBy(() -> readAll(new SequenceInputStream(Collections.enumeration(headers))))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("header");
        assertThat(threads.getCurrentThreadAllocatedBytes() - before).isLessThan(8 << 20);
    }

    private static byte[] paxRecords(int number) {
        String value = "v".repeat(10_000);
        String key = "SCHILY.xattr.user." + "%08d".formatted(number);
        int length = 6 + key.length() + 1 + value.length() + 1;
        return (length + " " + key + "=" + value + "\n").getBytes(UTF_8);
    }

    /** An image's parts that are named by their digests: each is altered, and named by its new digest all the way up. */
    @Test
    void containerImages(@TempDir Path directory) throws IOException {
        byte[] layer = tar(directory);
        String config = "\"User\":\"ann\",\"WorkingDir\":\"/w\",\"Env\":[\"A=b\"],\"Entrypoint\":[\"/x\"],"
                + "\"Labels\":{\"made\":\"here\"}";
        Path layout = new ContainerImage(directory.resolve("layout"))
                .layer(layer, "gzip")
                .write(config, ContainerImage.own());
        List<Path> blobs;
        try (Stream<Path> files = Files.list(layout.resolve("blobs/sha256"))) {
            blobs = new ArrayList<>(files.filter(file -> isJson(file)).toList());
        }
        blobs.add(layout.resolve("index.json"));
        assertThat(blobs).hasSize(4);
        for (Path blob : blobs) {
            Path copy = directory.resolve("copy");
            survives(Files.readAllBytes(blob), TRIES / 60, 40, 24 << 20, bytes -> {
                DirectoryTree.delete(copy);
                Site.copy(layout, copy);
                replace(copy, copy.resolve(layout.relativize(blob)), bytes);
                try (OciImage image = OciImage.at(copy, directory, 1L << 30).orElseThrow()) {
                    assertThat(image.config().command()).hasSizeLessThan(10);
                }
            });
        }
        byte[] archive = ContainerImage.tar(layout);
        Path file = directory.resolve("image.tar");
        survives(archive, TRIES / 10, 512, 24 << 20, bytes -> {
            Files.write(file, summed(bytes));
            Optional<OciImage> image = OciImage.at(file, directory, 1L << 30);
            if (image.isEmpty()) {
                throw new IOException("none");
            }
            image.get().close();
        });
    }

    private static boolean isJson(Path file) {
        try (InputStream in = Files.newInputStream(file)) {
            return in.read() == '{';
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    /** Puts other bytes in a part's place, and their digest in the places of the old one. */
    private static void replace(Path layout, Path part, byte[] bytes) throws IOException {
        if (part.endsWith("index.json")) {
            Files.write(part, bytes);
            return;
        }
        String before = String.valueOf(part.getFileName());
        String after = ContainerImage.sha256(bytes);
        Files.delete(part);
        Files.write(part.resolveSibling(after), bytes);
        List<Path> others = new ArrayList<>(List.of(layout.resolve("index.json")));
        try (Stream<Path> files = Files.list(part.resolveSibling("."))) {
            others.addAll(files.filter(HostileInputTest::isJson).toList());
        }
        for (Path other : others) {
            byte[] said = Files.readAllBytes(other);
            String text = new String(said, UTF_8);
            if (!other.endsWith(after) && text.contains(before)) {
                replace(layout, other.normalize(), text.replace(before, after).getBytes(UTF_8));
            }
        }
    }

    private static final String REQUEST =
            "{\"do\":\"snapshot\",\"label\":\"a \\u00fc b\",\"number\":12345678901,\"f\":1.5e3,\"deep\":[[[{\"a\":[true]}]]],"
                    + "\"map\":{\"x\":\"y\"},\"none\":null,\"texts\":[\"one\",\"two\"]}";

    private static void ask(JsonObject object) throws IOException {
        IOException first = null;
        for (String field : List.copyOf(object.fields().keySet())) {
            for (int what = 0; what < 8; what++) {
                try {
                    switch (what) {
                        case 0 -> object.text(field);
                        case 1 -> object.number(field);
                        case 2 -> object.truth(field);
                        case 3 -> object.texts(field);
                        case 4 -> object.textMap(field);
                        case 5 -> object.object(field);
                        case 6 -> object.objects(field);
                        default -> object.optionalFraction(field);
                    }
                } catch (IOException e) {
                    first = e;
                }
            }
        }
        assertThat(Json.write(object.fields())).isNotEmpty();
        assertThat(first).as("some field is of another type").isNotNull();
    }

    @Test
    void messages() {
        survives(REQUEST.getBytes(UTF_8), TRIES, 30, 1 << 20, bytes -> {
            JsonObject object = Json.read(bytes);
            if (!object.fields().isEmpty()) {
                ask(object);
            }
        });
        for (String hostile : List.of(
                "[".repeat(100_000),
                "{\"a\":".repeat(50_000),
                "{\"a\":" + "9".repeat(100_000) + "}",
                "{\"a\":1e" + "9".repeat(1000) + "}",
                "{\"" + "a".repeat(100_000) + "\":1}",
                "")) {
            try {
                ask(Json.read(hostile.getBytes(UTF_8)));
            } catch (IOException e) {
                assertThat(e.getMessage()).isNotBlank();
            }
        }
    }

    /** Whoever says what to a supervisor: it answers with words, and serves the next one. */
    @Test
    void aSupervisorsSocket(@TempDir Path directory) throws IOException {
        Path socket = directory.resolve("control");
        Random random = new Random(1);
        try (ControlServer _ = ControlServer.listen(socket, (request, progress) -> {
            request.texts("texts");
            return new JsonObject(Map.of("is", request.text("do")));
        })) {
            for (int i = 0; i < 150; i++) {
                byte[] bytes = i % 7 == 0 ? new byte[2_000_000] : altered(REQUEST.getBytes(UTF_8), 30, random);
                String answer = say(socket, bytes);
                assertThat(answer)
                        .matches(said -> said.isEmpty()
                                || said.startsWith("{\"result\"")
                                || (said.startsWith("{\"error\":\"") && said.contains("\"kind\":\"")));
            }
            assertThat(ControlClient.ask(socket, Map.of("do", "this", "texts", List.of()), Progress.NONE)
                            .text("is"))
                    .isEqualTo("this");
        }
    }

    /** @return the answer's line; empty when the server hung up on what it did not read to its end */
    private static String say(Path socket, byte[] bytes) throws IOException {
        try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            try (dev.satchel.linux.Fd held = ControlServer.directoryOf(socket)) {
                channel.connect(ControlServer.address(held, socket));
            }
            try {
                ByteBuffer line = ByteBuffer.wrap(bytes);
                while (line.hasRemaining()) {
                    channel.write(line);
                }
                channel.write(ByteBuffer.wrap(new byte[] {'\n'}));
                channel.shutdownOutput();
                return new String(Channels.newInputStream(channel).readAllBytes(), UTF_8).strip();
            } catch (IOException e) {
                return "";
            }
        }
    }

    /** Whatever a supervisor answers, of another version or a hostile one: a command ends with words. */
    @Test
    void aSupervisorsAnswers(@TempDir Path directory) throws Exception {
        List<String> answers = new ArrayList<>(List.of(
                "{\"error\":\"new\",\"kind\":\"OF_ANOTHER_VERSION\"}",
                "{\"error\":\"new\"}",
                "{\"error\":7,\"kind\":7}",
                "{\"progress\":7}",
                "{\"result\":[]}",
                "{}",
                "",
                "x".repeat(2 << 20)));
        Random random = new Random(2);
        byte[] genuine = "{\"progress\":\"x\",\"done\":1,\"total\":2}\n{\"result\":{\"a\":[1]}}".getBytes(UTF_8);
        for (int i = 0; i < 100; i++) {
            answers.add(new String(altered(genuine, 20, random), UTF_8));
        }
        Path socket = directory.resolve("control");
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
                dev.satchel.linux.Fd held = ControlServer.directoryOf(socket)) {
            server.bind(ControlServer.address(held, socket));
            AtomicInteger hungUp = new AtomicInteger();
            Thread serving = Thread.ofPlatform().daemon().start(() -> {
                for (String answer : answers) {
                    try (SocketChannel channel = server.accept()) {
                        ByteBuffer line = ByteBuffer.wrap((answer + "\n").getBytes(UTF_8));
                        while (line.hasRemaining()) {
                            channel.write(line);
                        }
                    } catch (IOException e) {
                        hungUp.incrementAndGet(); // the command has heard enough
                    }
                }
            });
            for (String answer : answers) {
                try {
                    ControlClient.ask(socket, Map.of("do", "this"), Progress.NONE);
                } catch (IOException e) {
                    assertThat(e.getMessage()).as(answer).isNotBlank();
                }
            }
            serving.join();
            assertThat(hungUp.get()).isLessThan(answers.size());
        }
    }
}
