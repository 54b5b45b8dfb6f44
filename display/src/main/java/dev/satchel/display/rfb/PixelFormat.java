package dev.satchel.display.rfb;

import java.net.ProtocolException;
import java.nio.ByteBuffer;

/**
 * How a client wants pixels (RFC 6143 §7.4): true colour only.
 *
 * @param bits of a pixel: 8, 16 or 32
 * @param redMax a power of two less one
 */
record PixelFormat(
        int bits,
        int depth,
        boolean bigEndian,
        int redMax,
        int greenMax,
        int blueMax,
        int redShift,
        int greenShift,
        int blueShift) {
    static final int BYTES = 16;
    /** As screens have them. */
    static final PixelFormat OWN = new PixelFormat(32, 24, false, 255, 255, 255, 16, 8, 0);

    /** @throws ProtocolException if it is none, or one with a colour map */
    static PixelFormat read(ByteBuffer in) throws ProtocolException {
        int bits = in.get() & 0xff;
        int depth = in.get() & 0xff;
        boolean bigEndian = in.get() != 0;
        boolean trueColor = in.get() != 0;
        PixelFormat format = new PixelFormat(
                bits,
                depth,
                bigEndian,
                in.getShort() & 0xffff,
                in.getShort() & 0xffff,
                in.getShort() & 0xffff,
                in.get() & 0xff,
                in.get() & 0xff,
                in.get() & 0xff);
        in.position(in.position() + 3);
        if (!trueColor) {
            throw new ProtocolException("a client wants a colour map");
        }
        if ((bits != 8 && bits != 16 && bits != 32)
                || !fits(format.redMax, format.redShift, bits)
                || !fits(format.greenMax, format.greenShift, bits)
                || !fits(format.blueMax, format.blueShift, bits)) {
            throw new ProtocolException("a client wants pixels as they can't be: " + format);
        }
        return format;
    }

    private static boolean fits(int max, int shift, int bits) {
        return max > 0 && (max & (max + 1)) == 0 && shift < bits && (long) max << shift < 1L << bits;
    }

    void write(RfbMessage out) {
        out.u8(bits).u8(depth).u8(bigEndian ? 1 : 0).u8(1);
        out.u16(redMax).u16(greenMax).u16(blueMax);
        out.u8(redShift).u8(greenShift).u8(blueShift).zeros(3);
    }

    /** PIXEL: as they are in Raw. */
    PixelLayout plain() {
        return layout(order(0, bits / 8));
    }

    /** TPIXEL of Tight: three bytes, red first, if that is all there is. */
    PixelLayout tight() {
        if (bits == 32 && depth == 24 && redMax == 255 && greenMax == 255 && blueMax == 255) {
            return new PixelLayout(channel(255, 16), channel(255, 8), channel(255, 0), 16, 8, 0);
        }
        return plain();
    }

    /** CPIXEL of ZRLE (§7.7.5): without the byte that is of no use. */
    PixelLayout compressed() {
        if (bits == 32 && depth <= 24) {
            long used = ((long) redMax << redShift) | ((long) greenMax << greenShift) | ((long) blueMax << blueShift);
            if (used >>> 24 == 0) {
                return layout(order(0, 3));
            }
            if ((used & 0xff) == 0) {
                return layout(order(1, 3));
            }
        }
        return plain();
    }

    private int[] order(int lowest, int bytes) {
        int[] shifts = new int[bytes];
        for (int i = 0; i < bytes; i++) {
            shifts[i] = 8 * (bigEndian ? lowest + bytes - 1 - i : lowest + i);
        }
        return shifts;
    }

    private PixelLayout layout(int[] shifts) {
        return new PixelLayout(
                channel(redMax, redShift), channel(greenMax, greenShift), channel(blueMax, blueShift), shifts);
    }

    private static int[] channel(int max, int shift) {
        int[] table = new int[256];
        for (int i = 0; i < 256; i++) {
            table[i] = ((i * max + 127) / 255) << shift;
        }
        return table;
    }
}
