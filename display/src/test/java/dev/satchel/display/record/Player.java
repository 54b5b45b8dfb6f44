package dev.satchel.display.record;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Playwright;
import com.microsoft.playwright.Route;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.Map;

/** A video in a real Chromium. */
final class Player implements AutoCloseable {
    private final Playwright playwright;
    private final Browser browser;
    private final Page page;

    Player() {
        playwright = Playwright.create(
                new Playwright.CreateOptions().setEnv(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
        browser = playwright
                .chromium()
                .launch(new BrowserType.LaunchOptions()
                        .setExecutablePath(Path.of("/usr/bin/chromium"))
                        .setArgs(List.of(
                                "--no-sandbox",
                                "--disable-gpu",
                                "--disable-quic",
                                "--no-first-run",
                                "--disable-background-networking",
                                "--disable-component-update",
                                "--autoplay-policy=no-user-gesture-required",
                                "--disable-sync")));
        page = browser.newPage();
    }

    /** @return its duration in seconds */
    double open(Path file) throws IOException {
        byte[] video = Files.readAllBytes(file);
        page.unrouteAll();
        page.route(
                "http://player.test/**",
                route -> route.fulfill(
                        route.request().url().endsWith(".webm")
                                ? new Route.FulfillOptions()
                                        .setContentType("video/webm")
                                        .setBodyBytes(video)
                                : new Route.FulfillOptions()
                                        .setContentType("text/html")
                                        .setBody("<!doctype html>")));
        page.navigate("http://player.test/");
        return ((Number) page.evaluate("""
                async () => {
                  const blob = await (await fetch('/video.webm')).blob();
                  const video = document.createElement('video');
                  globalThis.video = video;
                  video.muted = true;
                  const event = (name) => new Promise((resolve, reject) => {
                    video.addEventListener(name, resolve, { once: true });
                    video.addEventListener('error', () => reject(new Error(video.error.message)), { once: true });
                  });
                  globalThis.event = event;
                  const ready = event('loadeddata');
                  video.src = URL.createObjectURL(blob);
                  document.body.append(video);
                  await ready;
                  return video.duration;
                }""")).doubleValue();
    }

    int width() {
        return ((Number) page.evaluate("() => video.videoWidth")).intValue();
    }

    int height() {
        return ((Number) page.evaluate("() => video.videoHeight")).intValue();
    }

    /** Plays to the end. @return where that is, in seconds */
    double play() {
        return ((Number) page.evaluate("""
                async () => {
                  video.currentTime = 0;
                  video.playbackRate = 4;
                  const ended = event('ended');
                  await video.play();
                  await ended;
                  return video.currentTime;
                }""")).doubleValue();
    }

    /**
     * What is shown at that time: {@code 0x00RRGGBB}. A busy browser may tell that it has sought before it has a picture to draw: then
     * nothing is drawn, not even black, and it is asked again.
     */
    int[] frameAt(double seconds) {
        byte[] rgba = Base64.getDecoder().decode((String) page.evaluate("""
                async (seconds) => {
                  video.pause();
                  const sought = event('seeked');
                  video.currentTime = seconds;
                  await sought;
                  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
                  const context = canvas.getContext('2d', { willReadFrequently: true });
                  let data;
                  for (let tries = 0; tries < 500; tries++) {
                    context.drawImage(video, 0, 0);
                    data = context.getImageData(0, 0, canvas.width, canvas.height).data;
                    if (data[3] === 255) {
                      break;
                    }
                    await new Promise((resolve) => setTimeout(resolve, 20));
                  }
                  if (data[3] !== 255) {
                    throw new Error(`nothing is shown at ${seconds}`);
                  }
                  let text = '';
                  for (let i = 0; i < data.length; i += 8192) {
                    text += String.fromCharCode(...data.subarray(i, i + 8192));
                  }
                  return btoa(text);
                }""", seconds));
        int[] pixels = new int[rgba.length / 4];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = ((rgba[4 * i] & 0xff) << 16) | ((rgba[4 * i + 1] & 0xff) << 8) | (rgba[4 * i + 2] & 0xff);
        }
        return pixels;
    }

    /** Of brightness, in dB; colour has half the resolution in a video. */
    static double peakSignalToNoise(int[] is, int[] expected) {
        if (is.length != expected.length) {
            throw new AssertionError(is.length + " pixels instead of " + expected.length);
        }
        double sum = 0;
        for (int i = 0; i < is.length; i++) {
            double difference = bright(is[i]) - bright(expected[i]);
            sum += difference * difference;
        }
        return 10 * Math.log10(255.0 * 255.0 * is.length / Math.max(sum, 1e-9));
    }

    private static double bright(int pixel) {
        return 0.299 * (pixel >> 16 & 0xff) + 0.587 * (pixel >> 8 & 0xff) + 0.114 * (pixel & 0xff);
    }

    @Override
    public void close() {
        browser.close();
        playwright.close();
    }
}
