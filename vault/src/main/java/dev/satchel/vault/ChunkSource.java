package dev.satchel.vault;

import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/**
 * A place that may have chunks, whichever vault's: a cache, a directory with a replica, a server, a vault. It is <b>trusted with
 * nothing</b>: it may lack chunks, be behind, be slow or gone, and may answer with anything at all. What it gives out is
 * ciphertext, which its user authenticates with the domain's keys ({@link ChunkStore#open}) before using any of it; a source
 * itself does not have to.
 *
 * <p>Rules for those that implement it:
 * <ul>
 *   <li>All methods may be called by many threads at once.
 *   <li>Every call ends within a bounded time of a few seconds, with an {@link IOException} if need be, whatever the place does. How
 *       much memory it takes is bounded, whatever the place says about lengths.
 *   <li>Empty means that it lacks the chunk, as far as it knows: the next place is asked, and this one is as good as before. An
 *       {@link IOException} means that it failed (gone, too slow, an answer that can't be one): it is asked less.
 *   <li>Nothing that it keeps is plaintext.
 * </ul>
 */
public interface ChunkSource extends Closeable {
    /** The place, for messages to people: a path or URL, without secrets. */
    String location();

    /**
     * Gets a chunk.
     *
     * @param buffer native memory of at least {@link SealedChunk#SEALED_BYTES_MAX} bytes: the sealed bytes are put at its beginning,
     *     and the answer refers to them there
     * @return empty when this place lacks it
     * @throws IOException when the place failed
     */
    Optional<SealedChunk> fetch(KeyDomainId domain, ChunkId id, MemorySegment buffer) throws IOException;

    /**
     * Gets several, in any order, with as few round trips as the place allows.
     *
     * @param chunks which: those that the place lacks are passed over
     * @param buffer as for {@link #fetch}; used for one after the other
     * @param receiver is given each in the calling thread
     * @throws IOException when the place failed, or the receiver; some may have been received
     */
    default void fetchAll(List<ChunkRef> chunks, MemorySegment buffer, Receiver receiver) throws IOException {
        for (ChunkRef chunk : chunks) {
            Optional<SealedChunk> found = fetch(chunk.domain(), chunk.id(), buffer);
            if (found.isPresent()) {
                receiver.accept(found.get());
            }
        }
    }

    /**
     * Says that these will be wanted soon, in about this order: a hint to fetch them ahead. Returns at once, never fails.
     */
    default void willNeed(List<ChunkRef> chunks) {}

    /** Takes chunks one by one. */
    @FunctionalInterface
    interface Receiver {
        /** @param chunk valid until the method returns: its bytes are in a buffer that is used again */
        void accept(SealedChunk chunk) throws IOException;
    }
}
