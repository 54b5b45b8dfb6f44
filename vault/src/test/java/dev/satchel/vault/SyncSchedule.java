package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.locks.LockSupport;

/**
 * One life of two copies of a vault, each on a {@link SimulatedDisk} of its own. Two hosts let sessions go on in either, remove
 * snapshots, collect garbage and bring the copies up to date with each other; while one syncs the other one does any of that beside it.
 * Processes are killed, the power of either device is cut, calls fail, devices fill up, all between any two calls.
 *
 * <p>What was acknowledged in a copy stays in it; what a sync has acknowledged is in the copy that it was brought to, and stays; a
 * session never loses a place where it has stood, whatever lines it has parted into; either copy verifies. In the end, without faults, a sync
 * both ways makes both hold everything.
 */
final class SyncSchedule {
    private static final int HOSTS = 2;
    private static final String PLACE = "/stick/vault";
    private static final long ROOM = 64L << 20;
    private static final int ROUNDS_MAX = 6;

    private final long seed;
    private final Random random;
    private final List<Copy> copies = new ArrayList<>();
    private final List<Host> hosts = new ArrayList<>();
    private final List<String> story = new ArrayList<>();
    private final List<SessionId> sessions = new ArrayList<>();
    private final Map<SnapshotId, Optional<SnapshotId>> parents = new HashMap<>();
    private VaultKey key;
    private int stamps;
    private int syncs;

    /** A device, and what must be on it. */
    private final class Copy {
        final String name;
        final SimulatedDisk disk;

        /** Snapshots that were acknowledged here, by a writer or a sync, and whose removal was not begun. */
        final Map<SnapshotId, String> snapshots = new LinkedHashMap<>();

        /** Those that were removed here at some time: no sync has to bring them again. */
        final Set<SnapshotId> removed = new HashSet<>();

        /** Where sessions were acknowledged to stand, here or before a sync in the other copy. */
        final Set<SnapshotId> stood = new HashSet<>();

        Copy(String name, int number) {
            this.name = name;
            disk = new SimulatedDisk(seed * 31 + number, ROOM);
        }
    }

    /** A host with a memory of its own, and its process, which has both copies open when it needs them. */
    private final class Host {
        final int number;
        final SimulatedDisk memory;
        final Map<Copy, Vault> open = new HashMap<>();
        final Map<Copy, SimulatedDisk.Program> programs = new HashMap<>();
        SimulatedDisk.Program memoryProcess;

        Host(int number) {
            this.number = number;
            memory = new SimulatedDisk(seed * 37 + number, ROOM);
        }

        private SimulatedDisk.Program program(Copy copy) throws IOException {
            if (isDead()) {
                end();
            }
            if (memoryProcess == null) {
                memoryProcess = memory.process();
            }
            SimulatedDisk.Program program = programs.get(copy);
            if (program == null) {
                program = copy.disk.process();
                program.dieWith(memoryProcess);
                memoryProcess.dieWith(program);
                for (SimulatedDisk.Program other : programs.values()) {
                    program.dieWith(other);
                    other.dieWith(program);
                }
                programs.put(copy, program);
            }
            return program;
        }

        Vault vault(Copy copy) throws IOException {
            SimulatedDisk.Program program = program(copy);
            Vault vault = open.get(copy);
            if (vault == null) {
                vault = Vault.open(program.backend(PLACE), key, memoryProcess.witness("/state"));
                open.put(copy, vault);
            }
            return vault;
        }

        /** The second copy, made if it is not there, or was not finished. */
        Vault replica(Copy copy) throws IOException {
            Vault first = vault(copies.getFirst());
            SimulatedDisk.Program program = program(copy);
            Vault vault = open.get(copy);
            if (vault == null) {
                vault = first.openReplica(program.backend(PLACE), memoryProcess.witness("/state"), true);
                open.put(copy, vault);
            }
            return vault;
        }

        boolean isDead() {
            return (memoryProcess != null && memoryProcess.isDead())
                    || programs.values().stream().anyMatch(SimulatedDisk.Program::isDead);
        }

        void end() throws IOException {
            for (SimulatedDisk.Program program : programs.values()) {
                program.kill();
            }
            programs.clear();
            if (memoryProcess != null) {
                memoryProcess.kill();
                memoryProcess = null;
            }
            for (Vault vault : open.values()) {
                vault.close();
            }
            open.clear();
        }

        @Override
        public String toString() {
            return "host " + number;
        }
    }

    private SyncSchedule(long seed) {
        this.seed = seed;
        random = new Random(seed * 0x9E3779B97F4A7C15L); // the first numbers of near seeds are near
        copies.add(new Copy("home", 0));
        copies.add(new Copy("away", 1));
        for (int i = 0; i < HOSTS; i++) {
            hosts.add(new Host(i));
        }
    }

    /**
     * Lives the life of a seed.
     *
     * @return how many syncs were acknowledged
     * @throws AssertionError that tells the seed and the story, when a promise was broken
     */
    static int run(long seed, int steps) {
        SyncSchedule schedule = new SyncSchedule(seed);
        try {
            schedule.live(steps);
            return schedule.syncs;
        } catch (Exception | AssertionError e) {
            throw new AssertionError(
                    "seed " + seed + ", " + steps + " steps: " + e + "\n  " + String.join("\n  ", schedule.story), e);
        } finally {
            schedule.end();
        }
    }

    private void end() {
        for (Host host : hosts) {
            try {
                host.end();
            } catch (IOException e) {
                tell("closing what is dead: " + e);
            }
        }
        if (key != null) {
            key.close();
        }
    }

    private void tell(String what) {
        synchronized (story) {
            story.add(what);
        }
    }

    private static void require(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    private Copy anyCopy() {
        return copies.get(random.nextInt(copies.size()));
    }

    private void live(int steps) throws IOException {
        SimulatedDisk.Program maker = copies.getFirst().disk.process();
        try (DirectoryBackend backend = maker.backend(PLACE)) {
            Vault.init(backend, TestVaults.PASSPHRASE, KdfParameters.FOR_TESTS);
            key = Vault.unlock(backend, TestVaults.PASSPHRASE);
        }
        maker.kill();
        for (int step = 0; step < steps; step++) {
            Host host = hosts.get(random.nextInt(HOSTS));
            switch (random.nextInt(16)) {
                case 0, 1, 2, 3, 4 -> attempt(host, true, goOn(host, anyCopy()));
                case 5 -> attempt(host, true, remove(host, anyCopy()));
                case 6, 7 -> attempt(host, true, collect(host, anyCopy()));
                case 8 -> {
                    tell(host + " ends");
                    host.end();
                }
                case 9 -> cutPower(anyCopy());
                default -> syncBeside(host, hosts.get(1 - host.number));
            }
            afterwards();
        }
        for (Copy copy : copies) {
            cutPower(copy);
        }
        afterwards();
        finish();
    }

    private void cutPower(Copy copy) {
        tell("the power of " + copy.name + " is cut");
        copy.disk.cutPower();
        for (Host host : hosts) {
            if (random.nextInt(4) == 0) {
                host.memory.cutPower();
            }
        }
    }

    // ---- deeds

    /** Something that a host does, decided upon already: what is random in it is drawn before. */
    private record Deed(String what, Action action, Runnable acknowledged) {
        Deed(String what, Action action) {
            this(what, action, () -> {});
        }
    }

    private interface Action {
        void run() throws IOException;
    }

    /** Lights a fuse, perhaps, on one of the devices, and makes one of them small. @return whether it did the latter */
    private boolean prepare() {
        if (random.nextInt(2) == 0) {
            SimulatedDisk disk = anyCopy().disk;
            if (random.nextBoolean()) {
                disk.lightAtName(SimulatedDisk.Fault.any(random), 1 + random.nextInt(8));
            } else {
                disk.light(SimulatedDisk.Fault.any(random), 1 + random.nextInt(random.nextBoolean() ? 20 : 200));
            }
        }
        boolean small = random.nextInt(12) == 0;
        if (small) {
            SimulatedDisk disk = anyCopy().disk;
            disk.resize(disk.used() + random.nextInt(20_000));
        }
        return small;
    }

    private void calm() {
        for (Copy copy : copies) {
            copy.disk.defuse();
            copy.disk.resize(ROOM);
        }
    }

    private boolean burned() {
        return copies.stream().anyMatch(copy -> copy.disk.hasBurned());
    }

    private void attempt(Host host, boolean faults, Deed deed) throws IOException {
        boolean small = faults && prepare();
        try {
            perform(host, small, deed);
        } finally {
            calm();
        }
    }

    private void perform(Host host, boolean small, Deed deed) throws IOException {
        String end = "done";
        try {
            deed.action().run();
            if (host.isDead()) {
                end = "done, but dead";
            } else {
                synchronized (copies) {
                    deed.acknowledged().run();
                }
            }
        } catch (VaultFullException e) {
            end = "full";
            require(small, deed.what() + ": " + e);
        } catch (InUseException | CollectedException e) {
            end = "refused: " + e.getMessage();
        } catch (IOException e) {
            end = e.toString();
            boolean beaten = e instanceof ExistsException
                    && String.valueOf(e.getMessage()).contains("just now");
            if (!host.isDead() && !burned() && !beaten) {
                throw e;
            }
        } finally {
            tell(host + " " + deed.what() + ": " + end + (burned() ? " (fault)" : "") + (small ? " (small)" : ""));
        }
    }

    /** A session goes on in a copy that has it, or a new one begins there. */
    private Deed goOn(Host host, Copy copy) {
        boolean fresh = sessions.isEmpty() || (sessions.size() < 4 && random.nextInt(4) == 0);
        SessionId session = fresh ? SessionId.random() : sessions.get(random.nextInt(sessions.size()));
        if (fresh) {
            sessions.add(session);
        }
        int stamp = ++stamps;
        long contents = random.nextLong();
        Snapshot[] stored = new Snapshot[1];
        String what = "lets " + session.toString().substring(0, 4) + " go on in " + copy.name + " to " + stamp;
        return new Deed(
                what,
                () -> {
                    Vault vault = copy == copies.getFirst() ? host.vault(copy) : host.replica(copy);
                    Optional<Head> before = vault.head(session);
                    if (before.isEmpty() && !fresh) {
                        return;
                    }
                    try (Lease lease = vault.acquire(session, new HostId(7, host.number), "host" + host.number, true)) {
                        stored[0] = store(vault, lease, session, stamp, contents);
                    }
                },
                () -> {
                    if (stored[0] != null) {
                        copy.snapshots.put(stored[0].id(), words(stored[0]));
                        copy.stood.add(stored[0].id());
                    }
                });
    }

    private Snapshot store(Vault vault, Lease lease, SessionId session, int stamp, long contents) throws IOException {
        Random of = new Random(contents);
        Optional<Head> head = vault.head(session);
        Optional<SnapshotId> parent = head.flatMap(Head::snapshot);
        if (parent.isPresent()) {
            learn(vault, parent.get());
        }
        try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
            ChunkMap.Editor editor =
                    ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
            for (int i = 1 + of.nextInt(5); i > 0; i--) {
                int number = of.nextInt(40);
                int length = 1 + number * 977 % 5000;
                editor.set(
                        of.nextInt(3000),
                        TestVaults.put(
                                writer,
                                number % 2 == 0 ? TestVaults.text(number, length) : TestVaults.noise(number, length)));
            }
            ChunkMapRef map = editor.store(writer);
            writer.commit();
            try (Pin _ = vault.pin(session, List.of(map), writer)) {
                SnapshotDraft draft = TestVaults.draft(session, parent, map);
                SnapshotId id = vault.put(new SnapshotDraft(
                        session,
                        parent,
                        Instant.ofEpochMilli(stamp * 60_000L),
                        "suspend",
                        new TreeMap<>(draft.trees()),
                        ("snapshot " + stamp).getBytes(UTF_8),
                        1,
                        2));
                synchronized (copies) {
                    parents.put(id, parent);
                }
                tell("  " + stamp + " is " + short6(id) + ", over " + parent.map(SyncSchedule::short6));
                byte[] settings = Integer.toString(stamp).getBytes(UTF_8);
                vault.putHead(
                        head.map(present -> present.next(Optional.of(id), settings))
                                .orElseGet(() -> Head.first(session, "work " + stamp, Optional.of(id), settings)),
                        lease);
                return vault.snapshot(id);
            }
        }
    }

    /** What a snapshot descends from, of one whose writer was not acknowledged. */
    private void learn(Vault vault, SnapshotId id) throws IOException {
        synchronized (copies) {
            if (!parents.containsKey(id)) {
                parents.put(id, vault.snapshot(id).parent());
            }
        }
    }

    private Deed remove(Host host, Copy copy) {
        List<SnapshotId> all;
        synchronized (copies) {
            all = new ArrayList<>(copy.snapshots.keySet());
        }
        if (all.isEmpty()) {
            return new Deed("has nothing to remove", () -> {});
        }
        SnapshotId snapshot = all.get(random.nextInt(all.size()));
        return new Deed("removes " + snapshot.toString().substring(0, 6) + " in " + copy.name, () -> {
            String kept;
            synchronized (copies) {
                kept = copy.snapshots.remove(snapshot);
                copy.removed.add(snapshot);
            }
            boolean stays = host.vault(copy).remove(Set.of(snapshot)).isEmpty();
            if (stays && kept != null && !host.isDead()) {
                // A head names it, or its session is just storing.
                synchronized (copies) {
                    copy.snapshots.put(snapshot, kept);
                }
            }
        });
    }

    private Deed collect(Host host, Copy copy) {
        int percent = random.nextInt(2) * 20;
        return new Deed("collects in " + copy.name, () -> {
            if (copy == copies.getFirst() || !copy.stood.isEmpty()) {
                (copy == copies.getFirst() ? host.vault(copy) : host.replica(copy))
                        .collect(percent, false, ProgressListener.NONE);
            }
        });
    }

    private Deed sync(Host host) {
        Replication.Direction direction = switch (random.nextInt(3)) {
            case 0 -> Replication.Direction.PUSH;
            case 1 -> Replication.Direction.PULL;
            default -> Replication.Direction.BOTH;
        };
        return sync(host, direction, new ReplicationReport[1]);
    }

    private Deed sync(Host host, Replication.Direction direction, ReplicationReport[] told) {
        Copy home = copies.getFirst();
        Copy away = copies.getLast();
        Map<Copy, Set<SnapshotId>> snapshots = new HashMap<>();
        Map<Copy, Set<SnapshotId>> stood = new HashMap<>();
        return new Deed(
                "syncs " + direction,
                () -> {
                    Vault here = host.vault(home);
                    Vault there = host.replica(away);
                    synchronized (copies) {
                        for (Copy copy : copies) {
                            snapshots.put(copy, new HashSet<>(copy.snapshots.keySet()));
                            stood.put(copy, new HashSet<>(copy.stood));
                        }
                    }
                    told[0] = new Replication(
                                    here,
                                    there,
                                    new Replication.Options(direction, Set.of(), false, false, Replication.Pace.NONE),
                                    new HostId(7, host.number),
                                    "host" + host.number,
                                    ProgressListener.NONE)
                            .run();
                },
                () -> {
                    ReplicationReport report = told[0];
                    if (!report.branches().isEmpty() || !report.waiting().isEmpty() || report.headsMoved() > 0) {
                        tell("  moved " + report.headsMoved() + ", branches " + report.branches() + ", waiting for "
                                + report.waiting());
                    }
                    require(report.damaged().isEmpty(), "sync finds damage: " + report.damaged());
                    syncs++;
                    if (direction != Replication.Direction.PULL) {
                        brought(home, away, snapshots, stood, report);
                    }
                    if (direction != Replication.Direction.PUSH) {
                        brought(away, home, snapshots, stood, report);
                    }
                });
    }

    private static void brought(
            Copy from,
            Copy to,
            Map<Copy, Set<SnapshotId>> snapshots,
            Map<Copy, Set<SnapshotId>> stood,
            ReplicationReport report) {
        for (Map.Entry<SnapshotId, String> snapshot : from.snapshots.entrySet()) {
            if (snapshots.get(from).contains(snapshot.getKey()) && !to.removed.contains(snapshot.getKey())) {
                to.snapshots.put(snapshot.getKey(), snapshot.getValue());
            }
        }
        if (report.waiting().isEmpty() && report.removed().isEmpty()) {
            to.stood.addAll(stood.get(from));
        }
    }

    /** Syncs, and has another host do something at the same time. */
    private void syncBeside(Host host, Host other) throws IOException {
        Deed beside = switch (random.nextInt(8)) {
            case 0, 1 -> collect(other, anyCopy());
            case 2, 3 -> goOn(other, anyCopy());
            case 4 -> remove(other, anyCopy());
            case 5 -> sync(other);
            default -> null;
        };
        Deed sync = sync(host);
        if (beside == null) {
            attempt(host, true, sync);
            return;
        }
        // What opens the copies is done before: so that both hosts are at it at the same time.
        long start = copies.getFirst().disk.calls() + copies.getLast().disk.calls() + random.nextInt(400);
        boolean small = prepare();
        boolean[] over = new boolean[1];
        Throwable[] failed = new Throwable[1];
        Thread thread = Thread.ofPlatform().start(() -> {
            try {
                while (copies.getFirst().disk.calls() + copies.getLast().disk.calls() < start) {
                    synchronized (over) {
                        if (over[0]) {
                            break;
                        }
                    }
                    LockSupport.parkNanos(50_000);
                }
                perform(other, small, beside);
            } catch (IOException | RuntimeException | AssertionError e) {
                failed[0] = e;
            }
        });
        try {
            perform(host, small, sync);
        } finally {
            synchronized (over) {
                over[0] = true;
            }
            join(thread);
            calm();
        }
        if (failed[0] != null) {
            throw new AssertionError("beside a sync: " + beside.what(), failed[0]);
        }
    }

    private static void join(Thread thread) throws IOException {
        try {
            thread.join();
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
    }

    // ---- what must hold

    private void afterwards() throws IOException {
        boolean cut = false;
        for (Host host : hosts) {
            if (host.isDead()) {
                cut = true;
                host.end();
            }
        }
        if (cut && random.nextInt(3) > 0) {
            Host host = hosts.get(random.nextInt(HOSTS));
            for (Copy copy : copies) {
                check(host, copy);
            }
            if (random.nextBoolean()) {
                tell("the power of both is cut after looking");
                for (Copy copy : copies) {
                    copy.disk.cutPower();
                }
                for (Host one : hosts) {
                    one.end();
                }
                for (Copy copy : copies) {
                    check(host, copy);
                }
            }
        }
    }

    private void check(Host host, Copy copy) throws IOException {
        tell(host + " checks " + copy.name);
        if (copy.snapshots.isEmpty() && copy != copies.getFirst()) {
            return; // it may not be there yet
        }
        Vault vault = host.vault(copy);
        for (Map.Entry<SnapshotId, String> snapshot : copy.snapshots.entrySet()) {
            require(
                    words(vault.snapshot(snapshot.getKey())).equals(snapshot.getValue()),
                    "another snapshot " + snapshot.getValue());
        }
        for (Snapshot snapshot : vault.allSnapshots()) {
            for (ChunkMapRef tree : snapshot.trees().values()) {
                ChunkMap.load(vault.chunks(), tree)
                        .forEach(0, ChunkMap.SLOTS_MAX, (slot, ref) -> TestVaults.read(vault, ref));
            }
        }
        Set<SnapshotId> lines = new HashSet<>();
        for (Head head : vault.heads()) {
            vault.history(head.id());
            vault.holder(head.id());
            Optional<Head> byName = vault.head(head.name());
            require(
                    byName.isPresent() && byName.get().id().equals(head.id()),
                    head.name() + " is not found by its name");
            Optional<SnapshotId> at = head.snapshot();
            if (at.isPresent()) {
                vault.snapshot(at.get());
                learn(vault, at.get());
            }
            while (at.isPresent() && lines.add(at.get())) {
                at = parents.getOrDefault(at.get(), Optional.empty());
            }
        }
        for (SnapshotId stood : copy.stood) {
            if (!lines.contains(stood)) {
                throw new AssertionError(copy.name + " has lost the line of " + short6(stood) + ": " + heads(vault));
            }
        }
        List<String> errors = vault.verify(ProgressListener.NONE).errors();
        require(errors.isEmpty(), copy.name + ", verify: " + errors);
        vault.backend().removeAbandoned();
    }

    private static String short6(SnapshotId id) {
        return id.toString().substring(0, 6);
    }

    /** Where sessions stand, and what that descends from. */
    private String heads(Vault vault) throws IOException {
        StringBuilder text = new StringBuilder();
        for (Head head : vault.heads()) {
            text.append(head.name()).append(' ').append(head.generation());
            Optional<SnapshotId> at = head.snapshot();
            while (at.isPresent()) {
                text.append(" < ").append(short6(at.get()));
                at = parents.getOrDefault(at.get(), Optional.empty());
            }
            text.append("; ");
        }
        return text.toString();
    }

    /** Nobody has a session any more, nothing fails: a sync both ways must make both copies hold all. */
    private void finish() throws IOException {
        Host host = hosts.getFirst();
        ReplicationReport[] report = new ReplicationReport[1];
        for (int round = 0; ; round++) {
            require(round < ROUNDS_MAX, "after " + round + " rounds still waiting: " + report[0]);
            for (Copy copy : copies) {
                Vault vault = copy == copies.getFirst() ? host.vault(copy) : host.replica(copy);
                for (Head head : vault.heads()) {
                    vault.acquire(head.id(), new HostId(7, 0), "host0", true).close();
                }
            }
            attempt(host, false, sync(host, Replication.Direction.BOTH, report));
            if (report[0].waiting().isEmpty()) {
                break;
            }
        }
        for (Copy copy : copies) {
            check(host, copy);
            host.vault(copy).collect(0, false, ProgressListener.NONE);
            check(host, copy);
        }
        require(copies.getFirst().stood.equals(copies.getLast().stood), "a line is in one copy only");
        require(
                lines(host.vault(copies.getFirst())).equals(lines(host.vault(copies.getLast()))),
                "the copies' sessions stand at different places");
    }

    /** Where sessions stand. */
    private static Map<SessionId, Optional<SnapshotId>> lines(Vault vault) throws IOException {
        Map<SessionId, Optional<SnapshotId>> lines = new HashMap<>();
        for (Head head : vault.heads()) {
            lines.put(head.id(), head.snapshot());
        }
        return lines;
    }

    private static String words(Snapshot snapshot) {
        return snapshot.session() + " " + snapshot.parent() + " " + snapshot.trees() + " "
                + new String(snapshot.metadata(), UTF_8);
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
        long syncs = 0;
        while (System.nanoTime() < until) {
            syncs += run(first + lives++, 60);
        }
        System.out.println("sync: " + lives + " schedules of 60 steps from seed " + first + ", " + syncs
                + " syncs acknowledged: nothing lost");
    }
}
