package dev.satchel.pod;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.BitSet;

/**
 * Which pages of a process a checkpoint has, and where: pages are numbered from 0 in the order of the pages file, in which their
 * addresses ascend. Immutable; addresses are those at the time of the checkpoint.
 */
final class AddressSpace {
    static final int PAGE_BYTES = 4096;

    private final CheckpointPages pages;
    private final long[] starts; // of each run of pages
    private final int[] firsts; // number of its first page; at the end, how many pages there are
    private final BitSet lazy;

    private AddressSpace(CheckpointPages pages, long[] starts, int[] firsts, BitSet lazy) {
        this.pages = pages;
        this.starts = starts;
        this.firsts = firsts;
        this.lazy = lazy;
    }

    /** Finds a pages file by its number, N in {@code pages-N.img}. */
    @FunctionalInterface
    interface PagesById {
        CheckpointPages pages(long id) throws IOException;
    }

    /** Of a {@code pagemap-*.img}. */
    static AddressSpace of(String name, byte[] pagemap, PagesById files) throws IOException {
        Runs runs = new Runs();
        CheckpointPages pages = files.pages(Pagemap.read(name, ByteBuffer.wrap(pagemap), runs));
        if (runs.pages * PAGE_BYTES != pages.sizeBytes()) {
            throw new IOException("the checkpoint's " + pages.name() + " is not whole");
        }
        int[] firsts = Arrays.copyOf(runs.firsts, runs.count + 1);
        firsts[runs.count] = (int) runs.pages;
        return new AddressSpace(pages, Arrays.copyOf(runs.starts, runs.count), firsts, runs.lazy);
    }

    private static final class Runs implements Pagemap.RunListener {
        private long[] starts = new long[256];
        private int[] firsts = new int[257];
        private final BitSet lazy = new BitSet();
        private int count;
        private long pages;

        @Override
        public void run(long address, long lengthBytes, boolean isLazy) {
            if (count == starts.length) {
                starts = Arrays.copyOf(starts, 2 * count);
                firsts = Arrays.copyOf(firsts, 2 * count + 1);
            }
            starts[count] = address;
            firsts[count++] = (int) pages;
            long end = pages + lengthBytes / PAGE_BYTES;
            if (isLazy) {
                lazy.set((int) pages, (int) end);
            }
            pages = end;
        }
    }

    CheckpointPages pages() {
        return pages;
    }

    /** The pages that a process can run without; a copy. */
    BitSet lazyPages() {
        return (BitSet) lazy.clone();
    }

    /** The page at an address; -1 if the checkpoint has none there. */
    int page(long address) {
        int run = run(address);
        if (run < 0) {
            return -1;
        }
        long page = firsts[run] + (address - starts[run]) / PAGE_BYTES;
        return page < firsts[run + 1] ? (int) page : -1;
    }

    /** The run that an address is in or behind; -1 before the first. */
    private int run(long address) {
        int at = Arrays.binarySearch(starts, address);
        return at >= 0 ? at : -at - 2;
    }

    /** The address of a page. */
    long address(int page) {
        int at = Arrays.binarySearch(firsts, 0, starts.length, page);
        int run = at >= 0 ? at : -at - 2;
        return starts[run] + (long) (page - firsts[run]) * PAGE_BYTES;
    }

    /** The first address at or behind this one that the checkpoint has a page of; Long.MAX_VALUE if there is none. */
    long next(long address) {
        if (page(address) >= 0) {
            return address;
        }
        int next = run(address) + 1;
        return next < starts.length ? starts[next] : Long.MAX_VALUE;
    }

    /** The first page whose address is at or behind this one; the number of pages if there is none. */
    int firstPageFrom(long address) {
        long next = next(address);
        return next == Long.MAX_VALUE ? firsts[starts.length] : page(next);
    }
}
