package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/**
 * What a session holds of the kernel is the same on the other host, or goes on there. {@code inside/objects.py} holds one of
 * everything; {@code docs/OBJECTS.md} lists what does not survive, and must list exactly that.
 */
class ObjectsTest extends LiveTest {
    /** As objects.py is started: with the environment that the session's own programs have. */
    private static final String START =
            ". /usr/lib/satchel/environment; cd /home/user; exec python3 -B objects.py start ";

    @Test
    void everythingIsTheSameOnAnotherHost() throws IOException {
        Map<String, String> documented = exceptions();
        Set<String> refused = with(documented, "refused");
        refused.addAll(with(documented, "lost"));
        String name = name("objects");
        a.create(name);
        try (Running here = a.resume(name)) {
            here.put(Site.inside("objects.py"));
            here.sh(START + "held --fuse 20 --slack 40 --gap 60 --patience 40" + except(refused));
            here.suspend();
        }
        try (Running there = b.resume(name)) {
            conclude(there, "held");
            Set<String> wrong = new TreeSet<>();
            Map<String, String> details = new TreeMap<>();
            int checks = 0;
            for (String line : there.read("home/user/held/result").strip().split("\n", -1)) {
                JsonObject verdict = Json.read(line.getBytes(java.nio.charset.StandardCharsets.UTF_8));
                checks++;
                if (!verdict.truth("ok")) {
                    wrong.add(verdict.text("check"));
                    details.put(verdict.text("check"), verdict.text("detail"));
                }
            }
            assertThat(checks)
                    .isEqualTo(Integer.parseInt(there.read("home/user/held/ready")))
                    .isGreaterThan(90);
            assertThat(wrong).as("%s", details).isEqualTo(with(documented, "changes"));
        }
    }

    @Test
    void whatCannotBeCarriedIsRefusedByNameAndGoesOn() throws IOException {
        String name = name("refused");
        a.create(name);
        try (Running here = a.resume(name)) {
            here.put(Site.inside("objects.py"));
            for (String check : with(exceptions(), "refused")) {
                here.sh(START + check + " --only " + check);
                assertThatThrownBy(here::snapshot)
                        .as(check)
                        .isInstanceOf(SatchelException.class)
                        .hasMessageContaining("can't be frozen")
                        // A queue that nobody has open is nobody's.
                        .hasMessageMatching(
                                check.equals("posix-mq-closed") ? ".*mqueue.*" : ".*process \\d+ (python3|dash).*");
                conclude(here, check);
                assertThat(here.read("home/user/" + check + "/result"))
                        .as(check)
                        .contains("\"ok\": true");
            }
            here.snapshot();
        }
    }

    /** Has the objects verified. */
    private static void conclude(Running session, String place) throws IOException {
        session.sh("cd /home/user/" + place + " && touch check && while [ ! -e done ]; do sleep 0.1; done");
    }

    private static String except(Set<String> checks) {
        return checks.isEmpty() ? "" : " --except " + String.join(",", checks);
    }

    private static Set<String> with(Map<String, String> exceptions, String what) {
        Set<String> checks = new TreeSet<>();
        exceptions.forEach((check, happens) -> {
            if (happens.equals(what)) {
                checks.add(check);
            }
        });
        return checks;
    }

    /** The rows {@code | `check` | what happens | … |} of the document. */
    private static Map<String, String> exceptions() throws IOException {
        Map<String, String> exceptions = new TreeMap<>();
        for (String line : Files.readAllLines(Site.repository().resolve("docs/OBJECTS.md"))) {
            String[] cells = line.split("\\|", -1);
            if (cells.length > 3 && cells[1].strip().startsWith("`")) {
                exceptions.put(cells[1].strip().replace("`", ""), cells[2].strip());
            }
        }
        assertThat(exceptions.values()).isSubsetOf("refused", "changes", "lost");
        return exceptions;
    }
}
