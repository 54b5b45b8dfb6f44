package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.microsoft.playwright.Page;
import com.microsoft.playwright.options.WaitForSelectorState;
import dev.satchel.vault.SnapshotId;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/** A suspended session's pages are answered, and it is resumed from there. */
class DoorkeeperTest extends LiveTest {
    private static final long IDLE_MILLIS = 600_000;

    /** One at work, on a thread of this JVM; closing waits until it has left by itself. */
    private static final class AtWork implements AutoCloseable {
        private final AtomicReference<Exception> failure = new AtomicReference<>();
        private final Thread thread;

        AtWork(Door door, Doorkeeper.Resume resume, boolean asksNothing, long idleMillis) throws IOException {
            // As it comes to another process.
            Doorkeeper doorkeeper = new Doorkeeper(Door.of(door.toJson()), resume, asksNothing, idleMillis);
            thread = Thread.ofPlatform().daemon().name("doorkeeper").start(() -> {
                try {
                    doorkeeper.serve();
                } catch (IOException | RuntimeException e) {
                    failure.set(e);
                }
            });
        }

        void awaitEnd() throws IOException {
            try {
                assertThat(thread.join(Duration.ofSeconds(60))).isTrue();
            } catch (InterruptedException e) {
                throw new IOException(e);
            }
            assertThat(failure.get()).isNull();
        }

        @Override
        public void close() throws IOException {
            thread.interrupt();
            try {
                thread.join();
            } catch (InterruptedException e) {
                throw new IOException(e);
            }
        }
    }

    private static AtWork atWork(Door door, String... resume) throws IOException {
        return new AtWork(door, (session, at) -> List.of(resume), true, IDLE_MILLIS);
    }

    /** One that resumes for real, in a process of its own: {@link #endOther} ends what that left running. */
    private AtWork resuming(Door door) throws IOException {
        // A doorkeeper's own directory is the root.
        List<String> there = List.of("env", "-C", Path.of("").toAbsolutePath().toString());
        return new AtWork(
                door,
                (session, at) -> {
                    List<String> line = new ArrayList<>(there);
                    line.addAll(SessionProcess.line(a, session, at));
                    return line;
                },
                true,
                IDLE_MILLIS);
    }

    private void endOther(String name) throws IOException {
        if (a.state(name) == SessionInfo.State.RUNNING) {
            a.with(satchel -> {
                satchel.remove(name, true);
                return true;
            });
        }
    }

    @Test
    void aPageResumesWhatItSuspended() throws Exception {
        String name = name("again");
        a.create(name);
        try (Chromium browser = new Chromium();
                Running here = a.resume(name)) {
            here.startCounting();
            Page page = browser.open(here.result().viewUrl());
            Page other = browser.open(here.result().viewUrl());
            Chromium.awaitSame("the desktop in the browser", page, a, name);
            Chromium.awaitSame("the desktop in another page", other, a, name);
            Running.Count count = here.count();
            page.click("[data-panel=panel-suspend]");
            page.click("#suspend");
            here.awaitEnd();
            Door door = here.supervisor.door().orElseThrow();
            try (AtWork doorkeeper = resuming(door)) {
                other.waitForSelector("#overlay-action >> text=Resume");
                assertThat(a.state(name)).isEqualTo(SessionInfo.State.SUSPENDED);
                assertThat(a.host().state().resolve("run")).doesNotExist();
                page.click("#overlay-action");
                page.waitForSelector(
                        "#overlay", new Page.WaitForSelectorOptions().setState(WaitForSelectorState.HIDDEN));
                Eventually.holds(60_000, "a session that answers", () -> answers(name));
                Chromium.awaitSame("the desktop in the page that resumed it", page, a, name);
                Chromium.awaitSame("the desktop in the other page", other, a, name);
                String link = a.with(satchel -> satchel.viewUrl(name, false));
                assertThat(link).isEqualTo(here.result().viewUrl());
                assertThat(a.with(satchel -> satchel.suspend(name)).processes()).isPositive();
                doorkeeper.awaitEnd();
                assertThat(door.socket()).doesNotExist();
            } finally {
                endOther(name);
            }
            try (Running again = a.resume(name)) {
                Running.Count ignored = again.assertGoesOnFrom(count);
                Chromium.awaitSame("the page that nobody answered meanwhile", page, a, name);
            }
        }
    }

    /** Presses the button of a snapshot's row in a page's history, and is asked whether it means it. */
    private static void askToGoBack(Page page, SnapshotId snapshot) {
        page.evaluate("document.getElementById('handle').click()");
        page.click("[data-panel=panel-history]");
        page.click("#snapshots li:has([title='" + snapshot + "']) >> text=Go back to this");
        page.waitForSelector("#panel-back");
    }

    private void assertFile(String words, Running in) throws IOException {
        assertThat(in.read("home/user/words")).isEqualTo(words);
    }

    @Test
    void aPageGoesBackToASnapshotAndForthAgain() throws Exception {
        String name = name("back");
        a.create(name);
        try (Chromium browser = new Chromium();
                Running here = a.resume(name)) {
            here.startCounting();
            here.put("words", "early");
            Page page = browser.open(here.result().viewUrl());
            Chromium.awaitSame("the desktop in the browser", page, a, name);
            Running.Count early = here.count();
            SnapshotId snapshot = here.snapshot().snapshot();
            here.put("words", "late");
            here.sh("kill " + early.pid());
            askToGoBack(page, snapshot);
            page.click("#back");
            here.awaitEnd();
            Door door = here.supervisor.door().orElseThrow();
            SnapshotId left;
            try (AtWork doorkeeper = resuming(door)) {
                page.waitForSelector(
                        "#overlay", new Page.WaitForSelectorOptions().setState(WaitForSelectorState.HIDDEN));
                Eventually.holds(60_000, "a session that answers", () -> answers(name));
                Chromium.awaitSame("the desktop of then in the page", page, a, name);
                assertFile("early", here);
                Running.Count ignored = here.assertGoesOnFrom(early);
                // What it was when it was left is there still.
                List<SnapshotInfo> history = a.with(satchel -> satchel.history(name));
                assertThat(history.getFirst().kind()).isEqualTo(Snapshots.SUSPEND);
                left = history.getFirst().snapshot();
                assertThat(left).isNotEqualTo(snapshot);
                assertThat(a.with(satchel -> satchel.suspend(name)).processes()).isPositive();
                doorkeeper.awaitEnd();
            } finally {
                endOther(name);
            }
            try (Running again = a.resumeAt(name, left.toString())) {
                Chromium.awaitSame("the desktop that was left, in the page", page, a, name);
                assertFile("late", again);
                assertThat(again.exec("user", "kill", "-0", Long.toString(early.pid()))
                                .code())
                        .isNotZero();
            }
        }
    }

    @Test
    void aSnapshotThatIsNoMoreLeavesTheSessionSuspendedAsItWas() throws Exception {
        String name = name("gone");
        a.create(name);
        try (Chromium browser = new Chromium();
                Running here = a.resume(name);
                HttpClient client = HttpClient.newHttpClient()) {
            URI link = URI.create(here.result().viewUrl());
            String resume = "http://" + link.getAuthority() + "/api/resume";
            String secret = link.getQuery().substring(2);
            String look = URI.create(a.with(satchel -> satchel.viewUrl(name, true)))
                    .getQuery()
                    .substring(2);
            Page page = browser.open(here.result().viewUrl());
            Chromium.awaitSame("the desktop in the browser", page, a, name);
            SnapshotId snapshot = here.snapshot().snapshot();
            here.put("words", "late");
            SnapshotId kept = here.snapshot().snapshot();
            askToGoBack(page, snapshot);
            a.with(satchel -> {
                satchel.removeSnapshot(name, snapshot.toString());
                return true;
            });
            page.click("#back");
            here.awaitEnd();
            Door door = here.supervisor.door().orElseThrow();
            try (AtWork doorkeeper = resuming(door)) {
                String words = "'" + name + "' has no snapshot " + snapshot + ": see 'satchel history " + name + "'";
                page.waitForSelector("#overlay-problem >> text=has no snapshot");
                assertThat(page.textContent("#overlay-problem")).isEqualTo(words);
                page.waitForSelector("#overlay-action >> text=Resume");
                assertThatThrownBy(() -> a.resumeAt(name, snapshot.toString())).hasMessage(words);
                String at = "{\"at\":\"" + kept + "\"}";
                assertThat(ViewTest.post(client, resume, look, at).statusCode()).isEqualTo(403);
                for (String nonsense : List.of("{\"at\":1}", "{", "{\"at\":\"\\u0000\"}")) {
                    assertThat(ViewTest.post(client, resume, secret, nonsense).statusCode())
                            .as(nonsense)
                            .isEqualTo(400);
                }
                // What looks like an option is a name all the same.
                var unknown = ViewTest.post(client, resume, secret, "{\"at\":\"--fresh\"}");
                assertThat(unknown.statusCode()).isEqualTo(404);
                assertThat(unknown.body()).contains("has no snapshot --fresh");
                assertThat(a.state(name)).isEqualTo(SessionInfo.State.SUSPENDED);
                page.click("#overlay-action");
                Eventually.holds(60_000, "a session that answers", () -> answers(name));
                assertFile("late", here);
                assertThat(a.with(satchel -> satchel.suspend(name)).processes()).isPositive();
                doorkeeper.awaitEnd();
            } finally {
                endOther(name);
            }
        }
    }

    private boolean answers(String name) throws IOException {
        try {
            return a.with(satchel -> satchel.viewUrl(name, false)).startsWith("http");
        } catch (SatchelException e) {
            return false;
        }
    }

    @Test
    void whoResumesByCommandIsNotHindered() throws Exception {
        String name = name("command");
        a.create(name);
        try (Chromium browser = new Chromium();
                Running here = a.resume(name)) {
            Page page = browser.open(here.result().viewUrl());
            Chromium.awaitSame("the desktop in the browser", page, a, name);
            // By TLS, as from another computer.
            RemoteAccess access =
                    a.with(satchel -> satchel.listen(name, ListenAddress.parse("127.0.0.2"), Optional.empty(), false));
            Page elsewhere = browser.openElsewhere(access.url());
            Chromium.awaitSame("the desktop in a browser elsewhere", elsewhere, a, name);
            here.suspend();
            try (AtWork doorkeeper = atWork(here.supervisor.door().orElseThrow(), "false")) {
                page.waitForSelector("#overlay-action >> text=Resume");
                elsewhere.waitForSelector("#overlay-action >> text=Resume");
                try (Running again = a.resume(name)) {
                    doorkeeper.awaitEnd();
                    assertThat(again.result().viewUrl()).isEqualTo(here.result().viewUrl());
                    Chromium.awaitSame("the desktop in the page", page, a, name);
                    Chromium.awaitSame("the desktop in the page elsewhere", elsewhere, a, name);
                }
            }
        }
    }

    @Test
    void saysWhatIsInTheWay() throws Exception {
        String name = name("inway");
        a.create(name);
        try (Chromium browser = new Chromium();
                Running here = a.resume(name);
                HttpClient client = HttpClient.newHttpClient()) {
            URI link = URI.create(here.result().viewUrl());
            String origin = "http://" + link.getAuthority();
            String secret = link.getQuery().substring(2);
            String look = URI.create(a.with(satchel -> satchel.viewUrl(name, true)))
                    .getQuery()
                    .substring(2);
            Page page = browser.open(here.result().viewUrl());
            Chromium.awaitSame("the desktop in the browser", page, a, name);
            here.suspend();
            Door door = here.supervisor.door().orElseThrow();
            String[] elsewhere = {
                "sh", "-c", "echo working >&2; echo \"satchel: it runs on host 'b': suspend it there\" >&2; exit 6"
            };
            try (AtWork doorkeeper = atWork(door, elsewhere)) {
                page.click("#overlay-action");
                page.waitForSelector("#overlay-problem >> text=it runs on host 'b': suspend it there");
                assertThat(ViewTest.get(client, origin + "/api/session", secret).body())
                        .contains("\"state\":\"suspended\"")
                        .contains("[\"resume\"]");
                assertThat(ViewTest.get(client, origin + "/api/session", look).body())
                        .contains("\"actions\":[]");
                assertThat(ViewTest.post(client, origin + "/api/resume", look, "")
                                .statusCode())
                        .isEqualTo(403);
                assertThat(ViewTest.post(client, origin + "/api/resume", secret, "")
                                .statusCode())
                        .isEqualTo(409);
                assertThat(ViewTest.post(client, origin + "/api/type", secret, "{\"text\":\"x\"}")
                                .body())
                        .contains("is suspended: resume it first");
                // Its pages are told when it is no more, and its links are worth nothing then.
                a.with(satchel -> {
                    satchel.remove(name, false);
                    return true;
                });
                doorkeeper.awaitEnd();
                page.waitForSelector("#overlay-title >> text=Stopped");
            }
            assertThat(new Links(door.links()).look()).isEmpty();
        }
    }

    @Test
    void leavesWhenNobodyWaitsAnyMore() throws Exception {
        String name = name("locked");
        a.create(name);
        try (Chromium browser = new Chromium();
                Running here = a.resume(name)) {
            Page page = browser.open(here.result().viewUrl());
            Chromium.awaitSame("the desktop in the browser", page, a, name);
            here.suspend();
            Door door = here.supervisor.door().orElseThrow();
            try (AtWork doorkeeper = new AtWork(door, (session, at) -> List.of("false"), false, 10_000)) {
                // This host's vault was never unlocked for long.
                page.click("#overlay-action");
                page.waitForSelector("#overlay-problem >> text=satchel vault unlock");
                page.close();
                doorkeeper.awaitEnd();
            }
            assertThat(door.socket()).doesNotExist();
            // Who resumes it within hours has the same links all the same.
            assertThat(new Links(door.links()).look()).isPresent();
        }
    }

    @Test
    void noneIsLeftBehindForWhoDidNotLook() throws Exception {
        String name = name("unseen");
        a.create(name);
        try (Running here = a.resume(name)) {
            here.suspend();
            assertThat(here.supervisor.door()).isEmpty();
        }
        Door door;
        try (Running here = a.resume(name)) {
            door = new Door(
                    name,
                    Site.IMAGE,
                    Instant.EPOCH,
                    Links.of(here.directory().podId()).key(),
                    "none",
                    a.host().state(),
                    a.host().runDirectory(here.id),
                    a.host().doorkeeper(here.id));
            // One that comes too late leaves at once.
            try (AtWork doorkeeper = atWork(door, "false")) {
                doorkeeper.awaitEnd();
            }
            here.suspend();
        }
        // What one that was killed left is in nobody's way.
        ControlServer killed = ControlServer.listen(door.socket(), (request, progress) -> request);
        try (killed) {
            Files.move(door.socket(), door.socket().resolveSibling("kept"));
        }
        Files.move(door.socket().resolveSibling("kept"), door.socket());
        try (Running again = a.resume(name)) {
            assertThat(again.result().processes()).isPositive();
        }
    }
}
