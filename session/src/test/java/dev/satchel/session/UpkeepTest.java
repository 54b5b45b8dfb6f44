package dev.satchel.session;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.vault.Backend;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.HeadWitness;
import dev.satchel.vault.KdfParameters;
import dev.satchel.vault.SessionId;
import dev.satchel.vault.SnapshotId;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultKey;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What people call snapshots, of which there is a bound. */
class UpkeepTest {
    private static final byte[] PASSPHRASE = "correct horse".getBytes(UTF_8);

    @TempDir
    Path directory;

    @Test
    void labelsOfAllLengthsFitIntoAHead() throws IOException {
        for (String letter : new String[] {"a", "\u20ac", "\"", "\u00fc"}) {
            Upkeep upkeep = Upkeep.NONE;
            String refusal = "";
            for (int i = 0; refusal.isEmpty(); i++) {
                try {
                    upkeep = upkeep.labelled(new SnapshotId(1, 2, 3, i), letter.repeat(Upkeep.LABEL_LENGTH_MAX));
                } catch (SatchelException e) {
                    refusal = e.getMessage();
                }
            }
            assertThat(refusal).contains("--remove");
            assertThat(upkeep.labels()).hasSizeBetween(150, Upkeep.LABELS_MAX);
            java.util.LinkedHashMap<String, Object> json = new java.util.LinkedHashMap<>();
            upkeep.toJson(json);
            assertThat(Json.write(json)).hasSizeLessThan(Upkeep.LABELS_BYTES_MAX + 100);
            assertThat(Upkeep.fromJson(Json.read(Json.write(json))).labels()).isEqualTo(upkeep.labels());
            Upkeep full = upkeep;
            assertThat(full.labelled(new SnapshotId(1, 2, 3, 0), "").labels())
                    .hasSize(full.labels().size() - 1);
        }
    }

    /** Their snapshots can't be named any more, nor they be taken away. */
    @Test
    void labelsGoWithTheirSnapshots() throws IOException {
        Backend backend = new DirectoryBackend(directory.resolve("vault"));
        Vault.init(backend, PASSPHRASE.clone(), KdfParameters.FOR_TESTS);
        try (VaultKey key = Vault.unlock(backend, PASSPHRASE.clone());
                Vault vault = Vault.open(backend, key, HeadWitness.NONE)) {
            SessionId session = SessionId.random();
            SnapshotId kept = put(vault, session, 1);
            SnapshotId removed = put(vault, session, 2);
            Upkeep upkeep = Upkeep.NONE.labelled(kept, "kept").labelled(removed, "removed");
            assertThat(upkeep.ofWhatStays(vault)).isEqualTo(upkeep);
            vault.delete(removed);
            assertThat(upkeep.ofWhatStays(vault).labels()).isEqualTo(Map.of(kept, "kept"));
        }
    }

    private static SnapshotId put(Vault vault, SessionId session, long bytes) throws IOException {
        return vault.put(Snapshots.draft(
                session, Optional.empty(), Snapshots.STOP, ChunkMapRef.EMPTY, Optional.empty(), 1 << 20, bytes));
    }
}
