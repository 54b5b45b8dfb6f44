package dev.satchel.vault;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Prints how fast chunks are put and read, in a JVM that has just started: {@code VaultBenchmark DIRECTORY DATA put|get|warm
 * THREADS}. The data is any large file, at best page images of a real desktop.
 */
public final class VaultBenchmark {
    private VaultBenchmark() {}

    /** Runs one measurement; {@code put} makes the vault that {@code get} reads. */
    public static void main(String[] arguments) throws Exception {
        long start = System.nanoTime();
        Path directory = Path.of(arguments[0]);
        Path data = Path.of(arguments[1]);
        int threads = Integer.parseInt(arguments[3]);
        switch (arguments[2]) {
            case "put" -> {
                delete(directory);
                create(directory);
                long made = System.nanoTime();
                put(directory, data, threads);
                report("put, cold JVM (init took " + (made - start) / 1_000_000 + " ms)", made, data, threads);
            }
            case "get" -> {
                get(directory, threads);
                report("get, cold JVM", start, data, threads);
            }
            default -> {
                for (int round = 0; round < 4; round++) {
                    delete(directory);
                    create(directory);
                    long t0 = System.nanoTime();
                    put(directory, data, threads);
                    report("put, round " + round, t0, data, threads);
                    long t1 = System.nanoTime();
                    put(directory, data, threads);
                    report("put again (all there), round " + round, t1, data, threads);
                    long t2 = System.nanoTime();
                    get(directory, threads);
                    report("get, round " + round, t2, data, threads);
                }
            }
        }
    }

    private static void report(String what, long since, Path data, int threads) throws IOException {
        long millis = Math.max(1, (System.nanoTime() - since) / 1_000_000);
        System.out.println(what + ": " + threads + " threads, " + Files.size(data) / 1_000_000 + " MB in " + millis
                + " ms = " + Files.size(data) / 1000 / millis + " MB/s");
    }

    private static void create(Path directory) throws IOException {
        TestVaults.create(directory).close();
    }

    private static void delete(Path directory) throws IOException {
        if (Files.exists(directory)) {
            try (Stream<Path> all = Files.walk(directory)) {
                for (Path path : all.sorted(java.util.Comparator.reverseOrder()).toList()) {
                    Files.delete(path);
                }
            }
        }
    }

    private static void put(Path directory, Path data, int threads) throws Exception {
        try (Vault vault = TestVaults.open(directory);
                ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain());
                FileChannel file = FileChannel.open(data, StandardOpenOption.READ);
                Arena arena = Arena.ofShared()) {
            MemorySegment mapped = file.map(FileChannel.MapMode.READ_ONLY, 0, file.size(), arena);
            int chunks = (int) ((file.size() + ChunkRef.LENGTH_MAX - 1) / ChunkRef.LENGTH_MAX);
            ChunkRef[] refs = new ChunkRef[chunks];
            parallel(threads, chunks, i -> {
                long at = (long) i * ChunkRef.LENGTH_MAX;
                refs[i] = writer.put(mapped.asSlice(at, Math.min(ChunkRef.LENGTH_MAX, mapped.byteSize() - at)));
            });
            long t = System.nanoTime();
            ChunkMap.Editor editor =
                    ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
            for (int i = 0; i < chunks; i++) {
                editor.set(i, refs[i]);
            }
            ChunkMapRef map = editor.store(writer);
            WriteStats stats = writer.commit();
            System.out.println("  commit took " + (System.nanoTime() - t) / 1_000_000 + " ms, "
                    + stats.bytesNew() / 1000 + " kB new for " + stats.bytesPut() / 1000);
            SessionId session = new SessionId(1, 1);
            SnapshotId snapshot = vault.put(TestVaults.draft(session, java.util.Optional.empty(), map));
            try (Lease lease = vault.acquire(session, new HostId(1, 1), "here", true)) {
                java.util.Optional<Head> head = vault.head(session);
                vault.putHead(
                        head.isPresent()
                                ? head.get().next(java.util.Optional.of(snapshot), new byte[0])
                                : Head.first(session, "bench", java.util.Optional.of(snapshot), new byte[0]),
                        lease);
            }
        }
    }

    /** CPU time of this thread, proc(5) schedstat: on a busy machine the clock on the wall tells little. */
    private static long cpuMicros() throws IOException {
        String schedstat = Files.readString(Path.of("/proc/thread-self/schedstat"));
        return Long.parseLong(schedstat.substring(0, schedstat.indexOf(' '))) / 1000;
    }

    private static long step(String what, long since) throws IOException {
        System.out.println("  " + what + ": " + (cpuMicros() - since) + " us of CPU");
        return cpuMicros();
    }

    private static void get(Path directory, int threads) throws Exception {
        long start = System.nanoTime();
        long cpu = cpuMicros();
        VaultKey key = Vault.unlock(new DirectoryBackend(directory), TestVaults.PASSPHRASE);
        cpu = step("unlock", cpu);
        try (Vault vault = Vault.open(new DirectoryBackend(directory), key, HeadWitness.NONE)) {
            cpu = step("open", cpu);
            Head head = vault.head("bench").orElseThrow();
            cpu = step("head", cpu);
            Snapshot snapshot = vault.snapshot(head.snapshot().orElseThrow());
            cpu = step("snapshot", cpu);
            ChunkMap map = ChunkMap.load(vault.chunks(), snapshot.trees().get("volume"));
            List<ChunkRef> refs = new ArrayList<>();
            map.forEach(0, ChunkMap.SLOTS_MAX, (slot, ref) -> refs.add(ref));
            cpu = step("map", cpu);
            System.out.println("  until all refs were known: " + (System.nanoTime() - start) / 1_000_000 + " ms");
            vault.chunks().prefetchHere(refs);
            ThreadLocal<MemorySegment> targets =
                    ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(ChunkRef.LENGTH_MAX));
            parallel(threads, refs.size(), i -> vault.chunks().read(refs.get(i), targets.get()));
            key.close();
        }
    }

    private interface Step {
        void run(int i) throws IOException;
    }

    private static void parallel(int threads, int count, Step step) throws Exception {
        java.util.concurrent.atomic.AtomicInteger next = new java.util.concurrent.atomic.AtomicInteger();
        List<Thread> running = new ArrayList<>();
        List<Throwable> failures = new ArrayList<>();
        for (int t = 0; t < threads; t++) {
            running.add(Thread.ofPlatform().start(() -> {
                try {
                    for (int i = next.getAndIncrement(); i < count; i = next.getAndIncrement()) {
                        step.run(i);
                    }
                    step("a thread", 0);
                } catch (IOException | RuntimeException e) {
                    synchronized (failures) {
                        failures.add(e);
                    }
                }
            }));
        }
        for (Thread thread : running) {
            thread.join();
        }
        if (!failures.isEmpty()) {
            throw new IllegalStateException(failures.getFirst());
        }
    }
}
