package dev.satchel.session;

import dev.satchel.pod.Checkpoint;
import dev.satchel.pod.CheckpointFormats;
import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkStore;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.Head;
import dev.satchel.vault.SessionId;
import dev.satchel.vault.Snapshot;
import dev.satchel.vault.SnapshotDraft;
import dev.satchel.vault.SnapshotId;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/** What a session's snapshots hold, and under which names the vault keeps it. */
final class Snapshots {
    /** Made with the session, from its image. */
    static final String CREATE = "create";

    /** Files and processes; the session ended there. */
    static final String SUSPEND = "suspend";

    /** Files and processes; the session went on. */
    static final String SNAPSHOT = "snapshot";

    /** The same, in the background and unasked. */
    static final String AUTO = "auto";

    /** Files, after a clean shutdown. */
    static final String STOP = "stop";

    /** Files, as a supervisor that died had them last on stable storage. */
    static final String CRASH = "crash";

    private static final String VOLUME = "volume";
    private static final String IMAGES = "checkpoint/images";
    private static final String PAGES = "checkpoint/pages";
    private static final String THUMBNAIL = "thumbnail";
    private static final String WINDOWS = "windows";
    private static final String HEAD = "head";
    private static final String FORMAT = "checkpoint_format";

    private Snapshots() {}

    static SnapshotDraft draft(
            SessionId session,
            Optional<SnapshotId> parent,
            String kind,
            ChunkMapRef volume,
            Optional<Checkpoint> checkpoint,
            long diskBytes,
            long bytesNew)
            throws IOException {
        return draft(session, parent, kind, volume, checkpoint, diskBytes, bytesNew, ChunkMapRef.EMPTY, List.of());
    }

    /**
     * The same with what the screen showed.
     *
     * @param thumbnail of {@link #put}, or the empty one
     * @param windows their titles
     */
    static SnapshotDraft draft(
            SessionId session,
            Optional<SnapshotId> parent,
            String kind,
            ChunkMapRef volume,
            Optional<Checkpoint> checkpoint,
            long diskBytes,
            long bytesNew,
            ChunkMapRef thumbnail,
            List<String> windows)
            throws IOException {
        SortedMap<String, ChunkMapRef> trees = new TreeMap<>();
        trees.put(VOLUME, volume);
        checkpoint.ifPresent(state -> {
            trees.put(IMAGES, state.images());
            trees.put(PAGES, state.pages());
        });
        if (thumbnail.root().isPresent()) {
            trees.put(THUMBNAIL, thumbnail);
        }
        long logical = 0;
        for (ChunkMapRef tree : trees.values()) {
            logical += tree.logicalBytes();
        }
        byte[] metadata = Json.write(Map.of(
                "disk_bytes",
                diskBytes,
                "processes",
                checkpoint.map(Checkpoint::processes).orElse(0),
                "bytes_memory",
                checkpoint.map(Checkpoint::bytesMemory).orElse(0L),
                WINDOWS,
                windows));
        return new SnapshotDraft(
                session,
                parent,
                Instant.now().truncatedTo(ChronoUnit.MILLIS),
                kind,
                trees,
                metadata,
                bytesNew,
                logical);
    }

    /**
     * The same draft, which says besides what the session's head says: should that be lost, its newest snapshot is what it is made again
     * from ({@link #described}).
     */
    static SnapshotDraft describing(SnapshotDraft draft, String name, byte[] settings) throws IOException {
        Map<String, Object> metadata =
                new LinkedHashMap<>(Json.read(draft.metadata()).fields());
        metadata.put(FORMAT, CheckpointFormats.CURRENT);
        metadata.put(HEAD, Map.of("name", name, "settings", Json.read(settings).fields()));
        byte[] json = Json.write(metadata);
        return new SnapshotDraft(
                draft.session(),
                draft.parent(),
                draft.created(),
                draft.kind(),
                draft.trees(),
                // Better without than not at all.
                json.length > SnapshotDraft.METADATA_MAX ? draft.metadata() : json,
                draft.bytesNew(),
                draft.bytesLogical());
    }

    /** Whether it says that its checkpoint is of the format that is read here; those of earlier versions don't say. */
    static boolean isOfPresentFormat(Snapshot snapshot) throws IOException {
        return Json.read(snapshot.metadata()).number(FORMAT, 0) == CheckpointFormats.CURRENT;
    }

    /** The same snapshot with a checkpoint that has been brought to the present format. */
    static SnapshotDraft upgraded(Snapshot snapshot, SessionId session, Checkpoint checkpoint, long bytesNew)
            throws IOException {
        SortedMap<String, ChunkMapRef> trees = new TreeMap<>(snapshot.trees());
        trees.put(IMAGES, checkpoint.images());
        trees.put(PAGES, checkpoint.pages());
        Map<String, Object> metadata =
                new LinkedHashMap<>(Json.read(snapshot.metadata()).fields());
        metadata.put(FORMAT, CheckpointFormats.CURRENT);
        return new SnapshotDraft(
                session,
                Optional.of(snapshot.id()),
                Instant.now().truncatedTo(ChronoUnit.MILLIS),
                snapshot.kind(),
                trees,
                Json.write(metadata),
                bytesNew,
                snapshot.bytesLogical());
    }

    /** What it says of its session's head; empty if it was made by an earlier version. */
    static Optional<Head> described(Snapshot snapshot) throws IOException {
        JsonObject metadata = Json.read(snapshot.metadata());
        if (!metadata.has(HEAD)) {
            return Optional.empty();
        }
        JsonObject head = metadata.object(HEAD);
        return Optional.of(Head.first(
                snapshot.session(),
                head.text("name"),
                Optional.empty(),
                Json.write(head.object("settings").fields())));
    }

    static boolean isVolume(String tree) {
        return tree.equals(VOLUME);
    }

    static boolean isOfProcesses(String tree) {
        return tree.equals(IMAGES) || tree.equals(PAGES);
    }

    static ChunkMapRef volume(Snapshot snapshot) throws IOException {
        ChunkMapRef volume = snapshot.trees().get(VOLUME);
        if (volume == null) {
            throw new IOException(
                    "snapshot " + shortId(snapshot.id()) + " has no files: it was made by another program");
        }
        return volume;
    }

    static long diskBytes(Snapshot snapshot) throws IOException {
        return Json.read(snapshot.metadata()).number("disk_bytes");
    }

    static int processes(Snapshot snapshot) throws IOException {
        return (int) Json.read(snapshot.metadata()).number("processes", 0);
    }

    /** Its processes; empty when it holds files only. */
    static Optional<Checkpoint> checkpoint(Snapshot snapshot) throws IOException {
        ChunkMapRef images = snapshot.trees().get(IMAGES);
        ChunkMapRef pages = snapshot.trees().get(PAGES);
        if (images == null || pages == null) {
            return Optional.empty();
        }
        return Optional.of(new Checkpoint(
                images,
                pages,
                processes(snapshot),
                Json.read(snapshot.metadata()).number("bytes_memory", 0)));
    }

    /** Stores a picture of a snapshot that is to be. */
    static ChunkMapRef put(Thumbnail thumbnail, ChunkStore chunks, ChunkWriter writer) throws IOException {
        if (thumbnail.jpeg().length > ChunkRef.LENGTH_MAX) {
            return ChunkMapRef.EMPTY;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment jpeg = arena.allocateFrom(ValueLayout.JAVA_BYTE, thumbnail.jpeg());
            ChunkMap.Editor map = ChunkMap.load(chunks, ChunkMapRef.EMPTY).edit();
            map.set(0, writer.put(jpeg));
            return map.store(writer);
        }
    }

    static boolean hasThumbnail(Snapshot snapshot) {
        return snapshot.trees().containsKey(THUMBNAIL);
    }

    /** What its screen showed, JPEG; empty if nobody knows: there was no screen, or it was made by an earlier version. */
    static Optional<byte[]> thumbnail(Snapshot snapshot, ChunkStore chunks) throws IOException {
        ChunkMapRef map = snapshot.trees().get(THUMBNAIL);
        Optional<ChunkRef> chunk =
                map == null ? Optional.empty() : ChunkMap.load(chunks, map).get(0);
        if (chunk.isEmpty()) {
            return Optional.empty();
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment jpeg = arena.allocate(chunk.get().length());
            int length = chunks.read(chunk.get(), jpeg);
            return Optional.of(jpeg.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE));
        }
    }

    /** The titles of the windows that were open. */
    static List<String> windows(Snapshot snapshot) throws IOException {
        JsonObject metadata = Json.read(snapshot.metadata());
        return metadata.has(WINDOWS) ? metadata.texts(WINDOWS) : List.of();
    }

    /** As many digits of its id as people are shown. */
    static String shortId(SnapshotId id) {
        return id.toString().substring(0, 12);
    }
}
