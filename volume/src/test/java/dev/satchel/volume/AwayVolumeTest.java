package dev.satchel.volume;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.vault.AwayException;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.SessionId;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A disk whose vault is taken away waits for it. */
@Timeout(60)
class AwayVolumeTest {
    private static final long BYTES = 64L << 20;
    private static final int BLOCK = 4096;
    private static final VolumeOptions QUIET =
            new VolumeOptions(VolumeOptions.ExistingLog.REPLAY, 4, 0, 1000, 1, 1L << 30, false);

    @TempDir
    Path directory;

    private Path place;
    private Path elsewhere;

    @BeforeEach
    void name() {
        place = directory.resolve("stick");
        elsewhere = directory.resolve("elsewhere");
    }

    private static MemorySegment block(Arena arena, int content) {
        return arena.allocate(BLOCK).fill((byte) content);
    }

    private static byte read(Volume volume, long block) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(BLOCK);
            volume.read(block * BLOCK, bytes);
            return bytes.get(ValueLayout.JAVA_BYTE, BLOCK - 1);
        }
    }

    private interface Work {
        byte run() throws IOException;
    }

    private static CompletableFuture<Byte> start(Work work) {
        CompletableFuture<Byte> result = new CompletableFuture<>();
        Thread.ofPlatform().daemon().start(() -> {
            try {
                result.complete(work.run());
            } catch (IOException | RuntimeException e) {
                result.completeExceptionally(e);
            }
        });
        return result;
    }

    /** Makes a vault with a disk that has something each hundred blocks from 1000 on. */
    private static ChunkMapRef storeEight(Path vaultPlace, SessionId session) throws Exception {
        try (TestVault vault = TestVault.make(vaultPlace);
                Volume volume = Volume.open(vault.vault(), session, ChunkMapRef.EMPTY, BYTES, QUIET);
                Arena arena = Arena.ofConfined()) {
            for (int i = 0; i < 8; i++) {
                volume.write((1000 + 100L * i) * BLOCK, block(arena, i + 1));
            }
            return vault.commit(volume);
        }
    }

    @Test
    void whoNeedsItsVaultWaitsForIt() throws Exception {
        SessionId session = SessionId.random();
        ChunkMapRef stored = storeEight(place, session);
        try (TestVault vault = TestVault.open(place);
                Volume volume = Volume.open(vault.vault(), session, stored, BYTES, QUIET)) {
            Files.move(place, elsewhere);
            Files.createDirectory(place); // as an empty mount point
            CompletableFuture<Byte> reader = start(() -> read(volume, 1700));
            CompletableFuture<Byte> writer = start(() -> {
                try (Arena own = Arena.ofConfined()) {
                    volume.write(9L * BLOCK, block(own, 99)); // the first of the log
                }
                return read(volume, 9);
            });
            assertThatThrownBy(() -> reader.get(1, TimeUnit.SECONDS)).isInstanceOf(TimeoutException.class);
            assertThat(writer).isNotDone();
            assertThat(place).isEmptyDirectory();
            Files.delete(place);
            Files.move(elsewhere, place);
            assertThat(reader.get(20, TimeUnit.SECONDS)).isEqualTo((byte) 8);
            assertThat(writer.get(20, TimeUnit.SECONDS)).isEqualTo((byte) 99);
        }
        // Who is about to end does not wait.
        try (TestVault vault = TestVault.open(place);
                Volume volume = Volume.open(vault.vault(), session, stored, BYTES, QUIET)) {
            Files.move(place, elsewhere);
            CompletableFuture<Byte> late = start(() -> read(volume, 1300));
            assertThatThrownBy(() -> late.get(500, TimeUnit.MILLISECONDS)).isInstanceOf(TimeoutException.class);
            volume.stopWaiting();
            assertThatThrownBy(() -> late.get(20, TimeUnit.SECONDS))
                    .isInstanceOf(ExecutionException.class)
                    .hasCauseInstanceOf(AwayException.class);
            Files.move(elsewhere, place);
        }
        try (TestVault vault = TestVault.open(place);
                Volume volume = Volume.open(vault.vault(), session, stored, BYTES, QUIET)) {
            assertThat(read(volume, 9)).isEqualTo((byte) 99);
            assertThat(read(volume, 1200)).isEqualTo((byte) 3);
        }
    }

    /** A real file system under open files that dies, and is back on another device; needs root. */
    @Test
    void whoReadsFromADeviceThatDiesWaitsForIt() throws Exception {
        Path image = directory.resolve("image");
        run("truncate", "-s", "64M", image.toString());
        run("mke2fs", "-q", "-t", "ext4", image.toString());
        Path device = Files.createDirectory(directory.resolve("device"));
        Path vaultPlace = device.resolve("vault");
        run("mount", "-o", "loop", image.toString(), device.toString());
        try {
            SessionId session = SessionId.random();
            ChunkMapRef stored = storeEight(vaultPlace, session);
            try (TestVault vault = TestVault.open(vaultPlace);
                    Volume volume = Volume.open(vault.vault(), session, stored, BYTES, QUIET)) {
                assertThat(read(volume, 1000)).isEqualTo((byte) 1);
                // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_LOGFLUSH: what the kernel does when a device has been pulled
                // out.
                run(
                        "perl",
                        "-e",
                        "my $flags = pack('L', 1); open(F, '<', $ARGV[0]) && ioctl(F, 0x8004587d, $flags) or die $!",
                        device.toString());
                CompletableFuture<Byte> reader = start(() -> read(volume, 1700));
                assertThatThrownBy(() -> reader.get(1, TimeUnit.SECONDS)).isInstanceOf(TimeoutException.class);
                run("umount", "--lazy", device.toString());
                assertThatThrownBy(() -> reader.get(1, TimeUnit.SECONDS)).isInstanceOf(TimeoutException.class);
                // Another loop device of the same file.
                run("mount", "-o", "loop", image.toString(), device.toString());
                assertThat(reader.get(20, TimeUnit.SECONDS)).isEqualTo((byte) 8);
                assertThat(read(volume, 1300)).isEqualTo((byte) 4);
            }
        } finally {
            run("umount", device.toString());
        }
    }

    private static void run(String... command) throws Exception {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), UTF_8);
        assertThat(process.waitFor())
                .as(String.join(" ", command) + ": " + said)
                .isZero();
    }
}
