package dev.satchel.session;

import dev.satchel.vault.SnapshotId;
import dev.satchel.vault.Vault;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * What is done about a session's snapshots without being asked; part of its {@link Settings}, and can be changed at any time.
 *
 * @param every how long after a snapshot the next is taken in the background, while it runs; empty: never
 * @param keep which of them stay
 * @param labels what people call snapshots
 */
record Upkeep(Optional<Duration> every, Retention keep, Map<SnapshotId, String> labels) {
    static final Upkeep NONE = new Upkeep(Optional.empty(), Retention.ALL, Map.of());

    static final int LABEL_LENGTH_MAX = 200;

    static final int LABELS_MAX = 500;

    /** Of all labels in their stored form: with them a head stays well below its bound. */
    static final int LABELS_BYTES_MAX = 1 << 17;

    Upkeep {
        labels = Map.copyOf(labels);
    }

    /**
     * Names a snapshot, or takes its name.
     *
     * @param label empty text: none
     */
    Upkeep labelled(SnapshotId snapshot, String label) throws IOException {
        Map<SnapshotId, String> next = new HashMap<>(labels);
        if (label.isEmpty()) {
            next.remove(snapshot);
        } else {
            next.put(snapshot, label);
        }
        if (next.size() > LABELS_MAX) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    "a session has " + LABELS_MAX
                            + " labels at most: take some away with 'satchel label NAME@LABEL --remove'");
        }
        if (Json.write(texts(next)).length > LABELS_BYTES_MAX) {
            throw new SatchelException(
                    SatchelException.Kind.FAILED,
                    "the labels of a session have " + LABELS_BYTES_MAX
                            + " bytes at most: choose a shorter one, or take some away with 'satchel label NAME@LABEL --remove'");
        }
        return new Upkeep(every, keep, next);
    }

    /** Without the labels of snapshots that are not there any more: nobody could name these to take them away. */
    Upkeep ofWhatStays(Vault vault) throws IOException {
        Map<SnapshotId, String> there = new HashMap<>();
        for (Map.Entry<SnapshotId, String> label : labels.entrySet()) {
            if (vault.stays(label.getKey())) {
                there.put(label.getKey(), label.getValue());
            }
        }
        return new Upkeep(every, keep, there);
    }

    private static Map<String, Object> texts(Map<SnapshotId, String> labels) {
        Map<String, Object> texts = new LinkedHashMap<>();
        labels.forEach((snapshot, label) -> texts.put(snapshot.toString(), label));
        return texts;
    }

    Upkeep changed(UpkeepChange change) {
        return new Upkeep(
                change.every().isPresent() ? change.every().filter(time -> !time.isZero()) : every,
                change.keep().orElse(keep),
                labels);
    }

    void toJson(Map<String, Object> json) {
        every.ifPresent(time -> json.put("snapshot_every_seconds", time.toSeconds()));
        if (!keep.keepsAll()) {
            json.put("keep", keep.toString());
        }
        if (!labels.isEmpty()) {
            json.put("labels", texts(labels));
        }
    }

    static Upkeep fromJson(JsonObject json) throws IOException {
        Map<SnapshotId, String> labels = new HashMap<>();
        if (json.has("labels")) {
            for (Map.Entry<String, String> label : json.textMap("labels").entrySet()) {
                labels.put(SnapshotId.parse(label.getKey()), label.getValue());
            }
        }
        return new Upkeep(
                json.has("snapshot_every_seconds")
                        ? Optional.of(Duration.ofSeconds(json.number("snapshot_every_seconds")))
                        : Optional.empty(),
                Retention.parse(json.optionalText("keep").orElse("all")),
                labels);
    }
}
