package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.vault.CollectReport;
import dev.satchel.vault.SnapshotId;
import java.io.IOException;
import java.net.http.HttpClient;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** A session's past while it goes on: snapshots nobody asks for, what is kept of them, and what they are called. */
class HistoryTest extends LiveTest {
    private static final long PATIENCE_MILLIS = 60_000;

    private List<SnapshotInfo> history(String name) throws IOException {
        return a.with(satchel -> satchel.history(name));
    }

    private static UpkeepChange every(Duration time) {
        return new UpkeepChange(Optional.of(time), Optional.empty());
    }

    @Test
    void aSessionIsSavedPrunedLabelledAndCollectedWhileItRuns() throws IOException {
        String name = name("saved");
        String fork = name("saved-fork");
        a.create(name);
        SuspendResult first;
        SuspendResult last;
        try (Running here = a.resume(name).startCounting()) {
            here.sh("head -c 4000000 /dev/urandom >/home/user/thrown; echo early >/home/user/file; sync");
            first = a.with(satchel -> satchel.snapshot(name, Optional.of("before all")));
            here.sh("head -c 4000000 /dev/urandom >/home/user/thrown; echo late >/home/user/file; sync");
            Running.Count before = here.count();
            SessionInfo saved = a.with(satchel -> satchel.configure(
                    name,
                    new UpkeepChange(Optional.of(Duration.ofSeconds(1)), Optional.of(Retention.parse("last=2")))));
            assertThat(saved.snapshotEvery()).contains(Duration.ofSeconds(1));
            assertThat(saved.keep()).hasToString("last=2");
            List<SnapshotId> seen = new ArrayList<>();
            Eventually.holds(PATIENCE_MILLIS, name + " is saved", () -> {
                SnapshotId newest = history(name).getFirst().snapshot();
                if (!newest.equals(first.snapshot()) && !seen.contains(newest)) {
                    seen.add(newest);
                }
                return seen.size() > 3;
            });
            a.with(satchel -> satchel.configure(name, every(Duration.ZERO)));
            List<SnapshotInfo> history = history(name);
            // The newest two, what has a name, and what the last one had no time to remove.
            assertThat(history).hasSizeBetween(3, 4);
            assertThat(history.getFirst().kind()).isEqualTo("auto");
            assertThat(history.getLast().label()).contains("before all");
            assertThat(history.getLast().snapshot()).isEqualTo(first.snapshot());
            assertThat(history).extracting(SnapshotInfo::snapshot).doesNotContain(seen.getFirst());
            here.assertGoesOnFrom(before);

            // Beside it, and its fork.
            a.with(satchel -> satchel.fork(name, Optional.of("before all"), fork));
            try (Running beside = a.resume(fork)) {
                CollectReport report = a.with(satchel -> satchel.collect(false));
                assertThat(report.packsRemoved() + report.packsRewritten()).isPositive();
                assertThat(report.bytesFreed()).isPositive();
                assertThat(site.verify().errors()).isEmpty();
                assertThat(beside.sh("cat /home/user/file")).isEqualTo("early\n");
                assertThat(here.sh("cat /home/user/file")).isEqualTo("late\n");
                assertThat(here.sh("md5sum </home/user/thrown | wc -c")).isEqualTo("36\n");
                beside.assertGoesOnFrom(before);
                here.assertGoesOnFrom(before);
                SuspendResult stored = beside.suspend();
                assertThat(stored.processes()).isPositive();
            }
            assertThat(a.with(satchel -> satchel.collect(false)).bytesFreed()).isNotNegative();

            // Off is off.
            SnapshotId newest = history(name).getFirst().snapshot();
            last = a.with(satchel -> satchel.suspend(name, Optional.of("evening")));
            here.awaitEnd();
            assertThat(history(name).get(1).snapshot()).isEqualTo(newest);
        }
        assertThat(history(name).getFirst().label()).contains("evening");
        a.with(satchel -> satchel.label(name, "before all", "morning"));
        assertThat(history(name).getLast().label()).contains("morning");
        assertThatThrownBy(() -> a.with(satchel -> satchel.fork(name, Optional.of("before all"), name("none"))))
                .hasMessageContaining("has no snapshot before all");
        List<SnapshotInfo> would = a.with(satchel -> satchel.prune(name, Optional.of(Retention.parse("last=1")), true));
        assertThat(would)
                .isNotEmpty()
                .extracting(SnapshotInfo::snapshot)
                .doesNotContain(first.snapshot(), last.snapshot());
        List<SnapshotInfo> went = a.with(satchel -> satchel.prune(name, Optional.of(Retention.parse("last=1")), false));
        assertThat(went).isEqualTo(would);
        assertThat(history(name)).extracting(SnapshotInfo::snapshot).containsExactly(last.snapshot(), first.snapshot());
        try (Running again = a.resumeAt(name, "morning")) {
            assertThat(again.sh("cat /home/user/file")).isEqualTo("early\n");
        }
        assertThat(site.verify().errors()).isEmpty();
    }

    @Test
    void whatCannotBeSavedIsToldAndWhatRestsIsNotSavedAgain() throws Exception {
        String name = name("resting");
        a.create(name);
        try (Running here = a.resume(name)) {
            a.with(satchel -> satchel.configure(name, every(Duration.ofSeconds(1))));
            here.put("traced.py", """
                    import ctypes, os, time
                    child = os.fork()
                    if child == 0:
                        time.sleep(1000)
                    ctypes.CDLL(None).ptrace(0x4206, child, None, None)
                    open("/home/user/traced", "w").write(str(os.getpid()))
                    while True:
                        time.sleep(0.01)
                    """);
            here.start("exec python3 traced.py");
            here.awaitFile("home/user/traced");
            Eventually.holds(
                    PATIENCE_MILLIS,
                    name + " tells its trouble",
                    () -> a.with(satchel -> satchel.inspect(name)).trouble().isPresent());
            assertThat(a.with(satchel -> satchel.inspect(name)).trouble().orElseThrow())
                    .contains("no snapshot in the background: '" + name + "' can't be frozen");
            here.sh("kill -KILL $(cat /home/user/traced)");
            Eventually.holds(
                    PATIENCE_MILLIS,
                    name + " is well again",
                    () -> a.with(satchel -> satchel.inspect(name)).trouble().isEmpty());
            SnapshotId[] newest = {history(name).getFirst().snapshot()};
            assertThat(history(name).getFirst().kind()).isEqualTo("auto");
            // Nothing runs any more that would not wait for something.
            Eventually.holds(PATIENCE_MILLIS, name + " is saved no more", () -> {
                sleep(4_000);
                SnapshotId before = newest[0];
                newest[0] = history(name).getFirst().snapshot();
                return newest[0].equals(before);
            });
            // A file that a page sends is there without any program's having run.
            try (HttpClient client = HttpClient.newHttpClient()) {
                SessionFilesTest.Caller page =
                        SessionFilesTest.Caller.of(client, here.result().viewUrl());
                assertThat(page.post("sent", new byte[] {'1'}).statusCode()).isEqualTo(200);
            }
            Eventually.holds(
                    PATIENCE_MILLIS,
                    name + " is saved with the file",
                    () -> !history(name).getFirst().snapshot().equals(newest[0]));
            newest[0] = history(name).getFirst().snapshot();
            here.sh("test -e /home/user/sent && echo something >/home/user/new");
            Eventually.holds(
                    PATIENCE_MILLIS,
                    name + " is saved again",
                    () -> !history(name).getFirst().snapshot().equals(newest[0]));
        }
    }

    private static void sleep(long millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }
}
