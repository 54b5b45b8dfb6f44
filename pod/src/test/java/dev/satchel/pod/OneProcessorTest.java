package dev.satchel.pod;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.linux.Affinity;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class OneProcessorTest {
    private final List<Process> sleepers = new ArrayList<>();

    private long sleeper() throws Exception {
        Process sleeper = new ProcessBuilder("sleep", "60").start();
        sleepers.add(sleeper);
        return sleeper.pid();
    }

    @AfterEach
    void end() throws InterruptedException {
        for (Process sleeper : sleepers) {
            sleeper.destroyForcibly().waitFor();
        }
    }

    @Test
    void whoIsGatheredGoesBackToWhereItWas() throws Exception {
        Affinity all = Affinity.of(0);
        assertThat(all.count()).as("processors that this test needs").isGreaterThan(1);
        long anywhere = sleeper();
        long somewhere = sleeper();
        Affinity.only(0).apply(somewhere);
        long taken = sleeper();
        long ended = sleeper();
        sleepers.getLast().destroyForcibly().waitFor();
        Affinity one = Affinity.only(all.last());
        try (OneProcessor processor = OneProcessor.choose(anywhere)) {
            processor.take(taken);
            processor.take(ended);
            processor.gather(List.of(anywhere, ended, somewhere));
            for (long pid : new long[] {anywhere, somewhere, taken}) {
                assertThat(Affinity.of(pid)).isEqualTo(one);
            }
            processor.scatter();
            assertThat(Affinity.of(anywhere)).isEqualTo(all);
            assertThat(Affinity.of(somewhere)).isEqualTo(Affinity.only(0));
            one.apply(somewhere);
        }
        // Once only: it is its own affair by now.
        assertThat(Affinity.of(somewhere)).isEqualTo(one);
        assertThat(Affinity.of(taken)).isEqualTo(one);
    }

    @Test
    void whoeverIsLeftWithOneIsLeftAlone() throws Exception {
        long init = sleeper();
        Affinity.only(0).apply(init);
        long other = sleeper();
        Affinity all = Affinity.of(other);
        try (OneProcessor processor = OneProcessor.choose(init)) {
            processor.take(other);
            processor.gather(List.of(other));
            assertThat(Affinity.of(other)).isEqualTo(all);
        }
    }
}
