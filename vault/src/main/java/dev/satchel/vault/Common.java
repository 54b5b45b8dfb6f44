package dev.satchel.vault;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What two copies of a vault had in common when one was last brought up to date from the other: the snapshots that both had their
 * sessions stand at, and the objects that both had. It tells what has gone on since on which side, also when the snapshots in between were
 * removed, and what was removed on one side from what never came there. Kept in either copy under the other's id.
 *
 * @param stood where sessions stood in both
 * @param known first eight bytes of the names of objects that both had, ascending
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record Common(Map<SessionId, List<SnapshotId>> stood, long[] known) {
    static final Common NOTHING = new Common(Map.of(), new long[0]);

    /** More would not fit into an object; those beyond may be sent again after they were removed. */
    private static final int KNOWN_MAX = 400_000;

    private static final int SESSIONS_MAX = 10_000;

    static String file(ReplicaId other) {
        return "replicas/" + other;
    }

    boolean knows(long mark) {
        return Arrays.binarySearch(known, mark) >= 0;
    }

    boolean stoodAt(SessionId session, Optional<SnapshotId> snapshot) {
        return snapshot.isPresent() && stood.getOrDefault(session, List.of()).contains(snapshot.get());
    }

    /** What the copy has noted of another one. */
    static Common read(Vault vault, ReplicaId other) throws IOException {
        String file = file(other);
        Optional<byte[]> stored = vault.backend().get(file, Vault.OBJECT_BYTES_MAX);
        return stored.isEmpty() ? NOTHING : parse(vault, file, stored.get());
    }

    /** @throws VaultException when a note that is there is not as it was stored */
    static void check(Vault vault, String file) throws IOException {
        Optional<byte[]> stored = vault.backend().get(file, Vault.OBJECT_BYTES_MAX);
        if (stored.isPresent()) {
            Common _ = parse(vault, file, stored.get());
        }
    }

    /** @throws VaultException when it is not as it was stored */
    static Common parse(Vault vault, String file, byte[] stored) throws VaultException {
        String shown = "the file " + file;
        Decoder in = new Decoder(vault.sealer().open(ObjectSealer.Kind.COMMON, file, stored, shown), shown);
        int sessions = in.u32();
        if (sessions < 0 || sessions > SESSIONS_MAX) {
            throw in.malformed();
        }
        Map<SessionId, List<SnapshotId>> stood = new HashMap<>();
        for (int i = 0; i < sessions; i++) {
            stood.put(in.sessionId(), List.of(new SnapshotId(in.u64(), in.u64(), in.u64(), in.u64())));
        }
        int count = in.u32();
        if (count < 0 || count > KNOWN_MAX) {
            throw in.malformed();
        }
        long[] known = new long[count];
        for (int i = 0; i < count; i++) {
            known[i] = in.u64();
        }
        in.end();
        Arrays.sort(known);
        return new Common(stood, known);
    }

    /** Both taken together: what either side has noted was so once. */
    Common with(Common other) {
        Map<SessionId, List<SnapshotId>> both = new HashMap<>(stood);
        other.stood.forEach((session, snapshots) -> both.merge(session, snapshots, (a, b) -> {
            List<SnapshotId> all = new ArrayList<>(a);
            all.addAll(b);
            return all;
        }));
        long[] marks = Arrays.copyOf(known, known.length + other.known.length);
        System.arraycopy(other.known, 0, marks, known.length, other.known.length);
        Arrays.sort(marks);
        return new Common(both, marks);
    }

    /** Whether that is what is stored. */
    static boolean isNoted(Vault vault, ReplicaId other, Map<SessionId, SnapshotId> stood, long[] known)
            throws IOException {
        String file = file(other);
        Optional<byte[]> present = vault.backend().get(file, Vault.OBJECT_BYTES_MAX);
        return present.isPresent()
                && Arrays.equals(
                        payload(stood, known),
                        vault.sealer().open(ObjectSealer.Kind.COMMON, file, present.get(), file));
    }

    /** Stores it. */
    static void write(Vault vault, ReplicaId other, Map<SessionId, SnapshotId> stood, long[] known) throws IOException {
        String file = file(other);
        Optional<byte[]> present = vault.backend().get(file, Vault.OBJECT_BYTES_MAX);
        // Whoever else writes it just now writes what is as true.
        boolean ignored = vault.backend()
                .replace(file, present, vault.sealer().seal(ObjectSealer.Kind.COMMON, file, payload(stood, known)));
    }

    private static byte[] payload(Map<SessionId, SnapshotId> stood, long[] known) {
        List<SessionId> sessions = new ArrayList<>(stood.keySet());
        sessions.sort((a, b) -> a.toString().compareTo(b.toString()));
        int count = Math.min(sessions.size(), SESSIONS_MAX);
        Encoder out = new Encoder().u32(count);
        for (SessionId session : sessions.subList(0, count)) {
            SnapshotId snapshot = requireNonNull(stood.get(session));
            out.u64(session.high()).u64(session.low());
            out.u64(snapshot.a()).u64(snapshot.b()).u64(snapshot.c()).u64(snapshot.d());
        }
        int marks = Math.min(known.length, KNOWN_MAX);
        out.u32(marks);
        for (int i = 0; i < marks; i++) {
            out.u64(known[i]);
        }
        return out.toBytes();
    }
}
