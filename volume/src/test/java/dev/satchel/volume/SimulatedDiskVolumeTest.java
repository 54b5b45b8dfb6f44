package dev.satchel.volume;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A volume on a disk that loses what it may lose. {@link VolumeSchedule#main} is the long form. */
class SimulatedDiskVolumeTest {
    @Test
    void knownSchedulesLoseNothing() {
        for (long seed = 1; seed <= 3; seed++) {
            VolumeSchedule.run(seed, 60);
        }
    }

    /** It was killed while it wrote; whoever waits finds its vault away. */
    @Test
    @Timeout(60)
    void aProcessThatWasKilledWaitsForNothing() {
        VolumeSchedule.run(60_123_939_636_411L, 60);
    }

    @Test
    void anyScheduleLosesNothing() {
        long first = System.nanoTime();
        System.out.println("SimulatedDiskVolumeTest: schedules from seed " + first);
        long until = System.nanoTime() + 1_500_000_000L;
        for (long seed = first; System.nanoTime() < until; seed++) {
            VolumeSchedule.run(seed, 60);
        }
    }
}
