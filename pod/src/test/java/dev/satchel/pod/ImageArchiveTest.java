package dev.satchel.pod;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.vault.ChunkId;
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
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class ImageArchiveTest {
    private static final int CHUNKS = 90;

    @TempDir
    private Path directory = Path.of("");

    /** A place of chunks that notes what it is told ahead. */
    private static final class Listening implements ChunkSource {
        private final ChunkSource place;
        private final Set<ChunkId> announced = new HashSet<>();
        private int announcements;
        private int surprises;
        private int fetched;

        Listening(ChunkSource place) {
            this.place = place;
        }

        @Override
        public String location() {
            return place.location();
        }

        @Override
        public synchronized Optional<SealedChunk> fetch(KeyDomainId domain, ChunkId id, MemorySegment buffer)
                throws IOException {
            fetched++;
            surprises += announced.contains(id) ? 0 : 1;
            return place.fetch(domain, id, buffer);
        }

        @Override
        public synchronized void willNeed(List<ChunkRef> chunks) {
            announcements++;
            chunks.forEach(chunk -> announced.add(chunk.id()));
        }

        @Override
        public void close() throws IOException {
            place.close();
        }
    }

    private Vault open(Path place) throws IOException {
        DirectoryBackend backend = new DirectoryBackend(place);
        try (VaultKey key = Vault.unlock(backend, "secret".getBytes(StandardCharsets.UTF_8))) {
            return Vault.open(backend, key, HeadWitness.NONE);
        }
    }

    @Test
    void readersSayAheadWhatTheyWillReadOfAPlaceThatMayBeFarAway() throws IOException {
        Path place = directory.resolve("vault");
        try (DirectoryBackend backend = new DirectoryBackend(place)) {
            Vault.init(backend, "secret".getBytes(StandardCharsets.UTF_8), KdfParameters.FOR_TESTS);
        }
        Path images = Files.createDirectory(directory.resolve("images"));
        List<Path> files = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            byte[] content = new byte[CHUNKS / 3 * ChunkRef.LENGTH_MAX - 1000];
            new Random(i).nextBytes(content);
            files.add(Files.write(images.resolve("file-" + i), content));
        }
        ChunkMapRef archive;
        try (Vault vault = open(place);
                ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            archive = ImageArchive.store(files, List.of(), vault.chunks(), writer);
            writer.commit();
        }
        assertThat(archive.slots()).isEqualTo(CHUNKS);
        try (Vault vault = open(place)) {
            Listening listening = new Listening(vault.chunks().sourceIn(new DirectoryBackend(place)));
            vault.chunks().readThrough(Optional.empty(), List.of(listening), false, note -> {});
            // Who wants only the beginning has nothing else fetched.
            assertThat(ImageArchive.format(vault.chunks(), archive)).isEqualTo(ImageArchive.FORMAT);
            assertThat(listening.announcements).isZero();

            Path out = Files.createDirectory(directory.resolve("out"));
            assertThat(ImageArchive.extract(vault.chunks(), archive, out)).isEmpty();
            for (Path file : files) {
                assertThat(out.resolve(file.getFileName())).hasSameBinaryContentAs(file);
            }
            // On a busy machine the vault may be faster now and then.
            assertThat(listening.fetched).isBetween(CHUNKS / 2, CHUNKS + 3);
            // Twice the map and the beginning.
            assertThat(listening.surprises).isLessThanOrEqualTo(4);
            assertThat(listening.announcements).isBetween(2, CHUNKS / 10);
        }
    }
}
