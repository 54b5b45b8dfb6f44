package dev.satchel.display.web;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Random;

/** What a browser sends, byte by byte: also what none would. */
final class RawBrowser implements AutoCloseable {
    static final byte[] HELLO = {1, 1, 0, (byte) 128, 2, (byte) 224, 1, 1};

    final Socket socket;
    final DataInputStream in;
    final OutputStream out;

    RawBrowser(int port) throws IOException {
        this(port, "127.0.0.1");
    }

    /** @param from an address of loopback */
    RawBrowser(int port, String from) throws IOException {
        socket = new Socket(InetAddress.getLoopbackAddress(), port, InetAddress.ofLiteral(from), 0);
        socket.setSoTimeout(20_000);
        in = new DataInputStream(new java.io.BufferedInputStream(socket.getInputStream()));
        out = socket.getOutputStream();
    }

    /** Sends a request and reads its answer, head and body. */
    String request(String text) throws IOException {
        out.write(text.getBytes(StandardCharsets.ISO_8859_1));
        return answer();
    }

    String answer() throws IOException {
        StringBuilder head = new StringBuilder();
        while (head.indexOf("\r\n\r\n") < 0) {
            int b = in.read();
            if (b < 0) {
                return head.isEmpty() ? "closed" : head.toString();
            }
            head.append((char) b);
        }
        int at = head.indexOf("Content-Length: ");
        if (at >= 0) {
            int length = Integer.parseInt(head.substring(at + 16, head.indexOf("\r", at)));
            head.append(new String(in.readNBytes(length), StandardCharsets.ISO_8859_1));
        }
        return head.toString();
    }

    /** Opens the stream, with the secret. */
    static RawBrowser open(ViewerServer server, boolean control) throws IOException {
        return open(server, control, server.port());
    }

    /** The same at another port, which leads there. */
    static RawBrowser open(ViewerServer server, boolean control, int port) throws IOException {
        RawBrowser browser = new RawBrowser(port);
        String answer = browser.request("GET /stream HTTP/1.1\r\nHost: 127.0.0.1:" + server.port()
                + "\r\nAuthorization: Bearer " + server.secret(control)
                + "\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: satchel.1\r\n\r\n");
        if (!answer.startsWith("HTTP/1.1 101 ")) {
            browser.close();
            throw new IOException(answer);
        }
        // The example of RFC 6455 §1.3.
        if (!answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")) {
            throw new IOException(answer);
        }
        return browser;
    }

    static RawBrowser viewer(ViewerServer server, boolean control) throws IOException {
        RawBrowser browser = open(server, control);
        browser.send(HELLO);
        return browser;
    }

    static byte[] frame(int first, byte[] payload) {
        ByteArrayOutputStream frame = new ByteArrayOutputStream();
        frame.write(first);
        if (payload.length <= 125) {
            frame.write(0x80 | payload.length);
        } else if (payload.length <= 0xffff) {
            frame.write(0x80 | 126);
            frame.write(payload.length >> 8);
            frame.write(payload.length);
        } else {
            frame.write(0x80 | 127);
            for (int i = 7; i >= 0; i--) {
                frame.write((int) ((long) payload.length >> (8 * i)));
            }
        }
        byte[] mask = new byte[4];
        new Random(payload.length).nextBytes(mask);
        frame.writeBytes(mask);
        for (int i = 0; i < payload.length; i++) {
            frame.write(payload[i] ^ mask[i & 3]);
        }
        return frame.toByteArray();
    }

    void send(byte[] message) throws IOException {
        out.write(frame(0x82, message));
    }

    void ack(long serial) throws IOException {
        send(new byte[] {2, (byte) serial, (byte) (serial >> 8), (byte) (serial >> 16), (byte) (serial >> 24)});
    }

    /** The next frame, its first byte in front of its payload; the server's are short or of 16 or 64 bits. */
    byte[] frame() throws IOException {
        int first = in.read();
        if (first < 0) {
            throw new EOFException("closed");
        }
        long length = in.read();
        if (length == 126) {
            length = in.readUnsignedShort();
        } else if (length == 127) {
            length = in.readLong();
        }
        byte[] frame = new byte[(int) length + 1];
        frame[0] = (byte) first;
        in.readFully(frame, 1, (int) length);
        return frame;
    }

    /** The next message of that type, others left out. */
    byte[] message(int type) throws IOException {
        while (true) {
            byte[] frame = frame();
            if (frame[0] == (byte) 0x82 && frame[1] == type) {
                return java.util.Arrays.copyOfRange(frame, 1, frame.length);
            }
            if (frame[0] == (byte) 0x88) {
                throw new EOFException("closed with " + (((frame[1] & 0xff) << 8) | (frame[2] & 0xff)));
            }
        }
    }

    /** What the server closes with, after whatever comes before. */
    int closeCode() throws IOException {
        while (true) {
            byte[] frame = frame();
            if (frame[0] == (byte) 0x88) {
                return (frame[1] & 0xff) << 8 | (frame[2] & 0xff);
            }
        }
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
