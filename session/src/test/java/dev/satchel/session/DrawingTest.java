package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;

import com.microsoft.playwright.Locator;
import com.microsoft.playwright.Page;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

/** Programs of a real session draw, and a real Chromium looks: whatever happens meanwhile, in the end it shows the X server's pixels. */
class DrawingTest extends LiveTest {
    private static final Path DRAW = Path.of("src/test/resources/inside/draw.py");
    private static final int PROGRAMS = 6;
    private static final int STEPS = 300;

    /** Starts a drawing program, the last one ended. */
    private static void draw(Running session, String arguments) throws IOException {
        String ignored = session.sh("pkill -f '[d]raw.py' ; rm -f drawn shown still");
        session.start("exec python3 draw.py " + arguments);
    }

    private static long shown(Running session) throws IOException {
        return Long.parseLong(session.read("home/user/shown").split(" ", -1)[0]);
    }

    /** Waits until the film has gone on by some frames. */
    private static void awaitFilm(Running session) throws IOException {
        session.awaitFile("home/user/shown");
        long before = shown(session);
        Eventually.holds(60_000, "a film that goes on", () -> shown(session) > before + 10);
    }

    /** Waits until a page's picture changes. */
    private static void awaitFilm(String what, Page page) throws IOException {
        int[] before = Chromium.canvas(page);
        try {
            Eventually.holds(60_000, what, () -> !Arrays.equals(Chromium.canvas(page), before));
        } catch (AssertionError e) {
            throw new AssertionError(e.getMessage() + "; the page says: " + page.innerText("body"), e);
        }
    }

    @Test
    void whateverIsDrawnIsShown() throws Exception {
        String name = name("drawn");
        a.create(name);
        long seed = new Random().nextLong(1 << 20);
        try (Chromium browser = new Chromium();
                Running here = a.resume(name)) {
            here.put(DRAW);
            Page page = browser.open(here.result().viewUrl());
            for (int i = 0; i < PROGRAMS; i++) {
                draw(here, seed + i + " " + STEPS);
                here.awaitFile("home/user/drawn");
                Chromium.awaitSame("what the program of seed " + (seed + i) + " drew", page, a, name);
            }
        }
    }

    /** A film is shown as pictures that are about right; when it stands still, they are exactly right. */
    @Test
    void aFilmGoesOnAcrossASnapshotAndASuspend() throws Exception {
        String name = name("film");
        a.create(name);
        try (Chromium browser = new Chromium()) {
            Page page;
            long frames;
            try (Running here = a.resume(name)) {
                here.put(DRAW);
                page = browser.open(here.result().viewUrl());
                draw(here, "film");
                awaitFilm(here);
                awaitFilm("a film in the page", page);
                here.snapshot();
                awaitFilm(here);
                awaitFilm("a film in the page after a snapshot", page);
                frames = shown(here);
                here.suspend();
                page.locator("#overlay-title").getByText("Suspended").waitFor();
            }
            try (Running again = a.resume(name)) {
                awaitFilm(again);
                assertThat(shown(again)).isGreaterThan(frames);
                awaitFilm("a film in the same page", page);
                String ignored = again.sh("touch still");
                again.awaitFile("home/user/drawn");
                Chromium.awaitSame("the film's last picture", page, a, name);
            }
        }
    }

    /** Whenever a page comes, be it while the session stands still, it shows what there is to be seen. */
    @Test
    void pagesComeWhileSnapshotsAreTaken() throws Exception {
        String name = name("comers");
        a.create(name);
        AtomicBoolean enough = new AtomicBoolean();
        try (Running here = a.resume(name);
                ExecutorService executor = Executors.newSingleThreadExecutor()) {
            here.put(DRAW);
            draw(here, "film");
            awaitFilm(here);
            Future<?> snapshots = executor.submit(() -> {
                while (!enough.get()) {
                    here.snapshot();
                }
                return true;
            });
            try {
                for (int i = 0; i < 4; i++) {
                    try (Chromium browser = new Chromium()) {
                        awaitFilm(
                                "a film in page " + i,
                                browser.open(here.result().viewUrl()));
                    }
                }
            } finally {
                enough.set(true);
            }
            snapshots.get();
        }
    }

    @Test
    void theScreenIsResizedWhileAllOfItChanges() throws Exception {
        String name = name("resized");
        a.create(name);
        try (Chromium browser = new Chromium();
                Running here = a.resume(name)) {
            here.put(DRAW);
            Page page = browser.open(here.result().viewUrl());
            draw(here, "film");
            awaitFilm(here);
            page.mouse().move(500, 2);
            page.getByLabel("Screen size").first().click();
            page.locator("#modes input").last().check(new Locator.CheckOptions().setForce(true));
            for (int i = 0; i < 12; i++) {
                page.setViewportSize(600 + 40 * (i % 5), 500 + 10 * i);
                Eventually.pause(60L * (i % 3));
            }
            Eventually.holds(
                    60_000,
                    "a screen of the window's last size",
                    () -> here.sh("DISPLAY=:0 xdpyinfo").contains("dimensions:    640x610 pixels"));
            awaitFilm(here);
            String ignored = here.sh("touch still");
            here.awaitFile("home/user/drawn");
            Chromium.awaitSame("the screen of its last size", page, a, name);
        }
    }

    /** xclip gives it to one at a time: who asks while another does may wait in vain. */
    private static void awaitHugeClipboard(Running session) throws IOException {
        int[] seconds = {8};
        Eventually.holds(150_000, "50 MB in the session's clipboard", () -> {
            String bytes = session.sh(
                    "DISPLAY=:0 timeout " + seconds[0] + " xclip -selection clipboard -o 2>/dev/null | wc -c || true");
            seconds[0] = Math.min(60, 2 * seconds[0]); // a busy machine takes longer
            return bytes.strip().equals("50000000");
        });
    }

    /** Far too much to be copied to a viewer: that it is not there is all that happens. */
    @Test
    void aHugeClipboardHurtsNobody() throws Exception {
        String name = name("huge");
        a.create(name);
        try (Chromium browser = new Chromium();
                Running here = a.resume(name)) {
            Page page = browser.open(here.result().viewUrl());
            here.start("head -c 50000000 /dev/zero | tr '\\0' a | xclip -quiet -selection clipboard");
            awaitHugeClipboard(here);
            here.start("exec xterm -geometry 40x10+300+200 -bg '#00ff00'");
            Chromium.awaitSame("a new window", page, a, name);
            here.suspend();
        }
        try (Running again = a.resume(name)) {
            awaitHugeClipboard(again);
        }
    }
}
