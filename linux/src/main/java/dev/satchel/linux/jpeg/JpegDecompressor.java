package dev.satchel.linux.jpeg;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.satchel.linux.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.ref.Reference;
import org.jspecify.annotations.Nullable;

/** Undoes what {@link JpegCompressor} does. An instance is for one thread at a time. */
public final class JpegDecompressor implements AutoCloseable {
    private static @Nullable Library library;

    private record Library(MemorySegment init, MemorySegment destroy, MethodHandle header, MethodHandle decompress) {
        static Library load() {
            TurboJpeg found = new TurboJpeg();
            return new Library(
                    found.function("tjInitDecompress"),
                    found.function("tjDestroy"),
                    Libc.elevenLongs(found.function("tjDecompressHeader3")),
                    Libc.elevenLongs(found.function("tjDecompress2")));
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
    private final MemorySegment found = arena.allocate(JAVA_INT, 4);
    private long handle;

    /**
     * Makes an instance.
     *
     * @throws UnsupportedOperationException if this host lacks the library; the message names its package
     */
    public JpegDecompressor() {
        handle = Libc.call(functions.init());
        if (handle == 0) {
            throw new OutOfMemoryError("tjInitDecompress");
        }
    }

    /**
     * Decompresses a picture.
     *
     * @param jpeg all of it; native memory
     * @param pixels room for {@code width} × {@code height} of them, each blue, green, red and a byte that does not matter; native memory
     * @return false if it is damaged, or of another size
     */
    public boolean decompress(MemorySegment jpeg, MemorySegment pixels, int width, int height) {
        if (handle == 0) {
            throw new IllegalStateException("this has been closed");
        }
        if (!pixels.isNative()
                || !jpeg.isNative()
                || width < 1
                || height < 1
                || pixels.byteSize() < 4L * width * height) {
            throw new IllegalArgumentException(
                    "memory that is not native, or too little for " + width + "x" + height + " pixels");
        }
        try {
            long sizes = found.address();
            long header = (long) functions
                    .header()
                    .invokeExact(
                            handle,
                            jpeg.address(),
                            jpeg.byteSize(),
                            sizes,
                            sizes + 4,
                            sizes + 8,
                            sizes + 12,
                            0L,
                            0L,
                            0L,
                            0L);
            if ((int) header != 0
                    || found.getAtIndex(JAVA_INT, 0) != width
                    || found.getAtIndex(JAVA_INT, 1) != height) {
                return false;
            }
            long result = (long) functions
                    .decompress()
                    .invokeExact(
                            handle,
                            jpeg.address(),
                            jpeg.byteSize(),
                            pixels.address(),
                            (long) width,
                            4L * width,
                            (long) height,
                            (long) TurboJpeg.BGRX,
                            0L,
                            0L,
                            0L);
            return (int) result == 0;
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
