package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** How much a thread has used of a processor, whatever else the host does meanwhile: clock_gettime(2), CLOCK_THREAD_CPUTIME_ID. */
public final class ThreadClock {
    private static final MemorySegment CLOCK_GETTIME = Libc.function("clock_gettime");
    private static final int CLOCK_THREAD_CPUTIME_ID = 3;

    private ThreadClock() {}

    /** Nanoseconds of processor time that the calling platform thread has used since it began. */
    public static long usedNanos() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment time = arena.allocate(JAVA_LONG, 2);
            if ((int) Libc.call(CLOCK_GETTIME, CLOCK_THREAD_CPUTIME_ID, time.address()) != 0) {
                throw new UnsupportedOperationException("the kernel has no clock of a thread's processor time");
            }
            return time.get(JAVA_LONG, 0) * 1_000_000_000L + time.get(JAVA_LONG, JAVA_LONG.byteSize());
        }
    }
}
