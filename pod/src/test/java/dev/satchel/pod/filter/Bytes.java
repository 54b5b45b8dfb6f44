package dev.satchel.pod.filter;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Writes messages of Protocol Buffers as CRIU's library does, apart from the code under test. */
final class Bytes {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    Bytes number(int field, long value) {
        varint((long) field << 3);
        varint(value);
        return this;
    }

    Bytes bytes(int field, byte[] value) {
        varint((long) field << 3 | 2);
        varint(value.length);
        out.writeBytes(value);
        return this;
    }

    Bytes message(int field, Bytes value) {
        return bytes(field, value.toArray());
    }

    /** A field of 8 bytes that no filter knows. */
    Bytes fixed(int field, long value) {
        varint((long) field << 3 | 1);
        out.writeBytes(ByteBuffer.allocate(8)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(value)
                .array());
        return this;
    }

    private void varint(long value) {
        long left = value;
        for (; left < 0 || left > 127; left >>>= 7) {
            out.write((int) ((left & 127) | 128));
        }
        out.write((int) left);
    }

    byte[] toArray() {
        return out.toByteArray();
    }

    /** An image of these messages. */
    static byte[] image(int magic, Bytes... messages) {
        ByteArrayOutputStream image = new ByteArrayOutputStream();
        image.writeBytes(little(0x54564319));
        image.writeBytes(little(magic));
        for (Bytes message : messages) {
            image.writeBytes(little(message.out.size()));
            image.writeBytes(message.toArray());
        }
        return image.toByteArray();
    }

    private static byte[] little(int value) {
        return ByteBuffer.allocate(4)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(value)
                .array();
    }
}
