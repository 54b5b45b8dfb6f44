package dev.satchel.display.record;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A WebM file read by the letter of RFC 8794 and 9559: every element fits into the one that it is in.
 *
 * @param clusters where they are in the segment
 * @param cues where they are said to be
 * @param frames their times, milliseconds
 */
record WebmStructure(long durationMillis, List<Long> clusters, List<Long> cues, List<Long> frames) {
    static WebmStructure of(Path file) throws IOException {
        Reader reader = new Reader(ByteBuffer.wrap(Files.readAllBytes(file)));
        reader.elements(reader.in.limit());
        if (reader.seeks != 3) {
            throw new AssertionError(reader.seeks + " of what is to be found were found");
        }
        return new WebmStructure(
                Math.round(Double.longBitsToDouble(reader.duration)), reader.clusters, reader.cues, reader.frames);
    }

    private static final class Reader {
        private final ByteBuffer in;
        private long segment;
        private long duration;
        private long clusterMillis;
        private long soughtId;
        private int seeks;
        private final List<Long> clusters = new ArrayList<>();
        private final List<Long> cues = new ArrayList<>();
        private final List<Long> frames = new ArrayList<>();

        Reader(ByteBuffer in) {
            this.in = in;
        }

        private long variable(boolean keepMarker) {
            int first = in.get() & 0xff;
            int more = Integer.numberOfLeadingZeros(first) - 24;
            long value = keepMarker ? first : first & (0x7f >> more);
            for (int i = 0; i < more; i++) {
                value = value << 8 | (in.get() & 0xff);
            }
            return value;
        }

        private long number(long size) {
            long value = 0;
            for (int i = 0; i < size; i++) {
                value = value << 8 | (in.get() & 0xff);
            }
            return value;
        }

        void elements(int end) {
            while (in.position() < end) {
                int at = in.position();
                int id = (int) variable(true);
                long size = variable(false);
                if (size > end - in.position()) {
                    throw new AssertionError(Integer.toHexString(id) + " at " + at + " has " + size + " bytes");
                }
                int after = in.position() + (int) size;
                element(id, size, at, after);
                if (in.position() != after) {
                    throw new AssertionError(Integer.toHexString(id) + " at " + at + " ends within another");
                }
            }
        }

        private void element(int id, long size, int at, int after) {
            switch (id) {
                case 0x18538067 -> {
                    segment = in.position();
                    elements(after);
                }
                case 0x1549A966, 0x114D9B74, 0x1654AE6B, 0xAE, 0xE0, 0x55B0, 0x4DBB, 0x1C53BB6B, 0xBB, 0xB7 ->
                    elements(after);
                case 0x1F43B675 -> {
                    clusters.add(at - segment);
                    elements(after);
                }
                case 0x4489 -> duration = number(size);
                case 0xE7 -> clusterMillis = number(size);
                case 0xF1 -> cues.add(number(size));
                case 0x53AB -> soughtId = number(size);
                case 0x53AC -> {
                    in.mark();
                    int target = (int) (segment + number(size));
                    in.reset();
                    if (in.getInt(target) != (int) soughtId) {
                        throw new AssertionError(Long.toHexString(soughtId) + " is not at " + target);
                    }
                    seeks++;
                    in.position(after);
                }
                case 0xA3 -> {
                    if (in.get() != (byte) 0x81) {
                        throw new AssertionError("a block of another track");
                    }
                    frames.add(clusterMillis + in.getShort());
                    // RFC 6386 §9.1: the lowest bit of a key frame is 0.
                    boolean key = in.get() == (byte) 0x80;
                    if (key != ((in.get() & 1) == 0)) {
                        throw new AssertionError("a frame at " + at + " is what it does not say");
                    }
                    in.position(after);
                }
                default -> in.position(after);
            }
        }
    }
}
