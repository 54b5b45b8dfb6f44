package dev.satchel.display.codec;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.satchel.display.Command;
import dev.satchel.display.Rectangle;
import dev.satchel.linux.vpx.Scaler;
import dev.satchel.linux.vpx.Vp8Encoder;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * A moving picture in one place as VP8, for one viewer: each command continues those before, so that all must be sent, in order. Needs some
 * 20 bytes a pixel, for {@link #PIXELS_MAX} of them at most. Not thread-safe.
 */
public final class FilmEncoder implements AutoCloseable {
    /** Larger pictures are sent smaller, and viewers draw them in the size that they have. */
    public static final int PIXELS_MAX = 640 * 480;

    private static final int KILOBITS_MIN = 150;
    private static final int KILOBITS_MAX = 8_000;
    /** Better than this is not to be seen in what moves; worse only where the link has no more. */
    private static final int QUANTIZER_MIN = 8;

    private static final int QUANTIZER_MAX = 60;
    /** Of 16: the least work with which a film is still half as many bytes as at the next. */
    private static final int SPEED = 10;

    private static final int FRAME_MILLIS = 42;
    private static final int HEAD_BYTES = 14;

    private final Rectangle area;
    private final int width;
    private final int height;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment source;
    private final MemorySegment scaled;
    private final Vp8Encoder encoder;
    private boolean begun;
    private long lastMillis = -1;
    private boolean closed;

    /**
     * Makes one for what moves there.
     *
     * @throws UnsupportedOperationException if this host lacks a library; the message names its package
     */
    public FilmEncoder(Rectangle area, int kilobitsPerSecond) {
        this.area = area;
        double scale = Math.min(1, Math.sqrt(PIXELS_MAX / (double) area.area()));
        width = Math.max(1, (int) (area.width() * scale));
        height = Math.max(1, (int) (area.height() * scale));
        boolean made = false;
        try {
            encoder = new Vp8Encoder(width, height, rate(kilobitsPerSecond), SPEED);
            source = arena.allocate(4 * area.area(), 16);
            scaled =
                    width == area.width() && height == area.height() ? source : arena.allocate(4L * width * height, 16);
            made = true;
        } finally {
            if (!made) {
                arena.close();
            }
        }
    }

    private static Vp8Encoder.Rate rate(int kilobitsPerSecond) {
        return new Vp8Encoder.Rate(
                Math.clamp(kilobitsPerSecond, KILOBITS_MIN, KILOBITS_MAX), QUANTIZER_MIN, QUANTIZER_MAX);
    }

    /** Where it is. */
    public Rectangle area() {
        return area;
    }

    /**
     * Writes a command; the first can be drawn by itself.
     *
     * @param video of this area
     * @param kilobitsPerSecond that it may take from now on, about
     * @param millis of any clock
     * @return the bytes, the caller's own
     */
    public byte[] encode(Command.Video video, int kilobitsPerSecond, long millis) {
        if (closed) {
            throw new IllegalStateException("this has been closed");
        }
        if (!video.area().equals(area) || video.pixels().length != area.area()) {
            throw new IllegalArgumentException(video.area() + " in a film of " + area);
        }
        MemorySegment.copy(video.pixels(), 0, source, JAVA_INT, 0, video.pixels().length);
        if (width != area.width() || height != area.height()) {
            Scaler.draw(source, area.width(), area.height(), scaled, width, width, height);
        }
        encoder.rate(rate(kilobitsPerSecond));
        lastMillis = Math.max(millis, lastMillis + 1);
        MemorySegment data =
                encoder.encode(scaled, width, lastMillis, FRAME_MILLIS, !begun).data();
        begun = true;
        byte[] bytes = new byte[HEAD_BYTES + Math.toIntExact(data.byteSize())];
        ByteBuffer.wrap(bytes)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put((byte) Encoder.VIDEO)
                .putShort((short) area.x())
                .putShort((short) area.y())
                .putShort((short) area.width())
                .putShort((short) area.height())
                .put((byte) Encoder.VP8)
                .putInt((int) data.byteSize());
        MemorySegment.copy(data, JAVA_BYTE, 0, bytes, HEAD_BYTES, (int) data.byteSize());
        return bytes;
    }

    /** Lets go of its memory; the second time does nothing. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            encoder.close();
            arena.close();
        }
    }
}
