package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;

/**
 * One life of a vault on a {@link SimulatedDisk}, all of it from a seed: two hosts store chunks, snapshots, heads and images, take
 * leases from each other, delete; processes are killed and the power is cut between any two calls, calls fail, the disk fills up.
 * Beside it a model of what has been acknowledged. After each restart everything acknowledged is there, whatever else is there is
 * whole, and the vault verifies.
 */
final class VaultSchedule {
    private static final int HOSTS = 2;
    private static final String PLACE = "/stick/vault";
    private static final long ROOM = 64L << 20;

    private final long seed;
    private final Random random;
    private final SimulatedDisk disk;
    private final List<Host> hosts = new ArrayList<>();
    private final List<String> story = new ArrayList<>();
    private VaultKey key;
    private int stamps;

    /** Bytes of chunks that a commit has acknowledged. */
    private final Map<ChunkRef, byte[]> chunks = new LinkedHashMap<>();

    /** Snapshots that were acknowledged, and whose removal was not begun. */
    private final Map<SnapshotId, String> snapshots = new LinkedHashMap<>();

    /** Those whose removal was acknowledged. */
    private final Set<SnapshotId> removed = new HashSet<>();

    private final Map<SessionId, Session> sessions = new LinkedHashMap<>();

    /** Images by name: what may be there, null for none. */
    private final Map<String, Set<Long>> images = new HashMap<>();

    /** What is known of a session. */
    private static final class Session {
        final SessionId id;
        String name;

        /** Stamps of the heads that may be there; 0: none. */
        Set<Integer> possible = new HashSet<>(Set.of(0));

        /** The newest generation that was acknowledged. */
        long generation;

        /** Who had the lease last, as far as was acknowledged. */
        Host holder;

        Session(SessionId id, String name) {
            this.id = id;
            this.name = name;
        }
    }

    /** A host with a memory of its own, and its process. */
    private final class Host {
        final int number;
        final SimulatedDisk memory;
        SimulatedDisk.Program process;
        SimulatedDisk.Program memoryProcess;
        Vault vault;
        final Map<SessionId, Lease> leases = new HashMap<>();

        Host(int number) {
            this.number = number;
            memory = new SimulatedDisk(seed * 31 + number, ROOM);
        }

        /** The vault as a process of this host has it open. */
        Vault vault() throws IOException {
            if (vault == null || isDead()) {
                end();
                process = disk.process();
                memoryProcess = memory.process();
                vault = Vault.open(process.backend(PLACE), key, memoryProcess.witness("/state"));
            }
            return vault;
        }

        boolean isDead() {
            return process == null || process.isDead() || memoryProcess.isDead();
        }

        /** Ends the process; what it had open is closed by the kernel. */
        void end() throws IOException {
            if (process != null) {
                process.kill();
                memoryProcess.kill();
                process = null;
            }
            leases.clear();
            if (vault != null) {
                vault.close();
                vault = null;
            }
        }

        @Override
        public String toString() {
            return "host " + number;
        }
    }

    private VaultSchedule(long seed) {
        this.seed = seed;
        random = new Random(seed * 0x9E3779B97F4A7C15L); // the first numbers of near seeds are near
        disk = new SimulatedDisk(seed, ROOM);
        for (int i = 0; i < HOSTS; i++) {
            hosts.add(new Host(i));
        }
    }

    /** Lives the life of a seed. @throws AssertionError that tells the seed and the story, when a promise was broken */
    static void run(long seed, int steps) {
        VaultSchedule schedule = new VaultSchedule(seed);
        try {
            schedule.live(steps);
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
        story.add(what);
    }

    /** Something that a host does. */
    private interface Deed {
        void run(Vault vault) throws IOException;
    }

    private void live(int steps) throws IOException {
        begin();
        for (int step = 0; step < steps; step++) {
            Host host = hosts.get(random.nextInt(HOSTS));
            switch (random.nextInt(25)) {
                case 0, 1, 2 -> storeChunks(host);
                case 3, 4, 5, 6, 7 -> storeSnapshot(host);
                case 8, 9 -> newSession(host);
                case 10 -> takeSession(host);
                case 11 -> releaseSession(host);
                case 12 -> deleteSnapshot(host);
                case 13 -> deleteSession(host);
                case 14 -> putImage(host);
                case 15 -> deleteImage(host);
                case 16 -> look(host);
                case 17 -> {
                    tell(host + " ends");
                    host.end();
                }
                case 18 -> {
                    tell("the power is cut");
                    disk.cutPower();
                    cutMemories();
                }
                case 19, 20 -> fork(host);
                case 21 -> storeKnown(host);
                case 22, 23 -> collect(host);
                default -> renameSession(host);
            }
            afterwards();
        }
        tell("the end: the power is cut");
        disk.cutPower();
        cutMemories();
        afterwards();
    }

    private void cutMemories() {
        for (Host host : hosts) {
            if (random.nextBoolean()) {
                host.memory.cutPower();
            }
        }
    }

    /** Makes the vault, as often as it takes. */
    private void begin() throws IOException {
        while (true) {
            SimulatedDisk.Program process = disk.process();
            if (random.nextInt(3) > 0) {
                disk.light(anyFault(), 1 + random.nextInt(60));
            }
            boolean made = false;
            try (DirectoryBackend backend = process.backend(PLACE)) {
                Vault.init(backend, TestVaults.PASSPHRASE, KdfParameters.FOR_TESTS);
                made = true;
            } catch (ExistsException e) {
                // An init that failed at its very end, or was killed there, has made it. It must be of use.
                disk.defuse();
                if (!process.isDead()) {
                    Vault.unlock(process.backend(PLACE), TestVaults.PASSPHRASE).close();
                    disk.cutPower();
                    try (DirectoryBackend backend = disk.process().backend(PLACE)) {
                        made = backend.get(Vault.CONFIG, 1000).isPresent();
                        key = made ? Vault.unlock(backend, TestVaults.PASSPHRASE) : null;
                    }
                    if (made) {
                        return;
                    }
                }
            } catch (IOException e) {
                tell("init: " + e.getMessage());
                require(disk.hasBurned(), "init failed by itself: " + e);
            }
            boolean sure = made && !process.isDead();
            disk.defuse();
            if (random.nextBoolean()) {
                disk.cutPower();
            }
            process.kill();
            if (sure) {
                try (DirectoryBackend backend = disk.process().backend(PLACE)) {
                    key = Vault.unlock(backend, TestVaults.PASSPHRASE);
                }
                return;
            }
        }
    }

    private SimulatedDisk.Fault anyFault() {
        return SimulatedDisk.Fault.any(random);
    }

    private static void require(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    /**
     * Does something, perhaps with a fault under way.
     *
     * @return whether it was acknowledged
     */
    private boolean attempt(Host host, String what, Deed deed) throws IOException {
        Vault vault = host.vault();
        boolean small = random.nextInt(12) == 0;
        if (small) {
            disk.resize(disk.used() + random.nextInt(20_000));
        }
        boolean lit = random.nextInt(3) == 0;
        if (lit) {
            if (random.nextBoolean()) {
                disk.lightAtName(anyFault(), 1 + random.nextInt(4));
            } else {
                disk.light(anyFault(), 1 + random.nextInt(random.nextBoolean() ? 10 : 60));
            }
        }
        String end = "done";
        try {
            deed.run(vault);
            if (host.isDead()) {
                end = "done, but dead";
                return false;
            }
            return true;
        } catch (VaultFullException e) {
            end = "full";
            require(small, what + ": " + e);
            return false;
        } catch (IOException e) {
            end = e.toString();
            if (!host.isDead() && !(lit && disk.hasBurned())) {
                throw e;
            }
            return false;
        } finally {
            tell(host + " " + what + ": " + end + (disk.hasBurned() ? " (fault)" : "") + (small ? " (small)" : ""));
            disk.defuse();
            disk.resize(ROOM);
        }
    }

    /** Restarts what has died, and looks whether all is as it must be. */
    private void afterwards() throws IOException {
        boolean cut = hosts.stream().anyMatch(host -> host.process != null && host.process.isDead());
        for (Host host : hosts) {
            if (host.process != null && host.isDead()) {
                host.end();
            }
        }
        if (cut && random.nextInt(3) > 0) {
            check(hosts.get(random.nextInt(HOSTS)));
            // Once more without power: what was seen must not have been what only the cache had.
            if (random.nextBoolean()) {
                tell("the power is cut after looking");
                disk.cutPower();
                for (Host host : hosts) {
                    host.end();
                }
                check(hosts.get(random.nextInt(HOSTS)));
            }
        }
    }

    /** Everything acknowledged is there, all else is whole. */
    private void check(Host host) throws IOException {
        tell(host + " checks");
        Vault vault = host.vault();
        for (Map.Entry<ChunkRef, byte[]> chunk : chunks.entrySet()) {
            require(Arrays.equals(TestVaults.read(vault, chunk.getKey()), chunk.getValue()), "another chunk's bytes");
        }
        for (Map.Entry<SnapshotId, String> snapshot : snapshots.entrySet()) {
            String found = words(vault.snapshot(snapshot.getKey()));
            require(found.equals(snapshot.getValue()), "snapshot " + found + " was " + snapshot.getValue());
        }
        for (Session session : sessions.values()) {
            Optional<Head> head = vault.head(session.id);
            int stamp = head.map(VaultSchedule::stampOf).orElse(0);
            require(
                    session.possible.contains(stamp),
                    "the head of " + session.name + " has stamp " + stamp + ", possible: " + session.possible);
            if (head.isPresent()) {
                require(
                        head.get().generation() >= session.generation,
                        "generation " + head.get().generation() + " after " + session.generation);
                Optional<Head> byName = vault.head(head.get().name());
                require(byName.isPresent() && byName.get().id().equals(session.id), "not found by its name");
                if (head.get().snapshot().isPresent()) {
                    vault.snapshot(head.get().snapshot().get());
                }
                vault.history(session.id);
            }
            vault.holder(session.id);
        }
        Set<SnapshotId> present = new HashSet<>();
        for (Snapshot snapshot : vault.allSnapshots()) {
            present.add(snapshot.id());
            for (ChunkMapRef tree : snapshot.trees().values()) {
                ChunkMap.load(vault.chunks(), tree)
                        .forEach(0, ChunkMap.SLOTS_MAX, (slot, ref) -> TestVaults.read(vault, ref));
            }
        }
        require(present.stream().noneMatch(removed::contains), "a removed snapshot is back");
        for (Map.Entry<String, Set<Long>> image : images.entrySet()) {
            Optional<ImageManifest> found = vault.image(image.getKey());
            Long stamp = found.map(ImageManifest::diskBytes).orElse(null);
            require(image.getValue().contains(stamp), "image " + stamp + ", possible: " + image.getValue());
            if (found.isPresent()) {
                ChunkMap.load(vault.chunks(), found.get().volume())
                        .forEach(0, ChunkMap.SLOTS_MAX, (slot, ref) -> TestVaults.read(vault, ref));
            }
        }
        List<String> errors = vault.verify(ProgressListener.NONE).errors();
        require(errors.isEmpty(), "verify: " + errors);
        vault.backend().removeAbandoned();
    }

    private static String words(Snapshot snapshot) {
        return snapshot.session() + " " + snapshot.parent() + " " + snapshot.trees() + " "
                + new String(snapshot.metadata(), UTF_8);
    }

    private static int stampOf(Head head) {
        return Integer.parseInt(new String(head.settings(), UTF_8));
    }

    private static byte[] stamped(int stamp) {
        return Integer.toString(stamp).getBytes(UTF_8);
    }

    private byte[] content() {
        int number = random.nextInt(40);
        int length = 1 + (number * 977) % 5000;
        return number % 2 == 0 ? TestVaults.text(number, length) : TestVaults.noise(number, length);
    }

    private void storeChunks(Host host) throws IOException {
        Map<ChunkRef, byte[]> mine = new HashMap<>();
        boolean commit = random.nextInt(5) != 0;
        boolean done = attempt(host, "stores chunks", vault -> {
            try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
                putSome(writer, mine);
                if (commit) {
                    writer.commit();
                }
            }
        });
        if (done && commit) {
            chunks.putAll(mine);
        }
    }

    private ChunkRef putSome(ChunkWriter writer, Map<ChunkRef, byte[]> mine) throws IOException {
        ChunkRef last = null;
        for (int i = 1 + random.nextInt(5); i > 0; i--) {
            byte[] bytes = content();
            last = TestVaults.put(writer, bytes);
            mine.put(last, bytes);
        }
        return last;
    }

    private Optional<Session> anySession() {
        List<Session> all = new ArrayList<>(sessions.values());
        return all.isEmpty() ? Optional.empty() : Optional.of(all.get(random.nextInt(all.size())));
    }

    /** The lease, acquired or taken over when the host has none. */
    private Lease lease(Host host, Vault vault, Session session) throws IOException {
        Lease lease = host.leases.get(session.id);
        if (lease == null) {
            session.holder = null;
            lease = vault.acquire(session.id, new HostId(7, host.number), "host" + host.number, true);
            host.leases.put(session.id, lease);
            session.holder = host;
        }
        return lease;
    }

    private void newSession(Host host) throws IOException {
        if (sessions.size() > 5) {
            return;
        }
        Session session = new Session(SessionId.random(), "session " + ++stamps);
        sessions.put(session.id, session);
        storeHead(host, session, Optional.empty(), "makes ");
    }

    /** Writes a head of the session; its lease must be the host's, or it must be refused. */
    private void storeHead(Host host, Session session, Optional<SnapshotId> snapshot, String what) throws IOException {
        int stamp = ++stamps;
        boolean[] refused = new boolean[1];
        long[] generation = new long[1];
        boolean done = attempt(host, what + session.name, vault -> {
            Lease lease = lease(host, vault, session);
            Optional<Head> present = vault.head(session.id);
            Head next = present.map(head -> new Head(
                            head.id(),
                            session.name,
                            head.generation() + 1,
                            snapshot.isPresent() ? snapshot : head.snapshot(),
                            stamped(stamp)))
                    .orElseGet(() -> Head.first(session.id, session.name, snapshot, stamped(stamp)));
            generation[0] = next.generation();
            session.possible.add(stamp);
            try {
                vault.putHead(next, lease);
            } catch (InUseException e) {
                refused[0] = true;
            }
        });
        if (refused[0]) {
            require(session.holder != host || host.isDead(), "the lease's holder was refused");
            session.possible.remove(stamp);
            host.leases.remove(session.id);
        } else if (done) {
            require(session.holder == host || session.holder == null, "who has lost the lease wrote a head");
            session.possible = new HashSet<>(Set.of(stamp));
            session.generation = generation[0];
        }
    }

    /** Makes a session of any snapshot that is to be seen, also of one whose writer has died before it was acknowledged. */
    private void fork(Host host) throws IOException {
        List<Snapshot> all = new ArrayList<>();
        if (sessions.size() > 5
                || !attempt(host, "lists", vault -> all.addAll(vault.allSnapshots()))
                || all.isEmpty()) {
            return;
        }
        // The newest is the one that may not be safe yet.
        all.sort((a, b) -> a.created().compareTo(b.created()));
        Session session = new Session(SessionId.random(), "fork " + ++stamps);
        sessions.put(session.id, session);
        storeHead(host, session, Optional.of(all.getLast().id()), "makes ");
    }

    /** Frees what nothing refers to: chunks that no snapshot names are nobody's from then on. */
    private void collect(Host host) throws IOException {
        chunks.clear();
        attempt(host, "collects", vault -> vault.collect(0, false, ProgressListener.NONE));
    }

    /** Stores a chunk that is there already, whoever has put it there. */
    private void storeKnown(Host host) throws IOException {
        Map<ChunkRef, byte[]> mine = new HashMap<>();
        boolean done = attempt(host, "stores a known chunk", vault -> {
            ChunkStore store = vault.chunks();
            for (int i = 0; i < 40 && mine.isEmpty(); i++) {
                byte[] bytes = content();
                try (ChunkWriter writer = store.writer(store.ownDomain());
                        Arena arena = Arena.ofConfined()) {
                    ChunkRef ref = writer.refTo(TestVaults.segment(arena, bytes));
                    if (store.contains(ref)) {
                        TestVaults.put(writer, bytes);
                        writer.commit();
                        mine.put(ref, bytes);
                    }
                }
            }
        });
        if (done) {
            chunks.putAll(mine);
        }
    }

    private void renameSession(Host host) throws IOException {
        Optional<Session> session = anySession();
        if (session.isPresent() && !session.get().possible.contains(0)) {
            session.get().name = "renamed " + ++stamps;
            storeHead(host, session.get(), Optional.empty(), "renames to ");
        }
    }

    private void storeSnapshot(Host host) throws IOException {
        Optional<Session> any = anySession();
        if (any.isEmpty()) {
            return;
        }
        Session session = any.get();
        Map<ChunkRef, byte[]> mine = new HashMap<>();
        String stamp = "snapshot " + ++stamps;
        Snapshot[] stored = new Snapshot[1];
        boolean done = attempt(host, "stores " + stamp + " of " + session.name, vault -> {
            ChunkMapRef map;
            Optional<SnapshotId> parent = vault.head(session.id).flatMap(Head::snapshot);
            try (ChunkWriter writer = vault.chunks().writer(vault.chunks().ownDomain())) {
                ChunkMap.Editor editor =
                        ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
                for (int i = 1 + random.nextInt(4); i > 0; i--) {
                    editor.set(random.nextInt(3000), putSome(writer, mine));
                }
                List<ChunkRef> old = new ArrayList<>(chunks.keySet());
                if (!old.isEmpty()) {
                    editor.set(5, old.get(random.nextInt(old.size())));
                }
                map = editor.store(writer);
                writer.commit();
            }
            SnapshotDraft draft = TestVaults.draft(session.id, parent, map);
            SnapshotDraft mineDraft = new SnapshotDraft(
                    session.id,
                    parent,
                    Instant.ofEpochMilli(++stamps),
                    "suspend",
                    new TreeMap<>(draft.trees()),
                    stamp.getBytes(UTF_8),
                    1,
                    2);
            stored[0] = vault.snapshot(vault.put(mineDraft));
        });
        if (done) {
            chunks.putAll(mine);
            snapshots.put(stored[0].id(), words(stored[0]));
            storeHead(host, session, Optional.of(stored[0].id()), "suspends ");
        }
    }

    private void takeSession(Host host) throws IOException {
        Optional<Session> any = anySession();
        if (any.isPresent()) {
            host.leases.remove(any.get().id);
            attempt(host, "takes " + any.get().name, vault -> {
                Lease _ = lease(host, vault, any.get());
            });
        }
    }

    private void releaseSession(Host host) throws IOException {
        Optional<Session> any = anySession();
        if (any.isPresent() && host.leases.containsKey(any.get().id)) {
            attempt(host, "releases " + any.get().name, vault -> {
                Lease lease = host.leases.remove(any.get().id);
                if (any.get().holder == host) {
                    any.get().holder = null;
                }
                lease.close();
            });
        }
    }

    private void deleteSnapshot(Host host) throws IOException {
        if (snapshots.isEmpty()) {
            return;
        }
        List<SnapshotId> all = new ArrayList<>(snapshots.keySet());
        SnapshotId snapshot = all.get(random.nextInt(all.size()));
        boolean[] named = new boolean[1];
        boolean done = attempt(host, "removes " + snapshot, vault -> {
            for (Head head : vault.heads()) {
                named[0] |= head.snapshot().equals(Optional.of(snapshot));
            }
            // What a head may yet turn out to name has to stay, too.
            if (!named[0] && sessions.values().stream().allMatch(session -> session.possible.size() == 1)) {
                snapshots.remove(snapshot);
                vault.delete(snapshot);
            } else {
                named[0] = true;
            }
        });
        if (done && !named[0]) {
            removed.add(snapshot);
        }
    }

    private void deleteSession(Host host) throws IOException {
        Optional<Session> any = anySession();
        if (any.isEmpty() || random.nextInt(3) > 0) {
            return;
        }
        Session session = any.get();
        boolean[] refused = new boolean[1];
        boolean done = attempt(host, "deletes " + session.name, vault -> {
            Lease lease = lease(host, vault, session);
            if (!lease.stillHeld()) {
                refused[0] = true;
                return;
            }
            session.possible.add(0);
            snapshots.values().removeIf(words -> words.startsWith(session.id + " "));
            vault.delete(session.id, lease);
        });
        if (done && !refused[0]) {
            sessions.remove(session.id);
        } else if (session.possible.contains(0)) {
            // Half deleted: a host tries again until it is done.
            sessions.remove(session.id);
            finishDeleting(session);
        }
    }

    private void finishDeleting(Session session) throws IOException {
        afterwards();
        snapshots.values().removeIf(words -> words.startsWith(session.id + " "));
        Host host = hosts.get(0);
        tell(host + " finishes deleting " + session.name);
        Vault vault = host.vault();
        host.leases.remove(session.id);
        Lease lease = vault.acquire(session.id, new HostId(7, 0), "host0", true);
        vault.delete(session.id, lease);
        require(vault.head(session.id).isEmpty(), "deleted and there");
    }

    private void putImage(Host host) throws IOException {
        String name = "image " + random.nextInt(3);
        long stamp = ++stamps;
        Set<Long> possible = images.computeIfAbsent(name, _ -> {
            Set<Long> none = new HashSet<>();
            none.add(null);
            return none;
        });
        boolean done = attempt(host, "puts " + name, vault -> {
            try (KeyDomain keys = KeyDomain.random()) {
                ChunkMapRef map;
                try (ChunkWriter writer = vault.chunks().writer(keys)) {
                    ChunkMap.Editor editor =
                            ChunkMap.load(vault.chunks(), ChunkMapRef.EMPTY).edit();
                    editor.set(0, putSome(writer, new HashMap<>()));
                    map = editor.store(writer);
                    writer.commit();
                }
                possible.add(stamp);
                vault.putImage(
                        new ImageManifest(ImageId.random(), name, Instant.EPOCH, keys, map, stamp, 1, new byte[0]));
            }
        });
        if (done) {
            possible.clear();
            possible.add(stamp);
        }
    }

    private void deleteImage(Host host) throws IOException {
        String name = "image " + random.nextInt(3);
        boolean[] there = new boolean[1];
        boolean done = attempt(host, "deletes " + name, vault -> {
            Optional<ImageManifest> image = vault.image(name);
            there[0] = image.isPresent();
            if (image.isPresent()) {
                images.get(name).add(null);
                vault.deleteImage(image.get().id());
            }
        });
        if (done && there[0]) {
            images.get(name).clear();
            images.get(name).add(null);
        }
    }

    private void look(Host host) throws IOException {
        attempt(host, "looks", vault -> {
            for (Head head : vault.heads()) {
                vault.history(head.id());
            }
            vault.info();
            vault.backend().removeAbandoned();
        });
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
        System.out.println("vault: " + lives + " schedules of 80 steps from seed " + first + ": nothing lost");
    }
}
