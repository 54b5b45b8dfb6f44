package dev.satchel.session;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.vault.Backend;
import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.Head;
import dev.satchel.vault.HeadWitness;
import dev.satchel.vault.KdfParameters;
import dev.satchel.vault.Lease;
import dev.satchel.vault.SessionId;
import dev.satchel.vault.SnapshotId;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultKey;
import dev.satchel.volume.Frozen;
import dev.satchel.volume.MountedVolume;
import dev.satchel.volume.Volume;
import dev.satchel.volume.VolumeOptions;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is said about a disk of which parts are lost: on a real ext4. */
class LossesTest {
    private static final byte[] PASSPHRASE = "correct horse".getBytes(UTF_8);
    private static final long DISK_BYTES = 64L << 20;

    @TempDir
    Path directory;

    private Path home;
    private SessionId session;
    private SnapshotId snapshot;
    private Host host;

    private Vault open() throws IOException {
        Backend backend = new DirectoryBackend(home);
        try (VaultKey key = Vault.unlock(backend, PASSPHRASE)) {
            return Vault.open(backend, key, HeadWitness.NONE);
        }
    }

    private Satchel satchel() {
        return new Satchel(host, home, PASSPHRASE::clone, Progress.NONE);
    }

    private static byte[] noise(int seed, int length) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    private void sessionWithFiles() throws IOException {
        home = directory.resolve("home");
        host = Host.open(
                directory.resolve("state"), Site.tools(), Site.repository().resolve("images"));
        session = SessionId.random();
        try (Backend backend = new DirectoryBackend(home)) {
            Vault.init(backend, PASSPHRASE, KdfParameters.FOR_TESTS);
        }
        try (Vault vault = open()) {
            Volume volume =
                    Volume.open(vault, SessionId.random(), ChunkMapRef.EMPTY, DISK_BYTES, VolumeOptions.DEFAULT);
            Path work = directory.resolve("work");
            MountedVolume.format(volume, work);
            Path files = Files.createDirectory(directory.resolve("files"));
            try (MountedVolume mounted = MountedVolume.mount(volume, work, files)) {
                Path ann = Files.createDirectories(files.resolve("home/ann/a folder"));
                Files.write(ann.resolve("letter"), noise(1, 600_000));
                Files.write(files.resolve("home/ann/other"), noise(2, 600_000));
                mounted.sync();
            }
            ChunkMapRef map;
            try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain());
                    Frozen instant = volume.snapshot()) {
                map = instant.store(writer, Runnable::run, 1);
                writer.commit();
            }
            volume.retire();
            byte[] settings = "{\"image\":\"minimal\"}".getBytes(UTF_8);
            snapshot = vault.put(Snapshots.describing(
                    Snapshots.draft(session, Optional.empty(), Snapshots.STOP, map, Optional.empty(), DISK_BYTES, 0),
                    "work",
                    settings));
            try (Lease lease = vault.acquire(session, host.id(), host.name(), false)) {
                vault.putHead(Head.first(session, "work", Optional.of(snapshot), settings), lease);
            }
        }
    }

    /** The slot whose chunk has that in it. */
    private long slotWith(byte[] content) throws IOException {
        String wanted = new String(content, java.nio.charset.StandardCharsets.ISO_8859_1);
        try (Vault vault = open();
                Arena arena = Arena.ofConfined()) {
            MemorySegment chunk = arena.allocate(ChunkRef.LENGTH_MAX);
            ChunkMap map = ChunkMap.load(vault.chunks(), Snapshots.volume(vault.snapshot(snapshot)));
            List<Long> found = new ArrayList<>();
            map.forEach(0, ChunkMap.SLOTS_MAX, (slot, ref) -> {
                int length = vault.chunks().read(ref, chunk);
                if (new String(
                                chunk.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE),
                                java.nio.charset.StandardCharsets.ISO_8859_1)
                        .contains(wanted)) {
                    found.add(slot);
                }
            });
            return found.getFirst();
        }
    }

    /** Flips a byte of a slot's chunk, which is looked for by halves. */
    private void lose(long slot) throws IOException {
        String id;
        try (Vault vault = open()) {
            id = ChunkMap.load(vault.chunks(), Snapshots.volume(vault.snapshot(snapshot)))
                    .get(slot)
                    .orElseThrow()
                    .id()
                    .toString();
        }
        for (Path pack : packs()) {
            byte[] whole = Files.readAllBytes(pack);
            int directoryBytes = ByteBuffer.wrap(whole).getInt(whole.length - 12);
            int from = 100;
            int to = whole.length - 12 - directoryBytes;
            if (isHit(id, pack, whole, from, to)) {
                while (to - from > 1) {
                    int middle = (from + to) / 2;
                    if (isHit(id, pack, whole, from, middle)) {
                        to = middle;
                    } else {
                        from = middle;
                    }
                }
                assertThat(isHit(id, pack, whole, from, to)).isTrue();
                return;
            }
            Files.write(pack, whole);
        }
        throw new AssertionError("no byte of the packs is of chunk " + id);
    }

    /** Whether the chunk is damaged when these bytes of a pack are others. */
    private boolean isHit(String id, Path pack, byte[] whole, int from, int to) throws IOException {
        byte[] flipped = whole.clone();
        for (int at = from; at < to; at++) {
            flipped[at] ^= 1;
        }
        Files.write(pack, flipped);
        try (Vault vault = open()) {
            return vault.verify((done, total) -> {}).errors().stream().anyMatch(line -> line.startsWith("chunk " + id));
        }
    }

    private List<Path> packs() throws IOException {
        try (Stream<Path> all = Files.walk(home)) {
            return all.filter(Files::isRegularFile)
                    .filter(file -> file.toString().contains("/packs/"))
                    .toList();
        }
    }

    @Test
    void filesInWhatIsLostAreNamedAndAreWholeAgainFromACopy() throws IOException {
        sessionWithFiles();
        Path copy = directory.resolve("copy");
        Site.copy(home, copy);
        // Well inside the file, whose other chunks and neighbours stay.
        long slot = slotWith(java.util.Arrays.copyOfRange(noise(1, 600_000), 300_000, 300_016));
        lose(slot);
        try (Satchel satchel = satchel()) {
            assertThat(satchel.verify(true).report().errors()).isEmpty();
            VerifyResult verified = satchel.verify(false);
            assertThat(verified.report().errors()).hasSize(1);
            assertThat(verified.lost()).singleElement().satisfies(loss -> {
                assertThat(loss.owner()).isEqualTo("work");
                assertThat(loss.snapshot()).contains(snapshot);
                assertThat(loss.disk()).isTrue();
                assertThat(loss.processes()).isFalse();
                assertThat(loss.files()).containsExactly("/home/ann/a folder/letter");
                assertThat(loss.moreFiles()).isFalse();
                assertThat(loss.fileSystem()).isFalse();
            });
        }
        try (Satchel satchel = satchel()) {
            RepairResult result = satchel.repair(List.of(), false, false);
            assertThat(result.report().left().errors()).hasSize(1);
            assertThat(result.lost().getFirst().files()).containsExactly("/home/ann/a folder/letter");
        }
        try (Satchel satchel = satchel()) {
            RepairResult result = satchel.repair(List.of(copy.toString()), false, false);
            assertThat(result.report().chunksMended()).isEqualTo(1);
            assertThat(result.report().left().errors()).isEmpty();
            assertThat(result.lost()).isEmpty();
            assertThat(satchel.verify(false).report().errors()).isEmpty();
        }
        // The first chunk has the superblock and the descriptors: the copy of these says what there is.
        lose(0);
        try (Satchel satchel = satchel()) {
            LossInfo loss = satchel.verify(false).lost().getFirst();
            assertThat(loss.fileSystem()).isTrue();
            assertThat(loss.files()).isEmpty();
        }
        // A head of which there is no copy is made again from what the snapshot says, when that is asked for.
        Path head = home.resolve("sessions/" + session + "/head");
        byte[] bytes = Files.readAllBytes(head);
        bytes[50] ^= 1;
        Files.write(head, bytes);
        try (Satchel satchel = satchel()) {
            assertThat(satchel.repair(List.of(copy.toString()), false, false)
                            .report()
                            .left()
                            .errors())
                    .isEmpty();
        }
        Files.write(head, bytes);
        Path away = directory.resolve("away");
        Files.move(host.state().resolve("seen"), away);
        try (Satchel satchel = satchel()) {
            assertThat(satchel.repair(List.of(), false, true).report().left().errors())
                    .isEmpty();
        }
        try (Vault vault = open()) {
            Head made = vault.head("work").orElseThrow();
            assertThat(made.snapshot()).contains(snapshot);
            assertThat(new String(made.settings(), UTF_8)).isEqualTo("{\"image\":\"minimal\"}");
        }
    }

    @Test
    void whatIsLostIsWholeAgainFromALookaside() throws IOException {
        sessionWithFiles();
        Path copy = directory.resolve("copy");
        Site.copy(home, copy);
        lose(slotWith(java.util.Arrays.copyOfRange(noise(1, 600_000), 300_000, 300_016)));
        String unreachable;
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            unreachable = "http://127.0.0.1:" + taken.getLocalPort() + "/?k=secret";
        }
        ChunkPlaces places = new ChunkPlaces(
                List.of(directory.resolve("not there").toString(), unreachable, copy.toString()), OptionalLong.empty());
        try (Satchel satchel = new Satchel(host, home, PASSPHRASE::clone, Progress.NONE, places)) {
            RepairResult result = satchel.repair(List.of(), false, false);
            assertThat(result.report().chunksMended()).isEqualTo(1);
            assertThat(result.report().actions())
                    .anyMatch(line -> line.startsWith("not all could be had from http://127.0.0.1:"))
                    .noneMatch(line -> line.contains("secret"));
            assertThat(result.report().left().errors()).isEmpty();
            assertThat(result.lost()).isEmpty();
        }
        try (Satchel satchel = satchel()) {
            assertThat(satchel.verify(false).report().errors()).isEmpty();
        }
    }
}
