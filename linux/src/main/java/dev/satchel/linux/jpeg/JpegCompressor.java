package dev.satchel.linux.jpeg;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.satchel.linux.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.ref.Reference;
import org.jspecify.annotations.Nullable;

/**
 * Compresses pictures as JPEG: baseline, YCbCr, colour at half the resolution (4:2:0). An instance is for one thread at a time.
 */
public final class JpegCompressor implements AutoCloseable {
    // turbojpeg.h: TJSAMP_420, TJFLAG_NOREALLOC.
    private static final int HALF_COLOR = 2;
    private static final int NO_REALLOC = 1024;

    private static @Nullable Library library;

    /** Looked up when first needed, not when the class is initialised: what is missing is to be told as it is, each time. */
    private record Library(
            MemorySegment init,
            MemorySegment destroy,
            MemorySegment sizeMax,
            MemorySegment error,
            MethodHandle compress) {
        static Library load() {
            TurboJpeg found = new TurboJpeg();
            return new Library(
                    found.function("tjInitCompress"),
                    found.function("tjDestroy"),
                    found.function("tjBufSize"),
                    found.function("tjGetErrorStr2"),
                    Libc.elevenLongs(found.function("tjCompress2")));
        }
    }

    private static synchronized Library library() {
        Library loaded = library;
        if (loaded == null) {
            loaded = Library.load();
            library = loaded;
        }
        return loaded;
    }

    private final Library functions = library();
    private final Arena arena = Arena.ofAuto();
    private final MemorySegment target = arena.allocate(ValueLayout.ADDRESS);
    private final MemorySegment length = arena.allocate(JAVA_LONG);
    private long handle;

    /**
     * Makes an instance.
     *
     * @throws UnsupportedOperationException if this host lacks the library; the message names its package
     */
    public JpegCompressor() {
        handle = Libc.call(functions.init());
        if (handle == 0) {
            throw new OutOfMemoryError("tjInitCompress");
        }
    }

    /** @return how many bytes the JPEG of a picture of that size may have at most */
    public static long sizeMax(int width, int height) {
        return Libc.call(library().sizeMax(), width, height, HALF_COLOR);
    }

    /**
     * Compresses a picture.
     *
     * @param pixels {@code width} × {@code height} of them, each blue, green, red and a byte that does not matter; native memory
     * @param jpeg at least {@link #sizeMax} bytes; native memory
     * @param quality 1 to 100
     * @return length of what is at the beginning of {@code jpeg}
     */
    public int compress(MemorySegment pixels, int width, int height, MemorySegment jpeg, int quality) {
        if (handle == 0) {
            throw new IllegalStateException("this has been closed");
        }
        if (!pixels.isNative() || !jpeg.isNative()) {
            throw new IllegalArgumentException("native memory is needed");
        }
        if (width < 1
                || height < 1
                || pixels.byteSize() < 4L * width * height
                || jpeg.byteSize() < sizeMax(width, height)) {
            throw new IllegalArgumentException("too little memory for " + width + "x" + height + " pixels");
        }
        target.set(ValueLayout.ADDRESS, 0, jpeg);
        length.set(JAVA_LONG, 0, jpeg.byteSize());
        try {
            long result = (long) functions
                    .compress()
                    .invokeExact(
                            handle,
                            pixels.address(),
                            (long) width,
                            0L,
                            (long) height,
                            (long) TurboJpeg.BGRX,
                            target.address(),
                            length.address(),
                            (long) HALF_COLOR,
                            (long) quality,
                            (long) NO_REALLOC);
            if ((int) result != 0) {
                String why = MemorySegment.ofAddress(Libc.call(functions.error(), handle))
                        .reinterpret(200)
                        .getString(0);
                throw new IllegalStateException("a picture of " + width + "x" + height + " became no JPEG: " + why);
            }
            return (int) length.get(JAVA_LONG, 0);
        } catch (RuntimeException | Error thrown) {
            throw thrown;
        } catch (Throwable thrown) {
            throw new AssertionError("a native call throws no checked exception", thrown);
        } finally {
            Reference.reachabilityFence(pixels);
            Reference.reachabilityFence(jpeg);
            Reference.reachabilityFence(arena);
        }
    }

    /** Frees what it has; the second time does nothing. */
    @Override
    public void close() {
        if (handle != 0) {
            Libc.call(functions.destroy(), handle);
            handle = 0;
        }
    }
}
