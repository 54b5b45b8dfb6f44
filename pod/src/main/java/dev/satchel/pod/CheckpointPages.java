package dev.satchel.pod;

import dev.satchel.linux.fuse.FuseFile;
import dev.satchel.linux.fuse.PageCache;
import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkStore;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A pages file of a checkpoint, decoded as CRIU reads it: its plaintext exists only in the processes that it belongs to and in
 * the buffers on the way there.
 */
final class CheckpointPages implements FuseFile, AutoCloseable {
    /** Stored together: few, because who waits for the first of them waits for all. */
    private static final int READ_AHEAD_CHUNKS = 8;

    /** So many windows are announced at once: some megabytes. */
    static final int ANNOUNCED = 64;

    private final ChunkStore chunks;
    private final ChunkMap map;
    private final long firstSlot;
    private final WindowScratch scratch;
    private final Listener listener;
    private final long[] starts; // of each window in the file, and the file's size
    private final Arena arena = Arena.ofShared();

    /** The window that a read took only a part of; the next read wants the rest. Guarded by this. */
    private @Nullable MemorySegment partial;

    private int partialChunk = -1;

    private final String name;

    /** Which windows somebody has begun to decode already; by any thread, so that at worst one is decoded twice. */
    private final boolean[] begun;

    /** Is told of each window that was put together, by whatever thread did it, before it is used. */
    interface Listener {
        Listener NONE = (_, _) -> {};

        /** @param number from the beginning of the file */
        void decoded(int number, MemorySegment window);
    }

    /**
     * Reads nothing yet: which chunks a window is made of is looked up when it is wanted, so that a large memory takes no longer to
     * begin with than a small one.
     *
     * @param layout by the file's pagemap
     * @param scratch stays the caller's, and open as long as this
     */
    CheckpointPages(
            ChunkStore chunks,
            ChunkMap map,
            PagesFile file,
            PageWindows.Layout layout,
            WindowScratch scratch,
            Listener listener)
            throws IOException {
        this.chunks = chunks;
        this.map = map;
        this.name = file.name();
        this.scratch = scratch;
        this.listener = listener;
        this.firstSlot = file.firstSlot();
        this.starts = layout.starts();
        int windows = starts.length - 1;
        if (firstSlot < 0
                || firstSlot > ChunkMap.SLOTS_MAX - file.slots()
                || file.slots() != (long) windows * PageWindows.SLOTS
                || starts[windows] != file.sizeBytes()) {
            throw notWhole();
        }
        begun = new boolean[windows];
    }

    private IOException notWhole() {
        return new IOException("the checkpoint's " + name + " is not whole");
    }

    @Override
    public long sizeBytes() {
        return starts[count()];
    }

    @Override
    public boolean writable() {
        return false;
    }

    /**
     * CRIU compares pages of forked processes with their parent's one at a time (restore_priv_vma_content in criu/mem.c): through the
     * page cache that is one request for many of them. The cache goes with the mount, before which CRIU has ended.
     */
    @Override
    public boolean cached() {
        return true;
    }

    @Override
    public void read(long offset, MemorySegment dst) throws IOException {
        int chunk = Arrays.binarySearch(starts, offset);
        if (chunk < 0) {
            chunk = -chunk - 2;
        }
        long done = 0;
        while (done < dst.byteSize()) {
            begun[chunk] = true;
            long from = offset + done - starts[chunk];
            long step = Math.min(dst.byteSize() - done, length(chunk) - from);
            if (from == 0 && step == length(chunk)) {
                decode(chunk, dst.asSlice(done, step));
            } else {
                readPart(chunk, from, dst.asSlice(done, step));
            }
            done += step;
            chunk++;
        }
    }

    private int length(int window) {
        return (int) (starts[window + 1] - starts[window]);
    }

    /** The window that a page is in, by its number from the beginning of the file. */
    int windowOf(int page) {
        int at = Arrays.binarySearch(starts, (long) page * AddressSpace.PAGE_BYTES);
        return at >= 0 ? at : -at - 2;
    }

    /** The first page of a window; of the number of windows: how many pages there are. */
    int firstPage(int window) {
        return (int) (starts[window] / AddressSpace.PAGE_BYTES);
    }

    /** Has {@link #readAhead} leave out the windows that have no other pages than these. */
    void leaveOut(BitSet pages) {
        int other = -1; // the next page that is not one of these
        for (int window = 0; window < count(); window++) {
            int first = firstPage(window);
            if (other < first) {
                other = pages.nextClearBit(first);
            }
            begun[window] |= other >= firstPage(window + 1);
        }
    }

    /** Puts a window together. By any thread. @return its length */
    int decode(int window, MemorySegment dst) throws IOException {
        int length = putTogether(window, dst);
        listener.decoded(window, dst.asSlice(0, length));
        return length;
    }

    private int putTogether(int window, MemorySegment dst) throws IOException {
        int length = length(window);
        long slot = firstSlot + (long) window * PageWindows.SLOTS;
        ChunkRef base = map.get(slot).orElseThrow(this::notWhole);
        ChunkRef delta = map.get(slot + 1).orElse(null);
        if ((delta == null ? base.length() : PageDelta.windowBytes(delta)) != length) {
            throw notWhole();
        }
        if (delta == null) {
            return chunks.read(base, dst);
        }
        WindowScratch.Buffers buffers = scratch.take();
        try {
            MemorySegment over = buffers.delta().asSlice(0, chunks.read(delta, buffers.delta()));
            MemorySegment under = PageDelta.inPlace(over, length, base.length()) ? dst : buffers.base();
            PageDelta.decode(over, under.asSlice(0, chunks.read(base, under)), dst, length);
        } finally {
            scratch.give(buffers);
        }
        return length;
    }

    /** Whether {@link #announce} does anything. */
    boolean isAnnouncing() {
        return chunks.isAnnouncing();
    }

    /** Has a place of chunks that is far away asked at once for what these windows are made of. */
    void announce(BitSet windows) throws IOException {
        List<ChunkRef> refs = new ArrayList<>();
        for (int window = windows.nextSetBit(0); window >= 0; window = windows.nextSetBit(window + 1)) {
            long slot = firstSlot + (long) window * PageWindows.SLOTS;
            map.forEach(slot, slot + PageWindows.SLOTS, (_, ref) -> refs.add(ref));
        }
        chunks.announce(refs);
    }

    /** As the mount has it. */
    String name() {
        return name;
    }

    /** How many windows it has. */
    int count() {
        return starts.length - 1;
    }

    /**
     * Decodes chunks into the page cache that nobody has read yet, as many as go there at once.
     *
     * @param from where to begin
     * @param to the first that is somebody else's
     * @return the first chunk that it did not come to
     */
    int readAhead(int from, int to, PageCache cache) throws IOException {
        MemorySegment payload = cache.payload();
        int next = from;
        while (next < to && begun[next]) {
            next++;
        }
        announceAhead(next, to);
        int first = next;
        int bytes = 0;
        while (next < to
                && next - first < READ_AHEAD_CHUNKS
                && !begun[next]
                && bytes + length(next) <= PageCache.PAYLOAD_BYTES_MAX) {
            begun[next] = true;
            bytes += decode(next, payload.asSlice(bytes));
            next++;
        }
        if (bytes > 0 && !cache.store(name, starts[first], bytes)) {
            return to;
        }
        return next;
    }

    private void announceAhead(int from, int to) throws IOException {
        if (from == to || !chunks.isAnnouncing()) {
            return;
        }
        BitSet windows = new BitSet();
        for (int window = from; window < Math.min(to, from + ANNOUNCED); window++) {
            windows.set(window, !begun[window]);
        }
        announce(windows);
    }

    private synchronized void readPart(int chunk, long from, MemorySegment dst) throws IOException {
        MemorySegment decoded = partial;
        if (decoded == null) {
            decoded = arena.allocate(PageWindows.BYTES, 64); // few files need it: most reads are of whole windows
            partial = decoded;
        }
        if (partialChunk != chunk) {
            partialChunk = -1;
            decode(chunk, decoded);
            partialChunk = chunk;
        }
        MemorySegment.copy(decoded, from, dst, 0, dst.byteSize());
    }

    @Override
    public void write(long offset, MemorySegment src) {
        throw new UnsupportedOperationException("a checkpoint is never written to");
    }

    @Override
    public void flush() {}

    @Override
    public void discard(long offset, long length) {
        throw new UnsupportedOperationException("a checkpoint is never written to");
    }

    @Override
    public void close() {
        arena.close();
    }
}
