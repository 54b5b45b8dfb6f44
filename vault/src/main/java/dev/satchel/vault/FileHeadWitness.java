package dev.satchel.vault;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * A {@link HeadWitness} that keeps one small file a session in a directory of the host's state: the generation and a hash,
 * nothing of the session's contents.
 */
public final class FileHeadWitness implements HeadWitness {
    private static final int RECORD_BYTES = 8 + 32;
    private final DirectoryBackend files;
    private final ReplicaId replica;

    /** Keeps its files in {@code directory}, which is made when there is something to remember. */
    public FileHeadWitness(Path directory) {
        this(new DirectoryBackend(requireNonNull(directory, "directory")));
    }

    FileHeadWitness(DirectoryBackend files) {
        this(files, ReplicaId.ORIGINAL);
    }

    private FileHeadWitness(DirectoryBackend files, ReplicaId replica) {
        this.files = files;
        this.replica = replica;
    }

    @Override
    public HeadWitness at(ReplicaId other) {
        return other.equals(replica) ? this : new FileHeadWitness(files, other);
    }

    @Override
    public void observe(VaultId vault, SessionId session, long generation, byte[] hash) throws IOException {
        if (hash.length != 32) {
            throw new IllegalArgumentException("a hash has 32 bytes, not " + hash.length);
        }
        String name = name(vault, session);
        byte[] next = record(generation, hash);
        while (true) {
            Optional<byte[]> seen = files.get(name, RECORD_BYTES);
            // A record of another length is one torn by the host's own crash and says nothing.
            if (seen.isPresent() && seen.get().length == RECORD_BYTES) {
                long newest = Bytes.getLong(seen.get(), 0);
                if (Arrays.equals(seen.get(), next)) {
                    return;
                }
                if (newest >= generation) {
                    throw new ForgedException("the vault shows generation " + generation + " of session " + session
                            + (newest == generation ? ", not the one" : ", older than generation " + newest)
                            + " that this host has seen: find the vault that is newer, this one has been rolled back");
                }
            }
            if (files.replace(name, seen, next)) {
                return;
            }
        }
    }

    @Override
    public long newest(VaultId vault, SessionId session) throws IOException {
        Optional<byte[]> seen = files.get(name(vault, session), RECORD_BYTES);
        return seen.isPresent() && seen.get().length == RECORD_BYTES ? Bytes.getLong(seen.get(), 0) : 0;
    }

    @Override
    public boolean knows(VaultId vault, SessionId session, long generation, byte[] hash) throws IOException {
        Optional<byte[]> seen = files.get(name(vault, session), RECORD_BYTES);
        return seen.isPresent() && Arrays.equals(seen.get(), record(generation, hash));
    }

    private static byte[] record(long generation, byte[] hash) {
        byte[] record = new byte[RECORD_BYTES];
        Bytes.putLong(record, 0, generation);
        System.arraycopy(hash, 0, record, 8, 32);
        return record;
    }

    @Override
    public void forget(VaultId vault, SessionId session) throws IOException {
        files.delete(name(vault, session));
    }

    @Override
    public boolean isBehind(VaultId vault, SessionId session, long generation) throws IOException {
        return !ahead(vault, session, generation).isEmpty();
    }

    @Override
    public void acceptBehind(VaultId vault, SessionId session, long generation) throws IOException {
        for (String name : ahead(vault, session, generation)) {
            files.delete(name);
        }
    }

    /** Records of other copies in which a session's head is of a higher generation. */
    private List<String> ahead(VaultId vault, SessionId session, long generation) throws IOException {
        List<String> ahead = new ArrayList<>();
        String own = name(vault, session);
        for (String name : files.list("heads/" + vault)) {
            if (name.endsWith("/" + session) && !name.equals(own)) {
                Optional<byte[]> seen = files.get(name, RECORD_BYTES);
                if (seen.isPresent()
                        && seen.get().length == RECORD_BYTES
                        && Bytes.getLong(seen.get(), 0) > generation) {
                    ahead.add(name);
                }
            }
        }
        return ahead;
    }

    private String name(VaultId vault, SessionId session) {
        return replica.equals(ReplicaId.ORIGINAL)
                ? "heads/" + vault + "/" + session
                : "heads/" + vault + "/" + replica + "/" + session;
    }
}
