package dev.satchel.session;

import dev.satchel.vault.SnapshotId;
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

    /** With all of them a head stays well below its bound. */
    static final int LABELS_MAX = 500;

    Upkeep {
        labels = Map.copyOf(labels);
    }

    /**
     * Names a snapshot, or takes its name.
     *
     * @param label empty text: none
     */
    Upkeep labelled(SnapshotId snapshot, String label) throws SatchelException {
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
        return new Upkeep(every, keep, next);
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
            Map<String, Object> texts = new LinkedHashMap<>();
            labels.forEach((snapshot, label) -> texts.put(snapshot.toString(), label));
            json.put("labels", texts);
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
