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
        return new ViewerServer(
                ViewerServer.Settings.loopback("one").after(earlier),
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

    @ParameterizedTest
    @ValueSource(strings = {"", "1", "1 a b c", "x a b c d", "123456 a b c d", "1 a b c d e"})
    void whatItDidNotWriteIsNone(String text) {
        assertThat(Doorway.of(text)).isEmpty();
    }
}
