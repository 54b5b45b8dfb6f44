package dev.satchel.display.rfb;

import dev.satchel.display.Command;
import dev.satchel.display.CursorImage;
import dev.satchel.display.Rectangle;
import dev.satchel.display.Region;
import dev.satchel.display.Viewer;
import dev.satchel.display.web.Pace;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What is sent to one client, by one thread, which runs {@link #run}: it takes what the viewer lacks when the client has asked for an
 * update, or, if it wants continuous ones, as fast as {@link Pace} lets it, measured by fences that the client answers. All that is below
 * {@code of the thread} is that thread's; the rest is guarded by {@code lock}.
 */
final class RfbSender {
    /** As a client that floods is not read any more; one that is slow only writes to its own end. */
    private static final int ORDERS_MAX = 256;

    private static final long TAKE_MILLIS = 3_600_000;
    /** What one update has about at most, between which others' turn comes: with fences, and if the client asks for each. */
    private static final int PACED_BYTES = 32 << 10;

    private static final int ASKED_BYTES = 256 << 10;
    private static final int RECTANGLES_MAX = 1 << 15;

    private static final int FRAMEBUFFER_UPDATE = 0;
    private static final int BELL = 2;
    private static final int SERVER_CUT_TEXT = 3;
    private static final int END_OF_CONTINUOUS_UPDATES = 150;
    private static final int FENCE = 248;

    static final int FENCE_BLOCK_BEFORE = 1;
    static final int FENCE_BLOCK_AFTER = 1 << 1;
    static final int FENCE_SYNC_NEXT = 1 << 2;
    static final int FENCE_REQUEST = 1 << 31;

    /** Of a fence that measures: its payload is a serial. */
    static final int SERIAL_BYTES = 8;

    private static final int REASON_SERVER = 0;
    private static final int REASON_THIS_CLIENT = 1;

    private final OutputStream out;

    private final Object lock = new Object();
    private final ArrayDeque<Order> orders = new ArrayDeque<>();
    private Order.@Nullable Fence syncFence;
    private @Nullable Viewer viewer;
    /** Counts them. */
    private int viewers;

    private @Nullable String newName;
    private boolean gone;

    private final Pace pace = new Pace();

    // Of the thread.
    private final RfbMessage message = new RfbMessage();
    private final RawEncoder raw = new RawEncoder();
    private @Nullable TightEncoder tight;
    private @Nullable ZrleEncoder zrle;
    private PixelFormat format = PixelFormat.OWN;
    private ClientEncodings encodings = ClientEncodings.NONE;
    private boolean encodingsCame;

    private @Nullable Viewer taking;
    private int takingNumber;
    private boolean takenAny;
    private Rectangle bounds;
    /** The client's idea of the screen's size. */
    private Rectangle clientBounds;

    private boolean sizeDue;
    private int sizeReason;
    private int sizeStatus;
    private Order.@Nullable Resize asked;
    private @Nullable CursorImage cursor;
    private boolean cursorDue;
    private boolean buttonsDue;
    private @Nullable String name;

    private boolean continuous;
    private Rectangle continuousArea = new Rectangle(0, 0, 0, 0);
    /** Empty: no update has been asked for. */
    private Rectangle requested = new Rectangle(0, 0, 0, 0);

    private final ArrayDeque<Command> held = new ArrayDeque<>();
    private final ArrayDeque<Part> parts = new ArrayDeque<>();
    /** What the client has not got as it lies beyond what it asked for, or was to be copied from there. */
    private Region withheld = Region.EMPTY;

    private boolean capsSent;
    private int clipboardActions;
    private String clipboard = "";

    /** @param initial as the client was told */
    RfbSender(OutputStream out, Rectangle initial) {
        this.out = out;
        this.bounds = initial;
        this.clientBounds = initial;
    }

    // ---- Called by the thread that reads

    /** Has it done once all before it is; waits while the client does not take what it asked for. */
    void post(Order order) throws InterruptedException {
        synchronized (lock) {
            while (orders.size() >= ORDERS_MAX && !gone) {
                lock.wait();
            }
            orders.add(order);
            addSyncFence();
            lock.notifyAll();
        }
        wakeViewer();
    }

    /** As {@link #post}, of a fence that is to be answered after the next message. */
    void postSync(Order.Fence fence) throws InterruptedException {
        synchronized (lock) {
            while (orders.size() >= ORDERS_MAX && !gone) {
                lock.wait();
            }
            addSyncFence();
            syncFence = fence;
        }
        wakeViewer();
    }

    /** A message was carried out that has nothing to do with what is sent. */
    void handledOther() {
        synchronized (lock) {
            if (syncFence == null) {
                return;
            }
            addSyncFence();
        }
        wakeViewer();
    }

    private void addSyncFence() {
        if (syncFence != null) {
            orders.add(syncFence);
            syncFence = null;
            lock.notifyAll();
        }
    }

    /** @return false if no such fence was sent */
    boolean acknowledged(long serial) {
        boolean roomNow;
        synchronized (pace) {
            long now = System.nanoTime();
            boolean roomBefore = pace.room(now) > 0;
            if (!pace.acknowledged(serial, now)) {
                return false;
            }
            roomNow = !roomBefore && pace.room(now) > 0;
        }
        if (roomNow) {
            wakeViewer();
        }
        return true;
    }

    /** From now on it is sent what this one lacks. Another that was used before is for the caller to close then. */
    void use(Viewer now) {
        synchronized (lock) {
            viewer = now;
            viewers++;
            lock.notifyAll();
        }
    }

    void stop() {
        synchronized (lock) {
            gone = true;
            lock.notifyAll();
        }
        wakeViewer();
    }

    private void wakeViewer() {
        Viewer now;
        synchronized (lock) {
            now = viewer;
        }
        if (now != null) {
            now.wakeUp();
        }
    }

    /** The desktop has another name now. */
    void tellName(String now) {
        synchronized (lock) {
            newName = now;
        }
        wakeViewer();
    }

    // ---- The thread

    /** Sends until there is nothing to be sent any more. @throws IOException if the client is gone, or the display */
    void run() throws IOException, InterruptedException {
        try {
            while (carryOutOrders()) {
                Viewer from = taking;
                if (from != null && !tell()) {
                    take(from);
                }
            }
        } finally {
            raw.close();
            if (tight != null) {
                tight.close();
            }
            if (zrle != null) {
                zrle.close();
            }
        }
    }

    /** @return false if this was stopped */
    private boolean carryOutOrders() throws IOException, InterruptedException {
        List<Order> now;
        synchronized (lock) {
            while (orders.isEmpty() && viewer == null && !gone) {
                lock.wait();
            }
            if (gone) {
                return false;
            }
            now = new ArrayList<>(orders);
            orders.clear();
            lock.notifyAll();
            if (newName != null) {
                name = newName;
                newName = null;
            }
            if (viewers != takingNumber) {
                taking = viewer;
                takingNumber = viewers;
                takenAny = false;
                // It will tell all.
                forget();
            }
        }
        for (Order order : now) {
            carryOut(order);
        }
        return true;
    }

    private void forget() {
        held.clear();
        parts.clear();
        withheld = Region.EMPTY;
    }

    private void carryOut(Order order) throws IOException {
        switch (order) {
            case Order.Format(PixelFormat wanted) -> {
                format = wanted;
                // What is already divided is encoded only when it is sent.
                raw.use(wanted);
                if (tight != null) {
                    tight.use(wanted);
                }
                if (zrle != null) {
                    zrle.use(wanted);
                }
            }
            case Order.Encodings(ClientEncodings wanted) -> use(wanted);
            case Order.Request request -> {
                // As it says (rfbproto, EnableContinuousUpdates); else it could be answered once those have ended.
                if (continuous && request.incremental()) {
                    return;
                }
                requested = requested.union(request.area().intersect(clientBounds));
                if (!request.incremental() && takenAny) {
                    refresh();
                }
            }
            case Order.Continuous wanted -> {
                if (continuous && !wanted.enable()) {
                    message.u8(END_OF_CONTINUOUS_UPDATES).send(out);
                }
                // Of a client that does not answer fences it can't be known how much is on its way.
                continuous = wanted.enable() && encodings.continuousUpdates();
                continuousArea = wanted.area();
            }
            case Order.Fence fence -> sendFence(fence.flags(), fence.payload());
            case Order.Resize resize -> {
                if (resize.width() == clientBounds.width() && resize.height() == clientBounds.height()) {
                    oweSize(REASON_THIS_CLIENT, 0);
                } else {
                    asked = resize;
                }
            }
            case Order.ResizeRefused refused -> oweSize(REASON_THIS_CLIENT, refused.status());
            case Order.ClipboardActions actions -> {
                clipboardActions = actions.flags();
                offerClipboard();
            }
            case Order.ClipboardText text -> {
                if (!clipboard.isEmpty()) {
                    message.bytes(ExtendedClipboard.provide(clipboard)).send(out);
                }
            }
            case Order.ClipboardPeek peek ->
                message.bytes(ExtendedClipboard.announce(!clipboard.isEmpty())).send(out);
            case Order.ClipboardOffered offered ->
                message.bytes(ExtendedClipboard.request()).send(out);
        }
    }

    private void use(ClientEncodings wanted) throws IOException {
        ClientEncodings before = encodings;
        encodings = wanted;
        // Each is said once, by which clients know that it is understood here (rfbproto).
        if (wanted.fences() && !before.fences()) {
            sendFence(FENCE_REQUEST, new byte[1]);
        }
        if (wanted.continuousUpdates() && !before.continuousUpdates()) {
            message.u8(END_OF_CONTINUOUS_UPDATES).send(out);
        }
        if (wanted.extendedClipboard() && !capsSent) {
            capsSent = true;
            message.bytes(ExtendedClipboard.caps()).send(out);
        }
        if (wanted.extendedDesktopSize() && !before.extendedDesktopSize()) {
            oweSize(REASON_SERVER, 0);
        }
        sizeDue |= !bounds.equals(clientBounds);
        buttonsDue |= wanted.extendedButtons() && !before.extendedButtons();
        cursorDue |=
                cursor != null && (wanted.cursor() != before.cursor() || wanted.alphaCursor() != before.alphaCursor());
        encodingsCame = true;
        if (tight != null) {
            tight.useQuality(wanted.quality());
        }
    }

    private void oweSize(int reason, int status) {
        sizeDue = true;
        sizeReason = reason;
        sizeStatus = status;
    }

    private void refresh() {
        Viewer from = taking;
        if (from != null) {
            takenAny = false;
            from.refresh();
        }
    }

    /** What is to be told now, of the screen as the client knows it. */
    private Rectangle wanted() {
        Rectangle area = continuous ? continuousArea.union(requested) : requested;
        return area.intersect(clientBounds).intersect(bounds);
    }

    /** Sends an update if there is one to send, and the client wants it. @return whether it did */
    private boolean tell() throws IOException {
        if (!continuous && requested.isEmpty()) {
            return false;
        }
        boolean paced = continuous && encodings.fences();
        if (paced && unacknowledged() >= Pace.UPDATES_MAX - 2) {
            return false;
        }
        message.u8(FRAMEBUFFER_UPDATE).u8(0).u16(0);
        int before = message.length();
        int rectangles = sendSize() ? 1 : 0;
        if (rectangles == 0) {
            rectangles += addAnnounced();
            int bytesMax = paced ? PACED_BYTES : ASKED_BYTES;
            while (message.length() - before < bytesMax && rectangles < RECTANGLES_MAX) {
                Part part = nextPart();
                if (part == null) {
                    break;
                }
                add(part);
                rectangles++;
            }
        }
        if (rectangles == 0) {
            message.clear();
            return false;
        }
        message.putU16(2, rectangles);
        requested = new Rectangle(0, 0, 0, 0);
        if (paced) {
            long serial;
            int bytes = message.length();
            message.u8(FENCE).zeros(3).u32(FENCE_REQUEST | FENCE_BLOCK_BEFORE).u8(SERIAL_BYTES);
            synchronized (pace) {
                serial = pace.sent(bytes, System.nanoTime());
            }
            message.u32((int) (serial >> 32)).u32((int) serial);
        }
        message.send(out);
        return true;
    }

    private int unacknowledged() {
        synchronized (pace) {
            return pace.unacknowledged();
        }
    }

    private void head(Rectangle area, int encoding) {
        message.u16(area.x()).u16(area.y()).u16(area.width()).u16(area.height()).u32(encoding);
    }

    /** @return whether that is all that the update may have (RFC 6143 §7.8.2) */
    private boolean sendSize() {
        if (!sizeDue || (!encodings.extendedDesktopSize() && !encodings.desktopSize())) {
            return false;
        }
        sizeDue = false;
        boolean grows = !clientBounds.equals(bounds);
        clientBounds = bounds;
        if (encodings.extendedDesktopSize()) {
            // In place of coordinates: who wanted it, and what became of that.
            head(
                    new Rectangle(sizeReason, sizeStatus, bounds.width(), bounds.height()),
                    ClientEncodings.EXTENDED_DESKTOP_SIZE);
            message.u8(1).zeros(3);
            message.u32(0)
                    .u16(0)
                    .u16(0)
                    .u16(bounds.width())
                    .u16(bounds.height())
                    .u32(0);
        } else if (grows) {
            head(bounds, ClientEncodings.DESKTOP_SIZE);
        } else {
            return false;
        }
        sizeReason = REASON_SERVER;
        sizeStatus = 0;
        return true;
    }

    private int addAnnounced() {
        int rectangles = 0;
        if (buttonsDue) {
            buttonsDue = false;
            head(new Rectangle(0, 0, 0, 0), ClientEncodings.EXTENDED_MOUSE_BUTTONS);
            rectangles++;
        }
        if (name != null && encodings.desktopName()) {
            byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
            head(new Rectangle(0, 0, 0, 0), ClientEncodings.DESKTOP_NAME);
            message.u32(bytes.length).bytes(bytes);
            name = null;
            rectangles++;
        }
        CursorImage picture = cursor;
        if (cursorDue && picture != null && (encodings.cursor() || encodings.alphaCursor())) {
            cursorDue = false;
            addCursor(picture);
            rectangles++;
        }
        return rectangles;
    }

    private void addCursor(CursorImage picture) {
        Rectangle place = new Rectangle(picture.hotX(), picture.hotY(), picture.width(), picture.height());
        int[] pixels = picture.pixels();
        if (encodings.alphaCursor()) {
            head(place, ClientEncodings.CURSOR_WITH_ALPHA);
            message.u32(RawEncoder.NUMBER);
            for (int pixel : pixels) {
                message.u8(pixel >> 16).u8(pixel >> 8).u8(pixel).u8(pixel >>> 24);
            }
            return;
        }
        head(place, ClientEncodings.CURSOR);
        int[] colors = new int[pixels.length];
        byte[] mask = new byte[(picture.width() + 7) / 8 * picture.height()];
        for (int i = 0; i < pixels.length; i++) {
            int alpha = pixels[i] >>> 24;
            if (alpha >= 0x80) {
                colors[i] = (channel(pixels[i] >> 16, alpha) << 16)
                        | (channel(pixels[i] >> 8, alpha) << 8)
                        | channel(pixels[i], alpha);
                int x = i % picture.width();
                int y = i / picture.width();
                mask[y * ((picture.width() + 7) / 8) + (x >> 3)] |= (byte) (0x80 >> (x & 7));
            }
        }
        message.pixels(format.plain(), colors, 0, colors.length);
        message.bytes(mask);
    }

    private static int channel(int premultiplied, int alpha) {
        return Math.min(255, ((premultiplied & 0xff) * 255 + alpha / 2) / alpha);
    }

    private @Nullable Part nextPart() {
        while (parts.isEmpty() && !held.isEmpty()) {
            admit(held.removeFirst());
        }
        return parts.pollFirst();
    }

    /** Divides what of a command the client wants, and notes the rest. */
    private void admit(Command command) {
        Rectangle area = command.area().intersect(clientBounds);
        Rectangle part = area.intersect(wanted());
        if (!part.isEmpty() && command instanceof Command.Copy copy) {
            Rectangle from = part.translate(
                    copy.fromX() - copy.area().x(), copy.fromY() - copy.area().y());
            if (!encodings.copies() || !clientBounds.contains(from) || withheld.intersects(from)) {
                part = new Rectangle(0, 0, 0, 0);
            }
        }
        if (!part.equals(area)) {
            withheld = withheld.union(area).subtract(part);
        } else if (!withheld.isEmpty()) {
            withheld = withheld.subtract(part);
        }
        if (!part.isEmpty()) {
            Part.divide(command, part, parts);
        }
    }

    private void add(Part part) {
        Command command = part.alone();
        if (command instanceof Command.Copy copy) {
            head(copy.area(), ClientEncodings.COPY_RECT);
            message.u16(copy.fromX()).u16(copy.fromY());
            return;
        }
        PictureEncoder encoder = encoder();
        head(command.area(), encoder.number());
        encoder.encode(command, message);
    }

    private PictureEncoder encoder() {
        int level = Math.clamp(encodings.level(), 1, 9);
        if (encodings.picture() == TightEncoder.NUMBER) {
            TightEncoder encoder = tight;
            if (encoder == null) {
                encoder = new TightEncoder(level);
                encoder.use(format);
                encoder.useQuality(encodings.quality());
                tight = encoder;
            }
            return encoder;
        }
        if (encodings.picture() == ZrleEncoder.NUMBER) {
            ZrleEncoder encoder = zrle;
            if (encoder == null) {
                encoder = new ZrleEncoder(level);
                encoder.use(format);
                zrle = encoder;
            }
            return encoder;
        }
        return raw;
    }

    // ---- Taking from the viewer

    private void take(Viewer from) throws IOException, InterruptedException {
        Rectangle wanted = wanted();
        if (held.isEmpty() && parts.isEmpty() && !withheld.isEmpty() && withheld.intersects(wanted)) {
            withheld = Region.EMPTY;
            refresh();
        }
        long before = System.nanoTime();
        long room = 0;
        if (!wanted.isEmpty() && held.isEmpty() && parts.isEmpty()) {
            if (continuous) {
                synchronized (pace) {
                    room = pace.room(before);
                }
            } else {
                room = ASKED_BYTES;
            }
        }
        Viewer.Update update = from.take(room, TAKE_MILLIS);
        if (continuous && room > 0 && System.nanoTime() - before > 1_000_000) {
            synchronized (pace) {
                pace.idle();
            }
        }
        absorb(update);
    }

    private void absorb(Viewer.Update update) throws IOException {
        if (update.size().isPresent()) {
            // All that comes from now on is of this size, and is all there is.
            forget();
            bounds = update.size().get();
            if (!bounds.equals(clientBounds)) {
                oweSize(asked != null ? REASON_THIS_CLIENT : REASON_SERVER, 0);
            }
            asked = null;
        }
        if (update.cursor().isPresent()) {
            cursor = update.cursor().get();
            cursorDue = true;
        }
        if (update.clipboard().isPresent()) {
            clipboard = update.clipboard().get().text();
            offerClipboard();
        }
        if (update.bell()) {
            message.u8(BELL).send(out);
        }
        takenAny |= !update.commands().isEmpty();
        held.addAll(update.commands());
        if (update.ended().isPresent()) {
            synchronized (lock) {
                if (viewers != takingNumber) {
                    return;
                }
            }
            throw new IOException(update.ended().get());
        }
    }

    private void offerClipboard() throws IOException {
        if (clipboard.isEmpty() || !encodingsCame) {
            return;
        }
        if ((clipboardActions & ExtendedClipboard.NOTIFY) != 0) {
            message.bytes(ExtendedClipboard.announce(true)).send(out);
        } else if (clipboard.length() <= ExtendedClipboard.BYTES_MAX) {
            // Latin-1 has no other characters; they become question marks.
            byte[] text = clipboard.getBytes(StandardCharsets.ISO_8859_1);
            message.u8(SERVER_CUT_TEXT).zeros(3).u32(text.length).bytes(text).send(out);
        }
    }

    private void sendFence(int flags, byte[] payload) throws IOException {
        message.u8(FENCE).zeros(3).u32(flags).u8(payload.length).bytes(payload).send(out);
    }
}
