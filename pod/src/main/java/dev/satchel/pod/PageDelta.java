package dev.satchel.pod;

import dev.satchel.vault.ChunkRef;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A window of memory by what makes it different from the chunk of an earlier one, its base. For each page of the window one byte: the
 * number of the base's page that it is, or 255 if it is the delta's own; then the delta's own pages. So its length tells how many
 * pages the window has: it is that number more than a multiple of a page.
 */
final class PageDelta {
    static final int PAGE_BYTES = 4096;

    /** None is as long: half of the longest window, which is a chunk, is its base's. */
    static final int BYTES_MAX = ChunkRef.LENGTH_MAX;

    private static final int PAGES_MAX = ChunkRef.LENGTH_MAX / PAGE_BYTES;
    private static final byte OWN = (byte) 255;

    private PageDelta() {}

    /**
     * Makes one, if it is worth it: a resume decodes the base and then the delta's own pages, so half of the window must be the base's.
     *
     * @param window whole pages
     * @param base whole pages
     * @param target room for {@link #BYTES_MAX}
     * @return its length, or 0 if the window is better stored whole
     */
    static int encode(MemorySegment window, MemorySegment base, MemorySegment target) {
        int pages = (int) (window.byteSize() / PAGE_BYTES);
        int basePages = (int) (base.byteSize() / PAGE_BYTES);
        int ownMax = pages >> 1;
        int own = 0;
        int shift = 0; // pages that came or went in a window move those behind them
        for (int page = 0; page < pages; page++) {
            int found = find(window, page, base, page + shift) ? page + shift : -1;
            if (found < 0 && pages != basePages) {
                for (int i = 0; i < basePages && found < 0; i++) {
                    found = find(window, page, base, i) ? i : -1;
                }
            }
            if (found >= 0) {
                shift = found - page;
                target.set(ValueLayout.JAVA_BYTE, page, (byte) found);
            } else if (own == ownMax) {
                return 0;
            } else {
                MemorySegment.copy(
                        window, (long) page * PAGE_BYTES, target, pages + (long) own * PAGE_BYTES, PAGE_BYTES);
                target.set(ValueLayout.JAVA_BYTE, page, OWN);
                own++;
            }
        }
        return pages + own * PAGE_BYTES;
    }

    private static boolean find(MemorySegment window, int page, MemorySegment base, int candidate) {
        long from = (long) page * PAGE_BYTES;
        long other = (long) candidate * PAGE_BYTES;
        return candidate >= 0
                && other < base.byteSize()
                && MemorySegment.mismatch(window, from, from + PAGE_BYTES, base, other, other + PAGE_BYTES) < 0;
    }

    /** How long the window is that a delta of this length makes. */
    static int windowBytes(ChunkRef delta) throws IOException {
        int pages = delta.length() % PAGE_BYTES;
        if (pages == 0 || pages > PAGES_MAX) {
            throw damaged();
        }
        return pages * PAGE_BYTES;
    }

    /** Whether each page of the base that is in the window is where it was, and no page of it is behind the window's end. */
    static boolean inPlace(MemorySegment delta, int windowBytes, int baseBytes) {
        int pages = windowBytes / PAGE_BYTES;
        for (int page = 0; page < pages; page++) {
            byte from = delta.get(ValueLayout.JAVA_BYTE, page);
            if (from != OWN && from != page) {
                return false;
            }
        }
        return baseBytes <= windowBytes;
    }

    /**
     * Makes the window.
     *
     * @param base may be the window itself if the delta is {@link #inPlace}
     * @param window room for {@link #windowBytes}
     */
    static void decode(MemorySegment delta, MemorySegment base, MemorySegment window, int windowBytes)
            throws IOException {
        int pages = windowBytes / PAGE_BYTES;
        long own = pages;
        boolean copied = base.address() != window.address();
        for (int page = 0; page < pages; page++) {
            byte from = delta.get(ValueLayout.JAVA_BYTE, page);
            MemorySegment source = delta;
            long offset = own;
            if (from == OWN) {
                own += PAGE_BYTES;
            } else {
                source = base;
                offset = (from & 0xffL) * PAGE_BYTES;
            }
            if (offset > source.byteSize() - PAGE_BYTES) {
                throw damaged();
            }
            if (from == OWN || copied) {
                MemorySegment.copy(source, offset, window, (long) page * PAGE_BYTES, PAGE_BYTES);
            }
        }
        if (own != delta.byteSize()) {
            throw damaged();
        }
    }

    private static IOException damaged() {
        return new IOException(
                "the checkpoint's memory is not as this version of Satchel writes it: use a newer version");
    }
}
