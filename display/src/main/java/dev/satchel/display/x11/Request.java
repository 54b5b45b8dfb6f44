package dev.satchel.display.x11;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/** A request on its way to the server: X11 protocol, "Request Format", little-endian. Not thread-safe. */
final class Request {
    /** What a server takes without BIG-REQUESTS, in bytes. */
    static final int BYTES_MAX = 65535 * 4;

    private ByteBuffer bytes = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);

    /** @param data of the header: an extension's minor opcode, or something small */
    Request(int opcode, int data) {
        bytes.put((byte) opcode).put((byte) data).putShort((short) 0);
    }

    private void room(int count) {
        if (bytes.remaining() < count) {
            ByteBuffer larger = ByteBuffer.allocate(Math.max(2 * bytes.capacity(), bytes.position() + count))
                    .order(ByteOrder.LITTLE_ENDIAN);
            larger.put(bytes.flip());
            bytes = larger;
        }
    }

    Request u8(int value) {
        room(1);
        bytes.put((byte) value);
        return this;
    }

    Request u16(int value) {
        room(2);
        bytes.putShort((short) value);
        return this;
    }

    Request u32(int value) {
        room(4);
        bytes.putInt(value);
        return this;
    }

    Request bytes(byte[] some, int offset, int length) {
        room(length + 3);
        bytes.put(some, offset, length);
        return pad();
    }

    /** To a multiple of four bytes. */
    Request pad() {
        while (bytes.position() % 4 != 0) {
            u8(0);
        }
        return this;
    }

    byte[] finish() {
        pad();
        int length = bytes.position();
        if (length > BYTES_MAX) {
            throw new IllegalArgumentException("a request of " + length + " bytes");
        }
        bytes.putShort(2, (short) (length / 4));
        return Arrays.copyOf(bytes.array(), length);
    }
}
