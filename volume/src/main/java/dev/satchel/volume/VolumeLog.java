package dev.satchel.volume;

import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.DamagedException;
import dev.satchel.vault.LogInUseException;
import dev.satchel.vault.NoSuchException;
import dev.satchel.vault.SessionId;
import dev.satchel.vault.Vault;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The segments of one session's log, as objects of the vault: {@code log/<session id>/<sequence number, 16 hex digits>}. The
 * session's id is random, so a name tells a thief nothing.
 */
final class VolumeLog {
    private static final int CHECK_TRIES_MAX = 3;

    private final Vault vault;
    private final SessionId session;
    private final String directory;

    VolumeLog(Vault vault, SessionId session) {
        this.vault = vault;
        this.session = session;
        this.directory = "log/" + session;
    }

    String name(long sequence) {
        String hex = Long.toHexString(sequence);
        return directory + "/" + "0".repeat(16 - hex.length()) + hex;
    }

    /** Sequence numbers of the segments that are there, ascending. */
    private List<Long> sequences() throws IOException {
        List<Long> sequences = new ArrayList<>();
        for (String name : vault.backend().list(directory)) {
            String last = name.substring(name.lastIndexOf('/') + 1);
            try {
                sequences.add(Long.parseUnsignedLong(last, 16));
            } catch (NumberFormatException e) {
                throw new DamagedException(name + " is no segment of a volume's log: remove it from the vault", e);
            }
        }
        return sequences;
    }

    /** Whether there is nothing written: a segment of no bytes only had space set aside for it. */
    boolean isEmpty() throws IOException {
        for (String name : vault.backend().list(directory)) {
            if (vault.backend().size(name).orElse(0L) > 0) {
                return false;
            }
        }
        return true;
    }

    /** Whether another process has a segment open. */
    boolean isInUse() throws IOException {
        for (long sequence : sequences()) {
            try {
                vault.backend().openLog(name(sequence), false).close();
            } catch (LogInUseException e) {
                return true;
            } catch (NoSuchException e) {
                // Whoever has it has just folded it: the next look tells.
                return true;
            }
        }
        return false;
    }

    /**
     * Deletes all segments, the oldest first: what a crash leaves of them then is a whole log or of no use. Then nothing needs what they
     * were over any more.
     */
    void deleteAll() throws IOException {
        for (long sequence : sequences()) {
            vault.backend().delete(name(sequence));
        }
        vault.unpinVolume(session);
    }

    /** Keeps what the log is about to be over from being collected, besides what it is over now. */
    void pin(ChunkMapRef now, ChunkMapRef next, ChunkWriter stored) throws IOException {
        vault.pinVolume(session, List.of(now, next), next, stored);
    }

    void delete(LogSegment segment) throws IOException {
        vault.backend().delete(segment.name());
    }

    /**
     * A log as it was found.
     *
     * @param state the last one recorded
     * @param base over which the layers are to be laid
     * @param throughSegment the last segment that the base contains
     * @param layers with changes that the base lacks, the newest first, all frozen
     * @param newest the highest sequence number in use
     * @param unneeded names of segments that can go once the next state is recorded
     */
    record Replayed(
            LogState state,
            ChunkMapRef base,
            long throughSegment,
            List<Layer> layers,
            long newest,
            List<String> unneeded) {}

    /**
     * Reads the log.
     *
     * @param base what the volume is opened with
     * @param own whether the log is the caller's from now on: its segments stay open to nobody else, and those that a crash tore while
     *     they were being made are removed
     * @return null when there is none
     * @throws StaleLogException when it does not belong to that base
     * @throws DamagedException when something that had been durable is missing or altered
     */
    @Nullable
    Replayed replay(ChunkMapRef base, boolean own, LogWriter writer) throws IOException {
        List<Long> sequences = sequences();
        List<Layer> layers = new ArrayList<>();
        boolean done = false;
        try {
            Replayed replayed = replay(base, own, sequences, layers, writer);
            done = true;
            return replayed;
        } finally {
            if (!done) {
                for (Layer layer : layers) {
                    layer.segment.close();
                }
            }
        }
    }

    private @Nullable Replayed replay(
            ChunkMapRef base, boolean own, List<Long> sequences, List<Layer> layers, LogWriter writer)
            throws IOException {
        int i = sequences.size() - 1;
        if (i < 0) {
            return null;
        }
        Reading last = read(sequences.get(i), 0, own, writer);
        while (last == null) {
            // A crash tore it while it was being made: nothing in it had been acknowledged as durable.
            if (own) {
                vault.backend().delete(name(sequences.get(i)));
            }
            if (--i < 0) {
                return null;
            }
            last = read(sequences.get(i), 0, own, writer);
        }
        layers.add(last.layer);
        LogState state = last.lastState;
        LogState.Root root = state.rootOf(base)
                .orElseThrow(() -> new StaleLogException("the volume's log in "
                        + vault.backend().location() + "/"
                        + directory + " belongs to other snapshots than the one opened: resume the newest snapshot, or"
                        + " give up what was written since it"));
        ChunkMapRef over = state.base();
        long through = state.firstSegment() - 1;
        if (root.throughSegment() >= through) {
            over = base;
            through = root.throughSegment();
        }
        Reading later = last;
        while (later.layer.segment.sequence() > through + 1) {
            long wanted = later.layer.segment.sequence() - 1;
            if (--i < 0 || sequences.get(i) != wanted) {
                throw new DamagedException(name(wanted) + " is missing: restore the vault from a copy, or resume the"
                        + " newest snapshot without what was written since");
            }
            Reading reading = read(wanted, later.firstState.previousEnd(), own, writer);
            if (reading == null) {
                throw new DamagedException(name(wanted) + " is empty, though it had been safely stored: restore the"
                        + " vault from a copy, or resume the newest snapshot without what was written since");
            }
            layers.add(reading.layer);
            later = reading;
        }
        List<String> unneeded = new ArrayList<>();
        if (layers.getFirst().segment.sequence() <= through) {
            // The newest segment only tells the state.
            Layer layer = layers.removeFirst();
            unneeded.add(layer.segment.name());
            layer.segment.close();
        }
        for (int k = 0; k < i; k++) {
            unneeded.add(name(sequences.get(k)));
        }
        return new Replayed(state, over, through, layers, last.layer.segment.sequence(), unneeded);
    }

    /**
     * Reads the log as {@link #replay} does, changes nothing, and keeps nobody from going on with it.
     *
     * @return what is wrong with it; empty also if it belongs to other snapshots, or is being written
     */
    Optional<String> check(ChunkMapRef base) throws IOException {
        for (int tries = 1; ; tries++) {
            List<String> before = vault.backend().list(directory);
            try (LogWriter writer = new LogWriter()) {
                Replayed replayed = replay(base, false, writer);
                if (replayed != null) {
                    for (Layer layer : replayed.layers) {
                        layer.segment.close();
                    }
                }
                return Optional.empty();
            } catch (StaleLogException | LogInUseException e) {
                return Optional.empty();
            } catch (DamagedException | NoSuchException e) {
                // Somebody may go on with it, here or on another host, and have removed what was folded.
                if (vault.backend().list(directory).equals(before)) {
                    return Optional.of(String.valueOf(e.getMessage()));
                }
                if (tries == CHECK_TRIES_MAX) {
                    return Optional.empty();
                }
            }
        }
    }

    /** One segment read. */
    private record Reading(Layer layer, LogState firstState, LogState lastState) {}

    /** Returns null when it has not even a whole state record. */
    private @Nullable Reading read(long sequence, long knownEnd, boolean own, LogWriter writer) throws IOException {
        LogSegment segment = LogSegment.open(vault, name(sequence), sequence, own, writer);
        if (segment == null) {
            return null;
        }
        boolean done = false;
        try {
            Collector collector = new Collector(segment.name());
            segment.replay(knownEnd, writer, collector);
            LogState first = collector.first;
            LogState last = collector.last;
            if (first == null || last == null) {
                return null;
            }
            Layer layer = new Layer(segment, collector.index);
            layer.frozen = true;
            done = true;
            return new Reading(layer, first, last);
        } finally {
            if (!done) {
                segment.close();
            }
        }
    }

    private static final class Collector implements LogSegment.Visitor {
        private final BlockIndex index = new BlockIndex(0);
        private final String name;
        private long blocks;
        private @Nullable LogState first;
        private @Nullable LogState last;

        Collector(String name) {
            this.name = name;
        }

        @Override
        public void state(LogState state) {
            blocks = Math.max(blocks, state.sizeBytes() >>> Geometry.BLOCK_SHIFT);
            if (first == null) {
                first = state;
            }
            last = state;
            index.grow(Geometry.slots(state.sizeBytes()));
        }

        @Override
        public void write(long block, int count, long logOffset) throws DamagedException {
            if (block < 0 || block > blocks - count) {
                throw LogSegment.senseless(name, logOffset);
            }
            index.put(block, count, logOffset, LogSegment.SEALED_BLOCK_BYTES);
        }

        @Override
        public void discard(long block, long count, long logOffset) throws DamagedException {
            if (block < 0 || count < 0 || block > blocks - count) {
                throw LogSegment.senseless(name, logOffset);
            }
            index.zero(block, count);
        }
    }
}
