package dev.satchel.display.web;

import static org.assertj.core.api.Assertions.assertThat;

import com.microsoft.playwright.impl.driver.Driver;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Enumeration;
import java.util.Map;
import java.util.Objects;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The viewer's JavaScript has the types that its comments say: TypeScript's compiler checks it, by the Node.js that Playwright brings. */
class TypesTest {
    private static final Path WEB = Path.of("../web");

    @TempDir
    static Path directory;

    private record Checked(int status, String output) {}

    @BeforeAll
    static void unpack() throws IOException {
        String inside = "META-INF/resources/webjars/typescript/";
        Path jar = Path.of(Objects.requireNonNull(TypesTest.class.getResource("/" + inside), "TypeScript's compiler")
                .getPath()
                .replaceFirst("^file:", "")
                .replaceFirst("!.*", ""));
        try (JarFile file = new JarFile(jar.toFile())) {
            for (Enumeration<JarEntry> entries = file.entries(); entries.hasMoreElements(); ) {
                JarEntry entry = entries.nextElement();
                int lib = entry.getName().indexOf("/lib/");
                if (entry.getName().startsWith(inside) && lib > 0 && !entry.isDirectory()) {
                    Path to = directory.resolve(entry.getName().substring(lib + 1));
                    Files.createDirectories(Objects.requireNonNull(to.getParent()));
                    try (InputStream content = file.getInputStream(entry)) {
                        Files.copy(content, to);
                    }
                }
            }
        }
    }

    private static Checked check(Path project) throws IOException, InterruptedException {
        String node = Driver.ensureDriverInstalled(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1"), false)
                .createProcessBuilder()
                .command()
                .getFirst();
        Process process = new ProcessBuilder(
                        node, directory.resolve("lib/tsc.js").toString(), "--pretty", "false", "-p", project.toString())
                .redirectErrorStream(true)
                .start();
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Checked(process.waitFor(), output);
    }

    @Test
    void theViewersTypesAreRight() throws Exception {
        Checked checked = check(WEB);
        assertThat(checked.output()).isEmpty();
        assertThat(checked.status()).isZero();
    }

    /** What the check above would say if they were not. */
    @Test
    void wrongTypesAreFound(@TempDir Path project) throws Exception {
        Files.copy(WEB.resolve("tsconfig.json"), project.resolve("tsconfig.json"));
        Files.createDirectory(project.resolve("viewer"));
        Files.writeString(
                project.resolve("viewer/wrong.js"),
                "/** @param {number} n */\nexport function twice(n) {\n    return n + n.length;\n}\n");
        Checked checked = check(project);
        assertThat(checked.output()).contains("wrong.js(3,18): error TS2339");
        assertThat(checked.status()).isNotZero();
    }
}
