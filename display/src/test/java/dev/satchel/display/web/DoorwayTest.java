package dev.satchel.display.web;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DoorwayTest {
    private static ViewerServer server(Optional<Doorway> earlier) throws IOException {
        return server(ViewerServer.Settings.loopback("one").after(earlier));
    }

    private static ViewerServer beside(Doorway earlier) throws IOException {
        return server(ViewerServer.Settings.loopback("one").beside(Optional.of(earlier)));
    }

    private static ViewerServer server(ViewerServer.Settings settings) throws IOException {
        return new ViewerServer(
                settings,
                () -> {
                    throw new IOException("no display");
                },
                request -> Api.Response.json(200, "{}"));
    }

    private static int status(HttpClient client, String uri, String header, String value) throws Exception {
        return client.send(
                        HttpRequest.newBuilder(URI.create(uri))
                                .header(header, value)
                                .build(),
                        HttpResponse.BodyHandlers.discarding())
                .statusCode();
    }

    @Test
    void aLaterServerLetsInWhomTheEarlierDid() throws Exception {
        try (HttpClient client = HttpClient.newHttpClient()) {
            Doorway doorway;
            String link;
            String cookie;
            try (ViewerServer server = server(Optional.empty())) {
                link = server.link(true);
                HttpResponse<Void> let = client.send(
                        HttpRequest.newBuilder(URI.create(link)).build(), HttpResponse.BodyHandlers.discarding());
                cookie = let.headers().firstValue("Set-Cookie").orElseThrow();
                cookie = cookie.substring(0, cookie.indexOf(';'));
                doorway = Doorway.of(server.doorway().toText()).orElseThrow();
            }
            try (ViewerServer server = server(Optional.of(doorway))) {
                assertThat(server.link(true)).isEqualTo(link);
                assertThat(status(client, server.origin() + "/api/session", "Cookie", cookie))
                        .isEqualTo(200);
                // The port is taken now: this one is another, and nobody's secret is good there.
                try (ViewerServer other = server(Optional.of(doorway))) {
                    assertThat(other.port()).isNotEqualTo(server.port());
                    assertThat(other.secret(true)).isNotEqualTo(server.secret(true));
                    assertThat(status(
                                    client,
                                    other.origin() + "/api/session",
                                    "Authorization",
                                    "Bearer " + server.secret(true)))
                            .isEqualTo(403);
                }
            }
        }
    }

    @Test
    void whoIsSentAwayFindsTheNextOne() throws Exception {
        ViewerServer first = server(Optional.empty());
        try (HttpClient client = HttpClient.newHttpClient()) {
            Doorway doorway = first.doorway();
            // Not asked, it shares its port with nobody.
            try (ViewerServer elsewhere = beside(doorway)) {
                assertThat(elsewhere.port()).isNotEqualTo(first.port());
            }
            first.sharePort();
            // Nor with who does not ask.
            try (ViewerServer elsewhere = server(Optional.of(doorway))) {
                assertThat(elsewhere.port()).isNotEqualTo(first.port());
            }
            try (ViewerServer second = beside(doorway)) {
                assertThat(second.port()).isEqualTo(first.port());
                first.close();
                assertThat(status(
                                client,
                                second.origin() + "/api/session",
                                "Authorization",
                                "Bearer " + first.secret(true)))
                        .isEqualTo(200);
            }
        } finally {
            first.close();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "1", "1 a b c", "x a b c d", "123456 a b c d", "1 a b c d e"})
    void whatItDidNotWriteIsNone(String text) {
        assertThat(Doorway.of(text)).isEmpty();
    }
}
