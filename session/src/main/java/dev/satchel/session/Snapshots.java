package dev.satchel.session;

import dev.satchel.pod.Checkpoint;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.SessionId;
import dev.satchel.vault.Snapshot;
import dev.satchel.vault.SnapshotDraft;
import dev.satchel.vault.SnapshotId;
import java.io.IOException;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
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

    /** Files, after a clean shutdown. */
    static final String STOP = "stop";

    /** Files, as a supervisor that died had them last on stable storage. */
    static final String CRASH = "crash";

    private static final String VOLUME = "volume";
    private static final String IMAGES = "checkpoint/images";
    private static final String PAGES = "checkpoint/pages";

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
        SortedMap<String, ChunkMapRef> trees = new TreeMap<>();
        trees.put(VOLUME, volume);
        checkpoint.ifPresent(state -> {
            trees.put(IMAGES, state.images());
            trees.put(PAGES, state.pages());
        });
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
                checkpoint.map(Checkpoint::bytesMemory).orElse(0L)));
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

    /** As many digits of its id as people are shown. */
    static String shortId(SnapshotId id) {
        return id.toString().substring(0, 12);
    }
}
