package dev.satchel.pod;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.vault.Backend;
import dev.satchel.vault.ChunkId;
import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkSource;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.HeadWitness;
import dev.satchel.vault.KdfParameters;
import dev.satchel.vault.KeyDomainId;
import dev.satchel.vault.SealedChunk;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultKey;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A program whose memory is brought from a vault while it reads, writes, moves and forgets it, and forks. */
@Timeout(120)
class LazyMemoryTest {
    private static final int PAGE = 4096;
    private static final long BASE = 0x2000_0000_0000L;
    private static final int PID = 7; // as CRIU would say; lazy.py says it
    private static final int PAGES = 600;
    private static final byte[] PASSPHRASE = "correct horse".getBytes(StandardCharsets.UTF_8);

    @TempDir
    private Path directory = Path.of("");

    private Vault vault;
    private volatile boolean broken;
    private final AtomicInteger attempts = new AtomicInteger();
    private volatile int delayMicrosMax;
    private final BlockingQueue<String> valve = new LinkedBlockingQueue<>();
    private final BlockingQueue<String> missing = new LinkedBlockingQueue<>();

    @BeforeEach
    void open() throws IOException {
        Path place = directory.resolve("vault");
        try (DirectoryBackend backend = new DirectoryBackend(place)) {
            Vault.init(backend, PASSPHRASE, KdfParameters.FOR_TESTS);
        }
        Backend backend = unreliable(new DirectoryBackend(place));
        try (VaultKey key = Vault.unlock(backend, PASSPHRASE)) {
            vault = Vault.open(backend, key, HeadWitness.NONE);
        }
    }

    @AfterEach
    void close() throws IOException {
        vault.close();
    }

    /** Takes its time for what it reads, or fails. */
    private Backend unreliable(Backend backend) {
        Random random = new Random(1);
        return (Backend) Proxy.newProxyInstance(
                Backend.class.getClassLoader(), new Class<?>[] {Backend.class}, (_, m, a) -> {
                    if (m.getName().equals("getRange")) {
                        if (broken) {
                            attempts.incrementAndGet();
                            throw new IOException("the cable is out: put it in");
                        }
                        if (delayMicrosMax > 0) {
                            Thread.sleep(0, 1000 * random.nextInt(Math.min(999, delayMicrosMax)));
                        }
                    }
                    try {
                        return m.invoke(backend, a);
                    } catch (InvocationTargetException e) {
                        throw Objects.requireNonNull(e.getCause());
                    }
                });
    }

    private static byte[] content(int page) {
        ByteBuffer bytes = ByteBuffer.allocate(PAGE).order(ByteOrder.LITTLE_ENDIAN);
        while (bytes.hasRemaining()) {
            bytes.putLong(page * 2654435761L + 1);
        }
        return bytes.array();
    }

    /** A checkpoint's memory of one process, and what belongs to it. */
    private record Stored(AddressSpace space, Path list, Runnable closing) {}

    private Stored store(Random random) throws IOException {
        ByteBuffer pagemap = ByteBuffer.allocate(1 << 20).order(ByteOrder.LITTLE_ENDIAN);
        pagemap.putInt(0x54564319).putInt(0x56084025);
        pagemap.putInt(2).put((byte) 8).put((byte) 1); // pagemap_head: pages_id 1
        List<String> list = new ArrayList<>();
        List<Integer> present = new ArrayList<>();
        for (int page = 0; page < PAGES; page++) {
            int count = Math.min(PAGES - page, 1 + random.nextInt(40));
            boolean lazy = random.nextInt(6) > 0;
            for (int i = 0; i < count; i++) {
                present.add(page + i);
                list.add((page + i) + (lazy ? "" : " eager"));
            }
            entry(pagemap, BASE + (long) page * PAGE, count, lazy ? 6 : 4);
            page += count + random.nextInt(12);
        }
        byte[] map = new byte[pagemap.position()];
        pagemap.flip().get(map);
        Path listFile = Files.write(directory.resolve("present"), list);

        int[] next = {0};
        int[] window = {0};
        long[] size = {0};
        ChunkMapRef stored;
        try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain());
                Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(PageWindows.BYTES);
            ChunkMap.Editor slots =
                    ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
            List<Integer> lengths = new ArrayList<>();
            PageWindows.cut("pagemap", map, (_, length) -> lengths.add(length));
            for (int length : lengths) {
                for (int at = 0; at < length; at += PAGE) {
                    MemorySegment.copy(content(present.get(next[0]++)), 0, bytes, ValueLayout.JAVA_BYTE, at, PAGE);
                }
                slots.set((long) window[0]++ * PageWindows.SLOTS, writer.put(bytes.asSlice(0, length)));
                size[0] += length;
            }
            stored = slots.store(writer);
            writer.commit();
        }
        WindowScratch scratch = new WindowScratch();
        CheckpointPages pages = new CheckpointPages(
                vault.chunks(),
                ChunkMap.load(vault.chunks(), stored),
                new PagesFile(1, 0, (long) window[0] * PageWindows.SLOTS, size[0]),
                PageWindows.Layout.of("pagemap", map, PageWindows.WINDOWS_MAX),
                scratch,
                CheckpointPages.Listener.NONE);
        return new Stored(AddressSpace.of("pagemap", map, _ -> pages), listFile, () -> {
            pages.close();
            scratch.close();
        });
    }

    private static void entry(ByteBuffer out, long address, int pages, int flags) {
        int lengthAt = out.position();
        out.putInt(0).put((byte) (1 << 3));
        varint(out, address);
        out.put((byte) (2 << 3));
        varint(out, pages);
        out.put((byte) (4 << 3));
        varint(out, flags);
        out.putInt(lengthAt, out.position() - lengthAt - 4);
    }

    private static void varint(ByteBuffer out, long value) {
        long rest = value;
        for (; rest > 0x7f; rest >>>= 7) {
            out.put((byte) ((rest & 0x7f) | 0x80));
        }
        out.put((byte) rest);
    }

    private LazyMemory listen(Stored stored, Cgroup cgroup) throws IOException {
        return LazyMemory.listen(
                directory,
                Map.of(PID, stored.space()),
                stored.closing()::run,
                MemoryGuard.of(cgroup),
                new LazyMemory.Valve() {
                    @Override
                    public void missing(IOException cause) {
                        missing.add(cause.getMessage());
                    }

                    @Override
                    public void stop(IOException cause) {
                        valve.add("stop: " + cause.getMessage());
                    }

                    @Override
                    public void go() {
                        valve.add("go");
                    }

                    @Override
                    public void found() {
                        missing.add("found");
                    }
                });
    }

    private Process program(Stored stored, long seed, String... more) throws IOException {
        Path script = directory.resolve("lazy.py");
        if (Files.notExists(script)) {
            try (InputStream source = Objects.requireNonNull(getClass().getResourceAsStream("lazy.py"))) {
                Files.copy(source, script);
            }
        }
        List<String> line = new ArrayList<>(List.of(
                "python3",
                script.toString(),
                directory.resolve(LazyMemory.SOCKET).toString(),
                Long.toString(seed),
                Integer.toString(PAGES),
                stored.list().toString()));
        line.addAll(List.of(more));
        return new ProcessBuilder(line)
                .redirectError(directory.resolve("errors").toFile())
                .start();
    }

    private static Cgroup cgroup() throws IOException {
        return Cgroup.create("satchel/test-" + ProcessHandle.current().pid(), OptionalLong.empty(), Optional.empty());
    }

    private static void go(Process program) throws IOException {
        program.getOutputStream().write('\n');
        program.getOutputStream().flush();
    }

    @Test
    void aProgramFindsAllOfItsMemoryWhateverItDoesMeanwhile() throws Exception {
        for (long seed = 1; seed <= 12; seed++) {
            delayMicrosMax = seed % 3 == 0 ? 0 : 900;
            Stored stored = store(new Random(seed));
            try (Cgroup cgroup = cgroup();
                    LazyMemory memory = listen(stored, cgroup)) {
                Process program = program(stored, seed);
                try (BufferedReader said = program.inputReader()) {
                    assertThat(said.readLine()).as("seed %d", seed).isEqualTo("busy");
                    memory.complete();
                    go(program);
                    assertThat(said.readLine())
                            .as("seed %d: %s", seed, Files.readString(directory.resolve("errors")))
                            .isEqualTo("right");
                    assertThat(program.waitFor()).isZero();
                } finally {
                    program.destroyForcibly();
                }
                assertThat(cgroup.processes()).isEmpty();
            }
        }
    }

    @Test
    void aPlaceThatIsFarAwayHearsAheadWhatWillBeWanted() throws Exception {
        ChunkSource copy = vault.chunks().sourceIn(new DirectoryBackend(directory.resolve("vault")));
        Set<ChunkId> announced = ConcurrentHashMap.newKeySet();
        AtomicInteger asked = new AtomicInteger();
        AtomicInteger unannounced = new AtomicInteger();
        vault.chunks()
                .readThrough(
                        Optional.empty(),
                        List.of(new ChunkSource() {
                            @Override
                            public String location() {
                                return "far away";
                            }

                            @Override
                            public Optional<SealedChunk> fetch(KeyDomainId domain, ChunkId id, MemorySegment buffer)
                                    throws IOException {
                                asked.incrementAndGet();
                                if (!announced.contains(id)) {
                                    unannounced.incrementAndGet();
                                }
                                return copy.fetch(domain, id, buffer);
                            }

                            @Override
                            public void willNeed(List<ChunkRef> chunks) {
                                chunks.forEach(chunk -> announced.add(chunk.id()));
                            }

                            @Override
                            public void close() throws IOException {
                                copy.close();
                            }
                        }),
                        false,
                        _ -> {});
        Stored stored = store(new Random(6));
        try (Cgroup cgroup = cgroup();
                LazyMemory memory = listen(stored, cgroup)) {
            Process program = program(stored, 6, "touch");
            try (BufferedReader said = program.inputReader()) {
                assertThat(said.readLine()).isEqualTo("touching");
                assertThat(said.readLine()).isEqualTo("right");
                memory.complete();
                go(program);
                assertThat(program.waitFor()).isZero();
            } finally {
                program.destroyForcibly();
            }
        }
        assertThat(asked).hasValueGreaterThan(PAGES * PAGE / (int) PageWindows.BYTES / 2);
        // What a program touches first of all nobody can know; and who announces may have to wait for a processor.
        assertThat(unannounced).hasValueLessThan(asked.get());
    }

    @Test
    void whatCanNotBeReadStopsEverybodyUntilItCan() throws Exception {
        Stored stored = store(new Random(3));
        broken = true;
        try (Cgroup cgroup = cgroup();
                LazyMemory memory = listen(stored, cgroup)) {
            Process program = program(stored, 3, "touch");
            try (BufferedReader said = program.inputReader()) {
                assertThat(said.readLine()).isEqualTo("touching");
                assertThat(valve.poll(20, TimeUnit.SECONDS))
                        .startsWith("stop: ")
                        .contains("the cable is out");
                assertThatThrownBy(memory::complete)
                        .hasMessageContaining("can't be read (the cable is out")
                        .hasMessageEndingWith("try again");
                assertThat(said.ready()).isFalse();
                assertThat(valve).isEmpty();
                broken = false;
                assertThat(said.readLine())
                        .as(Files.readString(directory.resolve("errors")))
                        .isEqualTo("right");
                assertThat(valve.poll(20, TimeUnit.SECONDS)).isEqualTo("go");
                memory.complete();
                go(program);
                assertThat(program.waitFor()).isZero();
            } finally {
                program.destroyForcibly();
            }
            assertThat(cgroup.processes()).isEmpty();
        }
    }

    @Test
    void whatNobodyNeedsYetIsToldOnceAndStopsNobody() throws Exception {
        Stored stored = store(new Random(4));
        broken = true;
        try (Cgroup cgroup = cgroup();
                LazyMemory memory = listen(stored, cgroup)) {
            Process program = program(stored, 4, "wait");
            try (BufferedReader said = program.inputReader()) {
                assertThat(said.readLine()).isEqualTo("waiting");
                assertThat(missing.poll(20, TimeUnit.SECONDS)).contains("the cable is out");
                int tried = attempts.get();
                while (attempts.get() < tried + 2 * Runtime.getRuntime().availableProcessors()) {
                    Thread.sleep(10);
                }
                assertThat(missing).isEmpty();
                broken = false;
                assertThat(missing.poll(20, TimeUnit.SECONDS)).isEqualTo("found");
                memory.complete();
                go(program);
                assertThat(said.readLine()).isEqualTo("right");
                assertThat(program.waitFor()).isZero();
            } finally {
                program.destroyForcibly();
            }
            assertThat(valve).isEmpty();
        }
    }
}
