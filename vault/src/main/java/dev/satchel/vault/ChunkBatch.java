package dev.satchel.vault;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.satchel.linux.crypto.AesGcm;
import dev.satchel.linux.crypto.SecretBytes;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;

/**
 * A {@link ChunkWriter} of packs. Each caller has a lane to itself while it puts a chunk, with a pack that only this lane
 * writes: so the position of the chunk, which is its nonce, is known without a lock, and the chunk is compressed and sealed
 * where it will be written from. Full packs are synced by threads of their own while the lanes go on.
 */
final class ChunkBatch implements ChunkWriter {
    private static final int LANES_MAX = Math.clamp(Runtime.getRuntime().availableProcessors(), 2, 8);
    private static final int BUFFER_BYTES = 1 << 20;

    /** Full packs being synced; when the device is slower than the callers, these wait here. */
    private static final int SYNCING_MAX = 4;

    /** So many full packs are given their names before the commit: each is an open file. */
    private static final int UNNAMED_MAX = 128;

    private final Backend backend;
    private final DomainPacks packs;
    private final Semaphore lanesFree = new Semaphore(LANES_MAX);
    private final Semaphore syncsFree = new Semaphore(SYNCING_MAX);

    /** Lanes not in use; the last one used is used next, so that few callers make few packs. Guarded by this. */
    private final ArrayDeque<Lane> lanes = new ArrayDeque<>();

    /** Complete packs without names yet. Guarded by this. */
    private final List<OpenPack> complete = new ArrayList<>();

    /** Packs that have their names. Guarded by this. */
    private final List<DomainPacks.Directory> named = new ArrayList<>();

    /** What this batch has taken since the last commit. */
    private final Set<ChunkId> taken = ConcurrentHashMap.newKeySet();

    /** A chunk that was there already. The pack it is in may be that of somebody who died before its name was safe. */
    private volatile @Nullable ChunkId known;
    /** Packs are the same object wherever one index tells of them. */
    private final Set<Pack> dependedOn = ConcurrentHashMap.newKeySet();

    private final LongAdder chunksPut = new LongAdder();
    private final LongAdder bytesPut = new LongAdder();
    private final LongAdder chunksNew = new LongAdder();
    private final LongAdder bytesNew = new LongAdder();
    private volatile @Nullable Throwable failure;
    private boolean closed;

    ChunkBatch(Backend backend, DomainPacks packs) {
        this.backend = backend;
        this.packs = packs;
    }

    @Override
    public ChunkRef put(MemorySegment plaintext) throws IOException {
        long length = plaintext.byteSize();
        requireLength(length);
        Lane lane = takeLane();
        boolean done = false;
        try {
            ChunkId id = lane.codec.idOf(packs.keys(), plaintext);
            chunksPut.increment();
            bytesPut.add(length);
            if (!isThere(id) && taken.add(id)) {
                chunksNew.increment();
                lane.write(id, plaintext);
            }
            done = true;
            return new ChunkRef(packs.keys().id(), id, (int) length);
        } catch (IOException | RuntimeException | Error e) {
            failure = e;
            throw e;
        } finally {
            giveBack(lane, done);
        }
    }

    @Override
    public ChunkRef refTo(MemorySegment plaintext) throws IOException {
        requireLength(plaintext.byteSize());
        Lane lane = takeLane();
        try {
            ChunkId id = lane.codec.idOf(packs.keys(), plaintext);
            return new ChunkRef(packs.keys().id(), id, (int) plaintext.byteSize());
        } finally {
            giveBack(lane, true);
        }
    }

    @Override
    public boolean has(ChunkRef ref) {
        if (!ref.domain().equals(packs.keys().id()) || (!isThere(ref.id()) && !taken.contains(ref.id()))) {
            return false;
        }
        chunksPut.increment();
        bytesPut.add(ref.length());
        return true;
    }

    /** Whether another's pack has the chunk, on which this batch then depends. */
    private boolean isThere(ChunkId id) {
        Pack pack = packs.index().dependable(id);
        if (pack == null) {
            return false;
        }
        dependedOn.add(pack);
        known = id;
        return true;
    }

    /** The packs that have all that was put before the last commit: its own, and those that had a chunk already. */
    Set<Pack> dependedOn() {
        return Set.copyOf(dependedOn);
    }

    KeyDomain keys() {
        return packs.keys();
    }

    private static void requireLength(long length) {
        if (length < 1 || length > ChunkRef.LENGTH_MAX) {
            throw new IllegalArgumentException("a chunk has 1 to " + ChunkRef.LENGTH_MAX + " bytes, not " + length);
        }
    }

    private Lane takeLane() throws IOException {
        lanesFree.acquireUninterruptibly();
        try {
            synchronized (this) {
                requireUsable();
                Lane lane = lanes.pollLast();
                return lane != null ? lane : new Lane();
            }
        } catch (IOException | RuntimeException | Error e) {
            lanesFree.release();
            throw e;
        }
    }

    private void giveBack(Lane lane, boolean whole) throws IOException {
        try {
            if (whole) {
                synchronized (this) {
                    lanes.addLast(lane);
                }
            } else {
                lane.close();
            }
        } finally {
            lanesFree.release();
        }
    }

    private void requireUsable() throws IOException {
        if (closed) {
            throw new IllegalStateException("this batch has been closed");
        }
        Throwable cause = failure;
        if (cause instanceof VaultFullException full) {
            throw new VaultFullException(String.valueOf(full.getMessage()), full);
        }
        if (cause != null) {
            throw new IOException(
                    "this batch of chunks is lost after an earlier failure: try the command again", cause);
        }
    }

    /** Has a complete pack synced in the background. */
    private void hand(OpenPack pack) throws IOException {
        syncsFree.acquireUninterruptibly();
        Thread thread = Thread.ofPlatform().daemon().name("pack-sync").unstarted(() -> {
            try {
                pack.file.sync();
            } catch (IOException | RuntimeException | Error e) {
                failure = e;
            } finally {
                syncsFree.release();
            }
        });
        thread.start();
        synchronized (this) {
            complete.add(pack);
            if (complete.size() >= UNNAMED_MAX) {
                nameComplete();
            }
        }
    }

    /** Makes complete packs objects, durably. */
    private synchronized void nameComplete() throws IOException {
        Map<String, PackFile> files = new LinkedHashMap<>();
        for (OpenPack pack : complete) {
            files.put(pack.pack.name(), pack.file);
        }
        backend.commit(files);
        for (OpenPack pack : complete) {
            bytesNew.add(pack.file.size());
            named.add(pack.directory());
            dependedOn.add(pack.pack);
            pack.close();
        }
        complete.clear();
    }

    @Override
    public WriteStats commit() throws IOException {
        lanesFree.acquireUninterruptibly(LANES_MAX);
        try {
            requireUsableLocked();
            for (Lane lane : lanesNow()) {
                OpenPack last = lane.finish();
                if (last != null) {
                    hand(last);
                }
            }
            syncsFree.acquireUninterruptibly(SYNCING_MAX);
            syncsFree.release(SYNCING_MAX);
            requireUsableLocked();
            synchronized (this) {
                nameComplete();
                if (named.isEmpty()) {
                    settleKnown();
                }
                packs.committed(named);
                named.clear();
            }
            taken.clear();
            return new WriteStats(chunksPut.sum(), bytesPut.sum(), chunksNew.sum(), bytesNew.sum());
        } catch (IOException | RuntimeException | Error e) {
            failure = e;
            throw e;
        } finally {
            lanesFree.release(LANES_MAX);
        }
    }

    /** Makes the names of the packs durable whose chunks were found there; those of new packs in the same directory make them so, too. */
    private void settleKnown() throws IOException {
        ChunkId id = known;
        ChunkIndex.Place place = id == null ? null : packs.index().find(id);
        if (place != null) {
            backend.settle(place.pack().name());
        }
        known = null;
    }

    private synchronized void requireUsableLocked() throws IOException {
        requireUsable();
    }

    private synchronized List<Lane> lanesNow() {
        return new ArrayList<>(lanes);
    }

    @Override
    public void close() throws IOException {
        lanesFree.acquireUninterruptibly(LANES_MAX);
        try {
            syncsFree.acquireUninterruptibly(SYNCING_MAX);
            syncsFree.release(SYNCING_MAX);
            synchronized (this) {
                if (closed) {
                    return;
                }
                closed = true;
                IOException first = null;
                for (Lane lane : lanes) {
                    first = closing(lane, first);
                }
                for (OpenPack pack : complete) {
                    first = closing(pack, first);
                }
                lanes.clear();
                complete.clear();
                if (first != null) {
                    throw first;
                }
            }
        } finally {
            lanesFree.release(LANES_MAX);
        }
    }

    private static @Nullable IOException closing(java.io.Closeable part, @Nullable IOException first) {
        try {
            part.close();
            return first;
        } catch (IOException e) {
            if (first != null) {
                first.addSuppressed(e);
                return first;
            }
            return e;
        }
    }

    /** A pack being written. */
    private final class OpenPack implements java.io.Closeable {
        private final SecretBytes key = SecretBytes.random(AesGcm.KEY_BYTES);
        private final PackFile file;
        private final Pack pack;
        private ByteBuffer entries = ByteBuffer.allocateDirect(64 * Pack.ENTRY_BYTES);

        OpenPack(ChunkCodec codec) throws IOException {
            pack = codec.wrap(packs.keys(), key);
            try {
                file = backend.begin();
            } catch (IOException e) {
                key.close();
                throw e;
            }
        }

        void add(ChunkId id, int offset, int storedBytes, int codec, int length) {
            if (entries.remaining() < Pack.ENTRY_BYTES) {
                ByteBuffer larger = ByteBuffer.allocateDirect(entries.capacity() * 2);
                entries = larger.put(entries.flip());
            }
            entries.putLong(id.a()).putLong(id.b()).putLong(id.c()).putLong(id.d());
            entries.putInt(offset).putInt(storedBytes).putInt(codec << 24 | length);
        }

        MemorySegment entries() {
            return MemorySegment.ofBuffer(entries.duplicate().flip());
        }

        DomainPacks.Directory directory() {
            return new DomainPacks.Directory(pack, entries());
        }

        @Override
        public void close() throws IOException {
            key.close();
            file.close();
        }
    }

    /** What one caller at a time puts chunks with. */
    private final class Lane implements java.io.Closeable {
        private final ChunkCodec codec = new ChunkCodec();
        private final Arena arena = Arena.ofShared();
        private final MemorySegment buffer = arena.allocate(BUFFER_BYTES + ChunkCodec.STORED_BYTES_MAX, 64);
        private int filled;
        private @Nullable OpenPack open;

        void write(ChunkId id, MemorySegment plaintext) throws IOException {
            OpenPack pack = open;
            if (pack == null) {
                pack = new OpenPack(codec);
                open = pack;
                MemorySegment header =
                        ChunkCodec.bound(Arena.ofAuto(), packs.keys().id(), pack.pack.high(), pack.pack.low());
                MemorySegment.copy(header, 0, buffer, 0, Pack.BOUND_BYTES);
                MemorySegment.copy(pack.pack.wrapped(), 0, buffer, JAVA_BYTE, Pack.BOUND_BYTES, Pack.WRAPPED_BYTES);
                filled = Pack.HEADER_BYTES;
            }
            long position = pack.file.size() + filled;
            int stored = codec.encode(
                    pack.key, id, position, plaintext, buffer.asSlice(filled, ChunkCodec.STORED_BYTES_MAX));
            pack.add(id, (int) position, stored, codec.codec(), (int) plaintext.byteSize());
            filled += stored;
            if (filled >= BUFFER_BYTES) {
                flush(pack);
            }
            if (position + stored >= Pack.TARGET_BYTES) {
                OpenPack full = finish();
                if (full != null) {
                    hand(full);
                }
            }
        }

        private void flush(OpenPack pack) throws IOException {
            if (filled > 0) {
                pack.file.append(buffer.asSlice(0, filled));
                filled = 0;
            }
        }

        /** Puts directory and trailer behind the chunks. */
        @Nullable
        OpenPack finish() throws IOException {
            OpenPack pack = open;
            if (pack == null) {
                return null;
            }
            flush(pack);
            MemorySegment entries = pack.entries();
            int sealedBytes = (int) entries.byteSize() + AesGcm.TAG_BYTES;
            try (Arena scratch = Arena.ofConfined()) {
                MemorySegment end = scratch.allocate(sealedBytes + (long) Pack.TRAILER_BYTES, 8);
                codec.sealDirectory(pack.key, pack.pack, pack.file.size(), entries, end.asSlice(0, sealedBytes));
                end.set(Bytes.INT, sealedBytes, sealedBytes);
                MemorySegment.copy(Pack.TRAILER_MAGIC, 0, end, JAVA_BYTE, sealedBytes + 4, 8);
                pack.file.append(end);
            }
            open = null;
            return pack;
        }

        @Override
        public void close() throws IOException {
            codec.close();
            arena.close();
            if (open != null) {
                open.close();
            }
        }
    }
}
