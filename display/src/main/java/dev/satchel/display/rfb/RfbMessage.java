package dev.satchel.display.rfb;

import java.io.IOException;
import java.io.OutputStream;
import java.util.Arrays;

/** A message on its way out, in network order, in memory that is used again for the next. Not thread-safe. */
final class RfbMessage {
    /** What is kept for the next message. */
    private static final int KEPT_BYTES_MAX = 512 << 10;

    private byte[] bytes = new byte[8 << 10];
    private int length;

    int length() {
        return length;
    }

    /** Forgets what was written. */
    void clear() {
        length = 0;
    }

    RfbMessage u8(int value) {
        reserve(1);
        bytes[length++] = (byte) value;
        return this;
    }

    RfbMessage u16(int value) {
        reserve(2);
        bytes[length++] = (byte) (value >> 8);
        bytes[length++] = (byte) value;
        return this;
    }

    RfbMessage u32(int value) {
        return u16(value >> 16).u16(value);
    }

    RfbMessage bytes(byte[] from) {
        return bytes(from, 0, from.length);
    }

    RfbMessage bytes(byte[] from, int offset, int count) {
        reserve(count);
        System.arraycopy(from, offset, bytes, length, count);
        length += count;
        return this;
    }

    RfbMessage zeros(int count) {
        reserve(count);
        Arrays.fill(bytes, length, length + count, (byte) 0);
        length += count;
        return this;
    }

    /** Writes over what is there already. */
    void putU16(int at, int value) {
        bytes[at] = (byte) (value >> 8);
        bytes[at + 1] = (byte) value;
    }

    /** Takes pixels as the client wants them. */
    void pixels(PixelLayout layout, int[] pixels, int from, int count) {
        reserve(count * layout.bytes());
        length = layout.put(pixels, from, count, bytes, length);
    }

    private void reserve(int more) {
        if (bytes.length - length < more) {
            bytes = Arrays.copyOf(bytes, Math.max(length + more, 2 * bytes.length));
        }
    }

    /** Sends it, and begins the next. */
    void send(OutputStream to) throws IOException {
        to.write(bytes, 0, length);
        to.flush();
        length = 0;
        if (bytes.length > KEPT_BYTES_MAX) {
            bytes = new byte[8 << 10];
        }
    }
}
