package dev.satchel.display.codec;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.satchel.display.Command;
import dev.satchel.display.Rectangle;
import dev.satchel.linux.jpeg.JpegCompressor;
import dev.satchel.linux.zstd.Zstd;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Writes commands as {@code docs/PROTOCOL.md} has them. Every command is independent of those before, so that it can be sent to
 * several viewers, or left out. Not thread-safe; its buffers are made when first needed, and are bounded: 3 MiB, and 4 MiB more for VIDEO.
 */
public final class Encoder implements AutoCloseable {
    static final int COPY = 1;
    static final int FILL = 2;
    static final int BITMAP = 3;
    static final int PATTERN = 4;
    static final int PIXELS = 5;
    static final int VIDEO = 6;

    static final int PLAIN = 0;
    static final int PALETTE = 1;
    static final int PREDICTED = 2;
    static final int ZSTD = 16;

    static final int JPEG = 1;
    static final int VP8 = 2;

    /** Pictures of more pixels are sent in bands, which bounds the buffers here and in viewers. */
    static final int PIXELS_MAX = 1 << 16;

    static final int VIDEO_PIXELS_MAX = 1 << 18;
    /** Rows of a JPEG's blocks, of which colour at half the resolution needs two: bands that begin there do not show. */
    private static final int BLOCK_ROWS = 16;
    /** A bitmap's bands: as many bytes as pixels have. */
    private static final int BITMAP_BYTES_MAX = 3 * PIXELS_MAX;

    /** Of what is shorter, the frame alone would be longer than what is saved. */
    private static final int COMPRESSED_MIN = 20;
    /** On desktops, higher levels save 1 to 2 % and take twice the time: docs/PROTOCOL.md, "Why these packings". */
    private static final int LEVEL = 1;

    private static final int MAGIC_BYTES = 4;

    private final int quality;
    private final Arena arena = Arena.ofShared();
    private final Zstd zstd = new Zstd();
    private final PixelPacker packer = new PixelPacker();
    private @Nullable JpegCompressor jpeg;
    private MemorySegment source = MemorySegment.NULL;
    private MemorySegment target = MemorySegment.NULL;
    private MemorySegment videoSource = MemorySegment.NULL;
    private MemorySegment videoTarget = MemorySegment.NULL;
    private byte[] out = new byte[1024];
    private int length;
    private boolean closed;

    /** Makes one whose VIDEO looks well and needs about a tenth of a byte a pixel. */
    public Encoder() {
        this(75);
    }

    /** @param quality of VIDEO, 1 to 100 */
    public Encoder(int quality) {
        if (quality < 1 || quality > 100) {
            throw new IllegalArgumentException("a quality of " + quality);
        }
        this.quality = quality;
    }

    /**
     * Writes a command; of one with very many pixels several, one below the other, that together do the same.
     *
     * @return the bytes, the caller's own
     * @throws IllegalArgumentException if the command makes no sense, or is a pattern of a tile of more than 65536 pixels
     * @throws UnsupportedOperationException if this host lacks a library; the message names its package
     */
    public byte[] encode(Command command) {
        if (closed) {
            throw new IllegalStateException("this has been closed");
        }
        Rectangle area = command.area();
        if (area.isEmpty() || area.x() < 0 || area.y() < 0 || area.right() > 0xffff || area.bottom() > 0xffff) {
            throw new IllegalArgumentException("a command for " + area);
        }
        length = 0;
        switch (command) {
            case Command.Copy copy -> {
                head(COPY, area);
                u16(copy.fromX());
                u16(copy.fromY());
            }
            case Command.Fill fill -> {
                head(FILL, area);
                color(fill.color());
            }
            case Command.Bitmap bitmap -> bitmap(bitmap);
            case Command.Pattern pattern -> pattern(pattern);
            case Command.Pixels pixels -> pixels(area, pixels.pixels());
            case Command.Video video -> video(area, video.pixels());
        }
        return Arrays.copyOf(out, length);
    }

    private void bitmap(Command.Bitmap bitmap) {
        Rectangle area = bitmap.area();
        int stride = (area.width() + 7) / 8;
        require(bitmap.bits().length, (long) stride * area.height(), area);
        int rowsMax = Math.max(1, BITMAP_BYTES_MAX / stride);
        for (int row = 0; row < area.height(); row += rowsMax) {
            int rows = Math.min(rowsMax, area.height() - row);
            head(BITMAP, band(area, row, rows));
            color(bitmap.zero());
            color(bitmap.one());
            packed(PLAIN, bitmap.bits(), row * stride, rows * stride);
        }
    }

    private void pattern(Command.Pattern pattern) {
        Rectangle area = pattern.area();
        int width = pattern.tileWidth();
        if (width < 1 || pattern.tile().length == 0 || pattern.tile().length % width != 0) {
            throw new IllegalArgumentException(pattern.tile().length + " pixels for a tile " + width + " wide");
        }
        if (pattern.tile().length > PIXELS_MAX) {
            throw new IllegalArgumentException("a tile of " + pattern.tile().length + " pixels");
        }
        head(PATTERN, area);
        u16(width);
        u16(pattern.tileHeight());
        pack(pattern.tile(), 0, width, pattern.tileHeight());
    }

    private void pixels(Rectangle area, int[] pixels) {
        require(pixels.length, area.area(), area);
        int rowsMax = Math.max(1, PIXELS_MAX / area.width());
        for (int row = 0; row < area.height(); row += rowsMax) {
            int rows = Math.min(rowsMax, area.height() - row);
            head(PIXELS, band(area, row, rows));
            pack(pixels, row * area.width(), area.width(), rows);
        }
    }

    private void pack(int[] pixels, int from, int width, int height) {
        int before = length;
        int packedLength = packer.palette(pixels, from, width, height);
        int packing = PALETTE;
        if (packedLength < 0) {
            packedLength = packer.predicted(pixels, from, width, height);
            packing = PREDICTED;
        }
        packed(packing, packer.packed(), 0, packedLength);
        if (out[before] == PREDICTED) {
            // Noise: nothing is gained, so that viewers need not undo anything.
            length = before;
            u8(PLAIN);
            int plain = packer.plain(pixels, from, width * height);
            u32(plain);
            bytes(packer.packed(), 0, plain);
        }
    }

    /** Adds packing, length and bytes, compressed if that is shorter. */
    private void packed(int packing, byte[] bytes, int from, int count) {
        if (count >= COMPRESSED_MIN) {
            source = reserved(source, count);
            target = reserved(target, count);
            MemorySegment.copy(bytes, from, source, JAVA_BYTE, 0, count);
            int compressed = zstd.compress(source.asSlice(0, count), target.asSlice(0, count), LEVEL);
            if (compressed >= 0 && compressed - MAGIC_BYTES < count) {
                u8(packing + ZSTD);
                fromNative(target, MAGIC_BYTES, compressed - MAGIC_BYTES);
                return;
            }
        }
        u8(packing);
        u32(count);
        bytes(bytes, from, count);
    }

    private void video(Rectangle area, int[] pixels) {
        require(pixels.length, area.area(), area);
        JpegCompressor compressor = jpeg;
        if (compressor == null) {
            compressor = new JpegCompressor();
            jpeg = compressor;
        }
        int rowsMax = Math.max(BLOCK_ROWS, VIDEO_PIXELS_MAX / area.width() / BLOCK_ROWS * BLOCK_ROWS);
        for (int row = 0; row < area.height(); row += rowsMax) {
            int rows = Math.min(rowsMax, area.height() - row);
            int count = rows * area.width();
            videoSource = reserved(videoSource, 4L * count);
            videoTarget = reserved(videoTarget, JpegCompressor.sizeMax(area.width(), rows));
            MemorySegment.copy(pixels, row * area.width(), videoSource, JAVA_INT, 0, count);
            head(VIDEO, band(area, row, rows));
            u8(JPEG);
            fromNative(videoTarget, 0, compressor.compress(videoSource, area.width(), rows, videoTarget, quality));
        }
    }

    private static Rectangle band(Rectangle area, int row, int rows) {
        return new Rectangle(area.x(), area.y() + row, area.width(), rows);
    }

    private static void require(int found, long needed, Rectangle area) {
        if (found != needed) {
            throw new IllegalArgumentException("an array of " + found + " instead of " + needed + " for " + area);
        }
    }

    private MemorySegment reserved(MemorySegment segment, long bytes) {
        // Twice at most until the bound is reached: an arena lets go of nothing before its end.
        return segment.byteSize() >= bytes ? segment : arena.allocate(Math.max(bytes, 2 * segment.byteSize()), 8);
    }

    private void head(int code, Rectangle area) {
        u8(code);
        u16(area.x());
        u16(area.y());
        u16(area.width());
        u16(area.height());
    }

    private void reserve(int more) {
        if (out.length - length < more) {
            out = Arrays.copyOf(out, Math.max(length + more, 2 * out.length));
        }
    }

    private void u8(int value) {
        reserve(1);
        out[length++] = (byte) value;
    }

    private void u16(int value) {
        u8(value);
        u8(value >> 8);
    }

    private void u32(int value) {
        u16(value);
        u16(value >> 16);
    }

    private void color(int color) {
        u8(color >> 16);
        u8(color >> 8);
        u8(color);
    }

    private void bytes(byte[] bytes, int from, int count) {
        reserve(count);
        System.arraycopy(bytes, from, out, length, count);
        length += count;
    }

    /** Adds the length and what is in native memory. */
    private void fromNative(MemorySegment segment, long from, int count) {
        u32(count);
        reserve(count);
        MemorySegment.copy(segment, JAVA_BYTE, from, out, length, count);
        length += count;
    }

    /** Lets go of its memory; the second time does nothing. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            zstd.close();
            if (jpeg != null) {
                jpeg.close();
            }
            arena.close();
        }
    }
}
