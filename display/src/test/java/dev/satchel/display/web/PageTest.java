package dev.satchel.display.web;

import static dev.satchel.display.web.BrowserSession.awaitTrue;
import static org.assertj.core.api.Assertions.assertThat;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.Download;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.options.FilePayload;
import com.microsoft.playwright.options.WaitForSelectorState;
import dev.satchel.display.Command;
import dev.satchel.display.Rectangle;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The viewer's page in Chromium: its connection, its clipboard, its own controls. */
class PageTest {
    private BrowserSession session;

    @BeforeEach
    void start() throws IOException {
        session = new BrowserSession();
    }

    @AfterEach
    void end() throws IOException {
        session.close();
    }

    private static void showToolbar(Page page) {
        page.evaluate("document.getElementById('handle').click()");
        awaitTrue(page, "!document.getElementById('bar').inert");
    }

    private static String drawnText(Page page, String id) {
        return page.textContent("#" + id);
    }

    // ---- The connection

    @Test
    void connectsAgainAndGoesOn() {
        Page page = session.open();
        session.relay.cut();
        page.waitForSelector("#pill");
        assertThat(drawnText(page, "pill")).contains("Reconnecting");
        assertThat(page.isVisible("#overlay")).isFalse();
        session.relay.mend();
        page.waitForSelector("#pill", new Page.WaitForSelectorOptions().setState(WaitForSelectorState.HIDDEN));
        session.screen().fill(new Rectangle(0, 0, 640, 480), 0x224466);
        page.keyboard().press("k");
        session.assertTyped("press 6b", "release 6b");
        awaitTrue(page, """
                () => {
                  const pixel = document.getElementById('screen').getContext('2d').getImageData(300, 200, 1, 1).data;
                  return pixel[0] === 0x22 && pixel[1] === 0x44 && pixel[2] === 0x66;
                }""");
    }

    /** As when a computer gets another network: the server goes on believing in the old connection. */
    @Test
    void aPageThatComesAgainTakesTheStreamsPlaceThatItGaveUp() {
        Page page = session.open();
        Page other = session.open();
        showToolbar(page);
        page.click("#alone");
        awaitTrue(other, "document.getElementById('state-text').textContent === 'Running · looking on'");
        page.bringToFront();
        page.keyboard().press("Escape");
        page.keyboard().down("Control");
        session.assertTyped("press ffe3");
        assertThat(session.server.viewers()).isEqualTo(2);
        session.relay.lose();
        session.assertTyped("press ffe3", "release ffe3");
        awaitTrue(page, "document.getElementById('state-text').textContent === 'Running'");
        awaitTrue(page, "document.getElementById('alone').getAttribute('aria-pressed') === 'true'");
        awaitTrue(other, "document.getElementById('state-text').textContent === 'Running · looking on'");
        page.keyboard().up("Control");
        page.keyboard().press("k");
        session.assertTyped("press ffe3", "release ffe3", "press 6b", "release 6b");
        BrowserSession.await(() -> session.server.viewers() == 2);
        assertThat(session.server.viewers()).isEqualTo(2);
    }

    /** For so long that the page gives the connection up, and so does the server. */
    @Test
    void aLinkThatStalledIsTakenUpAgain() {
        Page page = session.open();
        page.setDefaultTimeout(60_000);
        session.relay.stall();
        session.screen().fill(new Rectangle(0, 0, 640, 480), 0x101010);
        page.waitForSelector("#pill");
        assertThat(drawnText(page, "pill")).contains("onnecting");
        session.relay.mend();
        page.waitForSelector("#pill", new Page.WaitForSelectorOptions().setState(WaitForSelectorState.HIDDEN));
        session.screen().fill(new Rectangle(0, 0, 640, 480), 0x224466);
        awaitTrue(page, """
                () => {
                  const pixel = document.getElementById('screen').getContext('2d').getImageData(300, 200, 1, 1).data;
                  return pixel[0] === 0x22 && pixel[1] === 0x44 && pixel[2] === 0x66;
                }""");
        page.keyboard().press("k");
        session.assertTyped("press 6b", "release 6b");
    }

    @Test
    void saysThatTheSessionIsSuspended() {
        Page page = session.open();
        session.server.tellState(ViewerServer.STATE_SUSPENDING, "");
        page.waitForSelector("#pill >> text=Suspending");
        session.server.tellState(ViewerServer.STATE_SUSPENDED, "Frozen for 0.4 s.");
        page.waitForSelector("#overlay");
        assertThat(drawnText(page, "overlay-title")).isEqualTo("Suspended");
        assertThat(drawnText(page, "overlay-text")).isEqualTo("Frozen for 0.4 s.");
        assertThat(drawnText(page, "overlay-facts")).contains("desk").contains("debian");
        session.relay.cut();
        page.waitForTimeout(1_200);
        assertThat(page.isVisible("#overlay")).isTrue();
        assertThat(page.isVisible("#pill")).isFalse();
        session.relay.mend();
        session.server.tellState(ViewerServer.STATE_RUNNING, "");
        page.waitForSelector("#overlay", new Page.WaitForSelectorOptions().setState(WaitForSelectorState.HIDDEN));
    }

    @Test
    void resumesWhereTheServerCan() {
        Page page = session.open();
        session.server.tellState(ViewerServer.STATE_SUSPENDED, "");
        page.waitForSelector("#overlay-action");
        page.keyboard().press("Enter");
        BrowserSession.await(() -> session.requests.contains("POST resume"));
        assertThat(session.requests).contains("POST resume");
        assertThat(page.isVisible("#overlay-command")).isFalse();
        session.server.tellState(ViewerServer.STATE_RUNNING, "");
        page.waitForSelector("#overlay", new Page.WaitForSelectorOptions().setState(WaitForSelectorState.HIDDEN));
        page.keyboard().press("k");
        session.assertTyped("press 6b", "release 6b");
    }

    @Test
    void saysWhyItCouldNotBeResumed() {
        session.resume = Api.Response.json(409, "{\"error\":\"'desk' runs on host 'b': suspend it there\"}");
        Page page = session.open();
        session.server.tellState(ViewerServer.STATE_SUSPENDED, "");
        page.click("#overlay-action");
        page.waitForSelector("#overlay-problem >> text='desk' runs on host 'b': suspend it there");
        assertThat(page.isEnabled("#overlay-action")).isTrue();
        session.server.tellState(ViewerServer.STATE_RESUMING, "");
        page.waitForSelector("#overlay-title >> text=Resuming");
        assertThat(page.isVisible("#overlay-action")).isFalse();
        session.server.tellState(ViewerServer.STATE_RUNNING, "");
        page.waitForSelector("#overlay", new Page.WaitForSelectorOptions().setState(WaitForSelectorState.HIDDEN));
        session.errors.removeIf(error -> error.contains("409"));
    }

    /** As a doorkeeper has it: nothing is shown, and who comes is told so at once. */
    @Test
    void comesToASessionThatIsSuspended() throws Exception {
        try (ViewerServer suspended = new ViewerServer(
                ViewerServer.Settings.loopback("desk"),
                () -> {
                    throw new IOException("it is suspended");
                },
                request -> Api.Response.json(
                        200, "{\"name\":\"desk\",\"actions\":" + (request.control() ? "[\"resume\"]" : "[]") + "}"))) {
            suspended.tellState(ViewerServer.STATE_SUSPENDED, "");
            Page page = session.page();
            page.navigate(suspended.link(true));
            page.waitForSelector("#overlay-action >> text=Resume");
            assertThat(drawnText(page, "overlay-title")).isEqualTo("Suspended");
            Page looks = session.page();
            looks.navigate(suspended.link(false));
            looks.waitForSelector("#overlay-command >> text=satchel resume desk");
            assertThat(looks.isVisible("#overlay-action")).isFalse();
        }
    }

    @Test
    void saysHowToResumeWhereTheServerCannot() {
        session.actions = "[\"suspend\"]";
        Page page = session.open();
        session.server.tellState(ViewerServer.STATE_SUSPENDED, "");
        page.waitForSelector("#overlay");
        assertThat(page.isVisible("#overlay-action")).isFalse();
        assertThat(drawnText(page, "overlay-command")).isEqualTo("satchel resume desk");
    }

    @Test
    void saysThatTheLinkHasEnded() {
        Page page = session.open();
        session.relay.cut();
        page.context().clearCookies();
        session.relay.mend();
        page.waitForSelector("#overlay >> text=This link has ended");
        assertThat(drawnText(page, "overlay-command")).isEqualTo("satchel view desk");
        awaitTrue(page, "document.querySelector('#overlay-icon use').getBBox().width > 0");
    }

    @Test
    void everyIconIsThere() {
        Page page = session.open();
        assertThat(page.evaluate("[...document.querySelectorAll('use')].map(use => use.getAttribute('href'))"
                        + ".filter(href => !document.querySelector(href))"))
                .isEqualTo(List.of());
    }

    /** Whether the session, or the page for it, takes a key that browsers load pages again with. */
    private static boolean takesKeys(Page page) {
        page.evaluate("addEventListener('keydown', event => (globalThis.taken = event.defaultPrevented))");
        page.keyboard().press("F5");
        return (boolean) page.evaluate("taken");
    }

    @Test
    void keysAreTheBrowsersWhereThereIsNoSession() {
        Page page = session.open();
        page.waitForSelector("#top.away", new Page.WaitForSelectorOptions().setState(WaitForSelectorState.ATTACHED));
        assertThat(takesKeys(page)).isTrue();
        // It is over soon, and what is pressed meanwhile was meant for the session.
        session.server.tellState(ViewerServer.STATE_SUSPENDING, "");
        page.waitForSelector("#pill >> text=Suspending");
        assertThat(takesKeys(page)).isTrue();
        session.server.tellState(ViewerServer.STATE_STOPPED, "");
        page.waitForSelector("#overlay >> text=Stopped");
        assertThat(takesKeys(page)).isFalse();
        assertThat(page.evaluate("[stage.inert, keys.inert, document.activeElement.id]"))
                .isEqualTo(List.of(true, true, "overlay"));
        page.keyboard().press("Control+Alt+Shift");
        awaitTrue(page, "document.getElementById('bar').contains(document.activeElement)");
        page.keyboard().press("Escape");
        awaitTrue(page, "document.activeElement.id === 'overlay'");
        session.server.tellState(ViewerServer.STATE_RUNNING, "");
        awaitTrue(page, "document.activeElement.id === 'keys'");
        page.keyboard().press("k");
        BrowserSession.await(() -> session.input(List.of("release ")).getLast().equals("release 6b"));
        session.relay.cut();
        page.waitForSelector("#pill >> text=Reconnecting");
        assertThat(takesKeys(page)).isFalse();
        page.context().clearCookies();
        session.relay.mend();
        page.waitForSelector("#overlay >> text=This link has ended");
        assertThat(takesKeys(page)).isFalse();
    }

    @Test
    void theToolbarIsReachedByKeyboardWithoutControl() {
        Page one = session.open();
        Page looks = session.open(new Browser.NewContextOptions().setViewportSize(800, 600), false);
        looks.keyboard().press("Control+Alt+Shift");
        awaitTrue(looks, "document.getElementById('bar').contains(document.activeElement)");
        Page other = session.open();
        showToolbar(other);
        other.click("#alone");
        awaitTrue(one, "document.getElementById('state-text').textContent === 'Running · looking on'");
        one.bringToFront();
        one.keyboard().press("Control+Alt+Shift");
        awaitTrue(one, "document.getElementById('bar').contains(document.activeElement)");
        assertThat(session.input(List.of("press "))).isEmpty();
    }

    @Test
    void survivesALostDisplay() {
        Page page = session.open();
        session.screenless = true;
        session.screen().end();
        page.waitForSelector("#pill >> text=ended");
        session.screenless = false;
        page.waitForSelector("#pill", new Page.WaitForSelectorOptions().setState(WaitForSelectorState.HIDDEN));
        BrowserSession.await(() -> session.screens() == 2);
        page.keyboard().press("k");
        session.assertTyped("press 6b", "release 6b");
    }

    @Test
    void nonsenseFromTheServerEndsTheConnectionAndIsTriedAgainEverMoreSeldom() throws IOException {
        AtomicBoolean nonsense = new AtomicBoolean();
        AtomicInteger encodings = new AtomicInteger();
        session.close();
        session = new BrowserSession(() -> new CommandEncoder() {
            @Override
            public byte[] encode(Command command) {
                if (!nonsense.get()) {
                    return fill();
                }
                encodings.incrementAndGet();
                return new byte[] {99, 1, 2, 3};
            }

            @Override
            public void close() {}
        });
        Page page = session.open();
        List<String> exceptions = new ArrayList<>();
        page.onPageError(exceptions::add);
        nonsense.set(true);
        session.screen().fill(new Rectangle(0, 0, 10, 10), 0x10203);
        page.waitForSelector("#pill >> text=Reconnecting");
        page.waitForTimeout(4_000);
        assertThat(exceptions).isEmpty();
        // Each attempt costs the server the commands of one whole picture.
        int commandsOfPicture = 8;
        assertThat(encodings.get()).isBetween(commandsOfPicture, 10 * commandsOfPicture);
        nonsense.set(false);
        page.waitForSelector("#pill", new Page.WaitForSelectorOptions().setState(WaitForSelectorState.HIDDEN));
    }

    private static byte[] fill() {
        return new byte[] {2, 0, 0, 0, 0, (byte) 0x80, 2, (byte) 0xe0, 1, 1, 2, 3};
    }

    @Test
    void theBellIsSeen() {
        Page page = session.open();
        session.screen().ring();
        awaitTrue(page, "document.body.classList.contains('bell')");
    }

    // ---- The clipboard

    @Test
    void textOfTheSessionComesToThisComputer() {
        Page page = session.open();
        page.context().grantPermissions(List.of("clipboard-read", "clipboard-write"));
        session.screen().offerClipboard("grüße from the session");
        awaitTrue(page, "navigator.clipboard.readText().then(text => text === 'grüße from the session')");
        showToolbar(page);
        page.click("[data-panel=panel-clipboard]");
        assertThat(page.inputValue("#clip")).isEqualTo("grüße from the session");
    }

    /** Who comes has something to paste, perhaps. */
    @Test
    void textThatWasThereBeforeLeavesThisComputersAlone() {
        Page first = session.open();
        session.screen().offerClipboard("copied before");
        awaitTrue(first, "document.getElementById('clip').value === 'copied before'");
        Page page = session.open();
        page.evaluate("() => { window.written = [];"
                + " navigator.clipboard.writeText = async text => void window.written.push(text); }");
        awaitTrue(page, "document.getElementById('clip').value === 'copied before'");
        page.click("#screen");
        session.screen().offerClipboard("copied now");
        awaitTrue(page, "document.getElementById('clip').value === 'copied now'");
        page.click("#screen");
        awaitTrue(page, "window.written.length > 0");
        assertThat(page.evaluate("window.written")).isEqualTo(List.of("copied now"));
    }

    @Test
    void textOfThePanelGoesToTheSession() {
        Page page = session.open();
        showToolbar(page);
        page.click("[data-panel=panel-clipboard]");
        page.fill("#clip", "typed into the panel");
        page.click("#clip-send");
        BrowserSession.await(() -> session.screen().clipboard(100).equals("typed into the panel"));
        assertThat(session.screen().clipboard(100)).isEqualTo("typed into the panel");
    }

    @Test
    void textThatIsTooLongIsRefusedInWords() {
        Page page = session.open();
        showToolbar(page);
        page.click("[data-panel=panel-clipboard]");
        page.evaluate("document.getElementById('clip').value = 'x'.repeat(1 << 20)");
        page.click("#clip-send");
        page.waitForSelector(".toast.problem >> text=1 MiB");
        assertThat(session.screen().clipboard(100)).isEmpty();
        // One byte less is not.
        page.evaluate("document.getElementById('clip').value = 'x'.repeat((1 << 20) - 1)");
        page.click("#clip-send");
        BrowserSession.await(() -> session.screen().clipboard(100).length() == (1 << 20) - 1);
        assertThat(session.screen().clipboard(100)).hasSize((1 << 20) - 1);
    }

    // ---- The controls

    @Test
    void onlyWhatTheServerOffersIsThere() {
        session.actions = "[\"snapshot\",\"fetch-file\"]";
        Page page = session.open();
        showToolbar(page);
        page.waitForSelector("#snapshot");
        for (String hidden : List.of("panel-history", "panel-fork", "panel-suspend")) {
            assertThat(page.isVisible("[data-panel=" + hidden + "]")).as(hidden).isFalse();
        }
        page.click("[data-panel=panel-files]");
        assertThat(page.isVisible("#drop")).isFalse();
        assertThat(page.isVisible("#path")).isTrue();
    }

    @Test
    void toolbarByKeyboardAlone() {
        Page page = session.open(new Browser.NewContextOptions().setViewportSize(1000, 600));
        page.keyboard().press("Control+Alt+Shift");
        awaitTrue(page, "document.activeElement.id === 'quality'");
        page.waitForSelector("#snapshot");
        List<String> names = new ArrayList<>();
        for (int i = 0; i < 13; i++) {
            names.add((String) page.evaluate("document.activeElement.getAttribute('aria-label').split(':')[0]"));
            page.keyboard().press("ArrowRight");
        }
        assertThat(names)
                .containsExactly(
                        "Connection",
                        "Screen size",
                        "Keys",
                        "Control alone",
                        "Clipboard",
                        "Files",
                        "Snapshot",
                        "History",
                        "Fork",
                        "Suspend",
                        "Full screen",
                        "Keep the toolbar",
                        "Help");
        // Round to the first; a panel, and something in it; back to its button; back to the session.
        page.keyboard().press("ArrowRight");
        page.keyboard().press("Enter");
        awaitTrue(page, "document.activeElement.name === 'mode'");
        page.keyboard().press("ArrowDown");
        assertThat((boolean) page.evaluate("document.querySelector('[value=actual]').checked"))
                .isTrue();
        page.keyboard().press("Escape");
        awaitTrue(page, "document.activeElement.dataset.panel === 'panel-screen'");
        page.keyboard().press("Escape");
        awaitTrue(page, "document.activeElement.id === 'keys'");
        page.keyboard().press("g");
        BrowserSession.await(() -> session.screen().input().contains("release 67"));
        assertThat(session.input(List.of("press ")).getLast()).isEqualTo("press 67");
    }

    @Test
    void everyControlHasAName() {
        Page page = session.open();
        Object nameless = page.evaluate("""
                () => [...document.querySelectorAll('button, input, textarea, [role=dialog], [role=toolbar]')]
                  .filter(e => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length || e.getAttribute('aria-labelledby')))
                  .map(e => e.outerHTML)""");
        assertThat(nameless).isEqualTo(List.of());
    }

    @Test
    void historyHasPicturesAndForks() {
        Page page = session.open();
        showToolbar(page);
        page.click("[data-panel=panel-history]");
        page.waitForSelector("#snapshots li");
        assertThat(page.locator("#snapshots li b").allTextContents().getFirst()).isEqualTo("<b>mine</b>");
        assertThat(page.locator("#snapshots li").allTextContents().getLast()).contains("1.0\u00a0kB\u00a0new");
        BrowserSession.await(() -> session.requests.contains("GET history/s1/thumbnail"));
        assertThat(session.requests).contains("GET history/s1/thumbnail").doesNotContain("GET history/s2/thumbnail");
        assertThat(page.locator("#snapshots .windows").allTextContents()).containsExactly("Letter · <i>Mail</i>");
        page.click("#snapshots li:last-child >> text=Fork from here");
        page.fill("#fork-name", "second");
        page.click("#fork .main");
        page.waitForSelector(".toast.problem >> text=there is a session of that name");
        assertThat(session.requests).contains("POST fork {\"name\":\"second\",\"snapshot\":\"s1\"}");
    }

    private static Page askToGoBack(BrowserSession session) {
        Page page = session.open();
        showToolbar(page);
        page.click("[data-panel=panel-history]");
        page.click("#snapshots li:last-child >> text=Go back to this");
        page.waitForSelector("#panel-back");
        return page;
    }

    @Test
    void goesBackToASnapshot() {
        Page page = askToGoBack(session);
        assertThat(drawnText(page, "back-what")).contains("its programs, and all of its files");
        awaitTrue(page, "document.activeElement.id === 'back-not'");
        page.keyboard().press("Tab");
        page.keyboard().press("Enter");
        BrowserSession.await(() -> session.requests.contains("POST suspend"));
        // Not before who answers can do it.
        session.server.tellState(ViewerServer.STATE_SUSPENDING, "");
        page.waitForSelector("#pill >> text=Suspending");
        assertThat(session.requests).contains("POST suspend").noneMatch(request -> request.startsWith("POST resume"));
        session.server.tellState(ViewerServer.STATE_SUSPENDED, "");
        BrowserSession.await(() -> session.requests.contains("POST resume {\"at\":\"s1\"}"));
        session.server.tellState(ViewerServer.STATE_RESUMING, "It goes back to an earlier instant.");
        page.waitForSelector("#overlay-text >> text=It goes back to an earlier instant.");
        session.server.tellState(ViewerServer.STATE_RUNNING, "");
        page.waitForSelector("#overlay", new Page.WaitForSelectorOptions().setState(WaitForSelectorState.HIDDEN));
        page.keyboard().press("k");
        session.assertTyped("press 6b", "release 6b");
        // What is suspended later stays so.
        session.server.tellState(ViewerServer.STATE_SUSPENDED, "");
        page.click("#overlay-action");
        BrowserSession.await(() -> session.requests.contains("POST resume"));
        assertThat(session.requests.stream().filter(request -> request.startsWith("POST")))
                .containsExactly("POST suspend", "POST resume {\"at\":\"s1\"}", "POST resume");
    }

    @Test
    void aSessionThatCannotBeSuspendedDoesNotGoBackLater() {
        session.suspend = Api.Response.json(500, "{\"error\":\"the vault's device is full: make room\"}");
        Page page = askToGoBack(session);
        page.click("#back");
        page.waitForSelector(".toast.problem >> text=the vault's device is full");
        assertThat(page.isVisible("#panel-back")).isTrue();
        page.keyboard().press("Escape");
        awaitTrue(page, "document.activeElement.dataset.panel === 'panel-history'");
        session.server.tellState(ViewerServer.STATE_SUSPENDED, "");
        page.click("#overlay-action");
        BrowserSession.await(() -> session.requests.contains("POST resume"));
        assertThat(session.requests).contains("POST resume").noneMatch(request -> request.contains("\"at\""));
    }

    /** Nobody heard that it was to be suspended; it is not taken back when that happens at another time. */
    @Test
    void aWishThatDidNotArriveIsForgotten() {
        Page page = askToGoBack(session);
        session.relay.cut();
        page.click("#back");
        page.waitForSelector("#pill >> text=Reconnecting");
        session.relay.mend();
        page.waitForSelector("#pill", new Page.WaitForSelectorOptions().setState(WaitForSelectorState.HIDDEN));
        session.server.tellState(ViewerServer.STATE_SUSPENDED, "");
        page.click("#overlay-action");
        BrowserSession.await(() -> session.requests.contains("POST resume"));
        assertThat(session.requests).contains("POST resume").noneMatch(request -> request.contains("\"at\""));
    }

    @Test
    void saysHowToGoBackWhereNobodyCan() {
        session.actions = "[\"suspend\",\"history\"]";
        Page page = askToGoBack(session);
        page.click("#back");
        BrowserSession.await(() -> session.requests.contains("POST suspend"));
        session.server.tellState(ViewerServer.STATE_SUSPENDED, "");
        page.waitForSelector("#overlay");
        assertThat(drawnText(page, "overlay-command")).isEqualTo("satchel resume desk --at s1");
        assertThat(page.isVisible("#overlay-action")).isFalse();
    }

    @Test
    void saysThatProgramsWereNotKept() {
        Page page = askToGoBack(session);
        page.click("#back-not");
        page.waitForSelector("#panel-history");
        awaitTrue(page, "document.activeElement.getAttribute('aria-label')?.startsWith('Go back to this: ')");
        page.keyboard().press("ArrowUp");
        page.keyboard().press("Enter");
        page.waitForSelector("#back-what >> text=boots: no programs were kept then");
        assertThat(drawnText(page, "back-what")).contains("at “<b>mine</b>”, ");
        assertThat(session.requests).noneMatch(request -> request.startsWith("POST"));
    }

    @Test
    void whoMayOnlyLookSeesHistoryAndNoMore() {
        session.actions = "[\"history\"]";
        Page page = session.open(new Browser.NewContextOptions().setViewportSize(800, 300), false);
        page.keyboard().press("Control+Alt+Shift");
        page.waitForSelector("[data-panel=panel-history]");
        page.focus("[data-panel=panel-history]");
        page.keyboard().press("Enter");
        page.waitForSelector("#snapshots li");
        assertThat(page.locator("#snapshots button").count()).isZero();
        // It can be scrolled all the same.
        awaitTrue(page, "document.activeElement.id === 'snapshots'");
    }

    @Test
    void aLongHistoryIsWalkedThroughByKeyboardAndItsPicturesComeWhenTheyAreSeen() {
        StringBuilder snapshots = new StringBuilder();
        for (int i = 0; i < 200; i++) {
            snapshots
                    .append(i == 0 ? "" : ",")
                    .append("{\"snapshot\":\"n")
                    .append(i)
                    .append("\",\"created\":\"2026-11-")
                    .append(i < 100 ? "20T" : "19T")
                    .append(String.format(Locale.ROOT, "%02d:%02d", 20 - i % 100 / 10, 50 - i % 10))
                    .append(":00Z\",\"kind\":\"auto\",\"bytes_new\":1000,\"checkpoint\":true,\"thumbnail\":true}");
        }
        session.history = "{\"snapshots\":[" + snapshots + "]}";
        Page page = session.open();
        page.keyboard().press("Control+Alt+Shift");
        page.waitForSelector("[data-panel=panel-history]");
        page.focus("[data-panel=panel-history]");
        page.keyboard().press("Enter");
        page.waitForSelector("#snapshots li");
        // It came after the panel, and the keyboard is in it.
        awaitTrue(page, "document.activeElement.closest('li') === document.querySelector('#snapshots li')");
        assertThat(page.locator("#snapshots li").count()).isEqualTo(200);
        BrowserSession.await(() -> session.requests.contains("GET history/n0/thumbnail"));
        assertThat(session.requests.stream().filter(request -> request.endsWith("/thumbnail")))
                .contains("GET history/n0/thumbnail")
                .hasSizeLessThan(60);
        page.keyboard().press("Tab");
        page.keyboard().press("End");
        awaitTrue(page, "document.activeElement.textContent === 'Fork from here'");
        awaitTrue(page, """
                () => {
                  const row = document.activeElement.closest('li');
                  const panel = document.getElementById('panel-history').getBoundingClientRect();
                  const button = document.activeElement.getBoundingClientRect();
                  return row === document.querySelector('#snapshots li:last-child') && button.top >= panel.top && button.bottom <= panel.bottom;
                }""");
        BrowserSession.await(() -> session.requests.contains("GET history/n199/thumbnail"));
        assertThat(session.requests)
                .contains("GET history/n199/thumbnail")
                .doesNotContain("GET history/n100/thumbnail");
        page.keyboard().press("ArrowUp");
        page.keyboard().press("Shift+Tab");
        page.keyboard().press("Enter");
        page.waitForSelector("#panel-back");
        page.keyboard().press("Enter");
        // Where it was left.
        awaitTrue(
                page,
                "document.activeElement.closest('li') === document.querySelector('#snapshots li:nth-child(199)')");
        page.keyboard().press("Home");
        awaitTrue(page, "document.activeElement.closest('li') === document.querySelector('#snapshots li')");
        page.keyboard().press("Escape");
        awaitTrue(page, "document.activeElement.dataset.panel === 'panel-history'");
    }

    @Test
    void suspendsAndTakesSnapshots() {
        Page page = session.open();
        showToolbar(page);
        page.click("#snapshot");
        page.waitForSelector(".toast >> text=Snapshot made");
        page.click("[data-panel=panel-suspend]");
        page.click("#suspend");
        BrowserSession.await(() -> session.requests.contains("POST suspend"));
        assertThat(session.requests).containsExactly("POST snapshot", "POST suspend");
    }

    @Test
    void filesGoInAndCome() throws IOException {
        Page page = session.open();
        showToolbar(page);
        page.click("[data-panel=panel-files]");
        page.setInputFiles(
                "#file", new FilePayload("a b.txt", "text/plain", "content".getBytes(StandardCharsets.UTF_8)));
        page.waitForSelector(".toast >> text=Downloads");
        assertThat(session.requests).contains("POST files " + Map.of("name", "a b.txt") + " content");
        page.fill("#path", "nothing.txt");
        page.click("#fetch .main");
        page.waitForSelector(".toast.problem >> text=nothing.txt");
        page.fill("#path", "notes.txt");
        Download download = page.waitForDownload(() -> page.click("#fetch .main"));
        assertThat(download.suggestedFilename()).isEqualTo("notes.txt");
        assertThat(Files.readString(download.path())).isEqualTo("notes");
    }

    @Test
    void oneTakesControlAndGivesItBack() {
        Page one = session.open();
        Page other = session.open();
        Page looks = session.open(new Browser.NewContextOptions().setViewportSize(800, 600), false);
        showToolbar(looks);
        assertThat(looks.isVisible("#alone")).isFalse();
        other.bringToFront();
        other.keyboard().down("o");
        session.assertTyped("press 6f");
        showToolbar(one);
        one.click("#alone");
        // What the other one held down is released.
        session.assertTyped("press 6f", "release 6f");
        awaitTrue(one, "document.getElementById('alone').getAttribute('aria-pressed') === 'true'");
        awaitTrue(other, "document.getElementById('state-text').textContent === 'Running · looking on'");
        other.keyboard().up("o");
        other.keyboard().press("x");
        one.keyboard().press("Escape");
        one.keyboard().press("k");
        session.assertTyped("press 6f", "release 6f", "press 6b", "release 6b");
        showToolbar(other);
        other.click("[aria-label='Take control']");
        awaitTrue(one, "document.getElementById('state-text').textContent === 'Running · looking on'");
        // Who has it goes: all have it again.
        other.close();
        awaitTrue(one, "document.getElementById('state-text').textContent === 'Running'");
        one.keyboard().press("k");
        session.assertTyped("press 6f", "release 6f", "press 6b", "release 6b", "press 6b", "release 6b");
    }

    @Test
    void filesAreFoundWithTheKeyboardAlone() {
        Page page = session.open();
        showToolbar(page);
        page.click("[data-panel=panel-files]");
        page.waitForSelector("#entries >> text=Documents");
        assertThat(page.locator("#entries .title").allTextContents())
                .containsExactly("Up", "Documents", "b<i>.txt", "pipe");
        page.focus("#fetch .main");
        page.keyboard().press("Tab");
        page.keyboard().press("d");
        page.keyboard().press("Enter");
        page.waitForSelector("#entries >> text=notes.txt");
        assertThat(page.inputValue("#path")).isEqualTo("Documents/");
        page.keyboard().press("End");
        Download download = page.waitForDownload(() -> page.keyboard().press("Enter"));
        assertThat(download.suggestedFilename()).isEqualTo("notes.txt");
        page.keyboard().press("Backspace");
        page.waitForSelector("#entries >> text=Documents");
        // Keys that are pressed here are not the session's.
        assertThat(session.input(List.of("press "))).isEmpty();
    }

    @Test
    void aFileThatIsTooLargeIsNotSent() {
        Page page = session.open();
        showToolbar(page);
        page.click("[data-panel=panel-files]");
        page.setInputFiles("#file", new FilePayload("large", "text/plain", new byte[1001]));
        page.waitForSelector("#uploads .failed >> text=there is room for");
        assertThat(session.requests).noneMatch(request -> request.startsWith("POST files"));
    }

    @Test
    void fullScreenKeepsTheKeyboard() {
        Page page = session.page();
        page.addInitScript("""
                globalThis.asked = [];
                for (const name of ['lock', 'unlock']) {
                  const real = Keyboard.prototype[name];
                  Keyboard.prototype[name] = function (...keys) {
                    asked.push([name, ...keys, document.fullscreenElement !== null].join(' '));
                    return real.apply(this, keys);
                  };
                }""");
        session.open(page, true);
        showToolbar(page);
        page.click("#full");
        awaitTrue(page, "document.fullscreenElement !== null");
        awaitTrue(page, "document.getElementById('full').ariaLabel === 'Leave full screen'");
        awaitTrue(page, "document.activeElement.id === 'keys'");
        page.keyboard().press("f");
        session.assertTyped("press 66", "release 66");
        assertThat(page.evaluate("asked")).isEqualTo(List.of("lock true"));
        showToolbar(page);
        page.click("#full");
        awaitTrue(page, "document.fullscreenElement === null");
        awaitTrue(page, "asked.length > 1");
        assertThat(page.evaluate("asked")).isEqualTo(List.of("lock true", "unlock false"));
    }

    @Test
    void toolbarLeavesByItselfAndComesAtTheEdge() {
        Page page = session.open();
        page.mouse().move(400, 300);
        page.waitForSelector("#top.away", new Page.WaitForSelectorOptions().setState(WaitForSelectorState.ATTACHED));
        page.mouse().move(400, 2);
        awaitTrue(page, "!document.getElementById('top').classList.contains('away')");
    }
}
