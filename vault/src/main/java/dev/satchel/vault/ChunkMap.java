package dev.satchel.vault;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * An immutable sparse map from slot numbers to chunks, stored as a tree of chunks, of which an edit writes only those
 * that changed. A disk is one (slot = 256 KiB of addresses), a stream too (slot = i-th chunk, of any lengths).
 * Thread-safe; nodes are loaded when first needed and kept, one that is in many places once: so a map takes no more memory than what is
 * stored of it, whatever number of slots it tells of.
 */
public final class ChunkMap {
    /** Slots are 0 to this − 1. */
    public static final long SLOTS_MAX = 1L << 40;

    /** Entries of a node: slots of a leaf, children of an inner node. */
    public static final int FANOUT = 1024;

    private static final int FANOUT_BITS = 10;
    private static final int FORMAT = 1;
    private static final int HEADER_BYTES = 4;
    private static final int DOMAIN_BYTES = 16;
    private static final int BITMAP_BYTES = FANOUT / 8;
    private static final int ENTRY_BYTES = ChunkId.BYTES + 4;
    private static final int DOMAINS_MAX = 256;

    private final ChunkStore store;
    private final ChunkMapRef ref;

    /** Null until it is first needed. Guarded by {@code rootLock}. */
    private @Nullable Node root;

    private final Object rootLock = new Object();

    private final Map<ChunkRef, Node> nodes = new ConcurrentHashMap<>();
    private final NodeReader reader = this::readOnce;

    private ChunkMap(ChunkStore store, ChunkMapRef ref) {
        this.store = store;
        this.ref = ref;
    }

    /** Sees the entries of a map. */
    @FunctionalInterface
    public interface Visitor {
        /** Called for every used slot in ascending order. */
        void visit(long slot, ChunkRef ref) throws IOException;
    }

    /** The map that {@code ref} names; reads nothing yet. */
    public static ChunkMap load(ChunkStore store, ChunkMapRef ref) {
        return new ChunkMap(requireNonNull(store, "store"), ref);
    }

    /** What it was loaded from. */
    public ChunkMapRef ref() {
        return ref;
    }

    /**
     * The chunk in a slot; empty for one without.
     *
     * @param slot 0 to {@link #SLOTS_MAX} − 1; those from {@link ChunkMapRef#slots} on are empty
     */
    public Optional<ChunkRef> get(long slot) throws IOException {
        requireSlot(slot);
        if (slot >= ref.slots()) {
            return Optional.empty();
        }
        return Optional.ofNullable(find(reader, root(), slot));
    }

    /** The root of a map that has one. */
    private Node root() throws IOException {
        synchronized (rootLock) {
            Node node = root;
            if (node == null) {
                node = Node.read(store, ref.root().orElseThrow(), levelFor(ref.slots()));
                root = node;
            }
            return node;
        }
    }

    private Node readOnce(ChunkRef stored, int level) throws IOException {
        Node node = nodes.get(stored);
        if (node == null || node.level != level) {
            node = Node.read(store, stored, level);
            nodes.put(stored, node);
        }
        return node;
    }

    private static @Nullable ChunkRef find(NodeReader reader, Node from, long slot) throws IOException {
        Node node = from;
        while (node != null && node.level > 0) {
            node = child(reader, node, indexIn(node.level, slot));
        }
        return node == null ? null : node.refs[indexIn(0, slot)];
    }

    /** Visits all used slots in [{@code from}, {@code to}). */
    public void forEach(long from, long to, Visitor visitor) throws IOException {
        if (from < 0 || from > to) {
            throw new IllegalArgumentException("slots " + from + " to " + to);
        }
        if (ref.root().isPresent()) {
            visit(root(), 0, from, Math.min(to, ref.slots()), visitor);
        }
    }

    private void visit(Node node, long base, long from, long to, Visitor visitor) throws IOException {
        int shift = FANOUT_BITS * node.level;
        announceChildren(store, node, (int) ((Math.max(from, base) - base) >>> shift), ((to - 1 - base) >>> shift) + 1);
        for (int i = 0; i < FANOUT; i++) {
            long first = base + ((long) i << shift);
            if (first >= to) {
                return;
            }
            if (first + (1L << shift) <= from) {
                continue;
            }
            if (node.level == 0) {
                ChunkRef entry = node.refs[i];
                if (entry != null) {
                    visitor.visit(first, entry);
                }
            } else {
                Node child = child(reader, node, i);
                if (child != null) {
                    visit(child, first, from, to, visitor);
                }
            }
        }
    }

    /** Has a place that is far away asked at once for the nodes below one of which all in a range are about to be read. */
    private static void announceChildren(ChunkStore store, Node node, int from, long to) {
        if (node.level == 0) {
            return;
        }
        List<ChunkRef> children = new ArrayList<>();
        for (int i = from; i < Math.min(to, FANOUT); i++) {
            ChunkRef child = node.refs[i];
            if (child != null && node.children[i] == null) {
                children.add(child);
            }
        }
        store.announce(children);
    }

    /** Visits the chunks that the map's own nodes are in, the root first. */
    void forEachNode(Visitor visitor) throws IOException {
        if (ref.root().isPresent()) {
            visitor.visit(0, ref.root().get());
            visitNodes(root(), 0, visitor);
        }
    }

    private void visitNodes(Node node, long base, Visitor visitor) throws IOException {
        if (node.level == 0) {
            return;
        }
        announceChildren(store, node, 0, FANOUT);
        for (int i = 0; i < FANOUT; i++) {
            ChunkRef entry = node.refs[i];
            if (entry != null) {
                long first = base + ((long) i << (FANOUT_BITS * node.level));
                visitor.visit(first, entry);
                visitNodes(requireNonNull(child(reader, node, i)), first, visitor);
            }
        }
    }

    /** Goes through a map past what can't be read. */
    interface Survey {
        /** Whether the node in that chunk, and all below it, are known to be whole: it is then passed over. */
        boolean knownWhole(ChunkRef node);

        /** Whether there is such a chunk and it is not known to be damaged. */
        boolean readable(ChunkRef ref) throws IOException;

        /**
         * These slots can't be read.
         *
         * @param ref the chunk of the slot, or a node above the slots
         */
        void lost(SlotRange slots, ChunkRef ref);

        /** The node in that chunk and all below it are whole. */
        void whole(ChunkRef node);
    }

    /** Has the whole map looked at; keeps nothing of it in memory. */
    void survey(Survey survey) throws IOException {
        if (ref.root().isPresent()) {
            boolean _ = surveyNode(ref.root().get(), levelFor(ref.slots()), 0, survey);
        }
    }

    private boolean surveyNode(ChunkRef stored, int level, long base, Survey survey) throws IOException {
        if (survey.knownWhole(stored)) {
            return true;
        }
        Node node = null;
        if (survey.readable(stored)) {
            try {
                node = Node.read(store, stored, level);
            } catch (DamagedException | ForgedException e) {
                // It is lost, and told of below.
                node = null;
            }
        }
        if (node == null) {
            long end = Math.min(base + (1L << (FANOUT_BITS * (level + 1))), ref.slots());
            survey.lost(new SlotRange(base, Math.max(base + 1, end)), stored);
            return false;
        }
        boolean whole = true;
        for (int i = 0; i < FANOUT; i++) {
            ChunkRef entry = node.refs[i];
            if (entry == null) {
                continue;
            }
            long first = base + ((long) i << (FANOUT_BITS * level));
            if (level > 0) {
                whole &= surveyNode(entry, level - 1, first, survey);
            } else if (!survey.readable(entry)) {
                survey.lost(new SlotRange(first, first + 1), entry);
                whole = false;
            }
        }
        if (whole) {
            survey.whole(stored);
        }
        return whole;
    }

    /** Sees a map from its root down. */
    interface Walker {
        /**
         * A node of the map, before it is read.
         *
         * @return whether to read it and go on to what it names
         */
        boolean node(ChunkRef ref) throws IOException;

        /** A chunk in a slot. */
        void chunk(ChunkRef ref) throws IOException;
    }

    /** Shows all of a map; keeps no more than one node of each level. */
    static void walk(ChunkStore store, ChunkMapRef map, Walker walker) throws IOException {
        if (map.root().isPresent()) {
            walk(store, map.root().get(), levelFor(map.slots()), walker);
        }
    }

    private static void walk(ChunkStore store, ChunkRef ref, int level, Walker walker) throws IOException {
        if (!walker.node(ref)) {
            return;
        }
        Node node = Node.read(store, ref, level);
        for (ChunkRef entry : node.refs) {
            if (entry != null && level == 0) {
                walker.chunk(entry);
            } else if (entry != null) {
                walk(store, entry, level - 1, walker);
            }
        }
    }

    /**
     * Shows what of a map another one has not at the same place: what is below a node that both have is passed over. What can't be read of
     * the other one counts as nothing.
     */
    static void walkChanges(ChunkStore store, ChunkMapRef before, ChunkMapRef map, Walker walker) throws IOException {
        if (map.root().isPresent()) {
            walkChanges(
                    store,
                    before.root().orElse(null),
                    levelFor(before.slots()),
                    map.root().get(),
                    levelFor(map.slots()),
                    walker);
        }
    }

    private static void walkChanges(
            ChunkStore store, @Nullable ChunkRef before, int levelBefore, ChunkRef ref, int level, Walker walker)
            throws IOException {
        if (before == null) {
            walk(store, ref, level, walker);
            return;
        }
        if (levelBefore == level && before.equals(ref)) {
            return;
        }
        if (levelBefore > level) {
            // Of a map that has become smaller what is left was below the first entry.
            Node higher = readable(store, before, levelBefore);
            walkChanges(store, higher == null ? null : higher.refs[0], levelBefore - 1, ref, level, walker);
            return;
        }
        if (!walker.node(ref)) {
            return;
        }
        Node node = Node.read(store, ref, level);
        Node other = levelBefore == level ? readable(store, before, level) : null;
        for (int i = 0; i < FANOUT; i++) {
            ChunkRef entry = node.refs[i];
            if (entry == null) {
                continue;
            }
            if (level > 0) {
                ChunkRef below = other != null ? other.refs[i] : levelBefore < level && i == 0 ? before : null;
                walkChanges(store, below, other != null ? level - 1 : levelBefore, entry, level - 1, walker);
            } else if (other == null || !entry.equals(other.refs[i])) {
                walker.chunk(entry);
            }
        }
    }

    private static @Nullable Node readable(ChunkStore store, ChunkRef ref, int level) throws IOException {
        try {
            return Node.read(store, ref, level);
        } catch (DamagedException e) {
            return null;
        }
    }

    /** Starts an edit from this map, which itself stays as it is. */
    public Editor edit() {
        return new Editor(store, ref);
    }

    private static void requireSlot(long slot) {
        if (slot < 0 || slot >= SLOTS_MAX) {
            throw new IllegalArgumentException("slot " + slot);
        }
    }

    /** The level of the root of a map with so many slots: leaves are level 0. */
    private static int levelFor(long slots) {
        int level = 0;
        while (slots > 1L << (FANOUT_BITS * (level + 1))) {
            level++;
        }
        return level;
    }

    private static int indexIn(int level, long slot) {
        return (int) (slot >>> (FANOUT_BITS * level)) & (FANOUT - 1);
    }

    private interface NodeReader {
        Node read(ChunkRef stored, int level) throws IOException;
    }

    private static @Nullable Node child(NodeReader reader, Node node, int i) throws IOException {
        synchronized (node) {
            Node child = node.children[i];
            ChunkRef childRef = node.refs[i];
            if (child == null && childRef != null) {
                child = reader.read(childRef, node.level - 1);
                node.children[i] = child;
            }
            return child;
        }
    }

    /** A node: a leaf's refs are the entries, an inner node's refs are where its children are stored. */
    private static final class Node {
        private final int level;
        private final @Nullable ChunkRef[] refs = new ChunkRef[FANOUT];

        /** Loaded children, of inner nodes only. */
        private final @Nullable Node[] children;

        /** Only in editors: has changes that are not stored. */
        private boolean dirty;

        Node(int level) {
            this.level = level;
            children = new Node[level == 0 ? 0 : FANOUT];
        }

        /** The number of the last entry in use, −1 when there is none. */
        int lastUsed() {
            for (int i = FANOUT - 1; i >= 0; i--) {
                if (refs[i] != null) {
                    return i;
                }
            }
            return -1;
        }

        static Node read(ChunkStore store, ChunkRef ref, int level) throws IOException {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment chunk = arena.allocate(ref.length());
                store.read(ref, chunk);
                return parse(chunk.asByteBuffer(), ref, level);
            }
        }

        private static Node parse(ByteBuffer in, ChunkRef ref, int level) throws DamagedException {
            if (in.remaining() < HEADER_BYTES || (in.get() & 0xff) != FORMAT || (in.get() & 0xff) != level) {
                throw malformed(ref);
            }
            int domainCount = in.getShort() & 0xffff;
            if (domainCount > DOMAINS_MAX || in.remaining() < domainCount * DOMAIN_BYTES + BITMAP_BYTES) {
                throw malformed(ref);
            }
            KeyDomainId[] domains = new KeyDomainId[domainCount];
            for (int i = 0; i < domainCount; i++) {
                domains[i] = new KeyDomainId(in.getLong(), in.getLong());
            }
            byte[] used = new byte[BITMAP_BYTES];
            in.get(used);
            Node node = new Node(level);
            for (int i = 0; i < FANOUT; i++) {
                if ((used[i >> 3] & (1 << (i & 7))) == 0) {
                    continue;
                }
                if (in.remaining() < ENTRY_BYTES) {
                    throw malformed(ref);
                }
                ChunkId id = new ChunkId(in.getLong(), in.getLong(), in.getLong(), in.getLong());
                int domainAndLength = in.getInt();
                int domain = domainAndLength >>> 24;
                int length = domainAndLength & 0xffffff;
                if (domain >= domainCount || length < 1 || length > ChunkRef.LENGTH_MAX) {
                    throw malformed(ref);
                }
                node.refs[i] = new ChunkRef(domains[domain], id, length);
            }
            if (in.hasRemaining() || node.lastUsed() == -1) {
                throw malformed(ref);
            }
            return node;
        }

        private static DamagedException malformed(ChunkRef ref) {
            return new DamagedException("chunk " + ref.id()
                    + " is not a node of a chunk map as this version of Satchel writes it: use a newer version");
        }

        ChunkRef write(ChunkWriter writer) throws IOException {
            List<KeyDomainId> domains = new ArrayList<>();
            int entries = 0;
            for (ChunkRef entry : refs) {
                if (entry != null) {
                    entries++;
                    if (!domains.contains(entry.domain())) {
                        domains.add(entry.domain());
                    }
                }
            }
            if (domains.size() > DOMAINS_MAX) {
                throw new IllegalStateException(domains.size() + " key domains in one node of a chunk map");
            }
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment chunk = arena.allocate(HEADER_BYTES
                        + (long) domains.size() * DOMAIN_BYTES
                        + BITMAP_BYTES
                        + (long) entries * ENTRY_BYTES);
                ByteBuffer out = chunk.asByteBuffer();
                out.put((byte) FORMAT).put((byte) level).putShort((short) domains.size());
                for (KeyDomainId domain : domains) {
                    out.putLong(domain.high()).putLong(domain.low());
                }
                byte[] used = new byte[BITMAP_BYTES];
                for (int i = 0; i < FANOUT; i++) {
                    if (refs[i] != null) {
                        used[i >> 3] |= (byte) (1 << (i & 7));
                    }
                }
                out.put(used);
                for (ChunkRef entry : refs) {
                    if (entry != null) {
                        ChunkId id = entry.id();
                        out.putLong(id.a()).putLong(id.b()).putLong(id.c()).putLong(id.d());
                        out.putInt(domains.indexOf(entry.domain()) << 24 | entry.length());
                    }
                }
                return writer.put(chunk);
            }
        }
    }

    /** A map being changed. One thread at a time. */
    public static final class Editor {
        /** What is read is changed: nothing of it is shared. */
        private final NodeReader reader;

        private long logicalBytes;

        /** Where the root was loaded from or stored last; null for one that never was. */
        private @Nullable ChunkRef rootRef;

        private int rootLevel;

        /** Null as long as it has not been needed. */
        private @Nullable Node root;

        private Editor(ChunkStore store, ChunkMapRef ref) {
            this.reader = (stored, level) -> Node.read(store, stored, level);
            rootRef = ref.root().orElse(null);
            rootLevel = levelFor(ref.slots());
            logicalBytes = ref.logicalBytes();
        }

        private Node root() throws IOException {
            Node node = root;
            if (node == null) {
                ChunkRef stored = rootRef;
                node = stored == null ? new Node(rootLevel) : reader.read(stored, rootLevel);
                root = node;
            }
            return node;
        }

        /** Puts a chunk into a slot. */
        public void set(long slot, ChunkRef ref) throws IOException {
            requireSlot(slot);
            requireNonNull(ref, "ref");
            Node node = root();
            while (slot >>> (FANOUT_BITS * (node.level + 1)) != 0) {
                Node higher = new Node(node.level + 1);
                if (node.dirty || rootRef != null) {
                    higher.children[0] = node;
                    higher.refs[0] = rootRef;
                    higher.dirty = true;
                }
                rootRef = null;
                root = higher;
                node = higher;
            }
            node.dirty = true;
            while (node.level > 0) {
                int i = indexIn(node.level, slot);
                Node child = child(reader, node, i);
                if (child == null) {
                    child = new Node(node.level - 1);
                    node.children[i] = child;
                }
                child.dirty = true;
                node = child;
            }
            replace(node, slot, ref);
        }

        /** Empties a slot. */
        public void clear(long slot) throws IOException {
            if (get(slot).isEmpty()) {
                return;
            }
            Node node = root();
            node.dirty = true;
            while (node.level > 0) {
                node = requireNonNull(child(reader, node, indexIn(node.level, slot)));
                node.dirty = true;
            }
            replace(node, slot, null);
        }

        private void replace(Node leaf, long slot, @Nullable ChunkRef next) {
            int i = indexIn(0, slot);
            ChunkRef before = leaf.refs[i];
            logicalBytes += (next == null ? 0 : next.length()) - (before == null ? 0 : before.length());
            leaf.refs[i] = next;
        }

        /** The chunk in a slot, as edited so far. */
        public Optional<ChunkRef> get(long slot) throws IOException {
            requireSlot(slot);
            Node node = root();
            return slot >>> (FANOUT_BITS * (node.level + 1)) != 0
                    ? Optional.empty()
                    : Optional.ofNullable(find(reader, node, slot));
        }

        /**
         * Stores the nodes that changed since the map was loaded or last stored; the map can be loaded once the writer
         * has committed. The edit may go on, but not when the writer's batch is lost: then it is lost too.
         */
        public ChunkMapRef store(ChunkWriter writer) throws IOException {
            Node node = root();
            storeChildren(node, writer);
            // Each map has one shape: no root with nothing but its first child.
            while (node.level > 0 && node.lastUsed() == 0) {
                rootRef = node.refs[0];
                node = requireNonNull(child(reader, node, 0));
            }
            if (node.lastUsed() == -1) {
                root = new Node(0);
                rootRef = null;
                return ChunkMapRef.EMPTY;
            }
            root = node;
            ChunkRef stored = rootRef;
            if (node.dirty || stored == null) {
                stored = node.write(writer);
                node.dirty = false;
                rootRef = stored;
            }
            return new ChunkMapRef(Optional.of(stored), lastSlot(node) + 1, logicalBytes);
        }

        /** Stores what is dirty below a node, so that its refs are right; nodes that have become empty go. */
        private static void storeChildren(Node node, ChunkWriter writer) throws IOException {
            for (int i = 0; i < node.children.length; i++) {
                Node child = node.children[i];
                if (child != null && child.dirty) {
                    storeChildren(child, writer);
                    if (child.lastUsed() == -1) {
                        node.children[i] = null;
                        node.refs[i] = null;
                    } else {
                        node.refs[i] = child.write(writer);
                        child.dirty = false;
                    }
                }
            }
        }

        private long lastSlot(Node node) throws IOException {
            int last = node.lastUsed();
            if (node.level == 0) {
                return last;
            }
            return ((long) last << (FANOUT_BITS * node.level)) + lastSlot(requireNonNull(child(reader, node, last)));
        }
    }
}
