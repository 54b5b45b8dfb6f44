package dev.satchel.pod;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.DamagedException;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.Head;
import dev.satchel.vault.HeadWitness;
import dev.satchel.vault.ImageManifest;
import dev.satchel.vault.ProgressListener;
import dev.satchel.vault.Snapshot;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultKey;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Vaults that earlier versions wrote can be opened, verified, read, written to and resumed from: see {@link VaultFixture}. */
class FixtureVaultsTest {
    @TempDir
    private Path directory = Path.of("");

    private Path unpack(String fixture) throws IOException {
        Path place = directory.resolve(fixture);
        try (InputStream packed = Objects.requireNonNull(
                        FixtureVaultsTest.class.getResourceAsStream("/vaults/" + fixture + ".zip"), fixture);
                ZipInputStream zip = new ZipInputStream(packed)) {
            for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
                Path file = place.resolve(entry.getName());
                Files.createDirectories(file.getParent());
                Files.write(file, zip.readAllBytes());
            }
        }
        return place;
    }

    private static Vault open(Path place) throws IOException {
        DirectoryBackend backend = new DirectoryBackend(place);
        try (VaultKey key = Vault.unlock(backend, VaultFixture.PASSPHRASE)) {
            return Vault.open(backend, key, HeadWitness.NONE);
        }
    }

    private static byte[] read(Vault vault, ChunkMapRef map, long slot) throws IOException {
        ChunkRef ref = ChunkMap.load(vault.chunks(), map).get(slot).orElseThrow();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment chunk = arena.allocate(ref.length());
            vault.chunks().read(ref, chunk);
            return chunk.toArray(ValueLayout.JAVA_BYTE);
        }
    }

    @ParameterizedTest
    @CsvSource({"vault-1-checkpoint-1, 1", "vault-1-checkpoint-2, 2"})
    void opensVerifiesReadsAndUpgradesWhatEarlierVersionsWrote(String fixture, int format) throws IOException {
        try (Vault vault = open(unpack(fixture))) {
            assertThat(vault.verify(ProgressListener.NONE).errors()).isEmpty();
            Head head = vault.head(VaultFixture.SESSION).orElseThrow();
            assertThat(new String(head.settings(), UTF_8)).isEqualTo(VaultFixture.SETTINGS);
            assertThat(vault.holder(head.id())).isEmpty();
            List<Snapshot> history = vault.history(head.id());
            assertThat(history).hasSize(2);
            Snapshot newest = vault.snapshot(head.snapshot().orElseThrow());
            Snapshot first = vault.snapshot(newest.parent().orElseThrow());
            assertThat(newest.created()).isEqualTo(VaultFixture.CREATED);
            assertThat(read(vault, volume(first), 0)).isEqualTo(VaultFixture.text("the first block"));
            assertThat(read(vault, volume(newest), 0)).isEqualTo(VaultFixture.text("the first block, changed"));
            assertThat(read(vault, volume(newest), 5)).isEqualTo(VaultFixture.noise(5, 3000));
            assertThat(read(vault, volume(newest), 3000)).isEqualTo(VaultFixture.text("far behind"));
            assertThat(read(vault, tree(newest, "thumbnail"), 0)).isEqualTo(VaultFixture.noise(8, 900));
            ImageManifest image = vault.image(VaultFixture.IMAGE).orElseThrow();
            assertThat(read(vault, image.volume(), 7)).isEqualTo(VaultFixture.text("an image"));

            Checkpoint stored = new Checkpoint(
                    tree(newest, "checkpoint/images"), tree(newest, "checkpoint/pages"), 1, 4096L * VaultFixture.PAGES);
            assertThat(CheckpointFormats.of(vault.chunks(), stored)).isEqualTo(format);
            assertThat(CheckpointFormats.needed(format)).hasSize(CheckpointFormats.CURRENT - format);
            Checkpoint upgraded;
            try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
                upgraded = CheckpointFormats.upgrade(vault.chunks(), writer, stored);
                assertThat(writer.commit().bytesNew()).isLessThan(20_000);
            }
            assertThat(CheckpointFormats.of(vault.chunks(), upgraded)).isEqualTo(CheckpointFormats.CURRENT);
            assertCheckpoint(vault, upgraded);
            assertThat(vault.verify(ProgressListener.NONE).errors()).isEmpty();
        }
    }

    private static ChunkMapRef volume(Snapshot snapshot) {
        return tree(snapshot, "volume");
    }

    private static ChunkMapRef tree(Snapshot snapshot, String name) {
        return Objects.requireNonNull(snapshot.trees().get(name), name);
    }

    /** Its memory as CRIU would read it, its other images, and that writers find its windows again. */
    private void assertCheckpoint(Vault vault, Checkpoint checkpoint) throws IOException {
        Path images = Files.createDirectory(directory.resolve("images"));
        List<PagesFile> files = ImageArchive.extract(vault.chunks(), checkpoint.images(), images);
        assertThat(Files.readAllBytes(images.resolve("core-7.img"))).isEqualTo(VaultFixture.text("registers"));
        Map<String, byte[]> pagemaps = new HashMap<>();
        assertThat(ImageArchive.pagemaps(vault.chunks(), checkpoint.images(), pagemaps))
                .isEqualTo(files);
        assertThat(pagemaps).containsOnlyKeys("pagemap-7.img");
        ChunkMap map = ChunkMap.load(vault.chunks(), checkpoint.pages());
        PageWindows.Layout layout = PageWindows.Layout.of(
                "pagemap-7.img", Objects.requireNonNull(pagemaps.get("pagemap-7.img")), PageWindows.WINDOWS_MAX);
        try (Arena arena = Arena.ofConfined();
                WindowScratch scratch = new WindowScratch();
                CheckpointPages pages = new CheckpointPages(
                        vault.chunks(), map, files.getFirst(), layout, scratch, CheckpointPages.Listener.NONE)) {
            MemorySegment memory = arena.allocate(pages.sizeBytes());
            pages.read(0, memory);
            assertThat(memory.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(VaultFixture.memory());
        }
        PageWindows windows = PageWindows.of(vault.chunks(), checkpoint);
        // The process's memory begins at 0x9000, in the first window.
        assertThat(windows.find("pagemap-7.img", 0)).isNotNull();
        assertThat(windows.find("pagemap-7.img", 3)).isNotNull();
        assertThat(windows.find("pagemap-7.img", 4)).isNull();
    }

    @Test
    void saysThatAVaultIsOfANewerVersion() throws IOException {
        Path place = unpack("vault-1-checkpoint-2");
        byte[] config = Files.readAllBytes(place.resolve("vault"));
        config[11] = 2;
        Files.write(place.resolve("vault"), java.util.Arrays.copyOf(config, config.length + 16));
        assertThatThrownBy(() -> open(place))
                .isInstanceOf(DamagedException.class)
                .hasMessageContaining("format 2")
                .hasMessageContaining("newer version");
        // And nobody mends it into an old one.
        try (DirectoryBackend home = new DirectoryBackend(place);
                DirectoryBackend copy = new DirectoryBackend(unpack("vault-1-checkpoint-1"))) {
            assertThatThrownBy(() -> Vault.repairEntrance(home, List.of(copy), false))
                    .hasMessageContaining("newer version");
        }
    }
}
