package dev.satchel.display.web;

import static dev.satchel.display.web.BrowserSession.awaitTrue;
import static dev.satchel.display.web.BrowserSession.json;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonArray;
import com.microsoft.playwright.Browser;
import com.microsoft.playwright.CDPSession;
import com.microsoft.playwright.Mouse;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.options.MouseButton;
import dev.satchel.display.CursorImage;
import dev.satchel.display.Rectangle;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** {@code web/viewer/pointer.js}, {@code screen.js} and {@code cursor.js} in Chromium: what is pointed at is what is seen there. */
class PointingTest {
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

    private Page open(double density) {
        Page page = session.open(
                new Browser.NewContextOptions().setViewportSize(800, 600).setDeviceScaleFactor(density));
        hideToolbar(page);
        return page;
    }

    private static void hideToolbar(Page page) {
        page.evaluate("document.getElementById('top').hidden = true");
    }

    private static void choose(Page page, String mode) {
        page.evaluate("mode => document.querySelector(`input[value=${mode}]`).click()", mode);
    }

    private void assertClickArrives(Page page, double x, double y, int sessionX, int sessionY) {
        int before = session.input(List.of("pointer ")).size();
        page.mouse().click(x, y);
        String at = "pointer " + sessionX + " " + sessionY + " ";
        BrowserSession.await(() -> {
            List<String> told = session.input(List.of("pointer "));
            int pressed = told.subList(before, told.size()).indexOf(at + "1");
            return pressed >= 0 && before + pressed + 1 < told.size();
        });
        assertThat(session.input(List.of("pointer ")).stream().skip(before)).containsSubsequence(at + "1", at + "0");
    }

    @Test
    void fit() {
        Page page = open(1);
        // 640x480 in 800x600.
        assertClickArrives(page, 400, 300, 320, 240);
        assertClickArrives(page, 0, 599, 0, 479);
        assertClickArrives(page, 799, 10, 639, 8);
    }

    @Test
    void fitOnDenseScreen() {
        Page page = open(2);
        assertClickArrives(page, 400, 300, 320, 240);
        assertClickArrives(page, 799.5, 599.5, 639, 479);
    }

    @Test
    void fitLeavesBordersWhoseClicksGoToTheEdge() {
        Page page = session.open(new Browser.NewContextOptions().setViewportSize(1000, 600));
        hideToolbar(page);
        // 800 wide, 100 to each side; beside it is nothing.
        assertClickArrives(page, 100.5, 300, 0, 240);
        page.mouse().move(500, 300);
        page.mouse().down();
        page.mouse().move(50, 300);
        page.mouse().up();
        BrowserSession.await(() -> session.screen().input().contains("pointer 0 240 0"));
        assertThat(session.screen().input()).contains("pointer 320 240 1", "pointer 0 240 1", "pointer 0 240 0");
    }

    @Test
    void actualPixels() {
        Page page = open(1);
        choose(page, "actual");
        assertClickArrives(page, 80, 60, 0, 0);
        assertClickArrives(page, 100, 100, 20, 40);
        assertShownExactly(page, new Rectangle(80, 60, 640, 480));
    }

    @Test
    void actualPixelsOnDenseScreen() {
        Page page = open(2);
        choose(page, "actual");
        // 320x240 in the middle.
        assertClickArrives(page, 240, 180, 0, 0);
        assertClickArrives(page, 250.5, 190, 21, 20);
        assertShownExactly(page, new Rectangle(240, 180, 320, 240));
    }

    @Test
    void sessionOfTheWindowsSize() {
        Page page = open(1);
        choose(page, "resize");
        BrowserSession.await(() -> session.screen().bounds().width() == 800);
        assertThat(session.screen().bounds()).isEqualTo(new Rectangle(0, 0, 800, 600));
        awaitTrue(page, "document.getElementById('screen').width === 800");
        assertClickArrives(page, 799, 599, 799, 599);
        page.setViewportSize(700, 500);
        BrowserSession.await(() -> session.screen().bounds().width() == 700);
        assertThat(session.screen().bounds()).isEqualTo(new Rectangle(0, 0, 700, 500));
        awaitTrue(page, "document.getElementById('screen').width === 700");
        assertShownExactly(page, new Rectangle(0, 0, 700, 500));
    }

    @Test
    void sessionOfDevicePixels() {
        Page page = open(2);
        choose(page, "resize");
        page.evaluate("document.getElementById('large').click()");
        // No more than it can be.
        BrowserSession.await(() -> session.screen().bounds().width() == 1280);
        assertThat(session.screen().bounds()).isEqualTo(new Rectangle(0, 0, 1280, 960));
    }

    /** What the page shows is what the session's screen has, pixel for pixel. */
    private void assertShownExactly(Page page, Rectangle area) {
        Rectangle all = session.screen().bounds();
        session.screen().noise(all, 7);
        session.screen().fill(new Rectangle(30, 40, 100, 70), 0x3366cc);
        session.screen().move(new Rectangle(30, 40, 120, 90), 57, 31);
        int[] expected = session.screen().pixels();
        BrowserSession.await(() -> Arrays.equals(BrowserSession.shown(page, area), expected));
        assertThat(BrowserSession.shown(page, area)).isEqualTo(expected);
    }

    @Test
    void buttons() {
        Page page = open(1);
        page.mouse().move(400, 300);
        page.mouse().down(new Mouse.DownOptions().setButton(MouseButton.RIGHT));
        page.mouse().up(new Mouse.UpOptions().setButton(MouseButton.RIGHT));
        page.mouse().down(new Mouse.DownOptions().setButton(MouseButton.MIDDLE));
        page.mouse().up(new Mouse.UpOptions().setButton(MouseButton.MIDDLE));
        // Two at once.
        page.mouse().down();
        page.mouse().down(new Mouse.DownOptions().setButton(MouseButton.RIGHT));
        page.mouse().up();
        page.mouse().up(new Mouse.UpOptions().setButton(MouseButton.RIGHT));
        String at = "pointer 320 240 ";
        session.assertPointed(at + 0, at + 4, at + 0, at + 2, at + 0, at + 1, at + 5, at + 4, at + 0);
    }

    @Test
    void wheel() {
        Page page = open(1);
        page.mouse().move(400, 300);
        page.mouse().wheel(0, 120);
        page.mouse().wheel(0, -120);
        page.mouse().wheel(120, 0);
        // A touchpad: little by little.
        page.mouse().wheel(0, 30);
        page.mouse().wheel(0, 30);
        // Thrice as fast.
        page.mouse().wheel(0, 360);
        String at = "pointer 320 240 ";
        session.assertPointed(
                at + 0, at + 16, at + 0, at + 8, at + 0, at + 64, at + 0, at + 16, at + 0, at + 16, at + 0, at + 16,
                at + 0, at + 16, at + 0);
    }

    private CDPSession openTouch() {
        Page page = session.open(
                new Browser.NewContextOptions().setViewportSize(800, 600).setHasTouch(true));
        hideToolbar(page);
        touched = page;
        return BrowserSession.devTools(page);
    }

    private Page touched;

    /** @param points x, y, x, y … of the fingers that are down */
    private static void touch(CDPSession tools, String type, int... points) {
        JsonArray fingers = new JsonArray();
        for (int i = 0; i < points.length; i += 2) {
            fingers.add(json("x", points[i], "y", points[i + 1], "id", i / 2));
        }
        tools.send("Input.dispatchTouchEvent", json("type", type, "touchPoints", fingers));
    }

    @Test
    void tapClicks() {
        CDPSession tools = openTouch();
        // However long it takes from one to the next: the page's clock stands still, and no press is a long one.
        touched.evaluate("""
                () => {
                  const now = performance.now();
                  performance.now = () => now;
                  const later = window.setTimeout;
                  window.setTimeout = (action, millis, ...rest) => later(action, millis === 500 ? 60_000 : millis, ...rest);
                }""");
        touch(tools, "touchStart", 400, 300);
        touch(tools, "touchEnd");
        // The second one a bit beside: it is a double click all the same.
        touch(tools, "touchStart", 408, 304);
        touch(tools, "touchEnd");
        String at = "pointer 320 240 ";
        session.assertPointed(at + 0, at + 1, at + 0, at + 0, at + 1, at + 0);
    }

    @Test
    void longPressIsTheRightButton() {
        CDPSession tools = openTouch();
        touch(tools, "touchStart", 400, 300);
        BrowserSession.await(() -> session.screen().input().contains("pointer 320 240 4"));
        touch(tools, "touchEnd");
        session.assertPointed("pointer 320 240 0", "pointer 320 240 4", "pointer 320 240 0");
    }

    @Test
    void fingerDrags() {
        CDPSession tools = openTouch();
        touch(tools, "touchStart", 400, 300);
        touch(tools, "touchMove", 440, 300);
        BrowserSession.await(() -> session.screen().input().contains("pointer 352 240 1"));
        touch(tools, "touchMove", 480, 300);
        BrowserSession.await(() -> session.screen().input().contains("pointer 384 240 1"));
        touch(tools, "touchEnd");
        session.assertPointed(
                "pointer 320 240 0",
                "pointer 320 240 1",
                "pointer 352 240 1",
                "pointer 384 240 1",
                "pointer 384 240 0");
    }

    @Test
    void twoFingersScroll() {
        CDPSession tools = openTouch();
        touch(tools, "touchStart", 380, 300, 420, 300);
        touch(tools, "touchMove", 380, 280, 420, 280);
        touch(tools, "touchMove", 380, 250, 420, 250);
        touch(tools, "touchEnd");
        BrowserSession.await(() -> session.input(List.of("pointer ")).size() >= 4);
        // Fingers up: the content goes up, as by the wheel downwards; no button else.
        assertThat(session.input(List.of("pointer ")))
                .isNotEmpty()
                .allMatch(line -> line.endsWith(" 16") || line.endsWith(" 0"));
        assertThat(session.input(List.of("pointer "))).anyMatch(line -> line.endsWith(" 16"));
    }

    @Test
    void pinchEnlarges() {
        CDPSession tools = openTouch();
        touch(tools, "touchStart", 380, 300, 420, 300);
        touch(tools, "touchMove", 360, 300, 440, 300);
        touch(tools, "touchMove", 300, 300, 500, 300);
        touch(tools, "touchEnd");
        awaitTrue(touched, "document.getElementById('screen').offsetWidth > 1600");
        assertThat(session.input(List.of("pointer "))).isEmpty();
        // What was between the fingers still is.
        touched.waitForTimeout(500);
        touch(tools, "touchStart", 400, 300);
        touch(tools, "touchEnd");
        BrowserSession.await(() -> !session.input(List.of("pointer ")).isEmpty());
        String[] at = session.input(List.of("pointer "))
                .getFirst()
                .substring("pointer ".length())
                .split(" ", -1);
        assertThat(Integer.parseInt(at[0])).isBetween(318, 322);
        assertThat(Integer.parseInt(at[1])).isBetween(238, 242);
    }

    @Test
    void cursor() {
        Page page = open(1);
        int[] arrow = new int[12 * 10];
        Arrays.fill(arrow, 0x80400000);
        choose(page, "actual");
        session.screen().setCursor(new CursorImage(12, 10, 3, 2, arrow));
        awaitTrue(page, "document.getElementById('screen').style.cursor.includes(') 3 2')");
        // Premultiplied 0x40 of 0x80 is a full red that half is seen of.
        Object pixel = page.evaluate("""
                async () => {
                  const image = new Image();
                  image.src = document.getElementById('screen').style.cursor.match(/url\\("([^"]*)"/)[1];
                  await image.decode();
                  const canvas = document.createElement('canvas');
                  const context = canvas.getContext('2d');
                  context.drawImage(image, 0, 0);
                  return [image.width, image.height, ...context.getImageData(5, 5, 1, 1).data].join();
                }""");
        assertThat(pixel).isEqualTo("12,10,128,0,0,128");
        session.screen().setCursor(CursorImage.NONE);
        awaitTrue(page, "document.getElementById('screen').style.cursor.endsWith('crosshair')");
        session.screen().setCursor(new CursorImage(200, 200, 0, 0, new int[200 * 200]));
        page.waitForTimeout(100);
        assertThat((String) page.evaluate("document.getElementById('screen').style.cursor"))
                .endsWith("crosshair");
    }
}
