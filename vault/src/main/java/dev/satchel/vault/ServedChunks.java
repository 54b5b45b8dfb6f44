package dev.satchel.vault;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A vault's chunks as they are given to others: sealed, by domain and id. Neither plaintext nor a key gets out. Thread-safe. The answers are those
 * of docs/PROTOCOL.md, "Chunks".
 */
public final class ServedChunks implements Closeable {
    /** Of a chunk in a request for several: its domain and its id. */
    public static final int NAME_BYTES = 16 + ChunkId.BYTES;

    /** How many can be asked for at once. */
    public static final int NAMES_MAX = 1024;

    private final PackSource packs;

    ServedChunks(PackSource packs) {
        this.packs = packs;
    }

    /**
     * Sealed chunks with their headers, one behind the other.
     *
     * @param bytes how many
     * @param body of one thread at a time, with room for one chunk; ends early, with an {@link IOException}, when the vault is damaged
     */
    public record Answer(long bytes, InputStream body) {}

    /** One chunk; empty if there is none. */
    public Optional<Answer> one(KeyDomainId domain, ChunkId id) throws IOException {
        ChunkIndex.Place place = find(domain, id);
        return place == null ? Optional.empty() : Optional.of(answer(List.of(new Named(id, place))));
    }

    /**
     * Those of several that are there, in the order of their names.
     *
     * @param names {@link #NAME_BYTES} each, {@link #NAMES_MAX} at most
     * @throws IllegalArgumentException if it is no list of names
     */
    public Answer several(byte[] names) throws IOException {
        if (names.length % NAME_BYTES != 0 || names.length > NAME_BYTES * NAMES_MAX) {
            throw new IllegalArgumentException(
                    "names have " + NAME_BYTES + " bytes each, and there are " + NAMES_MAX + " at most");
        }
        MemorySegment all = MemorySegment.ofArray(names);
        List<Named> found = new ArrayList<>();
        for (int at = 0; at < names.length; at += NAME_BYTES) {
            KeyDomainId domain = new KeyDomainId(Bytes.getLong(names, at), Bytes.getLong(names, at + 8));
            ChunkId id = ChunkId.read(all, at + 16L);
            ChunkIndex.Place place = find(domain, id);
            if (place != null) {
                found.add(new Named(id, place));
            }
        }
        return answer(found);
    }

    private ChunkIndex.@Nullable Place find(KeyDomainId domain, ChunkId id) throws IOException {
        try {
            return packs.find(domain, id);
        } catch (VaultException e) {
            // A domain that this vault has no keys for.
            return null;
        }
    }

    private record Named(ChunkId id, ChunkIndex.Place place) {}

    private Answer answer(List<Named> found) {
        long bytes = 0;
        for (Named one : found) {
            bytes += SealedChunk.HEADER_BYTES + one.place().storedBytes();
        }
        return new Answer(bytes, new Records(found));
    }

    /** Reads one chunk after the other while it is read. */
    private final class Records extends InputStream {
        private final List<Named> left;
        private final Arena arena = Arena.ofShared();
        private final MemorySegment record;
        private int next;
        private int at;
        private int end;

        Records(List<Named> left) {
            this.left = left;
            int longest = 0;
            for (Named one : left) {
                longest = Math.max(longest, one.place().storedBytes());
            }
            // What an index says is not to make anybody allocate more.
            longest = Math.min(longest, SealedChunk.SEALED_BYTES_MAX);
            record = arena.allocate(SealedChunk.HEADER_BYTES + longest, 8);
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] into, int offset, int length) throws IOException {
            if (at == end) {
                if (next == left.size()) {
                    return -1;
                }
                load(left.get(next++));
            }
            int count = Math.min(length, end - at);
            MemorySegment.copy(record, ValueLayout.JAVA_BYTE, at, into, offset, count);
            at += count;
            return count;
        }

        private void load(Named one) throws IOException {
            MemorySegment buffer = record.asSlice(SealedChunk.HEADER_BYTES);
            SealedChunk chunk = packs.fetchAt(one.place(), one.id(), buffer)
                    .filter(found -> found.sealed().byteSize() == one.place().storedBytes())
                    .orElseThrow(() -> new NoSuchException("chunk " + one.id() + " is in another pack by now"));
            chunk.writeHeader(record, 0);
            at = 0;
            end = SealedChunk.HEADER_BYTES + one.place().storedBytes();
        }

        @Override
        public void close() {
            if (arena.scope().isAlive()) {
                arena.close();
            }
        }
    }

    @Override
    public void close() throws IOException {
        packs.close();
    }
}
