package dev.satchel.display.web;

import dev.satchel.display.web.WebSocketInput.Violation;
import java.io.IOException;
import java.io.OutputStream;
import java.net.Socket;
import java.util.Objects;

/**
 * Bytes both ways over a WebSocket whose messages' borders mean nothing, as VNC clients in browsers speak; of somebody who is let in
 * already. One thread may read while another writes.
 */
public final class WebSocketBytes {
    /** As long as there is no other bound: what is waited for has a deadline of its own. */
    private static final int SILENCE_MILLIS_MAX = Integer.MAX_VALUE;

    private final Socket raw;
    private final boolean control;
    private final WebSocketInput frames;
    private final DeadlineInput input = new DeadlineInput(this::receive);
    /** How much of the message that came last was read. */
    private int at;

    private int end;

    private final OutputStream output = new Output();

    /** Also the lock for itself: who reads answers pings. */
    private final WebSocketOutput out;

    /** @param raw below TLS if there is that: closing it never waits */
    WebSocketBytes(Socket raw, DeadlineInput in, OutputStream out, boolean control) {
        this.raw = raw;
        this.control = control;
        this.frames = new WebSocketInput(in, SILENCE_MILLIS_MAX);
        this.out = new WebSocketOutput(out);
    }

    /** Whether who comes may do everything; otherwise only look. */
    public boolean control() {
        return control;
    }

    /** Closing it ends both directions at once. */
    public Socket socket() {
        return raw;
    }

    public DeadlineInput input() {
        return input;
    }

    /** Sends what is written at once, as a message. */
    public OutputStream output() {
        return output;
    }

    private int receive(byte[] into, int offset, int length, int millisMax) throws IOException {
        while (at == end) {
            int kind;
            try {
                kind = frames.nextWithin(millisMax);
            } catch (Violation e) {
                tellClosed(e.code);
                throw e;
            }
            switch (kind) {
                case WebSocketInput.BINARY -> {
                    at = 0;
                    end = frames.length();
                }
                case WebSocketInput.PING -> {
                    synchronized (out) {
                        out.control(WebSocketOutput.PONG, frames.control());
                    }
                }
                case WebSocketInput.CLOSE -> {
                    tellClosed(1000);
                    return -1;
                }
                default -> {
                    // Nothing was asked that a pong would answer.
                }
            }
        }
        int count = Math.min(length, end - at);
        System.arraycopy(frames.message(), at, into, offset, count);
        at += count;
        return count;
    }

    private void tellClosed(int code) throws IOException {
        byte[] payload = {(byte) (code >> 8), (byte) code};
        synchronized (out) {
            out.control(WebSocketOutput.CLOSE, payload);
        }
    }

    private final class Output extends OutputStream {
        @Override
        public void write(int b) throws IOException {
            write(new byte[] {(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            Objects.checkFromIndexSize(offset, length, bytes.length);
            synchronized (out) {
                out.message(bytes, offset, length);
            }
        }
    }
}
