package dev.satchel.display.x11;

import dev.satchel.display.Screen;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Text in the CLIPBOARD selection, both ways (Inter-Client Communication Conventions Manual, §2). What programs offer is asked for only
 * when it is wanted; what is offered to them is given to each that asks, in parts if it is long (§2.7.2, INCR). Events come on the
 * connection's thread; {@link #fetch} waits on another. Neither a program that never answers nor one that never takes its parts holds up
 * anything else.
 *
 * <p>As clipboard managers do, this goes on offering what it was given, or saw a program offer, when that program or this connection is gone. To
 * outlive the latter the text is kept in a property of the root window, and so wherever the X server goes.
 */
final class Clipboard {
    /** What is offered, in bytes of UTF-8. */
    static final int OFFER_BYTES_MAX = 16 << 20;

    private static final int STRUCTURE_NOTIFY = 1 << 17;
    private static final int PROPERTY_CHANGE = 1 << 22;
    private static final int PART_BYTES = 128 << 10;
    /** Of longer ones nothing is kept. */
    private static final int KEPT_BYTES_MAX = 1 << 20;

    private static final int TRANSFERS_MAX = 32;
    private static final long ANSWER_MILLIS_MAX = 1000;
    private static final long FETCH_MILLIS_MAX = 5000;
    /** No property type: a {@link #skip skipped} part was the last. */
    private static final int NOTHING_LEFT = -1;

    private static final int ATOM = 4;
    private static final int INTEGER = 19;
    /** ChangeProperty. */
    private static final int REPLACE = 0;

    private static final int APPEND = 2;
    /** SelectionNotify of XFIXES: a program has taken the selection, or has given it up. The others: its window or connection is gone. */
    private static final int OWNER_SET = 0;

    private static final int STRING = 31;
    /** A late answer must not be taken for that to a later question. */
    private static final int PROPERTIES = 4;

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
    private final int keptProperty;
    private final int[] properties = new int[PROPERTIES];

    /** One fetch at a time. */
    private final ReentrantLock fetching = new ReentrantLock();

    private int fetches;

    // All guarded by this.
    private @Nullable Offer offer;
    /** What the owner offers, whoever that is; empty if that is not known, too long, or no text. */
    private String kept = "";

    private long owners;
    private int ownedSince;
    private int property;
    private boolean answered;
    private int answer;
    private long changes;
    private final LinkedHashMap<Long, Transfer> transfers = new LinkedHashMap<>();

    /** A text, in the two forms that programs ask for. */
    private static final class Offer {
        final String text;
        final byte[] utf8;
        private byte @Nullable [] latin1;

        Offer(String text, byte[] utf8) {
            this.text = text;
            this.utf8 = utf8;
        }

        byte[] latin1() {
            byte[] made = latin1;
            if (made == null) {
                made = text.getBytes(StandardCharsets.ISO_8859_1);
                latin1 = made;
            }
            return made;
        }
    }

    /** What goes to a program in parts, each when it has taken the one before. */
    private static final class Transfer {
        final Offer offer;
        final int type;
        final byte[] bytes;
        int sent;

        Transfer(Offer offer, int type, byte[] bytes) {
            this.offer = offer;
            this.type = type;
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
        keptProperty = connection.atom("SATCHEL_CLIPBOARD");
        for (int i = 0; i < PROPERTIES; i++) {
            properties[i] = connection.atom("SATCHEL_" + i);
        }
        window = connection.newId();
        // CreateWindow: InputOnly, never shown.
        connection.send(
                new Request(1, 0)
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
                        .u32(PROPERTY_CHANGE),
                // SelectSelectionInput of XFIXES: a new owner, its window or connection gone.
                new Request(fixesOpcode, 2).u32(window).u32(clipboard).u32(7));
    }

    /** Offers what was kept, if nobody offers anything: of a program or a supervisor that has gone. */
    void restore() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        int type = take(connection.rootWindow(), keptProperty, false, KEPT_BYTES_MAX, bytes);
        if (type != utf8 || bytes.size() == 0 || bytes.size() > KEPT_BYTES_MAX) {
            return;
        }
        connection.send(new Request(36, 0)); // GrabServer: so that it is taken from nobody
        try {
            if (connection.ask(new Request(23, 0).u32(clipboard)).getInt(8) == 0) { // GetSelectionOwner
                synchronized (this) {
                    kept = bytes.toString(StandardCharsets.UTF_8);
                    own(new Offer(kept, bytes.toByteArray()), 0);
                }
            } else {
                delete(connection.rootWindow(), keptProperty);
            }
        } finally {
            connection.send(new Request(37, 0)); // UngrabServer
        }
    }

    /** SelectionNotify of XFIXES. @return whether the session's programs offer something else now */
    synchronized boolean ownerChanged(ByteBuffer event) throws IOException {
        if (event.getInt(12) != clipboard) {
            return false;
        }
        int owner = event.getInt(8);
        if (owner == window) {
            ownedSince = event.getInt(20);
            return false;
        }
        offer = null;
        owners++;
        if (owner == 0 && event.get(1) != OWNER_SET) {
            if (!kept.isEmpty()) {
                own(new Offer(kept, kept.getBytes(StandardCharsets.UTF_8)), event.getInt(16));
            }
            return false;
        }
        keep("", new byte[0]);
        return true;
    }

    /** @throws IOException if it is too long */
    void offer(String newText) throws IOException {
        byte[] bytes = newText.length() > OFFER_BYTES_MAX ? null : newText.getBytes(StandardCharsets.UTF_8);
        if (bytes == null || bytes.length > OFFER_BYTES_MAX) {
            throw new IOException("a clipboard takes text of " + (OFFER_BYTES_MAX >> 20) + " MiB at most");
        }
        synchronized (this) {
            if (!newText.isEmpty() && newText.equals(kept)) {
                return; // a program that offers it may have it in other forms, too
            }
            Offer before = offer;
            // What was before that is not kept for those who have not taken it by now.
            transfers.values().removeIf(transfer -> transfer.offer != before);
            keep(newText, bytes);
            own(new Offer(newText, bytes), 0);
        }
    }

    /** Whether programs have text from here. */
    synchronized boolean offers() {
        return offer != null;
    }

    /** @param time of the server; one at which somebody else has taken it since has no effect; 0: now */
    private synchronized void own(Offer made, int time) throws IOException {
        offer = made;
        // SetSelectionOwner.
        connection.send(new Request(22, 0).u32(window).u32(clipboard).u32(time));
    }

    private synchronized void keep(String newText, byte[] bytes) throws IOException {
        if (bytes.length == 0 || bytes.length > KEPT_BYTES_MAX) {
            kept = "";
            delete(connection.rootWindow(), keptProperty);
            return;
        }
        kept = newText;
        for (int offset = 0; offset < bytes.length; offset += PART_BYTES) {
            int length = Math.min(PART_BYTES, bytes.length - offset);
            connection.send(change(
                    offset == 0 ? REPLACE : APPEND,
                    connection.rootWindow(),
                    keptProperty,
                    utf8,
                    bytes,
                    offset,
                    length));
        }
    }

    /** See {@link dev.satchel.display.Screen#clipboard}. */
    String fetch(int bytesMax) throws IOException {
        synchronized (this) {
            if (offer != null) {
                return offered(offer, bytesMax);
            }
        }
        try {
            if (!fetching.tryLock(FETCH_MILLIS_MAX, TimeUnit.MILLISECONDS)) {
                return "";
            }
        } catch (InterruptedException e) {
            throw interrupted(e);
        }
        try {
            long ownersBefore;
            synchronized (this) {
                ownersBefore = owners;
            }
            long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(FETCH_MILLIS_MAX);
            byte[] bytes = convert(utf8, bytesMax, deadline);
            Charset charset = StandardCharsets.UTF_8;
            if (bytes == null) {
                bytes = convert(STRING, bytesMax, deadline);
                charset = StandardCharsets.ISO_8859_1;
            }
            String fetched = bytes == null ? "" : new String(bytes, charset);
            synchronized (this) {
                if (offer != null) {
                    return offered(offer, bytesMax); // meanwhile
                }
                if (owners == ownersBefore && !fetched.isEmpty() && !fetched.equals(kept)) {
                    keep(fetched, fetched.getBytes(StandardCharsets.UTF_8));
                }
            }
            return fetched;
        } finally {
            fetching.unlock();
        }
    }

    private static String offered(Offer offer, int bytesMax) throws Screen.TooLongException {
        if (offer.utf8.length > bytesMax) {
            throw new Screen.TooLongException(bytesMax);
        }
        return offer.text;
    }

    /** @return null if the owner refuses to give it so; nothing if it does not answer */
    private byte @Nullable [] convert(int target, int bytesMax, long deadline) throws IOException {
        int into = properties[fetches++ % PROPERTIES];
        synchronized (this) {
            property = into;
            answered = false;
        }
        // ConvertSelection, CurrentTime.
        connection.send(new Request(24, 0)
                .u32(window)
                .u32(clipboard)
                .u32(target)
                .u32(into)
                .u32(0));
        if (!await(() -> answered, deadline)) {
            return new byte[0];
        }
        synchronized (this) {
            if (answer == 0) {
                return null;
            }
        }
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        int type = take(window, into, true, bytesMax, all);
        if (type != incr) {
            if (all.size() > bytesMax) {
                delete(window, into);
                throw new Screen.TooLongException(bytesMax);
            }
            return type == target ? all.toByteArray() : new byte[0];
        }
        all.reset();
        while (true) {
            long seen;
            synchronized (this) {
                seen = changes;
            }
            // What is too long is had to its end all the same, unread: owners there are that serve nobody else before.
            boolean tooLong = all.size() > bytesMax;
            int before = all.size();
            type = tooLong ? skip(into) : take(window, into, true, bytesMax, all);
            if (!tooLong && all.size() > bytesMax) {
                delete(window, into);
            }
            if (type == NOTHING_LEFT || (!tooLong && type != 0 && all.size() == before)) {
                if (tooLong) {
                    throw new Screen.TooLongException(bytesMax);
                }
                return all.toByteArray(); // a part of no length is the end
            }
            if (type == 0 && !await(() -> changes != seen, deadline)) {
                if (tooLong) {
                    throw new Screen.TooLongException(bytesMax);
                }
                return new byte[0];
            }
        }
    }

    private void delete(int of, int name) throws IOException {
        // DeleteProperty.
        connection.send(new Request(19, 0).u32(of).u32(name));
    }

    /**
     * Has a part taken without reading it.
     *
     * @return its type, 0 if there is none, {@link #NOTHING_LEFT} if it has no length
     */
    private int skip(int name) throws IOException {
        // GetProperty of no bytes, which deletes it if it has none.
        ByteBuffer value = connection.ask(
                new Request(20, 1).u32(window).u32(name).u32(0).u32(0).u32(0));
        int type = value.getInt(8);
        if (type != 0 && value.getInt(12) == 0) {
            return NOTHING_LEFT;
        }
        if (type != 0) {
            delete(window, name);
        }
        return type;
    }

    private interface Condition {
        boolean holds();
    }

    private synchronized boolean await(Condition condition, long deadline) throws IOException {
        long until = Math.min(deadline, System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(ANSWER_MILLIS_MAX));
        while (!condition.holds()) {
            long millis = (until - System.nanoTime() + 999_999) / 1_000_000;
            if (millis <= 0) {
                return false;
            }
            try {
                wait(millis);
            } catch (InterruptedException e) {
                throw interrupted(e);
            }
        }
        return true;
    }

    private static IOException interrupted(InterruptedException e) {
        Thread.currentThread().interrupt();
        return (IOException) new InterruptedIOException("interrupted").initCause(e);
    }

    /**
     * GetProperty.
     *
     * @param delete what was given to the end
     * @param all takes its bytes, up to a part more than {@code bytesMax} in all
     * @return its type, 0 if there is none
     */
    private int take(int of, int name, boolean delete, int bytesMax, ByteArrayOutputStream all) throws IOException {
        int type = 0;
        int left = 1;
        for (int offset = 0; left != 0 && all.size() <= bytesMax; offset += PART_BYTES / 4) {
            ByteBuffer value = connection.ask(
                    PART_BYTES,
                    new Request(20, delete ? 1 : 0)
                            .u32(of)
                            .u32(name)
                            .u32(0)
                            .u32(offset)
                            .u32(PART_BYTES / 4));
            type = value.getInt(8);
            left = value.getInt(12);
            int units = value.getInt(16);
            if (type != 0 && value.get(1) == 8) {
                if (units < 0 || units > value.capacity() - 32) {
                    throw new IOException("the X server sent too short a property");
                }
                all.write(value.array(), value.arrayOffset() + 32, units);
                if (units < PART_BYTES) {
                    break;
                }
            } else {
                break;
            }
        }
        return type;
    }

    /** SelectionNotify. */
    synchronized void answered(ByteBuffer event) {
        int into = event.getInt(20);
        if (event.getInt(8) == window && event.getInt(12) == clipboard && (into == 0 || into == property)) {
            answered = true;
            answer = into;
            notifyAll();
        }
    }

    /** PropertyNotify: of our own window a new part, of another's that a part was taken. */
    synchronized void propertyChanged(ByteBuffer event) throws IOException {
        int of = event.getInt(4);
        int name = event.getInt(8);
        boolean deleted = event.get(16) == 1;
        if (of == window && name == property && !deleted) {
            changes++;
            notifyAll();
        }
        Transfer transfer = deleted ? transfers.get(key(of, name)) : null;
        if (transfer != null) {
            int length = Math.min(PART_BYTES, transfer.bytes.length - transfer.sent);
            connection.send(change(REPLACE, of, name, transfer.type, transfer.bytes, transfer.sent, length));
            transfer.sent += length;
            if (length == 0) {
                transfers.remove(key(of, name));
            }
        }
    }

    /** DestroyNotify: nobody is left to take what was for it. */
    synchronized void windowGone(ByteBuffer event) {
        int gone = event.getInt(8);
        transfers.keySet().removeIf(key -> (int) (key >> 32) == gone);
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
            into = target; // §2.2: of clients older than ICCCM
        }
        Offer given = selection == clipboard ? offer : null;
        boolean done = given != null && give(requestor, into, target, given);
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
                .u32(done ? into : 0)
                .u32(0)
                .u32(0));
    }

    private boolean give(int requestor, int into, int target, Offer given) throws IOException {
        if (target == targets) {
            change32(requestor, into, ATOM, targets, timestamp, utf8, text, plainUtf8, plain, STRING);
            return true;
        }
        if (target == timestamp) {
            change32(requestor, into, INTEGER, ownedSince);
            return true;
        }
        if (target != utf8 && target != text && target != plain && target != plainUtf8 && target != STRING) {
            return false;
        }
        int type = target == text ? utf8 : target;
        byte[] coded = target == STRING ? given.latin1() : given.utf8;
        if (coded.length <= PART_BYTES) {
            connection.send(change(REPLACE, requestor, into, type, coded, 0, coded.length));
            return true;
        }
        if (transfers.size() == TRANSFERS_MAX) {
            transfers.pollFirstEntry(); // of a program that never took its own
        }
        transfers.put(key(requestor, into), new Transfer(given, type, coded));
        // ChangeWindowAttributes: to hear when a part was taken, and when the window is gone.
        connection.send(new Request(2, 0).u32(requestor).u32(1 << 11).u32(PROPERTY_CHANGE | STRUCTURE_NOTIFY));
        change32(requestor, into, incr, coded.length);
        return true;
    }

    /** ChangeProperty. */
    private static Request change(int mode, int of, int name, int type, byte[] bytes, int offset, int length) {
        return new Request(18, mode)
                .u32(of)
                .u32(name)
                .u32(type)
                .u32(8)
                .u32(length)
                .bytes(bytes, offset, length);
    }

    private void change32(int of, int name, int type, int... values) throws IOException {
        Request request = new Request(18, 0).u32(of).u32(name).u32(type).u32(32).u32(values.length);
        for (int value : values) {
            request.u32(value);
        }
        connection.send(request);
    }
}
