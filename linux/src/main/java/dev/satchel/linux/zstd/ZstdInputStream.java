package dev.satchel.linux.zstd;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.satchel.linux.Libc;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Decompresses zstd frames (RFC 8878) of any length as they are read; one thread at a time. Windows up to 128 MiB, libzstd's own limit,
 * which is what a hostile frame can make it take.
 */
public final class ZstdInputStream extends InputStream {
    private static final int BUFFER_BYTES = 128 << 10;

    private final InputStream source;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment in = arena.allocate(BUFFER_BYTES);
    private final MemorySegment out = arena.allocate(BUFFER_BYTES);

    /** ZSTD_inBuffer and ZSTD_outBuffer: address, size, position. */
    private final MemorySegment inState = arena.allocate(24, 8);

    private final MemorySegment outState = arena.allocate(24, 8);
    private final byte[] chunk = new byte[BUFFER_BYTES];
    private final long context;
    private long given;
    private boolean inFrame;
    private boolean closed;

    /** @param source is closed with this */
    public ZstdInputStream(InputStream source) {
        this.source = source;
        context = Libc.call(Zstd.function("ZSTD_createDCtx"));
        if (context == 0) {
            throw new OutOfMemoryError("ZSTD_createDCtx");
        }
        inState.set(JAVA_LONG, 0, in.address());
        outState.set(JAVA_LONG, 0, out.address());
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] target, int from, int count) throws IOException {
        if (count == 0) {
            return 0;
        }
        while (given == outState.get(JAVA_LONG, 16)) {
            if (!decompress()) {
                return -1;
            }
        }
        int step = (int) Math.min(count, outState.get(JAVA_LONG, 16) - given);
        MemorySegment.copy(out, JAVA_BYTE, given, target, from, step);
        given += step;
        return step;
    }

    /** @return false at the end */
    private boolean decompress() throws IOException {
        if (closed) {
            throw new IOException("this has been closed");
        }
        if (inState.get(JAVA_LONG, 8) == inState.get(JAVA_LONG, 16)) {
            int count = source.read(chunk);
            if (count < 0 && !inFrame) {
                return false;
            }
            if (count < 0) {
                throw new EOFException("zstd data end in the middle");
            }
            MemorySegment.copy(chunk, 0, in, JAVA_BYTE, 0, count);
            inState.set(JAVA_LONG, 8, count);
            inState.set(JAVA_LONG, 16, 0);
        }
        given = 0;
        outState.set(JAVA_LONG, 8, BUFFER_BYTES);
        outState.set(JAVA_LONG, 16, 0);
        long left =
                Libc.call(Zstd.function("ZSTD_decompressStream"), context, outState.address(), inState.address(), 0);
        if ((int) Libc.call(Zstd.function("ZSTD_isError"), left) != 0) {
            throw new IOException("zstd data are malformed");
        }
        inFrame = left != 0;
        return true;
    }

    @Override
    public void close() throws IOException {
        if (!closed) {
            closed = true;
            Libc.call(Zstd.function("ZSTD_freeDCtx"), context);
            arena.close();
            source.close();
        }
    }
}
