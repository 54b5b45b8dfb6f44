package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkSource;
import dev.satchel.vault.ChunkStore;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.HeadWitness;
import dev.satchel.vault.KdfParameters;
import dev.satchel.vault.SealedChunk;
import dev.satchel.vault.SourceReport;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultKey;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The real server of chunks with the real client, over loopback and by TLS. */
@Timeout(60)
class ChunkServerTest {
    private static final byte[] PASSPHRASE = "a passphrase".getBytes(StandardCharsets.UTF_8);
    private static final int CHUNKS = 40;

    @TempDir
    Path directory;

    private Path home;
    private Path replica;
    private final List<ChunkRef> refs = new ArrayList<>();
    private final List<byte[]> contents = new ArrayList<>();
    private final List<String> notes = new ArrayList<>();

    @BeforeEach
    void makeVaultAndReplica() throws IOException {
        home = directory.resolve("home");
        replica = directory.resolve("replica");
        try (DirectoryBackend backend = new DirectoryBackend(home)) {
            Vault.init(backend, PASSPHRASE, new KdfParameters(64, 1, 1));
        }
        try (Vault vault = open(home);
                ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain());
                Arena arena = Arena.ofConfined()) {
            for (int i = 0; i < CHUNKS; i++) {
                byte[] content = new byte[30_000 + i];
                new Random(i).nextBytes(content);
                contents.add(content);
                refs.add(writer.put(arena.allocateFrom(ValueLayout.JAVA_BYTE, content)));
            }
            writer.commit();
        }
        try (var all = Files.walk(home)) {
            for (Path path : all.toList()) {
                Path target = replica.resolve(home.relativize(path).toString());
                if (Files.isDirectory(path)) {
                    Files.createDirectories(target);
                } else {
                    Files.copy(path, target);
                }
            }
        }
    }

    @AfterEach
    void nothingOfTheServerIsLeft() {
        assertThat(Thread.getAllStackTraces().keySet())
                .noneMatch(thread -> thread.getName().equals("chunks-ahead") && thread.isInterrupted());
    }

    private static Vault open(Path path) throws IOException {
        DirectoryBackend backend = new DirectoryBackend(path);
        try (VaultKey key = Vault.unlock(backend, PASSPHRASE)) {
            return Vault.open(backend, key, HeadWitness.NONE);
        }
    }

    private ChunkServer serve(Vault vault, String address) throws IOException {
        return new ChunkServer(
                vault.chunks().serve(new DirectoryBackend(replica)),
                directory,
                ListenAddress.parse(address),
                Optional.empty(),
                Optional.empty());
    }

    private void removePacksAtHome() throws IOException {
        try (var all = Files.walk(home.resolve("domains"))) {
            for (Path path : all.filter(Files::isRegularFile).toList()) {
                if (path.toString().contains("/packs/")) {
                    Files.delete(path);
                }
            }
        }
    }

    private static byte[] read(Vault vault, ChunkRef ref) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment target = arena.allocate(ref.length());
            assertThat(vault.chunks().read(ref, target)).isEqualTo(ref.length());
            return target.toArray(ValueLayout.JAVA_BYTE);
        }
    }

    /** Reads all chunks, one by one and after they were announced, with nothing at home. */
    private void readAllFrom(String link) throws IOException {
        removePacksAtHome();
        try (Vault vault = open(home)) {
            vault.chunks().readThrough(Optional.empty(), List.of(ChunkStore.sourceAt(link)), false, notes::add);
            for (int i = 0; i < CHUNKS / 2; i++) {
                assertThat(read(vault, refs.get(i))).isEqualTo(contents.get(i));
            }
            vault.chunks().announce(refs.subList(CHUNKS / 2, CHUNKS));
            for (int i = CHUNKS / 2; i < CHUNKS; i++) {
                assertThat(read(vault, refs.get(i))).isEqualTo(contents.get(i));
            }
            SourceReport report = vault.chunks().reports().getFirst();
            assertThat(report.chunks()).isEqualTo(CHUNKS);
            assertThat(report.failures()).isZero();
            assertThat(report.location()).doesNotContain("k=").startsWith("http");
        }
        assertThat(notes).isEmpty();
    }

    @Test
    void givesChunksOverLoopback() throws IOException {
        try (Vault served = open(replica);
                ChunkServer server = serve(served, "127.0.0.1")) {
            assertThat(server.link()).startsWith("http://127.0.0.1:").doesNotContain("cert=");
            assertThat(server.fingerprint()).isEmpty();
            readAllFrom(server.link());
        }
    }

    private ChunkServer serve(Vault vault, String address, Path secretFile) throws IOException {
        return new ChunkServer(
                vault.chunks().serve(new DirectoryBackend(replica)),
                directory,
                ListenAddress.parse(address),
                Optional.empty(),
                Optional.of(secretFile));
    }

    /** Who has it in a configuration need not change that when the server's host has restarted. */
    @Test
    void aLinkIsTheSameTheNextTime() throws IOException {
        Path file = directory.resolve("link");
        try (Vault served = open(replica)) {
            String link;
            try (ChunkServer server = serve(served, "127.0.0.1", file)) {
                link = server.link();
                assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                        .isEqualTo("rw-------");
                // Nobody is given a link at another port instead.
                assertThatThrownBy(() -> serve(served, "127.0.0.1", file))
                        .isInstanceOf(SatchelException.class)
                        .hasMessageContaining("somebody else's just now");
            }
            try (ChunkServer server = serve(served, "127.0.0.1", file)) {
                assertThat(server.link()).isEqualTo(link);
                readAllFrom(link);
            }
            Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r-----"));
            assertThatThrownBy(() -> serve(served, "127.0.0.1", file))
                    .isInstanceOf(SatchelException.class)
                    .hasMessageContaining("chmod 600");
            Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
            Files.writeString(file, "7420 x\n");
            assertThatThrownBy(() -> serve(served, "127.0.0.1", file))
                    .isInstanceOf(SatchelException.class)
                    .hasMessageContaining("name another");
            assertThat(file).hasContent("7420 x");
        }
    }

    @Test
    void givesChunksByTlsToWhoKnowsItsCertificate() throws IOException {
        try (Vault served = open(replica);
                ChunkServer server = serve(served, "0.0.0.0")) {
            URI link = URI.create(server.link());
            assertThat(link.getScheme()).isEqualTo("https");
            String here = "https://127.0.0.1:" + link.getPort() + "/?" + link.getRawQuery();
            readAllFrom(here);
            // Who shows another certificate is not believed, and gets no secret.
            String fingerprint = here.substring(here.indexOf("cert=") + 5);
            String other =
                    here.replace(fingerprint, (fingerprint.charAt(0) == '0' ? "1" : "0") + fingerprint.substring(1));
            try (ChunkSource source = ChunkStore.sourceAt(other);
                    Arena arena = Arena.ofConfined()) {
                MemorySegment buffer = arena.allocate(SealedChunk.SEALED_BYTES_MAX);
                assertThatThrownBy(() -> source.fetch(
                                refs.getFirst().domain(), refs.getFirst().id(), buffer))
                        .isInstanceOf(IOException.class)
                        .hasMessageContaining("another certificate");
            }
            // Nor one that nobody named and no authority vouches for.
            try (ChunkSource source = ChunkStore.sourceAt(here.substring(0, here.indexOf("&cert=")));
                    Arena arena = Arena.ofConfined()) {
                MemorySegment buffer = arena.allocate(SealedChunk.SEALED_BYTES_MAX);
                assertThatThrownBy(() -> source.fetch(
                                refs.getFirst().domain(), refs.getFirst().id(), buffer))
                        .isInstanceOf(IOException.class);
            }
        }
    }

    @Test
    void fetchesManyWithFewRequestsInBatches() throws IOException {
        try (Vault served = open(replica);
                ChunkServer server = serve(served, "127.0.0.1");
                ChunkSource source = ChunkStore.sourceAt(server.link());
                Vault vault = open(home);
                Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(SealedChunk.SEALED_BYTES_MAX);
            MemorySegment plain = arena.allocate(ChunkRef.LENGTH_MAX);
            Map<ChunkRef, byte[]> wanted = new HashMap<>();
            for (int i = 0; i < CHUNKS; i++) {
                wanted.put(refs.get(i), contents.get(i));
            }
            source.fetchAll(refs, buffer, chunk -> {
                ChunkRef ref = new ChunkRef(chunk.domain(), chunk.id(), chunk.length());
                assertThat(vault.chunks().open(ref, chunk, plain)).isTrue();
                assertThat(plain.asSlice(0, ref.length()).toArray(ValueLayout.JAVA_BYTE))
                        .isEqualTo(wanted.remove(ref));
            });
            assertThat(wanted).isEmpty();
        }
    }

    /** One request by hand. @return the answer, until the server ends it */
    private static String ask(URI link, String method, String path, String headers, byte[] body) throws IOException {
        try (Socket socket = new Socket(link.getHost(), link.getPort())) {
            socket.setSoTimeout(10_000);
            byte[] head = (method + " " + path + " HTTP/1.1\r\nHost: " + link.getAuthority()
                            + "\r\nConnection: close\r\nContent-Length: " + body.length + "\r\n" + headers + "\r\n")
                    .getBytes(StandardCharsets.ISO_8859_1);
            socket.getOutputStream().write(head);
            socket.getOutputStream().write(body);
            try (InputStream in = socket.getInputStream()) {
                return new String(in.readAllBytes(), StandardCharsets.ISO_8859_1);
            }
        }
    }

    @Test
    void answersByItsProtocolAndLetsNobodyElseIn() throws IOException {
        try (Vault served = open(replica);
                ChunkServer server = serve(served, "127.0.0.1")) {
            URI link = URI.create(server.link());
            String bearer = "Authorization: Bearer " + link.getRawQuery().substring(2) + "\r\n";
            ChunkRef ref = refs.getFirst();
            String path = "/api/chunks/" + ref.domain() + "/" + ref.id();
            byte[] none = new byte[0];

            String whole = ask(link, "GET", path, bearer, none);
            assertThat(whole).startsWith("HTTP/1.1 200 ");
            String body = whole.substring(whole.indexOf("\r\n\r\n") + 4);
            assertThat(body).hasSize(SealedChunk.HEADER_BYTES + ref.length() + 16);
            // The id in clear, nothing of the content.
            byte[] content = contents.getFirst();
            assertThat(body).doesNotContain(new String(content, 100, 16, StandardCharsets.ISO_8859_1));

            String range = ask(link, "GET", path, bearer + "Range: bytes=10-109\r\n", none);
            assertThat(range)
                    .startsWith("HTTP/1.1 206 ")
                    .contains("Content-Range: bytes 10-109/" + body.length() + "\r\n");
            assertThat(range.substring(range.indexOf("\r\n\r\n") + 4)).isEqualTo(body.substring(10, 110));
            String end = ask(link, "GET", path, bearer + "Range: bytes=-5\r\n", none);
            assertThat(end.substring(end.indexOf("\r\n\r\n") + 4)).isEqualTo(body.substring(body.length() - 5));
            assertThat(ask(link, "GET", path, bearer + "Range: bytes=9999999-\r\n", none))
                    .startsWith("HTTP/1.1 416 ");

            assertThat(ask(link, "GET", path.substring(0, path.length() - 1) + "0", bearer, none))
                    .satisfiesAnyOf(
                            text -> assertThat(text).startsWith("HTTP/1.1 404 "),
                            text -> assertThat(text).startsWith("HTTP/1.1 200 "));
            assertThat(ask(link, "GET", "/api/chunks/../../vault", bearer, none))
                    .startsWith("HTTP/1.1 404 ");
            assertThat(ask(link, "GET", "/api/keys", bearer, none)).startsWith("HTTP/1.1 404 ");
            assertThat(ask(link, "DELETE", path, bearer, none)).startsWith("HTTP/1.1 405 ");
            assertThat(ask(link, "PUT", path, bearer, none)).startsWith("HTTP/1.1 405 ");
            assertThat(ask(link, "POST", "/api/chunks", bearer, new byte[47])).startsWith("HTTP/1.1 400 ");
            assertThat(ask(link, "POST", "/api/chunks", bearer, new byte[48 * 1025]))
                    .startsWith("HTTP/1.1 413 ");
            // Nothing there of any of these names.
            assertThat(ask(link, "POST", "/api/chunks", bearer, new byte[48 * 10]))
                    .startsWith("HTTP/1.1 200 ")
                    .contains("Content-Length: 0\r\n");

            assertThat(ask(link, "GET", path, "", none)).startsWith("HTTP/1.1 403 ");
            for (int i = 0; i < 10; i++) {
                assertThat(ask(link, "GET", path, "Authorization: Bearer wrong\r\n", none))
                        .startsWith("HTTP/1.1 403 ");
            }
            assertThat(ask(link, "GET", path, "Authorization: Bearer wrong\r\n", none))
                    .startsWith("HTTP/1.1 429 ");
            assertThat(ask(link, "GET", path, bearer, none)).startsWith("HTTP/1.1 200 ");
        }
    }

    @Test
    void aServerThatGoesIsPassedOver() throws Exception {
        try (Vault vault = open(home)) {
            String link;
            try (Vault served = open(replica);
                    ChunkServer server = serve(served, "127.0.0.1")) {
                link = server.link();
                vault.chunks().readThrough(Optional.empty(), List.of(ChunkStore.sourceAt(link)), false, notes::add);
                for (int i = 0; i < 10; i++) {
                    assertThat(read(vault, refs.get(i))).isEqualTo(contents.get(i));
                }
            }
            // Its connection is closed, and nobody listens.
            for (int i = 10; i < CHUNKS; i++) {
                assertThat(read(vault, refs.get(i))).isEqualTo(contents.get(i));
            }
            List<SourceReport> reports = vault.chunks().reports();
            // On a busy machine the vault may have been faster now and then.
            assertThat(reports.getFirst().chunks()).isBetween(1L, 10L);
            assertThat(reports.getFirst().state()).isNotEqualTo(SourceReport.State.IN_USE);
            assertThat(reports.getFirst().chunks() + reports.getLast().chunks()).isEqualTo(CHUNKS);
            assertThat(notes).hasSizeLessThanOrEqualTo(1);
        }
    }
}
