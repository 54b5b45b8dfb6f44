package dev.satchel.linux.vpx;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The fourth byte of pixels, by libyuv. Thread-safe. */
public final class Alpha {
    private static final int WIDTH_MAX = 1 << 15;
    private static final MemorySegment ZEROS = Arena.global().allocate(WIDTH_MAX);

    private static @Nullable MethodHandle copy;

    private Alpha() {}

    private static synchronized MethodHandle copy() {
        MethodHandle loaded = copy;
        if (loaded == null) {
            // planar_functions.h, ARGBCopyYToAlpha: from, its stride, into, its stride, width, height.
            loaded = Linker.nativeLinker()
                    .downcallHandle(
                            Yuv.function("ARGBCopyYToAlpha"),
                            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, JAVA_INT),
                            Linker.Option.critical(true));
            copy = loaded;
        }
        return loaded;
    }

    /**
     * Makes {@code 0x00RRGGBB} of {@code 0x??RRGGBB}, in place: by vector instructions, which only the optimizing compiler would make of a loop.
     *
     * @param from index of the upper left pixel
     * @param stride pixels from one row to the next
     * @param width at most 32768
     * @throws UnsupportedOperationException if this host lacks the library; the message names its package
     */
    public static void clear(int[] pixels, int from, int stride, int width, int height) {
        if (width == 0 || height == 0) {
            return;
        }
        if (width < 0 || width > WIDTH_MAX || height < 0 || stride < width || stride > Integer.MAX_VALUE / 4) {
            throw new IllegalArgumentException(width + "x" + height + " pixels, rows " + stride + " apart");
        }
        int count = Math.addExact(Math.multiplyExact(stride, height - 1), width);
        Objects.checkFromIndexSize(from, count, pixels.length);
        MemorySegment part = MemorySegment.ofArray(pixels).asSlice(4L * from, 4L * count);
        try {
            int result = (int) copy().invokeExact(ZEROS, 0, part, 4 * stride, width, height);
            if (result != 0) {
                throw new IllegalStateException("ARGBCopyYToAlpha of " + width + "x" + height + ": " + result);
            }
        } catch (RuntimeException | Error thrown) {
            throw thrown;
        } catch (Throwable thrown) {
            throw new AssertionError("a native call throws no checked exception", thrown);
        }
    }
}
