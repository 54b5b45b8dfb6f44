package dev.satchel.linux.vpx;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.satchel.linux.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.lang.ref.Reference;
import org.jspecify.annotations.Nullable;

/**
 * Compresses moving pictures as VP8, at once: a frame goes in and comes out, none is kept back. Holds about fifteen bytes a pixel. For
 * one thread at a time.
 */
public final class Vp8Encoder implements AutoCloseable {
    /** The longest side of a picture (RFC 6386 §9.1). */
    public static final int SIDE_MAX = 16383;

    /**
     * How many bytes are spent.
     *
     * @param kilobitsPerSecond on the average of about a second, as far as the quantizers allow that
     * @param quantizerMin 0, the best, to 63
     * @param quantizerMax as much as {@code quantizerMin} or more; the same: every frame is as good, however many bytes it takes
     */
    public record Rate(int kilobitsPerSecond, int quantizerMin, int quantizerMax) {
        public Rate {
            if (kilobitsPerSecond < 1
                    || quantizerMin < 0
                    || quantizerMax < quantizerMin
                    || quantizerMax > QUANTIZER_MAX) {
                throw new IllegalArgumentException("a rate of " + kilobitsPerSecond + " kb/s with quantizers from "
                        + quantizerMin + " to " + quantizerMax);
            }
        }

        /** Always as good. */
        public static Rate constantQuality(int quantizer) {
            return new Rate(KILOBITS_MAX, quantizer, quantizer);
        }
    }

    /**
     * A frame.
     *
     * @param data in memory of the encoder's, until its next call
     * @param key whether it can be decoded without those before
     */
    public record Frame(MemorySegment data, boolean key) {}

    private static final int QUANTIZER_MAX = 63;
    private static final int KILOBITS_MAX = 1_000_000;

    // vpx_codec.h, vpx_encoder.h, vpx_image.h, vp8cx.h
    private static final int OK = 0;
    private static final int ABI_MISMATCH = 3;
    private static final int CONTEXT_BYTES = 56;
    private static final int IMAGE_BYTES = 136;
    private static final long IMAGE_PLANES = 48;
    private static final long IMAGE_STRIDES = 80;
    private static final int I420 = 0x102;
    private static final int FORCE_KEY_FRAME = 1;
    private static final int DEADLINE_REALTIME = 1;
    private static final int FRAME_PACKET = 0;
    private static final long PACKET_BYTES = 136;
    private static final long PACKET_BUFFER = 8;
    private static final long PACKET_SIZE = 16;
    private static final long PACKET_FLAGS = 40;
    private static final int SET_CPU_USED = 13;
    private static final int SET_STATIC_THRESHOLD = 17;
    private static final int SET_MAX_INTRA_BITRATE_PERCENT = 26;
    private static final int SET_SCREEN_CONTENT_MODE = 31;
    private static final int BITS_CONSTANT = 1;
    /** Blocks of 256 pixels whose differences have less squares are not sent again: nobody sees them, and most of a screen stays as it is. */
    private static final int STATIC_SQUARES = 100;

    // vpx_codec_enc_cfg_t, the same from libvpx 1.12 (Debian 12) to 1.15 (Debian 13); what is there is looked at before
    // it is believed.
    private static final long CONFIG_BYTES = 504;
    private static final long THREADS = 4;
    private static final long WIDTH = 12;
    private static final long HEIGHT = 16;
    private static final long TIMEBASE_NUMERATOR = 28;
    private static final long TIMEBASE_DENOMINATOR = 32;
    private static final long ERROR_RESILIENT = 36;
    private static final long LAG_IN_FRAMES = 44;
    private static final long DROP_FRAME_THRESHOLD = 48;
    private static final long END_USAGE = 72;
    private static final long TARGET_BITRATE = 112;
    private static final long QUANTIZER_LOW = 116;
    private static final long QUANTIZER_HIGH = 120;
    private static final long UNDERSHOOT_PERCENT = 124;
    private static final long OVERSHOOT_PERCENT = 128;
    private static final long BUFFER_MILLIS = 132;
    private static final long BUFFER_INITIAL_MILLIS = 136;
    private static final long BUFFER_OPTIMAL_MILLIS = 140;
    private static final long KEY_FRAME_MODE = 160;
    private static final long KEY_FRAME_DISTANCE_MAX = 168;

    /** Debian 13 and 12. */
    private static final String[] NAMES = {"libvpx.so.9", "libvpx.so.7"};
    /** VPX_ENCODER_ABI_VERSION is 25 in libvpx 1.12 and 36 in 1.15, and is asked for: others with what is the same above will do as well. */
    private static final int ABI_MIN = 20;

    private static final int ABI_MAX = 60;

    private static @Nullable Library library;

    /** Looked up when first needed, not when the class is initialised: what is missing is to be told as it is, each time. */
    private record Library(
            MemorySegment algorithm,
            int abi,
            MemorySegment configDefault,
            MemorySegment init,
            MemorySegment configSet,
            MemorySegment control,
            MemorySegment encode,
            MemorySegment packets,
            MemorySegment destroy,
            MemorySegment error,
            MemorySegment wrap,
            MethodHandle convert) {
        static Library load() {
            SymbolLookup symbols = lookup(NAMES[0]);
            if (symbols == null) {
                symbols = lookup(NAMES[1]);
            }
            if (symbols == null) {
                throw new UnsupportedOperationException("this host has neither " + NAMES[0] + " nor " + NAMES[1]
                        + ": install the package libvpx9 or libvpx7");
            }
            // It takes ten, and does not look at the last.
            MethodHandle convert = Libc.elevenLongs(Yuv.function("ARGBToI420"));
            MemorySegment algorithm =
                    MemorySegment.ofAddress(Libc.call(function(symbols, "libvpx", "vpx_codec_vp8_cx")));
            MemorySegment configDefault = function(symbols, "libvpx", "vpx_codec_enc_config_default");
            MemorySegment init = function(symbols, "libvpx", "vpx_codec_enc_init_ver");
            MemorySegment destroy = function(symbols, "libvpx", "vpx_codec_destroy");
            return new Library(
                    algorithm,
                    abi(algorithm, configDefault, init, destroy),
                    configDefault,
                    init,
                    function(symbols, "libvpx", "vpx_codec_enc_config_set"),
                    function(symbols, "libvpx", "vpx_codec_control_"),
                    function(symbols, "libvpx", "vpx_codec_encode"),
                    function(symbols, "libvpx", "vpx_codec_get_cx_data"),
                    destroy,
                    function(symbols, "libvpx", "vpx_codec_error_detail"),
                    function(symbols, "libvpx", "vpx_img_wrap"),
                    convert);
        }

        private static @Nullable SymbolLookup lookup(String name) {
            try {
                return SymbolLookup.libraryLookup(name, Arena.global());
            } catch (IllegalArgumentException missing) {
                return null;
            }
        }

        private static MemorySegment function(SymbolLookup symbols, String library, String name) {
            return symbols.find(name)
                    .orElseThrow(() -> new UnsupportedOperationException(library + " has no " + name + "()"));
        }

        /** The version that the library says is its own, once its defaults are found where they are expected. */
        private static int abi(
                MemorySegment algorithm, MemorySegment configDefault, MemorySegment init, MemorySegment destroy) {
            try (Arena arena = Arena.ofConfined()) {
                // More than is known of, in case that it writes more.
                MemorySegment config = arena.allocate(2 * CONFIG_BYTES, 8);
                MemorySegment context = arena.allocate(2 * CONTEXT_BYTES, 8);
                if ((int) Libc.call(configDefault, algorithm.address(), config.address(), 0) == OK
                        && config.get(JAVA_INT, WIDTH) == 320
                        && config.get(JAVA_INT, HEIGHT) == 240
                        && config.get(JAVA_INT, TIMEBASE_NUMERATOR) == 1
                        && config.get(JAVA_INT, TIMEBASE_DENOMINATOR) == 30
                        && config.get(JAVA_INT, TARGET_BITRATE) == 256
                        && config.get(JAVA_INT, QUANTIZER_LOW) == 4
                        && config.get(JAVA_INT, QUANTIZER_HIGH) == QUANTIZER_MAX
                        && config.get(JAVA_INT, BUFFER_MILLIS) == 6000
                        && config.get(JAVA_INT, BUFFER_OPTIMAL_MILLIS) == 5000
                        && config.get(JAVA_INT, KEY_FRAME_MODE) == 1
                        && config.get(JAVA_INT, KEY_FRAME_DISTANCE_MAX) == 128) {
                    for (int version = ABI_MIN; version <= ABI_MAX; version++) {
                        int result = (int)
                                Libc.call(init, context.address(), algorithm.address(), config.address(), 0, version);
                        if (result == OK) {
                            Libc.call(destroy, context.address());
                        }
                        if (result != ABI_MISMATCH) {
                            return version;
                        }
                    }
                }
            }
            throw new UnsupportedOperationException(
                    "this host's libvpx is of a version that is not known: install the package libvpx9 or libvpx7");
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
    private final Arena arena = Arena.ofShared();
    private final int width;
    private final int height;
    private final MemorySegment config = arena.allocate(CONFIG_BYTES, 8);
    private final MemorySegment context = arena.allocate(CONTEXT_BYTES, 8);
    private final MemorySegment image = arena.allocate(IMAGE_BYTES, 8);
    private final MemorySegment iterator = arena.allocate(ADDRESS);
    private final long[] planes = new long[3];
    private final int[] strides = new int[3];
    private Rate rate;
    private long nextMillis;
    private boolean closed;

    /**
     * Makes one for pictures of that size.
     *
     * @param speed 0 to 16: from the best that can be done at once to the least work
     * @throws UnsupportedOperationException if this host lacks a library; the message names its package
     */
    public Vp8Encoder(int width, int height, Rate rate, int speed) {
        if (width < 1 || width > SIDE_MAX || height < 1 || height > SIDE_MAX || speed < 0 || speed > 16) {
            throw new IllegalArgumentException(width + "x" + height + " at speed " + speed);
        }
        this.width = width;
        this.height = height;
        this.rate = rate;
        boolean made = false;
        try {
            wrapImage();
            check("vpx_codec_enc_config_default", Libc.call(functions.configDefault(), algorithm(), config.address()));
            config.set(JAVA_INT, THREADS, 1);
            config.set(JAVA_INT, WIDTH, width);
            config.set(JAVA_INT, HEIGHT, height);
            config.set(JAVA_INT, TIMEBASE_NUMERATOR, 1);
            config.set(JAVA_INT, TIMEBASE_DENOMINATOR, 1000);
            config.set(JAVA_INT, ERROR_RESILIENT, 0);
            config.set(JAVA_INT, LAG_IN_FRAMES, 0);
            config.set(JAVA_INT, DROP_FRAME_THRESHOLD, 0);
            config.set(JAVA_INT, END_USAGE, BITS_CONSTANT);
            config.set(JAVA_INT, UNDERSHOOT_PERCENT, 100);
            config.set(JAVA_INT, OVERSHOOT_PERCENT, 15);
            config.set(JAVA_INT, BUFFER_MILLIS, 1000);
            config.set(JAVA_INT, BUFFER_INITIAL_MILLIS, 500);
            config.set(JAVA_INT, BUFFER_OPTIMAL_MILLIS, 600);
            // Key frames only when asked for, and the first.
            config.set(JAVA_INT, KEY_FRAME_MODE, 0);
            setRate();
            check(
                    "vpx_codec_enc_init",
                    Libc.call(functions.init(), context.address(), algorithm(), config.address(), 0, functions.abi()));
            made = true;
        } finally {
            if (!made) {
                arena.close();
            }
        }
        made = false;
        try {
            // Below 0 it is as fast as told, above it takes as long as it is given (vp8cx.h).
            control(SET_CPU_USED, -speed);
            control(SET_STATIC_THRESHOLD, STATIC_SQUARES);
            control(SET_SCREEN_CONTENT_MODE, 1);
            control(SET_MAX_INTRA_BITRATE_PERCENT, 0);
            made = true;
        } finally {
            if (!made) {
                close();
            }
        }
    }

    private long algorithm() {
        return functions.algorithm().address();
    }

    private void wrapImage() {
        long chromaWidth = (width + 1L) / 2;
        long chromaHeight = (height + 1L) / 2;
        long bytes = (2 * chromaWidth + 32) * 2 * chromaHeight * 3 / 2 + 64;
        MemorySegment pixels = arena.allocate(bytes, 64);
        long wrapped = Libc.call(functions.wrap(), image.address(), I420, width, height, 16, pixels.address());
        for (int i = 0; i < planes.length; i++) {
            planes[i] = image.get(JAVA_LONG, IMAGE_PLANES + 8L * i);
            strides[i] = image.get(JAVA_INT, IMAGE_STRIDES + 4L * i);
            long end = planes[i] + strides[i] * (i == 0 ? 2 * chromaHeight : chromaHeight);
            if (wrapped == 0
                    || planes[i] < pixels.address()
                    || end > pixels.address() + bytes
                    || strides[i] < (i == 0 ? width : chromaWidth)) {
                throw new IllegalStateException("vpx_img_wrap made no picture of " + width + "x" + height);
            }
        }
    }

    private void control(int what, int value) {
        check("vpx_codec_control", Libc.call(functions.control(), context.address(), what, value));
    }

    private void check(String function, long result) {
        if ((int) result != OK) {
            long detail = Libc.call(functions.error(), context.address());
            String why = detail == 0
                    ? ""
                    : ", " + MemorySegment.ofAddress(detail).reinterpret(200).getString(0);
            throw new IllegalStateException(
                    function + " for " + width + "x" + height + " at " + rate + ": " + (int) result + why);
        }
    }

    private void setRate() {
        config.set(JAVA_INT, TARGET_BITRATE, rate.kilobitsPerSecond());
        config.set(JAVA_INT, QUANTIZER_LOW, rate.quantizerMin());
        config.set(JAVA_INT, QUANTIZER_HIGH, rate.quantizerMax());
    }

    /** From the next frame on. */
    public void rate(Rate wanted) {
        requireOpen();
        if (!wanted.equals(rate)) {
            rate = wanted;
            setRate();
            check("vpx_codec_enc_config_set", Libc.call(functions.configSet(), context.address(), config.address()));
        }
    }

    /**
     * Compresses a picture.
     *
     * @param pixels rows {@code stride} pixels apart, each pixel blue, green, red and a byte that does not matter; native memory
     * @param millis when it is shown, more than at the last one, from any instant
     * @param durationMillis how long, about
     * @param key whether it is to be decoded without those before; the first is in any case
     */
    public Frame encode(MemorySegment pixels, int stride, long millis, long durationMillis, boolean key) {
        requireOpen();
        if (!pixels.isNative() || stride < width || pixels.byteSize() < 4L * ((long) stride * (height - 1) + width)) {
            throw new IllegalArgumentException(
                    "pixels that are not in native memory, or too few for " + width + "x" + height);
        }
        if (durationMillis < 1 || millis < nextMillis) {
            throw new IllegalArgumentException("a frame at " + millis + " ms for " + durationMillis
                    + " ms after one at " + (nextMillis - 1) + " ms");
        }
        nextMillis = millis + 1;
        try {
            long result = (long) functions
                    .convert()
                    .invokeExact(
                            pixels.address(),
                            4L * stride,
                            planes[0],
                            (long) strides[0],
                            planes[1],
                            (long) strides[1],
                            planes[2],
                            (long) strides[2],
                            (long) width,
                            (long) height,
                            0L);
            if ((int) result != 0) {
                throw new IllegalStateException("ARGBToI420 for " + width + "x" + height + ": " + (int) result);
            }
        } catch (RuntimeException | Error thrown) {
            throw thrown;
        } catch (Throwable thrown) {
            throw new AssertionError("a native call throws no checked exception", thrown);
        } finally {
            Reference.reachabilityFence(pixels);
        }
        check(
                "vpx_codec_encode",
                Libc.call(
                        functions.encode(),
                        context.address(),
                        image.address(),
                        millis,
                        durationMillis,
                        key ? FORCE_KEY_FRAME : 0,
                        DEADLINE_REALTIME));
        iterator.set(JAVA_LONG, 0, 0);
        while (true) {
            long packet = Libc.call(functions.packets(), context.address(), iterator.address());
            if (packet == 0) {
                throw new IllegalStateException("vpx_codec_get_cx_data has no frame");
            }
            MemorySegment found = MemorySegment.ofAddress(packet).reinterpret(PACKET_BYTES);
            if (found.get(JAVA_INT, 0) == FRAME_PACKET) {
                return new Frame(
                        MemorySegment.ofAddress(found.get(JAVA_LONG, PACKET_BUFFER))
                                .reinterpret(found.get(JAVA_LONG, PACKET_SIZE), arena, null),
                        (found.get(JAVA_INT, PACKET_FLAGS) & 1) != 0);
            }
        }
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("this has been closed");
        }
    }

    /** Frees what it has; the second time does nothing. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            Libc.call(functions.destroy(), context.address());
            arena.close();
        }
    }
}
