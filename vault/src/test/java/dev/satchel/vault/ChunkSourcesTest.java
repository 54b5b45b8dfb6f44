package dev.satchel.vault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.linux.Errno;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Chunks from places that lack them, lie, hang and come back. */
@Timeout(60)
class ChunkSourcesTest {
    private static final int CHUNKS = 24;

    /** Of a place that fails, while all chunks are read: after the third it is set aside, for a second at first. */
    private static final long TRIES_MAX = CHUNKS / 2;

    /** So long that a busy machine is not taken for a place that hangs; short where that is the matter. */
    private long fetchNanosMax = 20_000_000_000L;

    /** So long that a busy machine makes nobody ask two places at once; short where that is the matter. */
    private long hedgeNanosMin = 5_000_000_000L;

    @TempDir
    Path directory;

    private Path home;
    private Path replica;
    private final List<ChunkRef> refs = new ArrayList<>();
    private final List<byte[]> contents = new ArrayList<>();
    private final ConcurrentLinkedQueue<String> notes = new ConcurrentLinkedQueue<>();

    @BeforeEach
    void makeVaultAndReplica() throws IOException {
        home = directory.resolve("home");
        replica = directory.resolve("replica");
        try (Vault vault = TestVaults.create(home);
                ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            for (int i = 0; i < CHUNKS; i++) {
                byte[] content = i % 2 == 0 ? TestVaults.noise(i, 20_000 + i) : TestVaults.text(i, 60_000 + i);
                contents.add(content);
                refs.add(TestVaults.put(writer, content));
            }
            writer.commit();
        }
        copy(home, replica);
    }

    private static void copy(Path from, Path to) throws IOException {
        try (var all = Files.walk(from)) {
            for (Path path : all.toList()) {
                Path target = to.resolve(from.relativize(path).toString());
                if (Files.isDirectory(path)) {
                    Files.createDirectories(target);
                } else {
                    Files.copy(path, target);
                }
            }
        }
    }

    private static List<Path> packs(Path vault) throws IOException {
        try (var all = Files.walk(vault.resolve("domains"))) {
            return all.filter(path -> path.toString().contains("/packs/"))
                    .filter(Files::isRegularFile)
                    .toList();
        }
    }

    private static void removePacks(Path vault) throws IOException {
        for (Path pack : packs(vault)) {
            Files.delete(pack);
        }
    }

    /** What a reader has open already is cut, too. */
    private static void cutPacks(Path vault) throws IOException {
        for (Path pack : packs(vault)) {
            Files.write(pack, new byte[50]);
        }
    }

    private Vault through(boolean homeIsNear, Optional<HostCache> cache, ChunkSource... lookasides) throws IOException {
        Vault vault = TestVaults.open(home);
        readThrough(vault, homeIsNear, cache, lookasides);
        return vault;
    }

    private void readThrough(Vault vault, boolean homeIsNear, Optional<HostCache> cache, ChunkSource... lookasides) {
        vault.chunks()
                .readThrough(new ChunkSources(
                        vault.chunks(),
                        cache,
                        List.of(lookasides),
                        homeIsNear,
                        notes::add,
                        fetchNanosMax,
                        hedgeNanosMin));
    }

    private void readAll(Vault vault) throws IOException {
        for (int i = 0; i < CHUNKS; i++) {
            assertThat(TestVaults.read(vault, refs.get(i))).isEqualTo(contents.get(i));
        }
    }

    private static SourceReport report(Vault vault, SourceReport.Kind kind) {
        return vault.chunks().reports().stream()
                .filter(report -> report.kind() == kind)
                .findFirst()
                .orElseThrow();
    }

    private ChunkSource replica(Vault vault) {
        return vault.chunks().sourceIn(new DirectoryBackend(replica));
    }

    /** A replica that does something to what it gives. */
    private static class Altered implements ChunkSource {
        interface Alteration {
            Optional<SealedChunk> of(ChunkSource source, KeyDomainId domain, ChunkId id, MemorySegment buffer)
                    throws IOException;
        }

        private final ChunkSource source;
        private final Alteration alteration;
        final AtomicInteger asked = new AtomicInteger();

        Altered(ChunkSource source, Alteration alteration) {
            this.source = source;
            this.alteration = alteration;
        }

        @Override
        public String location() {
            return "a strange place";
        }

        @Override
        public Optional<SealedChunk> fetch(KeyDomainId domain, ChunkId id, MemorySegment buffer) throws IOException {
            asked.incrementAndGet();
            return alteration.of(source, domain, id, buffer);
        }

        @Override
        public void close() throws IOException {
            source.close();
        }
    }

    @Test
    void countsWhatTheVaultAloneGives() throws IOException {
        try (Vault vault = TestVaults.open(home)) {
            readAll(vault);
            assertThat(vault.chunks().reports()).hasSize(1);
            SourceReport report = report(vault, SourceReport.Kind.HOME);
            assertThat(report.chunks()).isEqualTo(CHUNKS);
            assertThat(report.bytes()).isGreaterThan(CHUNKS * 5_000L);
        }
    }

    /** What it had open stays dead, and is opened anew. */
    @Test
    void aLookasideThatWentIsUsedAgainWhenItIsBack() throws IOException {
        DyingDisk disk = new DyingDisk();
        try (Vault vault = TestVaults.open(home)) {
            readThrough(vault, false, Optional.empty(), vault.chunks().sourceIn(new DirectoryBackend(replica, disk)));
            assertThat(TestVaults.read(vault, refs.get(0))).isEqualTo(contents.get(0));
            assertThat(report(vault, SourceReport.Kind.LOOKASIDE).chunks()).isEqualTo(1);
            disk.takeAway(Errno.ESTALE);
            assertThat(TestVaults.read(vault, refs.get(0))).isEqualTo(contents.get(0));
            assertThat(report(vault, SourceReport.Kind.LOOKASIDE).failures()).isEqualTo(1);
            assertThat(notes).hasSize(1);
            disk.giveBack();
            assertThat(TestVaults.read(vault, refs.get(0))).isEqualTo(contents.get(0));
            assertThat(report(vault, SourceReport.Kind.LOOKASIDE).chunks()).isEqualTo(2);
        }
    }

    /** So that who needs it waits. */
    @Test
    void saysThatTheVaultIsAwayWhenNobodyElseHasAChunk() throws IOException {
        DyingDisk disk = new DyingDisk();
        DirectoryBackend backend = new DirectoryBackend(home, disk);
        try (VaultKey key = Vault.unlock(backend, TestVaults.PASSPHRASE);
                Vault vault = Vault.open(backend, key, HeadWitness.NONE)) {
            removePacks(replica);
            readThrough(vault, true, Optional.empty(), replica(vault));
            assertThat(TestVaults.read(vault, refs.get(0))).isEqualTo(contents.get(0));
            disk.takeAway(Errno.EIO);
            assertThatThrownBy(() -> TestVaults.read(vault, refs.get(0))).isInstanceOf(AwayException.class);
            disk.directoriesCached = true;
            assertThatThrownBy(() -> TestVaults.read(vault, refs.get(0))).isInstanceOf(AwayException.class);
            disk.giveBack();
            assertThat(TestVaults.read(vault, refs.get(0))).isEqualTo(contents.get(0));
        }
    }

    @Test
    void takesFromAReplicaWhatTheVaultLosesOrLacks() throws IOException {
        try (Vault vault = TestVaults.open(home)) {
            readThrough(vault, true, Optional.empty(), replica(vault));
            readAll(vault);
            assertThat(report(vault, SourceReport.Kind.LOOKASIDE).chunks()).isZero();
            cutPacks(home);
            readAll(vault);
            assertThat(report(vault, SourceReport.Kind.LOOKASIDE).chunks()).isEqualTo(CHUNKS);
            assertThat(report(vault, SourceReport.Kind.HOME).failures()).isBetween(3L, TRIES_MAX);
            assertThat(notes).hasSize(1);
            assertThat(notes.peek()).contains(home.toString(), "cut short");
        }
        removePacks(home);
        notes.clear();
        // The vault's indexes know nothing of them now: by the replica's own.
        try (Vault vault = TestVaults.open(home)) {
            readThrough(vault, true, Optional.empty(), replica(vault));
            readAll(vault);
            assertThat(report(vault, SourceReport.Kind.LOOKASIDE).chunks()).isEqualTo(CHUNKS);
            assertThat(report(vault, SourceReport.Kind.HOME).chunks()).isZero();
            assertThat(notes).isEmpty();
        }
    }

    @Test
    void mendsWithAReplicaOnReadingWhatIsDamagedAtHome() throws IOException {
        for (Path pack : packs(home)) {
            byte[] bytes = Files.readAllBytes(pack);
            for (int at = 2_000; at < bytes.length - 4_000; at += 3_000) {
                bytes[at] ^= 1;
            }
            Files.write(pack, bytes);
        }
        try (Vault vault = TestVaults.open(home)) {
            assertThatThrownBy(() -> readAll(vault)).isInstanceOf(DamagedException.class);
        }
        try (Vault vault = TestVaults.open(home)) {
            readThrough(vault, true, Optional.empty(), replica(vault));
            readAll(vault);
            assertThat(report(vault, SourceReport.Kind.HOME).failures()).isPositive();
        }
    }

    @Test
    void findsAnImagesChunksInAnyVaultThatSharesItsDomain() throws IOException {
        Path other = directory.resolve("other");
        byte[] content = TestVaults.noise(77, 50_000);
        ChunkRef ref;
        ImageId image = ImageId.random();
        byte[] secret;
        try (Vault vault = TestVaults.open(home);
                KeyDomain keys = KeyDomain.random()) {
            secret = Bytes.copy(keys.secret().segment());
            try (ChunkWriter writer = vault.chunks().writer(keys)) {
                ref = TestVaults.put(writer, content);
                writer.commit();
            }
            vault.putImage(new ImageManifest(
                    image, "image", Instant.ofEpochMilli(1), keys, ChunkMapRef.EMPTY, 1 << 20, 1, new byte[0]));
        }
        try (Vault vault = TestVaults.create(other);
                Arena arena = Arena.ofConfined();
                KeyDomain keys =
                        new KeyDomain(dev.satchel.linux.crypto.SecretBytes.copyOf(TestVaults.segment(arena, secret)))) {
            // Sealed once more, in another pack, by another vault.
            try (ChunkWriter writer = vault.chunks().writer(keys)) {
                assertThat(TestVaults.put(writer, content)).isEqualTo(ref);
                writer.commit();
            }
        }
        removePacks(home);
        try (Vault vault = TestVaults.open(home)) {
            readThrough(vault, true, Optional.empty(), vault.chunks().sourceIn(new DirectoryBackend(other)));
            assertThat(TestVaults.read(vault, ref)).isEqualTo(content);
            // The other vault's own chunks are nothing that this one could look for.
            assertThatThrownBy(() -> TestVaults.read(vault, refs.getFirst())).isInstanceOf(DamagedException.class);
        }
    }

    private static SealedChunk renamed(SealedChunk chunk, ChunkId id, int length) {
        return new SealedChunk(
                chunk.domain(),
                id,
                chunk.packHigh(),
                chunk.packLow(),
                chunk.wrappedKey(),
                chunk.offset(),
                chunk.codec(),
                length,
                chunk.sealed());
    }

    private static SealedChunk with(SealedChunk chunk, MemorySegment sealed) {
        return new SealedChunk(
                chunk.domain(),
                chunk.id(),
                chunk.packHigh(),
                chunk.packLow(),
                chunk.wrappedKey(),
                chunk.offset(),
                chunk.codec(),
                chunk.length(),
                sealed);
    }

    @Test
    void aLyingPlaceDoesNoHarmIsNotedOnceAndLeftAside() throws IOException {
        AtomicInteger turn = new AtomicInteger();
        try (Vault vault = TestVaults.open(home)) {
            Altered liar = new Altered(replica(vault), (source, domain, id, buffer) -> {
                int lie = turn.getAndIncrement() % 5;
                SealedChunk chunk = source.fetch(domain, id, buffer).orElseThrow();
                MemorySegment sealed = chunk.sealed();
                if (lie == 0) { // one bit
                    long at = sealed.byteSize() / 2;
                    byte there = sealed.get(ValueLayout.JAVA_BYTE, at);
                    sealed.set(ValueLayout.JAVA_BYTE, at, (byte) (there ^ 4));
                    return Optional.of(chunk);
                } else if (lie == 1) { // the right bytes of another chunk, under its own name
                    return source.fetch(domain, refs.getLast().id(), buffer);
                } else if (lie == 2) { // the same, under the name that was asked for
                    return Optional.of(renamed(
                            source.fetch(domain, refs.getLast().id(), buffer).orElseThrow(), id, chunk.length()));
                } else if (lie == 3) { // cut short
                    return Optional.of(with(chunk, sealed.asSlice(0, sealed.byteSize() - 1)));
                }
                throw new IllegalStateException("a fault");
            });
            readThrough(vault, false, Optional.empty(), liar);
            for (int i = 0; i < CHUNKS - 1; i++) {
                assertThat(TestVaults.read(vault, refs.get(i))).isEqualTo(contents.get(i));
            }
            int lies = liar.asked.get();
            assertThat((long) lies).isBetween(3L, TRIES_MAX);
            assertThat(report(vault, SourceReport.Kind.LOOKASIDE).failures()).isEqualTo(lies);
            assertThat(report(vault, SourceReport.Kind.HOME).chunks()).isEqualTo(CHUNKS - 1);
            assertThat(notes).hasSize(1);
            assertThat(notes.peek()).contains("a strange place", "damaged or forged");
            // All five lies, where nobody else has the chunk: an error, and not a lie's content.
            cutPacks(home);
            for (int i = 0; i < 10; i++) {
                ChunkRef ref = refs.get(i);
                assertThatThrownBy(() -> TestVaults.read(vault, ref)).isInstanceOf(DamagedException.class);
            }
            assertThat(liar.asked.get()).isEqualTo(lies + 10);
        }
    }

    @Test
    void aPlaceThatHangsCostsABoundedTimeAndThenNone() throws Exception {
        hedgeNanosMin = ChunkSources.HEDGE_NANOS_MIN;
        fetchNanosMax = 700_000_000L;
        // Opening a pipe that nobody writes to waits for ever.
        List<Path> pipes = packs(replica);
        for (Path pack : pipes) {
            Files.delete(pack);
            assertThat(new ProcessBuilder("mkfifo", pack.toString()).start().waitFor())
                    .isZero();
        }
        try {
            long closing;
            try (Vault vault = TestVaults.open(home)) {
                readThrough(vault, false, Optional.empty(), replica(vault));
                // Not that long for each chunk: it has become one that is asked last.
                long start = System.nanoTime();
                readAll(vault);
                readAll(vault);
                assertThat(System.nanoTime() - start).isLessThan(CHUNKS * fetchNanosMax);
                assertThat(report(vault, SourceReport.Kind.HOME).chunks()).isEqualTo(2 * CHUNKS);
                // Who has only that place is told in time.
                cutPacks(home);
                long alone = System.nanoTime();
                assertThatThrownBy(() -> TestVaults.read(vault, refs.getFirst()))
                        .isInstanceOf(DamagedException.class);
                assertThat(System.nanoTime() - alone).isLessThan(20_000_000_000L);
                closing = System.nanoTime();
            }
            assertThat(System.nanoTime() - closing).isLessThan(20_000_000_000L);
        } finally {
            // Lets the threads go that wait in open(2).
            for (Path pipe : pipes) {
                assertThat(new ProcessBuilder("timeout", "20", "sh", "-c", ": <>" + pipe)
                                .start()
                                .waitFor())
                        .isZero();
            }
        }
    }

    @Test
    void aSlowPlaceIsAskedAfterAFasterOneAndTriedAgain() throws IOException {
        hedgeNanosMin = 10 * ChunkSources.HEDGE_NANOS_MIN;
        AtomicInteger slowMillis = new AtomicInteger(600);
        try (Vault vault = TestVaults.open(home)) {
            Altered slow = new Altered(replica(vault), (source, domain, id, buffer) -> {
                try {
                    Thread.sleep(slowMillis.get());
                } catch (InterruptedException e) {
                    throw new IOException(e);
                }
                return source.fetch(domain, id, buffer);
            });
            readThrough(vault, false, Optional.empty(), slow, replica(vault));
            for (int round = 0; round < 3; round++) {
                readAll(vault);
            }
            // All but the first few came from the fast one, beside the slow one at first, then before it.
            assertThat(slow.asked.get()).isLessThan(CHUNKS);
            List<SourceReport> reports = vault.chunks().reports();
            assertThat(reports.get(0).state()).isEqualTo(SourceReport.State.SLOW);
            assertThat(reports.get(1).chunks()).isGreaterThan(2 * CHUNKS);
            assertThat(notes).isEmpty();
        }
    }

    /** As whoever has an image's keys can: the tag is right, the content is not. */
    @Test
    void whatIsSealedUnderAnothersIdIsNotThatChunk() throws IOException {
        try (Vault vault = TestVaults.open(home);
                Arena arena = Arena.ofConfined();
                ChunkCodec codec = new ChunkCodec();
                dev.satchel.linux.crypto.SecretBytes key = dev.satchel.linux.crypto.SecretBytes.random(32)) {
            KeyDomain domain = vault.chunks().ownDomain();
            ChunkRef ref = refs.getFirst();
            MemorySegment target = arena.allocate(ChunkRef.LENGTH_MAX);
            for (boolean genuine : new boolean[] {true, false}) {
                byte[] plaintext = genuine ? contents.getFirst() : TestVaults.noise(123, ref.length());
                MemorySegment sealed = arena.allocate(SealedChunk.SEALED_BYTES_MAX);
                Pack pack = codec.wrap(domain, key);
                int length = codec.encode(key, ref.id(), 100, TestVaults.segment(arena, plaintext), sealed);
                SealedChunk chunk = new SealedChunk(
                        domain.id(),
                        ref.id(),
                        pack.high(),
                        pack.low(),
                        pack.wrapped(),
                        100,
                        codec.codec(),
                        ref.length(),
                        sealed.asSlice(0, length));
                assertThat(vault.chunks().open(ref, chunk, target)).isEqualTo(genuine);
            }
        }
    }

    @Test
    void aReplicaThatIsBehindIsPassedOver() throws IOException {
        byte[] content = TestVaults.noise(99, 70_000);
        ChunkRef fresh;
        try (Vault vault = TestVaults.open(home);
                ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            fresh = TestVaults.put(writer, content);
            writer.commit();
        }
        try (Vault vault = TestVaults.open(home)) {
            readThrough(vault, false, Optional.empty(), replica(vault));
            readAll(vault);
            assertThat(TestVaults.read(vault, fresh)).isEqualTo(content);
            SourceReport report = report(vault, SourceReport.Kind.LOOKASIDE);
            assertThat(report.chunks()).isEqualTo(CHUNKS);
            assertThat(report.misses()).isEqualTo(1);
            assertThat(report.failures()).isZero();
            assertThat(notes).isEmpty();
        }
    }

    @Test
    void aPlaceThatComesBackIsUsedAgain() throws Exception {
        AtomicInteger gone = new AtomicInteger(1);
        try (Vault vault = TestVaults.open(home)) {
            Altered flaky = new Altered(replica(vault), (source, domain, id, buffer) -> {
                if (gone.get() == 1) {
                    throw new IOException("gone");
                }
                return source.fetch(domain, id, buffer);
            });
            readThrough(vault, false, Optional.empty(), flaky);
            readAll(vault);
            assertThat((long) flaky.asked.get()).isBetween(3L, TRIES_MAX);
            assertThat(report(vault, SourceReport.Kind.LOOKASIDE).chunks()).isZero();
            gone.set(0);
            do {
                Thread.sleep(100);
            } while (report(vault, SourceReport.Kind.LOOKASIDE).state() == SourceReport.State.ASIDE);
            readAll(vault);
            assertThat(report(vault, SourceReport.Kind.LOOKASIDE).chunks()).isEqualTo(CHUNKS);
            assertThat(notes).hasSize(2);
            assertThat(notes).last().asString().contains("again");
        }
    }

    @Test
    void theCacheTakesWhatComesFromAfarAndGivesItWhenTheRestIsGone() throws IOException {
        Path cache = directory.resolve("cache");
        try (Vault vault = through(false, HostCache.open(cache, java.util.OptionalLong.of(8 << 20)))) {
            readAll(vault);
            assertThat(report(vault, SourceReport.Kind.CACHE).misses()).isEqualTo(CHUNKS);
            readAll(vault);
            assertThat(report(vault, SourceReport.Kind.CACHE).chunks()).isEqualTo(CHUNKS);
            assertThat(report(vault, SourceReport.Kind.HOME).chunks()).isEqualTo(CHUNKS);
        }
        Vault vault = TestVaults.open(home);
        readThrough(vault, false, HostCache.open(cache, java.util.OptionalLong.empty()));
        try (vault) {
            assertThat(TestVaults.read(vault, refs.getFirst())).isEqualTo(contents.getFirst());
            cutPacks(home);
            readAll(vault);
            assertThat(report(vault, SourceReport.Kind.HOME).chunks()).isZero();
        }
    }

    @Test
    void aVaultThatIsNearIsNotCached() throws IOException {
        Path cache = directory.resolve("cache");
        try (Vault vault = through(true, HostCache.open(cache, java.util.OptionalLong.of(8 << 20)))) {
            readAll(vault);
            readAll(vault);
            assertThat(report(vault, SourceReport.Kind.CACHE).chunks()).isZero();
        }
        assertThat(HostCache.usage(cache).orElseThrow().bytesUsed()).isZero();
    }

    @Test
    void plaintextNeverGetsIntoTheCache() throws IOException {
        byte[] planted =
                "this is the planted line that nobody may find;".getBytes(java.nio.charset.StandardCharsets.UTF_8);
        byte[] text = new byte[planted.length * 1000];
        for (int i = 0; i < 1000; i++) {
            System.arraycopy(planted, 0, text, i * planted.length, planted.length);
        }
        byte[] raw = TestVaults.noise(5, 30_000);
        System.arraycopy(planted, 0, raw, 7_000, planted.length);
        List<ChunkRef> secrets = new ArrayList<>();
        try (Vault vault = TestVaults.open(home);
                ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            secrets.add(TestVaults.put(writer, text));
            secrets.add(TestVaults.put(writer, raw));
            writer.commit();
        }
        Path cache = directory.resolve("cache");
        try (Vault vault = through(false, HostCache.open(cache, java.util.OptionalLong.of(4 << 20)))) {
            for (int round = 0; round < 120; round++) {
                for (ChunkRef secret : secrets) {
                    TestVaults.read(vault, secret);
                }
                readAll(vault);
            }
            assertThat(report(vault, SourceReport.Kind.CACHE).chunks()).isPositive();
        }
        byte[] bytes = Files.readAllBytes(cache.resolve("chunks"));
        // Also not compressed: a zstd frame begins so, RFC 8878 section 3.1.1.
        assertThat(indexOf(bytes, planted)).isNegative();
        assertThat(indexOf(bytes, new byte[] {0x28, (byte) 0xb5, 0x2f, (byte) 0xfd}))
                .isNegative();
        assertThat(HostCache.usage(cache).orElseThrow().bytesUsed()).isPositive();
    }

    private static int indexOf(byte[] all, byte[] wanted) {
        next:
        for (int at = 0; at <= all.length - wanted.length; at++) {
            for (int i = 0; i < wanted.length; i++) {
                if (all[at + i] != wanted[i]) {
                    continue next;
                }
            }
            return at;
        }
        return -1;
    }

    @Test
    void manyReadersAtOnceGetWhatTheyAskedForFromAllSources() throws Exception {
        hedgeNanosMin = ChunkSources.HEDGE_NANOS_MIN;
        AtomicInteger turn = new AtomicInteger();
        try (Vault vault = TestVaults.open(home);
                ExecutorService readers = Executors.newFixedThreadPool(8)) {
            Altered flaky = new Altered(replica(vault), (source, domain, id, buffer) -> {
                int now = turn.getAndIncrement();
                if (now % 7 == 0) {
                    throw new IOException("one in seven fails");
                }
                if (now % 11 == 0) {
                    return source.fetch(domain, refs.get(now % CHUNKS).id(), buffer);
                }
                return source.fetch(domain, id, buffer);
            });
            readThrough(
                    vault,
                    false,
                    HostCache.open(directory.resolve("cache"), java.util.OptionalLong.of(4 << 20)),
                    flaky,
                    replica(vault));
            List<Future<?>> running = new ArrayList<>();
            for (int reader = 0; reader < 8; reader++) {
                int first = reader * 3;
                running.add(readers.submit(() -> {
                    for (int round = 0; round < 40; round++) {
                        for (int i = 0; i < CHUNKS; i++) {
                            int which = (first + i * 5 + round) % CHUNKS;
                            assertThat(TestVaults.read(vault, refs.get(which))).isEqualTo(contents.get(which));
                        }
                    }
                    return null;
                }));
            }
            for (Future<?> reader : running) {
                reader.get();
            }
            assertThat(report(vault, SourceReport.Kind.CACHE).chunks()).isGreaterThan(5_000);
        }
    }
}
