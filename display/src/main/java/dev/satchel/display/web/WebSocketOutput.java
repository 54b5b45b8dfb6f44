package dev.satchel.display.web;

import java.io.IOException;
import java.io.OutputStream;
import java.util.List;

/** Frames to a browser (RFC 6455 §5.2), each message in one. Not thread-safe. */
final class WebSocketOutput {
    static final int CLOSE = 8;
    static final int PONG = 10;
    private static final int BINARY = 2;
    private static final int HEADER_BYTES_MAX = 10;
    private static final int BUFFER_BYTES = 40 << 10;

    private final OutputStream out;
    private final byte[] buffer = new byte[BUFFER_BYTES];
    private int used;

    WebSocketOutput(OutputStream out) {
        this.out = out;
    }

    void control(int code, byte[] payload) throws IOException {
        used = header(code, payload.length);
        System.arraycopy(payload, 0, buffer, used, payload.length);
        out.write(buffer, 0, used + payload.length);
    }

    /** @return how many bytes went over the wire */
    long message(byte[] start, List<byte[]> rest) throws IOException {
        long length = start.length;
        for (byte[] part : rest) {
            length += part.length;
        }
        used = header(BINARY, length);
        long all = used + length;
        // Small parts together in one packet, large ones without a copy.
        append(start);
        for (byte[] part : rest) {
            append(part);
        }
        out.write(buffer, 0, used);
        return all;
    }

    /** A part of an array as a message. */
    void message(byte[] bytes, int offset, int length) throws IOException {
        used = header(BINARY, length);
        if (used + length <= buffer.length) {
            System.arraycopy(bytes, offset, buffer, used, length);
            out.write(buffer, 0, used + length);
        } else {
            out.write(buffer, 0, used);
            out.write(bytes, offset, length);
        }
    }

    /** How many bytes a message of so many takes. */
    static long framed(long length) {
        return length + (length <= 125 ? 2 : length <= 0xffff ? 4 : HEADER_BYTES_MAX);
    }

    private void append(byte[] part) throws IOException {
        if (used + part.length > buffer.length) {
            out.write(buffer, 0, used);
            used = 0;
        }
        if (part.length > buffer.length) {
            out.write(part, 0, part.length);
        } else {
            System.arraycopy(part, 0, buffer, used, part.length);
            used += part.length;
        }
    }

    private int header(int code, long length) {
        buffer[0] = (byte) (0x80 | code);
        if (length <= 125) {
            buffer[1] = (byte) length;
            return 2;
        }
        int bytes = length <= 0xffff ? 2 : 8;
        buffer[1] = (byte) (bytes == 2 ? 126 : 127);
        for (int i = 0; i < bytes; i++) {
            buffer[2 + i] = (byte) (length >> (8 * (bytes - 1 - i)));
        }
        return 2 + bytes;
    }
}
