package dev.satchel.vault;

import dev.satchel.linux.crypto.AesGcm;
import dev.satchel.linux.crypto.SecretBytes;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The packs of a vault that is not necessarily this one's: a replica, or any vault that shares an image. Nothing but packs and indexes
 * is read, which takes the domains' keys and not the vault's. Thread-safe.
 *
 * <p>A chunk is looked for where this vault's own index has it, as a replica has packs of the same names; only if that pack is not
 * there are the place's own indexes read.
 */
final class PackSource implements ChunkSource {
    /** What came to the place since is looked for at most so often. */
    private static final long REFRESH_NANOS = 2_000_000_000L;

    /** What is taken from a place that may be hostile: the longest index file and sealed directory, and how many chunks of a domain. */
    private static final int INDEX_BYTES_MAX = 64 << 20;

    private static final int DIRECTORY_BYTES_MAX = 1 << 20;
    private static final int CHUNKS_MAX = 1 << 20;

    private final Backend backend;
    private final ChunkStore.DomainKeys keys;
    private final boolean foreign;

    /** Guarded by this, like the next two. */
    private final Map<KeyDomainId, Domain> domains = new HashMap<>();

    private int users;
    private boolean closed;

    /** A domain as this place has it, with keys of its own: a place that hangs may be read from when the vault has been closed. */
    private static final class Domain {
        final KeyDomain keys;
        final DomainPacks packs;

        /** Guarded by this. */
        private long refreshedNanos;

        private boolean refreshed;

        Domain(KeyDomain keys, DomainPacks packs) {
            this.keys = keys;
            this.packs = packs;
        }

        /** Whoever comes while another looks waits for what that one finds. */
        synchronized void refresh() throws IOException {
            if (!refreshed || System.nanoTime() - refreshedNanos > REFRESH_NANOS) {
                try (ChunkCodec codec = new ChunkCodec()) {
                    packs.refresh(codec);
                }
                refreshed = true;
                refreshedNanos = System.nanoTime();
            }
        }
    }

    /**
     * @param backend taken over: closed with this, as soon as nobody reads from it
     * @param foreign whether it may be hostile: then not more is taken from it than makes sense
     */
    PackSource(Backend backend, ChunkStore.DomainKeys keys, boolean foreign) {
        this.backend = backend;
        this.keys = keys;
        this.foreign = foreign;
    }

    @Override
    public String location() {
        return backend.location();
    }

    @Override
    public Optional<SealedChunk> fetch(KeyDomainId domain, ChunkId id, MemorySegment buffer) throws IOException {
        enter();
        try {
            Domain there = domain(domain);
            ChunkIndex.Place place = there.packs.index().find(id);
            if (place == null) {
                there.refresh();
                place = there.packs.index().find(id);
            }
            return place == null ? Optional.empty() : sealed(place, id, buffer);
        } finally {
            leave();
        }
    }

    /** The same, where a chunk is expected to be at a certain place: in a replica of the vault that says so. */
    Optional<SealedChunk> fetchAt(ChunkIndex.Place place, ChunkId id, MemorySegment buffer) throws IOException {
        enter();
        try {
            Optional<SealedChunk> found = sealed(place, id, buffer);
            if (found.isPresent()) {
                return found;
            }
        } finally {
            leave();
        }
        return fetch(place.pack().domain(), id, buffer);
    }

    /** Whether it has the chunk, and where: for those that must know how long it is before they read it. */
    ChunkIndex.@Nullable Place find(KeyDomainId domain, ChunkId id) throws IOException {
        enter();
        try {
            Domain there = domain(domain);
            ChunkIndex.Place place = there.packs.index().find(id);
            if (place == null) {
                there.refresh();
                place = there.packs.index().find(id);
            }
            return place;
        } finally {
            leave();
        }
    }

    /** @return empty if the pack is not there */
    private Optional<SealedChunk> sealed(ChunkIndex.Place place, ChunkId id, MemorySegment buffer) throws IOException {
        if (place.storedBytes() <= AesGcm.TAG_BYTES || place.storedBytes() > SealedChunk.SEALED_BYTES_MAX) {
            throw new DamagedException(
                    "chunk " + id + " in " + backend.location() + " can't have " + place.storedBytes() + " bytes");
        }
        MemorySegment sealed = buffer.asSlice(0, place.storedBytes());
        String name = place.pack().name();
        try {
            if (backend.getRange(name, place.offset(), sealed) != place.storedBytes()) {
                throw new DamagedException("the pack " + name + " in " + backend.location() + " has been cut short");
            }
        } catch (NoSuchException e) {
            return Optional.empty();
        }
        return Optional.of(of(place, id, sealed));
    }

    /** What lies at a place of a pack. */
    static SealedChunk of(ChunkIndex.Place place, ChunkId id, MemorySegment sealed) throws DamagedException {
        Pack pack = place.pack();
        try {
            return new SealedChunk(
                    pack.domain(),
                    id,
                    pack.high(),
                    pack.low(),
                    pack.wrapped(),
                    place.offset(),
                    place.codec(),
                    place.length(),
                    sealed);
        } catch (IllegalArgumentException e) {
            throw new DamagedException("the pack " + pack.name() + " has a directory with impossible numbers", e);
        }
    }

    @Override
    public void willNeed(List<ChunkRef> chunks) {
        for (ChunkRef chunk : chunks) {
            Domain there;
            synchronized (this) {
                there = domains.get(chunk.domain());
            }
            ChunkIndex.Place place = there == null ? null : there.packs.index().find(chunk.id());
            if (place != null) {
                willNeed(place);
            }
        }
    }

    void willNeed(ChunkIndex.Place place) {
        backend.willNeed(place.pack().name(), place.offset(), place.storedBytes());
    }

    private Domain domain(KeyDomainId id) throws IOException {
        synchronized (this) {
            Domain known = domains.get(id);
            if (known != null) {
                return known;
            }
        }
        KeyDomain source = keys.keys(id);
        synchronized (this) {
            Domain known = domains.get(id);
            if (known == null) {
                KeyDomain copy =
                        new KeyDomain(SecretBytes.copyOf(source.secret().segment()));
                known = new Domain(
                        copy,
                        foreign
                                ? new DomainPacks(backend, copy, INDEX_BYTES_MAX, DIRECTORY_BYTES_MAX, CHUNKS_MAX)
                                : new DomainPacks(backend, copy));
                domains.put(id, known);
            }
            return known;
        }
    }

    private synchronized void enter() throws IOException {
        if (closed) {
            throw new IOException(backend.location() + " has been closed");
        }
        users++;
    }

    private void leave() throws IOException {
        synchronized (this) {
            users--;
            if (!closed || users > 0) {
                return;
            }
        }
        release();
    }

    private void release() throws IOException {
        for (Domain domain : domains.values()) {
            domain.keys.close();
        }
        backend.close();
    }

    /** Doesn't wait for those who read: the last of them lets go. */
    @Override
    public void close() throws IOException {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            if (users > 0) {
                return;
            }
        }
        release();
    }
}
