package dev.satchel.session;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Playwright;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;

/** A browser that looks at sessions. */
final class Chromium implements AutoCloseable {
    private static final List<String> ARGUMENTS = List.of(
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync");

    /** What the page's copy of the screen holds, without a detour over files that may lose something. */
    private static final String CANVAS = """
            () => {
                const canvas = document.getElementById('screen');
                const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
                let text = '';
                for (let i = 0; i < data.length; i += 32768) {
                    text += String.fromCharCode(...data.subarray(i, i + 32768));
                }
                return [canvas.width, canvas.height, btoa(text)];
            }
            """;

    private static final String LAST_FRAME = """
            async (encoded) => {
                const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
                const video = document.createElement('video');
                const event = (name) => new Promise((resolve, reject) => {
                    video.addEventListener(name, resolve, { once: true });
                    video.addEventListener('error', () => reject(new Error(video.error.message)), { once: true });
                });
                const ready = event('loadeddata');
                video.src = URL.createObjectURL(new Blob([bytes], { type: 'video/webm' }));
                await ready;
                const sought = event('seeked');
                video.currentTime = video.duration - 0.01;
                await sought;
                const canvas = document.createElement('canvas');
                canvas.id = 'screen';
                canvas.width = video.videoWidth;
                canvas.height = video.videoHeight;
                canvas.getContext('2d', { willReadFrequently: true }).drawImage(video, 0, 0);
                document.body.replaceChildren(canvas);
            }
            """;

    private final Playwright playwright;
    private final Browser browser;

    Chromium() {
        playwright = Playwright.create(
                new Playwright.CreateOptions().setEnv(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
        browser = playwright
                .chromium()
                .launch(new BrowserType.LaunchOptions()
                        .setExecutablePath(Path.of("/usr/bin/chromium"))
                        .setArgs(ARGUMENTS));
    }

    /** A page of 1000 × 700 pixels, of a profile of its own. */
    Page open(String link) {
        Page page = browser.newPage(new Browser.NewPageOptions().setViewportSize(1000, 700));
        page.navigate(link);
        return page;
    }

    /** The same as somebody would elsewhere, who has compared the certificate's fingerprint and trusts it. */
    Page openElsewhere(String link) {
        Page page = browser.newPage(
                new Browser.NewPageOptions().setViewportSize(1000, 700).setIgnoreHTTPSErrors(true));
        page.navigate(link);
        return page;
    }

    /** The page's copy of the screen, rows from the top, 0xffRRGGBB. */
    static int[] canvas(Page page) {
        List<?> seen = (List<?>) page.evaluate(CANVAS);
        byte[] bytes = Base64.getDecoder().decode((String) seen.get(2));
        int[] pixels = new int[bytes.length / 4];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = 0xff000000
                    | (bytes[4 * i] & 0xff) << 16
                    | (bytes[4 * i + 1] & 0xff) << 8
                    | (bytes[4 * i + 2] & 0xff);
        }
        return pixels;
    }

    /** Waits until a page shows exactly what the session's X server has. */
    static void awaitSame(String what, Page page, TestHost host, String name) throws IOException {
        Eventually.holds(60_000, what, () -> Arrays.equals(canvas(page), host.screen(name)));
    }

    /** What a video shows at its end, rows from the top, 0xffRRGGBB. */
    int[] lastFrame(Path video) throws IOException {
        Page page = browser.newPage();
        Object ignored = page.evaluate(LAST_FRAME, Base64.getEncoder().encodeToString(Files.readAllBytes(video)));
        return canvas(page);
    }

    @Override
    public void close() {
        browser.close();
        playwright.close();
    }
}
