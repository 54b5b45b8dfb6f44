package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;

/** What commands promise of a session, each on a session that runs. */
class CommandsTest extends LiveTest {
    /** On which processors the desktop and a program that chose one may run. */
    private static final String PROCESSORS = "for p in $(pgrep -x 'Xvfb|openbox|sleep'); do"
            + " echo $(cat /proc/$p/comm) $(sed -n 's/^Cpus_allowed_list:\\t//p' /proc/$p/status); done";

    /** Longer than a socket's name can be. */
    @Test
    void aStateDirectoryMayLieDeep() throws IOException {
        TestHost deep = site.host(site.directory().resolve("host-" + "deep".repeat(30)));
        String name = name("deep");
        deep.create(name);
        try (Running running = deep.resume(name)) {
            running.sh("true");
            running.suspend();
        }
        assertThat(deep.state(name)).isEqualTo(SessionInfo.State.SUSPENDED);
    }

    @Test
    void aSnapshotIsAnInstantThatOneCanGoBackTo() throws IOException {
        String name = name("snapshot");
        a.create(name);
        SuspendResult snapshot;
        Running.Count atSnapshot;
        try (Running here = a.resume(name).startCounting()) {
            here.sh("echo before >/home/user/file");
            here.start("exec taskset -c 0 sleep 1000");
            Eventually.holds(60_000, "it sleeps", () -> here.sh(PROCESSORS).contains("sleep"));
            String processors = here.sh(PROCESSORS);
            snapshot = here.snapshot();
            // CRIU had them on one, see OneProcessor.
            assertThat(here.sh(PROCESSORS)).contains("sleep 0\n").isEqualTo(processors);
            atSnapshot = here.assertGoesOnFrom(here.count());
            here.sh("echo after >/home/user/file");
            Eventually.holds(60_000, "it counts on", () -> here.count().value() > atSnapshot.value() + 200);
            here.suspend();
        }
        try (Running there = b.resumeAt(name, snapshot.snapshot().toString().substring(0, 10))) {
            assertThat(there.result().booted()).isFalse();
            assertThat(there.result().snapshot()).contains(snapshot.snapshot());
            assertThat(there.sh("cat /home/user/file")).isEqualTo("before\n");
            // The program went back, too: when the snapshot was taken it had not counted as far as afterwards.
            assertThat(there.count().value()).isLessThan(atSnapshot.value() + 200);
            there.assertGoesOnFrom(new Running.Count(0, atSnapshot.pid()));
            there.suspend();
        }
        List<SnapshotInfo> history = a.with(satchel -> satchel.history(name));
        assertThat(history).extracting(SnapshotInfo::kind).startsWith("suspend").endsWith("snapshot", "create");
        assertThat(history.getFirst().parent()).contains(snapshot.snapshot());
    }

    @Test
    void forksRunSideBySideAndPart() throws IOException {
        String name = name("fork");
        String other = name("forked");
        String third = name("forked");
        a.create(name);
        try (Running here = a.resume(name).startCounting()) {
            here.sh("echo common >/home/user/file");
            Running.Count before = here.count();
            SessionInfo forked = a.with(satchel -> satchel.fork(name, Optional.empty(), other));
            assertThat(forked.state()).isEqualTo(SessionInfo.State.SUSPENDED);
            String address = here.rootSh("hostname -I");
            assertThat(address.strip()).isEqualTo(forked.address());
            try (Running beside = a.resume(other)) {
                here.assertGoesOnFrom(before);
                beside.assertGoesOnFrom(before);
                assertThat(beside.rootSh("hostname -I")).isEqualTo(address);
                here.sh("echo one >/home/user/file");
                beside.sh("echo two >/home/user/file");
                assertThat(here.sh("cat /home/user/file")).isEqualTo("one\n");
                assertThat(beside.sh("cat /home/user/file")).isEqualTo("two\n");
                beside.suspend();
            }
            here.assertGoesOnFrom(before);
            here.suspend();
        }
        // A third from an instant of the past, and on another host.
        String past = a.with(satchel -> satchel.history(name)).get(1).snapshot().toString();
        b.with(satchel -> satchel.fork(name, Optional.of(past), third));
        try (Running there = b.resume(third)) {
            assertThat(there.sh("cat /home/user/file")).isEqualTo("common\n");
            there.suspend();
        }
        try (Running again = b.resume(other)) {
            assertThat(again.sh("cat /home/user/file")).isEqualTo("two\n");
        }
    }

    @Test
    void stopEndsProgramsCleanlyAndKeepsFiles() throws IOException {
        String name = name("stop");
        a.create(name);
        try (Running here = a.resume(name)) {
            here.start("trap 'echo told >/home/user/told; exit' TERM; touch ready; while :; do sleep 0.1; done");
            here.awaitFile("home/user/ready");
            here.stop();
        }
        SessionInfo stopped = a.with(satchel -> satchel.inspect(name));
        assertThat(stopped.state()).isEqualTo(SessionInfo.State.STOPPED);
        assertThat(stopped.host()).isEmpty();
        try (Running again = b.resume(name)) {
            assertThat(again.result().booted()).isTrue();
            assertThat(again.sh("cat /home/user/told")).isEqualTo("told\n");
            Eventually.holds(
                    60_000, "a window manager", () -> again.sh("ps -e -o comm=").contains("openbox"));
        }
    }

    @Test
    void aSessionThatEndsByItselfIsStopped() throws IOException {
        String name = name("ends");
        a.create(name);
        try (Running here = a.resume(name)) {
            here.sh("echo kept >/home/user/file");
            here.start("sleep 2; pkill -KILL -x desktop"); // a command that is still there then ends with the session
            here.awaitEnd();
        }
        assertThat(a.state(name)).isEqualTo(SessionInfo.State.STOPPED);
        try (Running again = a.resume(name)) {
            assertThat(again.sh("cat /home/user/file")).isEqualTo("kept\n");
        }
    }

    @Test
    void execRunsAsAskedBeforeAndAfterAMove() throws IOException {
        String name = name("exec");
        a.create(name);
        try (Running here = a.resume(name)) {
            assertExec(here);
            here.suspend();
        }
        try (Running there = b.resume(name)) {
            assertExec(there);
        }
    }

    private static void assertExec(Running session) throws IOException {
        session.exec("user", "sh", "-c", "exit 7").expect(7);
        session.exec("user", "sh", "-c", "kill -TERM $$").expect(128 + 15);
        session.exec("user", "no-such-program").expect(127 + 128);
    }

    /** What is started so is a program of the desktop, as if it had been started there. */
    @Test
    void execGivesTheDesktopsEnvironment() throws IOException {
        String name = name("environment");
        a.create(name);
        try (Running here = a.resume(name)) {
            assertThat(here.sh("xdpyinfo >/dev/null && echo \"$DISPLAY $LANG $XDG_RUNTIME_DIR $HOME ${SHLVL-}\""))
                    .isEqualTo(":0 C.UTF-8 /run/user/1000 /home/user \n");
            assertThat(here.rootSh("echo \"$DISPLAY $LANG ${XDG_RUNTIME_DIR-} $HOME\""))
                    .isEqualTo(":0 C.UTF-8  /root\n");
        }
    }

    @Test
    void execGivesUserInputAndTerminal() throws IOException {
        String name = name("exec");
        a.create(name);
        try (Running here = a.resume(name)) {
            assertThat(here.sh("id -un; echo $HOME; id -G").lines().toList())
                    .startsWith("user", "/home/user")
                    .last()
                    .asString()
                    .contains("1000");
            assertThat(here.rootSh("id -un; echo $HOME").lines()).containsExactly("root", "/root");
            assertThat(here.sh("pwd")).isEqualTo("/home/user\n");
            assertThat(here.rootSh("pwd")).isEqualTo("/root\n");
            assertThat(here.exec("12345", "pwd").expect(0).out()).isEqualTo("/\n");
            assertThat(here.exec("1000", "id", "-u").expect(0).out()).isEqualTo("1000\n");
            byte[] bytes = new byte[300_000];
            new java.util.Random(1).nextBytes(bytes);
            here.exec("user", bytes, "sh", "-c", "cat >/home/user/bytes").expect(0);
            assertThat(Files.readAllBytes(here.root().resolve("home/user/bytes")))
                    .isEqualTo(bytes);
            Ran apart = here.exec("user", "sh", "-c", "echo out; echo err >&2").expect(0);
            assertThat(apart.out()).isEqualTo("out\n");
            assertThat(apart.err()).isEqualTo("err\n");
            assertThatThrownBy(() -> here.exec("nobody-here", "true")).hasMessageContaining("nobody-here");

            // A terminal of the host's (script(1)) leads to one inside.
            List<String> line = a.with(satchel -> satchel.execCommand(
                    name, Optional.of("user"), true, List.of("sh", "-c", "test -t 0 && test -t 1 && tty")));
            StringBuilder words = new StringBuilder();
            for (String word : line) {
                words.append('\'').append(word.replace("'", "'\\''")).append("' ");
            }
            Ran inTerminal = Ran.of(List.of("script", "-qec", words.toString(), "/dev/null"))
                    .expect(0);
            assertThat(inTerminal.out()).contains("/dev/pts/");
        }
    }

    /** Without waiting: who resumes a session for the first time, or again after a stop, finds its desktop and no black screen. */
    @Test
    void aDesktopIsUpWhenABootReturns() throws IOException {
        String name = name("booted");
        a.create(name);
        for (int boots = 1; boots <= 2; boots++) {
            try (Running here = a.resume(name)) {
                assertThat(here.result().booted()).isTrue();
                assertThat(screenshot(a, name)).isNotNull();
                assertThat(logs(a, name).split("desktop is up", -1)).hasSize(boots + 1);
                here.stop();
            }
        }
    }

    @Test
    void logsAreReadRunningAndSuspended() throws IOException {
        String name = name("logs");
        a.create(name);
        assertThat(logs(a, name)).isEmpty();
        try (Running here = a.resume(name)) {
            assertThat(logs(a, name)).contains("booting").contains("desktop is up");
            here.suspend();
        }
        assertThat(logs(b, name)).contains("booting").contains("desktop is up");
        assertThat(b.stateFiles()).allMatch(file -> file.equals("host-id") || file.startsWith("seen/"));
    }

    @Test
    void logsAreFollowedUntilTheSessionEnds() throws IOException {
        String name = name("logs");
        a.create(name);
        try (Running here = a.resume(name)) {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            Thread following = Thread.ofPlatform().start(() -> {
                try {
                    a.with(satchel -> {
                        satchel.followLogs(name, out);
                        return true;
                    });
                } catch (IOException e) {
                    out.writeBytes(e.toString().getBytes(StandardCharsets.UTF_8));
                }
            });
            Eventually.holds(
                    60_000,
                    "what was written before",
                    () -> out.toString(StandardCharsets.UTF_8).contains("desktop is up"));
            here.rootSh("echo one more line >>/var/log/satchel/session.log");
            Eventually.holds(
                    60_000,
                    "what is written now",
                    () -> out.toString(StandardCharsets.UTF_8).endsWith("one more line\n"));
            String followed = out.toString(StandardCharsets.UTF_8);
            here.suspend();
            Eventually.holds(60_000, "it ends with the session", () -> !following.isAlive());
            assertThat(followed).isEqualTo(out.toString(StandardCharsets.UTF_8)).isEqualTo(logs(b, name));
        }
    }

    private static String logs(TestHost host, String name) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        host.with(satchel -> {
            satchel.logs(name, out);
            return true;
        });
        return out.toString(StandardCharsets.UTF_8);
    }

    @Test
    void aScreenshotShowsTheDesktopBeforeAndAfterAMove() throws IOException {
        String name = name("screen");
        a.create(name);
        int before;
        try (Running here = a.resume(name)) {
            here.snapshot();
            here.start(
                    "exec xterm -T 'all red' -geometry 80x24+0+0 -bg '#ff0000' -fg '#00ff00' -e sleep 1000 2>/home/user/xterm.log");
            try {
                Eventually.holds(60_000, "a red terminal", () -> count(screenshot(a, name), 0xff0000) > 10_000);
            } catch (AssertionError e) {
                throw new AssertionError(
                        here.sh(
                                "cat /home/user/xterm.log; DISPLAY=:0 xwininfo -root -tree; ps axf; cat /var/log/satchel/session.log"),
                        e);
            }
            before = count(screenshot(a, name), 0xff0000);
            here.suspend();
        }
        List<SnapshotInfo> history = b.with(satchel -> satchel.history(name));
        assertThat(history.getFirst().windows()).contains("all red");
        assertThat(history.get(1).windows()).doesNotContain("all red");
        BufferedImage then = thumbnail(b, name, history.getFirst());
        assertThat(then.getWidth()).isBetween(200, 320);
        assertThat(then.getHeight()).isBetween(150, 240);
        assertThat(reddish(then)).isGreaterThan(1000);
        assertThat(reddish(thumbnail(b, name, history.get(1)))).isLessThan(50);
        try (Running there = b.resume(name)) {
            BufferedImage picture = screenshot(b, name);
            assertThat(count(picture, 0xff0000)).isCloseTo(before, org.assertj.core.data.Percentage.withPercentage(2));
            there.sh("DISPLAY=:0 pkill xterm");
            Eventually.holds(60_000, "no red terminal", () -> count(screenshot(b, name), 0xff0000) < 100);
        }
    }

    private BufferedImage thumbnail(TestHost host, String name, SnapshotInfo snapshot) throws IOException {
        assertThat(snapshot.thumbnail()).isTrue();
        Path jpeg = Files.createTempFile(site.directory(), "then", ".jpg");
        host.with(satchel -> {
            satchel.screenshot(name, snapshot.snapshot().toString(), jpeg);
            return true;
        });
        return ImageIO.read(jpeg.toFile());
    }

    private static int reddish(BufferedImage picture) {
        int count = 0;
        for (int y = 0; y < picture.getHeight(); y++) {
            for (int x = 0; x < picture.getWidth(); x++) {
                int pixel = picture.getRGB(x, y);
                count += (pixel >> 16 & 0xff) > 0xd0 && (pixel >> 8 & 0xff) < 0x40 && (pixel & 0xff) < 0x40 ? 1 : 0;
            }
        }
        return count;
    }

    private BufferedImage screenshot(TestHost host, String name) throws IOException {
        Path png = Files.createTempFile(site.directory(), "screen", ".png");
        host.with(satchel -> {
            satchel.screenshot(name, png);
            return true;
        });
        BufferedImage picture = ImageIO.read(png.toFile());
        assertThat(picture.getWidth()).isEqualTo(640);
        assertThat(picture.getHeight()).isEqualTo(480);
        Set<Integer> colours = new HashSet<>();
        for (int y = 0; y < 480; y += 7) {
            for (int x = 0; x < 640; x += 7) {
                colours.add(picture.getRGB(x, y));
            }
        }
        assertThat(colours.size()).as("colours").isGreaterThan(3);
        return picture;
    }

    private static int count(BufferedImage picture, int colour) {
        int count = 0;
        for (int y = 0; y < picture.getHeight(); y++) {
            for (int x = 0; x < picture.getWidth(); x++) {
                if ((picture.getRGB(x, y) & 0xffffff) == colour) {
                    count++;
                }
            }
        }
        return count;
    }

    @Test
    void historyNamesParentsAndSnapshotsCanGo() throws IOException {
        String name = name("history");
        a.create(name);
        SuspendResult first;
        SuspendResult second;
        SuspendResult last;
        try (Running here = a.resume(name)) {
            first = here.snapshot();
            second = here.snapshot();
            last = here.suspend();
        }
        List<SnapshotInfo> history = b.with(satchel -> satchel.history(name));
        assertThat(history).hasSize(4);
        assertThat(history.get(0).snapshot()).isEqualTo(last.snapshot());
        assertThat(history.get(0).kind()).isEqualTo("suspend");
        assertThat(history.get(0).processes()).isEqualTo(last.processes()).isGreaterThan(1);
        assertThat(history.get(1).snapshot()).isEqualTo(second.snapshot());
        assertThat(history.get(2).snapshot()).isEqualTo(first.snapshot());
        assertThat(history.get(3).kind()).isEqualTo("create");
        for (int i = 0; i < 3; i++) {
            assertThat(history.get(i).parent()).contains(history.get(i + 1).snapshot());
        }
        assertThat(history.get(3).parent()).isEmpty();

        assertThatThrownBy(() -> b.with(satchel -> {
                    satchel.removeSnapshot(name, last.snapshot().toString());
                    return true;
                }))
                .hasMessageContaining("is where '" + name + "' stands");
        b.with(satchel -> {
            satchel.removeSnapshot(name, second.snapshot().toString());
            return true;
        });
        List<SnapshotInfo> fewer = b.with(satchel -> satchel.history(name));
        assertThat(fewer).extracting(SnapshotInfo::snapshot).doesNotContain(second.snapshot());
        try (Running there = b.resume(name)) {
            assertThat(there.result().booted()).isFalse();
            assertThatThrownBy(() -> remove(b, name, false))
                    .satisfies(failure -> assertKind(failure, SatchelException.Kind.IN_USE));
            there.suspend();
        }
        remove(b, name, false);
        assertThatThrownBy(() -> a.state(name))
                .satisfies(failure -> assertKind(failure, SatchelException.Kind.NOT_FOUND));
        assertThat(site.verify().errors()).isEmpty();
    }

    @Test
    void removingARunningSessionEndsItWhenForced() throws IOException {
        String name = name("removed");
        a.create(name);
        try (Running here = a.resume(name)) {
            remove(a, name, true);
            here.awaitEnd();
        }
        assertThatThrownBy(() -> a.state(name))
                .satisfies(failure -> assertKind(failure, SatchelException.Kind.NOT_FOUND));
    }

    private static void remove(TestHost host, String name, boolean force) throws IOException {
        host.with(satchel -> {
            satchel.remove(name, force);
            return true;
        });
    }

    private static void assertKind(Throwable failure, SatchelException.Kind kind) {
        assertThat(failure).isInstanceOf(SatchelException.class);
        assertThat(((SatchelException) failure).kind()).isEqualTo(kind);
    }

    @Test
    void limitsEnvironmentAndDiskAreAsCreated() throws IOException {
        String name = name("limits");
        long disk = 12L << 30;
        a.create(new CreateRequest(
                name,
                Site.IMAGE,
                OptionalLong.of(disk),
                OptionalLong.of(256L << 20),
                Optional.of(0.5),
                Map.of("GREETING", "good day", "LANG", "C.UTF-8"),
                "640x480",
                "1024x768",
                false));
        try (Running here = a.resume(name)) {
            assertLimits(here, disk);
            here.suspend();
        }
        try (Running there = b.resume(name)) {
            assertLimits(there, disk);
        }
    }

    private static void assertLimits(Running session, long disk) throws IOException {
        // Programs of the desktop have it, and what is executed.
        assertThat(session.sh("tr '\\0' '\\n' </proc/$(pgrep -o openbox)/environ"))
                .contains("GREETING=good day\n");
        assertThat(session.sh("echo $GREETING")).isEqualTo("good day\n");
        // Half a processor: a busy second takes two.
        String times = session.sh("""
                python3 -c '
                import time
                wall = time.monotonic()
                while time.process_time() < 0.7: pass
                print(time.monotonic() - wall)'
                """);
        assertThat(Double.parseDouble(times.strip())).isGreaterThan(1.2);
        // More memory than that is not to be had; whoever asks for it is ended, not the session.
        Ran hungry = session.exec("user", "python3", "-c", "x = bytearray(400 << 20); print(len(x))");
        assertThat(hungry.code()).isNotZero();
        assertThat(session.sh("python3 -c 'x = bytearray(60 << 20); print(len(x))'"))
                .isEqualTo((60 << 20) + "\n");
        long blocks = Long.parseLong(session.sh("stat -f -c %b /").strip());
        assertThat(blocks * 4096).isBetween(disk * 9 / 10, disk);
    }

    /** Waits until its programs have come to rest: a twentieth of a processor in two seconds at most. */
    private static void awaitRest(Running session) throws IOException {
        String ticks = "cat /proc/[0-9]*/stat 2>/dev/null | awk '{ sum += $14 + $15 } END { print sum }'";
        long[] before = {Long.parseLong(session.sh(ticks).strip())};
        Eventually.holds(60_000, "its programs rest", () -> {
            Eventually.pause(2_000);
            long now = Long.parseLong(session.sh(ticks).strip());
            long used = now - before[0];
            before[0] = now;
            return used < 10;
        });
    }

    @Test
    void aSecondSuspendStoresWhatChanged() throws IOException {
        // A vault of its own: one that sessions of the same image were suspended into before has most of it already.
        Path vault = site.directory().resolve("vault-again");
        Site own = alsoWatch(site.withCopyOfVault(vault));
        TestHost a = own.host();
        TestHost b = own.host();
        String name = name("again");
        a.create(name);
        SuspendResult first;
        try (Running here = a.resume(name)) {
            awaitRest(here);
            first = here.suspend();
        }
        try (Running there = b.resume(name)) {
            Eventually.pause(1000);
            SuspendResult second = there.suspend();
            assertThat(first.bytesNew()).isGreaterThan(1 << 20);
            assertThat(second.bytesMemory()).isGreaterThan(first.bytesMemory() / 2);
            assertThat(second.bytesNew()).isLessThanOrEqualTo(first.bytesNew() * 15 / 100);
        }
    }

    /**
     * Writes one number after another over all its pages, and looks before each time whether all have the last one: a snapshot whose
     * pages are of more than one instant has pages from the future.
     */
    private static final String OVERWRITING = """
            import mmap, os, sys
            PAGES = 16384
            memory = mmap.mmap(-1, PAGES * 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            n = 0
            while True:
                for page in range(0, PAGES * 4096, 4096):
                    if memory[page : page + 8] != n.to_bytes(8, "little"):
                        with open("/home/user/torn", "w") as f:
                            f.write(f"{page} {n} {int.from_bytes(memory[page : page + 8], 'little')}")
                        sys.exit(1)
                    memory[page : page + 8] = (n + 1).to_bytes(8, "little")
                n += 1
                with open("/home/user/rounds.new", "w") as f:
                    f.write(f"{n}")
                os.rename("/home/user/rounds.new", "/home/user/rounds")
            """;

    @Test
    void snapshotOfProgramThatGoesOnIsOfOneInstant() throws Exception {
        String name = name("instant");
        a.create(name);
        SuspendResult snapshot;
        try (Running here = a.resume(name)) {
            here.put("overwriting.py", OVERWRITING);
            here.start("exec python3 overwriting.py");
            here.awaitFile("home/user/rounds");
            snapshot = here.snapshot();
            here.suspend();
        }
        try (Running there = b.resumeAt(name, snapshot.snapshot().toString())) {
            int before = Integer.parseInt(there.read("home/user/rounds"));
            Eventually.holds(60_000, "it goes on", () -> Integer.parseInt(there.read("home/user/rounds")) > before + 2);
            assertThat(there.sh("cat /home/user/torn 2>/dev/null || echo none")).isEqualToIgnoringNewLines("none");
        }
    }
}
