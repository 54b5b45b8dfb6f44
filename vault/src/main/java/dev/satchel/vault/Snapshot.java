package dev.satchel.vault;

import static java.util.Objects.requireNonNull;

import java.time.Instant;
import java.util.Collections;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * One instant of a session; immutable, signed. Treat the metadata array as read-only.
 *
 * @param id its name: a hash of all the rest
 * @param session whose instant it is
 * @param parent the snapshot that the session ran from
 * @param created when, to the millisecond, by the host's clock
 * @param kind what sort of instant, a word of the upper parts; up to 64 bytes of UTF-8
 * @param trees chunk maps by name, e.g. {@code volume}, {@code checkpoint/pages-1}; at most {@link SnapshotDraft#TREES_MAX}
 * @param metadata belongs to the upper parts; at most {@link SnapshotDraft#METADATA_MAX} bytes
 * @param bytesNew bytes stored because of this snapshot
 * @param bytesLogical bytes of plaintext it stands for
 */
@SuppressWarnings("ArrayRecordComponent") // up to a megabyte of JSON: handed through, never compared
public record Snapshot(
        SnapshotId id,
        SessionId session,
        Optional<SnapshotId> parent,
        Instant created,
        String kind,
        SortedMap<String, ChunkMapRef> trees,
        byte[] metadata,
        long bytesNew,
        long bytesLogical) {
    public Snapshot {
        requireNonNull(id, "id");
        requireNonNull(session, "session");
        requireNonNull(parent, "parent");
        requireNonNull(created, "created");
        requireNonNull(kind, "kind");
        trees = Collections.unmodifiableSortedMap(new TreeMap<>(trees));
        requireNonNull(metadata, "metadata");
    }
}
