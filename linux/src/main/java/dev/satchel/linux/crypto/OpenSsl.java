package dev.satchel.linux.crypto;

import dev.satchel.linux.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;

/** libcrypto.so.3; only functions that OpenSSL 3.0 has. Called through {@link Libc#call}, so with at most six arguments. */
final class OpenSsl {
    private static final int ERROR_TEXT_BYTES = 256;
    private static final SymbolLookup LIBRARY = load();

    private OpenSsl() {}

    private static SymbolLookup load() {
        try {
            return SymbolLookup.libraryLookup("libcrypto.so.3", Arena.global());
        } catch (IllegalArgumentException missing) {
            throw new UnsupportedOperationException(
                    "this host has no libcrypto.so.3 (OpenSSL 3): install the package libssl3 or libssl3t64", missing);
        }
    }

    static MemorySegment function(String name) {
        return LIBRARY.find(name)
                .orElseThrow(() -> new UnsupportedOperationException(
                        "libcrypto.so.3 has no " + name + "(): OpenSSL 3.0 or later is needed"));
    }

    /** For functions that return a pointer. */
    static long nonNull(long pointer, String call) {
        if (pointer == 0) {
            throw failed(call);
        }
        return pointer;
    }

    /** For functions that return 1 when all is well. */
    static void check(long result, String call) {
        if ((int) result != 1) {
            throw failed(call);
        }
    }

    /** What OpenSSL's error queue of this thread says about a failed call; empties the queue. */
    private static IllegalStateException failed(String call) {
        long code = Libc.call(function("ERR_peek_last_error"));
        Libc.call(function("ERR_clear_error"));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocate(ERROR_TEXT_BYTES);
            Libc.call(function("ERR_error_string_n"), code, text.address(), ERROR_TEXT_BYTES);
            return new IllegalStateException("OpenSSL's " + call + " failed: " + text.getString(0));
        }
    }

    /** Forgets the errors of an expected failure, such as a signature that does not match. */
    static void clearErrors() {
        Libc.call(Errors.CLEAR);
    }

    static void requireNative(MemorySegment segment) {
        if (!segment.isNative()) {
            throw new IllegalArgumentException("native memory is needed, not an array on the heap");
        }
    }

    static void requireSize(MemorySegment segment, long size, String what) {
        requireNative(segment);
        if (segment.byteSize() != size) {
            throw new IllegalArgumentException(what + " has " + size + " bytes, not " + segment.byteSize());
        }
    }

    private static final class Errors {
        static final MemorySegment CLEAR = function("ERR_clear_error");
    }
}
