package dev.satchel.pod.filter;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.linux.ThreadSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The same process before and after: it is what it was. */
class ThreadSettingsImageTest {
    private static final ThreadSettings DEFAULT =
            new ThreadSettings(ThreadSettings.NO_IO_PRIORITY, ThreadSettings.DEFAULT_TIMER_SLACK_NANOS);
    private static final ThreadSettings OTHER = new ThreadSettings(2 << 13 | 6, 1_234_567_890_123L);

    @TempDir
    private Path directory = Path.of("");

    private final Process one = sleep();
    private final Process two = sleep();

    private static Process sleep() {
        try {
            return new ProcessBuilder("sleep", "60").start();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @AfterEach
    void end() throws Exception {
        one.destroyForcibly().waitFor();
        two.destroyForcibly().waitFor();
    }

    @Test
    void givesWhatItNoted() throws Exception {
        DEFAULT.apply(one.pid());
        OTHER.apply(two.pid());
        ThreadSettingsImage noted = ThreadSettingsImage.of(List.of(one.pid(), two.pid()));
        for (int times = 0; times < 2; times++) {
            ImageDirectory.apply(directory, List.of(noted));
        }
        DEFAULT.apply(two.pid());
        ThreadSettingsImage read = ThreadSettingsImage.read(directory);
        assertThat(read.isEmpty()).isFalse();
        read.set(List.of(two.pid(), one.pid()), one.pid());
        assertThat(ThreadSettings.of(one.pid())).isEqualTo(DEFAULT);
        assertThat(ThreadSettings.of(two.pid())).isEqualTo(OTHER);
        assertThatThrownBy(() -> read.set(List.of(one.pid()), one.pid()))
                .hasMessageContaining("thread " + two.pid() + " of the session did not come back");
    }

    @Test
    void writesNothingWhereAllIsDefault() throws Exception {
        DEFAULT.apply(one.pid());
        two.destroyForcibly().waitFor();
        ThreadSettingsImage noted = ThreadSettingsImage.of(List.of(one.pid(), two.pid()));
        assertThat(noted.isEmpty()).isTrue();
        ImageDirectory.apply(directory, List.of(noted));
        assertThat(directory).isEmptyDirectory();
        assertThat(ThreadSettingsImage.read(directory).isEmpty()).isTrue();
    }
}
