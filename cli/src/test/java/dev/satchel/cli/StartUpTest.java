package dev.satchel.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What every command pays for before it does anything, of the program as {@code setup/prepare} built it: {@code ./test} sees to that. */
@Timeout(60)
class StartUpTest {
    private static final Path CHECKOUT =
            Path.of(System.getProperty("user.dir")).toAbsolutePath().getParent();

    /** A cache that does not fit is passed over in silence, and each command takes half as long again; how long is for {@code bench/run} to say. */
    @Test
    void startsFromItsCache() throws Exception {
        Process process = new ProcessBuilder(
                        "bash",
                        "-c",
                        ". \"$0\"; exec \"$java\" \"${jvm[@]}\" -Xlog:class+load=info:stdout dev.satchel.cli.Main --version",
                        CHECKOUT.resolve("build/launch").toString())
                .redirectErrorStream(true)
                .start();
        process.getOutputStream().close();
        String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as("%s", out).isZero();
        assertThat(out).contains("dev.satchel.cli.Program source: shared objects file");
    }
}
