package dev.satchel.linux.jpeg;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;

/** libturbojpeg, for what compresses and decompresses. */
final class TurboJpeg {
    /** turbojpeg.h: TJPF_BGRX. */
    static final int BGRX = 3;

    private static final String NAME = "libturbojpeg.so.0";

    private final SymbolLookup symbols;

    /** @throws UnsupportedOperationException if this host lacks it; the message names its package */
    TurboJpeg() {
        try {
            symbols = SymbolLookup.libraryLookup(NAME, Arena.global());
        } catch (IllegalArgumentException missing) {
            throw new UnsupportedOperationException(
                    "this host has no " + NAME + ": install the package libturbojpeg0", missing);
        }
    }

    MemorySegment function(String name) {
        return symbols.find(name).orElseThrow(() -> new UnsupportedOperationException(NAME + " has no " + name + "()"));
    }

    /**
     * One that takes up to eleven integers and pointers, as eleven {@code long}: each of those that have no register has eight bytes of the
     * stack to itself.
     */
    MethodHandle longFunction(String name) {
        return Linker.nativeLinker()
                .downcallHandle(
                        function(name),
                        FunctionDescriptor.of(
                                JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                                JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG));
    }
}
