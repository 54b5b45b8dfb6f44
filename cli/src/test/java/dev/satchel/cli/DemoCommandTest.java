package dev.satchel.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.Locator;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Playwright;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * The main job, for real: {@code ./satchel demo} as it was built, with the desktop image. It needs what {@code setup/prepare} makes,
 * as {@code ./test} sees to, and root. A vault that holds nothing but the image, which takes minutes to build, is kept where tests
 * keep such things, as long as what the image depends on stays the same.
 */
@Timeout(value = 30, unit = TimeUnit.MINUTES)
class DemoCommandTest {
    private static final Path CHECKOUT =
            Path.of(System.getProperty("user.dir")).toAbsolutePath().getParent();
    private static final Path CACHE = Optional.ofNullable(System.getenv("SATCHEL_TEST_CACHE"))
            .map(Path::of)
            .orElse(CHECKOUT.resolve("build/test-cache"));

    private Path directory;

    @BeforeEach
    void takeTheImage() throws Exception {
        Path kept = CACHE.resolve("demo-" + fingerprint());
        if (!Files.isDirectory(kept)) {
            Files.createDirectories(CACHE);
            Path making = Files.createTempDirectory(CACHE, "making-");
            System.out.println("building the image desktop, once; it is kept in " + kept);
            Files.writeString(making.resolve("passphrase"), "correct horse battery staple\n");
            satchel(making, "a", "vault", "init").expect(0);
            satchel(making, "a", "image", "build", "desktop").expect(0);
            delete(making.resolve("a"));
            Files.move(making, kept, StandardCopyOption.ATOMIC_MOVE);
        }
        // A vault's objects are never changed in place: links do.
        directory = Files.createTempDirectory(CACHE, "demo-played-");
        for (String part : List.of("vault", "passphrase")) {
            program(List.of("cp", "--archive", "--link", kept.resolve(part).toString(), directory.toString()))
                    .expect(0);
        }
    }

    @AfterEach
    void endSession() throws Exception {
        satchel(directory, "a", "demo", "--clean", "--dir", directory.toString())
                .expect(0);
        assertThat(directory).doesNotExist();
        List<String> left = processes();
        for (int i = 0; i < 600 && !left.isEmpty(); i++) {
            Thread.sleep(100); // they have been told to leave
            left = processes();
        }
        assertThat(left).isEmpty();
    }

    /** Those that are about the demo's directory. */
    private List<String> processes() {
        return ProcessHandle.allProcesses()
                .map(process -> process.info().commandLine().orElse(""))
                .filter(line -> line.contains(directory.toString()))
                .toList();
    }

    @Test
    void everythingGoesOnOnTheOtherHost() throws Exception {
        Said played = satchel(directory, "a", "demo", "--dir", directory.toString(), "--json")
                .expect(0);
        assertThat(played.out().lines()).hasSize(1);
        assertThat(played.out())
                .contains("\"ok\":true", "\"frozen_ms\":", "\"typed_ms\":")
                .doesNotContain("\"ok\":false");
        for (String picture : List.of("before.png", "after.png")) {
            // A desktop, not an empty screen, which takes 4 KB.
            assertThat(directory.resolve(picture)).isRegularFile();
            assertThat(Files.size(directory.resolve(picture))).isGreaterThan(40_000);
        }
        // On host B, where it goes on.
        Said listed = satchel(directory, "b", "ls", "--json").expect(0);
        assertThat(listed.out()).contains("\"session\":\"demo\"", "\"state\":\"running\"");
        goesOnInABrowserAndBackOnHostA();
    }

    /** What the README has a newcomer do after the demo. */
    private void goesOnInABrowserAndBackOnHostA() throws Exception {
        String found = satchel(directory, "b", "exec", "demo", "-u", "user", "--", "sh", "demo/read-document")
                .expect(0)
                .out();
        assertThat(found).contains("never saved");
        try (Playwright playwright = Playwright.create(
                        new Playwright.CreateOptions().setEnv(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
                Browser browser = playwright
                        .chromium()
                        .launch(new BrowserType.LaunchOptions()
                                .setExecutablePath(Path.of("/usr/bin/chromium"))
                                .setArgs(List.of(
                                        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")))) {
            Page page = browser.newPage(new Browser.NewPageOptions().setViewportSize(1300, 900));
            page.navigate(link("b"));
            page.locator("body:not(.stale)").waitFor();
            // Writer has the focus, with its cursor at the document's end.
            page.keyboard().type(" This one in a browser on host B.");
            page.mouse().move(650, 2);
            page.locator("button[data-action=suspend]").click();
            page.locator("#suspend").click();
            page.locator("#overlay-title")
                    .getByText("Suspended")
                    .waitFor(new Locator.WaitForOptions().setTimeout(60_000));
            satchel(directory, "a", "resume", "demo").expect(0);
            Page there = browser.newPage(new Browser.NewPageOptions().setViewportSize(1300, 900));
            there.navigate(link("a"));
            there.locator("body:not(.stale)").waitFor();
            there.keyboard().type(" This one on host A again.");
            // What is typed arrives before what is asked for by another way only if somebody waits for it.
            String wanted = found.strip() + " This one in a browser on host B. This one on host A again.";
            String text = "";
            for (int i = 0; i < 20 && !text.equals(wanted); i++) {
                Thread.sleep(500);
                text = satchel(directory, "a", "exec", "demo", "-u", "user", "--", "sh", "demo/read-document")
                        .expect(0)
                        .out()
                        .strip();
            }
            assertThat(text).isEqualTo(wanted);
        }
    }

    private String link(String host) throws Exception {
        return satchel(directory, host, "view", "demo").expect(0).out().strip();
    }

    private record Said(List<String> line, int code, String out, String err) {
        Said expect(int wanted) {
            assertThat(code).as("%s%n%s%s", line, out, err).isEqualTo(wanted);
            return this;
        }
    }

    /** As who lives in that state directory. */
    private static Said satchel(Path where, String state, String... words) throws IOException, InterruptedException {
        List<String> line = new ArrayList<>(List.of(CHECKOUT.resolve("satchel").toString()));
        line.addAll(List.of(words));
        return program(
                line,
                Map.of(
                        "SATCHEL_VAULT", where.resolve("vault").toString(),
                        "SATCHEL_STATE", where.resolve(state).toString(),
                        "SATCHEL_PASSPHRASE_FILE", where.resolve("passphrase").toString()));
    }

    private static Said program(List<String> line) throws IOException, InterruptedException {
        return program(line, Map.of());
    }

    /** Its output goes to files: a pipe would be held open by the supervisor that it leaves behind. */
    private static Said program(List<String> line, Map<String, String> variables)
            throws IOException, InterruptedException {
        File out = File.createTempFile("satchel-demo-", ".out");
        File err = File.createTempFile("satchel-demo-", ".err");
        try {
            ProcessBuilder builder =
                    new ProcessBuilder(line).redirectOutput(out).redirectError(err);
            builder.environment().putAll(variables);
            int code = builder.start().waitFor();
            return new Said(line, code, Files.readString(out.toPath()), Files.readString(err.toPath()));
        } finally {
            Files.delete(out.toPath());
            Files.delete(err.toPath());
        }
    }

    private static void delete(Path tree) throws IOException, InterruptedException {
        program(List.of("rm", "-r", "--one-file-system", tree.toString())).expect(0);
    }

    /** Of all that the image in its vault depends on: its recipe, Debian's release, the formats, and who writes them. */
    private static String fingerprint() throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        List<Path> files = new ArrayList<>(List.of(
                Path.of("/etc/os-release"),
                CHECKOUT.resolve("docs/FORMAT.md"),
                CHECKOUT.resolve("session/src/main/java/dev/satchel/session/ImageBuilder.java")));
        try (Stream<Path> images = Files.walk(CHECKOUT.resolve("images"))) {
            images.filter(Files::isRegularFile)
                    .filter(file -> !file.endsWith("README.md"))
                    .sorted()
                    .forEach(files::add);
        }
        for (Path file : files) {
            String name = (file.startsWith(CHECKOUT) ? CHECKOUT.relativize(file) : file).toString();
            digest.update(name.getBytes(StandardCharsets.UTF_8));
            digest.update(Files.readAllBytes(file));
        }
        return HexFormat.of().formatHex(digest.digest(), 0, 8);
    }
}
