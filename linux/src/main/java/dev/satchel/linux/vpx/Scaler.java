package dev.satchel.linux.vpx;

import dev.satchel.linux.Libc;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.ref.Reference;
import org.jspecify.annotations.Nullable;

/** Makes pictures larger and smaller, by libyuv. Thread-safe. */
public final class Scaler {
    /** kFilterBox of scale.h: the mean of what becomes one pixel, and in between what lies between two. */
    private static final int BOX = 3;

    private static @Nullable MethodHandle scale;

    private Scaler() {}

    private static synchronized MethodHandle scale() {
        MethodHandle loaded = scale;
        if (loaded == null) {
            // It takes nine.
            loaded = Libc.elevenLongs(Yuv.function("ARGBScale"));
            scale = loaded;
        }
        return loaded;
    }

    /**
     * Draws a picture in another size.
     *
     * @param from {@code width} × {@code height} pixels of four bytes, rows right after each other; native memory
     * @param into where its upper left pixel goes; native memory
     * @param intoStride pixels from one row to the next there
     */
    public static void draw(
            MemorySegment from,
            int width,
            int height,
            MemorySegment into,
            int intoStride,
            int intoWidth,
            int intoHeight) {
        if (!from.isNative()
                || !into.isNative()
                || width < 1
                || height < 1
                || intoWidth < 1
                || intoHeight < 1
                || intoStride < intoWidth
                || from.byteSize() < 4L * width * height
                || into.byteSize() < 4L * ((long) intoStride * (intoHeight - 1) + intoWidth)) {
            throw new IllegalArgumentException("memory that is not native, or too little, for " + width + "x" + height
                    + " pixels that become " + intoWidth + "x" + intoHeight);
        }
        try {
            long result = (long) scale().invokeExact(
                            from.address(),
                            4L * width,
                            (long) width,
                            (long) height,
                            into.address(),
                            4L * intoStride,
                            (long) intoWidth,
                            (long) intoHeight,
                            (long) BOX,
                            0L,
                            0L);
            if ((int) result != 0) {
                throw new IllegalStateException("ARGBScale from " + width + "x" + height + " to " + intoWidth + "x"
                        + intoHeight + ": " + (int) result);
            }
        } catch (RuntimeException | Error thrown) {
            throw thrown;
        } catch (Throwable thrown) {
            throw new AssertionError("a native call throws no checked exception", thrown);
        } finally {
            Reference.reachabilityFence(from);
            Reference.reachabilityFence(into);
        }
    }
}
