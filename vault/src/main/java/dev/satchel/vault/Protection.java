package dev.satchel.vault;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What must stay although nothing names it yet ({@link Pin pins}), and what somebody is about to remove ({@link Intent intents}).
 *
 * <p>Nobody's clock is asked and nobody waits: who wants to keep something writes a pin and then looks for intents and at what is
 * left; who wants to remove something writes an intent and then looks for pins, snapshots, images and heads. Whatever the order, one
 * of the two sees the other. A remover that sees keeps what it saw; a keeper that sees stores again what it lacks. See FORMAT.md,
 * "Rules for removing".
 */
final class Protection {
    private static final String PINS = "pins";
    private static final String INTENTS = "intents";

    /** The last part of a volume's pin. */
    private static final String VOLUME = "volume";

    /** The last part of the pin of a volume in another copy, before the id of that copy. */
    private static final String VOLUME_ELSEWHERE = "volume-";

    private final Backend backend;
    private final ObjectSealer sealer;

    Protection(Backend backend, ObjectSealer sealer) {
        this.backend = backend;
        this.sealer = sealer;
    }

    /**
     * A pin that was found.
     *
     * @param maps whose nodes and chunks must stay
     * @param domains whose packs must stay, though their keys may not be in the vault yet
     */
    record Pinned(String file, SessionId owner, List<ChunkMapRef> maps, Set<KeyDomainId> domains) {
        /** Whether it belongs to a log, and stays as long as that. */
        boolean ofVolume() {
            return file.endsWith("/" + VOLUME);
        }

        /** Whether it belongs to a log in another copy, and stays as long as the session is held there; what it names may not have arrived. */
        boolean ofVolumeElsewhere() {
            return file.contains("/" + VOLUME_ELSEWHERE);
        }
    }

    /**
     * An intent that was found.
     *
     * @param packs names of packs that nothing may come to depend on any more
     * @param snapshots that nothing may come to name any more
     */
    record Intent(String file, Set<String> packs, Set<SnapshotId> snapshots) {}

    // ---- pins

    Pin pin(SessionId owner, Collection<ChunkMapRef> maps, Set<KeyDomainId> domains) throws IOException {
        String file = PINS + "/" + owner + "/" + SessionId.random();
        try (Arena arena = Arena.ofConfined()) {
            backend.putIfAbsent(file, arena.allocateFrom(JAVA_BYTE, sealPin(file, maps, domains)));
        }
        return new Pin(backend, file);
    }

    static String volumePin(SessionId owner) {
        return PINS + "/" + owner + "/" + VOLUME;
    }

    void pinVolume(SessionId owner, Collection<ChunkMapRef> maps) throws IOException {
        String file = volumePin(owner);
        Optional<byte[]> present = backend.get(file, Vault.OBJECT_BYTES_MAX);
        if (!backend.replace(file, present, sealPin(file, maps, Set.of()))) {
            throw new IOException("the volume of session " + owner
                    + " is being written by another process: suspend the session there");
        }
    }

    void unpinVolume(SessionId owner) throws IOException {
        backend.delete(volumePin(owner));
    }

    static String volumePin(SessionId owner, ReplicaId copy) {
        return PINS + "/" + owner + "/" + VOLUME_ELSEWHERE + copy;
    }

    /**
     * Keeps what has arrived of what a session's log in another copy is over. Nothing counts on it: what has gone all the same is brought again.
     *
     * @return false when another process does the same just now
     */
    boolean pinVolume(SessionId owner, ReplicaId copy, Collection<ChunkMapRef> maps) throws IOException {
        String file = volumePin(owner, copy);
        Optional<byte[]> present = backend.get(file, Vault.OBJECT_BYTES_MAX);
        return backend.replace(file, present, sealPin(file, maps, Set.of()));
    }

    private byte[] sealPin(String file, Collection<ChunkMapRef> maps, Set<KeyDomainId> domains) {
        Encoder out = new Encoder().u32(maps.size());
        for (ChunkMapRef map : maps) {
            out.mapRef(map);
        }
        out.u32(domains.size());
        for (KeyDomainId domain : domains) {
            out.u64(domain.high()).u64(domain.low());
        }
        return sealer.seal(ObjectSealer.Kind.PIN, file, out.toBytes());
    }

    /** All pins there are. One that is taken back while they are read may be among them or not. */
    List<Pinned> pins() throws IOException {
        List<Pinned> pins = new ArrayList<>();
        for (String file : backend.list(PINS)) {
            pin(file).ifPresent(pins::add);
        }
        return pins;
    }

    /** A pin, if it is still there. */
    Optional<Pinned> pin(String file) throws IOException {
        Optional<Decoder> opened = open(ObjectSealer.Kind.PIN, file, "the pin in " + file);
        if (opened.isEmpty()) {
            return Optional.empty();
        }
        Decoder in = opened.get();
        List<ChunkMapRef> maps = new ArrayList<>();
        for (int left = count(in); left > 0; left--) {
            maps.add(in.mapRef());
        }
        Set<KeyDomainId> domains = new HashSet<>();
        for (int left = count(in); left > 0; left--) {
            domains.add(new KeyDomainId(in.u64(), in.u64()));
        }
        in.end();
        return Optional.of(new Pinned(file, Vault.sessionOf(file), maps, domains));
    }

    /** What is in an object, if it is still there. */
    private Optional<Decoder> open(ObjectSealer.Kind kind, String file, String shown) throws IOException {
        Optional<byte[]> stored = backend.get(file, Vault.OBJECT_BYTES_MAX);
        return stored.isEmpty()
                ? Optional.empty()
                : Optional.of(new Decoder(sealer.open(kind, file, stored.get(), shown), shown));
    }

    private static int count(Decoder in) throws DamagedException {
        int count = in.u32();
        if (count < 0 || count > Vault.OBJECT_BYTES_MAX) {
            throw in.malformed();
        }
        return count;
    }

    // ---- intents

    /** Says what is to go; durable. */
    Intent announce(Collection<Pack> packs, Collection<SnapshotId> snapshots) throws IOException {
        String file = INTENTS + "/" + SessionId.random();
        Encoder out = new Encoder().u32(packs.size());
        Set<String> names = new HashSet<>();
        for (Pack pack : packs) {
            out.u64(pack.domain().high())
                    .u64(pack.domain().low())
                    .u64(pack.high())
                    .u64(pack.low());
            names.add(pack.name());
        }
        out.u32(snapshots.size());
        for (SnapshotId snapshot : snapshots) {
            out.snapshotId(Optional.of(snapshot));
        }
        byte[] stored = sealer.seal(ObjectSealer.Kind.INTENT, file, out.toBytes());
        try (Arena arena = Arena.ofConfined()) {
            backend.putIfAbsent(file, arena.allocateFrom(JAVA_BYTE, stored));
        }
        return new Intent(file, names, Set.copyOf(snapshots));
    }

    void withdraw(Intent intent) throws IOException {
        backend.delete(intent.file());
    }

    List<Intent> intents() throws IOException {
        List<Intent> intents = new ArrayList<>();
        for (String file : backend.list(INTENTS)) {
            intent(file).ifPresent(intents::add);
        }
        return intents;
    }

    /** An intent, if it is still there. */
    Optional<Intent> intent(String file) throws IOException {
        Optional<Decoder> opened = open(ObjectSealer.Kind.INTENT, file, "the intent in " + file);
        if (opened.isEmpty()) {
            return Optional.empty();
        }
        Decoder in = opened.get();
        Set<String> packs = new HashSet<>();
        for (int left = count(in); left > 0; left--) {
            KeyDomainId domain = new KeyDomainId(in.u64(), in.u64());
            packs.add(new Pack(domain, in.u64(), in.u64(), new byte[0]).name());
        }
        Set<SnapshotId> snapshots = new HashSet<>();
        for (int left = count(in); left > 0; left--) {
            snapshots.add(in.snapshotId().orElseThrow(in::malformed));
        }
        in.end();
        return Optional.of(new Intent(file, packs, snapshots));
    }

    /** Names of packs that nothing may come to depend on any more. */
    Set<String> condemned() throws IOException {
        Set<String> condemned = new HashSet<>();
        for (Intent intent : intents()) {
            condemned.addAll(intent.packs());
        }
        return condemned;
    }

    boolean isCondemned(SnapshotId snapshot) throws IOException {
        for (Intent intent : intents()) {
            if (intent.snapshots().contains(snapshot)) {
                return true;
            }
        }
        return false;
    }

    // ---- the keeper's look, after its pin

    /**
     * Sees to it that all of these maps is in packs that stay. To be called after a pin that names them: one look is enough, as who
     * announces anything after the pin sees the pin.
     *
     * @param batch that stored what is new in them, the rest being named by something else that stays until the caller is done
     * @throws CollectedException when something is gone
     */
    static void secure(ChunkStore chunks, Collection<ChunkMapRef> maps, ChunkWriter batch) throws IOException {
        if (!(batch instanceof ChunkBatch known && stay(chunks, known.dependedOn()))) {
            storeAgain(chunks, maps);
        }
    }

    private static boolean stay(ChunkStore chunks, Set<Pack> packs) throws IOException {
        Set<KeyDomainId> domains = new HashSet<>();
        for (Pack pack : packs) {
            domains.add(pack.domain());
        }
        for (KeyDomainId domain : domains) {
            chunks.refresh(chunks.domain(domain));
        }
        for (Pack pack : packs) {
            if (!chunks.domain(pack.domain()).mayBeDependedOn(pack)) {
                return false;
            }
        }
        return true;
    }

    /** Copies out of condemned packs what these maps need of them. */
    private static void storeAgain(ChunkStore chunks, Collection<ChunkMapRef> maps) throws IOException {
        try (Copies copies = new Copies(chunks)) {
            for (ChunkMapRef map : maps) {
                ChunkMap.walk(chunks, map, new ChunkMap.Walker() {
                    @Override
                    public boolean node(ChunkRef ref) throws IOException {
                        chunk(ref);
                        return true;
                    }

                    @Override
                    public void chunk(ChunkRef ref) throws IOException {
                        ChunkIndex index = chunks.domain(ref.domain()).index();
                        if (index.dependable(ref.id()) != null) {
                            return;
                        }
                        if (index.find(ref.id()) == null) {
                            throw gone();
                        }
                        try {
                            copies.add(ref);
                        } catch (DamagedException e) {
                            if (index.find(ref.id()) == null) {
                                CollectedException gone = gone();
                                gone.addSuppressed(e);
                                throw gone;
                            }
                            throw e;
                        }
                    }
                });
            }
            copies.commit();
        }
    }

    private static CollectedException gone() {
        return new CollectedException(
                "a garbage collection removed some of what was just being stored: nothing is lost, try it again");
    }

    /** Chunks being stored again, in new packs. */
    static final class Copies implements AutoCloseable {
        private final ChunkStore chunks;
        private final Map<KeyDomainId, ChunkWriter> writers = new HashMap<>();
        private final Arena arena = Arena.ofConfined();
        private @Nullable MemorySegment buffer;

        Copies(ChunkStore chunks) {
            this.chunks = chunks;
        }

        /** Copies a chunk, unless a pack that stays has it. */
        void add(ChunkRef ref) throws IOException {
            MemorySegment target = buffer;
            if (target == null) {
                target = arena.allocate(ChunkRef.LENGTH_MAX, 64);
                buffer = target;
            }
            ChunkWriter writer = writers.get(ref.domain());
            if (writer == null) {
                writer = chunks.writer(chunks.domain(ref.domain()).keys());
                writers.put(ref.domain(), writer);
            }
            int length = chunks.read(ref, target);
            ChunkRef copy = writer.put(target.asSlice(0, length));
            if (!copy.equals(ref)) {
                throw new DamagedException("chunk " + ref.id() + " of domain " + ref.domain() + " in "
                        + chunks.location() + " is not what its name says: put its pack back from a copy of the vault");
            }
        }

        /** Makes the copies durable. @return bytes of the packs that they are in */
        long commit() throws IOException {
            long bytes = 0;
            for (ChunkWriter writer : writers.values()) {
                bytes += writer.commit().bytesNew();
            }
            return bytes;
        }

        @Override
        public void close() throws IOException {
            arena.close();
            for (ChunkWriter writer : writers.values()) {
                writer.close();
            }
        }
    }
}
