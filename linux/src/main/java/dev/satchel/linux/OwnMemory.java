package dev.satchel.linux;

import java.lang.foreign.MemorySegment;

/** Gives memory of this process that holds nothing any more back to the kernel. */
public final class OwnMemory {
    private static final int MADV_DONTNEED = 4;
    private static final int PAGE_BYTES = 4096;

    private static final long CLEANING_MILLIS = 50;

    private OwnMemory() {}

    /**
     * Collects the heap's garbage, and returns what malloc(3) keeps for later (malloc_trim(3)). Takes up to a tenth of a second: for
     * a process that has just done its largest piece of work, and will do little for long.
     */
    public static void trim() {
        System.gc();
        try {
            // What garbage held outside of the heap, Java's own threads free now.
            Thread.sleep(CLEANING_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        long ignored = Libc.call(Calls.MALLOC_TRIM, 0);
    }

    /**
     * Forgets what is in a buffer: it reads as zeros afterwards, and takes no memory until it is written to.
     *
     * @param buffer private native memory, begins and ends with a page of 4096 bytes
     */
    public static void discard(MemorySegment buffer) {
        if (!buffer.isNative() || (buffer.address() | buffer.byteSize()) % PAGE_BYTES != 0) {
            throw new IllegalArgumentException("native memory of whole pages is needed, not " + buffer);
        }
        long result = Libc.callWith(buffer, Calls.MADVISE, buffer.address(), buffer.byteSize(), MADV_DONTNEED, 0, 0, 0);
        if ((int) result < 0) {
            throw new IllegalStateException(new LinuxException("madvise(MADV_DONTNEED)", Libc.errno()));
        }
    }

    private static final class Calls {
        static final MemorySegment MALLOC_TRIM = Libc.function("malloc_trim");
        static final MemorySegment MADVISE = Libc.function("madvise");

        private Calls() {}
    }
}
