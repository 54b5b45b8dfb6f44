package dev.satchel.display.record;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * A WebM file with one track of VP8 (Matroska, RFC 9559, in EBML, RFC 8794), whose frames last as long as they last. What is in it can be
 * played at any time, also if nobody closes it; {@link #close} adds what players seek by. Not thread-safe.
 */
final class WebmFile implements AutoCloseable {
    // RFC 8794 §11.2, RFC 9559 §5.1.
    private static final int EBML = 0x1A45DFA3;
    private static final int EBML_VERSION = 0x4286;
    private static final int EBML_READ_VERSION = 0x42F7;
    private static final int EBML_MAX_ID_LENGTH = 0x42F2;
    private static final int EBML_MAX_SIZE_LENGTH = 0x42F3;
    private static final int DOC_TYPE = 0x4282;
    private static final int DOC_TYPE_VERSION = 0x4287;
    private static final int DOC_TYPE_READ_VERSION = 0x4285;
    private static final int VOID = 0xEC;
    private static final int SEGMENT = 0x18538067;
    private static final int SEEK_HEAD = 0x114D9B74;
    private static final int SEEK = 0x4DBB;
    private static final int SEEK_ID = 0x53AB;
    private static final int SEEK_POSITION = 0x53AC;
    private static final int INFO = 0x1549A966;
    private static final int TIMESTAMP_SCALE = 0x2AD7B1;
    private static final int DURATION = 0x4489;
    private static final int MUXING_APP = 0x4D80;
    private static final int WRITING_APP = 0x5741;
    private static final int TRACKS = 0x1654AE6B;
    private static final int TRACK_ENTRY = 0xAE;
    private static final int TRACK_NUMBER = 0xD7;
    private static final int TRACK_UID = 0x73C5;
    private static final int TRACK_TYPE = 0x83;
    private static final int FLAG_LACING = 0x9C;
    private static final int CODEC_ID = 0x86;
    private static final int VIDEO = 0xE0;
    private static final int PIXEL_WIDTH = 0xB0;
    private static final int PIXEL_HEIGHT = 0xBA;
    private static final int COLOUR = 0x55B0;
    private static final int MATRIX_COEFFICIENTS = 0x55B1;
    private static final int RANGE = 0x55B9;
    private static final int TRANSFER_CHARACTERISTICS = 0x55BA;
    private static final int PRIMARIES = 0x55BB;
    private static final int CLUSTER = 0x1F43B675;
    private static final int TIMESTAMP = 0xE7;
    private static final int SIMPLE_BLOCK = 0xA3;
    private static final int CUES = 0x1C53BB6B;
    private static final int CUE_POINT = 0xBB;
    private static final int CUE_TIME = 0xB3;
    private static final int CUE_TRACK_POSITIONS = 0xB7;
    private static final int CUE_TRACK = 0xF7;
    private static final int CUE_CLUSTER_POSITION = 0xF1;

    private static final long NANOS_PER_TICK = 1_000_000;
    /** RFC 8794 §6.2: as long as it is, of eight bytes. */
    private static final long UNKNOWN_SIZE = 0x01FFFFFFFFFFFFFFL;

    private static final long SIZE_OF_EIGHT = 1L << 56;
    private static final int SEEK_HEAD_BYTES = 96;
    /** A block's time is 16 bits with a sign, from its cluster's. */
    static final long CLUSTER_MILLIS_MAX = 30_000;

    private final Path path;
    private final RandomAccessFile file;
    private long length;
    private long segmentStart;
    private long durationAt;
    private long infoAt;
    private long tracksAt;
    private long clusterAt = -1;
    private long clusterMillis;
    private long lastMillis;
    private long[] cues = new long[64];
    private int cueCount;

    private WebmFile(Path path, RandomAccessFile file) {
        this.path = path;
        this.file = file;
    }

    /** Opens a file to be written; what is there is kept until {@link #begin}. */
    static WebmFile open(Path path) throws IOException {
        return new WebmFile(path, new RandomAccessFile(path.toFile(), "rw"));
    }

    /** Begins it, in place of what is there. */
    void begin(int width, int height) throws IOException {
        file.setLength(0);
        Element head = new Element()
                .number(EBML_VERSION, 1)
                .number(EBML_READ_VERSION, 1)
                .number(EBML_MAX_ID_LENGTH, 4)
                .number(EBML_MAX_SIZE_LENGTH, 8)
                .text(DOC_TYPE, "webm")
                .number(DOC_TYPE_VERSION, 4)
                .number(DOC_TYPE_READ_VERSION, 2);
        Element all = new Element().element(EBML, head).id(SEGMENT).eight(UNKNOWN_SIZE);
        segmentStart = all.length();
        all.space(SEEK_HEAD_BYTES);
        infoAt = all.length();
        Element info = new Element()
                .number(TIMESTAMP_SCALE, NANOS_PER_TICK)
                .text(MUXING_APP, "Satchel")
                .text(WRITING_APP, "Satchel")
                .real(DURATION, 0);
        all.element(INFO, info);
        durationAt = (long) all.length() - Double.BYTES;
        tracksAt = all.length();
        // ISO/IEC 23091-4: BT.601 as VP8 has it, of which 0 and 255 are not used, with sRGB's primaries and transfer.
        Element colour = new Element()
                .number(MATRIX_COEFFICIENTS, 6)
                .number(RANGE, 1)
                .number(TRANSFER_CHARACTERISTICS, 13)
                .number(PRIMARIES, 1);
        Element video = new Element()
                .number(PIXEL_WIDTH, width)
                .number(PIXEL_HEIGHT, height)
                .element(COLOUR, colour);
        Element track = new Element()
                .number(TRACK_NUMBER, 1)
                .number(TRACK_UID, 1)
                .number(TRACK_TYPE, 1)
                .number(FLAG_LACING, 0)
                .text(CODEC_ID, "V_VP8")
                .element(VIDEO, video);
        all.element(TRACKS, new Element().element(TRACK_ENTRY, track));
        append(all);
    }

    /** How long it is so far. */
    long bytes() {
        return length;
    }

    /** Whether the next frame, at that time, must be a key frame. */
    boolean needsKey(long millis) {
        return clusterAt < 0 || millis - clusterMillis > CLUSTER_MILLIS_MAX;
    }

    /**
     * Adds a frame.
     *
     * @param millis from the first one's time, which is 0
     * @param key whether players may begin here
     */
    void frame(MemorySegment data, long millis, boolean key) throws IOException {
        if (key) {
            endCluster();
            clusterAt = length;
            clusterMillis = millis;
            cue(millis, length - segmentStart);
            append(new Element().id(CLUSTER).eight(UNKNOWN_SIZE).number(TIMESTAMP, millis));
        } else if (needsKey(millis)) {
            throw new IllegalArgumentException("a frame at " + millis + " ms without a key frame before it");
        }
        int since = (int) (millis - clusterMillis);
        int dataBytes = Math.toIntExact(data.byteSize());
        append(new Element()
                .id(SIMPLE_BLOCK)
                .eight(SIZE_OF_EIGHT | (4 + dataBytes))
                .bytes(0x81, since >> 8, since, key ? 0x80 : 0)
                .bytes(data));
        lastMillis = millis;
    }

    private void cue(long millis, long position) {
        if (2 * cueCount == cues.length) {
            cues = Arrays.copyOf(cues, 2 * cues.length);
        }
        cues[2 * cueCount] = millis;
        cues[2 * cueCount + 1] = position;
        cueCount++;
    }

    private void endCluster() throws IOException {
        if (clusterAt >= 0) {
            patch(clusterAt + 4, SIZE_OF_EIGHT | (length - clusterAt - 12));
            duration(lastMillis);
        }
    }

    /** Has what is there last so long. */
    void duration(long millis) throws IOException {
        patch(durationAt, Double.doubleToRawLongBits((double) millis));
    }

    private void append(Element element) throws IOException {
        byte[] bytes = element.bytes();
        file.seek(length);
        file.write(bytes);
        length += bytes.length;
    }

    private void patch(long position, long value) throws IOException {
        file.seek(position);
        file.writeLong(value);
    }

    /** Ends it: with what players seek by. */
    void finish(long millis) throws IOException {
        endCluster();
        duration(millis);
        long cuesAt = length;
        Element points = new Element();
        for (int i = 0; i < cueCount; i++) {
            Element where = new Element().number(CUE_TRACK, 1).number(CUE_CLUSTER_POSITION, cues[2 * i + 1]);
            points.element(
                    CUE_POINT, new Element().number(CUE_TIME, cues[2 * i]).element(CUE_TRACK_POSITIONS, where));
        }
        append(new Element().element(CUES, points));
        Element seeks = new Element()
                .element(SEEK, seek(INFO, infoAt))
                .element(SEEK, seek(TRACKS, tracksAt))
                .element(SEEK, seek(CUES, cuesAt));
        Element head = new Element().element(SEEK_HEAD, seeks);
        head.space(SEEK_HEAD_BYTES - head.length());
        file.seek(segmentStart);
        file.write(head.bytes());
        patch(segmentStart - 8, SIZE_OF_EIGHT | (length - segmentStart));
    }

    private Element seek(int id, long at) {
        return new Element().binary(SEEK_ID, id).number(SEEK_POSITION, at - segmentStart);
    }

    @Override
    public void close() throws IOException {
        boolean nothing = length == 0 && file.length() == 0;
        file.close();
        if (nothing) {
            Files.deleteIfExists(path);
        }
    }

    /** Elements one after the other (RFC 8794 §4 to 7). */
    private static final class Element {
        private final ByteArrayOutputStream out = new ByteArrayOutputStream();

        int length() {
            return out.size();
        }

        byte[] bytes() {
            return out.toByteArray();
        }

        /** An ID has its length in its first bits already. */
        Element id(int id) {
            for (int shift = 24; shift >= 0; shift -= 8) {
                if (id >>> shift != 0) {
                    out.write(id >>> shift);
                }
            }
            return this;
        }

        Element eight(long value) {
            for (int shift = 56; shift >= 0; shift -= 8) {
                out.write((int) (value >>> shift));
            }
            return this;
        }

        private void size(int size) {
            int bytes = size < 0x7f ? 1 : size < 0x3fff ? 2 : size < 0x1fffff ? 3 : 4;
            for (int i = bytes - 1; i >= 0; i--) {
                out.write((size >>> (8 * i)) | (i == bytes - 1 ? 0x100 >> bytes : 0));
            }
        }

        Element element(int id, Element content) {
            id(id).size(content.length());
            out.writeBytes(content.bytes());
            return this;
        }

        Element number(int id, long value) {
            int bytes = Math.max(1, (71 - Long.numberOfLeadingZeros(value)) / 8);
            id(id).size(bytes);
            for (int i = bytes - 1; i >= 0; i--) {
                out.write((int) (value >>> (8 * i)));
            }
            return this;
        }

        Element binary(int id, int value) {
            id(id).size(4);
            return bytes(value >>> 24, value >>> 16, value >>> 8, value);
        }

        Element real(int id, double value) {
            id(id).size(Double.BYTES);
            return eight(Double.doubleToRawLongBits(value));
        }

        Element text(int id, String text) {
            byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
            id(id).size(bytes.length);
            out.writeBytes(bytes);
            return this;
        }

        Element bytes(int... values) {
            for (int value : values) {
                out.write(value);
            }
            return this;
        }

        Element bytes(MemorySegment bytes) {
            out.writeBytes(bytes.toArray(ValueLayout.JAVA_BYTE));
            return this;
        }

        /** So many bytes that mean nothing, from 9 on. */
        void space(int bytes) {
            id(VOID).eight(SIZE_OF_EIGHT | (bytes - 9));
            out.writeBytes(new byte[bytes - 9]);
        }
    }
}
