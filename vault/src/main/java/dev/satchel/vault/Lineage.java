package dev.satchel.vault;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** How snapshots descend from each other, in all that two copies of a vault have of them. */
final class Lineage {
    private final Vault first;
    private final Vault second;
    private final Map<SnapshotId, Optional<Snapshot>> read = new HashMap<>();

    /** How two heads of one session stand to each other. */
    enum Order {
        SAME,
        FIRST_IS_NEWER,
        SECOND_IS_NEWER,
        DIVERGED
    }

    Lineage(Vault first, Vault second) {
        this.first = first;
        this.second = second;
    }

    /** A snapshot that one of the copies has; one that is damaged there is none. */
    Optional<Snapshot> find(SnapshotId id) throws IOException {
        Optional<Snapshot> known = read.get(id);
        if (known == null) {
            known = find(first, id).or(() -> Optional.empty());
            if (known.isEmpty()) {
                known = find(second, id);
            }
            read.put(id, known);
        }
        return known;
    }

    private static Optional<Snapshot> find(Vault vault, SnapshotId id) throws IOException {
        try {
            return Optional.of(vault.snapshot(id));
        } catch (VaultException e) {
            // Removed, or damaged: then it proves nothing, and verify tells.
            return Optional.empty();
        }
    }

    /** A snapshot and all that it descends from, as far as there is anything of them, newest first; the last may be one that was removed. */
    List<SnapshotId> line(SnapshotId from) throws IOException {
        List<SnapshotId> line = new ArrayList<>();
        Set<SnapshotId> seen = new HashSet<>();
        Optional<SnapshotId> at = Optional.of(from);
        while (at.isPresent() && seen.add(at.get())) {
            line.add(at.get());
            at = find(at.get()).flatMap(Snapshot::parent);
        }
        return line;
    }

    /**
     * @param common what both copies once had
     * @param a where the session stands in the first, b in the second
     */
    Order order(SessionId session, Optional<SnapshotId> a, Optional<SnapshotId> b, Common common) throws IOException {
        if (a.equals(b)) {
            return Order.SAME;
        }
        if (b.isEmpty()) {
            return Order.FIRST_IS_NEWER;
        }
        if (a.isEmpty()) {
            return Order.SECOND_IS_NEWER;
        }
        // Who has not moved since is behind, wherever the other went: also back to an earlier snapshot.
        boolean firstStayed = common.stoodAt(session, a);
        boolean secondStayed = common.stoodAt(session, b);
        if (firstStayed != secondStayed) {
            return secondStayed ? Order.FIRST_IS_NEWER : Order.SECOND_IS_NEWER;
        }
        if (line(a.get()).contains(b.get())) {
            return Order.FIRST_IS_NEWER;
        }
        return line(b.get()).contains(a.get()) ? Order.SECOND_IS_NEWER : Order.DIVERGED;
    }

    /** The first snapshot of a line that is not of the other: where the two parted. The same whoever asks, wherever the line has grown to. */
    SnapshotId parting(SnapshotId from, SnapshotId other) throws IOException {
        Set<SnapshotId> others = new HashSet<>(line(other));
        SnapshotId first = from;
        for (SnapshotId id : line(from)) {
            if (others.contains(id)) {
                break;
            }
            if (find(id).isPresent()) {
                first = id;
            }
        }
        return first;
    }
}
