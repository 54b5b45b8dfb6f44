package dev.satchel.vault;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.satchel.linux.crypto.SecretBytes;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Brings one copy of a vault up to date with another: what it lacks is carried over as it lies there, sealed, and then heads are moved. What
 * is written first never names what is written later, so that the copy is a whole vault at every instant, and a sync that broke off at
 * any point is gone on with by the next one, which repeats nothing that has arrived.
 *
 * <p>A session that went on in both copies becomes two: the line with more changes keeps name and id, the other one becomes a session
 * of its own, whose id and name follow from where the two parted, so that it is the same one wherever that is found out. Nothing is ever
 * overwritten or removed but a place to stand at. A session that somebody runs in a copy is not touched there.
 */
public final class Replication {
    /** Who looks again because packs went away under its hands gives up after so many times. */
    private static final int ROUNDS_MAX = 5;

    private static final int BRANCH_DEPTH_MAX = 8;

    /** So many snapshots are in one pin. */
    private static final int PINNED_MAX = 1000;

    private static final int SUFFIX_DIGITS = 6;

    private final Vault here;
    private final Vault there;
    private final Options options;
    private final HostId host;
    private final String hostName;
    private final ProgressListener listener;

    private final Lineage lineage;
    private Common common = Common.NOTHING;
    private final Map<SessionId, SnapshotId> stood = new HashMap<>();

    private long chunksSent;
    private long bytesSent;
    private long packsSent;
    private int snapshotsSent;
    private int imagesSent;
    private int headsMoved;
    private final List<Branch> branches = new ArrayList<>();
    private final Set<String> waiting = new LinkedHashSet<>();

    /** Heads that this sync has put. */
    private final Map<Vault, Map<String, byte[]>> written = new HashMap<>();

    /** Snapshots that were to be carried, whatever became of that. */
    private final Set<SnapshotId> carried = new HashSet<>();

    /** Sessions that stand at a snapshot by now that was stored since, so that it has not been carried yet. */
    private final Set<String> goneOn = new LinkedHashSet<>();

    private final Set<String> removed = new LinkedHashSet<>();
    private final Set<String> damaged = new LinkedHashSet<>();

    /** Which way. */
    public enum Direction {
        /** The other copy gets what it lacks. */
        PUSH,
        /** This one does. */
        PULL,
        /** Both do. */
        BOTH
    }

    /** Slows a sync down that is to give way to others. */
    @FunctionalInterface
    public interface Pace {
        /** Goes on at once. */
        Pace NONE = (bytes, nanos) -> {};

        /** Called after a piece was carried; may wait. */
        void rest(long bytes, long nanos) throws IOException;
    }

    /**
     * What is to be done.
     *
     * @param sessions names; empty: all, and the images
     * @param resend looks through all that the copy should have, and brings also what was removed there, or got lost
     * @param dryRun only says what would be done; the counts are what would be carried
     */
    public record Options(Direction direction, Set<String> sessions, boolean resend, boolean dryRun, Pace pace) {
        public Options {
            sessions = Set.copyOf(sessions);
        }
    }

    /**
     * A session that was made because another one had gone on in two places.
     *
     * @param name its name
     * @param of the name of the session that it was a part of
     * @param place the copy in which it was made or moved on
     */
    public record Branch(String name, String of, String place) {}

    /**
     * @param host who does it, for leases
     * @param listener hears of bytes
     */
    public Replication(
            Vault here, Vault there, Options options, HostId host, String hostName, ProgressListener listener) {
        this.here = here;
        this.there = there;
        this.options = options;
        this.host = host;
        this.hostName = hostName;
        this.listener = listener;
        lineage = new Lineage(here, there);
    }

    /** Does it; once. Interrupting the thread breaks it off. */
    public ReplicationReport run() throws IOException {
        if (!here.id().equals(there.id())) {
            throw new ExistsException("another vault is in " + there.backend().location()
                    + ": name an empty directory, or one that holds a copy of this vault");
        }
        if (!options.dryRun()) {
            Replica.tellApart(here, there);
        }
        common = common(here, there.replica()).with(common(there, here.replica()));
        boolean push = options.direction() != Direction.PULL;
        boolean pull = options.direction() != Direction.PUSH;
        Set<SessionId> chosen = chosen(push, pull);
        for (int round = 1; ; round++) {
            goneOn.clear();
            waiting.clear();
            Map<String, byte[]> atHere = push ? heads(here) : Map.of();
            Map<String, byte[]> atThere = pull ? heads(there) : Map.of();
            if (push) {
                send(here, there, chosen);
            }
            if (pull) {
                send(there, here, chosen);
            }
            if (!options.dryRun()) {
                settleAll(chosen, push, pull);
            }
            boolean quiet = options.dryRun()
                    || (goneOn.isEmpty()
                            && (!push || isAsBefore(here, atHere))
                            && (!pull || isAsBefore(there, atThere)));
            if (quiet || round == ROUNDS_MAX) {
                break;
            }
        }
        waiting.addAll(goneOn);
        if (!options.dryRun()) {
            if (push) {
                note(there, here);
                VolumeReplication.takeBack(here, there);
            }
            if (pull) {
                note(here, there);
                VolumeReplication.takeBack(there, here);
            }
        }
        return new ReplicationReport(
                chunksSent,
                bytesSent,
                packsSent,
                snapshotsSent,
                imagesSent,
                headsMoved,
                branches,
                List.copyOf(waiting),
                List.copyOf(removed),
                List.copyOf(damaged));
    }

    private static Map<String, byte[]> heads(Vault vault) throws IOException {
        Map<String, byte[]> heads = new HashMap<>();
        for (String file : vault.backend().list("sessions")) {
            if (file.endsWith("/head")) {
                vault.backend().get(file, Vault.OBJECT_BYTES_MAX).ifPresent(head -> heads.put(file, head));
            }
        }
        return heads;
    }

    /** Whether nobody else has changed where sessions stand: another sync may have moved a line to a session that was looked at already. */
    private boolean isAsBefore(Vault vault, Map<String, byte[]> before) throws IOException {
        Map<String, byte[]> own = written.getOrDefault(vault, Map.of());
        for (Map.Entry<String, byte[]> head : heads(vault).entrySet()) {
            byte[] expected = own.getOrDefault(head.getKey(), before.get(head.getKey()));
            if (!Arrays.equals(expected, head.getValue())) {
                return false;
            }
        }
        return true;
    }

    /** A note that can't be read is as good as none: sessions are then compared by their snapshots alone. */
    private Common common(Vault vault, ReplicaId other) throws IOException {
        try {
            return Common.read(vault, other);
        } catch (VaultException e) {
            damaged.add(String.valueOf(e.getMessage()));
            return Common.NOTHING;
        }
    }

    /** The sessions that were named; empty when all are meant. */
    private Set<SessionId> chosen(boolean push, boolean pull) throws IOException {
        Set<SessionId> chosen = new HashSet<>();
        for (String name : options.sessions()) {
            Optional<Head> head = push ? here.head(name) : there.head(name);
            if (head.isEmpty() && push && pull) {
                head = there.head(name);
            }
            chosen.add(head.orElseThrow(() -> new NoSuchException("there is no session '" + name + "' in "
                            + (push ? here : there).backend().location() + ": see 'satchel ls'"))
                    .id());
        }
        return chosen;
    }

    // ---- what is carried

    /** A snapshot or an image that the target lacks, and that everything it names is carried for. */
    private sealed interface Unit {
        record OfSnapshot(Snapshot snapshot) implements Unit {
            @Override
            public Map<String, ChunkMapRef> trees() {
                return snapshot.trees();
            }

            @Override
            public String file() {
                return Vault.snapshotFile(snapshot.id());
            }
        }

        record OfImage(ImageManifest image, String file) implements Unit {
            @Override
            public Map<String, ChunkMapRef> trees() {
                return Map.of("volume", image.volume());
            }
        }

        /** Maps by name. */
        Map<String, ChunkMapRef> trees();

        /** The object that names them. */
        String file();
    }

    private void send(Vault from, Vault to, Set<SessionId> chosen) throws IOException {
        if (!options.dryRun()) {
            settleSlots(from, to);
        }
        for (int round = 1; ; round++) {
            List<Unit> units = missing(from, to, chosen);
            for (Unit unit : units) {
                if (unit instanceof Unit.OfSnapshot(Snapshot snapshot)) {
                    carried.add(snapshot.id());
                }
            }
            ChunkTransfer transfer = new ChunkTransfer(from, to, options.pace(), listener);
            boolean vanished = false;
            Set<SnapshotId> counted = new LinkedHashSet<>();
            boolean counts = !options.resend() && !units.isEmpty() && !transfer.lacksPacks();
            for (int i = 0; i < units.size(); i++) {
                try {
                    Optional<Snapshot> ancestor = counts ? ancestor(to, units.get(i)) : Optional.empty();
                    ancestor.ifPresent(snapshot -> counted.add(snapshot.id()));
                    for (Map.Entry<String, ChunkMapRef> tree :
                            units.get(i).trees().entrySet()) {
                        ChunkMapRef present = ancestor.map(Snapshot::trees)
                                .map(trees -> trees.get(tree.getKey()))
                                .orElse(ChunkMapRef.EMPTY);
                        transfer.need(tree.getValue(), present, i);
                    }
                } catch (DamagedException e) {
                    if (e.getCause() instanceof NoSuchException) {
                        vanished = true;
                    } else {
                        damaged.add(String.valueOf(e.getMessage()));
                    }
                }
            }
            transfer.plan();
            if (units.isEmpty() && !vanished) {
                return;
            }
            if (options.dryRun()) {
                chunksSent += transfer.chunksNeeded();
                bytesSent += transfer.bytesTotal();
                count(units);
                return;
            }
            int sent = 0;
            Protected kept = protect(from, to, units);
            // After the pin: a collection in the target removes keys of domains that nothing names.
            for (KeyDomainId domain : transfer.domains()) {
                copyKeys(from, to, domain);
            }
            try {
                // What the target was seen to have may have gone before the pin was there.
                Set<String> packs = packsIn(to);
                // Or before: an index knows what was there when it was last read.
                vanished |= !packs.containsAll(transfer.reliedOn()) || !areThere(to, counted);
                for (; sent < units.size() && !vanished; sent++) {
                    transfer.carry(sent);
                    vanished = transfer.vanished() || !stays(to, packs, units.get(sent), transfer.damaged());
                    if (!vanished) {
                        put(from, to, units.get(sent), transfer.damaged());
                    }
                }
            } finally {
                chunksSent += transfer.chunksSent();
                bytesSent += transfer.bytesSent();
                packsSent += transfer.packsSent();
            }
            if (!vanished) {
                kept.release();
                return;
            }
            if (round == ROUNDS_MAX) {
                throw new DamagedException("packs of " + from.backend().location()
                        + " are missing, or go away while they are read: check it with 'satchel vault verify'");
            }
            // A collection of garbage wrote packs anew and removed the old ones.
            from.chunks().forget(from.chunks().ownDomain().id());
            to.chunks().forget(to.chunks().ownDomain().id());
            for (KeyDomainId domain : transfer.domains()) {
                from.chunks().forget(domain);
                to.chunks().forget(domain);
            }
        }
    }

    /** The newest one before a snapshot that the target has: what both have at the same place need not be looked for. */
    private Optional<Snapshot> ancestor(Vault to, Unit unit) throws IOException {
        if (!(unit instanceof Unit.OfSnapshot of)) {
            return Optional.empty();
        }
        Set<SnapshotId> seen = new HashSet<>();
        Optional<SnapshotId> parent = of.snapshot().parent();
        while (parent.isPresent() && seen.add(parent.get())) {
            Optional<Snapshot> before = lineage.find(parent.get());
            if (before.isPresent() && areThere(to, Set.of(parent.get()))) {
                return before;
            }
            parent = before.flatMap(Snapshot::parent);
        }
        return Optional.empty();
    }

    /** Snapshots that are there once the pin is keep what they name until then, and the pin does from then on. */
    private static boolean areThere(Vault in, Set<SnapshotId> snapshots) throws IOException {
        for (SnapshotId id : snapshots) {
            if (in.backend().size(Vault.snapshotFile(id)).isEmpty()) {
                return false;
            }
        }
        return true;
    }

    // ---- beside collections of garbage in the target

    /** A lease of nobody's session, which says that the pins are somebody's, and the pin. */
    private record Protected(Vault in, SessionId owner, Lease lease, List<Pin> pins) {
        /** Everything is named. */
        void release() throws IOException {
            for (Pin pin : pins) {
                pin.close();
            }
            lease.close();
            if (in.holder(owner).isEmpty()) {
                in.backend().delete(Vault.leaseFile(owner));
            }
        }
    }

    /**
     * Keeps what arrives, and what it counts on, until it is named. If this dies or fails, its lease and pins stay, and keep what has arrived; the next sync
     * takes them over.
     */
    private Protected protect(Vault from, Vault to, List<Unit> units) throws IOException {
        SessionId owner = ownerOfPins(from, to);
        Lease lease = to.acquire(owner, host, hostName, true);
        List<String> before = to.backend().list("pins/" + owner);
        List<Pin> pins = new ArrayList<>();
        for (int i = 0; i < units.size(); i += PINNED_MAX) {
            Set<ChunkMapRef> maps = new LinkedHashSet<>();
            for (Unit unit : units.subList(i, Math.min(units.size(), i + PINNED_MAX))) {
                maps.addAll(unit.trees().values());
            }
            pins.add(to.pin(owner, maps));
        }
        for (String file : before) {
            to.backend().delete(file);
        }
        return new Protected(to, owner, lease, pins);
    }

    private static SessionId ownerOfPins(Vault from, Vault to) {
        byte[] context = new byte[32];
        Bytes.putLong(context, 0, from.replica().high());
        Bytes.putLong(context, 8, from.replica().low());
        Bytes.putLong(context, 16, to.replica().high());
        Bytes.putLong(context, 24, to.replica().low());
        try (SecretBytes derived = to.deriveKey("satchel sync", context)) {
            return new SessionId(
                    derived.segment().get(Bytes.LONG, 0), derived.segment().get(Bytes.LONG, 8));
        }
    }

    private static Set<String> packsIn(Vault vault) throws IOException {
        Set<String> packs = new HashSet<>();
        for (String name : vault.backend().list("domains")) {
            if (name.contains("/packs/")) {
                packs.add(name);
            }
        }
        return packs;
    }

    /** Whether everything of a unit has arrived and stays: to be looked at only when packs went away, or somebody is about to remove some. */
    private static boolean stays(Vault to, Set<String> packs, Unit unit, boolean damaged) throws IOException {
        if (damaged || (to.backend().list("intents").isEmpty() && packsIn(to).containsAll(packs))) {
            return true;
        }
        for (ChunkMapRef tree : unit.trees().values()) {
            if (tree.root().isPresent()) {
                to.chunks().refresh(to.chunks().domain(tree.root().get().domain()));
            }
            if (!ChunkTransfer.isWhole(to, tree)) {
                return false;
            }
        }
        return true;
    }

    private void count(List<Unit> units) {
        for (Unit unit : units) {
            if (unit instanceof Unit.OfSnapshot) {
                snapshotsSent++;
            } else {
                imagesSent++;
            }
        }
    }

    /** What a copy lacks of the other, in the order of how much it matters: where sessions stand, images, what was before, newest first. */
    private List<Unit> missing(Vault from, Vault to, Set<SessionId> chosen) throws IOException {
        Set<String> present = new HashSet<>(to.backend().list("snapshots"));
        Set<String> named = new LinkedHashSet<>();
        for (Head head : from.heads()) {
            if (head.snapshot().isPresent()
                    && (chosen.isEmpty() || chosen.contains(head.id()))
                    && !isRemoved(from, to, head.id())) {
                named.add(Vault.snapshotFile(head.snapshot().get()));
            }
        }
        List<Unit> units = new ArrayList<>();
        for (String file : named) {
            if (!present.contains(file) || options.resend()) {
                read(from, file).ifPresent(snapshot -> units.add(new Unit.OfSnapshot(snapshot)));
            }
        }
        if (chosen.isEmpty()) {
            missingImages(from, to, units);
        }
        List<Snapshot> history = new ArrayList<>();
        Set<SnapshotId> ofChosen = new HashSet<>();
        for (SessionId session : chosen) {
            if (from.head(session).isPresent()) {
                from.history(session).forEach(snapshot -> ofChosen.add(snapshot.id()));
            }
        }
        for (String file : from.backend().list("snapshots")) {
            if ((present.contains(file) && !options.resend()) || named.contains(file)) {
                continue;
            }
            SnapshotId id = Vault.snapshotOf(file);
            if ((chosen.isEmpty() || ofChosen.contains(id)) && (options.resend() || !common.knows(id.a()))) {
                read(from, file).ifPresent(history::add);
            }
        }
        history.sort((a, b) -> b.created().compareTo(a.created()));
        for (Snapshot snapshot : history) {
            units.add(new Unit.OfSnapshot(snapshot));
        }
        return units;
    }

    /** Whether a session was in both copies and was removed in the target since; not if it was asked for by name. */
    private boolean isRemoved(Vault from, Vault to, SessionId session) throws IOException {
        return !options.resend()
                && options.sessions().isEmpty()
                && common.stood().containsKey(session)
                && to.backend().size(Vault.headFile(session)).isEmpty()
                && from.backend().size(Vault.headFile(session)).isPresent();
    }

    private Optional<Snapshot> read(Vault from, String file) throws IOException {
        try {
            return Optional.of(from.snapshot(Vault.snapshotOf(file)));
        } catch (NoSuchException e) {
            // Removed since it was listed.
            return Optional.empty();
        } catch (DamagedException | ForgedException e) {
            damaged.add(String.valueOf(e.getMessage()));
            return Optional.empty();
        }
    }

    private void missingImages(Vault from, Vault to, List<Unit> units) throws IOException {
        Set<String> present = new HashSet<>(to.backend().list("images"));
        Map<String, ImageManifest> byName = new HashMap<>();
        if (!present.isEmpty()) {
            to.images().forEach(image -> byName.put(image.name(), image));
        }
        for (String file : from.backend().list("images")) {
            if (present.contains(file) && !options.resend()) {
                continue;
            }
            try {
                Optional<ImageManifest> image = from.readImage(file);
                if (image.isPresent()
                        && (options.resend() || !common.knows(image.get().id().high()))
                        && isNewer(image.get(), byName.get(image.get().name()))) {
                    units.add(new Unit.OfImage(image.get(), file));
                }
            } catch (DamagedException | ForgedException e) {
                damaged.add(String.valueOf(e.getMessage()));
            }
        }
    }

    /** Of two images of one name that built last has it, as if both had been built in one vault. */
    private static boolean isNewer(ImageManifest image, @Nullable ImageManifest other) {
        if (other == null || other.id().equals(image.id())) {
            return true;
        }
        int order = image.created().compareTo(other.created());
        return order > 0
                || (order == 0 && image.id().toString().compareTo(other.id().toString()) > 0);
    }

    /** Stores a snapshot or image whose chunks have arrived. */
    private void put(Vault from, Vault to, Unit unit, boolean doubtful) throws IOException {
        if (doubtful) {
            for (ChunkMapRef tree : unit.trees().values()) {
                if (!ChunkTransfer.isWhole(to, tree)) {
                    damaged.add((unit instanceof Unit.OfSnapshot(Snapshot snapshot)
                                    ? "the snapshot " + snapshot.id()
                                    : "an image")
                            + " is damaged in " + from.backend().location()
                            + " and was left out: see 'satchel vault verify'");
                    return;
                }
            }
        }
        Optional<byte[]> stored = from.backend().get(unit.file(), Vault.OBJECT_BYTES_MAX);
        if (stored.isEmpty()) {
            return;
        }
        if (unit instanceof Unit.OfImage image) {
            if (to.backend().replace(unit.file(), Optional.empty(), stored.get())) {
                to.nameImage(image.image());
                bytesSent += stored.get().length;
                imagesSent++;
            }
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            if (to.backend().putIfAbsent(unit.file(), arena.allocateFrom(JAVA_BYTE, stored.get()))) {
                bytesSent += stored.get().length;
                snapshotsSent++;
            } else {
                to.backend().settle(unit.file());
            }
        }
    }

    static void copyKeys(Vault from, Vault to, KeyDomainId domain) throws IOException {
        if (to.hasKeys(domain)) {
            to.backend().settle(Vault.keyFile(domain));
            return;
        }
        from.keysOf(domain); // is authentic, or throws
        String file = Vault.keyFile(domain);
        Optional<byte[]> stored = from.backend().get(file, Vault.OBJECT_BYTES_MAX);
        if (stored.isPresent()) {
            boolean ignored = to.backend().replace(file, Optional.empty(), stored.get());
        }
    }

    /** Brings slots of keys over that were added, and takes those away that were removed; the last one stays. */
    private void settleSlots(Vault from, Vault to) throws IOException {
        Set<String> source = new TreeSet<>(from.backend().list("keys"));
        Set<String> target = new TreeSet<>(to.backend().list("keys"));
        List<String> added = new ArrayList<>();
        for (String name : source) {
            if (!target.contains(name) && (options.resend() || !common.knows(mark(name)))) {
                added.add(name);
            }
        }
        try {
            Replica.copySlots(from, to.backend(), added);
        } catch (DamagedException e) {
            damaged.add(String.valueOf(e.getMessage()));
        }
        boolean stays = !source.isEmpty();
        for (String name : source) {
            stays &= to.backend().size(name).isPresent();
        }
        for (String name : target) {
            if (stays && !source.contains(name) && common.knows(mark(name))) {
                to.backend().delete(name);
            }
        }
    }

    private static long mark(String name) {
        byte[] bytes = name.getBytes(java.nio.charset.StandardCharsets.UTF_8);
        return ChunkTransfer.mark(ObjectSealer.hash(bytes, bytes.length));
    }

    // ---- where sessions stand

    private void settleAll(Set<SessionId> chosen, boolean push, boolean pull) throws IOException {
        Set<String> files = new TreeSet<>(here.backend().list("sessions"));
        files.addAll(there.backend().list("sessions"));
        List<SessionId> inBoth = new ArrayList<>();
        List<SessionId> inOne = new ArrayList<>();
        for (String file : files) {
            if (!file.endsWith("/head")) {
                continue;
            }
            SessionId session = Vault.sessionOf(file);
            if (!chosen.isEmpty() && !chosen.contains(session)) {
                continue;
            }
            boolean both = here.backend().size(file).isPresent()
                    && there.backend().size(file).isPresent();
            (both ? inBoth : inOne).add(session);
        }
        // Those that are in both may get another name, which makes room for the new ones.
        for (SessionId session : inBoth) {
            settle(session, push, pull);
        }
        for (SessionId session : inOne) {
            bring(session, push, pull);
        }
    }

    /** A session that only one copy has. */
    private void bring(SessionId session, boolean push, boolean pull) throws IOException {
        Optional<Vault.StoredHead> first = here.readHead(session);
        Vault from = first.isPresent() ? here : there;
        Vault to = first.isPresent() ? there : here;
        Optional<Vault.StoredHead> head = first.isPresent() ? first : there.readHead(session);
        if (head.isEmpty() || !(to == there ? push : pull)) {
            return;
        }
        if (isRemoved(from, to, session)) {
            removed.add(head.get().head().name());
            return;
        }
        if (stand(to, head.get(), Optional.empty())) {
            mirrorLease(from, to, session);
            noteStood(session);
        }
    }

    /** A session that both have. */
    private void settle(SessionId session, boolean push, boolean pull) throws IOException {
        Optional<Vault.StoredHead> read = here.readHead(session);
        Optional<Vault.StoredHead> readThere = there.readHead(session);
        if (read.isEmpty() || readThere.isEmpty()) {
            return; // removed just now
        }
        Vault.StoredHead a = read.get();
        Vault.StoredHead b = readThere.get();
        if (!Arrays.equals(a.stored(), b.stored())) {
            Optional<SnapshotId> atA = a.head().snapshot();
            Optional<SnapshotId> atB = b.head().snapshot();
            Lineage.Order order = lineage.order(session, atA, atB, common);
            boolean aWins = switch (order) {
                case FIRST_IS_NEWER -> true;
                case SECOND_IS_NEWER -> false;
                case SAME -> hasMoreChanges(a, b);
                case DIVERGED -> keepsItsPlace(a, b);
            };
            Vault.StoredHead winner = aWins ? a : b;
            Vault.StoredHead loser = aWins ? b : a;
            boolean settled = order == Lineage.Order.DIVERGED
                    ? diverged(winner, loser, aWins ? there : here, aWins ? here : there, push, pull)
                    : follow(winner, loser, aWins ? there : here, aWins ? here : there, push, pull);
            if (!settled) {
                return;
            }
        }
        if (push) {
            mirrorLease(here, there, session);
        }
        if (pull) {
            mirrorLease(there, here, session);
        }
        noteStood(session);
    }

    private boolean isTarget(Vault vault, boolean push, boolean pull) {
        return vault == there ? push : pull;
    }

    /** Of two lines the one that is no branch yet, else the one with more changes: so that it stays at what was decided once. */
    private boolean keepsItsPlace(Vault.StoredHead a, Vault.StoredHead b) throws IOException {
        boolean aIsBranch = isBranch(a, b);
        return aIsBranch == isBranch(b, a) ? hasMoreChanges(a, b) : !aIsBranch;
    }

    private boolean isBranch(Vault.StoredHead line, Vault.StoredHead other) throws IOException {
        SnapshotId parting = lineage.parting(
                line.head().snapshot().orElseThrow(), other.head().snapshot().orElseThrow());
        String file = Vault.headFile(branchId(here, line.head().id(), parting));
        return here.backend().size(file).isPresent()
                || there.backend().size(file).isPresent();
    }

    /** The same one, whoever asks. */
    private static boolean hasMoreChanges(Vault.StoredHead a, Vault.StoredHead b) {
        if (a.head().generation() != b.head().generation()) {
            return a.head().generation() > b.head().generation();
        }
        int order = String.valueOf(a.head().snapshot())
                .compareTo(String.valueOf(b.head().snapshot()));
        if (order == 0) {
            order = Bytes.hex(hashOf(a)).compareTo(Bytes.hex(hashOf(b)));
        }
        return order > 0;
    }

    private static long hashOf(Vault.StoredHead head) {
        return ChunkTransfer.mark(ObjectSealer.hash(head.stored(), head.stored().length));
    }

    /** Has the copy that is behind stand where the other one does. @return whether both now do, or need not */
    private boolean follow(
            Vault.StoredHead winner, Vault.StoredHead loser, Vault behind, Vault ahead, boolean push, boolean pull)
            throws IOException {
        if (!isTarget(behind, push, pull)) {
            return false;
        }
        if (lacksSnapshot(behind, winner)) {
            return false;
        }
        boolean sameNumber = winner.head().generation() <= loser.head().generation();
        if (!sameNumber) {
            return stand(behind, winner, Optional.of(loser));
        }
        // Every host has to see a head that is newer than both.
        Vault.StoredHead next = renumbered(behind, winner, loser);
        boolean settled = stand(behind, next, Optional.of(loser));
        if (settled && isTarget(ahead, push, pull)) {
            settled = stand(ahead, next, Optional.of(winner));
        }
        return settled;
    }

    /** Of one that was carried it is damaged, and told of. */
    private boolean lacksSnapshot(Vault vault, Vault.StoredHead head) throws IOException {
        Optional<SnapshotId> snapshot = head.head().snapshot();
        if (snapshot.isEmpty()
                || vault.backend().size(Vault.snapshotFile(snapshot.get())).isPresent()) {
            return false;
        }
        if (!carried.contains(snapshot.get())) {
            goneOn.add(head.head().name());
        }
        return true;
    }

    /** What the winner's head says, with a number above the loser's. */
    private static Vault.StoredHead renumbered(Vault sealing, Vault.StoredHead winner, Vault.StoredHead loser) {
        Head said = winner.head();
        Head next = new Head(
                said.id(),
                said.name(),
                Math.max(said.generation(), loser.head().generation()) + 1,
                said.snapshot(),
                said.settings());
        long epoch = Math.max(winner.leaseEpoch(), loser.leaseEpoch());
        return new Vault.StoredHead(next, epoch, sealing.sealHead(next, epoch));
    }

    /** @return whether every copy that is written to has both lines now */
    private boolean diverged(
            Vault.StoredHead winner, Vault.StoredHead loser, Vault losing, Vault winning, boolean push, boolean pull)
            throws IOException {
        boolean settled = true;
        if (isTarget(losing, push, pull)) {
            if (isHeld(losing, loser.head().id())) {
                waiting.add(loser.head().name());
                settled = false;
            } else if (lacksSnapshot(losing, winner)) {
                settled = false;
            } else {
                branch(losing, winner, loser, 0);
                settled = follow(winner, loser, losing, winning, push, pull);
            }
        }
        if (isTarget(winning, push, pull) && !lacksSnapshot(winning, loser)) {
            branch(winning, winner, loser, 0);
        }
        return settled && isTarget(losing, push, pull);
    }

    /** Has a copy hold the loser's line as a session of its own. */
    private void branch(Vault in, Vault.StoredHead winner, Vault.StoredHead loser, int depth) throws IOException {
        SnapshotId tip = loser.head().snapshot().orElseThrow();
        SnapshotId parting = lineage.parting(tip, winner.head().snapshot().orElseThrow());
        SessionId id = branchId(in, winner.head().id(), parting);
        Optional<Vault.StoredHead> present = in.readHead(id);
        Instant when = lineage.find(parting).map(Snapshot::created).orElse(Instant.EPOCH);
        String name = branchName(loser.head().name() + "~" + minute(when), in, id);
        Optional<Vault.StoredHead> other = (in == here ? there : here).readHead(id);
        if (present.isEmpty() && other.isPresent() && isOrDescendsFrom(other.get(), loser)) {
            if (stand(in, other.get(), Optional.empty())) {
                branches.add(new Branch(
                        other.get().head().name(),
                        winner.head().name(),
                        in.backend().location()));
            }
            return;
        }
        if (present.isEmpty()) {
            Head first =
                    Head.first(id, name, loser.head().snapshot(), loser.head().settings());
            Vault.StoredHead made = new Vault.StoredHead(first, 0, in.sealHead(first, 0));
            if (stand(in, made, Optional.empty())) {
                branches.add(new Branch(name, winner.head().name(), in.backend().location()));
            }
            return;
        }
        Head stands = present.get().head();
        switch (lineage.order(id, loser.head().snapshot(), stands.snapshot(), Common.NOTHING)) {
            case SAME, SECOND_IS_NEWER -> {
                return;
            }
            case FIRST_IS_NEWER -> {
                Head next = stands.next(loser.head().snapshot(), stands.settings());
                long epoch = present.get().leaseEpoch();
                if (stand(in, new Vault.StoredHead(next, epoch, in.sealHead(next, epoch)), present)) {
                    branches.add(new Branch(
                            next.name(), winner.head().name(), in.backend().location()));
                }
            }
            case DIVERGED -> {
                // The branch itself has gone on here: then this is a branch of it.
                if (depth < BRANCH_DEPTH_MAX) {
                    branch(in, present.get(), loser, depth + 1);
                } else {
                    waiting.add(loser.head().name());
                }
            }
        }
    }

    private boolean isOrDescendsFrom(Vault.StoredHead branch, Vault.StoredHead line) throws IOException {
        Lineage.Order order = lineage.order(
                branch.head().id(), branch.head().snapshot(), line.head().snapshot(), Common.NOTHING);
        return order == Lineage.Order.SAME || order == Lineage.Order.FIRST_IS_NEWER;
    }

    private static SessionId branchId(Vault vault, SessionId session, SnapshotId parting) {
        byte[] context = new byte[16 + 32];
        Bytes.putLong(context, 0, session.high());
        Bytes.putLong(context, 8, session.low());
        Bytes.putLong(context, 16, parting.a());
        Bytes.putLong(context, 24, parting.b());
        Bytes.putLong(context, 32, parting.c());
        Bytes.putLong(context, 40, parting.d());
        try (SecretBytes derived = vault.deriveKey("satchel branch", context)) {
            return new SessionId(
                    derived.segment().get(Bytes.LONG, 0), derived.segment().get(Bytes.LONG, 8));
        }
    }

    /** In UTC, so that it is the same on all hosts. */
    private static String minute(Instant when) {
        ZonedDateTime utc = when.atZone(ZoneOffset.UTC);
        return digits(utc.getYear(), 4) + digits(utc.getMonthValue(), 2) + digits(utc.getDayOfMonth(), 2) + "-"
                + digits(utc.getHour(), 2) + digits(utc.getMinute(), 2);
    }

    private static String digits(int number, int count) {
        String text = Integer.toString(number);
        return "0".repeat(Math.max(0, count - text.length())) + text;
    }

    private static boolean isHeld(Vault vault, SessionId session) throws IOException {
        return vault.holder(session).isPresent();
    }

    /**
     * Replaces the head of a session that nobody runs in that copy.
     *
     * @param present what is there now
     * @return false when somebody runs it there, or has changed it just now
     */
    private boolean stand(Vault in, Vault.StoredHead next, Optional<Vault.StoredHead> present) throws IOException {
        SessionId session = next.head().id();
        if (lacksSnapshot(in, next)) {
            return false;
        }
        if (present.isPresent() && Arrays.equals(present.get().stored(), next.stored())) {
            return true;
        }
        Optional<Fence> fence = fence(in, session);
        if (fence.isEmpty()) {
            waiting.add(next.head().name());
            return false;
        }
        try {
            return replace(in, next, present);
        } finally {
            unfence(in, session, fence.get());
        }
    }

    private boolean replace(Vault in, Vault.StoredHead next, Optional<Vault.StoredHead> present) throws IOException {
        SessionId session = next.head().id();
        Head named = withFreeName(in, next.head());
        byte[] stored = next.stored();
        if (!named.equals(next.head())) {
            stored = in.sealHead(named, next.leaseEpoch());
        }
        String nameFile = in.nameFile(Vault.NAME_OF_SESSION, named.name());
        in.reserveName(nameFile, named.name(), session);
        if (named.snapshot().isPresent()) {
            // It may be there by a sync that was killed before its name was safe.
            in.backend().settle(Vault.snapshotFile(named.snapshot().get()));
        }
        if (!in.backend().replace(Vault.headFile(session), present.map(Vault.StoredHead::stored), stored)) {
            waiting.add(named.name());
            return false;
        }
        if (present.isPresent() && !present.get().head().name().equals(named.name())) {
            in.releaseName(
                    in.nameFile(Vault.NAME_OF_SESSION, present.get().head().name()), session.high(), session.low());
        }
        if (named.snapshot().isPresent() && !in.stays(named.snapshot().get())) {
            // Somebody removes it just now. The next sync brings it again. Who looks for what is named may have seen
            // this head, and must
            // not see an older generation after it.
            if (present.isPresent()) {
                Head was = present.get().head();
                Head again = new Head(session, named.name(), named.generation() + 1, was.snapshot(), was.settings());
                boolean ignored = in.backend()
                        .replace(
                                Vault.headFile(session),
                                Optional.of(stored),
                                in.sealHead(again, present.get().leaseEpoch()));
            } else {
                in.backend().delete(Vault.headFile(session));
            }
            waiting.add(named.name());
            return false;
        }
        in.witness().observe(in.id(), session, named.generation(), ObjectSealer.hash(stored, stored.length));
        written.computeIfAbsent(in, _ -> new HashMap<>()).put(Vault.headFile(session), stored);
        bytesSent += stored.length;
        headsMoved++;
        return true;
    }

    /** The name that a session has in a copy in which another session may have the same: then the one with the larger id gets another. */
    private Head withFreeName(Vault in, Head next) throws IOException {
        Optional<Head> other = in.head(next.name());
        if (other.isEmpty() || other.get().id().equals(next.id())) {
            return next;
        }
        if (next.id().toString().compareTo(other.get().id().toString()) < 0 && rename(in, other.get())) {
            return next;
        }
        return new Head(
                next.id(),
                distinct(in, next.name(), next.id()),
                next.generation() + 1,
                next.snapshot(),
                next.settings());
    }

    private boolean rename(Vault in, Head head) throws IOException {
        Optional<Vault.StoredHead> present = in.readHead(head.id());
        if (present.isEmpty()) {
            return true;
        }
        Head next = new Head(
                head.id(),
                distinct(in, head.name(), head.id()),
                head.generation() + 1,
                head.snapshot(),
                head.settings());
        long epoch = present.get().leaseEpoch();
        return stand(in, new Vault.StoredHead(next, epoch, in.sealHead(next, epoch)), present);
    }

    /** The name with as many digits of the id as it takes for nobody else in that copy to have it. */
    private static String distinct(Vault in, String name, SessionId id) throws IOException {
        String digits = id.toString();
        for (int count = SUFFIX_DIGITS; count < digits.length(); count *= 2) {
            String candidate = name + "~" + digits.substring(0, count);
            Optional<Head> other = in.head(candidate);
            if (other.isEmpty() || other.get().id().equals(id)) {
                return candidate;
            }
        }
        return name + "~" + digits;
    }

    /** A branch's name; longer when another session has it. */
    private static String branchName(String name, Vault in, SessionId id) throws IOException {
        Optional<Head> other = in.head(name);
        return other.isPresent() && !other.get().id().equals(id) ? distinct(in, name, id) : name;
    }

    // ---- leases

    /** Keeps hosts from taking a session in a copy while its head is replaced. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Fence(Optional<Vault.StoredLease> before, byte[] stored) {}

    /** @return empty when a host has the session there; a fence of nothing when nobody knows of it yet */
    private Optional<Fence> fence(Vault in, SessionId session) throws IOException {
        String file = Vault.leaseFile(session);
        while (true) {
            Optional<byte[]> present = in.backend().get(file, Vault.OBJECT_BYTES_MAX);
            if (present.isEmpty() && in.backend().size(Vault.headFile(session)).isEmpty()) {
                return Optional.of(new Fence(Optional.empty(), new byte[0]));
            }
            Optional<Vault.StoredLease> lease = Optional.empty();
            if (present.isPresent()) {
                lease = Optional.of(in.openLease(session, present.get()));
                if (lease.get().held()) {
                    return Optional.empty();
                }
            }
            long epoch = lease.map(stored -> stored.holder().epoch()).orElse(0L);
            LeaseHolder syncing =
                    new LeaseHolder(host, hostName, Instant.ofEpochMilli(System.currentTimeMillis()), epoch);
            byte[] fence = in.sealLease(session, syncing, Vault.LeaseState.MOVING);
            if (in.backend().replace(file, present, fence)) {
                return Optional.of(new Fence(lease, fence));
            }
        }
    }

    private static void unfence(Vault in, SessionId session, Fence fence) throws IOException {
        if (fence.stored().length == 0) {
            return;
        }
        Vault.StoredLease stored = in.openLease(session, fence.stored());
        Vault.StoredLease before = fence.before()
                .filter(lease -> lease.state() == Vault.LeaseState.ELSEWHERE)
                .orElse(new Vault.StoredLease(stored.holder(), Vault.LeaseState.FREE));
        // False: somebody has taken it over, and knows what they do.
        boolean ignored = in.backend()
                .replace(
                        Vault.leaseFile(session),
                        Optional.of(fence.stored()),
                        in.sealLease(session, before.holder(), before.state()));
    }

    /** Notes in a copy whether a session runs in another one, as far as the other one knows better. */
    private void mirrorLease(Vault from, Vault to, SessionId session) throws IOException {
        String file = Vault.leaseFile(session);
        Optional<byte[]> source = from.backend().get(file, Vault.OBJECT_BYTES_MAX);
        Optional<byte[]> target = to.backend().get(file, Vault.OBJECT_BYTES_MAX);
        Optional<Vault.StoredLease> there =
                target.isPresent() ? Optional.of(to.openLease(session, target.get())) : Optional.empty();
        Optional<Vault.StoredLease> known =
                source.isPresent() ? Optional.of(from.openLease(session, source.get())) : Optional.empty();
        boolean runs = known.isPresent() && (known.get().held() || known.get().state() == Vault.LeaseState.ELSEWHERE);
        Vault.LeaseState state = runs ? Vault.LeaseState.ELSEWHERE : Vault.LeaseState.FREE;
        if (there.isEmpty() ? !runs : (there.get().held() || !knowsBetter(known, there.get(), state))) {
            return;
        }
        LeaseHolder holder = known.or(() -> there).orElseThrow().holder();
        // Who takes the session just now is right.
        boolean ignored = to.backend().replace(file, target, to.sealLease(session, holder, state));
    }

    private static boolean knowsBetter(
            Optional<Vault.StoredLease> known, Vault.StoredLease there, Vault.LeaseState state) {
        if (there.state() == Vault.LeaseState.MOVING) {
            return true;
        }
        long epoch = known.map(lease -> lease.holder().epoch()).orElse(0L);
        if (state == Vault.LeaseState.FREE) {
            return there.state() == Vault.LeaseState.ELSEWHERE
                    && epoch >= there.holder().epoch();
        }
        boolean same = there.state() == Vault.LeaseState.ELSEWHERE
                && known.isPresent()
                && there.holder().equals(known.get().holder());
        boolean holds = known.isPresent() && known.get().held();
        return !same && (holds || epoch > there.holder().epoch());
    }

    // ---- what is noted for the next time

    private void noteStood(SessionId session) throws IOException {
        Optional<SnapshotId> a = here.head(session).flatMap(Head::snapshot);
        if (a.isPresent() && a.equals(there.head(session).flatMap(Head::snapshot))) {
            stood.put(session, a.get());
        }
    }

    private void note(Vault in, Vault of) throws IOException {
        Map<SessionId, SnapshotId> all = new HashMap<>();
        common.stood().forEach((session, snapshots) -> all.put(session, snapshots.getLast()));
        all.putAll(stood);
        Set<Long> marks = new TreeSet<>();
        for (String kind : List.of("snapshots", "images", "keys")) {
            Set<String> source = new HashSet<>(of.backend().list(kind));
            Set<String> target = new HashSet<>(in.backend().list(kind));
            Set<String> both = new HashSet<>(source);
            both.addAll(target);
            for (String name : both) {
                long mark = kind.equals("keys")
                        ? mark(name)
                        : Bytes.parseHex(name.substring(kind.length() + 1), name.length() - kind.length() - 1, 0);
                if ((source.contains(name) && target.contains(name)) || common.knows(mark)) {
                    marks.add(mark);
                }
            }
        }
        long[] known = new long[marks.size()];
        int i = 0;
        for (long mark : marks) {
            known[i++] = mark;
        }
        if (Common.isNoted(in, of.replica(), all, known)) {
            return;
        }
        makeSafe(in, all);
        Common.write(in, of.replica(), all, known);
    }

    /** What was there before this sync may have come by one that was killed before the names of what it had stored were safe. */
    private static void makeSafe(Vault in, Map<SessionId, SnapshotId> stood) throws IOException {
        for (String kind : List.of("snapshots", "images", "keys", "names")) {
            List<String> names = in.backend().list(kind);
            if (!names.isEmpty()) {
                in.backend().settle(names.getFirst());
            }
        }
        for (SessionId session : stood.keySet()) {
            in.backend().settle(Vault.headFile(session));
        }
    }
}
