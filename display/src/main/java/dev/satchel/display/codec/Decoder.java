package dev.satchel.display.codec;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.satchel.display.Rectangle;
import dev.satchel.display.Region;
import dev.satchel.linux.jpeg.JpegDecompressor;
import dev.satchel.linux.zstd.Zstd;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A viewer's copy of the screen: carries out commands as {@code docs/PROTOCOL.md} has them. Not thread-safe; besides the picture it
 * holds 1 MiB, and with VIDEO eight bytes for each pixel of the largest that came.
 */
public final class Decoder implements AutoCloseable {
    private static final int MAGIC = 0xFD2FB528; // RFC 8878 §3.1.1
    /** What a command's packed bytes become at most, but those of a very long row: a palette, and three bytes a pixel. */
    private static final int BYTES_MAX = 3 * Encoder.PIXELS_MAX + 1 + 3 * 256;

    private static final int SIDE_MAX = 0xffff;
    private static final byte[] NOTHING = new byte[0];

    private final Arena arena = Arena.ofShared();
    private final Zstd zstd = new Zstd();
    private final MemorySegment frame = arena.allocate(BYTES_MAX + 4L);
    private final MemorySegment plain = arena.allocate(BYTES_MAX);
    private final byte[] unpacked = new byte[BYTES_MAX];
    private @Nullable JpegDecompressor jpeg;
    private @Nullable Arena pictureArena;
    private MemorySegment picture = MemorySegment.NULL;
    private MemorySegment pictureData = MemorySegment.NULL;
    private boolean closed;

    private Rectangle bounds = new Rectangle(0, 0, 0, 0);
    private int[] pixels = new int[0];
    private Region lacking = Region.EMPTY;

    private byte[] in = NOTHING;
    private int at;
    private int end;

    /** Makes one of a screen without pixels. */
    public Decoder() {}

    /** Begins a screen of that size, whose content is unknown. */
    public void size(int width, int height) {
        if (width < 0 || height < 0 || width > SIDE_MAX || height > SIDE_MAX) {
            throw new IllegalArgumentException(width + "x" + height);
        }
        bounds = new Rectangle(0, 0, width, height);
        pixels = new int[Math.multiplyExact(width, height)];
        lacking = Region.of(bounds);
    }

    public Rectangle bounds() {
        return bounds;
    }

    /** {@code 0x00RRGGBB}, rows from the top; not a copy. */
    public int[] pixels() {
        return pixels;
    }

    /** Whether all of the screen is known, which has pixels. */
    public boolean isWhole() {
        return lacking.isEmpty() && !bounds.isEmpty();
    }

    /**
     * Carries out commands, one after the other.
     *
     * @throws IOException if they are no such, or of another screen than this; those before the first such have been carried out
     */
    public void draw(byte[] commands, int from, int to) throws IOException {
        if (closed) {
            throw new IllegalStateException("this has been closed");
        }
        in = commands;
        at = from;
        end = to;
        try {
            while (at < end) {
                command();
            }
        } finally {
            in = NOTHING;
        }
    }

    private void command() throws IOException {
        int code = u8();
        Rectangle area = new Rectangle(u16(), u16(), u16(), u16());
        require(!area.isEmpty() && bounds.contains(area), "a command outside of the screen");
        switch (code) {
            case Encoder.COPY -> copy(area, u16(), u16());
            case Encoder.FILL -> {
                int color = color();
                for (int y = area.y(); y < area.bottom(); y++) {
                    int row = y * bounds.width();
                    Arrays.fill(pixels, row + area.x(), row + area.right(), color);
                }
            }
            case Encoder.BITMAP -> bitmap(area);
            case Encoder.PATTERN -> pattern(area);
            case Encoder.PIXELS -> unpack(area.width(), area.height(), pixels, origin(area), bounds.width());
            case Encoder.VIDEO -> video(area);
            default -> throw new IOException("the server sent a command " + code);
        }
        if (!lacking.isEmpty() && code != Encoder.COPY) {
            lacking = lacking.subtract(area);
        }
    }

    private int origin(Rectangle area) {
        return area.y() * bounds.width() + area.x();
    }

    private void copy(Rectangle area, int fromX, int fromY) throws IOException {
        Rectangle from = new Rectangle(fromX, fromY, area.width(), area.height());
        require(bounds.contains(from), "a copy from outside of the screen");
        boolean down = fromY < area.y();
        for (int i = 0; i < area.height(); i++) {
            int y = down ? area.height() - 1 - i : i;
            // Within a row, arraycopy does it as if by way of a third place.
            System.arraycopy(
                    pixels,
                    (fromY + y) * bounds.width() + fromX,
                    pixels,
                    (area.y() + y) * bounds.width() + area.x(),
                    area.width());
        }
        if (!lacking.isEmpty()) {
            lacking =
                    lacking.subtract(area).union(lacking.intersect(from).translate(area.x() - fromX, area.y() - fromY));
        }
    }

    private void bitmap(Rectangle area) throws IOException {
        int zero = color();
        int one = color();
        int packing = u8();
        require((packing & ~Encoder.ZSTD) == Encoder.PLAIN, "a bitmap that is packed as pixels are");
        int stride = (area.width() + 7) / 8;
        byte[] bits = blob(packing, (long) stride * area.height());
        int start = blobStart;
        require(blobLength == stride * area.height(), "a bitmap of another length");
        for (int y = 0; y < area.height(); y++) {
            int row = (area.y() + y) * bounds.width() + area.x();
            int first = start + y * stride;
            for (int x = 0; x < area.width(); x++) {
                pixels[row + x] = (bits[first + (x >> 3)] << (x & 7) & 0x80) != 0 ? one : zero;
            }
        }
    }

    private void pattern(Rectangle area) throws IOException {
        int width = u16();
        int height = u16();
        require(
                width > 0 && height > 0 && (long) width * height <= Encoder.PIXELS_MAX,
                "a tile of " + width + "x" + height);
        int[] tile = new int[width * height];
        unpack(width, height, tile, 0, width);
        for (int y = 0; y < area.height(); y++) {
            int row = (area.y() + y) * bounds.width() + area.x();
            int from = y % height * width;
            for (int x = 0; x < area.width(); x += width) {
                System.arraycopy(tile, from, pixels, row + x, Math.min(width, area.width() - x));
            }
        }
    }

    private void unpack(int width, int height, int[] into, int offset, int stride) throws IOException {
        require((long) width * height <= Encoder.PIXELS_MAX || height == 1, "a command of too many pixels");
        int packing = u8();
        byte[] bytes = blob(packing, BYTES_MAX);
        switch (packing & ~Encoder.ZSTD) {
            case Encoder.PLAIN -> {
                require(blobLength == 3 * width * height, "pixels of another length");
                for (int y = 0, from = blobStart; y < height; y++) {
                    for (int x = 0; x < width; x++, from += 3) {
                        into[offset + y * stride + x] =
                                (bytes[from] & 0xff) << 16 | (bytes[from + 1] & 0xff) << 8 | (bytes[from + 2] & 0xff);
                    }
                }
            }
            case Encoder.PALETTE -> palette(bytes, width, height, into, offset, stride);
            case Encoder.PREDICTED -> {
                require(blobLength == 3 * width * height, "pixels of another length");
                for (int shift = 8, k = 0; k < 3; k++, shift = k == 1 ? 16 : 0) {
                    predicted(bytes, blobStart + k, width, height, shift, into, offset, stride);
                }
                for (int y = 0; y < height; y++) {
                    for (int i = offset + y * stride, last = i + width; i < last; i++) {
                        int pixel = into[i];
                        int green = pixel >> 8 & 0xff;
                        into[i] = ((pixel >> 16) + green - 128 & 0xff) << 16
                                | green << 8
                                | ((pixel & 0xff) + green - 128 & 0xff);
                    }
                }
            }
            default -> throw new IOException("the server sent a packing " + packing);
        }
    }

    private void palette(byte[] bytes, int width, int height, int[] into, int offset, int stride) throws IOException {
        int start = blobStart;
        require(blobLength > 0, "a palette of another length");
        int count = (bytes[start] & 0xff) + 1;
        int bits = count <= 2 ? 1 : count <= 4 ? 2 : count <= 16 ? 4 : 8;
        int rowBytes = (width * bits + 7) / 8;
        require(blobLength == 1 + 3 * count + (long) rowBytes * height, "a palette of another length");
        // Room for all numbers there can be, so that what is too large is seen in the end, and not looked for at each.
        int[] colors = new int[256];
        Arrays.fill(colors, count, 256, -1);
        for (int i = 0, green = 0, red = 0, blue = 0; i < count; i++) {
            green += bytes[start + 1 + i];
            red += bytes[start + 1 + count + i];
            blue += bytes[start + 1 + 2 * count + i];
            colors[i] = (green + red & 0xff) << 16 | (green & 0xff) << 8 | (green + blue & 0xff);
        }
        int wrong = 0;
        int mask = (1 << bits) - 1;
        for (int y = 0; y < height; y++) {
            int row = start + 1 + 3 * count + y * rowBytes;
            for (int x = 0; x < width; x++) {
                int bit = x * bits;
                int color = colors[bytes[row + (bit >> 3)] >> (8 - bits - (bit & 7)) & mask];
                wrong |= color;
                into[offset + y * stride + x] = color;
            }
        }
        require(wrong >= 0, "a number beyond the palette");
    }

    /** One of the three values of each pixel into eight bits of it, which become its own; the first time all others become 0. */
    private static void predicted(
            byte[] bytes, int start, int width, int height, int shift, int[] into, int offset, int stride) {
        int keep = shift == 8 ? 0 : ~(0xff << shift);
        for (int y = 0, from = start; y < height; y++) {
            int i = offset + y * stride;
            int above = i - stride;
            int left = y == 0 ? 0 : into[above] >> shift & 0xff;
            int corner = left;
            for (int x = 0; x < width; x++, i++, above++, from += 3) {
                int predicted = left;
                if (y > 0) {
                    int up = into[above] >> shift & 0xff;
                    int least = Math.min(left, up);
                    int most = Math.max(left, up);
                    predicted = corner >= most ? least : corner <= least ? most : left + up - corner;
                    corner = up;
                }
                left = bytes[from] + predicted & 0xff;
                into[i] = (into[i] & keep) | left << shift;
            }
        }
    }

    private int blobStart;
    private int blobLength;

    /** What was packed, at {@link #blobStart} of {@link #blobLength} bytes. */
    private byte[] blob(int packing, long most) throws IOException {
        int length = i32();
        require(length >= 0 && length <= end - at, "a command that is longer than its message");
        int from = at;
        at += length;
        if (packing < Encoder.ZSTD) {
            blobStart = from;
            blobLength = length;
            return in;
        }
        require(length <= BYTES_MAX && most <= BYTES_MAX, "a command that is too long");
        frame.set(JAVA_INT, 0, MAGIC);
        MemorySegment.copy(in, from, frame, JAVA_BYTE, 4, length);
        int count = zstd.decompress(frame.asSlice(0, 4L + length), plain);
        require(count > 0, "what is no zstd frame, or too long a one");
        MemorySegment.copy(plain, JAVA_BYTE, 0, unpacked, 0, count);
        blobStart = 0;
        blobLength = count;
        return unpacked;
    }

    private void video(Rectangle area) throws IOException {
        require(u8() == Encoder.JPEG, "a codec that was not asked for");
        int length = i32();
        require(length >= 0 && length <= end - at, "a command that is longer than its message");
        JpegDecompressor decompressor = jpeg;
        if (decompressor == null) {
            decompressor = new JpegDecompressor();
            jpeg = decompressor;
        }
        long count = area.area();
        if (picture.byteSize() < 4 * count || pictureData.byteSize() < length) {
            long pictureBytes = Math.max(4 * count, picture.byteSize());
            long dataBytes = Math.max(length, pictureData.byteSize());
            if (pictureArena != null) {
                pictureArena.close();
            }
            Arena larger = Arena.ofShared();
            pictureArena = larger;
            picture = larger.allocate(pictureBytes, 4);
            pictureData = larger.allocate(dataBytes);
        }
        MemorySegment.copy(in, at, pictureData, JAVA_BYTE, 0, length);
        at += length;
        require(
                decompressor.decompress(pictureData.asSlice(0, length), picture, area.width(), area.height()),
                "a JPEG that is damaged or of another size");
        for (int y = 0; y < area.height(); y++) {
            int row = (area.y() + y) * bounds.width() + area.x();
            MemorySegment.copy(picture, JAVA_INT, 4L * y * area.width(), pixels, row, area.width());
            for (int i = row; i < row + area.width(); i++) {
                pixels[i] &= 0xffffff;
            }
        }
    }

    private int u8() throws IOException {
        require(at < end, "a command that is cut off");
        return in[at++] & 0xff;
    }

    private int u16() throws IOException {
        return u8() | u8() << 8;
    }

    private int i32() throws IOException {
        return u16() | u16() << 16;
    }

    private int color() throws IOException {
        return u8() << 16 | u8() << 8 | u8();
    }

    private static void require(boolean holds, String otherwise) throws IOException {
        if (!holds) {
            throw new IOException("the server sent " + otherwise);
        }
    }

    /** Lets go of its memory but the picture's; the second time does nothing. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            zstd.close();
            if (jpeg != null) {
                jpeg.close();
            }
            if (pictureArena != null) {
                pictureArena.close();
            }
            arena.close();
        }
    }
}
