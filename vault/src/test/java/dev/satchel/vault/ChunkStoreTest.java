package dev.satchel.vault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.linux.crypto.SecretBytes;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChunkStoreTest {
    @TempDir
    Path directory;

    private static ChunkWriter writer(Vault vault) throws IOException {
        return vault.chunks().writer(vault.chunks().ownDomain());
    }

    private List<Path> files(String part) throws IOException {
        try (var all = Files.walk(directory)) {
            return all.filter(Files::isRegularFile)
                    .filter(file -> file.toString().contains(part))
                    .sorted()
                    .toList();
        }
    }

    @Test
    void readsBackChunksOfEveryLengthFromAnotherOpening() throws IOException {
        List<byte[]> contents = new ArrayList<>();
        for (int length : new int[] {1, 2, 15, 16, 17, 4095, 4096, 65535, 65536, 100_000, ChunkRef.LENGTH_MAX}) {
            contents.add(TestVaults.text(length, length));
            contents.add(TestVaults.noise(length, length));
            contents.add(new byte[length]);
        }
        List<ChunkRef> refs = new ArrayList<>();
        try (Vault vault = TestVaults.create(directory)) {
            try (ChunkWriter writer = writer(vault)) {
                for (byte[] content : contents) {
                    refs.add(TestVaults.put(writer, content));
                }
                writer.commit();
            }
            for (int i = 0; i < refs.size(); i++) {
                assertThat(TestVaults.read(vault, refs.get(i))).isEqualTo(contents.get(i));
            }
        }
        try (Vault vault = TestVaults.open(directory)) {
            vault.chunks().prefetchHere(refs);
            for (int i = 0; i < refs.size(); i++) {
                assertThat(vault.chunks().contains(refs.get(i))).isTrue();
                assertThat(TestVaults.read(vault, refs.get(i))).isEqualTo(contents.get(i));
            }
        }
    }

    @Test
    void storesTheSameContentOnceAlsoAcrossBatches() throws IOException {
        byte[] content = TestVaults.noise(1, 100_000);
        try (Vault vault = TestVaults.create(directory)) {
            ChunkRef first;
            try (ChunkWriter writer = writer(vault)) {
                first = TestVaults.put(writer, content);
                assertThat(TestVaults.put(writer, content)).isEqualTo(first);
                WriteStats stats = writer.commit();
                assertThat(stats.chunksPut()).isEqualTo(2);
                assertThat(stats.bytesPut()).isEqualTo(200_000);
                assertThat(stats.chunksNew()).isEqualTo(1);
                assertThat(stats.bytesNew()).isBetween(100_000L, 101_000L);
            }
            try (ChunkWriter writer = writer(vault)) {
                assertThat(TestVaults.put(writer, content)).isEqualTo(first);
                assertThat(writer.commit().bytesNew()).isZero();
            }
            assertThat(files("/packs/")).hasSize(1);
        }
    }

    @Test
    void findsWhatTheVaultOrTheBatchHasAndStoresNothing() throws IOException {
        byte[] content = TestVaults.noise(1, 100_000);
        try (Vault vault = TestVaults.create(directory);
                Arena arena = Arena.ofConfined()) {
            MemorySegment plaintext = TestVaults.segment(arena, content);
            try (ChunkWriter writer = writer(vault)) {
                ChunkRef named = writer.refTo(plaintext);
                assertThat(writer.has(named)).isFalse();
                assertThat(writer.commit().chunksPut()).isZero();
                ChunkRef ref = writer.put(plaintext);
                assertThat(ref).isEqualTo(named);
                assertThat(writer.has(ref)).isTrue();
                ChunkRef foreign = new ChunkRef(new KeyDomainId(1, 2), ref.id(), ref.length());
                assertThat(writer.has(foreign)).isFalse();
                writer.commit();
            }
            try (ChunkWriter writer = writer(vault)) {
                assertThat(writer.has(writer.refTo(plaintext))).isTrue();
                WriteStats stats = writer.commit();
                assertThat(stats.chunksPut()).isEqualTo(1);
                assertThat(stats.bytesNew()).isZero();
            }
        }
    }

    @Test
    void readsByTurnsFromMorePacksThanItKeepsKeysOf() throws IOException {
        try (Vault vault = TestVaults.create(directory);
                Arena arena = Arena.ofConfined()) {
            List<ChunkRef> refs = new ArrayList<>();
            for (int pack = 0; pack < 40; pack++) {
                try (ChunkWriter writer = writer(vault)) {
                    refs.add(writer.put(TestVaults.segment(arena, TestVaults.noise(pack, 1000))));
                    writer.commit();
                }
            }
            MemorySegment target = arena.allocate(1000);
            for (int group = 0; group < 40; group += 10) {
                for (int round = 0; round < 3; round++) {
                    for (int pack = group; pack < Math.min(group + 20, 40); pack++) {
                        vault.chunks().read(refs.get(pack), target);
                        assertThat(target.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(TestVaults.noise(pack, 1000));
                    }
                }
            }
        }
    }

    @Test
    void compressesWhatShrinksAndLeavesTheRest() throws IOException {
        try (Vault vault = TestVaults.create(directory);
                ChunkWriter writer = writer(vault)) {
            TestVaults.put(writer, TestVaults.text(1, 200_000));
            assertThat(writer.commit().bytesNew()).isLessThan(20_000);
            TestVaults.put(writer, TestVaults.noise(1, 200_000));
            assertThat(writer.commit().bytesNew()).isBetween(200_000L, 221_000L);
        }
    }

    @Test
    void anUncommittedBatchLeavesNothingAndIsNotDeduplicatedAgainst() throws IOException {
        byte[] content = TestVaults.noise(1, 200_000);
        try (Vault vault = TestVaults.create(directory)) {
            ChunkRef ref;
            try (ChunkWriter lost = writer(vault)) {
                // More than a pack, so that complete packs are thrown away too.
                for (int i = 2; i < 100; i++) {
                    TestVaults.put(lost, TestVaults.noise(i, ChunkRef.LENGTH_MAX));
                }
                ref = TestVaults.put(lost, content);
                try (ChunkWriter other = writer(vault)) {
                    TestVaults.put(other, content);
                    assertThat(other.commit().chunksNew()).isEqualTo(1);
                }
            }
            assertThat(files("/packs/")).hasSize(1);
            assertThat(files("/.tmp/")).isEmpty();
            assertThat(TestVaults.read(vault, ref)).isEqualTo(content);
        }
    }

    @Test
    void findsWhatAnotherOpeningCommittedMeanwhile() throws IOException {
        byte[] content = TestVaults.text(5, 5000);
        try (Vault one = TestVaults.create(directory);
                Vault other = TestVaults.open(directory)) {
            assertThat(other.chunks()
                            .contains(new ChunkRef(other.chunks().ownDomain().id(), new ChunkId(1, 2, 3, 4), 5)))
                    .isFalse();
            try (ChunkWriter writer = writer(one)) {
                ChunkRef ref = TestVaults.put(writer, content);
                writer.commit();
                assertThat(TestVaults.read(other, ref)).isEqualTo(content);
            }
        }
    }

    @Test
    void manyThreadsPutAndRead() throws Exception {
        int threads = 6;
        int each = 200;
        try (Vault vault = TestVaults.create(directory);
                ExecutorService executor = Executors.newFixedThreadPool(threads)) {
            List<Future<List<ChunkRef>>> puts = new ArrayList<>();
            ChunkWriter writer = writer(vault);
            for (int t = 0; t < threads; t++) {
                int thread = t;
                puts.add(executor.submit(() -> {
                    List<ChunkRef> refs = new ArrayList<>();
                    for (int i = 0; i < each; i++) {
                        // Half of them are the same in all threads.
                        int seed = i % 2 == 0 ? i : thread * 1000 + i;
                        refs.add(TestVaults.put(writer, TestVaults.noise(seed, 20_000)));
                    }
                    return refs;
                }));
            }
            List<List<ChunkRef>> refs = new ArrayList<>();
            for (Future<List<ChunkRef>> future : puts) {
                refs.add(future.get());
            }
            WriteStats stats = writer.commit();
            writer.close();
            assertThat(stats.chunksPut()).isEqualTo((long) threads * each);
            assertThat(stats.chunksNew()).isEqualTo(100 + threads * 100L);
            List<Future<?>> reads = new ArrayList<>();
            for (int t = 0; t < threads; t++) {
                int thread = t;
                reads.add(executor.submit(() -> {
                    for (int i = 0; i < each; i++) {
                        int seed = i % 2 == 0 ? i : thread * 1000 + i;
                        assertThat(TestVaults.read(vault, refs.get(thread).get(i)))
                                .isEqualTo(TestVaults.noise(seed, 20_000));
                    }
                    return null;
                }));
            }
            for (Future<?> future : reads) {
                future.get();
            }
        }
    }

    @Test
    void worksWithoutWithDamagedAndWithForeignIndexes() throws IOException {
        List<ChunkRef> refs = new ArrayList<>();
        try (Vault vault = TestVaults.create(directory)) {
            for (int i = 0; i < 40; i++) {
                try (ChunkWriter writer = writer(vault)) {
                    refs.add(TestVaults.put(writer, TestVaults.text(i, 1000 + i)));
                    writer.commit();
                }
            }
        }
        List<Path> indexes = files("/index/");
        assertThat(indexes).as("40 packs have been put into few index files").hasSizeBetween(1, 2);
        readAll(refs);
        byte[] whole = Files.readAllBytes(indexes.getFirst());
        byte[] flipped = whole.clone();
        flipped[whole.length / 2] ^= 1;
        Files.write(indexes.getFirst(), flipped);
        readAll(refs);
        Files.write(indexes.getFirst(), new byte[0]);
        readAll(refs);
        // One that speaks of a pack which is not there any more.
        Files.write(indexes.getFirst(), whole);
        Path pack = files("/packs/").get(3);
        Path away = directory.resolve("away");
        Files.move(pack, away);
        try (Vault vault = TestVaults.open(directory)) {
            int missing = 0;
            for (ChunkRef ref : refs) {
                missing += vault.chunks().contains(ref) ? 0 : 1;
            }
            assertThat(missing).isEqualTo(1);
        }
        Files.move(away, pack);
        for (Path index : files("/index/")) {
            Files.delete(index);
        }
        readAll(refs);
    }

    private void readAll(List<ChunkRef> refs) throws IOException {
        try (Vault vault = TestVaults.open(directory)) {
            for (int i = 0; i < refs.size(); i++) {
                assertThat(TestVaults.read(vault, refs.get(i))).isEqualTo(TestVaults.text(i, 1000 + i));
            }
        }
    }

    @Test
    void refusesSwappedChunksAndWrongLengths() throws IOException {
        try (Vault vault = TestVaults.create(directory)) {
            ChunkRef a;
            ChunkRef b;
            try (ChunkWriter writer = writer(vault)) {
                a = TestVaults.put(writer, TestVaults.noise(1, 5000));
                b = TestVaults.put(writer, TestVaults.noise(2, 5000));
                writer.commit();
            }
            assertThatThrownBy(() -> TestVaults.read(vault, new ChunkRef(a.domain(), a.id(), 4999)))
                    .isInstanceOf(DamagedException.class);
            Path pack = files("/packs/").getFirst();
            byte[] bytes = Files.readAllBytes(pack);
            byte[] swapped = bytes.clone();
            int stored = 5016;
            System.arraycopy(bytes, Pack.HEADER_BYTES, swapped, Pack.HEADER_BYTES + stored, stored);
            System.arraycopy(bytes, Pack.HEADER_BYTES + stored, swapped, Pack.HEADER_BYTES, stored);
            Files.write(pack, swapped);
            for (ChunkRef ref : List.of(a, b)) {
                assertThatThrownBy(() -> TestVaults.read(vault, ref))
                        .isInstanceOf(DamagedException.class)
                        .hasMessageContaining(ref.id().toString())
                        .hasMessageContaining(": put the pack back");
            }
        }
    }

    @Test
    void anImagesChunksAreTheSameBytesInEveryVaultAndOpenWithoutItsName() throws IOException {
        Path second = directory.resolve("second");
        byte[] content = TestVaults.text(7, 50_000);
        try (Vault vault = TestVaults.create(directory.resolve("first"));
                Vault other = TestVaults.create(second);
                KeyDomain keys = KeyDomain.random()) {
            ChunkRef[] refs = new ChunkRef[2];
            int i = 0;
            for (Vault each : List.of(vault, other)) {
                try (ChunkWriter writer = each.chunks().writer(keys)) {
                    refs[i++] = TestVaults.put(writer, content);
                    writer.commit();
                }
            }
            assertThat(refs[0]).isEqualTo(refs[1]);
            ChunkMapRef map;
            try (ChunkWriter writer = other.chunks().writer(keys)) {
                ChunkMap.Editor editor =
                        ChunkMap.load(other.chunks(), ChunkMapRef.EMPTY).edit();
                editor.set(0, refs[1]);
                map = editor.store(writer);
                writer.commit();
            }
            ImageManifest image = new ImageManifest(
                    ImageId.random(), "desktop", java.time.Instant.EPOCH, keys, map, 1 << 30, 50_000, new byte[] {1});
            other.putImage(image);
            assertThat(other.images()).hasSize(1);
            assertThat(other.image("desktop").orElseThrow().volume()).isEqualTo(map);
            SessionId session = SessionId.random();
            ChunkMapRef mixed;
            try (ChunkWriter writer = writer(other)) {
                ChunkMap.Editor editor = ChunkMap.load(other.chunks(), map).edit();
                editor.set(1, TestVaults.put(writer, TestVaults.text(8, 1000)));
                mixed = editor.store(writer);
                writer.commit();
            }
            SnapshotId snapshot = other.put(TestVaults.draft(session, java.util.Optional.empty(), mixed));
            other.deleteImage(image.id());
            assertThat(other.image("desktop")).isEmpty();
            try (Vault again = TestVaults.open(second)) {
                ChunkMap volume = ChunkMap.load(
                        again.chunks(), again.snapshot(snapshot).trees().get("volume"));
                assertThat(TestVaults.read(again, volume.get(0).orElseThrow())).isEqualTo(content);
                assertThat(TestVaults.read(again, volume.get(1).orElseThrow())).isEqualTo(TestVaults.text(8, 1000));
                assertThat(again.verify(ProgressListener.NONE).errors()).isEmpty();
            }
        }
    }

    @Test
    void refusesWhatAnotherHolderOfAnImageSealedUnderAGenuineId() throws IOException {
        byte[] evil = TestVaults.text(666, 5000);
        try (Vault vault = TestVaults.create(directory);
                KeyDomain keys = KeyDomain.random();
                ChunkCodec codec = new ChunkCodec();
                SecretBytes key = SecretBytes.random(32);
                Arena arena = Arena.ofConfined();
                PackFile file = vault.backend().begin()) {
            ChunkId genuine = codec.idOf(keys, TestVaults.segment(arena, TestVaults.text(1, 5000)));
            // A whole and well-sealed pack, by somebody who has the image's keys.
            Pack pack = codec.wrap(keys, key);
            file.append(ChunkCodec.bound(arena, keys.id(), pack.high(), pack.low()));
            file.append(TestVaults.segment(arena, pack.wrapped()));
            MemorySegment sealed = arena.allocate(ChunkCodec.STORED_BYTES_MAX);
            int stored = codec.encode(key, genuine, Pack.HEADER_BYTES, TestVaults.segment(arena, evil), sealed);
            file.append(sealed.asSlice(0, stored));
            MemorySegment entry = arena.allocate(Pack.ENTRY_BYTES);
            genuine.write(entry, 0);
            entry.set(Bytes.INT, 32, Pack.HEADER_BYTES);
            entry.set(Bytes.INT, 36, stored);
            entry.set(Bytes.INT, 40, codec.codec() << 24 | evil.length);
            MemorySegment end = arena.allocate(Pack.ENTRY_BYTES + 16 + Pack.TRAILER_BYTES);
            codec.sealDirectory(key, pack, file.size(), entry, end.asSlice(0, Pack.ENTRY_BYTES + 16));
            end.set(Bytes.INT, Pack.ENTRY_BYTES + 16, Pack.ENTRY_BYTES + 16);
            MemorySegment.copy(TestVaults.segment(arena, Pack.TRAILER_MAGIC), 0, end, Pack.ENTRY_BYTES + 16 + 4, 8);
            file.append(end);
            file.commit(pack.name());
            vault.putImage(new ImageManifest(
                    ImageId.random(), "desktop", java.time.Instant.EPOCH, keys, ChunkMapRef.EMPTY, 1, 1, new byte[0]));
            ChunkRef ref = new ChunkRef(keys.id(), genuine, evil.length);
            assertThat(vault.chunks().contains(ref)).isTrue();
            assertThatThrownBy(() -> TestVaults.read(vault, ref))
                    .isInstanceOf(DamagedException.class)
                    .hasMessageContaining("forged");
        }
    }

    /** The kernel tells of a failed write-back once, fsync(2): who syncs later hears nothing of it. */
    @Test
    void aCommitFailsWhenAPackCouldNotBeSyncedInTheBackground() throws IOException {
        TestVaults.create(directory).close();
        Backend failing = new ForwardingBackend(new DirectoryBackend(directory)) {
            @Override
            public PackFile begin() throws IOException {
                PackFile file = super.begin();
                return new PackFile() {
                    @Override
                    public void append(MemorySegment bytes) throws IOException {
                        file.append(bytes);
                    }

                    @Override
                    public long size() {
                        return file.size();
                    }

                    @Override
                    public void sync() throws IOException {
                        try {
                            Thread.sleep(200);
                        } catch (InterruptedException e) {
                            Thread.currentThread().interrupt();
                        }
                        throw new IOException("input/output error");
                    }

                    @Override
                    public void commit(String name) throws IOException {
                        file.commit(name);
                    }

                    @Override
                    public void close() throws IOException {
                        file.close();
                    }
                };
            }

            @Override
            public void commit(java.util.Map<String, PackFile> files) throws IOException {
                for (var file : files.entrySet()) {
                    file.getValue().commit(file.getKey());
                }
            }
        };
        try (VaultKey key = Vault.unlock(failing, TestVaults.PASSPHRASE);
                Vault vault = Vault.open(failing, key, HeadWitness.NONE);
                ChunkWriter writer = writer(vault)) {
            TestVaults.put(writer, TestVaults.text(1, 1000));
            assertThatThrownBy(writer::commit).hasStackTraceContaining("input/output error");
            assertThatThrownBy(writer::commit).isInstanceOf(IOException.class);
        }
        assertThat(files("/packs/")).isEmpty();
        assertThat(files("/.tmp/")).isEmpty();
    }

    @Test
    void theIndexHoldsHalfAMillionChunks() {
        ChunkIndex index = new ChunkIndex();
        int packs = 500;
        int each = 1000;
        java.util.Random random = new java.util.Random(1);
        List<ChunkId> some = new ArrayList<>();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment entries = arena.allocate((long) each * Pack.ENTRY_BYTES);
            for (int p = 0; p < packs; p++) {
                for (int i = 0; i < each; i++) {
                    ChunkId id =
                            new ChunkId(random.nextLong(), random.nextLong(), random.nextLong(), random.nextLong());
                    id.write(entries, (long) i * Pack.ENTRY_BYTES);
                    entries.set(Bytes.INT, (long) i * Pack.ENTRY_BYTES + 32, p * 10 + i);
                    entries.set(Bytes.INT, (long) i * Pack.ENTRY_BYTES + 36, 77);
                    entries.set(Bytes.INT, (long) i * Pack.ENTRY_BYTES + 40, 1 << 24 | 4096);
                    if (i == p) {
                        some.add(id);
                    }
                }
                index.add(new Pack(new KeyDomainId(1, 2), 0, p, new byte[0]), entries);
                index.add(new Pack(new KeyDomainId(1, 2), 1, p, new byte[0]), entries.asSlice(0, 0));
            }
        }
        assertThat(index.size()).isEqualTo(packs * each);
        for (int p = 0; p < some.size(); p++) {
            ChunkIndex.Place place = index.find(some.get(p));
            assertThat(place).isNotNull();
            assertThat(place.pack().low()).isEqualTo(p);
            assertThat(place.pack().high()).isZero();
            assertThat(place.offset()).isEqualTo(p * 10 + p);
            assertThat(place.storedBytes()).isEqualTo(77);
            assertThat(place.codec()).isEqualTo(1);
            assertThat(place.length()).isEqualTo(4096);
        }
        assertThat(index.contains(new ChunkId(1, 2, 3, 4))).isFalse();
    }
}
