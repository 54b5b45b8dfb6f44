package dev.satchel.vault;

import static java.util.Objects.requireNonNull;

/**
 * Says which chunk, whose keys open it and how long its plaintext is.
 *
 * @param domain the key domain that the chunk is sealed under
 * @param id its id in that domain
 * @param length length of the plaintext in bytes, 1 to {@link #LENGTH_MAX}
 */
public record ChunkRef(KeyDomainId domain, ChunkId id, int length) {
    /** The longest chunk: 256 KiB. */
    public static final int LENGTH_MAX = 256 * 1024;

    public ChunkRef {
        requireNonNull(domain, "domain");
        requireNonNull(id, "id");
        if (length < 1 || length > LENGTH_MAX) {
            throw new IllegalArgumentException("a chunk has 1 to " + LENGTH_MAX + " bytes, not " + length);
        }
    }
}
