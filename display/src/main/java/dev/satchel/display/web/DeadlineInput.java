package dev.satchel.display.web;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.util.Arrays;

/**
 * What a peer sends, through a bounded buffer, by a time that is set: a peer that sends byte after byte does not get more of it. Not
 * thread-safe.
 */
public final class DeadlineInput {
    /** The longest head of a request. */
    static final int BUFFER_BYTES = 16 << 10;

    /** Where it comes from. */
    interface Source {
        /**
         * Waits for a byte at least.
         *
         * @return how many came, -1 at the end
         * @throws SocketTimeoutException if none comes in time
         */
        int read(byte[] into, int offset, int length, int millisMax) throws IOException;
    }

    private final Source source;
    private final byte[] buffer = new byte[BUFFER_BYTES];
    private int at;
    private int end;
    private long deadlineNanos;

    public DeadlineInput(Socket socket) throws IOException {
        InputStream in = socket.getInputStream();
        this.source = (into, offset, length, millisMax) -> {
            socket.setSoTimeout(millisMax);
            return in.read(into, offset, length);
        };
    }

    DeadlineInput(Source source) {
        this.source = source;
    }

    /** Until then whatever is read must have come. */
    public void deadlineIn(long millis) {
        deadlineNanos = System.nanoTime() + millis * 1_000_000;
    }

    /** How many bytes can be read without waiting. */
    public int buffered() {
        return end - at;
    }

    /** @param index less than {@link #buffered} */
    int peek(int index) {
        return buffer[at + index] & 0xff;
    }

    /** Waits for the first byte of what comes next. @return false if nothing comes any more */
    public boolean await() throws IOException {
        return at < end || fill();
    }

    public int read() throws IOException {
        if (at == end && !fill()) {
            throw new EOFException("the peer ended within a message");
        }
        return buffer[at++] & 0xff;
    }

    /** @return at least 1 byte, -1 at the end */
    public int read(byte[] into, int offset, int length) throws IOException {
        if (at == end) {
            if (length >= buffer.length) {
                return receive(into, offset, length);
            }
            if (!fill()) {
                return -1;
            }
        }
        int count = Math.min(length, end - at);
        System.arraycopy(buffer, at, into, offset, count);
        at += count;
        return count;
    }

    /** Reads to the first empty line (CR LF), which is left out. @return null if that does not come within the buffer's size */
    byte @org.jspecify.annotations.Nullable [] readHead() throws IOException {
        System.arraycopy(buffer, at, buffer, 0, end - at);
        end -= at;
        at = 0;
        int looked = 0;
        while (true) {
            for (; looked + 3 < end; looked++) {
                if (buffer[looked] == '\r'
                        && buffer[looked + 1] == '\n'
                        && buffer[looked + 2] == '\r'
                        && buffer[looked + 3] == '\n') {
                    byte[] head = Arrays.copyOf(buffer, looked + 2);
                    at = looked + 4;
                    return head;
                }
            }
            if (end == buffer.length) {
                return null;
            }
            int count = receive(buffer, end, buffer.length - end);
            if (count < 0) {
                throw new EOFException("the peer ended within a request");
            }
            end += count;
        }
    }

    /** Takes all that comes and forgets it, until nothing comes any more or it is time. */
    public void drain() {
        try {
            do {
                at = end;
            } while (fill());
        } catch (IOException e) {
            // What was to come is of no use to anybody.
            end = at;
        }
    }

    private boolean fill() throws IOException {
        int count = receive(buffer, 0, buffer.length);
        at = 0;
        end = Math.max(count, 0);
        return count > 0;
    }

    private int receive(byte[] into, int offset, int length) throws IOException {
        long millis = (deadlineNanos - System.nanoTime()) / 1_000_000;
        if (millis <= 0) {
            throw new SocketTimeoutException("nothing came in time");
        }
        return source.read(into, offset, length, (int) Math.min(millis, Integer.MAX_VALUE));
    }
}
