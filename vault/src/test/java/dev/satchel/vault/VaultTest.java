package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.satchel.linux.crypto.SecretBytes;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class VaultTest {
    private static final HostId HERE = new HostId(1, 1);
    private static final HostId THERE = new HostId(2, 2);

    @TempDir
    Path directory;

    private static Head first(SessionId session, String name) {
        return Head.first(session, name, Optional.empty(), "{}".getBytes(UTF_8));
    }

    private Map<Path, byte[]> contents() throws IOException {
        Map<Path, byte[]> contents = new TreeMap<>();
        try (var all = Files.walk(directory)) {
            for (Path file : all.filter(Files::isRegularFile).toList()) {
                contents.put(file, Files.readAllBytes(file));
            }
        }
        return contents;
    }

    @Test
    void opensWithThePassphraseAndNoOther() throws IOException {
        VaultId id;
        try (Vault vault = TestVaults.create(directory)) {
            id = vault.id();
        }
        DirectoryBackend backend = new DirectoryBackend(directory);
        assertThat(Vault.identify(backend)).isEqualTo(id);
        assertThatThrownBy(() -> Vault.unlock(backend, "wrong".getBytes(UTF_8)))
                .isInstanceOf(WrongPassphraseException.class)
                .hasMessageContaining(": ");
        assertThatThrownBy(() -> Vault.init(backend, TestVaults.PASSPHRASE, KdfParameters.FOR_TESTS))
                .isInstanceOf(ExistsException.class);
        try (Arena arena = Arena.ofConfined();
                VaultKey key = Vault.unlock(backend, TestVaults.PASSPHRASE)) {
            MemorySegment exported = arena.allocate(VaultKey.BYTES);
            key.export(exported);
            try (VaultKey imported = VaultKey.fromBytes(exported);
                    Vault vault = Vault.open(new DirectoryBackend(directory), imported, HeadWitness.NONE)) {
                assertThat(vault.id()).isEqualTo(id);
            }
            exported.set(Bytes.INT, 0, 0);
            try (VaultKey other = VaultKey.fromBytes(exported)) {
                assertThatThrownBy(() -> Vault.open(new DirectoryBackend(directory), other, HeadWitness.NONE))
                        .isInstanceOf(WrongPassphraseException.class);
            }
        }
    }

    @Test
    void saysThatThereIsNoVault() {
        DirectoryBackend nowhere = new DirectoryBackend(directory.resolve("nowhere"));
        assertThatThrownBy(() -> Vault.unlock(nowhere, TestVaults.PASSPHRASE))
                .isInstanceOf(NoSuchException.class)
                .hasMessageContaining("vault init");
        assertThat(directory.resolve("nowhere")).doesNotExist();
    }

    @Test
    void headsFollowEachOtherUnderALeaseAndNamesAreUnique() throws IOException {
        try (Vault vault = TestVaults.create(directory)) {
            SessionId a = SessionId.random();
            SessionId b = SessionId.random();
            try (Lease leaseA = vault.acquire(a, HERE, "here", false);
                    Lease leaseB = vault.acquire(b, HERE, "here", false)) {
                vault.putHead(first(a, "work"), leaseA);
                assertThatThrownBy(() -> vault.putHead(first(b, "work"), leaseB))
                        .isInstanceOf(ExistsException.class);
                assertThatThrownBy(() -> vault.putHead(first(b, "play"), leaseA))
                        .isInstanceOf(IllegalArgumentException.class);
                vault.putHead(first(b, "play"), leaseB);
                assertThatThrownBy(() -> vault.putHead(first(a, "work"), leaseA))
                        .isInstanceOf(IllegalStateException.class);
                Head head = vault.head("work").orElseThrow();
                vault.putHead(head.next(Optional.empty(), "{\"a\":1}".getBytes(UTF_8)), leaseA);
                head = vault.head(a).orElseThrow();
                assertThat(head.generation()).isEqualTo(2);
                assertThat(new String(head.settings(), UTF_8)).isEqualTo("{\"a\":1}");
                // Renamed: the old name is free again.
                vault.putHead(new Head(a, "study", 3, Optional.empty(), head.settings()), leaseA);
                assertThat(vault.head("work")).isEmpty();
                Head renamed = vault.head(b).orElseThrow();
                vault.putHead(new Head(b, "work", 2, Optional.empty(), renamed.settings()), leaseB);
                assertThat(vault.heads()).extracting(Head::name).containsExactly("study", "work");
                vault.delete(b, leaseB);
                assertThat(vault.head("work")).isEmpty();
                assertThat(vault.heads()).hasSize(1);
            }
        }
    }

    @Test
    void aNameReservedByAnInterruptedCreateIsFreeAgain() throws IOException {
        try (Vault vault = TestVaults.create(directory)) {
            SessionId dead = SessionId.random();
            try (Lease lease = vault.acquire(dead, HERE, "here", false)) {
                vault.putHead(first(dead, "work"), lease);
            }
            Files.delete(directory.resolve(Vault.headFile(dead)));
            SessionId next = SessionId.random();
            try (Lease lease = vault.acquire(next, HERE, "here", false)) {
                vault.putHead(first(next, "work"), lease);
                assertThat(vault.head("work").orElseThrow().id()).isEqualTo(next);
            }
        }
    }

    @Test
    void oneHolderASessionAndTheLoserCannotWrite() throws IOException {
        SessionId session = SessionId.random();
        try (Vault vault = TestVaults.create(directory);
                Vault other = TestVaults.open(directory)) {
            Lease loser = vault.acquire(session, HERE, "here", false);
            vault.putHead(first(session, "work"), loser);
            InUseException inUse = (InUseException) catchThrowable(() -> other.acquire(session, THERE, "there", false));
            assertThat(inUse.holder().host()).isEqualTo(HERE);
            assertThat(inUse).hasMessageContaining("here").hasMessageContaining(": ");
            assertThat(other.holder(session).orElseThrow().hostName()).isEqualTo("here");
            Head seenByLoser = vault.head(session).orElseThrow();
            Lease winner = other.acquire(session, THERE, "there", true);
            assertThat(loser.stillHeld()).isFalse();
            assertThat(winner.stillHeld()).isTrue();
            InUseException lost = (InUseException)
                    catchThrowable(() -> vault.putHead(seenByLoser.next(Optional.empty(), new byte[0]), loser));
            assertThat(lost.holder().host()).isEqualTo(THERE);
            assertThatThrownBy(() -> vault.delete(session, loser)).isInstanceOf(InUseException.class);
            loser.close();
            assertThat(winner.stillHeld()).isTrue();
            Head now = other.head(session).orElseThrow();
            assertThat(now.generation()).isEqualTo(2);
            other.putHead(now.next(Optional.empty(), new byte[0]), winner);
            winner.close();
            assertThat(vault.holder(session)).isEmpty();
            try (Lease again = vault.acquire(session, HERE, "here", false)) {
                assertThat(again.holder().epoch()).isGreaterThan(winner.holder().epoch());
                // Its own host does not get it twice either.
                assertThatThrownBy(() -> other.acquire(session, HERE, "here", false))
                        .isInstanceOf(InUseException.class);
            }
        }
    }

    @Test
    void aWriteThatPassedTheLeaseCheckBeforeTheTakeOverFails() throws IOException {
        SessionId session = SessionId.random();
        try (Vault other = TestVaults.create(directory)) {
            boolean[] armed = new boolean[1];
            // Takes over just before the head is replaced: after all of putHead's checks.
            Backend racing = new ForwardingBackend(new DirectoryBackend(directory)) {
                @Override
                public boolean replace(String name, Optional<byte[]> expected, byte[] next) throws IOException {
                    if (armed[0] && name.endsWith("/head")) {
                        armed[0] = false;
                        Lease taken = other.acquire(session, THERE, "there", true);
                        assertThat(taken.stillHeld()).isTrue();
                    }
                    return super.replace(name, expected, next);
                }
            };
            try (VaultKey key = Vault.unlock(racing, TestVaults.PASSPHRASE);
                    Vault vault = Vault.open(racing, key, HeadWitness.NONE);
                    Lease lease = vault.acquire(session, HERE, "here", false)) {
                vault.putHead(first(session, "work"), lease);
                Head head = vault.head(session).orElseThrow();
                armed[0] = true;
                assertThatThrownBy(() -> vault.putHead(head.next(Optional.empty(), new byte[] {1}), lease))
                        .isInstanceOf(InUseException.class);
                assertThat(other.head(session).orElseThrow().settings()).isEqualTo(head.settings());
            }
        }
    }

    @Test
    void snapshotsComeBackAsTheyWereAndHistoryFollowsForks() throws IOException {
        SessionId session = SessionId.random();
        SessionId fork = SessionId.random();
        try (Vault vault = TestVaults.create(directory)) {
            ChunkMapRef volume = TestVaults.map(vault, List.of(TestVaults.text(1, 1000), TestVaults.text(2, 2000)));
            SnapshotDraft draft = TestVaults.draft(session, Optional.empty(), volume);
            SnapshotId root = vault.put(draft);
            Snapshot read = vault.snapshot(root);
            assertThat(read.session()).isEqualTo(session);
            assertThat(read.parent()).isEmpty();
            assertThat(read.created()).isEqualTo(draft.created());
            assertThat(read.kind()).isEqualTo("suspend");
            assertThat(read.trees()).isEqualTo(draft.trees());
            assertThat(read.metadata()).isEqualTo(draft.metadata());
            assertThat(read.bytesNew()).isEqualTo(10);
            assertThat(read.bytesLogical()).isEqualTo(20);
            SnapshotId child = vault.put(TestVaults.draft(session, Optional.of(root), volume));
            SnapshotId unrelated = vault.put(TestVaults.draft(SessionId.random(), Optional.empty(), volume));
            try (Lease lease = vault.acquire(session, HERE, "here", false);
                    Lease forkLease = vault.acquire(fork, HERE, "here", false)) {
                vault.putHead(Head.first(session, "work", Optional.of(child), new byte[0]), lease);
                vault.putHead(Head.first(fork, "copy", Optional.of(root), new byte[0]), forkLease);
                assertThat(vault.history(session)).extracting(Snapshot::id).containsExactlyInAnyOrder(root, child);
                assertThat(vault.history(fork)).extracting(Snapshot::id).containsExactly(root);
                VaultInfo info = vault.info();
                assertThat(info.sessions()).isEqualTo(2);
                assertThat(info.snapshots()).isEqualTo(3);
                assertThat(info.chunks()).isEqualTo(3);
                assertThat(info.bytesLogical()).isEqualTo(9000);
                assertThat(info.bytesStored()).isPositive();
                vault.delete(root);
                assertThat(vault.history(session)).extracting(Snapshot::id).containsExactly(child);
                assertThatThrownBy(() -> vault.snapshot(root)).isInstanceOf(NoSuchException.class);
                // Removing a session keeps what another's head stands on.
                vault.putHead(vault.head(fork).orElseThrow().next(Optional.of(child), new byte[0]), forkLease);
                vault.delete(session, lease);
                assertThat(vault.snapshot(child).id()).isEqualTo(child);
                assertThat(vault.snapshot(unrelated).id()).isEqualTo(unrelated);
            }
        }
    }

    @Test
    void refusesASnapshotUnderAnothersNameAndOneOfAnotherVault() throws IOException {
        Path second = directory.resolve("second");
        Path first = directory.resolve("first");
        SessionId session = SessionId.random();
        try (Vault vault = TestVaults.create(first);
                Vault other = TestVaults.create(second)) {
            SnapshotId a = vault.put(TestVaults.draft(session, Optional.empty(), ChunkMapRef.EMPTY));
            SnapshotId b = vault.put(TestVaults.draft(session, Optional.of(a), ChunkMapRef.EMPTY));
            SnapshotId foreign = other.put(TestVaults.draft(session, Optional.empty(), ChunkMapRef.EMPTY));
            byte[] genuine = Files.readAllBytes(first.resolve("snapshots/" + a));
            Files.copy(second.resolve("snapshots/" + foreign), first.resolve("snapshots/" + foreign));
            assertThatThrownBy(() -> vault.snapshot(foreign))
                    .isInstanceOf(ForgedException.class)
                    .hasMessageContaining(foreign.toString());
            Files.write(first.resolve("snapshots/" + b), genuine);
            assertThatThrownBy(() -> vault.snapshot(b)).isInstanceOf(ForgedException.class);
            assertThat(vault.snapshot(a).id()).isEqualTo(a);
        }
    }

    @Test
    void noticesAHeadThatWasRolledBackAlsoAfterAnotherStart() throws IOException {
        Path vaultDirectory = directory.resolve("vault");
        HeadWitness witness = new FileHeadWitness(directory.resolve("witness"));
        TestVaults.create(vaultDirectory).close();
        SessionId session = SessionId.random();
        Path file = vaultDirectory.resolve(Vault.headFile(session));
        byte[] old;
        try (Vault vault = TestVaults.open(vaultDirectory, witness);
                Lease lease = vault.acquire(session, HERE, "here", false)) {
            vault.putHead(first(session, "work"), lease);
            old = Files.readAllBytes(file);
            vault.putHead(vault.head(session).orElseThrow().next(Optional.empty(), new byte[0]), lease);
        }
        byte[] now = Files.readAllBytes(file);
        Files.write(file, old);
        HeadWitness later = new FileHeadWitness(directory.resolve("witness"));
        try (Vault vault = TestVaults.open(vaultDirectory, later)) {
            assertThatThrownBy(() -> vault.head(session))
                    .isInstanceOf(ForgedException.class)
                    .hasMessageContaining("rolled back");
            assertThatThrownBy(() -> vault.head("work")).isInstanceOf(ForgedException.class);
            Files.write(file, now);
            assertThat(vault.head(session).orElseThrow().generation()).isEqualTo(2);
        }
        // A host that has never seen it can't know.
        Files.write(file, old);
        try (Vault vault = TestVaults.open(vaultDirectory)) {
            assertThat(vault.head(session).orElseThrow().generation()).isEqualTo(1);
        }
    }

    @Test
    void derivesDifferentKeysForDifferentUses() throws IOException {
        try (Vault vault = TestVaults.create(directory);
                SecretBytes a = vault.deriveKey("volume log", new byte[] {1});
                SecretBytes b = vault.deriveKey("volume log", new byte[] {2});
                SecretBytes c = vault.deriveKey("volume lo", new byte[] {'g', 1});
                SecretBytes same = vault.deriveKey("volume log", new byte[] {1})) {
            assertThat(a.segment().mismatch(same.segment())).isEqualTo(-1);
            assertThat(a.segment().mismatch(b.segment())).isNotEqualTo(-1);
            assertThat(a.segment().mismatch(c.segment())).isNotEqualTo(-1);
        }
    }

    @Test
    void showsNothingInPlain() throws IOException {
        String canary = "CanaryInTheMine-4711";
        SessionId session = SessionId.random();
        try (Vault vault = TestVaults.create(directory);
                KeyDomain keys = KeyDomain.random();
                Lease lease = vault.acquire(session, HERE, "host-" + canary, false)) {
            byte[] noisy = TestVaults.noise(1, 10_000);
            System.arraycopy(canary.getBytes(UTF_8), 0, noisy, 5000, canary.length());
            ChunkMapRef map = TestVaults.map(vault, List.of((canary + " in a chunk").getBytes(UTF_8), noisy));
            TreeMap<String, ChunkMapRef> trees = new TreeMap<>(Map.of("tree-" + canary, map));
            SnapshotDraft draft = TestVaults.draft(session, Optional.empty(), map);
            SnapshotId snapshot = vault.put(new SnapshotDraft(
                    session, Optional.empty(), draft.created(), canary, trees, canary.getBytes(UTF_8), 1, 1));
            vault.putHead(Head.first(session, "name-" + canary, Optional.of(snapshot), canary.getBytes(UTF_8)), lease);
            vault.putImage(new ImageManifest(
                    ImageId.random(),
                    "image-" + canary,
                    draft.created(),
                    keys,
                    ChunkMapRef.EMPTY,
                    1,
                    1,
                    canary.getBytes(UTF_8)));
            Map<Path, byte[]> all = contents();
            assertThat(all).hasSizeGreaterThan(8);
            for (Map.Entry<Path, byte[]> file : all.entrySet()) {
                assertThat(file.getKey().toString()).doesNotContain(canary);
                assertThat(new String(file.getValue(), java.nio.charset.StandardCharsets.ISO_8859_1))
                        .as("%s", file.getKey())
                        .doesNotContain("CanaryIn")
                        .doesNotContain("correct horse");
            }
        }
    }

    /** Uses everything in a vault and puts it into words; a vault with a flipped byte says the same or throws. */
    private String everything() throws IOException {
        try (Vault vault = TestVaults.open(directory)) {
            return everything(vault);
        }
    }

    private static String everything(Vault vault) throws IOException {
        StringBuilder words = new StringBuilder();
        words.append(vault.id());
        for (Head head : vault.heads()) {
            words.append(head.name()).append(head.generation()).append(new String(head.settings(), UTF_8));
            words.append(vault.head(head.name()).isPresent());
            words.append(vault.holder(head.id()).isPresent());
            for (Snapshot snapshot : vault.history(head.id())) {
                words.append(snapshot.id()).append(snapshot.kind()).append(snapshot.trees());
                for (ChunkMapRef tree : snapshot.trees().values()) {
                    ChunkMap.load(vault.chunks(), tree)
                            .forEach(
                                    0,
                                    ChunkMap.SLOTS_MAX,
                                    (slot, ref) ->
                                            words.append(slot).append(Arrays.hashCode(TestVaults.read(vault, ref))));
                }
            }
        }
        for (ImageManifest image : vault.images()) {
            words.append(image.name())
                    .append(image.diskBytes())
                    .append(vault.image(image.name()).isPresent());
            ChunkMap.load(vault.chunks(), image.volume())
                    .forEach(0, 10, (slot, ref) -> words.append(Arrays.hashCode(TestVaults.read(vault, ref))));
        }
        return words.toString();
    }

    private void fillSmall() throws IOException {
        SessionId session = SessionId.random();
        try (Vault vault = TestVaults.create(directory);
                KeyDomain keys = KeyDomain.random();
                Lease lease = vault.acquire(session, HERE, "here", false)) {
            for (int i = 0; i < 17; i++) {
                try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
                    TestVaults.put(writer, TestVaults.text(100 + i, 20));
                    writer.commit();
                }
            }
            ChunkMapRef map = TestVaults.map(vault, List.of(TestVaults.text(1, 90), TestVaults.noise(2, 40)));
            SnapshotId snapshot = vault.put(TestVaults.draft(session, Optional.empty(), map));
            vault.putHead(Head.first(session, "work", Optional.of(snapshot), new byte[] {'x'}), lease);
            ChunkMapRef volume;
            try (ChunkWriter writer = vault.chunks().writer(keys)) {
                ChunkMap.Editor editor =
                        ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
                editor.set(3, TestVaults.put(writer, TestVaults.text(5, 50)));
                volume = editor.store(writer);
                writer.commit();
            }
            vault.putImage(new ImageManifest(
                    ImageId.random(), "desktop", java.time.Instant.EPOCH, keys, volume, 77, 50, new byte[0]));
        }
    }

    @Test
    void everyFlippedByteIsNoticedOrChangesNothing() throws IOException {
        fillSmall();
        String whole = everything();
        VaultKey key = Vault.unlock(new DirectoryBackend(directory), TestVaults.PASSPHRASE);
        int refused = 0;
        int harmless = 0;
        int files = 0;
        List<String> unnoticed = new ArrayList<>();
        for (Map.Entry<Path, byte[]> file : contents().entrySet()) {
            byte[] bytes = file.getValue();
            String name = directory.relativize(file.getKey()).toString();
            // Of the many like packs another part of each is enough.
            int step = name.contains("/packs/") || name.contains("/index/") ? 7 : 1;
            boolean isKey = name.equals(Vault.CONFIG) || name.startsWith("keys/");
            files++;
            for (int i = files % step; i < bytes.length; i += step) {
                byte[] flipped = bytes.clone();
                flipped[i] ^= (byte) (1 << i % 8);
                Files.write(file.getKey(), flipped);
                String words;
                try {
                    if (isKey) {
                        words = everything();
                    } else {
                        try (Vault vault = Vault.open(new DirectoryBackend(directory), key, HeadWitness.NONE)) {
                            words = everything(vault);
                        }
                    }
                } catch (DamagedException | ForgedException | WrongPassphraseException | NoSuchException e) {
                    assertThat(e.getMessage()).contains(": ");
                    refused++;
                    continue;
                }
                harmless++;
                assertThat(words).as("%s byte %d", name, i).isEqualTo(whole);
                if (i % 11 == 0) {
                    try (Vault vault = TestVaults.open(directory)) {
                        if (vault.verify(ProgressListener.NONE).errors().isEmpty()) {
                            unnoticed.add(name + " byte " + i);
                        }
                    }
                }
            }
            Files.write(file.getKey(), bytes);
        }
        key.close();
        assertThat(refused).isGreaterThan(1000);
        assertThat(harmless).isGreaterThan(100);
        assertThat(unnoticed).as("bytes that verify did not miss").isEmpty();
    }

    @Test
    void everyMissingOrCutFileIsNoticedOrChangesNothing() throws IOException {
        fillSmall();
        String whole = everything();
        for (Map.Entry<Path, byte[]> file : contents().entrySet()) {
            byte[] bytes = file.getValue();
            for (int length : new int[] {-1, 0, 1, bytes.length / 2, bytes.length - 1}) {
                if (length < 0) {
                    Files.delete(file.getKey());
                } else {
                    Files.write(file.getKey(), Arrays.copyOf(bytes, Math.min(length, bytes.length)));
                }
                String name = directory.relativize(file.getKey()).toString();
                // A head, an image or a lease that is gone is gone: nobody can tell without having seen it.
                boolean forgettable =
                        length < 0 && (name.endsWith("/head") || name.endsWith("/lease") || name.startsWith("images/"));
                assertThatCode(() -> {
                            try {
                                String words = everything();
                                if (!forgettable) {
                                    assertThat(words)
                                            .as("%s cut to %d", name, length)
                                            .isEqualTo(whole);
                                }
                            } catch (VaultException expected) {
                                assertThat(expected.getMessage()).contains(": ");
                            }
                        })
                        .doesNotThrowAnyException();
            }
            Files.write(file.getKey(), bytes);
        }
        assertThat(everything()).isEqualTo(whole);
    }

    @Test
    void verifyCountsEverythingAndFindsDamage() throws IOException {
        fillSmall();
        try (Vault vault = TestVaults.open(directory)) {
            long[] progress = new long[2];
            VerifyReport report = vault.verify((done, total) -> {
                progress[0] = done;
                progress[1] = total;
            });
            assertThat(report.errors()).isEmpty();
            assertThat(report.chunksChecked()).isEqualTo(17 + 3 + 2);
            assertThat(progress[0]).isPositive().isLessThanOrEqualTo(progress[1]);
        }
        Path pack;
        try (var packs = Files.walk(directory.resolve("domains"))) {
            pack = packs.filter(file -> file.toString().contains("/packs/") && Files.isRegularFile(file))
                    .findFirst()
                    .orElseThrow();
        }
        byte[] bytes = Files.readAllBytes(pack);
        bytes[Pack.HEADER_BYTES + 3] ^= 1;
        Files.write(pack, bytes);
        try (Vault vault = TestVaults.open(directory)) {
            assertThat(vault.verify(ProgressListener.NONE).errors())
                    .singleElement()
                    .asString()
                    .contains(pack.getFileName().toString());
        }
        Files.delete(pack);
        try (Vault vault = TestVaults.open(directory)) {
            List<String> errors = vault.verify(ProgressListener.NONE).errors();
            Files.write(pack, bytes);
            // Either somebody refers to it, or its chunks were nobody's.
            assertThat(errors).allMatch(line -> line.contains("missing"));
        }
    }

    /** Packs are read by several threads: what is said must not depend on which, and what one can't do must not be lost. */
    @Test
    void verifyReadsPacksSideBySide() throws IOException {
        int packs = 12;
        try (Vault vault = TestVaults.create(directory)) {
            for (int i = 0; i < packs; i++) {
                TestVaults.map(vault, List.of(TestVaults.text(i, 70_000), TestVaults.noise(i, 9_000)));
            }
        }
        List<String> damaged = new ArrayList<>();
        try (Vault vault = TestVaults.open(directory)) {
            List<String> names = vault.backend().list("domains").stream()
                    .filter(name -> name.contains("/packs/"))
                    .toList();
            assertThat(names).hasSize(packs);
            for (int i = 1; i < packs; i += 4) {
                Path pack = directory.resolve(names.get(i));
                byte[] bytes = Files.readAllBytes(pack);
                bytes[Pack.HEADER_BYTES + i] ^= 1;
                Files.write(pack, bytes);
                damaged.add(names.get(i));
            }
        }
        for (int round = 0; round < 3; round++) {
            try (Vault vault = TestVaults.open(directory)) {
                long[] progress = new long[2];
                VerifyReport report = vault.verify((done, total) -> {
                    assertThat(done).isGreaterThanOrEqualTo(progress[0]);
                    progress[0] = done;
                    progress[1] = total;
                });
                assertThat(report.chunksChecked()).isEqualTo(packs * 3L);
                assertThat(report.errors()).hasSameSizeAs(damaged);
                for (int i = 0; i < damaged.size(); i++) {
                    assertThat(report.errors().get(i)).contains(damaged.get(i));
                }
                assertThat(progress[0]).isBetween(progress[1] * 9 / 10, progress[1]);
            }
        }
        Backend failing = new ForwardingBackend(new DirectoryBackend(directory)) {
            @Override
            public int getRange(String name, long offset, MemorySegment target) throws IOException {
                if (name.equals(damaged.getLast()) && offset == Pack.HEADER_BYTES) {
                    throw new IOException("the device went away");
                }
                return super.getRange(name, offset, target);
            }
        };
        try (VaultKey key = Vault.unlock(failing, TestVaults.PASSPHRASE);
                Vault vault = Vault.open(failing, key, HeadWitness.NONE)) {
            assertThatThrownBy(() -> vault.verify(ProgressListener.NONE)).hasMessage("the device went away");
        }
    }
}
