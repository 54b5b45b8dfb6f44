package dev.satchel.vault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The client of servers of chunks, with servers that do as they like. */
@Timeout(60)
class ServerSourceTest {
    private static final KeyDomainId DOMAIN = new KeyDomainId(1, 2);
    private static final ChunkId ID = new ChunkId(1, 2, 3, 4);

    /** What such a server does with each connection, once a request has come. */
    private interface Conduct {
        void answer(Socket socket, OutputStream out) throws IOException;
    }

    private static final class Server implements AutoCloseable {
        private final ServerSocket listener = new ServerSocket(0, 16, InetAddress.getLoopbackAddress());
        final AtomicInteger connections = new AtomicInteger();

        Server(Conduct conduct) throws IOException {
            Thread.ofVirtual().start(() -> {
                while (!listener.isClosed()) {
                    try {
                        Socket socket = listener.accept();
                        connections.incrementAndGet();
                        Thread.ofVirtual().start(() -> {
                            try (socket) {
                                byte[] request = new byte[64 << 10];
                                if (socket.getInputStream().read(request) > 0) {
                                    conduct.answer(socket, socket.getOutputStream());
                                }
                            } catch (IOException e) {
                                return; // the client went, which is what it should do
                            }
                        });
                    } catch (IOException e) {
                        return; // closed
                    }
                }
            });
        }

        ChunkSource client() {
            return new ServerSource(ServerLink.parse("http://127.0.0.1:" + listener.getLocalPort() + "/?k=secret"));
        }

        @Override
        public void close() throws IOException {
            listener.close();
        }
    }

    private static void ascii(OutputStream out, String text) throws IOException {
        out.write(text.getBytes(StandardCharsets.ISO_8859_1));
    }

    private static byte[] record(ChunkId id, int sealedBytes) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment sealed = arena.allocate(sealedBytes);
            byte[] record = new byte[SealedChunk.HEADER_BYTES + sealedBytes];
            new SealedChunk(DOMAIN, id, 1, 2, new byte[SealedChunk.WRAPPED_KEY_BYTES], 100, 0, 100, sealed)
                    .writeHeader(MemorySegment.ofArray(record), 0);
            return record;
        }
    }

    private static void fails(Conduct conduct, long millisMax, String... words) throws IOException {
        try (Server server = new Server(conduct);
                ChunkSource client = server.client();
                Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(SealedChunk.SEALED_BYTES_MAX);
            long start = System.nanoTime();
            assertThatThrownBy(() -> client.fetch(DOMAIN, ID, buffer))
                    .isInstanceOf(IOException.class)
                    .satisfies(thrown -> {
                        for (String word : words) {
                            assertThat(thrown.getMessage()).contains(word);
                        }
                    });
            assertThat((System.nanoTime() - start) / 1_000_000).isLessThan(millisMax);
        }
    }

    @Test
    void whatIsNoAnswerIsRefusedAtOnce() throws IOException {
        fails((socket, out) -> {}, 4_000);
        fails((socket, out) -> ascii(out, "SSH-2.0-OpenSSH\r\n\r\n"), 4_000, "not HTTP");
        fails((socket, out) -> ascii(out, "HTTP/1.1 200 OK\r\n\r\n"), 4_000, "unknown length");
        fails(
                (socket, out) -> ascii(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
                4_000,
                "unknown length");
        fails(
                (socket, out) -> ascii(out, "HTTP/1.1 200 OK\r\nContent-Length: 999999999999999\r\n\r\n"),
                4_000,
                "not HTTP");
        fails(
                (socket, out) -> ascii(out, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"),
                4_000,
                "1000000000");
        fails((socket, out) -> ascii(out, "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), 4_000, "not HTTP");
        fails((socket, out) -> ascii(out, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"), 4_000, "secret");
        fails((socket, out) -> ascii(out, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), 4_000, "500");
        // Ended half-way.
        fails(
                (socket, out) -> {
                    ascii(out, "HTTP/1.1 200 OK\r\nContent-Length: " + record(ID, 100).length + "\r\n\r\n");
                    out.write(record(ID, 100), 0, 150);
                },
                4_000,
                "within an answer");
        // A header that says more than the answer has, and more than a chunk can have.
        fails(
                (socket, out) -> {
                    byte[] record = record(ID, 100);
                    Bytes.putInt(record, SealedChunk.HEADER_BYTES - 4, 101);
                    ascii(out, "HTTP/1.1 200 OK\r\nContent-Length: " + record.length + "\r\n\r\n");
                    out.write(record);
                },
                4_000);
        fails(
                (socket, out) -> {
                    byte[] record = record(ID, 100);
                    Bytes.putInt(record, SealedChunk.HEADER_BYTES - 4, Integer.MAX_VALUE);
                    ascii(out, "HTTP/1.1 200 OK\r\nContent-Length: " + record.length + "\r\n\r\n");
                    out.write(record);
                },
                4_000,
                "can't have");
    }

    @Test
    void endlessHeadsAndBytesThatDripEndByTheDeadline() throws IOException {
        fails(
                (socket, out) -> {
                    ascii(out, "HTTP/1.1 200 OK\r\n");
                    while (true) {
                        ascii(out, "X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
                    }
                },
                4_000,
                "head");
        fails(
                (socket, out) -> {
                    ascii(out, "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n");
                    for (int i = 0; i < 200; i++) {
                        out.write(0);
                        out.flush();
                        try {
                            Thread.sleep(100);
                        } catch (InterruptedException e) {
                            throw new IOException(e);
                        }
                    }
                },
                15_000);
    }

    @Test
    void anAnswerThatNobodyAskedForIsNoAnswer() throws IOException {
        Conduct other = (socket, out) -> {
            byte[] record = record(new ChunkId(9, 9, 9, 9), 100);
            ascii(out, "HTTP/1.1 200 OK\r\nContent-Length: " + record.length + "\r\n\r\n");
            out.write(record);
        };
        try (Server server = new Server(other);
                ChunkSource client = server.client();
                Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(SealedChunk.SEALED_BYTES_MAX);
            // By itself it is handed on, for who authenticates it to see that it is another; in a batch it has no
            // place.
            assertThat(client.fetch(DOMAIN, ID, buffer).orElseThrow().id()).isNotEqualTo(ID);
            assertThatThrownBy(() -> client.fetchAll(List.of(new ChunkRef(DOMAIN, ID, 100)), buffer, chunk -> {
                        throw new AssertionError("was taken");
                    }))
                    .isInstanceOf(DamagedException.class);
        }
    }

    @Test
    void aConnectionIsUsedAgainAndAnotherOpenedWhenItWasClosed() throws IOException {
        try (Server server = new Server((socket, out) -> {
                    byte[] record = record(ID, 100);
                    for (int i = 0; i < 3; i++) {
                        ascii(out, "HTTP/1.1 200 OK\r\nContent-Length: " + record.length + "\r\n\r\n");
                        out.write(record);
                        if (i == 2 || socket.getInputStream().read(new byte[4096]) <= 0) {
                            return;
                        }
                    }
                });
                ChunkSource client = server.client();
                Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(SealedChunk.SEALED_BYTES_MAX);
            for (int i = 0; i < 7; i++) {
                assertThat(client.fetch(DOMAIN, ID, buffer)).isPresent();
            }
            assertThat(server.connections.get()).isEqualTo(3);
        }
    }

    @Test
    void whatIsFetchedAheadIsBounded() throws Exception {
        AtomicInteger requests = new AtomicInteger();
        Conduct generous = (socket, out) -> {
            requests.incrementAndGet();
            // Whatever it was asked for: 64 chunks of the largest size, of which the first was.
            ascii(
                    out,
                    "HTTP/1.1 200 OK\r\nContent-Length: " + 64L * record(ID, SealedChunk.SEALED_BYTES_MAX).length
                            + "\r\n\r\n");
            for (int i = 0; i < 64; i++) {
                out.write(record(new ChunkId(1, 2, 3, 4 + i), SealedChunk.SEALED_BYTES_MAX));
            }
        };
        try (Server server = new Server(generous);
                ServerSource client = (ServerSource) server.client();
                Arena arena = Arena.ofConfined()) {
            List<ChunkRef> refs = new java.util.ArrayList<>();
            for (int i = 0; i < 4_000; i++) {
                refs.add(new ChunkRef(DOMAIN, new ChunkId(1, 2, 3, 4 + i), 10));
            }
            client.willNeed(refs);
            while (client.aheadBytes() == 0) {
                Thread.sleep(1);
            }
            Thread.sleep(700);
            // Each answer is 16 MiB: more than that is not kept, and no more is asked for as long as nobody reads.
            assertThat(client.aheadBytes()).isPositive().isLessThanOrEqualTo(16 << 20);
            assertThat(requests.get()).isLessThanOrEqualTo(3);
            assertThat(client.fetch(DOMAIN, refs.get(63).id(), arena.allocate(SealedChunk.SEALED_BYTES_MAX)))
                    .isPresent();
        }
    }

    @Test
    void whatIsNotThereIsNotAskedForAgainSoon() throws Exception {
        AtomicInteger requests = new AtomicInteger();
        Conduct empty = (socket, out) -> {
            requests.incrementAndGet();
            ascii(out, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        };
        try (Server server = new Server(empty);
                ChunkSource client = server.client();
                Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(SealedChunk.SEALED_BYTES_MAX);
            List<ChunkRef> refs = new java.util.ArrayList<>();
            for (int i = 0; i < 40; i++) {
                refs.add(new ChunkRef(DOMAIN, new ChunkId(1, 2, 3, 4 + i), 10));
            }
            client.willNeed(refs);
            while (requests.get() == 0) {
                Thread.sleep(1); // a reader who comes before it is on its way asks by itself
            }
            for (ChunkRef ref : refs) {
                assertThat(client.fetch(DOMAIN, ref.id(), buffer)).isEmpty();
            }
            assertThat(requests.get()).isLessThanOrEqualTo(2);
            // Once: by now it may be there. This one is no answer to a question about one chunk.
            assertThatThrownBy(() -> client.fetch(DOMAIN, refs.getFirst().id(), buffer))
                    .isInstanceOf(IOException.class);
        }
    }

    @Test
    void linksAreReadStrictlyAndTheirSecretsShownNowhere() {
        ServerLink link = ServerLink.parse("https://[2001:db8::7]:8443/?k=a-b_C9&cert=" + "ab".repeat(32));
        assertThat(link.host()).isEqualTo("2001:db8::7");
        assertThat(link.authority()).isEqualTo("[2001:db8::7]:8443");
        assertThat(link.certificate()).contains("ab".repeat(32));
        assertThat(link).hasToString("https://[2001:db8::7]:8443");
        assertThat(ServerLink.parse("http://host/?k=s").port()).isEqualTo(80);
        for (String wrong : List.of(
                "http://host/",
                "http://host/?k=",
                "http://host/?k=a%0d%0aX:1",
                "ftp://host/?k=s",
                "http:///?k=s",
                "http://user@host/?k=s",
                "http://host:0/?k=s",
                "http://host:99999/?k=s",
                "https://host/?k=s&cert=abc",
                "not a link")) {
            assertThatThrownBy(() -> ServerLink.parse(wrong))
                    .as(wrong)
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageNotContaining("k=s");
        }
    }
}
