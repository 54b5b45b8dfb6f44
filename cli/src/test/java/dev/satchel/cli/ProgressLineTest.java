package dev.satchel.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class ProgressLineTest {
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();
    private long nanos = -5;

    private ProgressLine line(boolean terminal, int columns) {
        return new ProgressLine(new PrintStream(err, true, StandardCharsets.UTF_8), terminal, columns, () -> nanos);
    }

    private String written() {
        String text = err.toString(StandardCharsets.UTF_8);
        err.reset();
        return text;
    }

    @Test
    void onATerminalOneLineIsDrawnOverAndVanishes() {
        ProgressLine line = line(true, 0);
        line.at("checking", 0, 100);
        assertThat(written()).as("short jobs say nothing").isEmpty();

        nanos += 300_000_000;
        line.at("checking", 10, 100);
        assertThat(written()).isEqualTo("\rchecking 10 %, 0 s\u001b[K");
        line.at("checking", 11, 100);
        assertThat(written()).as("not faster than eyes").isEmpty();

        nanos += 1_000_000_000;
        line.at("checking", 150, 100);
        assertThat(written()).isEqualTo("\rchecking 100 %, 1 s\u001b[K");
        line.clear();
        assertThat(written()).isEqualTo("\r\u001b[K");
        line.clear();
        assertThat(written()).isEmpty();
    }

    @Test
    void neverWiderThanTheTerminal() {
        ProgressLine line = line(true, 20);
        nanos += 300_000_000;
        line.at("x".repeat(100), 1, 2);
        assertThat(written()).isEqualTo("\r" + "x".repeat(19) + "\u001b[K");
    }

    @Test
    void inALogALineNowAndThen() {
        ProgressLine line = line(false, 0);
        for (int i = 0; i < 300; i++) {
            nanos += 100_000_000;
            line.at("building", i, 0);
        }
        assertThat(written()).isEqualTo("building, 2 s\nbuilding, 12 s\nbuilding, 22 s\n");
        line.clear();
        assertThat(written()).isEmpty();
    }
}
