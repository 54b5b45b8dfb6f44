package dev.satchel.session;

import java.io.IOException;
import org.junit.jupiter.api.Test;

/** Nothing that a program was told to be durable is lost when its supervisor is killed. The long form is {@code bench/prove kills}. */
class RealKillTest extends LiveTest {
    private static final int KILLS = Integer.getInteger("satchel.proof.kills", 2);

    @Test
    void noRecordThatWasToldIsLost() throws IOException {
        long seed = Long.getLong("satchel.proof.seed", System.nanoTime());
        System.out.println("RealKillTest: " + KILLS + " kills, seed " + seed);
        String name = name("killed");
        a.create(name);
        RealKills proof = new RealKills(site, a, name, seed);
        for (int i = 0; i < KILLS; i++) {
            proof.killOnce();
        }
        proof.finish();
        System.out.println("RealKillTest: " + KILLS + " kills, " + proof.told() + " records told, none lost");
    }
}
