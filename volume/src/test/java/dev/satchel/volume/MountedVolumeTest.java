package dev.satchel.volume;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.linux.LoopDevice;
import dev.satchel.linux.Mount;
import dev.satchel.linux.Mounts;
import dev.satchel.linux.ServedDevices;
import dev.satchel.linux.fuse.FuseMount;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.SessionId;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The real ext4, loop devices and FUSE of this kernel; needs root. */
@Timeout(60)
class MountedVolumeTest {
    private static final long BYTES = 8L << 30;

    @TempDir
    Path directory;

    private TestVault vault;
    private Path work;
    private Path mountPoint;
    private final SessionId session = SessionId.random();

    @BeforeEach
    void makeVault() throws IOException {
        vault = TestVault.make(directory.resolve("vault"));
        work = directory.resolve("work");
        mountPoint = Files.createDirectory(directory.resolve("mnt"));
    }

    @AfterEach
    void nothingIsLeft() throws Exception {
        vault.close();
        for (Mount mount : Mounts.list()) {
            assertThat(mount.target().startsWith(directory))
                    .as(mount.toString())
                    .isFalse();
        }
        // Whoever else has just opened the device, udev for one, keeps it until they close it (loop(4),
        // LO_FLAGS_AUTOCLEAR).
        for (int i = 0;
                i < 1000 && !LoopDevice.find(work.resolve("disk/volume")).isEmpty();
                i++) {
            Thread.sleep(10);
        }
        assertThat(LoopDevice.find(work.resolve("disk/volume"))).isEmpty();
    }

    private Volume open(ChunkMapRef base) throws IOException {
        return Volume.open(vault.vault(), session, base, BYTES, VolumeOptions.DEFAULT);
    }

    private static void write(Path file, byte[] bytes) throws IOException {
        ServedDevices.<Path, IOException>callWithout(() -> Files.write(file, bytes));
    }

    private static byte[] read(Path file) throws IOException {
        return ServedDevices.<byte[], IOException>callWithout(() -> Files.readAllBytes(file));
    }

    private static byte[] noise(int seed, int length) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    @Test
    void filesComeBackAfterASuspend() throws IOException {
        ChunkMapRef stored;
        Volume volume = open(ChunkMapRef.EMPTY);
        MountedVolume.format(volume, work);
        try (MountedVolume mounted = MountedVolume.mount(volume, work, mountPoint)) {
            write(mountPoint.resolve("noise"), noise(1, 5_000_000));
            write(mountPoint.resolve("small"), "hello".getBytes(UTF_8));
            mounted.settle();
            stored = vault.store(volume);
            write(mountPoint.resolve("late"), "too late".getBytes(UTF_8));
        }
        volume.retire();
        assertThat(vault.segments(session)).isEmpty();
        try (Volume again = open(stored);
                MountedVolume mounted = MountedVolume.mount(again, work, mountPoint)) {
            assertThat(read(mountPoint.resolve("noise"))).isEqualTo(noise(1, 5_000_000));
            assertThat(read(mountPoint.resolve("small"))).isEqualTo("hello".getBytes(UTF_8));
            assertThat(mountPoint.resolve("late")).doesNotExist();
            assertThat(mounted.mountPoint()).isEqualTo(mountPoint);
        }
    }

    @Test
    void aSnapshotOfASettledFileSystemIsCompleteAndSeparate() throws Exception {
        try (Volume volume = open(ChunkMapRef.EMPTY)) {
            MountedVolume.format(volume, work);
            Path look = Files.createDirectory(directory.resolve("look"));
            try (MountedVolume mounted = MountedVolume.mount(volume, work, mountPoint)) {
                write(mountPoint.resolve("file"), noise(2, 1_000_000));
                mounted.settle();
                Frozen frozen = volume.snapshot();
                try (frozen) {
                    write(mountPoint.resolve("file"), noise(3, 1_000_000));
                    mounted.sync();
                    try (MountedVolume old = MountedVolume.mountReadOnly(frozen, directory.resolve("old"), look)) {
                        assertThat(read(look.resolve("file"))).isEqualTo(noise(2, 1_000_000));
                        assertThat(check(old.device())).isZero();
                    }
                    assertThat(read(mountPoint.resolve("file"))).isEqualTo(noise(3, 1_000_000));
                }
            }
        }
    }

    @Test
    void whatWasSyncedSurvivesTheKillOfItsServer() throws Exception {
        vault.close();
        Process server = serve();
        byte[] synced = noise(4, 3_000_000);
        try {
            for (int i = 0; i < 20; i++) {
                try (FileChannel file = FileChannel.open(
                        mountPoint.resolve("synced-" + i), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
                    file.write(ByteBuffer.wrap(synced, i * 1000, 100_000));
                    file.force(true);
                }
            }
            Files.write(mountPoint.resolve("unsynced"), synced);
        } finally {
            server.destroyForcibly().waitFor();
        }
        MountedVolume.cleanUpAfterCrash(work);
        MountedVolume.cleanUpAfterCrash(work);
        vault = TestVault.open(vault.root());
        try (Volume volume = open(ChunkMapRef.EMPTY)) {
            try (MountedVolume mounted = MountedVolume.mount(volume, work, mountPoint)) {
                for (int i = 0; i < 20; i++) {
                    byte[] expected = java.util.Arrays.copyOfRange(synced, i * 1000, i * 1000 + 100_000);
                    assertThat(read(mountPoint.resolve("synced-" + i))).isEqualTo(expected);
                }
                assertThat(mounted.device()).isNotNull();
            }
            // The journal is replayed: nothing to mend.
            Path disk = Files.createDirectory(directory.resolve("check"));
            try (FuseMount fuse =
                    FuseMount.mount(disk, "satchel-test", Map.of("volume", volume), FuseMount.Options.DEFAULT)) {
                assertThat(check(fuse.directory().resolve("volume"))).isZero();
            }
        }
    }

    private Process serve() throws IOException {
        Process server = new ProcessBuilder(List.of(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "--enable-native-access=ALL-UNNAMED",
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        System.getProperty("java.class.path"),
                        ServeVolume.class.getName(),
                        vault.root().toString(),
                        session.toString(),
                        Long.toString(BYTES),
                        work.toString(),
                        mountPoint.toString()))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        BufferedReader output = new BufferedReader(new InputStreamReader(server.getInputStream(), UTF_8));
        String line = output.readLine();
        if (line == null || !line.startsWith("mounted ")) {
            server.destroyForcibly();
            throw new AssertionError("the server said " + line);
        }
        return server;
    }

    /** e2fsck(8) without mending: 0 when there is nothing to mend. */
    private static int check(Path device) throws Exception {
        Process process = new ProcessBuilder("e2fsck", "-f", "-n", device.toString())
                .redirectErrorStream(true)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), UTF_8);
        assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        if (process.exitValue() != 0) {
            System.err.println(output);
        }
        return process.exitValue();
    }

    @Test
    void growsWithItsFileSystem() throws Exception {
        try (Volume volume = open(ChunkMapRef.EMPTY)) {
            MountedVolume.format(volume, work);
            try (MountedVolume mounted = MountedVolume.mount(volume, work, mountPoint)) {
                write(mountPoint.resolve("file"), noise(5, 100_000));
                assertThat(mounted.mountPoint().toFile().getTotalSpace()).isBetween(BYTES / 10 * 9, BYTES);
            }
            MountedVolume.grow(volume, work, 2 * BYTES);
            assertThat(volume.sizeBytes()).isEqualTo(2 * BYTES);
            try (MountedVolume mounted = MountedVolume.mount(volume, work, mountPoint)) {
                assertThat(mounted.mountPoint().toFile().getTotalSpace()).isGreaterThan(BYTES / 10 * 19);
                write(mountPoint.resolve("more"), noise(6, 100_000));
                assertThat(read(mountPoint.resolve("file"))).isEqualTo(noise(5, 100_000));
                assertThat(check(mounted.device())).isZero();
            }
        }
    }

    @Test
    void deletedFilesAreNotInTheNextSnapshotOnceTrimmed() throws IOException {
        try (Volume volume = open(ChunkMapRef.EMPTY)) {
            MountedVolume.format(volume, work);
            try (MountedVolume mounted = MountedVolume.mount(volume, work, mountPoint)) {
                write(mountPoint.resolve("large"), noise(7, 20_000_000));
                mounted.sync();
                long with = vault.commit(volume).logicalBytes();
                ServedDevices.<Boolean, IOException>callWithout(
                        () -> Files.deleteIfExists(mountPoint.resolve("large")));
                mounted.sync();
                mounted.trim();
                long without = vault.commit(volume).logicalBytes();
                assertThat(with - without).isGreaterThan(18_000_000);
            }
        }
    }

    @Test
    void aVolumeWithoutAFileSystemLeavesNothingMounted() throws IOException {
        try (Volume volume = open(ChunkMapRef.EMPTY)) {
            assertThatThrownBy(() -> MountedVolume.mount(volume, work, mountPoint))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("ext4");
        }
    }

    @Test
    void closingTakesItFromThoseWhoHoldIt() throws Exception {
        try (Volume volume = open(ChunkMapRef.EMPTY)) {
            MountedVolume.format(volume, work);
            MountedVolume mounted = MountedVolume.mount(volume, work, mountPoint);
            write(mountPoint.resolve("kept"), noise(8, 10_000));
            Process holder = new ProcessBuilder("sleep", "60")
                    .directory(mountPoint.toFile())
                    .start();
            try {
                assertThatThrownBy(mounted::close).hasMessageContaining("EBUSY");
                assertThat(Mounts.isMountPoint(mountPoint)).isFalse();
            } finally {
                holder.destroyForcibly().waitFor();
            }
            mounted.close();
            try (MountedVolume again = MountedVolume.mount(volume, work, mountPoint)) {
                assertThat(read(again.mountPoint().resolve("kept"))).isEqualTo(noise(8, 10_000));
            }
        }
    }
}
