package dev.satchel.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.zxing.BinaryBitmap;
import com.google.zxing.RGBLuminanceSource;
import com.google.zxing.common.HybridBinarizer;
import com.google.zxing.qrcode.QRCodeReader;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commands about keys, on a real vault. */
class VaultKeysCommandTest {
    @TempDir
    Path scratch;

    private Ran run(String passphrase, Map<String, String> more, String... arguments) throws IOException {
        Path file = scratch.resolve("passphrase");
        Files.writeString(file, passphrase + "\n");
        Map<String, String> variables = new HashMap<>(more);
        variables.put("SATCHEL_VAULT", scratch.resolve("vault").toString());
        variables.put("SATCHEL_PASSPHRASE_FILE", file.toString());
        return Ran.with(SatchelFactory.HERE, scratch.resolve("state"), variables, arguments);
    }

    private Ran run(String passphrase, String... arguments) throws IOException {
        return run(passphrase, Map.of(), arguments);
    }

    private JsonNode json(String passphrase, String... arguments) throws IOException {
        Ran ran = run(passphrase, arguments);
        assertThat(ran.exitCode()).as(ran.err()).isZero();
        assertThat(ran.err()).isEmpty();
        assertThat(ran.out()).endsWith("}\n").hasLineCount(1);
        return new ObjectMapper().readTree(ran.out());
    }

    private String next(String passphrase) throws IOException {
        Path file = scratch.resolve("next");
        Files.writeString(file, passphrase + "\n");
        return file.toString();
    }

    @AfterEach
    void forget() throws IOException {
        run("", "vault", "lock");
    }

    @Test
    void keysAreAddedListedChangedAndRemoved() throws Exception {
        assertThat(run("first", "vault", "init", "--label", "at home").exitCode())
                .isZero();

        JsonNode office = json(
                "first",
                "vault",
                "keys",
                "add",
                "--label",
                "office",
                "--new-passphrase-file",
                next("second"),
                "--json");
        assertThat(office.get("kind").asText()).isEqualTo("passphrase");
        assertThat(office.get("argon2id").get("memory_kib").asInt()).isEqualTo(65536);
        assertThat(office.get("argon2id").get("passes").asInt()).isGreaterThanOrEqualTo(3);
        assertThat(office.get("argon2id").get("guess_ms").asInt()).isPositive();
        assertThat(office.get("created").asText()).contains("T").endsWith("Z");

        JsonNode paper = json("second", "vault", "keys", "add", "--recovery", "--label", "paper", "--json");
        String words = paper.get("recovery_words").asText();
        assertThat(words.split(" ", -1)).hasSize(15);
        assertThat(paper.has("argon2id")).isFalse();

        Ran list = run(words, "vault", "keys", "ls");
        assertThat(list.exitCode()).as(list.err()).isZero();
        assertThat(list.out().lines().toList()).hasSize(4);
        assertThat(list.out())
                .containsSubsequence("KEY", "LABEL", "KIND", "CREATED", "ONE GUESS", "at home", "office", "paper");
        assertThat(list.out()).contains("64.0 MiB × ", " ms", "recovery", "out of reach");
        assertThat(list.out()).doesNotContain(words);

        // Only the one that is named.
        assertThat(run("second", Map.of("SATCHEL_KEY", "office"), "vault", "keys", "ls")
                        .exitCode())
                .isZero();
        assertThat(run("first", Map.of("SATCHEL_KEY", "office"), "vault", "keys", "ls")
                        .exitCode())
                .isEqualTo(4);
        assertThat(run("first", "vault", "unlock", "--key", "office").exitCode())
                .isEqualTo(4);

        Ran mistyped = run(words.substring(0, words.lastIndexOf(' ')) + " zzyzx", "vault", "keys", "ls");
        assertThat(mistyped.exitCode()).isEqualTo(4);
        assertThat(mistyped.err()).contains("word 15, 'zzyzx'").hasLineCount(1);
        assertThat(run("wrong", "vault", "keys", "ls"))
                .isEqualTo(new Ran(4, "", "satchel: the passphrase is wrong: try again\n"));

        JsonNode changed = json("second", "vault", "passwd", "--new-passphrase-file", next("third"), "--json");
        assertThat(changed.get("label").asText()).isEqualTo("office");
        assertThat(changed.get("key").asText()).isNotEqualTo(office.get("key").asText());
        assertThat(run("second", "vault", "keys", "ls").exitCode()).isEqualTo(4);

        assertThat(run("third", "vault", "keys", "rm", "nobody").exitCode()).isEqualTo(3);
        assertThat(json("third", "vault", "keys", "rm", "at home", "--json")
                        .get("label")
                        .asText())
                .isEqualTo("at home");
        assertThat(run("third", "vault", "keys", "rm", paper.get("key").asText().substring(0, 10))
                        .out())
                .isEqualTo("key " + paper.get("key").asText().substring(0, 12) + " (paper) removed\n");
        Ran last = run("third", "vault", "keys", "rm", "office");
        assertThat(last.exitCode()).isEqualTo(1);
        assertThat(last.err()).contains("last key", ": ").hasLineCount(1);
        assertThat(run(words, "vault", "keys", "ls").exitCode()).isEqualTo(4);
    }

    @Test
    void aRecoveryKeysCodesAreItsWords() throws Exception {
        assertThat(run("first", "vault", "init").exitCode()).isZero();
        Path png = scratch.resolve("key.png");
        Ran ran = run("first", "vault", "keys", "add", "--recovery", "--qr", png.toString());
        assertThat(ran.exitCode()).as(ran.err()).isZero();
        StringBuilder words = new StringBuilder();
        List<String> picture = new ArrayList<>();
        for (String line : ran.out().lines().toList()) {
            if (line.contains("█")) {
                picture.add(line);
            } else if (line.matches("( +[0-9]+ [a-z]+)+ *")) {
                words.append(line.replaceAll("[0-9]+", " "));
            }
        }
        String typed = words.toString().strip().replaceAll(" +", " ");
        assertThat(typed.split(" ", -1)).hasSize(15);
        assertThat(run(typed, "vault", "keys", "ls").exitCode()).isZero();

        BufferedImage read = ImageIO.read(png.toFile());
        assertThat(decoded(
                        read.getRGB(0, 0, read.getWidth(), read.getHeight(), null, 0, read.getWidth()),
                        read.getWidth()))
                .isEqualToIgnoringCase(typed);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(png)))
                .isEqualTo("rw-------");
        assertThat(decoded(pixels(picture), 8 * picture.getFirst().length())).isEqualToIgnoringCase(typed);

        StringBuilder coloured = new StringBuilder();
        QrCode.of(RecoveryReport.coded(typed)).appendTo(coloured, true);
        List<String> inverted = new ArrayList<>();
        for (String line : coloured.toString().lines().toList()) {
            assertThat(line).startsWith("\u001b[30;107m").endsWith("\u001b[0m");
            StringBuilder swapped = new StringBuilder();
            for (char c : line.substring(9, line.length() - 4).toCharArray()) {
                swapped.append(c == '█' ? ' ' : c == ' ' ? '█' : c == '▀' ? '▄' : '▀');
            }
            inverted.add(swapped.toString());
        }
        assertThat(decoded(pixels(inverted), 8 * inverted.getFirst().length())).isEqualToIgnoringCase(typed);

        // Nothing is written over, and no key is made then.
        Ran again = run("first", "vault", "keys", "add", "--recovery", "--qr", png.toString());
        assertThat(again.exitCode()).isEqualTo(1);
        assertThat(again.err()).contains("key.png exists");
        assertThat(run("first", "vault", "keys", "ls").out()).hasLineCount(3);
        // Nor is one left whose words nobody saw.
        Ran nowhere = run(
                "first",
                "vault",
                "keys",
                "add",
                "--recovery",
                "--qr",
                scratch.resolve("no/where.png").toString());
        assertThat(nowhere.exitCode()).isEqualTo(1);
        assertThat(run("first", "vault", "keys", "ls").out()).hasLineCount(3);
    }

    /** The terminal's characters as a picture of eight pixels a module: a full block is light, on a dark ground. */
    private static int[] pixels(List<String> lines) {
        int width = lines.getFirst().length();
        int[] pixels = new int[width * 8 * lines.size() * 16];
        for (int i = 0; i < pixels.length; i++) {
            int x = i % (width * 8) / 8;
            int y = i / (width * 8) / 8;
            char c = lines.get(y / 2).charAt(x);
            boolean light = c == '█' || c == (y % 2 == 0 ? '▀' : '▄');
            pixels[i] = light ? 0xffffff : 0;
        }
        return pixels;
    }

    private static String decoded(int[] pixels, int width) throws Exception {
        return new QRCodeReader()
                .decode(new BinaryBitmap(
                        new HybridBinarizer(new RGBLuminanceSource(width, pixels.length / width, pixels))))
                .getText();
    }

    @Test
    void optionsThatExcludeEachOtherAreRefusedBeforeAnythingIsAsked() {
        for (String line : List.of(
                "vault keys add --recovery --security-key",
                "vault keys add --recovery --new-passphrase-file x",
                "vault keys add --qr x",
                "vault keys add --open",
                "vault unlock --open",
                "vault keys",
                "vault keys rm")) {
            Ran ran = Ran.with(Ran.untouched(), scratch, Map.of(), line.split(" ", -1));
            assertThat(ran.exitCode()).as(line).isEqualTo(2);
            assertThat(new String(ran.err().getBytes(UTF_8), UTF_8)).contains(": ");
        }
    }
}
