package dev.satchel.session;

import dev.satchel.display.x11.Glance;
import dev.satchel.linux.jpeg.JpegCompressor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * A session's screen, small, as its history shows it.
 *
 * @param jpeg at most 256 KiB
 * @param windows their titles
 */
@SuppressWarnings("ArrayRecordComponent") // handed through, never compared
record Thumbnail(byte[] jpeg, List<String> windows) {
    static final int WIDTH = 320;
    static final int HEIGHT = 240;
    private static final int QUALITY = 80;

    Thumbnail {
        windows = List.copyOf(windows);
    }

    static Thumbnail of(Glance glance) {
        int width = glance.width();
        int height = glance.height();
        try (Arena arena = Arena.ofConfined();
                JpegCompressor compressor = new JpegCompressor()) {
            // Blue, green, red and nothing, little-endian: as they are.
            MemorySegment pixels = arena.allocateFrom(ValueLayout.JAVA_INT, glance.pixels());
            MemorySegment jpeg = arena.allocate(JpegCompressor.sizeMax(width, height));
            int length = compressor.compress(pixels, width, height, jpeg, QUALITY);
            return new Thumbnail(jpeg.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE), glance.titles());
        }
    }
}
