package dev.satchel.vault;

import static java.util.Objects.requireNonNull;

import java.time.Instant;
import java.util.Collections;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/** A snapshot before it is stored: {@link Snapshot} without the id that storing gives it. Same meanings, same limits. */
@SuppressWarnings("ArrayRecordComponent") // up to a megabyte of JSON: handed through, never compared
public record SnapshotDraft(
        SessionId session,
        Optional<SnapshotId> parent,
        Instant created,
        String kind,
        SortedMap<String, ChunkMapRef> trees,
        byte[] metadata,
        long bytesNew,
        long bytesLogical) {
    /** Most trees in a snapshot. */
    public static final int TREES_MAX = 4096;

    /** Longest metadata, in bytes. */
    public static final int METADATA_MAX = 1 << 20;

    /** Longest name of a tree and longest kind, in bytes of UTF-8. */
    public static final int NAME_MAX = 255;

    public SnapshotDraft {
        requireNonNull(session, "session");
        requireNonNull(parent, "parent");
        requireNonNull(created, "created");
        requireNonNull(kind, "kind");
        trees = Collections.unmodifiableSortedMap(new TreeMap<>(trees));
        requireNonNull(metadata, "metadata");
        if (trees.size() > TREES_MAX) {
            throw new IllegalArgumentException(trees.size() + " trees in a snapshot, at most " + TREES_MAX);
        }
        if (metadata.length > METADATA_MAX) {
            throw new IllegalArgumentException(metadata.length + " bytes of metadata, at most " + METADATA_MAX);
        }
    }
}
