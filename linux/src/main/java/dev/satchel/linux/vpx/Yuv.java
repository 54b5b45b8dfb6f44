package dev.satchel.linux.vpx;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;

/** libyuv, for what it does here. */
final class Yuv {
    private static final String NAME = "libyuv.so.0";

    private Yuv() {}

    /** @throws UnsupportedOperationException if this host lacks it; the message names its package */
    static MemorySegment function(String name) {
        SymbolLookup symbols;
        try {
            symbols = SymbolLookup.libraryLookup(NAME, Arena.global());
        } catch (IllegalArgumentException missing) {
            throw new UnsupportedOperationException(
                    "this host has no " + NAME + ": install the package libyuv0", missing);
        }
        return symbols.find(name).orElseThrow(() -> new UnsupportedOperationException(NAME + " has no " + name + "()"));
    }

    /** One that takes up to eleven integers and pointers, as eleven {@code long}, like another library's: linked once for all. */
    static MethodHandle longFunction(String name) {
        return Linker.nativeLinker()
                .downcallHandle(
                        function(name),
                        FunctionDescriptor.of(
                                JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                                JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG));
    }
}
