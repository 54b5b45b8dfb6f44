package dev.satchel.linux.zstd;

import dev.satchel.linux.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.ref.Reference;

/**
 * Compresses and decompresses whole buffers as zstd frames (RFC 8878). An instance holds the contexts (about 1 MiB once it
 * has compressed, 160 KiB once it has decompressed) to be used again and again, by one thread at a time. All segments are
 * native memory.
 */
public final class Zstd implements AutoCloseable {
    private static final SymbolLookup LIBRARY = load();
    private static final MemorySegment COMPRESS = function("ZSTD_compressCCtx");
    private static final MemorySegment DECOMPRESS = function("ZSTD_decompressDCtx");
    private static final MemorySegment IS_ERROR = function("ZSTD_isError");

    private long compressor;
    private long decompressor;
    private boolean closed;

    /** Makes an instance; its contexts are made when first needed. */
    public Zstd() {}

    private static SymbolLookup load() {
        try {
            return SymbolLookup.libraryLookup("libzstd.so.1", Arena.global());
        } catch (IllegalArgumentException missing) {
            throw new UnsupportedOperationException(
                    "this host has no libzstd.so.1: install the package libzstd1", missing);
        }
    }

    static MemorySegment function(String name) {
        return LIBRARY.find(name)
                .orElseThrow(() -> new UnsupportedOperationException("libzstd.so.1 has no " + name + "()"));
    }

    /**
     * Compresses all of {@code source}.
     *
     * @param level ZSTD_minCLevel() to 22; below 0 is faster
     * @return length of the frame at the beginning of {@code target}; −1 when it does not fit, or for any other reason can't
     *     be made: what target then holds is undefined
     */
    public int compress(MemorySegment source, MemorySegment target, int level) {
        requireOpen();
        if (compressor == 0) {
            compressor = Libc.call(function("ZSTD_createCCtx"));
            if (compressor == 0) {
                throw new OutOfMemoryError("ZSTD_createCCtx");
            }
        }
        return call(COMPRESS, compressor, source, target, level);
    }

    /**
     * Decompresses the frames that {@code source} consists of.
     *
     * @return length of the plaintext at the beginning of {@code target}; −1 when source is malformed or does not fit: what
     *     target then holds is undefined
     */
    public int decompress(MemorySegment source, MemorySegment target) {
        requireOpen();
        if (decompressor == 0) {
            decompressor = Libc.call(function("ZSTD_createDCtx"));
            if (decompressor == 0) {
                throw new OutOfMemoryError("ZSTD_createDCtx");
            }
        }
        return call(DECOMPRESS, decompressor, source, target, 0);
    }

    private static int call(
            MemorySegment function, long context, MemorySegment source, MemorySegment target, int level) {
        if (!source.isNative() || !target.isNative() || target.byteSize() > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("native memory of less than 2 GiB is needed");
        }
        try {
            long result = Libc.call(
                    function, context, target.address(), target.byteSize(), source.address(), source.byteSize(), level);
            return (int) Libc.call(IS_ERROR, result) != 0 ? -1 : (int) result;
        } finally {
            Reference.reachabilityFence(source);
            Reference.reachabilityFence(target);
        }
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("this has been closed");
        }
    }

    /** Frees the contexts; the second time does nothing. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            Libc.call(function("ZSTD_freeCCtx"), compressor);
            Libc.call(function("ZSTD_freeDCtx"), decompressor);
        }
    }
}
