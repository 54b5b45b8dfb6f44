package dev.satchel.display.rfb;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.satchel.display.Command;
import dev.satchel.display.Rectangle;
import dev.satchel.linux.jpeg.JpegCompressor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Tight (rfbproto, "Tight Encoding"): one colour, two colours, a palette or all of them through one of three zlib streams, and JPEG
 * for moving pictures if the client has said that it may be.
 */
final class TightEncoder implements PictureEncoder {
    static final int NUMBER = 7;

    private static final int FILL = 0x80;
    private static final int JPEG = 0x90;
    private static final int EXPLICIT_FILTER = 0x40;
    private static final int PALETTE_FILTER = 1;
    /** What is shorter goes as it is. */
    private static final int COMPRESSED_MIN = 12;

    private static final int FULL_STREAM = 0;
    private static final int TWO_COLORS_STREAM = 1;
    private static final int PALETTE_STREAM = 2;

    /** Of libjpeg, for a client's levels. */
    private static final int[] QUALITIES = {15, 25, 35, 45, 55, 65, 75, 80, 88, 95};

    private final int level;
    private final @Nullable ZlibStream[] streams = new ZlibStream[3];
    private final Palette palette = new Palette();
    private PixelLayout layout = PixelFormat.OWN.tight();
    private boolean pictures = true;
    private int quality = -1;
    private byte[] scratch = new byte[4 << 10];

    private @Nullable Jpeg jpeg;

    /** What moving pictures need. */
    private static final class Jpeg implements AutoCloseable {
        // Shared: the thread that closes is another one.
        private final Arena arena = Arena.ofShared();
        private final JpegCompressor compressor = new JpegCompressor();
        private final MemorySegment source = arena.allocate(4L * Part.LARGE_PIXELS_MAX, 8);
        private MemorySegment target = MemorySegment.NULL;

        int compress(Rectangle area, int[] pixels, int quality) {
            MemorySegment.copy(pixels, 0, source, JAVA_INT, 0, pixels.length);
            long most = JpegCompressor.sizeMax(area.width(), area.height());
            if (target.byteSize() < most) {
                // Twice at least, so that what an arena never lets go of is bounded.
                target = arena.allocate(Math.max(most, 2 * target.byteSize()), 8);
            }
            return compressor.compress(source, area.width(), area.height(), target, quality);
        }

        @Override
        public void close() {
            compressor.close();
            arena.close();
        }
    }

    /** @param level of compression, 1 to 9 */
    TightEncoder(int level) {
        this.level = level;
    }

    @Override
    public int number() {
        return NUMBER;
    }

    @Override
    public void use(PixelFormat format) {
        layout = format.tight();
        pictures = format.bits() >= 16;
    }

    /** @param clientsLevel of moving pictures, 0 to 9; negative: they are to be exact */
    void useQuality(int clientsLevel) {
        quality = clientsLevel < 0 ? -1 : QUALITIES[clientsLevel];
    }

    @Override
    public void encode(Command command, RfbMessage out) {
        Rectangle area = command.area();
        switch (command) {
            case Command.Fill fill -> {
                out.u8(FILL);
                out.pixels(layout, new int[] {fill.color()}, 0, 1);
            }
            case Command.Bitmap bitmap -> {
                head(TWO_COLORS_STREAM, new int[] {bitmap.zero(), bitmap.one()}, 2, out);
                compressed(TWO_COLORS_STREAM, bitmap.bits(), bitmap.bits().length, out);
            }
            case Command.Video video when quality > 0 && pictures -> jpeg(area, video.pixels(), out);
            default -> exact(area, PictureEncoder.pixels(command), out);
        }
    }

    private void exact(Rectangle area, int[] pixels, RfbMessage out) {
        palette.clear();
        int most = layout.bytes() == 1 ? 2 : Math.min(Palette.COLORS_MAX, Math.max(2, pixels.length / 2));
        if (!palette.add(pixels, 0, pixels.length, most)) {
            out.u8(FULL_STREAM << 4);
            reserve(pixels.length * layout.bytes());
            compressed(FULL_STREAM, scratch, layout.put(pixels, 0, pixels.length, scratch, 0), out);
        } else if (palette.size() == 1) {
            out.u8(FILL);
            out.pixels(layout, pixels, 0, 1);
        } else if (palette.size() == 2) {
            head(TWO_COLORS_STREAM, palette.colors(), 2, out);
            compressed(TWO_COLORS_STREAM, scratch, bits(area, pixels), out);
        } else {
            head(PALETTE_STREAM, palette.colors(), palette.size(), out);
            reserve(pixels.length);
            for (int i = 0; i < pixels.length; i++) {
                scratch[i] = i > 0 && pixels[i] == pixels[i - 1] ? scratch[i - 1] : (byte) palette.number(pixels[i]);
            }
            compressed(PALETTE_STREAM, scratch, pixels.length, out);
        }
    }

    private int bits(Rectangle area, int[] pixels) {
        int stride = (area.width() + 7) / 8;
        int count = stride * area.height();
        reserve(count);
        Arrays.fill(scratch, 0, count, (byte) 0);
        int one = palette.colors()[1];
        for (int y = 0, i = 0; y < area.height(); y++) {
            for (int x = 0; x < area.width(); x++, i++) {
                if (pixels[i] == one) {
                    scratch[y * stride + (x >> 3)] |= (byte) (0x80 >> (x & 7));
                }
            }
        }
        return count;
    }

    private void head(int stream, int[] colors, int count, RfbMessage out) {
        out.u8(EXPLICIT_FILTER | (stream << 4)).u8(PALETTE_FILTER).u8(count - 1);
        out.pixels(layout, colors, 0, count);
    }

    private void compressed(int number, byte[] bytes, int count, RfbMessage out) {
        if (count < COMPRESSED_MIN) {
            out.bytes(bytes, 0, count);
            return;
        }
        ZlibStream stream = streams[number];
        if (stream == null) {
            stream = new ZlibStream(level);
            streams[number] = stream;
        }
        int length = stream.compress(bytes, count);
        length(length, out);
        out.bytes(stream.compressed(), 0, length);
    }

    /** In one to three bytes, seven bits in each but the third. */
    private static void length(int length, RfbMessage out) {
        if (length < 1 << 7) {
            out.u8(length);
        } else if (length < 1 << 14) {
            out.u8((length & 0x7f) | 0x80).u8(length >> 7);
        } else if (length < 1 << 22) {
            out.u8((length & 0x7f) | 0x80).u8(((length >> 7) & 0x7f) | 0x80).u8(length >> 14);
        } else {
            throw new IllegalStateException("a rectangle of " + length + " bytes");
        }
    }

    private void jpeg(Rectangle area, int[] pixels, RfbMessage out) {
        Jpeg with = jpeg;
        if (with == null) {
            with = new Jpeg();
            jpeg = with;
        }
        int length = with.compress(area, pixels, quality);
        out.u8(JPEG);
        length(length, out);
        reserve(length);
        MemorySegment.copy(with.target, JAVA_BYTE, 0, scratch, 0, length);
        out.bytes(scratch, 0, length);
    }

    private void reserve(int bytes) {
        if (scratch.length < bytes) {
            scratch = new byte[bytes];
        }
    }

    @Override
    public void close() {
        for (ZlibStream stream : streams) {
            if (stream != null) {
                stream.close();
            }
        }
        if (jpeg != null) {
            jpeg.close();
        }
    }
}
