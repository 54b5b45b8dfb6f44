package dev.satchel.volume;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.HeadWitness;
import dev.satchel.vault.KdfParameters;
import dev.satchel.vault.SessionId;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultKey;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** A real vault in a directory of its own. */
record TestVault(Path root, Vault vault) implements AutoCloseable {
    private static final byte[] PASSPHRASE = "correct horse".getBytes(UTF_8);

    static TestVault make(Path root) throws IOException {
        try (DirectoryBackend backend = new DirectoryBackend(root)) {
            Vault.init(backend, PASSPHRASE.clone(), KdfParameters.FOR_TESTS);
        }
        return open(root);
    }

    static TestVault open(Path root) throws IOException {
        try (DirectoryBackend locked = new DirectoryBackend(root);
                VaultKey key = Vault.unlock(locked, PASSPHRASE.clone())) {
            return new TestVault(root, Vault.open(new DirectoryBackend(root), key, HeadWitness.NONE));
        }
    }

    /** The files of a session's log, the oldest first. */
    List<Path> segments(SessionId session) throws IOException {
        Path directory = root.resolve("log").resolve(session.toString());
        if (!Files.isDirectory(directory)) {
            return List.of();
        }
        try (var files = Files.list(directory)) {
            return files.sorted().toList();
        }
    }

    /** Stores a snapshot and makes the volume go on from it. */
    ChunkMapRef commit(Volume volume) throws IOException {
        ChunkMapRef stored = store(volume);
        volume.rebase(stored);
        return stored;
    }

    /** Stores and commits, as far as a session would before it replaces its head. */
    ChunkMapRef store(Volume volume) throws IOException {
        try (Frozen frozen = volume.snapshot();
                ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            ChunkMapRef stored = frozen.store(writer, Runnable::run, 0);
            writer.commit();
            return stored;
        }
    }

    @Override
    public void close() throws IOException {
        vault.close();
    }
}
