package dev.satchel.volume;

import static java.util.Objects.requireNonNull;

import dev.satchel.linux.Errno;
import dev.satchel.linux.LinuxException;
import dev.satchel.linux.fuse.FuseFile;
import dev.satchel.vault.AwayException;
import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkStore;
import dev.satchel.vault.ChunkWriter;
import dev.satchel.vault.SessionId;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultFullException;
import dev.satchel.volume.VolumeOptions.ExistingLog;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A session's disk: a mutable block device over an immutable chunk map, what changes being kept in an encrypted log in the
 * vault.
 *
 * <p><b>Durability</b>: what was written before {@link #flush} is there after any crash; what was written later may be there or
 * not, block by block, as with a disk. A write that fails leaves what was there before. After a failed sync of the log every
 * write and flush fails: what the device has lost can't be known.
 *
 * <p><b>A full device</b> makes writes fail with ENOSPC; they work again when there is space. Space is kept set aside for the log,
 * as far as the vault's storage can, so that others who fill the device up run out of it first: some megabytes ahead of the log's
 * end, and a spare for the segment after this one, as each snapshot begins another ({@link #setSpaceAside}).
 *
 * <p><b>Bounds</b>: the decoded chunks' cache ({@link VolumeOptions}), 3 MiB for sealing, 2 MiB for reading, 256 KiB a folding
 * thread, the indexes of dirty slots (272 bytes each; writers wait at {@value #DIRTY_SLOTS_MAX}).
 *
 * <p><b>Threads</b>: all methods may be called by many at once. Two locks: the append lock makes the order in the log the order
 * in the index; the view lock guards what is laid over what, and is held only for looking up. Append lock before view lock.
 *
 * <p>One process at a time opens a session's volume; the session's lease sees to that.
 */
public final class Volume implements FuseFile, AutoCloseable {
    /** Layers over the base, at which the next cut waits for folding. */
    static final int LAYERS_MAX = 16;

    /** Threads that read at the same time; 270 KiB each. */
    private static final int READERS_MAX = 8;

    /** Large records that are sealed at the same time; 1 MiB each. */
    private static final int SEALERS_MAX = 2;

    /** Smaller writes are sealed under the append lock: that takes less than handing it over twice. */
    private static final long SEAL_ASIDE_BYTES_MIN = 64 << 10;

    static final int DIRTY_SLOTS_MAX = 49_152;
    private static final int DIRTY_SLOTS_FOLD = DIRTY_SLOTS_MAX / 2;
    private static final int LAYERS_FOLD = 4;
    /** After how many times the idle time it is folded whether idle or not. */
    private static final long FOLD_ANYWAY = 15;

    private static final long SPARE_BYTES_MAX = 16L << 20;
    private static final long SPARE_BYTES_MIN = 1L << 20;
    private static final long SPARE_DELAY_MILLIS = 500;

    private static final long FOLD_RETRY_MILLIS = 5_000;
    private static final long AWAY_MILLIS = 250;
    /** How long the folding thread sleeps when nothing wakes it. */
    private static final long ASLEEP_MILLIS = 3_600_000;

    private final Vault vault;
    private final ChunkStore chunks;
    private final VolumeOptions options;
    private final VolumeLog log;
    private final ChunkCache cache;
    private final Pool<SlotReader> readers;
    private final Pool<LogWriter> sealers;
    private final ReadAhead readAhead;
    private final Thread folder;
    private final long openedSizeBytes;

    private final ReentrantLock appendLock = new ReentrantLock();

    /** Signalled when a promised place was filled or given up. */
    private final Condition turn = appendLock.newCondition();

    /** Records that are being sealed for promised places. Guarded by the append lock. */
    private int promised;

    /** Who waits for {@link #promised} to be 0, and goes before new promises. Guarded by the append lock. */
    private int exclusiveWaiting;

    /** Guarded by the append lock, as all up to the next lock. */
    private final LogWriter writer;

    private LogState state;
    private long nextSequence;
    /** Segments of an earlier run that can go once the next state is recorded. */
    private List<String> unneeded;

    /** For the next segment. */
    private LogSegment.@Nullable Spare spare;

    /** Since when the folding thread is to make a spare; 0 when it is not. */
    private volatile long spareWantedNanos;

    private final Object viewLock = new Object();
    /** Guarded by the view lock. */
    private View view;

    private volatile long sizeBytes;
    private volatile boolean closed;

    private volatile boolean impatient;

    /** Folding is for one at a time. Before the append lock. */
    private final ReentrantLock foldLock = new ReentrantLock();

    private volatile @Nullable Fold runningFold;

    private final Object folderLock = new Object();
    private volatile boolean folderAsleep;
    private volatile long lastRequestNanos;
    /** Since when it has been worth folding, as far as the folding thread knows; 0 if it is not. */
    private long dirtySinceNanos;

    private volatile @Nullable IOException foldFailure;

    /** Who wants to know of folds. */
    private volatile @Nullable Runnable foldListener;

    private final AtomicLong foldedSlots = new AtomicLong();
    private final long replayedBytes;

    private Volume(
            Vault vault,
            VolumeOptions options,
            VolumeLog log,
            LogWriter writer,
            LogState state,
            View view,
            long nextSequence,
            List<String> unneeded,
            long requestedSizeBytes) {
        this.vault = vault;
        this.chunks = vault.chunks();
        this.options = options;
        this.log = log;
        this.writer = writer;
        this.state = state;
        this.view = view;
        this.nextSequence = nextSequence;
        this.unneeded = unneeded;
        this.sizeBytes = state.sizeBytes();
        this.openedSizeBytes = requestedSizeBytes;
        this.cache = new ChunkCache(chunks, options.cacheChunks());
        this.readers = new Pool<>(READERS_MAX, () -> new SlotReader(viewLock, chunks, cache), SlotReader::close);
        this.sealers = new Pool<>(SEALERS_MAX, LogWriter::new, LogWriter::close);
        this.readAhead = new ReadAhead(this, cache, vault.chunks(), options.readAheadSlots());
        long replayed = 0;
        view.pins = 1;
        for (Layer layer : view.layers) {
            layer.views = 1;
            replayed += layer.index.loggedBlocks() << Geometry.BLOCK_SHIFT;
        }
        this.replayedBytes = replayed;
        this.lastRequestNanos = System.nanoTime();
        this.folder = new Thread(this::foldInBackground, "volume-fold");
        folder.setDaemon(true);
    }

    /**
     * Opens a session's volume.
     *
     * @param vault stays open longer than the volume
     * @param base the map of the snapshot that the session is at; {@link ChunkMapRef#EMPTY} for a new disk
     * @param sizeBytes a multiple of 4096, up to 16 TiB; if the log tells of a larger volume, that counts
     * @throws StaleLogException when there is a log of other snapshots, and it was to be replayed
     * @throws dev.satchel.vault.DamagedException when the log was altered where it had been durable
     */
    public static Volume open(Vault vault, SessionId session, ChunkMapRef base, long sizeBytes, VolumeOptions options)
            throws IOException {
        requireNonNull(base, "base");
        if (sizeBytes <= 0 || sizeBytes > Geometry.VOLUME_BYTES_MAX || !Geometry.aligned(sizeBytes)) {
            throw new IllegalArgumentException(
                    "a volume of " + sizeBytes + " bytes: multiples of 4096 up to 16 TiB are possible");
        }
        VolumeLog log = new VolumeLog(vault, session);
        LogWriter writer = new LogWriter();
        Volume volume = null;
        try {
            if (options.log() == ExistingLog.DISCARD) {
                log.deleteAll();
            }
            VolumeLog.Replayed found = log.replay(base, true, writer);
            if (found == null) {
                LogState state = new LogState(sizeBytes, base, 1, 0, List.of(new LogState.Root(base, 0)));
                View view = new View(ChunkMap.load(vault.chunks(), base), 0, List.of());
                volume = new Volume(vault, options, log, writer, state, view, 1, List.of(), sizeBytes);
            } else {
                long size = Math.max(sizeBytes, found.state().sizeBytes());
                long through = found.layers().isEmpty() ? found.newest() : found.throughSegment();
                LogState state = found.state().withSize(size).withBase(found.base(), through + 1);
                for (Layer layer : found.layers()) {
                    layer.index.grow(Geometry.slots(size));
                }
                View view = new View(ChunkMap.load(vault.chunks(), found.base()), through, List.copyOf(found.layers()));
                volume = new Volume(
                        vault, options, log, writer, state, view, found.newest() + 1, found.unneeded(), sizeBytes);
            }
            volume.folder.start();
            return volume;
        } finally {
            if (volume == null) {
                writer.close();
            }
        }
    }

    /** Whether a session has left a log: changes that no snapshot contains, or may not. */
    public static boolean hasLog(Vault vault, SessionId session) throws IOException {
        return !new VolumeLog(vault, session).isEmpty();
    }

    /** Whether another process of this machine has the log open: the session's former holder, that is, who does not know it yet. */
    public static boolean isLogInUse(Vault vault, SessionId session) throws IOException {
        return new VolumeLog(vault, session).isInUse();
    }

    /**
     * Reads the log that a session has left, every byte of it, and changes nothing. One that a process of this machine is writing is passed
     * over, and so is one that does not belong to {@code base}.
     *
     * @param base the map of the snapshot that the session is at
     * @return what is missing or altered of what had been safely stored, for a person; empty when nothing is. An end that is torn is what a
     *     crash leaves, and no damage
     */
    public static Optional<String> checkLog(Vault vault, SessionId session, ChunkMapRef base) throws IOException {
        return new VolumeLog(vault, session).check(base);
    }

    /** Deletes a session's log: what was written since its newest snapshot is given up. The volume must not be open. */
    public static void deleteLog(Vault vault, SessionId session) throws IOException {
        new VolumeLog(vault, session).deleteAll();
    }

    @Override
    public long sizeBytes() {
        return sizeBytes;
    }

    @Override
    public boolean writable() {
        return true;
    }

    // ---- reading ----

    @Override
    public void read(long offset, MemorySegment dst) throws IOException {
        readAhead.sees(offset, dst.byteSize(), sizeBytes);
        withVault(() -> {
            View pinned = pin();
            try {
                read(pinned, sizeBytes, offset, dst);
            } finally {
                unpin(pinned);
            }
        });
        lastRequestNanos = System.nanoTime();
    }

    /** What may be done again if the vault went away meanwhile. */
    private interface Request {
        void carryOut() throws IOException;
    }

    /**
     * What is in memory is read, and what the log's open segment takes is written, without the vault; who needs more than that waits until
     * its device is connected again. A file system that is told of an error would be of no use afterwards.
     */
    private void withVault(Request request) throws IOException {
        while (true) {
            try {
                request.carryOut();
                return;
            } catch (AwayException e) {
                if (impatient || closed) {
                    throw e;
                }
                try {
                    Thread.sleep(AWAY_MILLIS);
                } catch (InterruptedException interrupted) {
                    Thread.currentThread().interrupt();
                    throw e;
                }
            }
        }
    }

    /** From now on requests fail while the vault is away, instead of waiting for it: for who is about to end what makes them. */
    public void stopWaiting() {
        impatient = true;
    }

    void read(View pinned, long size, long offset, MemorySegment dst) throws IOException {
        long length = dst.byteSize();
        checkRange("read", offset, length, size);
        if (!Geometry.aligned(offset) || !Geometry.aligned(length)) {
            readUnaligned(pinned, size, offset, dst);
            return;
        }
        SlotReader reader = readers.take();
        try {
            long done = 0;
            while (done < length) {
                long at = offset + done;
                long slot = at >>> Geometry.SLOT_SHIFT;
                int from = Geometry.indexInSlot(Geometry.blockOf(at));
                int to = (int) Math.min(Geometry.SLOT_BLOCKS, from + ((length - done) >>> Geometry.BLOCK_SHIFT));
                long bytes = (long) (to - from) << Geometry.BLOCK_SHIFT;
                reader.read(pinned, slot, from, to, dst.asSlice(done, bytes));
                done += bytes;
            }
        } finally {
            readers.give(reader);
        }
    }

    private void readUnaligned(View pinned, long size, long offset, MemorySegment dst) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bounce = arena.allocate(Geometry.SLOT_BYTES, Geometry.BLOCK_BYTES);
            long done = 0;
            while (done < dst.byteSize()) {
                long at = offset + done;
                long start = at & -Geometry.BLOCK_BYTES;
                long end = Math.min(roundUp(offset + dst.byteSize()), start + Geometry.SLOT_BYTES);
                MemorySegment blocks = bounce.asSlice(0, end - start);
                read(pinned, size, start, blocks);
                long bytes = Math.min(end - at, dst.byteSize() - done);
                MemorySegment.copy(blocks, at - start, dst, done, bytes);
                done += bytes;
            }
        }
    }

    private static long roundUp(long value) {
        return (value + Geometry.BLOCK_BYTES - 1) & -Geometry.BLOCK_BYTES;
    }

    private static void checkRange(String what, long offset, long length, long size) throws LinuxException {
        if (offset < 0 || length < 0 || offset > size - length) {
            throw new LinuxException(
                    what + "(volume of " + size + " bytes, " + offset + ", " + length + ")", Errno.EINVAL);
        }
    }

    /** Gives the memory of decoded chunks back; they are decoded again when they are read. */
    public void forgetChunks() {
        cache.clear();
    }

    /** The chunk that a reader of this slot will need, if that is not in the cache yet. */
    Optional<ChunkRef> baseChunkToRead(long slot) throws IOException {
        View pinned = pin();
        try {
            synchronized (viewLock) {
                for (Layer layer : pinned.layers) {
                    if (layer.index.slot(slot).length != 0) {
                        return Optional.empty();
                    }
                }
            }
            Optional<ChunkRef> ref = pinned.base.get(slot);
            return ref.isPresent() && cache.has(ref.get()) ? Optional.empty() : ref;
        } finally {
            unpin(pinned);
        }
    }

    // ---- views ----

    private View pin() throws IOException {
        synchronized (viewLock) {
            checkOpen();
            view.pins++;
            return view;
        }
    }

    void unpin(View pinned) throws IOException {
        List<Layer> released = new ArrayList<>(0);
        synchronized (viewLock) {
            if (--pinned.pins > 0) {
                return;
            }
            for (Layer layer : pinned.layers) {
                if (--layer.views == 0) {
                    released.add(layer);
                }
            }
        }
        for (Layer layer : released) {
            layer.segment.close();
            if (layer.folded) {
                log.delete(layer.segment);
            }
        }
    }

    /** Makes a view of these layers, pinned once. */
    private View newView(ChunkMap base, long throughSegment, List<Layer> layers) {
        assert Thread.holdsLock(viewLock);
        View made = new View(base, throughSegment, layers);
        made.pins = 1;
        for (Layer layer : layers) {
            layer.views++;
        }
        return made;
    }

    private void replaceView(ChunkMap base, long throughSegment, List<Layer> layers) throws IOException {
        View before;
        synchronized (viewLock) {
            before = view;
            view = newView(base, throughSegment, layers);
        }
        unpin(before);
    }

    private void checkOpen() throws IOException {
        if (closed) {
            throw new IOException("the volume is closed");
        }
    }

    // ---- writing ----

    @Override
    public void write(long offset, MemorySegment src) throws IOException {
        checkRange("write", offset, src.byteSize(), sizeBytes);
        awaitRoom();
        try {
            withVault(() -> writeNow(offset, src));
        } catch (VaultFullException e) {
            throw full("write", offset, src.byteSize(), e);
        }
        wrote();
    }

    private void writeNow(long offset, MemorySegment src) throws IOException {
        if (!Geometry.aligned(offset) || !Geometry.aligned(src.byteSize())) {
            lockToAppend();
            try {
                writeUnaligned(offset, src, src.byteSize());
            } finally {
                unlock();
            }
        } else if (src.byteSize() < SEAL_ASIDE_BYTES_MIN) {
            lockToAppend();
            try {
                writeAligned(offset, src);
            } finally {
                unlock();
            }
        } else {
            long partBytes = (long) LogSegment.BLOCKS_MAX << Geometry.BLOCK_SHIFT;
            for (long done = 0; done < src.byteSize(); done += partBytes) {
                writeSealedAside(offset + done, src.asSlice(done, Math.min(partBytes, src.byteSize() - done)));
            }
        }
    }

    /** Takes the append lock when no place in the log is promised to anybody. */
    private void lockToAppend() throws IOException {
        appendLock.lock();
        exclusiveWaiting++;
        while (promised > 0) {
            turn.awaitUninterruptibly();
        }
        exclusiveWaiting--;
        if (closed) {
            unlock();
            checkOpen();
        }
    }

    private void unlock() {
        if (appendLock.hasWaiters(turn)) {
            turn.signalAll();
        }
        appendLock.unlock();
    }

    /**
     * Writes up to one record, sealed outside of the lock: several threads seal at the same time, each for a place in the log that
     * was promised to it, and append in that order. When the layer is cut or its segment fails meanwhile, what was sealed for it
     * is thrown away, and sealed again for the next one under its key.
     */
    private void writeSealedAside(long offset, MemorySegment src) throws IOException {
        LogWriter sealer = sealers.take();
        try {
            boolean appended;
            do {
                appended = trySealedAside(sealer, Geometry.blockOf(offset), src);
            } while (!appended);
        } finally {
            sealers.give(sealer);
        }
    }

    private boolean trySealedAside(LogWriter sealer, long block, MemorySegment src) throws IOException {
        int blocks = (int) (src.byteSize() >>> Geometry.BLOCK_SHIFT);
        Layer layer;
        long at;
        View pinned;
        appendLock.lock();
        try {
            while (exclusiveWaiting > 0) {
                turn.awaitUninterruptibly();
            }
            checkOpen();
            layer = activeLayer();
            // The segment's key stays as long as the view is pinned.
            pinned = pin();
            at = layer.segment.reserve(LogSegment.recordBytes(blocks));
            promised++;
        } finally {
            unlock();
        }
        boolean sealed = false;
        try {
            layer.segment.seal(sealer, at, block, src);
            sealed = true;
        } finally {
            if (!sealed) {
                appendLock.lock();
                freeze(layer); // the place stays empty: nothing can come behind it
                keptPromise();
                unpin(pinned);
            }
        }
        appendLock.lock();
        try {
            while (!layer.frozen && layer.segment.end() != at) {
                turn.awaitUninterruptibly();
            }
            return !layer.frozen && append(layer, sealer, block, blocks);
        } finally {
            keptPromise();
            unpin(pinned);
        }
    }

    /** Append lock held, and let go. */
    private void keptPromise() {
        promised--;
        unlock();
    }

    /**
     * Append lock held, the record sealed for the end of the layer's segment.
     *
     * @return false when there was no space for it, and a spare is left for another layer
     */
    private boolean append(Layer layer, LogWriter sealed, long block, int blocks) throws IOException {
        long at;
        try {
            at = layer.segment.appendSealed(sealed, blocks);
        } catch (IOException e) {
            endLayer(layer, e);
            if (e instanceof VaultFullException && spare != null) {
                return false;
            }
            throw e;
        }
        synchronized (viewLock) {
            layer.index.put(block, blocks, at, LogSegment.SEALED_BLOCK_BYTES);
        }
        return true;
    }

    /** Append lock held, nothing promised. */
    private void writeAligned(long offset, MemorySegment src) throws IOException {
        long done = 0;
        while (done < src.byteSize()) {
            long bytes = Math.min(src.byteSize() - done, (long) LogSegment.BLOCKS_MAX << Geometry.BLOCK_SHIFT);
            long block = Geometry.blockOf(offset + done);
            Layer layer = activeLayer();
            layer.segment.seal(writer, layer.segment.end(), block, src.asSlice(done, bytes));
            if (append(layer, writer, block, (int) (bytes >>> Geometry.BLOCK_SHIFT))) {
                done += bytes;
            }
        }
    }

    /** Reads what is around it and writes whole blocks; the append lock keeps others from writing in between. */
    private void writeUnaligned(long offset, @Nullable MemorySegment src, long length) throws IOException {
        View pinned = pin();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bounce = arena.allocate(Geometry.SLOT_BYTES, Geometry.BLOCK_BYTES);
            long done = 0;
            while (done < length) {
                long at = offset + done;
                long start = at & -Geometry.BLOCK_BYTES;
                long end = Math.min(roundUp(offset + length), start + Geometry.SLOT_BYTES);
                long bytes = Math.min(end - at, length - done);
                MemorySegment blocks = bounce.asSlice(0, end - start);
                unpin(pinned);
                pinned = pin();
                read(pinned, sizeBytes, start, blocks);
                if (src == null) {
                    blocks.asSlice(at - start, bytes).fill((byte) 0);
                } else {
                    MemorySegment.copy(src, done, blocks, at - start, bytes);
                }
                writeAligned(start, blocks);
                done += bytes;
            }
        } finally {
            unpin(pinned);
        }
    }

    @Override
    public void discard(long offset, long length) throws IOException {
        checkRange("discard", offset, length, sizeBytes);
        if (length == 0) {
            return;
        }
        awaitRoom();
        try {
            withVault(() -> discardNow(offset, length));
        } catch (VaultFullException e) {
            throw full("discard", offset, length, e);
        }
        wrote();
    }

    private void discardNow(long offset, long length) throws IOException {
        lockToAppend();
        try {
            long from = roundUp(offset);
            long to = (offset + length) & -Geometry.BLOCK_BYTES;
            if (from >= to) {
                writeUnaligned(offset, null, length);
            } else {
                if (offset < from) {
                    writeUnaligned(offset, null, from - offset);
                }
                discardBlocks(Geometry.blockOf(from), Geometry.blockOf(to - from));
                if (to < offset + length) {
                    writeUnaligned(to, null, offset + length - to);
                }
            }
        } finally {
            unlock();
        }
    }

    private void discardBlocks(long block, long count) throws IOException {
        Layer layer = activeLayer();
        try {
            layer.segment.appendDiscard(writer, block, count);
        } catch (IOException e) {
            endLayer(layer, e);
            throw e;
        }
        synchronized (viewLock) {
            layer.index.zero(block, count);
        }
    }

    private static LinuxException full(String what, long offset, long length, VaultFullException cause) {
        LinuxException e = new LinuxException(what + "(volume, " + offset + ", " + length + ")", Errno.ENOSPC);
        e.initCause(cause);
        return e;
    }

    @Override
    public void flush() throws IOException {
        // Segments before the newest are durable wholly since the newest was begun.
        View pinned = pin();
        try {
            if (!pinned.layers.isEmpty()) {
                pinned.layers.getFirst().segment.sync();
            }
        } finally {
            unpin(pinned);
        }
    }

    /** The layer that takes writes; made when there is none. Append lock held. */
    private Layer activeLayer() throws IOException {
        Layer newest = newestLayer();
        if (newest != null && newest.segment.syncHasFailed()) {
            throw new IOException("an earlier sync of the volume's log failed: check the vault's device, then resume");
        }
        if (newest != null && !newest.frozen) {
            if (newest.segment.reservedEnd() + LogSegment.RECORD_BYTES_MAX <= BlockIndex.OFFSET_MAX) {
                return newest;
            }
            freeze(newest);
        }
        return beginLayer(false);
    }

    private @Nullable Layer newestLayer() {
        synchronized (viewLock) {
            return view.layers.isEmpty() ? null : view.layers.getFirst();
        }
    }

    private void freeze(Layer layer) {
        synchronized (viewLock) {
            layer.frozen = true;
        }
    }

    private Layer beginLayer(boolean carriesState) throws IOException {
        Layer newest = newestLayer();
        if (newest != null) {
            // The new segment says that this one is whole.
            newest.segment.sync();
        }
        View present;
        synchronized (viewLock) {
            present = view;
        }
        if (present.layers.size() >= LAYERS_MAX && !carriesState) {
            throw new VaultFullException("the volume's log can't be folded: make space on the vault's device");
        }
        LogState begun = state.withPreviousEnd(newest == null ? 0 : newest.segment.end());
        LogSegment segment = newSegment();
        try {
            segment.appendState(writer, begun);
            segment.sync();
        } catch (IOException | RuntimeException e) {
            try {
                segment.close();
                log.delete(segment);
            } catch (IOException suppressed) {
                e.addSuppressed(suppressed);
            }
            throw e;
        }
        state = begun;
        nextSequence++;
        Layer layer = new Layer(segment, new BlockIndex(Geometry.slots(sizeBytes)));
        layer.carriesState = carriesState;
        List<Layer> layers = new ArrayList<>(present.layers.size() + 1);
        layers.add(layer);
        layers.addAll(present.layers);
        replaceView(present.base, present.throughSegment, List.copyOf(layers));
        deleteUnneeded();
        if (newest != null) {
            newest.segment.releaseSpaceAside();
        }
        spareWantedNanos = System.nanoTime() | 1;
        roomMade();
        return layer;
    }

    private LogSegment newSegment() throws IOException {
        LogSegment.Spare prepared = spare;
        spare = null;
        return prepared == null
                ? LogSegment.create(vault, log.name(nextSequence), nextSequence, writer)
                : LogSegment.create(vault, prepared, nextSequence, writer);
    }

    /**
     * Sees to it that the next segment of the log, which the next write after a {@link #snapshot} begins, has its space, so that it
     * can be written also while what stores the snapshot fills the device up.
     *
     * @throws VaultFullException when there is not even a megabyte
     */
    public void setSpaceAside() throws IOException {
        appendLock.lock();
        try {
            checkOpen();
            if (spare == null) {
                spare = LogSegment.Spare.make(
                        vault.backend(), log.name(nextSequence), SPARE_BYTES_MIN, SPARE_BYTES_MAX);
            }
        } finally {
            unlock();
        }
    }

    private void deleteUnneeded() throws IOException {
        for (String name : unneeded) {
            vault.backend().delete(name);
        }
        unneeded = List.of();
    }

    /**
     * After a failed append no further record can go into that segment (see {@link LogSegment}). The next write begins another
     * one. One without records of its own goes, so that a device that stays full does not fill with empty segments.
     */
    private void endLayer(Layer layer, IOException cause) {
        freeze(layer);
        try {
            layer.segment.cutToEnd();
            if (layer.index.isEmpty() && !layer.carriesState && layer.segment.sequence() == nextSequence - 1) {
                // Now, not when its last reader lets go: the next segment gets this one's name.
                log.delete(layer.segment);
                discardSpare();
                nextSequence--;
                View present;
                synchronized (viewLock) {
                    present = view;
                }
                replaceView(present.base, present.throughSegment, present.layers.subList(1, present.layers.size()));
            }
        } catch (IOException e) {
            cause.addSuppressed(e);
        }
    }

    private void discardSpare() throws IOException {
        LogSegment.Spare unused = spare;
        spare = null;
        if (unused != null) {
            unused.discard(vault.backend());
        }
    }

    /** Makes the log say something new about itself, durably. Append lock held. */
    private void recordState(LogState next) throws IOException {
        Layer newest = newestLayer();
        if (newest == null && unneeded.isEmpty()) {
            state = next; // There is no log: the first segment will say it.
            return;
        }
        LogState before = state;
        if (newest == null || newest.frozen) {
            state = next;
            boolean begun = false;
            try {
                beginLayer(true);
                begun = true;
            } finally {
                if (!begun) {
                    state = before;
                }
            }
            return;
        }
        try {
            newest.segment.appendState(writer, next);
        } catch (IOException e) {
            endLayer(newest, e);
            throw e;
        }
        newest.carriesState = true;
        state = next;
        newest.segment.sync();
        deleteUnneeded();
    }

    // ---- snapshots ----

    /**
     * Cuts: everything written before is in the result, nothing of what comes later. Takes microseconds, and no I/O; what it
     * contains is not durable by itself ({@link #flush}, {@link Frozen#store}).
     */
    public Frozen snapshot() throws IOException {
        appendLock.lock();
        try {
            synchronized (viewLock) {
                checkOpen();
                List<Layer> layers = view.layers;
                if (!layers.isEmpty() && !layers.getFirst().frozen) {
                    if (layers.getFirst().index.isEmpty()) {
                        layers = layers.subList(1, layers.size());
                    } else {
                        layers.getFirst().frozen = true;
                    }
                }
                long through = layers.isEmpty()
                        ? view.throughSegment
                        : layers.getFirst().segment.sequence();
                return new Frozen(this, newView(view.base, view.throughSegment, layers), sizeBytes, through);
            }
        } finally {
            unlock();
        }
    }

    ChunkMapRef store(Frozen frozen, ChunkWriter chunkWriter, Executor executor, int helpers) throws IOException {
        Fold running = runningFold;
        if (running != null) {
            // What is being folded in the background need not be folded again: finish that first, together.
            running.hurry();
            help(running, executor, helpers);
        }
        foldLock.lock();
        try {
            View folding = leastToFold(frozen);
            ChunkMapRef stored;
            try {
                stored = folding.layers.isEmpty()
                        ? folding.base.ref()
                        : fold(folding, frozen.sizeBytes(), chunkWriter, executor, helpers);
            } finally {
                unpin(folding);
            }
            lockToAppend();
            try {
                LogState.Root root = new LogState.Root(stored, frozen.throughSegment());
                if (!state.roots().contains(root)) {
                    recordState(state.withRoot(root));
                }
            } finally {
                unlock();
            }
            return stored;
        } finally {
            foldLock.unlock();
        }
    }

    private static void help(Fold fold, Executor executor, int helpers) {
        for (int i = 0; i < Math.min(helpers, fold.slotCount() - 1); i++) {
            executor.execute(fold::work);
        }
        fold.work();
    }

    private ChunkMapRef fold(View folding, long size, ChunkWriter chunkWriter, Executor executor, int helpers)
            throws IOException {
        Fold fold = new Fold(folding, size, chunks, chunkWriter, readers);
        help(fold, executor, helpers);
        ChunkMapRef stored = fold.finish();
        foldedSlots.addAndGet(fold.slotCount());
        return stored;
    }

    /** The same contents over the volume's present base, if that has come nearer since the cut; pinned. */
    private View leastToFold(Frozen frozen) throws IOException {
        synchronized (viewLock) {
            checkOpen();
            View of = frozen.view();
            if (view.throughSegment <= of.throughSegment || view.throughSegment > frozen.throughSegment()) {
                return newView(of.base, of.throughSegment, of.layers);
            }
            List<Layer> layers = new ArrayList<>();
            for (Layer layer : of.layers) {
                if (layer.segment.sequence() > view.throughSegment) {
                    layers.add(layer);
                }
            }
            return newView(view.base, view.throughSegment, List.copyOf(layers));
        }
    }

    /**
     * Lays the volume over the map of a snapshot that is committed and named by its session's head, and frees the log up to
     * there. Older snapshots' maps can't be replayed over any more.
     *
     * @param base from {@link Frozen#store} of this volume
     */
    public void rebase(ChunkMapRef base) throws IOException {
        lockToAppend();
        try {
            LogState.Root origin = state.rootOf(base)
                    .orElseThrow(() -> new IllegalArgumentException("the volume was never stored as " + base));
            List<LogState.Root> roots = new ArrayList<>();
            roots.add(origin);
            for (LogState.Root root : state.roots()) {
                if (root.throughSegment() > origin.throughSegment()) {
                    roots.add(root);
                }
            }
            LogState next = state.withRoots(roots);
            long through = presentThrough();
            if (origin.throughSegment() > through) {
                recordState(next.withBase(base, origin.throughSegment() + 1));
                dropThrough(ChunkMap.load(chunks, base), origin.throughSegment());
            } else if (!next.equals(state)) {
                recordState(next);
            }
        } catch (VaultFullException e) {
            throw full("rebase", 0, sizeBytes, e);
        } finally {
            unlock();
        }
        roomMade();
    }

    private long presentThrough() {
        synchronized (viewLock) {
            return view.throughSegment;
        }
    }

    /** The log says already, durably, that these layers are in the base. Append lock held. */
    private void dropThrough(ChunkMap base, long through) throws IOException {
        View present;
        synchronized (viewLock) {
            present = view;
        }
        List<Layer> layers = new ArrayList<>();
        for (Layer layer : present.layers) {
            if (layer.segment.sequence() > through) {
                layers.add(layer);
            } else {
                layer.folded = true;
            }
        }
        replaceView(base, through, List.copyOf(layers));
    }

    // ---- folding in the background ----

    /** What is dirty, of the present layers. */
    private record Dirt(long bytes, long slots, long logBytes, int layers) {}

    private Dirt dirt() {
        long bytes = 0;
        long slots = 0;
        long logBytes = 0;
        synchronized (viewLock) {
            for (Layer layer : view.layers) {
                bytes += layer.index.loggedBlocks() << Geometry.BLOCK_SHIFT;
                slots += layer.index.ownArrays();
                logBytes += layer.segment.end();
            }
            return new Dirt(bytes, slots, logBytes, view.layers.size());
        }
    }

    private boolean mustFold(Dirt dirt) {
        return dirt.bytes() > options.dirtyBytesMax()
                || dirt.logBytes() > options.dirtyBytesMax() + options.dirtyBytesMax() / 4
                || dirt.slots() > DIRTY_SLOTS_FOLD
                || dirt.layers() > LAYERS_FOLD;
    }

    private boolean worthFolding(Dirt dirt) {
        return (options.backgroundFolding() && dirt.slots() >= options.idleFoldSlots()) || mustFold(dirt);
    }

    private void wrote() {
        lastRequestNanos = System.nanoTime();
        if (folderAsleep && worthFolding(dirt())) {
            synchronized (folderLock) {
                folderLock.notifyAll();
            }
        }
    }

    private void roomMade() {
        synchronized (folderLock) {
            folderLock.notifyAll();
        }
    }

    /** Writers wait when folding can't keep up; they fail when it fails. */
    private void awaitRoom() throws IOException {
        if (hasRoom()) {
            return;
        }
        synchronized (folderLock) {
            while (!closed && !hasRoom()) {
                IOException failed = foldFailure;
                if (failed != null && (impatient || !(failed instanceof AwayException))) {
                    LinuxException e = new LinuxException("write(volume whose log is full)", Errno.ENOSPC);
                    e.initCause(failed);
                    throw e;
                }
                try {
                    folderLock.notifyAll();
                    folderLock.wait(50);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new IOException("interrupted while waiting for room in the volume's log", e);
                }
            }
        }
    }

    private boolean hasRoom() {
        Dirt dirt = dirt();
        return dirt.slots() < DIRTY_SLOTS_MAX && dirt.logBytes() < 4 * options.dirtyBytesMax();
    }

    private void foldInBackground() {
        while (awaitWork()) {
            if (millisUntilSpare() == 0) {
                spareWantedNanos = 0;
                makeSpare();
                continue;
            }
            foldFailure = null;
            try {
                foldNow(mustFold(dirt()));
            } catch (IOException e) {
                // Nothing is lost: the log has it all. Tried again later; writers are told when the log has no room
                // left.
                foldFailure = e;
            }
            roomMade();
        }
    }

    /** Not at once: what has begun a segment, a resume for one, has more to write just now. */
    private long millisUntilSpare() {
        long since = spareWantedNanos;
        return since == 0 ? ASLEEP_MILLIS : Math.max(0, SPARE_DELAY_MILLIS - (System.nanoTime() - since) / 1_000_000);
    }

    private void makeSpare() {
        try {
            setSpaceAside();
        } catch (IOException e) {
            // A log without a spare is a log all the same. Whoever takes a snapshot asks again.
            return;
        }
    }

    /** Waits until a spare is wanted or there is something that is worth folding; false once the volume is closed. */
    private boolean awaitWork() {
        synchronized (folderLock) {
            long notBefore = System.nanoTime() + (foldFailure == null ? 0 : FOLD_RETRY_MILLIS * 1_000_000);
            while (!closed) {
                long spareMillis = millisUntilSpare();
                if (spareMillis == 0) {
                    return true;
                }
                // Before looking, so that whoever writes after the look wakes us.
                folderAsleep = true;
                long waitMillis = Math.max(millisUntilFold(), (notBefore - System.nanoTime()) / 1_000_000);
                if (waitMillis <= 0) {
                    folderAsleep = false;
                    return true;
                }
                if (waitMillis < ASLEEP_MILLIS) {
                    folderAsleep = false;
                }
                try {
                    folderLock.wait(Math.min(waitMillis, spareMillis));
                } catch (InterruptedException e) {
                    return false;
                }
            }
            return false;
        }
    }

    private long millisUntilFold() {
        Dirt dirt = dirt();
        if (mustFold(dirt)) {
            return 0;
        }
        if (!worthFolding(dirt)) {
            dirtySinceNanos = 0;
            return ASLEEP_MILLIS;
        }
        long now = System.nanoTime();
        if (dirtySinceNanos == 0) {
            dirtySinceNanos = now;
        }
        // Programs come first; but one that never rests must not make the next suspend a long one.
        return Math.min(
                options.idleFoldMillis() - (now - lastRequestNanos) / 1_000_000,
                FOLD_ANYWAY * options.idleFoldMillis() - (now - dirtySinceNanos) / 1_000_000);
    }

    /** Folds what is dirty and commits it; the present layers go. */
    private void foldNow(boolean urgent) throws IOException {
        foldLock.lock();
        try (Frozen frozen = snapshot()) {
            View folding = frozen.view();
            if (folding.layers.isEmpty()) {
                return;
            }
            ChunkMapRef stored;
            try (ChunkWriter chunkWriter = chunks.writer(chunks.ownDomain())) {
                Fold fold = new Fold(folding, frozen.sizeBytes(), chunks, chunkWriter, readers);
                runningFold = fold;
                try {
                    if (closed) {
                        fold.cancel();
                    }
                    if (urgent) {
                        fold.work();
                    } else {
                        fold.workPaced();
                    }
                    stored = fold.finish();
                } finally {
                    runningFold = null;
                }
                chunkWriter.commit();
                foldedSlots.addAndGet(fold.slotCount());
                log.pin(recordedBase(), stored, chunkWriter);
            }
            lockToAppend();
            try {
                if (frozen.throughSegment() > presentThrough()) {
                    recordState(state.withBase(stored, frozen.throughSegment() + 1));
                    dropThrough(ChunkMap.load(chunks, stored), frozen.throughSegment());
                }
            } finally {
                unlock();
            }
            Runnable listener = foldListener;
            if (listener != null) {
                listener.run();
            }
        } finally {
            foldLock.unlock();
        }
    }

    /**
     * Has somebody told whenever what was written has become chunks that the session's pin names ({@link Vault#pinVolume}); in place of
     * whoever was told before.
     *
     * @param listener called by the folding thread, and returns at once
     */
    public void onFold(Runnable listener) {
        foldListener = listener;
    }

    /** What the log says that it is over. */
    private ChunkMapRef recordedBase() {
        appendLock.lock();
        try {
            return state.base();
        } finally {
            unlock();
        }
    }

    /** Folds everything written so far into the base, now, whatever the options say. Only space and time change. */
    public void foldAll() throws IOException {
        foldNow(true);
    }

    // ---- the rest ----

    /**
     * Makes the volume larger; what is new reads as zeros. Durable on return.
     *
     * @param newSizeBytes a multiple of 4096, not below the present size
     */
    public void grow(long newSizeBytes) throws IOException {
        if (newSizeBytes > Geometry.VOLUME_BYTES_MAX || !Geometry.aligned(newSizeBytes)) {
            throw new IllegalArgumentException(
                    "a volume of " + newSizeBytes + " bytes: multiples of 4096 up to 16 TiB are possible");
        }
        lockToAppend();
        try {
            if (newSizeBytes < sizeBytes) {
                throw new IllegalArgumentException(
                        "a volume of " + sizeBytes + " bytes can't shrink to " + newSizeBytes);
            }
            recordState(state.withSize(newSizeBytes));
            synchronized (viewLock) {
                for (Layer layer : view.layers) {
                    layer.index.grow(Geometry.slots(newSizeBytes));
                }
            }
            sizeBytes = newSizeBytes;
        } finally {
            unlock();
        }
    }

    /** What it is doing. */
    public VolumeStats stats() {
        Dirt dirt = dirt();
        return new VolumeStats(
                dirt.bytes(),
                dirt.slots(),
                dirt.layers(),
                dirt.logBytes(),
                replayedBytes,
                foldedSlots.get(),
                cache.hits(),
                cache.misses(),
                readAhead.asked());
    }

    /** The newest segment of the log, if there is one; what is not durable is in it. */
    Optional<LogSegment> newestSegment() {
        Layer newest = newestLayer();
        return newest == null ? Optional.empty() : Optional.of(newest.segment);
    }

    /**
     * Makes everything durable and closes. The log stays, for the next {@link #open} to replay; unless it says nothing that the
     * snapshot last opened or rebased to does not contain. Snapshots taken from it must be closed before. A second call does
     * nothing.
     */
    @Override
    public void close() throws IOException {
        close(Leaving.KEEP);
    }

    /**
     * Closes and deletes the log: what was written since the snapshot that the session's head names is given up. For the end of
     * a suspended session, after its head is durable.
     */
    public void retire() throws IOException {
        close(Leaving.DELETE);
    }

    /**
     * Closes and touches nothing of the log, not even segments of no use: it belongs to another holder, who may have begun segments
     * of its own.
     */
    public void abandon() throws IOException {
        close(Leaving.UNTOUCHED);
    }

    /** What becomes of the log. */
    private enum Leaving {
        KEEP,
        DELETE,
        UNTOUCHED
    }

    private void close(Leaving leaving) throws IOException {
        boolean giveUp = leaving != Leaving.KEEP;
        appendLock.lock();
        try {
            synchronized (viewLock) {
                if (closed) {
                    return;
                }
                closed = true;
            }
        } finally {
            unlock();
        }
        IOException failure = null;
        stopFolding();
        readAhead.close();
        View last;
        boolean clean = true;
        appendLock.lock();
        try {
            while (promised > 0) {
                turn.awaitUninterruptibly();
            }
            synchronized (viewLock) {
                last = view;
                for (Layer layer : last.layers) {
                    clean &= layer.index.isEmpty();
                }
            }
            // With a second root, the session's head may name that one: then the log says what came after.
            clean &= state.roots().size() == 1
                    && state.base().equals(state.roots().getFirst().map())
                    && sizeBytes == openedSizeBytes;
            if (leaving == Leaving.UNTOUCHED) {
                for (Layer layer : last.layers) {
                    layer.folded = false;
                }
                if (spare != null) {
                    spare.log().close();
                }
            } else {
                discardSpare();
            }
            if (!giveUp && !clean && !last.layers.isEmpty()) {
                last.layers.getFirst().segment.sync();
                last.layers.getFirst().segment.releaseSpaceAside();
            }
        } catch (IOException e) {
            failure = e;
        } finally {
            appendLock.unlock();
        }
        last = view;
        try {
            unpin(last);
        } catch (IOException e) {
            failure = failure == null ? e : failure;
        }
        sealers.close();
        readers.close();
        cache.close();
        writer.close();
        if (failure == null && leaving != Leaving.UNTOUCHED && (giveUp || clean)) {
            log.deleteAll();
        }
        if (failure != null) {
            throw failure;
        }
    }

    private void stopFolding() {
        Fold running = runningFold;
        if (running != null) {
            running.cancel();
        }
        roomMade();
        boolean interrupted = false;
        while (true) {
            try {
                folder.join();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
