package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.lang.ref.Reference;

/**
 * The door to the C library. For the packages of this part only; everybody else uses the types around it.
 *
 * <p>Linking a native function costs a cold JVM a few milliseconds for every distinct signature, because a class is generated
 * for each. All functions called here take at most six integers or pointers and return one; in the calling conventions of
 * x86-64 (System V ABI §3.2.3) and aarch64 (AAPCS64 §6.8) each of them travels in a 64-bit register, of which the callee looks
 * at the part that its type has, and registers that it does not expect do no harm. So <em>one</em> signature, of six {@code
 * long}s, serves for all, and is linked once. The same holds for variadic functions such as open(2), ioctl(2) and syscall(2):
 * integers are passed to them in the same registers, and the JDK sets {@code al} (the number of vector registers) to zero.
 * A C {@code int} result has garbage in its upper half: narrow it.
 *
 * <p>Nothing here keeps a memory segment alive whose address is passed. Whoever passes one sees to it that it stays reachable
 * and its arena open until the call returns.
 */
public final class Libc {
    private static final Linker LINKER = Linker.nativeLinker();
    private static final SymbolLookup SYMBOLS = LINKER.defaultLookup();
    private static final MethodHandle CALL = LINKER.downcallHandle(
            FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG),
            Linker.Option.captureCallState("errno"));

    /** Where the JDK leaves errno after a call of this thread; its layout is one C int on Linux. */
    private static final ThreadLocal<MemorySegment> CAPTURED = new ThreadLocal<>() {
        @Override
        protected MemorySegment initialValue() {
            return Arena.ofAuto().allocate(Linker.Option.captureStateLayout());
        }
    };

    private Libc() {}

    /**
     * The function of that name in the C library.
     *
     * @throws UnsupportedOperationException if this C library lacks it (glibc 2.36 or later is needed)
     */
    public static MemorySegment function(String name) {
        return SYMBOLS.find(name)
                .orElseThrow(() -> new UnsupportedOperationException(
                        "the C library has no " + name + "(): glibc 2.36 or later is needed"));
    }

    /**
     * Calls of a function that takes up to eleven integers and pointers, as eleven {@code long}: each of those that have no register has
     * eight bytes of the stack to itself. Of all such functions the same signature, which is linked once.
     */
    public static MethodHandle elevenLongs(MemorySegment function) {
        return LINKER.downcallHandle(
                function,
                FunctionDescriptor.of(
                        JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                        JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG));
    }

    /** Calls a function with up to six integer or pointer arguments; {@link #errno()} tells what went wrong. */
    public static long call(MemorySegment function, long a, long b, long c, long d, long e, long f) {
        try {
            return (long) CALL.invokeExact(function, CAPTURED.get(), a, b, c, d, e, f);
        } catch (RuntimeException | Error thrown) {
            throw thrown;
        } catch (Throwable thrown) {
            throw new AssertionError("a native call throws no checked exception", thrown);
        }
    }

    /** As above, and that segment, whose address is among the arguments, stays reachable until the call returns. */
    public static long callWith(
            MemorySegment kept, MemorySegment function, long a, long b, long c, long d, long e, long f) {
        try {
            return call(function, a, b, c, d, e, f);
        } finally {
            Reference.reachabilityFence(kept);
        }
    }

    /** As above, with fewer arguments. */
    public static long call(MemorySegment function, long a, long b, long c, long d, long e) {
        return call(function, a, b, c, d, e, 0);
    }

    /** As above, with fewer arguments. */
    public static long call(MemorySegment function, long a, long b, long c, long d) {
        return call(function, a, b, c, d, 0, 0);
    }

    /** As above, with fewer arguments. */
    public static long call(MemorySegment function, long a, long b, long c) {
        return call(function, a, b, c, 0, 0, 0);
    }

    /** As above, with fewer arguments. */
    public static long call(MemorySegment function, long a, long b) {
        return call(function, a, b, 0, 0, 0, 0);
    }

    /** As above, with fewer arguments. */
    public static long call(MemorySegment function, long a) {
        return call(function, a, 0, 0, 0, 0, 0);
    }

    /** As above, without arguments. */
    public static long call(MemorySegment function) {
        return call(function, 0, 0, 0, 0, 0, 0);
    }

    /** What the last call of this thread left in errno; meaningful only if it failed. */
    public static int errno() {
        return CAPTURED.get().get(JAVA_INT, 0);
    }

    /** A NUL-terminated copy of the text in that arena. */
    public static long string(Arena arena, String text) {
        return arena.allocateFrom(text).address();
    }
}
