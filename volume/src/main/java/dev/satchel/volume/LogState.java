package dev.satchel.volume;

import static java.util.Objects.requireNonNull;

import dev.satchel.vault.ChunkId;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.DamagedException;
import dev.satchel.vault.KeyDomainId;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What a log is a log of. The first record of each segment says it, and a further one whenever it changes; the last one counts.
 *
 * @param sizeBytes of the volume
 * @param base what the segments from {@code firstSegment} on are to be laid over; its chunks are durable
 * @param firstSegment sequence number of the oldest segment that is still needed
 * @param previousEnd where the records of the segment before this one end: all of it is durable. 0 for none
 * @param roots the maps of snapshots over which this log may be replayed: the one that the volume was opened with or last
 *     rebased to, and those of snapshots that were being stored. Each with the last segment whose changes it contains
 */
record LogState(long sizeBytes, ChunkMapRef base, long firstSegment, long previousEnd, List<Root> roots) {
    /** Snapshots being stored at the same time; the oldest is forgotten then. */
    static final int ROOTS_MAX = 16;

    private static final int REF_BYTES = 16 + ChunkId.BYTES + 4;
    private static final int MAP_REF_BYTES = 1 + REF_BYTES + 8 + 8;
    private static final int FIXED_BYTES = 8 + MAP_REF_BYTES + 8 + 8 + 4;

    /** What a state of a later version may have. */
    static final int BYTES_MAX = 1 << 16;

    static final int BYTES = (FIXED_BYTES + ROOTS_MAX * (MAP_REF_BYTES + 8) + 15) & -16;

    /** A map that contains everything up to the end of a segment, and nothing of later ones. */
    record Root(ChunkMapRef map, long throughSegment) {
        Root {
            requireNonNull(map, "map");
        }
    }

    LogState {
        requireNonNull(base, "base");
        roots = List.copyOf(roots);
        if (roots.isEmpty() || roots.size() > ROOTS_MAX) {
            throw new IllegalArgumentException(roots.size() + " roots");
        }
    }

    LogState withPreviousEnd(long end) {
        return new LogState(sizeBytes, base, firstSegment, end, roots);
    }

    LogState withSize(long newSizeBytes) {
        return new LogState(newSizeBytes, base, firstSegment, previousEnd, roots);
    }

    LogState withBase(ChunkMapRef newBase, long newFirstSegment) {
        return new LogState(sizeBytes, newBase, newFirstSegment, previousEnd, roots);
    }

    LogState withRoots(List<Root> newRoots) {
        return new LogState(sizeBytes, base, firstSegment, previousEnd, newRoots);
    }

    /** The origin stays, so do the newest. */
    LogState withRoot(Root root) {
        List<Root> next = new ArrayList<>(roots);
        if (next.size() == ROOTS_MAX) {
            next.remove(1);
        }
        next.add(root);
        return withRoots(next);
    }

    Optional<Root> rootOf(ChunkMapRef map) {
        for (int i = roots.size() - 1; i >= 0; i--) {
            if (roots.get(i).map().equals(map)) {
                return Optional.of(roots.get(i));
            }
        }
        return Optional.empty();
    }

    /** Always {@link #BYTES}, zeros at the end, so that a segment's first record always ends at the same place. */
    byte[] toBytes() {
        ByteBuffer out = ByteBuffer.allocate(BYTES);
        out.putLong(sizeBytes);
        put(out, base);
        out.putLong(firstSegment).putLong(previousEnd).putInt(roots.size());
        for (Root root : roots) {
            put(out, root.map());
            out.putLong(root.throughSegment());
        }
        return out.array();
    }

    static LogState fromBytes(byte[] bytes) throws DamagedException {
        try {
            ByteBuffer in = ByteBuffer.wrap(bytes);
            long sizeBytes = in.getLong();
            if (sizeBytes <= 0 || sizeBytes > Geometry.VOLUME_BYTES_MAX || !Geometry.aligned(sizeBytes)) {
                throw new IllegalArgumentException("a volume of " + sizeBytes + " bytes");
            }
            ChunkMapRef base = mapRef(in);
            long firstSegment = in.getLong();
            long previousEnd = in.getLong();
            if (firstSegment < 0 || previousEnd < 0) {
                throw new IllegalArgumentException("segment " + firstSegment + ", end " + previousEnd);
            }
            int count = in.getInt();
            if (count < 1 || count > ROOTS_MAX || in.remaining() < count * (MAP_REF_BYTES + 8)) {
                throw new IllegalArgumentException(count + " roots");
            }
            List<Root> roots = new ArrayList<>(count);
            for (int i = 0; i < count; i++) {
                roots.add(new Root(mapRef(in), in.getLong()));
            }
            return new LogState(sizeBytes, base, firstSegment, previousEnd, roots);
        } catch (RuntimeException e) {
            throw new DamagedException(
                    "a volume log's state record is authentic but makes no sense: it was written by another version of"
                            + " the program, use that one",
                    e);
        }
    }

    private static void put(ByteBuffer out, ChunkMapRef map) {
        out.put((byte) (map.root().isPresent() ? 1 : 0));
        if (map.root().isPresent()) {
            ChunkRef ref = map.root().get();
            out.putLong(ref.domain().high()).putLong(ref.domain().low());
            out.putLong(ref.id().a()).putLong(ref.id().b());
            out.putLong(ref.id().c()).putLong(ref.id().d());
            out.putInt(ref.length());
        } else {
            out.position(out.position() + REF_BYTES);
        }
        out.putLong(map.slots()).putLong(map.logicalBytes());
    }

    private static ChunkMapRef mapRef(ByteBuffer in) {
        boolean present = in.get() == 1;
        int refAt = in.position();
        in.position(refAt + REF_BYTES);
        long slots = in.getLong();
        long logicalBytes = in.getLong();
        if (!present) {
            return new ChunkMapRef(Optional.empty(), slots, logicalBytes);
        }
        ChunkRef root = new ChunkRef(
                new KeyDomainId(in.getLong(refAt), in.getLong(refAt + 8)),
                new ChunkId(
                        in.getLong(refAt + 16), in.getLong(refAt + 24), in.getLong(refAt + 32), in.getLong(refAt + 40)),
                in.getInt(refAt + 48));
        return new ChunkMapRef(Optional.of(root), slots, logicalBytes);
    }
}
