package dev.satchel.display.web;

import java.io.EOFException;
import java.io.IOException;
import java.util.Arrays;

/**
 * What a browser sends by a WebSocket (RFC 6455 §5), with a bound on everything. Of the kinds of messages only binary ones are known.
 * Not thread-safe.
 */
final class WebSocketInput {
    static final int BINARY = 2;
    static final int CLOSE = 8;
    static final int PING = 9;
    static final int PONG = 10;

    static final int MESSAGE_BYTES_MAX = 1 << 20;
    private static final int CONTROL_BYTES_MAX = 125;
    private static final int KEPT_BYTES = 4 << 10;

    /** The peer broke the protocol: {@link #code} is what it is told (§7.4.1). */
    static final class Violation extends IOException {
        private static final long serialVersionUID = 1;
        final int code;

        Violation(int code, String message) {
            super(message);
            this.code = code;
        }
    }

    private final DeadlineInput in;
    private final long silenceMillisMax;
    private byte[] message = new byte[KEPT_BYTES];
    private int length;
    private boolean fragmented;
    private final byte[] control = new byte[CONTROL_BYTES_MAX];
    private int controlLength;
    private final byte[] mask = new byte[4];
    private long untilNanos;
    private boolean hurried;

    /** As {@link #next}, which has come whole within so many milliseconds of the first such call, whatever came before. */
    int nextWithin(long millis) throws IOException {
        if (!hurried) {
            hurried = true;
            untilNanos = System.nanoTime() + millis * 1_000_000;
        }
        int kind = next();
        if (kind == BINARY) {
            hurried = false;
        }
        return kind;
    }

    private void allowTime() {
        in.deadlineIn(
                hurried ? Math.min(silenceMillisMax, (untilNanos - System.nanoTime()) / 1_000_000) : silenceMillisMax);
    }

    /** @param silenceMillisMax for so long a peer may say nothing */
    WebSocketInput(DeadlineInput in, long silenceMillisMax) {
        this.in = in;
        this.silenceMillisMax = silenceMillisMax;
    }

    /** Whether a short frame is there as a whole. */
    boolean frameWaiting() {
        if (in.buffered() < 6) {
            return false;
        }
        int size = in.peek(1) & 0x7f;
        return size <= CONTROL_BYTES_MAX && in.buffered() >= 6 + size;
    }

    /**
     * Waits for the next whole message or control frame.
     *
     * @return {@link #BINARY}: see {@link #message}; {@link #PING}, {@link #PONG}: see {@link #control}; {@link #CLOSE}, also if the peer just ended
     */
    int next() throws IOException {
        if (!fragmented) {
            length = 0;
            if (message.length > KEPT_BYTES) {
                message = new byte[KEPT_BYTES];
            }
        }
        while (true) {
            allowTime();
            if (!in.await()) {
                return CLOSE;
            }
            int first = in.read();
            int second = in.read();
            if ((first & 0x70) != 0) {
                throw new Violation(1002, "reserved bits");
            }
            if ((second & 0x80) == 0) {
                throw new Violation(1002, "a frame that is not masked");
            }
            boolean last = (first & 0x80) != 0;
            int code = first & 0x0f;
            if (code >= CLOSE) {
                return control(code, last, second & 0x7f);
            }
            if (code == BINARY ? fragmented : code != 0 || !fragmented) {
                throw new Violation(1002, "a frame of kind " + code + " where none may be");
            }
            data(payloadLength(second & 0x7f));
            fragmented = !last;
            if (last) {
                return BINARY;
            }
        }
    }

    private int control(int code, boolean last, int size) throws IOException {
        if (code > PONG || !last || size > CONTROL_BYTES_MAX) {
            throw new Violation(1002, "a control frame as there can't be one");
        }
        readMask();
        readFully(control, 0, size);
        unmask(control, 0, size);
        controlLength = size;
        return code;
    }

    private void data(int size) throws IOException {
        readMask();
        int start = length;
        while (length < start + size) {
            if (length == message.length) {
                // By what has come, not by what was announced.
                message = Arrays.copyOf(message, Math.min(2 * message.length, MESSAGE_BYTES_MAX));
            }
            int count = in.read(message, length, Math.min(start + size, message.length) - length);
            if (count < 0) {
                throw new EOFException("the peer ended within a message");
            }
            length += count;
            allowTime();
        }
        unmask(message, start, size);
    }

    private int payloadLength(int size) throws IOException {
        long announced = size;
        if (size == 126) {
            announced = (long) in.read() << 8 | in.read();
        } else if (size == 127) {
            announced = 0;
            for (int i = 0; i < 8; i++) {
                announced = announced << 8 | in.read();
            }
        }
        if (announced < 0 || announced > MESSAGE_BYTES_MAX - length) {
            throw new Violation(1009, "a message of more than " + MESSAGE_BYTES_MAX + " bytes");
        }
        if (size > CONTROL_BYTES_MAX && announced <= (size == 126 ? CONTROL_BYTES_MAX : 0xffff)) {
            throw new Violation(1002, "a length that is written longer than it must");
        }
        return (int) announced;
    }

    private void readMask() throws IOException {
        readFully(mask, 0, mask.length);
    }

    private void readFully(byte[] into, int offset, int count) throws IOException {
        int done = 0;
        while (done < count) {
            int some = in.read(into, offset + done, count - done);
            if (some < 0) {
                throw new EOFException("the peer ended within a frame");
            }
            done += some;
        }
    }

    private void unmask(byte[] bytes, int offset, int count) {
        for (int i = 0; i < count; i++) {
            bytes[offset + i] ^= mask[i & 3];
        }
    }

    /** Of the last {@link #BINARY}; valid until {@link #next}. */
    byte[] message() {
        return message;
    }

    int length() {
        return length;
    }

    /** A copy of what the last control frame had. */
    byte[] control() {
        return Arrays.copyOf(control, controlLength);
    }
}
