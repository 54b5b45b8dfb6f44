package dev.satchel.vault;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;

/** A {@link HeadWitness} that keeps one small file a session in a directory of the host's state. */
public final class FileHeadWitness implements HeadWitness {
    private final Path directory;

    /** Keeps its files in {@code directory}, which is made when there is something to remember. */
    public FileHeadWitness(Path directory) {
        this.directory = requireNonNull(directory, "directory");
    }

    @Override
    public void observe(VaultId vault, SessionId session, long generation, byte[] hash) throws IOException {
        throw new UnsupportedOperationException(directory.toString());
    }

    @Override
    public void forget(VaultId vault, SessionId session) throws IOException {
        throw new UnsupportedOperationException(directory.toString());
    }
}
