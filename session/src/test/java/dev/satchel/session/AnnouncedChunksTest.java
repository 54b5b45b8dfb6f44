package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkStore;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.HeadWitness;
import dev.satchel.vault.KdfParameters;
import dev.satchel.vault.SessionId;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultKey;
import dev.satchel.volume.Frozen;
import dev.satchel.volume.Volume;
import dev.satchel.volume.VolumeOptions;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What readers will need of a server that is far away they ask it for in few requests, not chunk by chunk. */
@Timeout(60)
class AnnouncedChunksTest {
    private static final byte[] PASSPHRASE = "a passphrase".getBytes(StandardCharsets.UTF_8);
    private static final int SLOT_BYTES = 256 << 10;
    private static final int LEAVES = 100;
    private static final int DISK_SLOTS = 96;
    private static final VolumeOptions OPTIONS =
            new VolumeOptions(VolumeOptions.ExistingLog.DISCARD, 64, 4, 1000, 1, 1L << 30, false);

    @TempDir
    Path directory;

    private Path home;
    private Path replica;
    private ChunkMapRef sparse;
    private ChunkMapRef disk;

    @BeforeEach
    void makeVaultWithoutPacksAndItsReplica() throws IOException {
        home = directory.resolve("home");
        replica = directory.resolve("replica");
        try (DirectoryBackend backend = new DirectoryBackend(home)) {
            Vault.init(backend, PASSPHRASE, new KdfParameters(64, 1, 1));
        }
        try (Vault vault = open(home)) {
            try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain());
                    Arena arena = Arena.ofConfined()) {
                ChunkMap.Editor map =
                        ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
                for (int i = 0; i < LEAVES; i++) {
                    map.set(i * 1024L, writer.put(arena.allocateFrom(ValueLayout.JAVA_LONG, i, i)));
                }
                sparse = map.store(writer);
                writer.commit();
            }
            try (Volume volume = Volume.open(
                            vault, SessionId.random(), ChunkMapRef.EMPTY, (long) DISK_SLOTS * SLOT_BYTES, OPTIONS);
                    Arena arena = Arena.ofConfined()) {
                for (int slot = 0; slot < DISK_SLOTS; slot++) {
                    volume.write((long) slot * SLOT_BYTES, arena.allocateFrom(ValueLayout.JAVA_BYTE, noise(slot)));
                }
                try (Frozen frozen = volume.snapshot();
                        ChunkWriter writer =
                                vault.chunks().writer(vault.chunks().ownDomain())) {
                    disk = frozen.store(writer, Runnable::run, 0);
                    writer.commit();
                }
                volume.retire();
            }
        }
        Site.copy(home, replica);
        try (var all = Files.walk(home.resolve("domains"))) {
            for (Path path : all.filter(Files::isRegularFile).toList()) {
                if (path.toString().contains("/packs/")) {
                    Files.delete(path);
                }
            }
        }
    }

    private static byte[] noise(int seed) {
        byte[] bytes = new byte[SLOT_BYTES];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    private static Vault open(Path path) throws IOException {
        DirectoryBackend backend = new DirectoryBackend(path);
        try (VaultKey key = Vault.unlock(backend, PASSPHRASE)) {
            return Vault.open(backend, key, HeadWitness.NONE);
        }
    }

    /** A line of 10 ms each way, which counts the requests that go by. */
    private static final class FarAway implements AutoCloseable {
        private static final long DELAY_MILLIS = 10;

        private final ServerSocket listener = new ServerSocket(0, 16, InetAddress.getLoopbackAddress());
        private final URI behind;
        final AtomicInteger requests = new AtomicInteger();

        FarAway(String link) throws IOException {
            behind = URI.create(link);
            Thread.ofVirtual().start(() -> {
                while (!listener.isClosed()) {
                    try {
                        Socket near = listener.accept();
                        Socket far = new Socket(behind.getHost(), behind.getPort());
                        Thread.ofVirtual().start(() -> pass(near, far, true));
                        Thread.ofVirtual().start(() -> pass(far, near, false));
                    } catch (IOException e) {
                        return; // closed
                    }
                }
            });
        }

        String link() {
            return "http://127.0.0.1:" + listener.getLocalPort() + "/?" + behind.getRawQuery();
        }

        /** A client sends its next request when it has its answer, so that each arrives by itself, its head and body at once or nearly so. */
        private void pass(Socket from, Socket to, boolean counted) {
            try (from;
                    to) {
                InputStream in = from.getInputStream();
                OutputStream out = to.getOutputStream();
                byte[] bytes = new byte[1 << 20];
                for (int count = in.read(bytes); count > 0; count = in.read(bytes)) {
                    String text = new String(bytes, 0, Math.min(count, 5), StandardCharsets.ISO_8859_1);
                    if (counted && (text.startsWith("GET ") || text.startsWith("POST "))) {
                        requests.incrementAndGet();
                    }
                    Thread.sleep(DELAY_MILLIS);
                    out.write(bytes, 0, count);
                }
            } catch (IOException | InterruptedException e) {
                return; // one of the two went
            }
        }

        @Override
        public void close() throws IOException {
            listener.close();
        }
    }

    /** Reads with a server as the only place that has anything. @return the requests it took */
    private int requestsOf(Reading reading) throws IOException {
        try (Vault served = open(replica);
                ChunkServer server = new ChunkServer(
                        served.chunks().serve(new DirectoryBackend(replica)),
                        directory,
                        ListenAddress.parse("127.0.0.1"),
                        Optional.empty(),
                        Optional.empty());
                FarAway line = new FarAway(server.link());
                Vault vault = open(home)) {
            vault.chunks().readThrough(Optional.empty(), List.of(ChunkStore.sourceAt(line.link())), false, note -> {});
            reading.read(vault);
            return line.requests.get();
        }
    }

    private interface Reading {
        void read(Vault vault) throws IOException;
    }

    @Test
    void aMapsNodesAreAskedForTogether() throws IOException {
        AtomicInteger seen = new AtomicInteger();
        int requests = requestsOf(vault -> ChunkMap.load(vault.chunks(), sparse)
                .forEach(0, sparse.slots(), (slot, ref) -> seen.incrementAndGet()));
        assertThat(seen).hasValue(LEAVES);
        System.out.println(LEAVES + " nodes by " + requests + " requests");
        // The root, then the leaves, of which the first may be asked for by whoever reads before it is on its way.
        assertThat(requests).isBetween(3, LEAVES / 2);
    }

    @Test
    void aDiskThatIsReadOnAndOnIsAskedForAhead() throws IOException {
        int requests = requestsOf(vault -> {
            try (Volume volume = Volume.open(vault, SessionId.random(), disk, (long) DISK_SLOTS * SLOT_BYTES, OPTIONS);
                    Arena arena = Arena.ofConfined()) {
                MemorySegment half = arena.allocate(SLOT_BYTES / 2);
                for (int i = 0; i < DISK_SLOTS * 2; i++) {
                    volume.read((long) i * SLOT_BYTES / 2, half);
                    byte[] expected = noise(i / 2);
                    assertThat(half.mismatch(
                                    MemorySegment.ofArray(expected).asSlice(i % 2 * (SLOT_BYTES / 2L), SLOT_BYTES / 2)))
                            .isEqualTo(-1);
                }
                volume.retire();
            }
        });
        System.out.println(DISK_SLOTS + " slots by " + requests + " requests");
        assertThat(requests).isBetween(DISK_SLOTS / 16, DISK_SLOTS * 3 / 4);
    }

    @Test
    void whatIsWrittenInPartIsFilledUpFromWhatWasAskedForTogether() throws IOException {
        int requests = requestsOf(vault -> {
            try (Volume volume = Volume.open(vault, SessionId.random(), disk, (long) DISK_SLOTS * SLOT_BYTES, OPTIONS);
                    Arena arena = Arena.ofConfined()) {
                MemorySegment block = arena.allocate(4096);
                for (int slot = 0; slot < DISK_SLOTS; slot++) {
                    block.fill((byte) (slot + 1));
                    volume.write((long) slot * SLOT_BYTES + 8192, block);
                }
                volume.foldAll();
                volume.retire();
            }
        });
        System.out.println(DISK_SLOTS + " slots filled up by " + requests + " requests");
        assertThat(requests).isBetween(DISK_SLOTS / 16, DISK_SLOTS * 3 / 4);
    }
}
