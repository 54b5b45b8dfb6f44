package dev.satchel.display.x11;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/** A request on its way to the server: X11 protocol, "Request Format", little-endian. Sent once. Not thread-safe. */
final class Request {
    /** What every server takes without BIG-REQUESTS, in bytes; nothing here needs more. */
    static final int BYTES_MAX = 65535 * 4;

    private byte[] bytes = new byte[40];
    private int length = 4;

    /** @param data of the header: an extension's minor opcode, or something small */
    Request(int opcode, int data) {
        bytes[0] = (byte) opcode;
        bytes[1] = (byte) data;
    }

    private void room(int count) {
        if (bytes.length - length < count) {
            bytes = Arrays.copyOf(bytes, Math.max(2 * bytes.length, length + count));
        }
    }

    Request u8(int value) {
        room(1);
        bytes[length++] = (byte) value;
        return this;
    }

    Request u16(int value) {
        return u8(value).u8(value >> 8);
    }

    Request u32(int value) {
        return u16(value).u16(value >> 16);
    }

    /** And what fills them up to a multiple of four. */
    Request bytes(byte[] some, int offset, int count) {
        room(count + 3);
        System.arraycopy(some, offset, bytes, length, count);
        length += count;
        return pad();
    }

    /** To a multiple of four bytes. */
    Request pad() {
        while (length % 4 != 0) {
            u8(0);
        }
        return this;
    }

    /** @return all of it, with its length written in */
    ByteBuffer finished() {
        pad();
        if (length > BYTES_MAX) {
            throw new IllegalArgumentException("a request of " + length + " bytes");
        }
        bytes[2] = (byte) (length / 4);
        bytes[3] = (byte) ((length / 4) >> 8);
        return ByteBuffer.wrap(bytes, 0, length).order(ByteOrder.LITTLE_ENDIAN);
    }
}
