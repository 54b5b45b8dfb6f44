package dev.satchel.pod;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The programs that tests run inside sessions are themselves right: what they hold is found in order when nothing happened to
 * it, they notice every object that is broken, and they tell a place that is contained from one that is not. All of it in
 * namespaces of their own on the test's machine, with neither pod nor checkpoint.
 */
class InsideProgramsTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir
    Path directory;

    @Test
    void objectsAreInOrderWhenNothingHappened() throws Exception {
        Map<String, String> verdicts = hold("");
        assertThat(verdicts).hasSizeGreaterThan(90);
        assertThat(verdicts).allSatisfy((check, verdict) -> assertThat(verdict).isEqualTo("ok"));
    }

    @Test
    void everyBrokenObjectIsNoticedAndNoOther() throws Exception {
        Set<String> breakable = new TreeSet<>();
        for (String line : isolated("exec /usr/bin/python3 -B " + program("objects.py") + " list")) {
            JsonNode check = JSON.readTree(line);
            if (check.get("sabotage").asBoolean()) {
                breakable.add(check.get("check").asText());
            }
        }
        assertThat(breakable).hasSizeGreaterThan(75);
        Map<String, String> verdicts = hold(" --sabotage " + String.join(",", breakable));
        Set<String> noticed = new TreeSet<>();
        verdicts.forEach((check, verdict) -> {
            if (!verdict.equals("ok")) {
                noticed.add(check);
            }
        });
        assertThat(noticed).isEqualTo(breakable);
    }

    @Test
    void probesTellAnOpenPlaceFromAContainedOne() throws Exception {
        // A plain user namespace, as an ordinary user may make one: root there, and no filter.
        List<String> lines = run(
                "unshare",
                "--map-root-user",
                "--mount",
                "--pid",
                "--ipc",
                "--net",
                "--uts",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "/usr/bin/python3",
                "-B",
                program("probe.py").toString(),
                "--host-file",
                Path.of("pom.xml").toAbsolutePath().toString());
        Set<String> open = new HashSet<>();
        Set<String> contained = new HashSet<>();
        for (String line : lines) {
            JsonNode probe = JSON.readTree(line);
            (probe.get("contained").asBoolean() ? contained : open)
                    .add(probe.get("probe").asText());
        }
        assertThat(open)
                .contains(
                        "mount-tmpfs",
                        "mount-bind",
                        "open_tree",
                        "unshare",
                        "clone",
                        "clone3",
                        "userfaultfd",
                        "add_key",
                        "host-file-dots",
                        "host-file-symlink",
                        "host-root-by-proc",
                        "capabilities",
                        "network-settings",
                        "works-clone3-falls-back");
        assertThat(contained).contains("init_module", "clock_settime", "mknod-devices", "works-mknod-others", "swapon");
    }

    @Test
    void everySystemCallIsInOneClass() throws Exception {
        JsonNode profile;
        try (InputStream in = Pod.class.getResourceAsStream("seccomp.json")) {
            profile = JSON.readTree(in);
        }
        assertThat(profile.get("defaultAction").asText()).isEqualTo("SCMP_ACT_ERRNO");
        assertThat(profile.get("defaultErrnoRet").asInt()).isEqualTo(38);
        Set<String> unconditional = new HashSet<>();
        Set<String> conditional = new HashSet<>();
        List<String> twice = new ArrayList<>();
        for (JsonNode rule : profile.get("syscalls")) {
            for (JsonNode name : rule.get("names")) {
                if (rule.has("args")) {
                    conditional.add(name.asText());
                } else if (!unconditional.add(name.asText())) {
                    twice.add(name.asText());
                }
            }
        }
        // A rule without arguments would silently win over those with.
        assertThat(twice).isEmpty();
        assertThat(conditional).doesNotContainAnyElementsOf(unconditional);
        assertThat(conditional)
                .containsExactlyInAnyOrder("clone", "unshare", "mknod", "mknodat", "socket", "personality");
    }

    /** Verdicts by check, "ok" or what was wrong. */
    private Map<String, String> hold(String options) throws IOException, InterruptedException {
        Path place = Files.createTempDirectory(directory, "objects");
        isolated("/usr/bin/python3 -B " + program("objects.py") + " start " + place
                + " --fuse 5 --slack 4 --gap 4 --patience 4" + options + " && touch " + place
                + "/check && while [ ! -e " + place + "/done ]; do sleep 0.1; done");
        Map<String, String> verdicts = new TreeMap<>();
        for (String line : Files.readAllLines(place.resolve("result"))) {
            JsonNode verdict = JSON.readTree(line);
            verdicts.put(
                    verdict.get("check").asText(),
                    verdict.get("ok").asBoolean() ? "ok" : verdict.get("detail").asText());
        }
        assertThat(verdicts).hasSize(Integer.parseInt(Files.readString(place.resolve("ready"))));
        return verdicts;
    }

    /** Runs a shell script where all that it leaves behind (processes, IPC objects, shared memory) ends with it. */
    private static List<String> isolated(String script) throws IOException, InterruptedException {
        return run(
                "unshare",
                "--mount",
                "--pid",
                "--ipc",
                "--net",
                "--uts",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "sh",
                "-c",
                "ip link set lo up && mount -t tmpfs tmpfs /dev/shm && " + script);
    }

    private static Path program(String name) {
        return Path.of("src/test/resources/inside", name).toAbsolutePath();
    }

    private static List<String> run(String... command) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().remove("DISPLAY");
        Process process = builder.start();
        process.getOutputStream().close();
        try {
            Thread killer = Thread.ofVirtual().start(() -> {
                try {
                    if (!process.waitFor(150, TimeUnit.SECONDS)) {
                        process.destroyForcibly();
                    }
                } catch (InterruptedException ended) {
                    Thread.currentThread().interrupt();
                }
            });
            String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            int code = process.waitFor();
            killer.interrupt();
            assertThat(code).as("%s: %s", String.join(" ", command), text).isIn(0, 1);
            return text.lines().filter(line -> line.startsWith("{")).toList();
        } finally {
            process.destroyForcibly();
        }
    }
}
