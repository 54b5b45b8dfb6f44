package dev.satchel.volume;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.satchel.vault.Backend;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.Head;
import dev.satchel.vault.HostId;
import dev.satchel.vault.KdfParameters;
import dev.satchel.vault.Lease;
import dev.satchel.vault.ProgressListener;
import dev.satchel.vault.SessionId;
import dev.satchel.vault.SimulatedDisk;
import dev.satchel.vault.SnapshotDraft;
import dev.satchel.vault.SnapshotId;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultKey;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * One life of a session's volume over a vault on a {@link SimulatedDisk}, all of it from a seed: blocks are written, discarded,
 * flushed, folded, snapshots taken, the session suspended and resumed; the supervisor is killed and the power is cut between any two
 * calls, calls fail, the disk fills up. Beside it a model of the blocks: one that was flushed is there, of one that was written since
 * there is any of the versions, whole; a snapshot is exactly what was there when it was taken.
 */
final class VolumeSchedule {
    private static final byte[] PASSPHRASE = "correct horse".getBytes(UTF_8);
    private static final String PLACE = "/vault";
    private static final int SLOTS = 5;
    private static final int BLOCKS = SLOTS * Geometry.SLOT_BLOCKS - 3;
    private static final long BYTES = (long) BLOCKS * Geometry.BLOCK_BYTES;
    private static final long ROOM = 256L << 20;
    private static final VolumeOptions OPTIONS =
            new VolumeOptions(VolumeOptions.ExistingLog.REPLAY, 4, 0, 1000, 1, 1L << 30, false);

    private final Random random;
    private final SimulatedDisk disk;
    private final SessionId session = SessionId.random();
    private final List<String> story = new ArrayList<>();
    private @Nullable VaultKey key;
    private long stamps;

    private SimulatedDisk.@Nullable Program process;
    private @Nullable Vault vault;
    private @Nullable Lease lease;
    private @Nullable Volume volume;

    /** Whether the device has failed in this boot. */
    private boolean failedBefore;

    /** What each block says. */
    private long[] now = new long[BLOCKS];

    /** What else it may say after a crash; null: nothing else. */
    private final @Nullable Set<Long>[] possible = newSets();

    /** Snapshots that were acknowledged, and what was in them. */
    private final Map<SnapshotId, long[]> snapshots =
            new TreeMap<>((a, b) -> a.toString().compareTo(b.toString()));

    @SuppressWarnings({"unchecked", "rawtypes"}) // an array of a generic type
    private static @Nullable Set<Long>[] newSets() {
        return new Set[BLOCKS];
    }

    private VolumeSchedule(long seed) {
        random = new Random(seed * 0x9E3779B97F4A7C15L); // the first numbers of near seeds are near
        disk = new SimulatedDisk(seed, ROOM);
    }

    /** Lives the life of a seed. @throws AssertionError that tells the seed and the story, when a promise was broken */
    static void run(long seed, int steps) {
        VolumeSchedule schedule = new VolumeSchedule(seed);
        try {
            schedule.live(steps);
        } catch (Exception | AssertionError e) {
            throw new AssertionError(
                    "seed " + seed + ", " + steps + " steps: " + e + "\n  " + String.join("\n  ", schedule.story), e);
        } finally {
            schedule.end();
            if (schedule.key != null) {
                schedule.key.close();
            }
        }
    }

    private static void require(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    private interface Deed {
        void run(Volume volume) throws IOException;
    }

    private void live(int steps) throws IOException {
        try (Backend backend = disk.process().backend(PLACE)) {
            Vault.init(backend, PASSPHRASE.clone(), KdfParameters.FOR_TESTS);
            key = Vault.unlock(backend, PASSPHRASE.clone());
        }
        disk.cutPower();
        boot(false);
        for (int step = 0; step < steps; step++) {
            switch (random.nextInt(20)) {
                case 0, 1, 2, 3, 4, 5, 6 -> write();
                case 7 -> discard();
                case 8, 9, 10, 11 -> flush();
                case 12 -> attempt("folds", Volume::foldAll);
                case 13, 14 -> snapshot(false);
                case 15 -> snapshot(true);
                case 16 -> attempt("sets space aside", Volume::setSpaceAside);
                case 17 -> {
                    story.add("power cut");
                    disk.cutPower();
                    boot(true);
                }
                case 18 -> {
                    story.add("killed");
                    requireNonNull(process).kill();
                    boot(false);
                }
                default -> reopen();
            }
        }
        story.add("the end: power cut");
        disk.cutPower();
        boot(true);
        checkSnapshots();
    }

    private static <T> T requireNonNull(@Nullable T value) {
        return java.util.Objects.requireNonNull(value);
    }

    private void end() {
        for (AutoCloseable part : new @Nullable AutoCloseable[] {volume == null ? null : volume::abandon, vault}) {
            try {
                if (part != null) {
                    part.close();
                }
            } catch (Exception e) {
                story.add("closing what is dead: " + e);
            }
        }
        volume = null;
        vault = null;
        lease = null;
        if (process != null) {
            process.kill();
        }
    }

    /** Another process takes the session over and opens its volume; checks every block. */
    private void boot(boolean powerWasCut) throws IOException {
        end();
        failedBefore = false;
        process = disk.process();
        Vault opened = Vault.open(process.backend(PLACE), requireNonNull(key), dev.satchel.vault.HeadWitness.NONE);
        vault = opened;
        opened.backend().removeAbandoned();
        lease = opened.acquire(session, new HostId(1, 1), "here", true);
        if (opened.head(session).isEmpty()) {
            opened.putHead(Head.first(session, "work", Optional.empty(), new byte[0]), requireNonNull(lease));
        }
        Volume found = Volume.open(opened, session, base(opened), BYTES, OPTIONS);
        volume = found;
        // To a process that was killed the vault is away for ever, and to one that lives never.
        found.stopWaiting();
        long[] read = Blocks.read(found, 0, BLOCKS);
        // After a suspend whose head was written and whose log was not yet deleted, or the other way round.
        for (int i = 0; i < BLOCKS; i++) {
            Set<Long> others = possible[i];
            require(
                    read[i] == now[i] || (others != null && others.contains(read[i])),
                    "block " + i + " says " + read[i] + ", may say " + now[i] + " or " + others);
            now[i] = read[i];
            if (powerWasCut) {
                possible[i] = null;
            }
        }
        story.add("opened");
    }

    private ChunkMapRef base(Vault opened) throws IOException {
        Optional<SnapshotId> newest = opened.head(session).flatMap(Head::snapshot);
        return newest.isEmpty()
                ? ChunkMapRef.EMPTY
                : requireNonNull(opened.snapshot(newest.get()).trees().get("volume"));
    }

    /**
     * Does something, perhaps with a fault under way, and boots again after one that the session can't go on from.
     *
     * @return whether it was acknowledged
     */
    private boolean attempt(String what, Deed deed) throws IOException {
        boolean small = random.nextInt(12) == 0;
        if (small) {
            disk.resize(disk.used() + random.nextInt(200_000));
        }
        SimulatedDisk.@Nullable Fault fault = null;
        if (random.nextInt(4) == 0) {
            fault = SimulatedDisk.Fault.any(random);
            if (random.nextBoolean()) {
                disk.lightAtName(fault, 1 + random.nextInt(3));
            } else {
                disk.light(fault, 1 + random.nextInt(random.nextBoolean() ? 6 : 40));
            }
        }
        SimulatedDisk.Program mine = requireNonNull(process);
        String end = "done";
        boolean done = false;
        boolean error = false;
        try {
            deed.run(requireNonNull(volume));
            done = !mine.isDead();
        } catch (IOException e) {
            end = e.toString();
            boolean told = toldLater(e);
            error = (disk.hasBurned() || told) && !mine.isDead();
            if (!mine.isDead() && !disk.hasBurned() && !small && !told) {
                throw e;
            }
        } finally {
            story.add(what + ": " + end + (disk.hasBurned() ? " (fault)" : "") + (small ? " (small)" : ""));
        }
        boolean burned = disk.hasBurned();
        disk.defuse();
        disk.resize(ROOM);
        failedBefore |= burned && fault == SimulatedDisk.Fault.ERROR;
        if (mine.isDead() || error || (burned && random.nextBoolean())) {
            // What a device that has failed to sync still shows may be gone with the power: only that makes it certain.
            boolean cut = error || random.nextBoolean();
            if (cut) {
                story.add("power cut");
                disk.cutPower();
            }
            boot(cut);
        }
        return done;
    }

    /** The folding thread may have met an error of the device that nobody else did: who writes or flushes later is told. */
    private boolean toldLater(IOException e) {
        return failedBefore && String.valueOf(e.getMessage()).contains("an earlier sync of");
    }

    private void maybe(int block, long stamp) {
        Set<Long> others = possible[block];
        if (others == null) {
            others = new HashSet<>();
            possible[block] = others;
        }
        others.add(now[block]);
        others.add(stamp);
    }

    private void write() throws IOException {
        int count = 1 + random.nextInt(random.nextInt(5) == 0 ? 70 : 6);
        int block = random.nextInt(BLOCKS - count + 1);
        long[] written = new long[count];
        for (int i = 0; i < count; i++) {
            written[i] = random.nextInt(9) == 0 ? 0 : ++stamps;
            maybe(block + i, written[i]);
        }
        change("writes " + count + " from " + block, block, written, volume -> Blocks.write(volume, block, written));
    }

    private void discard() throws IOException {
        int count = 1 + random.nextInt(100);
        int block = random.nextInt(BLOCKS - count + 1);
        for (int i = 0; i < count; i++) {
            maybe(block + i, 0);
        }
        change(
                "discards " + count + " from " + block,
                block,
                new long[count],
                volume -> volume.discard((long) block * Geometry.BLOCK_BYTES, (long) count * Geometry.BLOCK_BYTES));
    }

    private void change(String what, int block, long[] stampsThen, Deed deed) throws IOException {
        Volume before = requireNonNull(volume);
        boolean done = attempt(what, deed);
        if (done && volume == before) {
            System.arraycopy(stampsThen, 0, now, block, stampsThen.length);
        } else if (volume == before) {
            // A write that fails leaves what was there before, or a part of it is done.
            long[] read = Blocks.read(before, block, stampsThen.length);
            for (int i = 0; i < read.length; i++) {
                require(
                        read[i] == now[block + i] || read[i] == stampsThen[i],
                        what + ": block " + i + " says " + read[i]);
                now[block + i] = read[i];
            }
        }
    }

    private void flush() throws IOException {
        Volume before = requireNonNull(volume);
        long[] then = now.clone();
        boolean[] done = new boolean[1];
        boolean acknowledged = attempt("flushes", volume -> {
            volume.flush();
            done[0] = true;
        });
        if (acknowledged && volume == before) {
            Arrays.fill(possible, null);
        } else if (acknowledged && done[0]) {
            // Booted since: what was flushed is what was found.
            require(Arrays.equals(then, now), "flushed, and not there");
        }
    }

    private void reopen() throws IOException {
        story.add("closes and opens");
        try {
            requireNonNull(volume).close();
        } catch (IOException e) {
            if (!toldLater(e)) {
                throw e;
            }
            story.add("closing: " + e + ", power cut");
            disk.cutPower();
            boot(true);
            return;
        }
        volume = null;
        Arrays.fill(possible, null);
        boot(false);
    }

    /** What a session does for a snapshot, or to suspend. */
    private void snapshot(boolean suspend) throws IOException {
        Vault in = requireNonNull(vault);
        Lease held = requireNonNull(lease);
        long[] then = now.clone();
        SnapshotId[] made = new SnapshotId[1];
        boolean[] head = new boolean[1];
        Volume before = requireNonNull(volume);
        boolean done = attempt(suspend ? "suspends" : "takes a snapshot", volume -> {
            Optional<SnapshotId> parent = in.head(session).flatMap(Head::snapshot);
            ChunkMapRef stored;
            try (Frozen frozen = volume.snapshot();
                    ChunkWriter writer = in.chunks().writer(in.chunks().ownDomain())) {
                stored = frozen.store(writer, Runnable::run, 0);
                writer.commit();
            }
            TreeMap<String, ChunkMapRef> trees = new TreeMap<>(Map.of("volume", stored));
            made[0] = in.put(new SnapshotDraft(
                    session, parent, Instant.ofEpochMilli(++stamps), "suspend", trees, new byte[0], 1, 1));
            in.putHead(in.head(session).orElseThrow().next(Optional.of(made[0]), new byte[0]), held);
            head[0] = !requireNonNull(process).isDead();
            if (suspend) {
                volume.retire();
            } else {
                volume.rebase(stored);
            }
        });
        if (head[0]) {
            snapshots.put(made[0], then);
        }
        if (done && volume == before) {
            // The head names it, durably, and the log can be replayed over it.
            Arrays.fill(possible, null);
            if (suspend) {
                volume = null;
                boot(false);
                require(Arrays.equals(then, now), "resumed with other blocks than suspended");
            }
        } else if (volume == before) {
            // Went on after a full disk or a failed rebase; or was closed by a retire that failed.
            story.add("goes on");
            if (suspend) {
                boot(false);
            }
        }
    }

    private void checkSnapshots() throws IOException {
        Vault in = requireNonNull(vault);
        for (Map.Entry<SnapshotId, long[]> snapshot : snapshots.entrySet()) {
            ChunkMapRef map =
                    requireNonNull(in.snapshot(snapshot.getKey()).trees().get("volume"));
            try (Volume fork = Volume.open(in, SessionId.random(), map, BYTES, OPTIONS)) {
                require(
                        Arrays.equals(Blocks.read(fork, 0, BLOCKS), snapshot.getValue()),
                        "snapshot " + snapshot.getKey() + " is not what was there");
            }
        }
        List<String> errors = in.verify(ProgressListener.NONE).errors();
        require(errors.isEmpty(), "verify: " + errors);
    }

    /**
     * The full form: as many lives as fit into a time.
     *
     * @param arguments seconds, then the first seed
     */
    public static void main(String[] arguments) {
        long until = System.nanoTime() + Long.parseLong(arguments[0]) * 1_000_000_000;
        long first = arguments.length > 1 ? Long.parseLong(arguments[1]) : System.nanoTime();
        long lives = 0;
        while (System.nanoTime() < until) {
            run(first + lives++, 80);
        }
        System.out.println("volume: " + lives + " schedules of 80 steps from seed " + first + ": nothing lost");
    }
}
