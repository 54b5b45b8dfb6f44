package dev.satchel.linux.jpeg;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.satchel.linux.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.ref.Reference;
import org.jspecify.annotations.Nullable;

/** Undoes what {@link JpegCompressor} does. An instance is for one thread at a time. */
public final class JpegDecompressor implements AutoCloseable {
    // turbojpeg.h: TJPF_BGRX.
    private static final int BGRX = 3;
    private static final String NAME = "libturbojpeg.so.0";

    private static @Nullable Library library;

    private record Library(MemorySegment init, MemorySegment destroy, MethodHandle header, MethodHandle decompress) {
        static Library load() {
            SymbolLookup symbols;
            try {
                symbols = SymbolLookup.libraryLookup(NAME, Arena.global());
            } catch (IllegalArgumentException missing) {
                throw new UnsupportedOperationException(
                        "this host has no " + NAME + ": install the package libturbojpeg0", missing);
            }
            // They take seven and nine integers and pointers: see JpegCompressor.
            FunctionDescriptor eleven = FunctionDescriptor.of(
                    ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_LONG);
            Linker linker = Linker.nativeLinker();
            return new Library(
                    function(symbols, "tjInitDecompress"),
                    function(symbols, "tjDestroy"),
                    linker.downcallHandle(function(symbols, "tjDecompressHeader3"), eleven),
                    linker.downcallHandle(function(symbols, "tjDecompress2"), eleven));
        }

        private static MemorySegment function(SymbolLookup symbols, String name) {
            return symbols.find(name)
                    .orElseThrow(() -> new UnsupportedOperationException(NAME + " has no " + name + "()"));
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
                            (long) BGRX,
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
