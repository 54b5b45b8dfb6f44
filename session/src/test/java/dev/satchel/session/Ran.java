package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * A program that ran to its end.
 *
 * @param code its exit code
 */
record Ran(List<String> line, int code, String out, String err) {
    private static final int SECONDS_MAX = 180;

    static Ran of(List<String> line) throws IOException {
        return of(line, new byte[0]);
    }

    /** With {@code input} as its standard input. */
    static Ran of(List<String> line, byte[] input) throws IOException {
        Process process = new ProcessBuilder(line).start();
        CompletableFuture<String> out = CompletableFuture.supplyAsync(() -> all(process.getInputStream()));
        CompletableFuture<String> err = CompletableFuture.supplyAsync(() -> all(process.getErrorStream()));
        try (OutputStream in = process.getOutputStream()) {
            in.write(input);
        } catch (IOException e) {
            // It ended without reading all; its exit code tells more.
        }
        try {
            if (!process.waitFor(SECONDS_MAX, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw new AssertionError(line + " does not end");
            }
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
        return new Ran(line, process.exitValue(), out.join(), err.join());
    }

    private static String all(java.io.InputStream stream) {
        try (stream) {
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Fails, with all it said, if it ended otherwise. */
    Ran expect(int wanted) {
        assertThat(code).as("%s\n%s\n%s", line, out, err).isEqualTo(wanted);
        return this;
    }
}
