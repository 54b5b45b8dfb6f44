package dev.satchel.linux.jpeg;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;

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
}
