package dev.satchel.linux.vpx;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;

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
}
