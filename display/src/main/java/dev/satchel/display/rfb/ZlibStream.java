package dev.satchel.display.rfb;

import java.util.zip.Deflater;

/** A zlib stream (RFC 1950) that lasts as long as the connection: each block can be undone once it has come. Not thread-safe. */
final class ZlibStream implements AutoCloseable {
    private final Deflater deflater;
    private byte[] compressed = new byte[4 << 10];

    /** @param level 1 to 9 */
    ZlibStream(int level) {
        deflater = new Deflater(level);
    }

    /** @return how many bytes of {@link #compressed} it became */
    int compress(byte[] bytes, int count) {
        // deflateBound() of zlib, and what a flush adds: it always fits.
        int most = count + (count >> 8) + 128;
        if (compressed.length < most) {
            compressed = new byte[most];
        }
        deflater.setInput(bytes, 0, count);
        int length = deflater.deflate(compressed, 0, compressed.length, Deflater.SYNC_FLUSH);
        if (length == compressed.length) {
            throw new IllegalStateException(count + " bytes became more than " + length);
        }
        return length;
    }

    byte[] compressed() {
        return compressed;
    }

    @Override
    public void close() {
        deflater.end();
    }
}
