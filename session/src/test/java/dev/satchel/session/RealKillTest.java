package dev.satchel.session;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

/** Nothing that a program was told to be durable is lost when its supervisor is killed. The long form is {@code bench/prove kills}. */
class RealKillTest extends LiveTest {
    private static final int KILLS = Integer.getInteger("satchel.proof.kills", 2);

    @Test
    void noRecordThatWasToldIsLost() throws IOException {
        long seed = Long.getLong("satchel.proof.seed", System.nanoTime());
        System.out.println("RealKillTest: " + KILLS + " kills, seed " + seed);
        String name = name("killed");
        String image = Boolean.getBoolean("satchel.proof.postgresql") ? withPostgresql() : Site.IMAGE;
        a.create(new CreateRequest(
                name,
                image,
                OptionalLong.empty(),
                OptionalLong.empty(),
                Optional.empty(),
                Map.of(),
                "640x480",
                "1024x768",
                false));
        RealKills proof = new RealKills(site, a, name, seed);
        for (int i = 0; i < KILLS; i++) {
            proof.killOnce();
            if ((i + 1) % 10 == 0) {
                System.out.println("RealKillTest: " + (i + 1) + " kills, " + proof.told() + " records told");
            }
        }
        proof.finish();
        System.out.println("RealKillTest: " + KILLS + " kills, " + proof.told() + " records told, none lost");
    }

    /** Its packages are fetched and it is built each time, which takes minutes: the long form's. */
    private String withPostgresql() throws IOException {
        Path recipe = Site.repository().resolve("session/src/test/recipes/postgresql");
        return a.with(satchel -> satchel.buildImage("postgresql", recipe.toString()))
                .image();
    }
}
