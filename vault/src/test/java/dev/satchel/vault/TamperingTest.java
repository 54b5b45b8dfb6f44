package dev.satchel.vault;

import java.io.IOException;
import org.junit.jupiter.api.Test;

/** Whatever is done to a vault's files, it notices, or says what it said. {@link Tampering#main} is the long form. */
class TamperingTest {
    @Test
    void everyKindOfChangeIsNoticedOrHarmless() throws IOException {
        long seed = System.nanoTime();
        System.out.println("TamperingTest: seed " + seed + ": " + new Tampering(seed, 6).run(60));
    }
}
