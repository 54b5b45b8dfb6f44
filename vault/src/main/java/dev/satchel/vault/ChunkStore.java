package dev.satchel.vault;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** The chunks of one vault. Thread-safe; belongs to its {@link Vault} and is closed with it. */
public final class ChunkStore {
    /** As many chunks are read at once; further readers wait. Each takes 0.5 MiB. */
    static final int CODECS_MAX = Math.clamp(Runtime.getRuntime().availableProcessors() * 2L, 4, 16);

    /** So many times a chunk may be on its way to another pack when it is read. */
    private static final int MOVED_TRIES_MAX = 4;

    /** Two ranges of a pack that are nearer than this are fetched ahead as one. */
    private static final int PREFETCH_GAP_BYTES = 128 * 1024;

    private static final int PACKS_ELSEWHERE_MAX = 64;

    private final Backend backend;
    private final KeyDomain own;
    private final DomainKeys domainKeys;
    private final CondemnedPacks condemned;
    private final Map<KeyDomainId, DomainPacks> domains = new ConcurrentHashMap<>();
    private final Semaphore codecsFree = new Semaphore(CODECS_MAX);

    /** Guarded by itself. */
    private final ArrayDeque<ChunkCodec> codecs = new ArrayDeque<>();

    /** How the vault itself has done, for {@link #reports}. */
    private final AtomicLong chunksRead = new AtomicLong();

    private final AtomicLong bytesRead = new AtomicLong();

    /** Set once before anything is read, if chunks are read from anywhere else than the vault. */
    private volatile @Nullable ChunkSources sources;

    /** Of packs that chunks from elsewhere were in, the last ones: their keys are unwrapped already. Guarded by itself. */
    private final LinkedHashMap<PackName, Pack> packsElsewhere = new LinkedHashMap<>();

    private volatile boolean closed;

    private record PackName(KeyDomainId domain, long high, long low) {}

    /** Finds the keys of a domain that is not the vault's own. */
    @FunctionalInterface
    interface DomainKeys {
        KeyDomain keys(KeyDomainId id) throws IOException;
    }

    /** Finds the names of packs that are about to be removed. */
    @FunctionalInterface
    interface CondemnedPacks {
        Set<String> names() throws IOException;
    }

    ChunkStore(Backend backend, KeyDomain own, DomainKeys domainKeys, CondemnedPacks condemned) {
        this.backend = backend;
        this.own = own;
        this.domainKeys = domainKeys;
        this.condemned = condemned;
    }

    /** Where they are, for messages to people. */
    String location() {
        return backend.location();
    }

    /** The domain of the vault's own chunks; not to be closed. */
    public KeyDomain ownDomain() {
        return own;
    }

    /**
     * Starts a batch of chunks sealed under {@code domain}, which must stay open as long as the writer. An image's domain
     * can be read from once the image has been put into the vault, see {@link Vault#putImage}, or while the domain is open.
     */
    public ChunkWriter writer(KeyDomain domain) throws IOException {
        DomainPacks packs = known(domain.id());
        if (packs == null) {
            packs = load(domain);
        } else {
            // What was collected since must not be depended on, nor what is about to be.
            refresh(packs);
        }
        return new ChunkBatch(backend, packs);
    }

    /**
     * Reads a whole chunk. Nothing reaches {@code target} as plaintext that is not authentic. Chunks that other
     * processes have committed since are found.
     *
     * @param target native memory of at least {@link ChunkRef#length} bytes; filled from its beginning
     * @return the chunk's length
     * @throws DamagedException when it is missing or is not what was stored; what {@code target} then holds is undefined
     */
    public int read(ChunkRef ref, MemorySegment target) throws IOException {
        if (target.byteSize() < ref.length()) {
            throw new IllegalArgumentException(
                    "a chunk of " + ref.length() + " bytes does not fit into " + target.byteSize());
        }
        DomainPacks packs = domain(ref.domain());
        ChunkSources others = sources;
        ChunkCodec codec = takeCodec();
        try {
            return others != null
                    ? readFrom(others, ref, packs, codec, target)
                    : read(packs, ref, target, codec, MOVED_TRIES_MAX);
        } finally {
            giveBack(codec);
        }
    }

    /**
     * Opens a chunk that came from anywhere, with the keys that this vault has. Nothing reaches {@code target} as plaintext that is
     * not authentic: its tag binds it to pack key, position, id and length, and its id is computed again from its plaintext.
     *
     * @param ref what it should be
     * @param target native memory of at least {@link ChunkRef#length} bytes; filled from its beginning
     * @return whether it is that chunk; what {@code target} holds is undefined if not
     */
    public boolean open(ChunkRef ref, SealedChunk chunk, MemorySegment target) throws IOException {
        if (target.byteSize() < ref.length()) {
            throw new IllegalArgumentException(
                    "a chunk of " + ref.length() + " bytes does not fit into " + target.byteSize());
        }
        KeyDomain keys = domain(ref.domain()).keys();
        ChunkCodec codec = takeCodec();
        try {
            return isAuthentic(ref, chunk, keys, codec, target);
        } finally {
            giveBack(codec);
        }
    }

    /**
     * Whether a chunk is the one that it should be, whoever gave it.
     *
     * @param target then has its plaintext
     */
    boolean isAuthentic(ChunkRef ref, SealedChunk chunk, KeyDomain keys, ChunkCodec codec, MemorySegment target) {
        if (!chunk.domain().equals(ref.domain()) || !chunk.id().equals(ref.id()) || chunk.length() != ref.length()) {
            return false;
        }
        ChunkIndex.Place place = new ChunkIndex.Place(
                pack(chunk), chunk.offset(), (int) chunk.sealed().byteSize(), chunk.codec(), chunk.length());
        return codec.decode(keys, place, ref.id(), chunk.sealed(), target)
                && codec.idOf(keys, target.asSlice(0, ref.length())).equals(ref.id());
    }

    /** The same object for the same pack, as codecs know by it which key they have. */
    private Pack pack(SealedChunk chunk) {
        PackName name = new PackName(chunk.domain(), chunk.packHigh(), chunk.packLow());
        synchronized (packsElsewhere) {
            Pack known = packsElsewhere.get(name);
            if (known != null && Arrays.equals(known.wrapped(), chunk.wrappedKey())) {
                return known;
            }
            Pack pack = new Pack(chunk.domain(), chunk.packHigh(), chunk.packLow(), chunk.wrappedKey());
            packsElsewhere.put(name, pack);
            if (packsElsewhere.size() > PACKS_ELSEWHERE_MAX) {
                packsElsewhere.remove(packsElsewhere.keySet().iterator().next());
            }
            return pack;
        }
    }

    private int readFrom(ChunkSources others, ChunkRef ref, DomainPacks packs, ChunkCodec codec, MemorySegment target)
            throws IOException {
        ChunkSources.Trouble trouble = new ChunkSources.Trouble();
        if (others.read(ref, packs, codec, target, trouble)) {
            return ref.length();
        }
        ChunkIndex.Place before = packs.index().find(ref.id());
        packs.refresh(codec);
        ChunkIndex.Place place = packs.index().find(ref.id());
        if (place != null && (before == null || before.pack() != place.pack())) {
            return read(packs, ref, target, codec, MOVED_TRIES_MAX);
        }
        if (place == null) {
            throw missing(ref, packs);
        }
        if (trouble.cause instanceof AwayException away) {
            throw away;
        }
        String pack = place.pack().name();
        if (trouble.damaged) {
            return read(packs, ref, target, codec, MOVED_TRIES_MAX);
        }
        throw new DamagedException(
                "chunk " + ref.id() + " can't be read from the pack " + pack + " in " + backend.location()
                        + ", nor from any other source: put the pack back from a copy of the vault",
                trouble.cause);
    }

    /**
     * Has chunks read from these, too, from now on: call it before anything is read, once at most. Whatever they give is authenticated.
     *
     * @param cache of this host; taken over, also when this throws
     * @param lookasides nearest first; taken over, also when this throws
     * @param vaultIsNear whether the vault lies on a fast disk of this host: it is asked first then, and its chunks are not cached
     * @param notes told a line for a person when a source fails
     */
    public void readThrough(
            Optional<HostCache> cache, List<ChunkSource> lookasides, boolean vaultIsNear, Consumer<String> notes) {
        readThrough(new ChunkSources(
                this,
                cache,
                lookasides,
                vaultIsNear,
                notes,
                ChunkSources.FETCH_NANOS_MAX,
                ChunkSources.HEDGE_NANOS_MIN));
    }

    void readThrough(ChunkSources others) {
        if (sources != null) {
            throw new IllegalStateException("chunks are read from elsewhere already");
        }
        sources = others;
    }

    /**
     * The packs of another vault, of which those chunks are found whose domains this vault has the keys of.
     *
     * @param place taken over: closed with the source
     */
    public ChunkSource sourceIn(Backend place) {
        return new PackSource(place, domainKeys, true);
    }

    /**
     * A server of chunks.
     *
     * @param url the link that {@code vault serve} printed
     * @throws IllegalArgumentException if it is none, with a message for who typed it
     */
    public static ChunkSource sourceAt(String url) {
        return new ServerSource(ServerLink.parse(url));
    }

    /** Whether {@link #sourceAt} takes that link. @throws IllegalArgumentException as that does */
    public static void checkLink(String url) {
        ServerLink ignored = ServerLink.parse(url);
    }

    /**
     * This vault's chunks, to be given to others.
     *
     * @param place where this vault is, opened once more; taken over: closed with what is returned
     */
    public ServedChunks serve(Backend place) {
        return new ServedChunks(new PackSource(place, domainKeys, false));
    }

    /** How each place that chunks are read from has done, nearest first. */
    public List<SourceReport> reports() {
        ChunkSources others = sources;
        return others != null
                ? others.reports()
                : List.of(new SourceReport(
                        SourceReport.Kind.HOME,
                        backend.location(),
                        SourceReport.State.IN_USE,
                        chunksRead.get(),
                        bytesRead.get(),
                        0,
                        0,
                        0));
    }

    Backend backend() {
        return backend;
    }

    private int read(DomainPacks packs, ChunkRef ref, MemorySegment target, ChunkCodec codec, int triesLeft)
            throws IOException {
        ChunkIndex.Place place = packs.index().find(ref.id());
        if (place == null) {
            packs.refresh(codec);
            place = packs.index().find(ref.id());
            if (place == null) {
                throw missing(ref, packs);
            }
        }
        String pack = place.pack().name();
        if (place.codec() > Pack.CODEC_ZSTD) {
            throw new DamagedException("chunk " + ref.id() + " in the pack " + pack + " in " + backend.location()
                    + " is stored by codec " + place.codec() + ", this version knows codecs up to "
                    + Pack.CODEC_ZSTD
                    + ": use a newer version of Satchel");
        }
        if (place.length() != ref.length()
                || place.storedBytes() > ChunkCodec.STORED_BYTES_MAX
                || place.storedBytes() <= 16) {
            throw damaged(ref, pack);
        }
        try {
            if (!isRead(packs, place, ref, target, codec)) {
                // It may have been mended since its pack was opened, which then is another file, or none.
                backend.forget(pack);
                if (!isRead(packs, place, ref, target, codec)) {
                    throw damaged(ref, pack);
                }
            }
        } catch (NoSuchException e) {
            packs.refresh(codec);
            ChunkIndex.Place moved = packs.index().find(ref.id());
            if (triesLeft > 0 && moved != null && moved.pack() != place.pack()) {
                // What others have collected has left what is needed of it in another pack.
                return read(packs, ref, target, codec, triesLeft - 1);
            }
            throw new DamagedException(
                    "the pack " + pack + " is missing from " + backend.location() + ", chunk " + ref.id()
                            + " was in it: put it back from a copy of the vault",
                    e);
        }
        chunksRead.incrementAndGet();
        bytesRead.addAndGet(place.storedBytes());
        return ref.length();
    }

    /** Whether the chunk lies at that place as it was stored; {@code target} then has it. */
    private boolean isRead(
            DomainPacks packs, ChunkIndex.Place place, ChunkRef ref, MemorySegment target, ChunkCodec codec)
            throws IOException {
        int read = backend.getRange(place.pack().name(), place.offset(), codec.buffer(place.storedBytes()));
        return read == place.storedBytes()
                && codec.decode(packs.keys(), place, ref.id(), target)
                // Whoever has the same image has its keys too, and could seal something else under this id.
                && (packs.keys() == own
                        || codec.idOf(packs.keys(), target.asSlice(0, ref.length()))
                                .equals(ref.id()));
    }

    private DamagedException damaged(ChunkRef ref, String pack) {
        return new DamagedException("chunk " + ref.id() + " in the pack " + pack + " in " + backend.location()
                + " is damaged or forged: put the pack back from a copy of the vault");
    }

    private DamagedException missing(ChunkRef ref, DomainPacks packs) {
        List<String> damage = packs.damage();
        return new DamagedException("chunk " + ref.id() + " of domain " + ref.domain() + " is missing from "
                + backend.location() + (damage.isEmpty() ? "" : " (" + damage.getFirst() + ")")
                + ": put its pack back from a copy of the vault");
    }

    /** Whether the vault has the chunk, as far as its indexes say. */
    public boolean contains(ChunkRef ref) throws IOException {
        DomainPacks packs = domain(ref.domain());
        if (packs.index().contains(ref.id())) {
            return true;
        }
        refresh(packs);
        return packs.index().contains(ref.id());
    }

    /**
     * Says which chunks will be read soon, in about this order, so that a place that is far away is asked for many of them at once; returns
     * at once. Does nothing if the vault is all that chunks are read from. Only a hint: some hundred are plenty, and those that nobody
     * reads cost what it takes to fetch them.
     */
    public void announce(List<ChunkRef> refs) {
        ChunkSources others = sources;
        if (others != null && refs.size() > 1) {
            others.willNeed(refs);
        }
    }

    /** Whether {@link #announce} does anything, so that who would have to look for what to announce can leave it. */
    public boolean isAnnouncing() {
        return sources != null;
    }

    /** Whether the vault has a chunk, as far as is known without looking. */
    boolean isKnownHere(ChunkRef ref) {
        DomainPacks packs = domains.get(ref.domain());
        return packs != null && packs.index().contains(ref.id());
    }

    /** Asks the vault's own backend to fetch these ahead, neighbours in one go; returns at once. Chunks that are not known here are passed over. */
    void prefetchHere(List<ChunkRef> refs) {
        @Nullable String pack = null;
        long from = 0;
        long to = 0;
        for (ChunkRef ref : refs) {
            DomainPacks packs = domains.get(ref.domain());
            ChunkIndex.Place place = packs == null ? null : packs.index().find(ref.id());
            if (place == null) {
                continue;
            }
            String name = place.pack().name();
            if (name.equals(pack) && place.offset() >= from && place.offset() <= to + PREFETCH_GAP_BYTES) {
                to = Math.max(to, place.offset() + (long) place.storedBytes());
                continue;
            }
            if (pack != null) {
                backend.willNeed(pack, from, to - from);
            }
            pack = name;
            from = place.offset();
            to = from + place.storedBytes();
        }
        if (pack != null) {
            backend.willNeed(pack, from, to - from);
        }
    }

    /** The packs of a domain, whose keys are looked up if need be. */
    DomainPacks domain(KeyDomainId id) throws IOException {
        DomainPacks packs = known(id);
        if (packs != null) {
            return packs;
        }
        return load(id.equals(own.id()) ? own : domainKeys.keys(id));
    }

    /** A domain that has been used; without those of images that were never finished, whose makers have closed their keys. */
    private @Nullable DomainPacks known(KeyDomainId id) {
        DomainPacks packs = domains.get(id);
        if (packs != null && packs.keys().isClosed()) {
            domains.remove(id, packs);
            return null;
        }
        return packs;
    }

    private DomainPacks load(KeyDomain keys) throws IOException {
        DomainPacks packs = new DomainPacks(backend, keys);
        refresh(packs);
        DomainPacks before = domains.putIfAbsent(keys.id(), packs);
        if (before != null) {
            return before;
        }
        return packs;
    }

    /** A domain's keys have become the vault's own to close: readers must not depend on the caller's. */
    void adopt(KeyDomain keys) throws IOException {
        DomainPacks packs = domains.get(keys.id());
        if (packs != null && packs.keys() != keys) {
            DomainPacks next = new DomainPacks(backend, keys);
            refresh(next);
            domains.put(keys.id(), next);
        }
    }

    /** Has a domain's packs looked at anew when they are next needed: some have been replaced. */
    void forget(KeyDomainId domain) {
        domains.remove(domain);
    }

    /** Learns of what others have committed to a domain. */
    void refresh(DomainPacks packs) throws IOException {
        // Before packs are listed: who has removed some by now said so before.
        Set<String> going = condemned.names();
        ChunkCodec codec = takeCodec();
        try {
            packs.refresh(codec, going);
        } finally {
            giveBack(codec);
        }
    }

    ChunkCodec takeCodec() {
        codecsFree.acquireUninterruptibly();
        synchronized (codecs) {
            if (closed) {
                codecsFree.release();
                throw new IllegalStateException("the vault has been closed");
            }
            ChunkCodec codec = codecs.pollLast();
            return codec != null ? codec : new ChunkCodec();
        }
    }

    void giveBack(ChunkCodec codec) {
        synchronized (codecs) {
            if (closed) {
                codec.close();
            } else {
                codecs.addLast(codec);
            }
        }
        codecsFree.release();
    }

    void close() {
        // Waits for those who are reading.
        codecsFree.acquireUninterruptibly(CODECS_MAX);
        ChunkSources others = sources;
        synchronized (codecs) {
            closed = true;
            codecs.forEach(ChunkCodec::close);
            codecs.clear();
        }
        codecsFree.release(CODECS_MAX);
        domains.clear();
        if (others != null) {
            others.close();
        }
    }
}
