package dev.satchel.display.web;

import static dev.satchel.display.web.BrowserSession.awaitTrue;
import static dev.satchel.display.web.BrowserSession.json;
import static org.assertj.core.api.Assertions.assertThat;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.CDPSession;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.options.WaitForSelectorState;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** {@code web/viewer/keyboard.js} in Chromium: what is typed there arrives as X11's keysyms. */
class TypingTest {
    private static final int ALT = 1;
    private static final int CONTROL = 2;

    private BrowserSession session;

    @BeforeEach
    void start() throws IOException {
        session = new BrowserSession();
    }

    @AfterEach
    void end() throws IOException {
        assertThat(session.errors).isEmpty();
        session.close();
    }

    /** As Chromium gets it from the system. */
    private static void key(CDPSession tools, boolean down, String key, String code, int location, int modifiers) {
        boolean text = key.codePointCount(0, key.length()) == 1;
        var event = json(
                "type",
                down ? (text ? "keyDown" : "rawKeyDown") : "keyUp",
                "key",
                key,
                "code",
                code,
                "location",
                location,
                "isKeypad",
                location == 3,
                "modifiers",
                modifiers);
        if (text && down) {
            event.addProperty("text", key);
        }
        tools.send("Input.dispatchKeyEvent", event);
    }

    private static void stroke(CDPSession tools, String key, String code) {
        key(tools, true, key, code, 0, 0);
        key(tools, false, key, code, 0, 0);
    }

    @Test
    void lettersAndShift() {
        Page page = session.open();
        page.keyboard().press("a");
        page.keyboard().press("Shift+B");
        page.keyboard().press("Enter");
        page.keyboard().press("F11");
        page.keyboard().press("ArrowLeft");
        session.assertTyped(
                "press 61",
                "release 61", // a
                "press ffe1",
                "press 42",
                "release 42",
                "release ffe1", // Shift, B
                "press ff0d",
                "release ff0d", // Return
                "press ffc8",
                "release ffc8", // F11
                "press ff51",
                "release ff51"); // Left
    }

    @Test
    void modifiersBySide() {
        Page page = session.open();
        for (String key : List.of("ShiftRight", "ControlRight", "AltRight", "MetaLeft", "MetaRight", "ControlLeft")) {
            page.keyboard().press(key);
        }
        session.assertTyped(
                "press ffe2",
                "release ffe2",
                "press ffe4",
                "release ffe4",
                "press ffea",
                "release ffea",
                "press ffeb",
                "release ffeb",
                "press ffec",
                "release ffec",
                "press ffe3",
                "release ffe3");
    }

    @Test
    void numericPad() {
        CDPSession tools = BrowserSession.devTools(session.open());
        for (String[] pair : new String[][] {
            {"7", "Numpad7"}, {"Home", "Numpad7"}, {",", "NumpadDecimal"}, {"+", "NumpadAdd"}, {"Enter", "NumpadEnter"}
        }) {
            key(tools, true, pair[0], pair[1], 3, 0);
            key(tools, false, pair[0], pair[1], 3, 0);
        }
        session.assertTyped(
                "press ffb7",
                "release ffb7",
                "press ff95",
                "release ff95",
                "press ffac",
                "release ffac",
                "press ffab",
                "release ffab",
                "press ff8d",
                "release ff8d");
    }

    @Test
    void locksStayHere() {
        CDPSession tools = BrowserSession.devTools(session.open());
        stroke(tools, "CapsLock", "CapsLock");
        stroke(tools, "NumLock", "NumLock");
        stroke(tools, "A", "KeyA");
        session.assertTyped("press 41", "release 41");
    }

    @Test
    void lettersOfOtherLayouts() {
        CDPSession tools = BrowserSession.devTools(session.open());
        for (String letter : List.of("ß", "ł", "ж", "α", "€", "ẞ", "😀")) {
            stroke(tools, letter, "KeyQ");
        }
        session.assertTyped(
                "press df",
                "release df",
                "press 1b3",
                "release 1b3",
                "press 6d6",
                "release 6d6",
                "press 7e1",
                "release 7e1",
                "press 20ac",
                "release 20ac",
                "press 1001e9e",
                "release 1001e9e",
                "press 101f600",
                "release 101f600");
    }

    @Test
    void altGr() {
        CDPSession tools = BrowserSession.devTools(session.open());
        key(tools, true, "AltGraph", "AltRight", 2, 0);
        key(tools, true, "@", "KeyQ", 0, 0);
        key(tools, false, "@", "KeyQ", 0, 0);
        key(tools, false, "AltGraph", "AltRight", 2, 0);
        session.assertTyped("press fe03", "press 40", "release 40", "release fe03");
    }

    @Test
    void altGrOfWindowsIsNoControl() {
        Page page = session.open();
        CDPSession tools = BrowserSession.devTools(page);
        onWindows(page, tools);
        // In one moment, as Windows has them: if it comes later, the Control before it is one.
        page.evaluate("""
                () => {
                  const press = (key, code, more) => document.getElementById('keys').dispatchEvent(new KeyboardEvent(
                      'keydown', { key, code, ctrlKey: true, bubbles: true, cancelable: true, ...more }));
                  press('Control', 'ControlLeft', { location: 1 });
                  press('AltGraph', 'AltRight', { location: 2, altKey: true });
                }""");
        key(tools, true, "@", "KeyQ", 0, CONTROL | ALT);
        key(tools, false, "@", "KeyQ", 0, CONTROL | ALT);
        key(tools, false, "Control", "ControlLeft", 1, ALT);
        key(tools, false, "AltGraph", "AltRight", 2, 0);
        session.assertTyped("press fe03", "press 40", "release 40", "release fe03");
    }

    @Test
    void controlOfWindowsIsControl() {
        Page page = session.open();
        CDPSession tools = BrowserSession.devTools(page);
        onWindows(page, tools);
        key(tools, true, "Control", "ControlLeft", 1, CONTROL);
        key(tools, true, "c", "KeyC", 0, CONTROL);
        key(tools, false, "c", "KeyC", 0, CONTROL);
        key(tools, false, "Control", "ControlLeft", 1, 0);
        session.assertTyped("press ffe3", "press 63", "release 63", "release ffe3");
    }

    private static void onWindows(Page page, CDPSession tools) {
        tools.send(
                "Emulation.setUserAgentOverride",
                json(
                        "userAgent",
                        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/150.0.0.0 Safari/537.36",
                        "platform",
                        "Win32",
                        "userAgentMetadata",
                        json(
                                "platform",
                                "Windows",
                                "platformVersion",
                                "15",
                                "architecture",
                                "x86",
                                "model",
                                "",
                                "mobile",
                                false)));
        page.reload();
        awaitTrue(page, "document.getElementById('state-text').textContent === 'Running'");
    }

    @Test
    void deadKeyThatTheSystemPutsTogether() {
        CDPSession tools = BrowserSession.devTools(session.open());
        key(tools, true, "Dead", "Equal", 0, 0);
        key(tools, false, "Dead", "Equal", 0, 0);
        stroke(tools, "é", "KeyE");
        session.assertTyped("press e9", "release e9");
    }

    @Test
    void compositionIsTypedAtItsEnd() {
        CDPSession tools = BrowserSession.devTools(session.open());
        tools.send("Input.imeSetComposition", json("text", "´", "selectionStart", 1, "selectionEnd", 1));
        tools.send("Input.insertText", json("text", "é"));
        tools.send("Input.imeSetComposition", json("text", "ni", "selectionStart", 2, "selectionEnd", 2));
        tools.send("Input.imeSetComposition", json("text", "nihao", "selectionStart", 5, "selectionEnd", 5));
        tools.send("Input.insertText", json("text", "你好"));
        session.assertTyped(
                "press e9", "release e9", "press 1004f60", "release 1004f60", "press 100597d", "release 100597d");
    }

    @Test
    void onScreenKeyboardTypesEachLetterAndTakesBack() {
        Page page = session.open(new Browser.NewContextOptions()
                .setViewportSize(390, 844)
                .setHasTouch(true)
                .setIsMobile(true)
                .setUserAgent(
                        "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/150.0.0.0 Mobile Safari/537.36"));
        page.evaluate("document.getElementById('handle').click()");
        page.click("[data-panel=panel-keys]");
        page.click("#on-screen");
        CDPSession tools = BrowserSession.devTools(page);
        tools.send("Input.imeSetComposition", json("text", "wr", "selectionStart", 2, "selectionEnd", 2));
        tools.send("Input.imeSetComposition", json("text", "wo", "selectionStart", 2, "selectionEnd", 2));
        tools.send("Input.insertText", json("text", "wo"));
        page.evaluate("document.execCommand('delete')");
        session.assertTyped(
                "press 77",
                "release 77",
                "press 72",
                "release 72", // w, r
                "press ff08",
                "release ff08",
                "press 6f",
                "release 6f", // taken back, o
                "press ff08",
                "release ff08");
    }

    @Test
    void whatIsHeldIsReleasedWhenTheKeyboardGoesElsewhere() {
        Page page = session.open();
        page.keyboard().down("Shift");
        page.keyboard().down("KeyX");
        page.evaluate("window.dispatchEvent(new Event('blur'))");
        session.assertTyped("press ffe1", "press 58", "release ffe1", "release 58");
    }

    @Test
    void modifierThatTheSystemReleasedIsReleased() {
        CDPSession tools = BrowserSession.devTools(session.open());
        key(tools, true, "Alt", "AltLeft", 1, ALT);
        // Alt+Tab went to the window manager; its end was never told.
        stroke(tools, "a", "KeyA");
        session.assertTyped("press ffe9", "release ffe9", "press 61", "release 61");
    }

    @Test
    void pasteKeyBringsTheClipboardFirst() {
        Page page = session.open();
        page.context().grantPermissions(List.of("clipboard-write"));
        page.evaluate("navigator.clipboard.writeText('from here: ü')");
        page.keyboard().press("Control+v");
        session.assertTyped("press ffe3", "press 76", "release 76", "release ffe3");
        assertThat(session.screen().clipboard(1000)).isEqualTo("from here: ü");
        assertThat(page.inputValue("#keys")).isEmpty();
        // Whether the session has it still is for the session to know.
        session.screen().offerClipboard("");
        page.keyboard().press("Control+v");
        BrowserSession.await(() -> session.screen().clipboard(1000).equals("from here: ü"));
        assertThat(session.screen().clipboard(1000)).isEqualTo("from here: ü");
    }

    @Test
    void threeModifiersLeadToTheToolbarAndEscapeBack() {
        Page page = session.open();
        page.waitForSelector("#top.away", new Page.WaitForSelectorOptions().setState(WaitForSelectorState.ATTACHED));
        page.keyboard().press("Control+Alt+Shift");
        awaitTrue(page, "document.getElementById('bar').contains(document.activeElement)");
        page.keyboard().press("q");
        page.keyboard().press("Escape");
        awaitTrue(page, "document.activeElement.id === 'keys'");
        page.keyboard().press("z");
        session.assertTyped(
                "press ffe3",
                "press ffe9",
                "press ffe1",
                "release ffe1",
                "release ffe3",
                "release ffe9",
                "press 7a",
                "release 7a");
    }

    @Test
    void whoMayOnlyLookTypesNothing() {
        Page page = session.open(new Browser.NewContextOptions().setViewportSize(800, 600), false);
        page.keyboard().press("a");
        page.mouse().click(400, 300);
        page.waitForTimeout(200);
        assertThat(session.input(List.of("press ", "pointer "))).isEmpty();
        assertThat(page.textContent("#state-text")).isEqualTo("Running · view only");
        page.evaluate("document.getElementById('handle').click()");
        page.waitForSelector("[data-panel=panel-history]");
        assertThat(page.isVisible("[data-panel=panel-keys]")).isFalse();
        assertThat(page.isVisible("[data-panel=panel-suspend]")).isFalse();
        assertThat(page.isVisible("[data-panel=panel-history]")).isTrue();
    }

    @Test
    void keysThatNothingElseTakesGoToTheSession() {
        Page page = session.open();
        page.evaluate("document.activeElement.blur()");
        page.keyboard().press("m");
        page.keyboard().press("n");
        session.assertTyped("press 6d", "release 6d", "press 6e", "release 6e");
    }

    @Test
    void keysOfThePanel() {
        Page page = session.open();
        page.evaluate("document.getElementById('handle').click()");
        page.click("[data-panel=panel-keys]");
        page.click("text=Ctrl + Alt + Del");
        page.click("[data-hold=Control_L]");
        page.keyboard().press("Escape");
        page.keyboard().press("Escape");
        page.keyboard().press("s");
        session.assertTyped(
                "press ffe3",
                "press ffe9",
                "press ffff",
                "release ffff",
                "release ffe9",
                "release ffe3",
                "press ffe3",
                "press 73",
                "release 73");
    }
}
