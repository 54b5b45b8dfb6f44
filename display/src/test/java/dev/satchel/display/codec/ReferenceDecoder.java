package dev.satchel.display.codec;

import dev.satchel.display.Command;
import dev.satchel.display.Rectangle;
import dev.satchel.linux.zstd.Zstd;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;

/** Reads commands by the letter of docs/PROTOCOL.md, slowly. */
public final class ReferenceDecoder {
    private final ByteBuffer in;

    private ReferenceDecoder(byte[] bytes) {
        in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    public static List<Command> decode(byte[] bytes) {
        ReferenceDecoder decoder = new ReferenceDecoder(bytes);
        List<Command> commands = new ArrayList<>();
        while (decoder.in.hasRemaining()) {
            commands.add(decoder.command());
        }
        return commands;
    }

    private int u8() {
        return in.get() & 0xff;
    }

    private int u16() {
        return in.getShort() & 0xffff;
    }

    private int color() {
        return (u8() << 16) | (u8() << 8) | u8();
    }

    private byte[] blob() {
        byte[] blob = new byte[in.getInt()];
        in.get(blob);
        return blob;
    }

    private Command command() {
        int code = u8();
        Rectangle area = new Rectangle(u16(), u16(), u16(), u16());
        return switch (code) {
            case 1 -> new Command.Copy(area, u16(), u16());
            case 2 -> new Command.Fill(area, color());
            case 3 -> {
                int zero = color();
                int one = color();
                yield new Command.Bitmap(area, zero, one, unpacked(u8(), 0));
            }
            case 4 -> {
                int width = u16();
                yield new Command.Pattern(area, width, pixels(width, u16()));
            }
            case 5 -> new Command.Pixels(area, pixels(area.width(), area.height()));
            case 6 -> {
                int codec = u8();
                if (codec == 2) {
                    byte[] ignored = blob(); // of no meaning without those before
                    yield new Command.Video(area, new int[area.width() * area.height()]);
                }
                if (codec != 1) {
                    throw new AssertionError("codec");
                }
                try {
                    var image = ImageIO.read(new ByteArrayInputStream(blob()));
                    int[] pixels = image.getRGB(0, 0, area.width(), area.height(), null, 0, area.width());
                    yield new Command.Video(area, pixels);
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            }
            default -> throw new AssertionError("command " + code);
        };
    }

    private byte[] unpacked(int packing, int expected) {
        byte[] bytes = blob();
        if ((packing & ~16) != expected) {
            throw new AssertionError("packing " + packing);
        }
        if (packing < 16) {
            return bytes;
        }
        try (Arena arena = Arena.ofConfined();
                Zstd zstd = new Zstd()) {
            MemorySegment frame = arena.allocate(bytes.length + 4);
            frame.set(ValueLayout.JAVA_INT, 0, 0xFD2FB528); // RFC 8878 §3.1.1
            MemorySegment.copy(bytes, 0, frame, ValueLayout.JAVA_BYTE, 4, bytes.length);
            MemorySegment plain = arena.allocate(1 << 20);
            int length = zstd.decompress(frame, plain);
            return plain.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE);
        }
    }

    private int[] pixels(int width, int height) {
        int packing = in.get(in.position()) & 0xff;
        u8();
        byte[] bytes = unpacked(packing, packing & ~16);
        return switch (packing & ~16) {
            case 0 -> plain(bytes, width, height);
            case 1 -> palette(bytes, width, height);
            case 2 -> predicted(bytes, width, height);
            default -> throw new AssertionError("packing " + packing);
        };
    }

    private static int[] plain(byte[] bytes, int width, int height) {
        require(bytes.length == 3 * width * height);
        int[] pixels = new int[width * height];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = ((bytes[3 * i] & 0xff) << 16) | ((bytes[3 * i + 1] & 0xff) << 8) | (bytes[3 * i + 2] & 0xff);
        }
        return pixels;
    }

    private static int[] palette(byte[] bytes, int width, int height) {
        int count = (bytes[0] & 0xff) + 1;
        int bits = count <= 2 ? 1 : count <= 4 ? 2 : count <= 16 ? 4 : 8;
        int stride = (width * bits + 7) / 8;
        require(bytes.length == 1 + 3 * count + stride * height);
        int[] colors = new int[count];
        int[] sums = new int[3];
        for (int i = 0; i < count; i++) {
            for (int k = 0; k < 3; k++) {
                sums[k] += bytes[1 + k * count + i];
            }
            colors[i] = (((sums[0] + sums[1]) & 0xff) << 16) | ((sums[0] & 0xff) << 8) | ((sums[0] + sums[2]) & 0xff);
        }
        int[] pixels = new int[width * height];
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int packed = bytes[1 + 3 * count + y * stride + x * bits / 8] & 0xff;
                pixels[y * width + x] = colors[(packed >> (8 - bits - x * bits % 8)) & ((1 << bits) - 1)];
            }
        }
        return pixels;
    }

    private static int[] predicted(byte[] bytes, int width, int height) {
        require(bytes.length == 3 * width * height);
        int[][] planes = new int[3][width * height];
        for (int k = 0; k < 3; k++) {
            int[] plane = planes[k];
            for (int y = 0; y < height; y++) {
                for (int x = 0; x < width; x++) {
                    int i = y * width + x;
                    int predicted;
                    if (x == 0 && y == 0) {
                        predicted = 0;
                    } else if (y == 0) {
                        predicted = plane[i - 1];
                    } else if (x == 0) {
                        predicted = plane[i - width];
                    } else {
                        int l = plane[i - 1];
                        int a = plane[i - width];
                        int c = plane[i - width - 1];
                        predicted =
                                c >= Math.max(l, a) ? Math.min(l, a) : c <= Math.min(l, a) ? Math.max(l, a) : l + a - c;
                    }
                    plane[i] = (bytes[3 * i + k] + predicted) & 0xff;
                }
            }
        }
        int[] pixels = new int[width * height];
        for (int i = 0; i < pixels.length; i++) {
            int green = planes[0][i];
            int red = (planes[1][i] + green - 128) & 0xff;
            int blue = (planes[2][i] + green - 128) & 0xff;
            pixels[i] = (red << 16) | (green << 8) | blue;
        }
        return pixels;
    }

    private static void require(boolean holds) {
        if (!holds) {
            throw new AssertionError("another length");
        }
    }
}
