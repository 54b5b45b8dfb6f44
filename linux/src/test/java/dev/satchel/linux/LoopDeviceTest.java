package dev.satchel.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LoopDeviceTest {
    private static final long SIZE = 32 << 20;

    @TempDir
    Path directory;

    private Path backing;

    @BeforeEach
    void makeBackingFile() throws Exception {
        backing = directory.resolve("backing");
        try (Fd file = Fd.open(backing, Fd.O_RDWR | Fd.O_CREAT)) {
            file.truncate(SIZE);
        }
    }

    @AfterEach
    void detachWhatAFailedTestLeft() throws Exception {
        for (LoopDevice left : LoopDevice.find(backing)) {
            left.close();
        }
    }

    /** Waits until nothing is attached to it: whoever else has the device open, udev for one, keeps it until they close it (loop(4)). */
    private static boolean isGone(Path backing) throws Exception {
        for (int i = 0; i < 1000 && !LoopDevice.find(backing).isEmpty(); i++) {
            Thread.sleep(10);
        }
        return LoopDevice.find(backing).isEmpty();
    }

    @Test
    void attachesFindsAndDetaches() throws Exception {
        try (LoopDevice device = LoopDevice.attach(backing, new LoopDevice.Options(false, false, 4096, false))) {
            assertThat(device.sizeBytes()).isEqualTo(SIZE);
            Path queue = Path.of("/sys/block", device.path().getFileName().toString(), "queue/logical_block_size");
            assertThat(queue).hasContent("4096");
            device.setReadAhead(256 << 10);
            assertThat(queue.resolveSibling("read_ahead_kb")).hasContent("256");
            assertThat(LoopDevice.find(backing)).extracting(LoopDevice::path).containsExactly(device.path());
            try (Arena arena = Arena.ofConfined();
                    Fd block = Fd.open(device.path(), Fd.O_RDWR)) {
                block.writeFully(arena.allocate(8192).fill((byte) 7), 4096);
                block.sync();
            }
        }
        assertThat(isGone(backing)).isTrue();
        assertThat(Files.readAllBytes(backing)[4096 + 8191]).isEqualTo((byte) 7);
        assertThat(Files.readAllBytes(backing)[4096 + 8192]).isEqualTo((byte) 0);
    }

    @Test
    void findsWhatAKilledProcessLeft() throws Exception {
        // Never closed by its owner; the file is deleted too.
        LoopDevice left = LoopDevice.attach(backing, new LoopDevice.Options(true, false, 512, false));
        Files.delete(backing);
        assertThat(LoopDevice.find(backing)).hasSize(1);
        for (LoopDevice found : LoopDevice.find(backing)) {
            assertThat(found.path()).isEqualTo(left.path());
            found.close();
        }
        assertThat(isGone(backing)).isTrue();
        left.close();
    }

    @Test
    void readOnlyRefusesWrites() throws Exception {
        try (LoopDevice device = LoopDevice.attach(backing, new LoopDevice.Options(true, true, 4096, false))) {
            assertThat(Path.of("/sys/block", device.path().getFileName().toString(), "ro"))
                    .hasContent("1");
            assertThat(Path.of("/sys/block", device.path().getFileName().toString(), "loop/dio"))
                    .hasContent("1");
        }
    }

    @Test
    void autoclearDetachesWithTheMount() throws Exception {
        run("mkfs.ext4", "-q", "-F", "-b", "4096", backing.toString());
        Path target = Files.createDirectory(directory.resolve("target"));
        LoopDevice device = LoopDevice.attach(backing, new LoopDevice.Options(false, true, 4096, true));
        Mounts.mount(device.path().toString(), target, "ext4", Mounts.MS_NOATIME, null);
        device.close();
        assertThat(LoopDevice.find(backing)).hasSize(1);
        Mounts.unmount(target, 0);
        assertThat(isGone(backing)).isTrue();
    }

    @Test
    void autoclearDetachesWithTheProcess() throws Exception {
        Process owner = KeyringTest.java("dev.satchel.linux.LoopDeviceTest$Owner", backing.toString());
        assertThat(owner.getInputStream().read()).isEqualTo('/');
        assertThat(LoopDevice.find(backing)).hasSize(1);
        owner.destroyForcibly().waitFor();
        assertThat(isGone(backing)).isTrue();
    }

    @Test
    void makesAMissingNode() throws Exception {
        Path dev = Files.createDirectory(directory.resolve("dev"));
        // A /dev of its own in a mount namespace of its own, with nothing in it but the control device.
        String script = "mount -t tmpfs dev \"$0\" && cp -a /dev/loop-control /dev/null /dev/random /dev/urandom \"$0\""
                + " && mount --move \"$0\" /dev && exec \"$@\"";
        List<String> command = new ArrayList<>(
                List.of("unshare", "--mount", "--propagation", "private", "sh", "-c", script, dev.toString()));
        command.addAll(KeyringTest.javaCommand("dev.satchel.linux.LoopDeviceTest$Owner", backing.toString()));
        Process owner = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        try {
            assertThat(owner.getInputStream().read()).isEqualTo('/');
            assertThat(LoopDevice.find(backing)).hasSize(1);
        } finally {
            owner.destroyForcibly().waitFor();
        }
    }

    /** Attaches, and is killed. */
    static final class Owner {
        private Owner() {}

        public static void main(String[] arguments) throws Exception {
            System.out.println(
                    LoopDevice.attach(Path.of(arguments[0]), new LoopDevice.Options(false, false, 4096, true)));
            Thread.sleep(60_000);
        }
    }

    /** Of the log in it, in blocks; 0 when there is nothing to replay. */
    private static long journalStart(LoopDevice device) throws Exception {
        Process process = new ProcessBuilder("dumpe2fs", "-h", device.path().toString())
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        String line = said.lines()
                .filter(one -> one.startsWith("Journal start:"))
                .findFirst()
                .orElseThrow();
        return Long.parseLong(line.substring(line.indexOf(':') + 1).strip());
    }

    @Test
    void anEmptiedJournalHasNothingToReplay() throws Exception {
        run("mkfs.ext4", "-q", "-F", "-b", "4096", backing.toString());
        Path target = Files.createDirectory(directory.resolve("target"));
        try (LoopDevice device = LoopDevice.attach(backing, new LoopDevice.Options(false, false, 4096, false))) {
            Mounts.mount(device.path().toString(), target, "ext4", 0, null);
            try {
                Files.writeString(target.resolve("file"), "text");
                FileSystems.sync(target);
                assertThat(journalStart(device)).isNotZero();
                FileSystems.checkpointJournal(target);
                assertThat(journalStart(device)).isZero();
                assertThat(FileSystems.trim(target)).isPositive();
                assertThat(FileSystems.usage(target).type()).isEqualTo(0xEF53);
            } finally {
                Mounts.unmount(target, Mounts.MNT_DETACH);
            }
        }
    }

    @Test
    void manyAttachAtOnce() throws Exception {
        Path[] files = new Path[8];
        LoopDevice[] devices = new LoopDevice[files.length];
        Thread[] threads = new Thread[files.length];
        for (int i = 0; i < files.length; i++) {
            int index = i;
            files[i] = directory.resolve("file" + i);
            try (Fd file = Fd.open(files[i], Fd.O_RDWR | Fd.O_CREAT)) {
                file.truncate(1 << 20);
            }
            threads[i] = Thread.ofPlatform().start(() -> {
                try {
                    devices[index] = LoopDevice.attach(files[index], new LoopDevice.Options(false, false, 512, false));
                } catch (LinuxException e) {
                    throw new IllegalStateException(e);
                }
            });
        }
        for (Thread thread : threads) {
            thread.join();
        }
        assertThat(devices).doesNotContainNull();
        assertThat(devices).extracting(LoopDevice::path).doesNotHaveDuplicates();
        for (LoopDevice device : devices) {
            device.close();
        }
    }

    @Test
    void punchHoleAndMap() throws Exception {
        try (Arena arena = Arena.ofConfined();
                Fd file = Fd.open(backing, Fd.O_RDWR)) {
            file.writeFully(arena.allocate(16384).fill((byte) 1), 0);
            file.dataSync();
            MemorySegment mapped = file.map(16384, true, arena);
            file.punchHole(4096, 4096);
            assertThat(mapped.get(ValueLayout.JAVA_BYTE, 4095)).isEqualTo((byte) 1);
            assertThat(mapped.get(ValueLayout.JAVA_BYTE, 4096)).isEqualTo((byte) 0);
            mapped.set(ValueLayout.JAVA_BYTE, 5000, (byte) 9);
            MemorySegment read = arena.allocate(1);
            file.readFully(read, 5000);
            assertThat(read.get(ValueLayout.JAVA_BYTE, 0)).isEqualTo((byte) 9);
        }
    }

    static void run(String... command) throws Exception {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
    }
}
