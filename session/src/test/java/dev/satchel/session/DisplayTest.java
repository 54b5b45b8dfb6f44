package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;

import com.microsoft.playwright.Page;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** What becomes of a real session's display, and of what somebody does there in a real Chromium, when something goes wrong or changes. */
class DisplayTest extends LiveTest {
    private static final String LOG = "var/log/satchel/session.log";

    @Test
    void anXServerThatDiesTakesNothingButItsProgramsAlong() throws Exception {
        String name = name("xserver");
        a.create(name);
        try (Chromium browser = new Chromium();
                Running here = a.resume(name).startCounting()) {
            // Another one, of somebody's own; it is older than the one that is to come.
            here.start("exec Xvfb :5 -screen 0 320x200x24 -nolisten tcp");
            Page page = browser.open(here.result().viewUrl());
            Chromium.awaitSame("the desktop in the browser", page, a, name);
            // One of the desktop's own that does not notice.
            here.rootSh("echo 'setsid sleep 1234 &' >/usr/lib/satchel/desktop.d/60-deaf");
            Running.Count count = here.count();
            for (int i = 1; i <= 2; i++) {
                here.sh("pkill -KILL -fx 'Xvfb :0 .*'");
                int times = i;
                Eventually.holds(
                        60_000,
                        "a desktop that is up again",
                        () -> here.read(LOG).split("desktop is up again", -1).length == times + 1);
                here.awaitTerminal();
            }
            assertThat(here.sh("pgrep -xc openbox").strip()).isEqualTo("1");
            assertThat(here.sh("pgrep -fxc 'sleep 1234'").strip()).isEqualTo("1");
            assertThat(here.sh("pgrep -xc dbus-daemon").strip()).isEqualTo("1");
            assertThat(here.sh("grep -c . /proc/sysvipc/shm").strip())
                    .as("its memory")
                    .isEqualTo("2");
            count = here.assertGoesOnFrom(count);

            // The page goes on by itself.
            Chromium.awaitSame("the new desktop in the same page", page, a, name);
            here.start("exec xterm -geometry 60x20+10+10");
            Eventually.holds(
                    60_000,
                    "two terminals",
                    () -> here.sh("DISPLAY=:0 xdotool search --onlyvisible --class xterm | wc -l")
                            .strip()
                            .equals("2"));
            page.click("#screen", new Page.ClickOptions().setPosition(120, 120));
            page.keyboard().type("echo here >typed\n");
            here.awaitFile("home/user/typed");

            // So does a session whose X server won't live.
            Eventually.holds(60_000, "an X server that is given up", () -> {
                here.sh("pkill -KILL -fx 'Xvfb :0 .*' || true");
                return here.read(LOG).contains("it is not started again");
            });
            page.getByText(Pattern.compile("has no screen|display server ended"))
                    .waitFor();
            count = here.assertGoesOnFrom(count);
            here.suspend();
            try (Running again = a.resume(name)) {
                count = again.assertGoesOnFrom(count);
                again.stop();
            }
            try (Running booted = a.resume(name)) {
                assertThat(booted.result().booted()).isTrue();
                Chromium.awaitSame(
                        "the desktop after booting",
                        browser.open(booted.result().viewUrl()),
                        a,
                        name);
            }
        }
    }

    private static String pasted(Running session) throws IOException {
        return session.sh("DISPLAY=:0 timeout 10 xclip -selection clipboard -o || true");
    }

    private static void awaitPasted(Running session, String text) throws IOException {
        Eventually.holds(
                60_000, "'" + text + "' to be pasted", () -> pasted(session).equals(text));
    }

    @Test
    void whatWasCopiedIsThereAfterASnapshotAndASuspend() throws Exception {
        String name = name("copied");
        a.create(name);
        try (Chromium browser = new Chromium()) {
            try (Running here = a.resume(name)) {
                // Nobody looks.
                a.with(satchel -> {
                    satchel.setClipboard(name, "by command");
                    return true;
                });
                here.snapshot();
                awaitPasted(here, "by command");

                Page page = browser.open(here.result().viewUrl());
                Chromium.awaitSame("the desktop in the browser", page, a, name);
                page.context().grantPermissions(List.of("clipboard-read", "clipboard-write"));
                Object ignored = page.evaluate("navigator.clipboard.writeText('from here: ü')");
                page.click("#screen");
                page.keyboard().press("Control+v");
                awaitPasted(here, "from here: ü");
                here.snapshot();
                awaitPasted(here, "from here: ü");

                here.start("printf 'from inside: é' | xclip -quiet -selection clipboard");
                awaitTrue(page, "document.getElementById('clip').value === 'from inside: é'");
                page.click("#screen");
                awaitTrue(page, "navigator.clipboard.readText().then(text => text === 'from inside: é')");
                here.sh("pkill -x xclip");
                awaitPasted(here, "from inside: é");
                here.suspend();
            }
            try (Running there = b.resume(name)) {
                assertThat(b.<Optional<String>>with(satchel -> satchel.clipboard(name)))
                        .contains("from inside: é");
                assertThat(pasted(there)).isEqualTo("from inside: é");
                Page page = browser.open(there.result().viewUrl());
                awaitTrue(page, "document.getElementById('clip').value === 'from inside: é'");
            }
        }
    }

    /** Playwright's own waiting evaluates strings in the page, whose policy refuses that. */
    private static void awaitTrue(Page page, String expression) throws IOException {
        Eventually.holds(60_000, expression, () -> Boolean.TRUE.equals(page.evaluate(expression)));
    }

    /** A terminal that keeps the lines that are typed into it, over all of the screen. */
    private static void keepLines(Running session, Page page) throws IOException {
        session.awaitTerminal(); // the session's own, which would be on top
        session.start("LC_ALL=C.UTF-8 exec xterm -T keeping -geometry 100x40+0+0 -e sh -c 'cat >/home/user/typed'");
        session.awaitFile("home/user/typed");
        Eventually.holds(
                60_000,
                "a terminal that keeps lines",
                () -> !session.sh("DISPLAY=:0 xdotool search --onlyvisible --name '^keeping$' || true")
                        .isBlank());
        page.click("#screen", new Page.ClickOptions().setPosition(120, 120));
    }

    /** Whatever layout the session has. */
    @Test
    void whatIsTypedInTheBrowserArrives() throws Exception {
        String name = name("layout");
        a.create(name);
        try (Chromium browser = new Chromium();
                Running here = a.resume(name)) {
            Page page = browser.open(here.result().viewUrl());
            Chromium.awaitSame("the desktop in the browser", page, a, name);
            keepLines(here, page);
            String lines = "";
            for (String layout : List.of("us", "de", "fr", "ru", "us")) {
                here.sh("DISPLAY=:0 setxkbmap " + layout);
                String line = layout + ": zyZY qwaQWA 1!2\"3 @#{[]}|\\~ <>-_ ß€éю漢";
                page.keyboard().type(line + "\n");
                lines += line + "\n";
                String expected = lines;
                Eventually.holds(
                        60_000,
                        "what was typed with layout " + layout,
                        () -> here.read("home/user/typed").equals(expected));
            }
        }
    }

    /** Between a browser and a session; can stop to carry anything, and go on. */
    private static final class StallingLink implements AutoCloseable {
        private final ServerSocket listening = new ServerSocket(0, 16, InetAddress.getLoopbackAddress());
        private final List<Socket> sockets = new CopyOnWriteArrayList<>();
        private final int port;
        private volatile CountDownLatch open = new CountDownLatch(0);

        StallingLink(int port) throws IOException {
            this.port = port;
            Thread _ = Thread.ofVirtual().start(this::accept);
        }

        String link(URI to) {
            return "http://127.0.0.1:" + listening.getLocalPort() + "/?" + to.getQuery();
        }

        void stall() {
            open = new CountDownLatch(1);
        }

        void goOn() {
            open.countDown();
        }

        private void accept() {
            try {
                while (true) {
                    Socket here = listening.accept();
                    Socket there = new Socket(InetAddress.getLoopbackAddress(), port);
                    sockets.add(here);
                    sockets.add(there);
                    Thread _ = Thread.ofVirtual().start(() -> carry(here, there));
                    Thread _ = Thread.ofVirtual().start(() -> carry(there, here));
                }
            } catch (IOException e) {
                return; // closed
            }
        }

        private void carry(Socket from, Socket to) {
            byte[] buffer = new byte[16 << 10];
            try (from;
                    to) {
                for (int count = from.getInputStream().read(buffer);
                        count >= 0;
                        count = from.getInputStream().read(buffer)) {
                    open.await();
                    to.getOutputStream().write(buffer, 0, count);
                }
                open.await();
            } catch (IOException e) {
                return; // one of the two has gone
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        @Override
        public void close() throws IOException {
            goOn();
            listening.close();
            for (Socket socket : sockets) {
                socket.close();
            }
        }
    }

    @Test
    void aLinkThatStallsForMoreThanAMinuteGoesOn() throws Exception {
        String name = name("stalls");
        a.create(name);
        try (Chromium browser = new Chromium();
                Running here = a.resume(name).startCounting()) {
            URI direct = URI.create(here.result().viewUrl());
            try (StallingLink link = new StallingLink(direct.getPort())) {
                Page page = browser.open(link.link(direct));
                Chromium.awaitSame("the desktop in the browser", page, a, name);
                keepLines(here, page);
                page.keyboard().type("before\n");
                Eventually.holds(
                        60_000,
                        "what was typed before",
                        () -> here.read("home/user/typed").equals("before\n"));
                Running.Count count = here.count();
                link.stall();
                page.keyboard().type("during\n");
                // The server gives up whom it has not heard for a minute.
                Thread.sleep(65_000);
                link.goOn();
                here.start("exec xterm -geometry 20x5+300+200 -bg '#00ff00'");
                Chromium.awaitSame("the desktop after the stall", page, a, name);
                Running.Count ignored = here.assertGoesOnFrom(count);
                page.click("#screen", new Page.ClickOptions().setPosition(120, 120));
                page.keyboard().type("after\n");
                Eventually.holds(
                        60_000,
                        "what was typed after",
                        () -> here.read("home/user/typed").endsWith("after\n"));
                assertThat(here.read("home/user/typed")).isIn("before\nafter\n", "before\nduring\nafter\n");
            }
        }
    }
}
