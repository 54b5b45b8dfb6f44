package dev.satchel.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class ThreadSettingsTest {
    private static final int BEST_EFFORT_6 = 2 << 13 | 6;

    @Test
    void readsAndGives() throws Exception {
        Process sleeper = new ProcessBuilder("ionice", "-c", "2", "-n", "4", "sleep", "60").start();
        try {
            long pid = sleeper.pid();
            while (!Files.readString(Path.of("/proc/" + pid + "/comm")).equals("sleep\n")) {
                Thread.onSpinWait();
            }
            assertThat(ThreadSettings.of(pid).ioPriority()).isEqualTo(2 << 13 | 4);
            assertThat(ThreadSettings.of(pid).areDefault()).isFalse();
            ThreadSettings other = new ThreadSettings(BEST_EFFORT_6, 123_456);
            other.apply(pid);
            assertThat(ThreadSettings.of(pid)).isEqualTo(other);
            assertThat(Files.readString(Path.of("/proc/" + pid + "/timerslack_ns")))
                    .isEqualTo("123456\n");
            new ThreadSettings(ThreadSettings.NO_IO_PRIORITY, ThreadSettings.DEFAULT_TIMER_SLACK_NANOS).apply(pid);
            assertThat(ThreadSettings.of(pid).areDefault()).isTrue();
        } finally {
            sleeper.destroyForcibly().waitFor();
        }
        assertThatThrownBy(() -> ThreadSettings.of(sleeper.pid())).hasMessageContaining("(ESRCH)");
        assertThatThrownBy(() -> new ThreadSettings(0, 1).apply(sleeper.pid())).hasMessageContaining("(ESRCH)");
    }
}
