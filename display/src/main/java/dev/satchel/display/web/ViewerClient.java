package dev.satchel.display.web;

import dev.satchel.display.CursorImage;
import dev.satchel.linux.crypto.SecureRandom;
import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * A viewer that is a program, of a session on this host: the other end of a {@link ViewerServer}'s stream, as docs/PROTOCOL.md has it. It
 * looks, and does nothing. One thread runs it; any may close it.
 */
public final class ViewerClient implements AutoCloseable {
    /** What is shown, called by the thread that runs; what it throws ends the connection. */
    public interface Handler {
        /** The screen is of this size from now on, its content unknown; 0 and 0: there is none just now. */
        void size(int width, int height) throws IOException;

        /** Commands, in {@code bytes} from {@code from} to {@code to}, until this returns: then they count as drawn. */
        void update(byte[] bytes, int from, int to) throws IOException;

        void cursor(CursorImage cursor) throws IOException;

        /** Where the pointer is now. */
        void pointer(int x, int y) throws IOException;

        /** One of {@link ViewerServer}'s states. */
        void state(int state) throws IOException;
    }

    private static final int CONNECT_MILLIS_MAX = 10_000;
    /** Servers close what says nothing for a minute. */
    private static final int SILENCE_MILLIS = 20_000;

    private static final int MESSAGE_BYTES_MAX = 64 << 20;
    private static final int HEAD_BYTES_MAX = 16 << 10;
    private static final int BINARY = 2;
    private static final int CLOSE = 8;
    private static final int PING = 9;
    private static final int PONG = 10;

    private final Socket socket;
    private final DataInputStream in;
    private final OutputStream out;
    private byte[] message = new byte[64 << 10];

    private ViewerClient(Socket socket) throws IOException {
        this.socket = socket;
        in = new DataInputStream(new BufferedInputStream(socket.getInputStream(), 64 << 10));
        out = socket.getOutputStream();
    }

    /** @param link {@code http://127.0.0.1:PORT/?k=SECRET} */
    public static ViewerClient connect(URI link) throws IOException {
        String query = link.getQuery();
        if (!"http".equals(link.getScheme()) || query == null || !query.startsWith("k=")) {
            throw new IOException("'" + link + "' is no link to a session on this host");
        }
        Socket socket = new Socket();
        boolean connected = false;
        try {
            socket.connect(new InetSocketAddress(link.getHost(), link.getPort()), CONNECT_MILLIS_MAX);
            socket.setTcpNoDelay(true);
            socket.setSoTimeout(SILENCE_MILLIS);
            ViewerClient client = new ViewerClient(socket);
            client.begin(link.getAuthority(), query.substring(2));
            connected = true;
            return client;
        } finally {
            if (!connected) {
                socket.close();
            }
        }
    }

    private void begin(String host, String secret) throws IOException {
        out.write(("GET /stream HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer " + secret
                        + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        // A program that was given the link knows whom it speaks to: the key, which proves that it is
                        // a WebSocket, may be that of RFC 6455's example.
                        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: satchel.1\r\n\r\n")
                .getBytes(StandardCharsets.ISO_8859_1));
        StringBuilder head = new StringBuilder();
        while (head.length() < 4 || head.indexOf("\r\n\r\n", head.length() - 4) < 0) {
            int read = in.read();
            if (read < 0 || head.length() == HEAD_BYTES_MAX) {
                throw new IOException("the session does not answer as a viewer's server does");
            }
            head.append((char) read);
        }
        if (head.indexOf("HTTP/1.1 101 ") != 0) {
            throw new IOException("the session lets no viewer in: " + head.substring(0, head.indexOf("\r\n")));
        }
        send(ByteBuffer.allocate(8)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put((byte) Messages.CLIENT_HELLO)
                .putShort((short) Messages.VERSION)
                .putInt(0)
                .put((byte) (Messages.WANTS_VIDEO | Messages.WANTS_POINTER)));
    }

    /** Tells what comes, until the server ends it. */
    public void run(Handler handler) throws IOException {
        while (true) {
            int first;
            try {
                first = in.read();
            } catch (SocketTimeoutException e) {
                send(ByteBuffer.allocate(1).put((byte) Messages.CLIENT_PING));
                continue;
            }
            if (first < 0) {
                throw new EOFException("the session's viewer server went away");
            }
            int length = readFrame();
            switch (first & 0x7f) {
                case BINARY -> handle(handler, length);
                case CLOSE -> {
                    return;
                }
                case PING, PONG -> {} // servers see by other things whether a viewer is there
                default -> throw new IOException("the session sent a frame that is not understood");
            }
        }
    }

    /** @return how much of {@link #message} */
    private int readFrame() throws IOException {
        long length = in.readUnsignedByte();
        if (length == 126) {
            length = in.readUnsignedShort();
        } else if (length == 127) {
            length = in.readLong();
        }
        if (length < 0 || length > MESSAGE_BYTES_MAX) {
            throw new IOException("the session sent a message of " + length + " bytes");
        }
        if (message.length < length) {
            message = new byte[(int) Math.max(length, 2L * message.length)];
        }
        in.readFully(message, 0, (int) length);
        return (int) length;
    }

    private void handle(Handler handler, int length) throws IOException {
        ByteBuffer body = ByteBuffer.wrap(message, 0, length).order(ByteOrder.LITTLE_ENDIAN);
        int type = length == 0 ? 0 : body.get();
        switch (type) {
            case Messages.HELLO -> {
                require(length >= 12 && body.getShort() == Messages.VERSION);
                handler.size(u16(body), u16(body));
            }
            case Messages.SIZE -> {
                require(length == 5);
                handler.size(u16(body), u16(body));
            }
            case Messages.UPDATE -> {
                require(length >= 5);
                int serial = body.getInt();
                handler.update(message, 5, length);
                send(ByteBuffer.allocate(5)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .put((byte) Messages.CLIENT_ACK)
                        .putInt(serial));
            }
            case Messages.CURSOR -> {
                require(length >= 9);
                handler.cursor(cursor(body));
            }
            case Messages.POINTER -> {
                require(length == 5);
                handler.pointer(u16(body), u16(body));
            }
            case Messages.STATE -> {
                require(length >= 2);
                handler.state(body.get());
            }
            default -> {} // nothing that is to be seen
        }
    }

    private static CursorImage cursor(ByteBuffer body) throws IOException {
        int width = u16(body);
        int height = u16(body);
        int hotX = u16(body);
        int hotY = u16(body);
        require(body.remaining() == 4L * width * height);
        int[] pixels = new int[width * height];
        for (int i = 0; i < pixels.length; i++) {
            int pixel = body.getInt();
            pixels[i] = (pixel & 0xff00ff00) | (pixel >> 16 & 0xff) | (pixel & 0xff) << 16;
        }
        return new CursorImage(width, height, hotX, hotY, pixels);
    }

    private static int u16(ByteBuffer from) {
        return from.getShort() & 0xffff;
    }

    private static void require(boolean wellFormed) throws IOException {
        if (!wellFormed) {
            throw new IOException("the session sent a message that is not understood");
        }
    }

    /** A short message in a frame (RFC 6455 §5.2 and 5.3). */
    private void send(ByteBuffer body) throws IOException {
        byte[] frame = new byte[6 + body.position()];
        frame[0] = (byte) (0x80 | BINARY);
        frame[1] = (byte) (0x80 | body.position());
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment mask = arena.allocate(4);
            SecureRandom.fill(mask);
            for (int i = 0; i < 4; i++) {
                frame[2 + i] = mask.get(ValueLayout.JAVA_BYTE, i);
            }
        }
        for (int i = 0; i < body.position(); i++) {
            frame[6 + i] = (byte) (body.get(i) ^ frame[2 + (i & 3)]);
        }
        out.write(frame);
    }

    @Override
    public void close() {
        ViewerServer.closeQuietly(socket);
    }
}
