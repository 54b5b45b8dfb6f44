package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Answers of a server of chunks that are genuine but for some bytes, from a lookaside that is hostile: an {@link IOException}, or chunks of
 * which only the genuine ones are believed, in bounded memory.
 */
@Timeout(300)
class HostileServerTest {
    private static final int TRIES = Integer.getInteger("satchel.proof.tries", 1_000);
    private static final long ALLOCATED_BYTES_MAX = 1 << 20;
    private static final int CHUNKS = 3;

    @TempDir
    Path directory;

    private final List<ChunkRef> refs = new ArrayList<>();
    private final List<byte[]> contents = new ArrayList<>();

    @Test
    void answers() throws IOException {
        long seed = Long.getLong("satchel.proof.seed", System.nanoTime());
        Random random = new Random(seed);
        try (Vault vault = TestVaults.create(directory);
                ServerSocket listener = new ServerSocket(0, 16, InetAddress.getLoopbackAddress());
                Arena arena = Arena.ofConfined()) {
            List<byte[]> records = records(vault, arena);
            MemorySegment buffer = arena.allocate(SealedChunk.SEALED_BYTES_MAX, 8);
            ServerLink link = ServerLink.parse("http://127.0.0.1:" + listener.getLocalPort() + "/?k=secret");
            ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
            int refused = 0;
            int believed = 0;
            for (int i = 0; i < TRIES; i++) {
                boolean batch = random.nextBoolean();
                byte[] answer = altered(answer(batch ? records : records.subList(0, 1)), random);
                Thread server = Thread.ofVirtual().start(() -> answerOnce(listener, answer));
                long before = threads.getCurrentThreadAllocatedBytes();
                try (ChunkSource source = new ServerSource(link)) {
                    believed += batch ? askForAll(vault, source, buffer) : ask(vault, source, buffer);
                } catch (IOException e) {
                    assertThat(e.getMessage()).as("seed %d, try %d", seed, i).isNotBlank();
                    refused++;
                } catch (RuntimeException e) {
                    throw new AssertionError("seed " + seed + ", try " + i, e);
                }
                if (i > 50) {
                    assertThat(threads.getCurrentThreadAllocatedBytes() - before)
                            .as("seed %d, try %d", seed, i)
                            .isLessThan(ALLOCATED_BYTES_MAX);
                }
                join(server);
            }
            assertThat(refused).isBetween(TRIES / 10, TRIES - 1);
            assertThat(believed).isPositive();
        }
    }

    /** The stored forms of some chunks, as a server sends them. */
    private List<byte[]> records(Vault vault, Arena arena) throws IOException {
        try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            for (int i = 0; i < CHUNKS; i++) {
                contents.add(TestVaults.text(i, 2_000 + i));
                refs.add(TestVaults.put(writer, contents.get(i)));
            }
            writer.commit();
        }
        List<byte[]> records = new ArrayList<>();
        try (ChunkSource source = vault.chunks().sourceIn(new DirectoryBackend(directory))) {
            for (ChunkRef ref : refs) {
                SealedChunk chunk = source.fetch(
                                ref.domain(), ref.id(), arena.allocate(SealedChunk.SEALED_BYTES_MAX, 8))
                        .orElseThrow();
                byte[] sealed = chunk.sealed().toArray(ValueLayout.JAVA_BYTE);
                byte[] record = new byte[SealedChunk.HEADER_BYTES + sealed.length];
                chunk.writeHeader(MemorySegment.ofArray(record), 0);
                System.arraycopy(sealed, 0, record, SealedChunk.HEADER_BYTES, sealed.length);
                records.add(record);
            }
        }
        return records;
    }

    private static byte[] answer(List<byte[]> records) {
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        records.forEach(body::writeBytes);
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        all.writeBytes(("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: " + body.size()
                        + "\r\nConnection: keep-alive\r\n\r\n")
                .getBytes(ISO_8859_1));
        all.writeBytes(body.toByteArray());
        return all.toByteArray();
    }

    /** With bytes changed, cut out, put in or twice there, or another end. */
    private static byte[] altered(byte[] genuine, Random random) {
        byte[] bytes = genuine.clone();
        for (int k = random.nextInt(4); k > 0 && bytes.length > 1; k--) {
            // The head and the first header say how all else is to be read.
            int at = random.nextInt(random.nextBoolean() ? Math.min(bytes.length, 260) : bytes.length);
            int count = Math.min(bytes.length - at, 1 + random.nextInt(random.nextBoolean() ? 4 : 400));
            switch (random.nextInt(6)) {
                case 0, 1 -> bytes[at] = (byte) (random.nextInt(3) == 0 ? 0xff : random.nextInt());
                case 2 -> bytes[at] = (byte) ('0' + random.nextInt(10));
                case 3 -> bytes = joined(bytes, at, new byte[0], at + count);
                case 4 -> bytes = joined(bytes, at + count, Arrays.copyOfRange(bytes, at, at + count), at + count);
                default -> {
                    byte[] noise = new byte[count];
                    random.nextBytes(noise);
                    bytes = joined(bytes, at, noise, at);
                }
            }
        }
        return switch (random.nextInt(8)) {
            case 0 -> Arrays.copyOf(bytes, random.nextInt(bytes.length + 1));
            case 1 -> joined(bytes, bytes.length, TestVaults.noise(random.nextLong(), 600_000), bytes.length);
            default -> bytes;
        };
    }

    private static byte[] joined(byte[] bytes, int to, byte[] between, int from) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        all.write(bytes, 0, to);
        all.writeBytes(between);
        all.write(bytes, from, bytes.length - from);
        return all.toByteArray();
    }

    private static void answerOnce(ServerSocket listener, byte[] answer) {
        try (Socket socket = listener.accept()) {
            byte[] request = new byte[64 << 10];
            if (socket.getInputStream().read(request) > 0) {
                socket.getOutputStream().write(answer);
            }
        } catch (IOException e) {
            return; // the client has heard enough
        }
    }

    private static void join(Thread server) throws IOException {
        try {
            server.join();
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
    }

    private int ask(Vault vault, ChunkSource source, MemorySegment buffer) throws IOException {
        Optional<SealedChunk> chunk =
                source.fetch(refs.getFirst().domain(), refs.getFirst().id(), buffer);
        return chunk.isPresent() && isBelieved(vault, 0, chunk.get()) ? 1 : 0;
    }

    private int askForAll(Vault vault, ChunkSource source, MemorySegment buffer) throws IOException {
        int[] believed = new int[1];
        Map<ChunkId, Integer> numbers = Map.of(
                refs.get(0).id(), 0,
                refs.get(1).id(), 1,
                refs.get(2).id(), 2);
        source.fetchAll(refs, buffer, chunk -> {
            Integer number = numbers.get(chunk.id());
            assertThat(number).as("it was asked for").isNotNull();
            believed[0] += isBelieved(vault, number, chunk) ? 1 : 0;
        });
        return believed[0];
    }

    /** Whether a chunk is taken; then it is the one that was stored. */
    private boolean isBelieved(Vault vault, int number, SealedChunk chunk) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment target = arena.allocate(refs.get(number).length());
            if (!vault.chunks().open(refs.get(number), chunk, target)) {
                return false;
            }
            assertThat(target.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(contents.get(number));
            return true;
        }
    }
}
