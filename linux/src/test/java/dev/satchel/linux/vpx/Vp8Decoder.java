package dev.satchel.linux.vpx;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.satchel.linux.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;

/** The other side of {@link Vp8Encoder}, by the same library: brightness only. */
final class Vp8Decoder implements AutoCloseable {
    private static final int ABI = 12;

    private final Arena arena = Arena.ofConfined();
    private final SymbolLookup library = library();
    private final MemorySegment context = arena.allocate(112, 8);

    Vp8Decoder() {
        long algorithm = Libc.call(function("vpx_codec_vp8_dx"));
        require(Libc.call(function("vpx_codec_dec_init_ver"), context.address(), algorithm, 0, 0, ABI));
    }

    private static SymbolLookup library() {
        try {
            return SymbolLookup.libraryLookup("libvpx.so.9", Arena.global());
        } catch (IllegalArgumentException e) {
            return SymbolLookup.libraryLookup("libvpx.so.7", Arena.global());
        }
    }

    private MemorySegment function(String name) {
        return library.find(name).orElseThrow();
    }

    private static void require(long result) {
        if ((int) result != 0) {
            throw new IllegalStateException("libvpx says " + (int) result);
        }
    }

    /** @return the brightness of each pixel, 16 to 235, rows from the top */
    int[] decode(Vp8Encoder.Frame frame, int width, int height) {
        require(Libc.call(
                function("vpx_codec_decode"),
                context.address(),
                frame.data().address(),
                frame.data().byteSize(),
                0,
                0));
        MemorySegment iterator = arena.allocate(ADDRESS);
        MemorySegment image = MemorySegment.ofAddress(
                        Libc.call(function("vpx_codec_get_frame"), context.address(), iterator.address()))
                .reinterpret(136);
        if (image.get(JAVA_INT, 24) != width || image.get(JAVA_INT, 28) != height) {
            throw new IllegalStateException(image.get(JAVA_INT, 24) + "x" + image.get(JAVA_INT, 28));
        }
        int stride = image.get(JAVA_INT, 80);
        MemorySegment plane = MemorySegment.ofAddress(image.get(JAVA_LONG, 48)).reinterpret((long) stride * height);
        int[] bright = new int[width * height];
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                bright[y * width + x] = plane.get(JAVA_BYTE, (long) y * stride + x) & 0xff;
            }
        }
        return bright;
    }

    @Override
    public void close() {
        Libc.call(function("vpx_codec_destroy"), context.address());
        arena.close();
    }
}
