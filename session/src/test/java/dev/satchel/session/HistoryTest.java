package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.microsoft.playwright.Page;
import dev.satchel.vault.Snapshot;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;

/** Snapshots show what there was to be seen, and sessions are forked from them. */
class HistoryTest extends LiveTest {
    private static HttpResponse<byte[]> get(HttpClient client, String link, String path) throws Exception {
        URI uri = URI.create(link);
        return client.send(
                HttpRequest.newBuilder(URI.create("http://" + uri.getAuthority() + "/api/" + path))
                        .header("Authorization", "Bearer " + uri.getQuery().substring(2))
                        .build(),
                HttpResponse.BodyHandlers.ofByteArray());
    }

    /** A terminal in one colour, of which the left half of the screen consists, and not only its own window. */
    private void paint(Running session, String title, String color) throws IOException {
        session.start("exec xterm -title '" + title + "' -geometry 200x200+0+0 -bg '" + color + "' -fg '" + color
                + "' -e sleep 1000");
        int wanted = Integer.parseInt(color.substring(1), 16);
        Eventually.holds(30_000, "a window " + title + " that is seen", () -> {
            // The desktop's own first window may come later, and would lie above.
            String ignored =
                    session.sh("DISPLAY=:0 xdotool search --onlyvisible --name '^" + title + "$' windowraise || true");
            return (a.screen(session.name)[240 * 640 + 300] & 0xffffff) == wanted;
        });
    }

    private static void assertNear(int pixel, int color) {
        for (int shift = 0; shift < 24; shift += 8) {
            assertThat(pixel >> shift & 0xff).isCloseTo(color >> shift & 0xff, org.assertj.core.data.Offset.offset(40));
        }
    }

    @Test
    void aSnapshotShowsWhatThereWasToBeSeen() throws Exception {
        String name = name("shown");
        a.create(name);
        try (Running here = a.resume(name);
                HttpClient client = HttpClient.newHttpClient()) {
            paint(here, "Roter Brief", "#ff0000");
            String first = here.snapshot().snapshot().toString();
            paint(here, "Blue letter", "#0000ff");
            String second = here.snapshot().snapshot().toString();
            String link = here.result().viewUrl();

            HttpResponse<byte[]> red = get(client, link, "history/" + first + "/thumbnail");
            assertThat(red.headers().firstValue("Content-Type")).hasValue("image/jpeg");
            BufferedImage picture = ImageIO.read(new ByteArrayInputStream(red.body()));
            assertThat(picture.getWidth()).isEqualTo(320);
            assertThat(picture.getHeight()).isEqualTo(240);
            assertNear(picture.getRGB(150, 120), 0xff0000);
            picture = ImageIO.read(new ByteArrayInputStream(
                    get(client, link, "history/" + second + "/thumbnail").body()));
            assertNear(picture.getRGB(150, 120), 0x0000ff);

            JsonObject history = Json.read(get(client, link, "history").body());
            List<?> snapshots = (List<?>) history.fields().get("snapshots");
            assertThat(snapshots).hasSize(3);
            assertThat(((Map<?, ?>) snapshots.get(0)).get("thumbnail")).isEqualTo(true);
            assertThat((List<?>) ((Map<?, ?>) snapshots.get(0)).get("windows"))
                    .asString()
                    .contains("Roter Brief", "Blue letter");
            assertThat((List<?>) ((Map<?, ?>) snapshots.get(1)).get("windows"))
                    .asString()
                    .contains("Roter Brief")
                    .doesNotContain("Blue letter");
            // One that was made without a picture.
            Map<?, ?> created = (Map<?, ?>) snapshots.get(2);
            assertThat(created.get("thumbnail")).isEqualTo(false);
            assertThat(get(client, link, "history/" + created.get("snapshot") + "/thumbnail")
                            .statusCode())
                    .isEqualTo(404);
            assertThat(get(client, link, "history/0000/thumbnail").statusCode()).isEqualTo(404);

            here.suspend();
        }
        List<SnapshotInfo> history = a.with(satchel -> satchel.history(name));
        assertThat(history.getFirst().thumbnail()).isTrue();
        assertThat(history.getFirst().windows()).contains("Blue letter");
        assertThat(history.getLast().thumbnail()).isFalse();
        assertThat(site.verify().errors()).isEmpty();
        // It is sealed like all else.
        Snapshot newest = site.inVault(vault ->
                vault.snapshot(vault.head(name).orElseThrow().snapshot().orElseThrow()));
        Optional<byte[]> jpeg = site.inVault(vault -> Snapshots.thumbnail(newest, vault.chunks()));
        assertThat(jpeg).isPresent();
    }

    @Test
    void aPageForksWhatItShows() throws Exception {
        String name = name("forked");
        a.create(name);
        try (Chromium browser = new Chromium()) {
            try (Running here = a.resume(name)) {
                here.startCounting();
                String earlier = here.snapshot().snapshot().toString();
                here.sh("echo later >later");
                Page page = browser.open(here.result().viewUrl());
                Chromium.awaitSame("the desktop in the browser", page, a, name);
                page.click("[data-panel=panel-fork]");
                page.fill("#fork-name", name + "-now");
                page.keyboard().press("Enter");
                page.waitForSelector("#fork-done-command >> text=satchel resume " + name + "-now");
                page.click("#fork-done button");
                // From the picture of an earlier instant.
                page.click("[data-panel=panel-history]");
                page.waitForSelector("#snapshots img");
                page.locator("#snapshots li").nth(1).getByText("Fork from here").click();
                page.fill("#fork-name", name + "-then");
                page.click("#fork .main");
                page.waitForSelector("#fork-done-command >> text=satchel resume " + name + "-then");
                page.click("#fork-done button");
                // A name that is taken.
                page.click("[data-panel=panel-fork]");
                page.fill("#fork-name", name);
                page.click("#fork .main");
                page.waitForSelector(".toast.problem >> text=there is a session '" + name + "' already");

                assertThat(a.with(satchel -> satchel.inspect(name + "-then"))
                                .snapshot()
                                .orElseThrow()
                                .toString())
                        .isEqualTo(earlier);
                Running.Count count = here.count();
                try (Running now = a.resume(name + "-now")) {
                    assertThat(now.read("home/user/later")).isEqualTo("later\n");
                    assertThat(now.count().pid()).isEqualTo(count.pid());
                }
                assertThatThrownBy(() -> a.with(satchel -> satchel.inspect(name + "-none")))
                        .isInstanceOf(SatchelException.class);
            }
        }
    }
}
