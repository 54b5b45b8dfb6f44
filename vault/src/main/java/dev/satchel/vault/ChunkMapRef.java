package dev.satchel.vault;

import static java.util.Objects.requireNonNull;

import java.util.Optional;

/**
 * Names a stored {@link ChunkMap}.
 *
 * @param root the chunk holding the root node; empty for a map without entries
 * @param slots one more than the highest slot in use; 0 for a map without entries
 * @param logicalBytes sum of the plaintext lengths of all chunks in the map's slots
 */
public record ChunkMapRef(Optional<ChunkRef> root, long slots, long logicalBytes) {
    /** The map without entries. */
    public static final ChunkMapRef EMPTY = new ChunkMapRef(Optional.empty(), 0, 0);

    public ChunkMapRef {
        requireNonNull(root, "root");
        if (slots < 0 || slots > ChunkMap.SLOTS_MAX || logicalBytes < 0) {
            throw new IllegalArgumentException("slots " + slots + ", logicalBytes " + logicalBytes);
        }
        if (root.isEmpty() != (slots == 0)) {
            throw new IllegalArgumentException("a map has a root exactly when it has entries");
        }
    }
}
