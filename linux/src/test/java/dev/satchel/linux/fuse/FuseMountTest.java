package dev.satchel.linux.fuse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.linux.Fd;
import dev.satchel.linux.FileSystems;
import dev.satchel.linux.LoopDevice;
import dev.satchel.linux.Mounts;
import dev.satchel.linux.PidFd;
import dev.satchel.linux.Processes;
import dev.satchel.linux.ServedDevices;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class FuseMountTest {
    private static final long SIZE = 64L << 20;

    @TempDir
    Path directory;

    private final Arena arena = Arena.ofShared();
    private final Queue<String> failures = new ConcurrentLinkedQueue<>();
    private Path target;

    @BeforeEach
    void makeTarget() throws Exception {
        target = Files.createDirectory(directory.resolve("target"));
    }

    @AfterEach
    void freeMemory() throws Exception {
        assertThat(Mounts.isMountPoint(target)).isFalse();
        assertThat(Thread.getAllStackTraces().keySet())
                .noneMatch(thread -> thread.getName().startsWith("fuse-"));
        arena.close();
    }

    private FuseMount mount(Map<String, FuseFile> files) throws Exception {
        return FuseMount.mount(
                target,
                "satchel-test",
                files,
                new FuseMount.Options(
                        2,
                        FuseMount.Options.READ_BYTES_MAX,
                        false,
                        (what, cause) -> failures.add(what + ": " + cause)));
    }

    private MemoryFile file(boolean writable, boolean cached) {
        return new MemoryFile(arena, SIZE, writable, cached);
    }

    @Test
    void servesADirectory() throws Exception {
        try (FuseMount mount = mount(Map.of("a", file(true, false), "grün", file(false, true)))) {
            assertThat(mount.directory()).isEqualTo(target);
            ServedDevices.callWithout(() -> {
                try (Stream<Path> names = Files.list(target)) {
                    assertThat(names.map(Path::getFileName).map(Path::toString)).containsExactlyInAnyOrder("a", "grün");
                }
                assertThat(Files.size(target.resolve("a"))).isEqualTo(SIZE);
                assertThat(target.resolve("other")).doesNotExist();
                assertThat(Files.isWritable(target.resolve("a"))).isTrue();
                assertThat(Files.getAttribute(target.resolve("grün"), "unix:mode"))
                        .isEqualTo(0100400);
                assertThatThrownBy(() -> Fd.open(target.resolve("grün"), Fd.O_RDWR))
                        .hasMessageEndingWith("(EROFS)");
                assertThatThrownBy(() -> Fd.open(target.resolve("new"), Fd.O_RDWR | Fd.O_CREAT))
                        .hasMessageEndingWith("(ENOSYS)");
                assertThatThrownBy(() -> Files.delete(target.resolve("a"))).isInstanceOf(Exception.class);
                try (Fd a = Fd.open(target.resolve("a"), Fd.O_RDWR)) {
                    assertThatThrownBy(() -> a.truncate(1)).hasMessageEndingWith("(EPERM)");
                    a.truncate(SIZE);
                }
                return true;
            });
            assertThat(FileSystems.usage(target).blocks()
                            * FileSystems.usage(target).blockSizeBytes())
                    .isEqualTo(2 * SIZE);
        }
        assertThat(failures).isEmpty();
    }

    @Test
    void whatIsPutIntoThePageCacheIsReadFromThere() throws Exception {
        MemoryFile zeros = file(false, true);
        try (FuseMount mount = mount(Map.of("other", file(false, true), "pages", zeros))) {
            MemorySegment random = random(3 * 65_536, 7);
            try (PageCache cache = mount.pageCache()) {
                assertThat(cache.store("pages", 0, 4096))
                        .as("a file that the kernel does not know")
                        .isFalse();
                cache.learn(List.of("other", "pages"));
                for (int part = 0; part < 3; part++) {
                    MemorySegment.copy(random, part * 65_536L, cache.payload(), 0, 65_536);
                    assertThat(cache.store("pages", 65_536 + part * 65_536L, 65_536))
                            .isTrue();
                }
            }
            ServedDevices.callWithout(() -> {
                try (Fd fd = Fd.open(target.resolve("pages"), Fd.O_RDONLY);
                        Arena scratch = Arena.ofConfined()) {
                    MemorySegment read = scratch.allocate(5 * 65_536);
                    assertThat(fd.pread(read, 0)).isEqualTo(read.byteSize());
                    assertThat(read.asSlice(65_536, random.byteSize()).mismatch(random))
                            .isEqualTo(-1);
                    MemorySegment before = scratch.allocate(65_536);
                    assertThat(read.asSlice(0, 65_536).mismatch(before))
                            .as("the file's own")
                            .isEqualTo(-1);
                    assertThat(read.asSlice(4 * 65_536, 65_536).mismatch(before))
                            .isEqualTo(-1);
                }
                return true;
            });
        }
        assertThat(failures).isEmpty();
    }

    @Test
    void readsWritesSyncsAndDiscards() throws Exception {
        for (boolean cached : new boolean[] {false, true}) {
            MemoryFile file = file(true, cached);
            try (FuseMount mount = mount(Map.of("disk", file))) {
                ServedDevices.callWithout(() -> {
                    try (Fd fd = Fd.open(mount.directory().resolve("disk"), Fd.O_RDWR)) {
                        MemorySegment random = random(3 << 20, 1);
                        fd.writeFully(random, 12_345);
                        fd.dataSync();
                        assertThat(file.flushes.get()).isEqualTo(1);
                        assertThat(file.contents()
                                        .asSlice(12_345, random.byteSize())
                                        .mismatch(random))
                                .isEqualTo(-1);
                        fd.sync();
                        assertThat(file.flushes.get()).isEqualTo(2);
                        MemorySegment read = arena.allocate(random.byteSize());
                        fd.readFully(read, 12_345);
                        assertThat(read.mismatch(random)).isEqualTo(-1);
                        fd.punchHole(1 << 20, 1 << 20);
                        assertThat(file.discardedBytes.get()).isEqualTo(1 << 20);
                        fd.readFully(read.asSlice(0, 1 << 20), 1 << 20);
                        assertThat(read.asSlice(0, 1 << 20).mismatch(arena.allocate(1 << 20)))
                                .isEqualTo(-1);
                        assertThat(fd.pread(read.asSlice(0, 8192), SIZE - 100)).isEqualTo(100);
                        assertThat(fd.pread(read.asSlice(0, 8192), SIZE + 100)).isZero();
                        assertThatThrownBy(() -> fd.pwrite(read.asSlice(0, 8192), SIZE - 100))
                                .hasMessageEndingWith("(EFBIG)");
                        assertThatThrownBy(() -> fd.allocate(0, 4096)).hasMessageEndingWith("(EOPNOTSUPP)");
                    }
                    return true;
                });
            }
        }
        assertThat(failures).isEmpty();
    }

    @Test
    void errorsReachTheProgram() throws Exception {
        MemoryFile file = file(true, false);
        try (FuseMount mount = mount(Map.of("disk", file))) {
            ServedDevices.callWithout(() -> {
                try (Fd fd = Fd.open(mount.directory().resolve("disk"), Fd.O_RDWR)) {
                    MemorySegment data = arena.allocate(4096);
                    file.fullAt = 8192;
                    fd.writeFully(data, 4096);
                    assertThatThrownBy(() -> fd.writeFully(data, 8192)).hasMessageEndingWith("(ENOSPC)");
                    file.fullAt = Long.MAX_VALUE;
                    file.broken = true;
                    assertThatThrownBy(() -> fd.readFully(data, 0)).hasMessageEndingWith("(EIO)");
                    assertThatThrownBy(() -> fd.writeFully(data, 0)).hasMessageEndingWith("(EIO)");
                    file.broken = false;
                    fd.readFully(data, 0);
                }
                return true;
            });
        }
        assertThat(failures)
                .hasSize(3)
                .anySatisfy(text -> assertThat(text).startsWith("write of disk").contains("ENOSPC"))
                .anySatisfy(text -> assertThat(text).startsWith("read of disk").contains("broken on purpose"));
    }

    @Test
    void answersWhateverTheListenerDoes() throws Exception {
        MemoryFile file = file(true, false);
        file.broken = true;
        FuseMount.Options options = new FuseMount.Options(2, FuseMount.Options.READ_BYTES_MAX, false, (what, cause) -> {
            throw new IllegalStateException("listener broken on purpose");
        });
        try (FuseMount mount = FuseMount.mount(target, "satchel-test", Map.of("disk", file), options)) {
            Process reader =
                    new ProcessBuilder("dd", "if=" + target.resolve("disk"), "of=/dev/null", "count=1").start();
            assertThat(reader.waitFor(5, TimeUnit.SECONDS)).isTrue();
            assertThat(reader.exitValue()).isNotZero();
            assertThat(mount.directory()).isEqualTo(target);
        }
    }

    @Test
    void manyThreadsAtOnce() throws Exception {
        MemoryFile file = file(true, false);
        int threads = 8;
        try (FuseMount mount = mount(Map.of("disk", file))) {
            ServedDevices.callWithout(() -> {
                try (Fd fd = Fd.open(mount.directory().resolve("disk"), Fd.O_RDWR)) {
                    Thread[] workers = new Thread[threads];
                    Queue<Throwable> thrown = new ConcurrentLinkedQueue<>();
                    for (int t = 0; t < threads; t++) {
                        int index = t;
                        workers[t] = Thread.ofPlatform().unstarted(() -> {
                            try {
                                long part = SIZE / threads;
                                for (int i = 0; i < 100; i++) {
                                    MemorySegment block = random(1 + i * 731, index * 1000 + i);
                                    long offset = index * part + i * 77_777L % (part - block.byteSize());
                                    fd.writeFully(block, offset);
                                    MemorySegment back = arena.allocate(block.byteSize());
                                    fd.readFully(back, offset);
                                    assertThat(back.mismatch(block)).isEqualTo(-1);
                                }
                            } catch (Throwable e) {
                                thrown.add(e);
                            }
                        });
                        workers[t].start();
                    }
                    for (Thread worker : workers) {
                        worker.join();
                    }
                    assertThat(thrown).isEmpty();
                }
                return true;
            });
        }
        assertThat(failures).isEmpty();
    }

    @Test
    void closeRequestsFindAThreadAwakeAndNobodyStaysAwakeAfterwards() throws Exception {
        MemoryFile file = file(false, false);
        MemorySegment random = random(1 << 20, 11);
        MemorySegment.copy(random, 0, file.contents(), 0, random.byteSize());
        try (FuseMount mount = mount(Map.of("f", file))) {
            ServedDevices.callWithout(() -> {
                try (Fd opened = Fd.open(target.resolve("f"), Fd.O_RDONLY)) {
                    MemorySegment block = arena.allocate(4096, 4096);
                    // On a busy machine few of them come close upon each other.
                    for (int i = 0; i < 20_000 || (mount.foundAwake() == 0 && i < 400_000); i++) {
                        long at = (long) (i * 7919 & 255) << 12;
                        opened.readFully(block, at);
                        assertThat(block.mismatch(random.asSlice(at, 4096))).isEqualTo(-1);
                    }
                }
                return true;
            });
            assertThat(mount.foundAwake()).isPositive();
            Thread.sleep(100);
            long before = servingNanos();
            Thread.sleep(500);
            assertThat(servingNanos() - before).isLessThan(20_000_000);
        }
        assertThat(failures).isEmpty();
    }

    /** Processor time of all serving threads. */
    private static long servingNanos() {
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        long nanos = 0;
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            if (thread.getName().startsWith("fuse-")) {
                nanos += threads.getThreadCpuTime(thread.threadId());
            }
        }
        return nanos;
    }

    @Test
    void carriesExt4OnALoopDevice() throws Exception {
        MemoryFile file = file(true, false);
        Path mounted = Files.createDirectory(directory.resolve("ext4"));
        MemorySegment random = random(20 << 20, 3);
        byte[] bytes = random.toArray(ValueLayout.JAVA_BYTE);
        try (FuseMount mount = mount(Map.of("disk", file))) {
            for (int round = 0; round < 2; round++) {
                try (LoopDevice device = LoopDevice.attach(
                        mount.directory().resolve("disk"), new LoopDevice.Options(false, true, 4096, false))) {
                    assertThat(Path.of("/sys/block", device.path().getFileName().toString(), "loop/dio"))
                            .hasContent("1");
                    if (round == 0) {
                        run("mkfs.ext4", "-q", "-E", "nodiscard", device.path().toString());
                    }
                    Mounts.mount(device.path().toString(), mounted, "ext4", Mounts.MS_NOATIME, null);
                    try {
                        if (round == 0) {
                            long flushes = file.flushes.get();
                            ServedDevices.callWithout(() -> {
                                Files.write(mounted.resolve("data"), bytes);
                                try (Fd data = Fd.open(mounted.resolve("data"), Fd.O_RDWR)) {
                                    data.sync();
                                }
                                return true;
                            });
                            assertThat(file.flushes.get()).isGreaterThan(flushes);
                            assertThat(file.writtenBytes.get()).isGreaterThan(bytes.length);
                        } else {
                            byte[] read = ServedDevices.callWithout(() -> Files.readAllBytes(mounted.resolve("data")));
                            assertThat(read).isEqualTo(bytes);
                            long discarded = file.discardedBytes.get();
                            ServedDevices.callWithout(() -> {
                                Files.delete(mounted.resolve("data"));
                                return true;
                            });
                            FileSystems.sync(mounted);
                            FileSystems.checkpointJournal(mounted);
                            assertThat(FileSystems.trim(mounted)).isGreaterThan(20 << 20);
                            assertThat(file.discardedBytes.get() - discarded).isGreaterThan(20 << 20);
                        }
                    } finally {
                        Mounts.unmount(mounted, 0);
                    }
                }
            }
            run("e2fsck", "-fn", mount.directory().resolve("disk").toString());
        }
        assertThat(failures).isEmpty();
    }

    @Test
    void closingFailsTheIoOfThoseWhoHoldOn() throws Exception {
        FuseMount mount = mount(Map.of("disk", file(true, false)));
        Process reader = new ProcessBuilder(
                        "sh",
                        "-c",
                        "exec 3<\"$0\"; echo; read line; dd bs=4096 count=1 <&3 >/dev/null",
                        target.resolve("disk").toString())
                .start();
        assertThat(reader.getInputStream().read()).isEqualTo('\n');
        mount.close();
        mount.close();
        reader.getOutputStream().write('\n');
        reader.getOutputStream().close();
        assertThat(new String(reader.getErrorStream().readAllBytes(), StandardCharsets.UTF_8))
                .contains("error reading");
        assertThat(reader.waitFor()).isNotZero();
    }

    @Test
    void abortFailsIoAtOnce() throws Exception {
        try (FuseMount mount = mount(Map.of("disk", file(true, false)))) {
            run("dd", "if=" + target.resolve("disk"), "of=/dev/null", "count=1");
            mount.abort();
            Process reader =
                    new ProcessBuilder("dd", "if=" + target.resolve("disk"), "of=/dev/null", "count=1").start();
            assertThat(reader.waitFor()).isNotZero();
        }
    }

    @Test
    void unmountedByOthersEndsTheThreads() throws Exception {
        FuseMount mount = mount(Map.of("disk", file(true, false)));
        Mounts.unmount(target, 0);
        for (int i = 0; i < 100 && serving(); i++) {
            Thread.sleep(20);
        }
        assertThat(serving()).isFalse();
        mount.close();
    }

    private static boolean serving() {
        return Thread.getAllStackTraces().keySet().stream()
                .anyMatch(thread -> thread.getName().startsWith("fuse-"));
    }

    /**
     * The server is killed while one of its own threads hangs in mount(2) of what it serves, and while another process waits for
     * an answer. Both must end.
     */
    @Test
    void killedServerLeavesNobodyHanging() throws Exception {
        Path mounted = Files.createDirectory(directory.resolve("ext4"));
        Process server = new ProcessBuilder(
                        System.getProperty("java.home") + "/bin/java",
                        "--enable-native-access=ALL-UNNAMED",
                        "-XX:+UseSerialGC",
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                        HangingServer.class.getName(),
                        target.toString(),
                        mounted.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        try (PidFd process = PidFd.open(server.pid())) {
            String loop = readLine(server.getInputStream());
            assertThat(loop).startsWith("/dev/loop");
            assertThat(readLine(server.getInputStream())).isEqualTo("hanging");
            Process reader = new ProcessBuilder(
                            "dd", "if=" + target.resolve("disk"), "of=/dev/null", "bs=1M", "skip=40", "count=1")
                    .start();
            assertThat(reader.waitFor(300, TimeUnit.MILLISECONDS)).isFalse();
            process.signal(Processes.SIGKILL);
            boolean ended = process.awaitExit(5_000);
            boolean readerEnded = reader.waitFor(5, TimeUnit.SECONDS);
            List<LoopDevice> left = LoopDevice.find(target.resolve("disk"));
            if (!ended) {
                // Aborts, so that the failure leaves nobody hanging either.
                Mounts.unmount(target, Mounts.MNT_FORCE | Mounts.MNT_DETACH);
            }
            // What the next command does to clean up.
            assertThat(left).hasSize(1);
            left.getFirst().close();
            assertThat(ended).as("the killed server is gone").isTrue();
            assertThat(readerEnded).as("the reader got an error").isTrue();
            assertThat(reader.exitValue()).isNotZero();
        } finally {
            server.destroyForcibly();
            if (Mounts.isMountPoint(target)) {
                Mounts.unmount(target, Mounts.MNT_DETACH);
            }
        }
        // Whoever else has it open, udev for one, keeps it until they close it (loop(4)).
        for (int i = 0; i < 1000 && !LoopDevice.find(target.resolve("disk")).isEmpty(); i++) {
            Thread.sleep(10);
        }
        assertThat(LoopDevice.find(target.resolve("disk"))).isEmpty();
    }

    /** Serves a disk that never answers reads from 32 MiB on, nor any as soon as it is being mounted. */
    static final class HangingServer {
        private HangingServer() {}

        public static void main(String[] arguments) throws Exception {
            Path target = Path.of(arguments[0]);
            MemoryFile memory = new MemoryFile(Arena.global(), SIZE, true, false);
            FuseFile hanging = new FuseFile() {
                @Override
                public long sizeBytes() {
                    return memory.sizeBytes();
                }

                @Override
                public boolean writable() {
                    return true;
                }

                @Override
                public void read(long offset, MemorySegment dst) {
                    System.out.println("hanging");
                    while (true) {
                        java.util.concurrent.locks.LockSupport.park();
                    }
                }

                @Override
                public void write(long offset, MemorySegment src) {}

                @Override
                public void flush() {}

                @Override
                public void discard(long offset, long length) {}
            };
            FuseMount.mount(
                    target,
                    "satchel-test",
                    Map.of("disk", hanging),
                    new FuseMount.Options(4, FuseMount.Options.READ_BYTES_MAX, false, (what, cause) -> {}));
            LoopDevice device =
                    LoopDevice.attach(target.resolve("disk"), new LoopDevice.Options(false, true, 4096, false));
            System.out.println(device);
            Mounts.mount(device.path().toString(), Path.of(arguments[1]), "ext4", 0, null);
        }
    }

    private static String readLine(InputStream stream) throws Exception {
        StringBuilder line = new StringBuilder();
        for (int c = stream.read(); c != '\n' && c >= 0; c = stream.read()) {
            line.append((char) c);
        }
        return line.toString();
    }

    private MemorySegment random(long size, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        MemorySegment segment = arena.allocate(size);
        byte[] bytes = new byte[(int) size];
        random.nextBytes(bytes);
        return segment.copyFrom(MemorySegment.ofArray(bytes));
    }

    private static void run(String... command) throws Exception {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(List.of(command) + output).isZero();
    }
}
