package dev.satchel.display.x11;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Text in the CLIPBOARD selection, both ways (ICCCM §2). What programs offer is asked for only when it is wanted; what is offered to them is
 * given to each that asks, in parts if it is long (§2.7.2, INCR). Events come on the connection's thread; {@link #fetch} waits on another.
 */
final class Clipboard {
    private static final int PROPERTY_CHANGE = 1 << 22;
    private static final int PART_BYTES = 128 << 10;
    private static final int TRANSFERS_MAX = 32;
    private static final long ANSWER_MILLIS_MAX = 1000;
    private static final int ATOM = 4;
    private static final int INTEGER = 19;
    private static final int STRING = 31;

    private final X11Connection connection;
    private final int window;
    private final int clipboard;
    private final int targets;
    private final int timestamp;
    private final int utf8;
    private final int text;
    private final int plain;
    private final int plainUtf8;
    private final int incr;
    private final int property;

    // All guarded by this.
    private byte @Nullable [] offered;
    private boolean answered;
    private int answeredProperty;
    private boolean changed;
    private final Map<Long, Transfer> transfers = new HashMap<>();

    /** What goes to a program in parts, each when it has taken the one before. */
    private static final class Transfer {
        final int target;
        final byte[] bytes;
        int sent;

        Transfer(int target, byte[] bytes) {
            this.target = target;
            this.bytes = bytes;
        }
    }

    Clipboard(X11Connection connection, int fixesOpcode) throws IOException {
        this.connection = connection;
        clipboard = connection.atom("CLIPBOARD");
        targets = connection.atom("TARGETS");
        timestamp = connection.atom("TIMESTAMP");
        utf8 = connection.atom("UTF8_STRING");
        text = connection.atom("TEXT");
        plain = connection.atom("text/plain");
        plainUtf8 = connection.atom("text/plain;charset=utf-8");
        incr = connection.atom("INCR");
        property = connection.atom("SATCHEL");
        window = connection.newId();
        // CreateWindow: InputOnly, never shown.
        connection.send(new Request(1, 0)
                .u32(window)
                .u32(connection.rootWindow())
                .u16(0)
                .u16(0)
                .u16(1)
                .u16(1)
                .u16(0)
                .u16(2)
                .u32(0)
                .u32(1 << 11)
                .u32(PROPERTY_CHANGE));
        // XFixesSelectSelectionInput: a new owner.
        connection.send(new Request(fixesOpcode, 2).u32(window).u32(clipboard).u32(1));
    }

    /** XFixesSelectionNotify: whether the session's programs offer something else. */
    boolean isForeign(ByteBuffer event) {
        return event.getInt(12) == clipboard && event.getInt(8) != window && event.getInt(8) != 0;
    }

    synchronized void offer(String newText) throws IOException {
        offered = newText.getBytes(StandardCharsets.UTF_8);
        // SetSelectionOwner, CurrentTime.
        connection.send(new Request(22, 0).u32(window).u32(clipboard).u32(0));
    }

    /** See {@link dev.satchel.display.Screen#clipboard}. */
    String fetch(int bytesMax) throws IOException {
        synchronized (this) {
            answered = false;
            changed = false;
        }
        // ConvertSelection.
        connection.send(new Request(24, 0)
                .u32(window)
                .u32(clipboard)
                .u32(utf8)
                .u32(property)
                .u32(0));
        if (!await(() -> answered) || answeredProperty == 0) {
            return "";
        }
        ByteBuffer value = take(bytesMax);
        if (value.getInt(8) != incr) {
            return value.getInt(8) == utf8 && value.getInt(12) == 0 ? decode(bytes(value)) : "";
        }
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        while (true) {
            if (!await(() -> changed)) {
                return "";
            }
            synchronized (this) {
                changed = false;
            }
            ByteBuffer part = take(bytesMax);
            byte[] bytes = bytes(part);
            if (bytes.length == 0) {
                return decode(all.toByteArray());
            }
            if (part.getInt(12) != 0 || all.size() + bytes.length > bytesMax) {
                return "";
            }
            all.writeBytes(bytes);
        }
    }

    private interface Condition {
        boolean holds();
    }

    private synchronized boolean await(Condition condition) throws IOException {
        long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(ANSWER_MILLIS_MAX);
        while (!condition.holds()) {
            long millis = (deadline - System.nanoTime()) / 1_000_000;
            if (millis <= 0) {
                return false;
            }
            try {
                wait(millis);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException("interrupted", e);
            }
        }
        return true;
    }

    /** GetProperty, and delete it: at 8 its type, at 12 the bytes that were left, at 16 its length in units of the format at 1. */
    private ByteBuffer take(int bytesMax) throws IOException {
        return connection.ask(
                new Request(20, 1).u32(window).u32(property).u32(0).u32(0).u32(Math.min(bytesMax, 2 << 20) / 4 + 1));
    }

    private static byte[] bytes(ByteBuffer value) throws IOException {
        int length = value.getInt(16);
        if ((value.get(1) & 0xff) != 8) {
            return new byte[0];
        }
        if (length < 0 || length > value.capacity() - 32) {
            throw new IOException("the X server sent too short a property");
        }
        byte[] bytes = new byte[length];
        value.get(32, bytes);
        return bytes;
    }

    private static String decode(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }

    /** SelectionNotify. */
    synchronized void answered(ByteBuffer event) {
        if (event.getInt(8) == window && event.getInt(12) == clipboard) {
            answered = true;
            answeredProperty = event.getInt(20);
            notifyAll();
        }
    }

    /** PropertyNotify: of our own window a new part, of another's that a part was taken. */
    synchronized void propertyChanged(ByteBuffer event) throws IOException {
        int of = event.getInt(4);
        boolean deleted = event.get(16) == 1;
        if (of == window) {
            if (event.getInt(8) == property && !deleted) {
                changed = true;
                notifyAll();
            }
            return;
        }
        long key = key(of, event.getInt(8));
        Transfer transfer = transfers.get(key);
        if (deleted && transfer != null) {
            int length = Math.min(PART_BYTES, transfer.bytes.length - transfer.sent);
            change(of, event.getInt(8), transfer.target, 8, transfer.bytes, transfer.sent, length);
            transfer.sent += length;
            if (length == 0) {
                transfers.remove(key);
            }
        }
    }

    private static long key(int window, int property) {
        return (long) window << 32 | (property & 0xffffffffL);
    }

    /** SelectionRequest: a program wants what is offered. */
    synchronized void requested(ByteBuffer event) throws IOException {
        int time = event.getInt(4);
        int requestor = event.getInt(12);
        int selection = event.getInt(16);
        int target = event.getInt(20);
        int into = event.getInt(24);
        if (into == 0) {
            into = target; // of clients older than ICCCM
        }
        byte[] bytes = offered;
        boolean given = selection == clipboard && bytes != null && give(requestor, into, target, bytes);
        // SendEvent, SelectionNotify.
        connection.send(new Request(25, 0)
                .u32(requestor)
                .u32(0)
                .u8(31)
                .u8(0)
                .u16(0)
                .u32(time)
                .u32(requestor)
                .u32(selection)
                .u32(target)
                .u32(given ? into : 0)
                .u32(0)
                .u32(0));
    }

    private boolean give(int requestor, int into, int target, byte[] bytes) throws IOException {
        if (target == targets) {
            int[] all = {targets, timestamp, utf8, text, plainUtf8, plain, STRING};
            Request request = new Request(18, 0)
                    .u32(requestor)
                    .u32(into)
                    .u32(ATOM)
                    .u32(32)
                    .u32(all.length);
            for (int atom : all) {
                request.u32(atom);
            }
            connection.send(request);
            return true;
        }
        if (target == timestamp) {
            connection.send(new Request(18, 0)
                    .u32(requestor)
                    .u32(into)
                    .u32(INTEGER)
                    .u32(32)
                    .u32(1)
                    .u32(0));
            return true;
        }
        if (target != utf8 && target != text && target != plain && target != plainUtf8 && target != STRING) {
            return false;
        }
        int type = target == text ? utf8 : target;
        byte[] coded = target == STRING ? decode(bytes).getBytes(StandardCharsets.ISO_8859_1) : bytes;
        if (coded.length <= PART_BYTES) {
            change(requestor, into, type, 8, coded, 0, coded.length);
            return true;
        }
        if (transfers.size() == TRANSFERS_MAX) {
            transfers.clear(); // of programs that never took theirs
        }
        transfers.put(key(requestor, into), new Transfer(type, coded));
        // ChangeWindowAttributes: to hear when a part was taken.
        connection.send(new Request(2, 0).u32(requestor).u32(1 << 11).u32(PROPERTY_CHANGE));
        connection.send(new Request(18, 0)
                .u32(requestor)
                .u32(into)
                .u32(incr)
                .u32(32)
                .u32(1)
                .u32(coded.length));
        return true;
    }

    /** ChangeProperty, replace. */
    private void change(int of, int name, int type, int format, byte[] bytes, int offset, int length)
            throws IOException {
        connection.send(new Request(18, 0)
                .u32(of)
                .u32(name)
                .u32(type)
                .u32(format)
                .u32(length)
                .bytes(bytes, offset, length));
    }
}
