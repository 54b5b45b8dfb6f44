package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.HeadWitness;
import dev.satchel.vault.SourceReport;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultKey;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

/** A session whose image is not in its vault: read from a lookaside, a server and the host's cache. */
class ChunkPlacesTest extends LiveTest {
    private static final String ANY = "127.0.0.1";

    private static Running resume(TestHost host, String name, ChunkPlaces places) throws IOException {
        try (Satchel satchel = satchel(host, places)) {
            return new Running(
                    host,
                    name,
                    host.site().sessionId(name),
                    satchel.resume(new ResumeRequest(name, Optional.empty(), false, false, Optional.empty())));
        }
    }

    private static Satchel satchel(TestHost host, ChunkPlaces places) {
        return new Satchel(host.host(), host.site().vault(), host.passphrases(), Progress.NONE, places);
    }

    private static SourceReport report(TestHost host, String name, SourceReport.Kind kind) throws IOException {
        return host.with(satchel -> satchel.sources(name)).stream()
                .filter(source -> source.kind() == kind)
                .findFirst()
                .orElseThrow();
    }

    /** Moves the packs and indexes of all domains with a key file, which are images', elsewhere. */
    private static void moveImages(Path vault, Path elsewhere) throws IOException {
        try (var domains = Files.newDirectoryStream(vault.resolve("domains"))) {
            for (Path domain : domains) {
                if (Files.exists(domain.resolve("key"))) {
                    Path to = elsewhere
                            .resolve("domains")
                            .resolve(domain.getFileName().toString());
                    Files.createDirectories(to);
                    for (String part : List.of("packs", "index")) {
                        if (Files.exists(domain.resolve(part))) {
                            Files.move(domain.resolve(part), to.resolve(part));
                        }
                    }
                }
            }
        }
    }

    @Test
    void aSessionGoesOnWhoseImageIsElsewhere() throws Exception {
        Site away = alsoWatch(site.withCopyOfVault(site.directory().resolve("away")));
        TestHost host = away.host();
        String name = name("away");
        SessionInfo created = host.create(name);
        assertThat(created.session()).isEqualTo(name);
        Path lookaside = site.directory().resolve("lookaside");
        moveImages(away.vault(), lookaside);
        assertThatThrownBy(() -> resume(host, name, ChunkPlaces.NONE)).isInstanceOf(IOException.class);

        ChunkPlaces places = new ChunkPlaces(List.of(lookaside.toString()), OptionalLong.of(64 << 20));
        try (Running running = resume(host, name, places)) {
            assertThat(Files.readString(running.root().resolve("etc/os-release")))
                    .contains("Debian GNU/Linux");
            assertThat(report(host, name, SourceReport.Kind.LOOKASIDE).chunks()).isPositive();
            assertThat(report(host, name, SourceReport.Kind.HOME).failures()).isZero();
            SuspendResult suspended = host.with(satchel -> satchel.suspend(name));
            assertThat(suspended.processes()).isPositive();
        }
        // Ciphertext only: neither what every Debian has nor what a compressed frame begins with, in clear, at a
        // record's content.
        byte[] cached = Files.readAllBytes(host.host().state().resolve("cache/chunks"));
        assertThat(new String(cached, StandardCharsets.ISO_8859_1)).doesNotContain("Debian GNU/Linux", "#!/bin/sh");
        assertThat(host.with(Satchel::cache).orElseThrow().bytesUsed()).isPositive();

        // Another host, by a server, with the processes; then the first again, from its cache.
        TestHost other = away.host();
        VaultKey key;
        try (DirectoryBackend backend = new DirectoryBackend(site.vault())) {
            key = Vault.unlock(backend, Site.passphrase());
        }
        try (key;
                Vault served = Vault.open(new DirectoryBackend(site.vault()), key, HeadWitness.NONE);
                ChunkServer server = new ChunkServer(
                        served.chunks().serve(new DirectoryBackend(site.vault())),
                        other.host().state(),
                        ListenAddress.parse(ANY),
                        Optional.empty(),
                        Optional.empty())) {
            ChunkPlaces byServer = new ChunkPlaces(List.of(server.link()), OptionalLong.empty());
            try (Running running = resume(other, name, byServer)) {
                assertThat(running.result().processes()).isPositive();
                assertThat(Files.readString(running.root().resolve("etc/os-release")))
                        .contains("Debian GNU/Linux");
                SourceReport report = report(other, name, SourceReport.Kind.LOOKASIDE);
                assertThat(report.chunks()).isPositive();
                assertThat(report.location()).startsWith("http://127.0.0.1:").doesNotContain("k=");
                SuspendResult suspended = other.with(satchel -> satchel.suspend(name));
                assertThat(suspended.processes()).isPositive();
            }
        }
        assertThat(other.host().state().resolve("cache")).doesNotExist();
        try (Running running = resume(host, name, places)) {
            assertThat(running.result().processes()).isPositive();
            assertThat(report(host, name, SourceReport.Kind.CACHE).chunks()).isPositive();
            assertThat(host.with(Satchel::clearCache)).isPositive();
            assertThat(Files.readString(running.root().resolve("etc/passwd"))).contains("root");
            host.with(satchel -> satchel.suspend(name));
        }
        host.with(satchel -> {
            satchel.remove(name, false);
            return true;
        });
    }
}
