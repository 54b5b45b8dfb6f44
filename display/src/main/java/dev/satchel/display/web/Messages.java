package dev.satchel.display.web;

import dev.satchel.display.CursorImage;
import dev.satchel.display.Rectangle;
import dev.satchel.display.Viewer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** The server's messages, and the numbers of all, as docs/PROTOCOL.md has them. */
@SuppressWarnings("ByteBufferBackingArray") // each is allocated here, as long as its message
final class Messages {
    static final int VERSION = 1;

    static final int CLIENT_HELLO = 1;
    static final int CLIENT_ACK = 2;
    static final int CLIENT_POINTER = 3;
    static final int CLIENT_KEY = 4;
    static final int CLIENT_CLIPBOARD = 5;
    static final int CLIENT_RESIZE = 6;
    static final int CLIENT_PING = 7;
    static final int CLIENT_REFRESH = 8;
    static final int CLIENT_CONTROL = 9;

    static final int HELLO = 1;
    static final int UPDATE = 2;
    static final int CURSOR = 3;
    static final int SIZE = 4;
    static final int CLIPBOARD = 5;
    static final int STATE = 6;
    static final int PONG = 7;
    static final int BELL = 8;
    static final int POINTER = 9;
    static final int CONTROL = 10;
    static final int CLIPBOARD_THERE = 11;

    /** Bits of what a viewer wants. */
    static final int WANTS_VIDEO = 1;

    static final int WANTS_POINTER = 2;

    /** That VIDEO may be VP8. */
    static final int WANTS_FILMS = 4;

    /** Of what names a page in CLIENT_HELLO. */
    static final int PAGE_BYTES = 16;

    static final int CLIPBOARD_BYTES_MAX = 1 << 20;
    static final int PING_BYTES_MAX = 16;

    private Messages() {}

    private static ByteBuffer message(int type, int length) {
        return ByteBuffer.allocate(1 + length).order(ByteOrder.LITTLE_ENDIAN).put((byte) type);
    }

    static byte[] hello(Rectangle bounds, Rectangle maximum, boolean control, String session) {
        byte[] name = session.getBytes(StandardCharsets.UTF_8);
        ByteBuffer message = message(HELLO, 11 + name.length).putShort((short) VERSION);
        putSize(message, bounds);
        putSize(message, maximum);
        return message.put((byte) (control ? 1 : 0)).put(name).array();
    }

    private static void putSize(ByteBuffer message, Rectangle size) {
        message.putShort((short) size.width()).putShort((short) size.height());
    }

    static byte[] control(Viewer.Controls controls) {
        byte who = switch (controls) {
            case ALL -> 0;
            case THIS_ALONE -> 1;
            case ANOTHER_ALONE -> 2;
        };
        return new byte[] {CONTROL, who};
    }

    /** Commands follow. */
    static byte[] update(long serial) {
        return message(UPDATE, 4).putInt((int) serial).array();
    }

    static byte[] cursor(CursorImage cursor) {
        ByteBuffer message = message(CURSOR, 8 + 4 * cursor.pixels().length);
        message.putShort((short) cursor.width()).putShort((short) cursor.height());
        message.putShort((short) cursor.hotX()).putShort((short) cursor.hotY());
        for (int pixel : cursor.pixels()) {
            // Red, green, blue, alpha, as it lies in a browser's ImageData.
            message.putInt((pixel & 0xff00ff00) | (pixel >> 16 & 0xff) | (pixel & 0xff) << 16);
        }
        return message.array();
    }

    static byte[] pointer(Viewer.Position pointer) {
        return message(POINTER, 4)
                .putShort((short) pointer.x())
                .putShort((short) pointer.y())
                .array();
    }

    static byte[] size(Rectangle size) {
        ByteBuffer message = message(SIZE, 4);
        putSize(message, size);
        return message.array();
    }

    static byte[] text(int type, byte[] text) {
        return message(type, text.length).put(text).array();
    }

    static byte[] state(int state, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        return message(STATE, 1 + bytes.length).put((byte) state).put(bytes).array();
    }

    static byte[] pong(byte[] what, int offset, int length) {
        return message(PONG, length).put(what, offset, length).array();
    }
}
