package dev.satchel.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class AffinityTest {
    /** As proc_pid_status(5) has it. */
    private static String allowed(long pid) throws Exception {
        return Files.readAllLines(Path.of("/proc/" + pid + "/status")).stream()
                .filter(line -> line.startsWith("Cpus_allowed_list:"))
                .findFirst()
                .orElseThrow()
                .substring("Cpus_allowed_list:".length())
                .strip();
    }

    @Test
    void readsAndGives() throws Exception {
        Affinity own = Affinity.of(0);
        assertThat(own.count()).isEqualTo(Runtime.getRuntime().availableProcessors());
        int last = own.last();
        Process sleeper = new ProcessBuilder("sleep", "60").start();
        try {
            long pid = sleeper.pid();
            assertThat(Affinity.of(pid)).isEqualTo(own);
            String all = allowed(pid);

            Affinity.only(last).apply(pid);
            assertThat(allowed(pid)).isEqualTo(Integer.toString(last));
            assertThat(Affinity.of(pid)).isEqualTo(Affinity.only(last)).hasToString("{" + last + "}");
            assertThat(Affinity.of(pid).and(own)).isEqualTo(Affinity.only(last));

            own.apply(pid);
            assertThat(allowed(pid)).isEqualTo(all);
            assertThatThrownBy(() -> Affinity.only(8191).apply(pid)).hasMessageContaining("EINVAL");
            assertThatThrownBy(() -> own.and(Affinity.only(8191)).apply(pid)).hasMessageContaining("EINVAL");
            assertThat(own.and(Affinity.only(8191)).last()).isEqualTo(-1);
        } finally {
            sleeper.destroyForcibly().waitFor();
        }
        assertThatThrownBy(() -> Affinity.of(sleeper.pid())).hasMessageContaining("ESRCH");
        assertThatThrownBy(() -> own.apply(sleeper.pid())).hasMessageContaining("ESRCH");
    }
}
