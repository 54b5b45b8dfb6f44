package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.display.web.Api;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class SessionApiTest {
    /** A session with one snapshot. */
    private static final class OneSnapshot implements SessionApi.Session {
        @Override
        public Map<String, Object> describe() {
            return new LinkedHashMap<>();
        }

        @Override
        public List<Map<String, Object>> history() {
            Map<String, Object> snapshot = new LinkedHashMap<>();
            snapshot.put("snapshot", "s1");
            snapshot.put("label", "before lunch");
            snapshot.put("thumbnail", true);
            snapshot.put("windows", List.of("Letter to my doctor"));
            return List.of(snapshot);
        }

        @Override
        public JsonObject command(JsonObject request) {
            return new JsonObject(Map.of());
        }

        @Override
        public boolean isControlledByOne() {
            return false;
        }

        @Override
        public byte[] picture() {
            return new byte[0];
        }

        @Override
        public Optional<byte[]> thumbnail(String snapshot) {
            return Optional.of("a picture".getBytes(StandardCharsets.US_ASCII));
        }

        @Override
        public void beginVideo(Recorder.Wanted wanted) {
            throw new UnsupportedOperationException();
        }

        @Override
        public JsonObject endVideo() {
            throw new UnsupportedOperationException();
        }

        @Override
        public Path video() {
            throw new UnsupportedOperationException();
        }

        @Override
        public SessionFiles files() {
            throw new UnsupportedOperationException();
        }

        @Override
        public long uploadBytesMax() {
            return 0;
        }
    }

    private static Api.Response get(String path, boolean control) throws IOException {
        return new SessionApi(new OneSnapshot())
                .handle(new Api.Request("GET", path, Map.of(), control, Map.of(), 0, InputStream.nullInputStream()));
    }

    private static String text(Api.Response response) throws IOException {
        try (InputStream body = response.body()) {
            return new String(body.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    @Test
    void whoMayOnlyLookSeesNothingOfThePast() throws Exception {
        assertThat(text(get("history", true))).contains("Letter to my doctor").contains("\"thumbnail\":true");
        assertThat(text(get("history/s1/thumbnail", true))).isEqualTo("a picture");
        assertThat(text(get("history", false)))
                .contains("before lunch")
                .contains("\"thumbnail\":false")
                .doesNotContain("Letter");
        assertThat(get("history/s1/thumbnail", false).status()).isEqualTo(404);
    }
}
