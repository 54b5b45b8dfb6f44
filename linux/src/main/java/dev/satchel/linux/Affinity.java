package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.BitSet;

/**
 * On which processors a thread may run, sched_setaffinity(2). Immutable.
 */
public final class Affinity {
    /** As many processors as Linux can have (CONFIG_NR_CPUS). */
    private static final int PROCESSORS_MAX = 8192;

    private final BitSet processors;

    private Affinity(BitSet processors) {
        this.processors = processors;
    }

    /**
     * A thread's.
     *
     * @param thread its id in the caller's pid namespace; 0 is the caller
     * @throws LinuxException ESRCH if it has ended
     */
    public static Affinity of(long thread) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment mask = arena.allocate(PROCESSORS_MAX / Byte.SIZE, Long.BYTES);
            int result = (int) Libc.callWith(mask, Calls.GET, thread, mask.byteSize(), mask.address(), 0, 0, 0);
            if (result < 0) {
                throw new LinuxException("sched_getaffinity(" + thread + ")", Libc.errno());
            }
            return new Affinity(BitSet.valueOf(mask.toArray(JAVA_BYTE)));
        }
    }

    /** One processor only. */
    public static Affinity only(int processor) {
        BitSet one = new BitSet();
        one.set(processor);
        return new Affinity(one);
    }

    /** What both allow; may be none. */
    public Affinity and(Affinity other) {
        BitSet both = (BitSet) processors.clone();
        both.and(other.processors);
        return new Affinity(both);
    }

    /** How many there are. */
    public int count() {
        return processors.cardinality();
    }

    /** The last of them; -1 if there is none. */
    public int last() {
        return processors.length() - 1;
    }

    /**
     * Has a thread run there, from now on.
     *
     * @throws LinuxException ESRCH if it has ended, EINVAL if its control group allows none of them
     */
    public void apply(long thread) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment mask = arena.allocate(PROCESSORS_MAX / Byte.SIZE, Long.BYTES);
            byte[] bytes = processors.toByteArray();
            MemorySegment.copy(bytes, 0, mask, JAVA_BYTE, 0, bytes.length);
            if ((int) Libc.callWith(mask, Calls.SET, thread, mask.byteSize(), mask.address(), 0, 0, 0) < 0) {
                throw new LinuxException("sched_setaffinity(" + thread + ", " + this + ")", Libc.errno());
            }
        }
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Affinity affinity && processors.equals(affinity.processors);
    }

    @Override
    public int hashCode() {
        return processors.hashCode();
    }

    /** As {@code {0, 1}}. */
    @Override
    public String toString() {
        return processors.toString();
    }

    private static final class Calls {
        static final MemorySegment GET = Libc.function("sched_getaffinity");
        static final MemorySegment SET = Libc.function("sched_setaffinity");

        private Calls() {}
    }
}
