package dev.satchel.display.x11;

import dev.satchel.display.CursorImage;
import dev.satchel.display.Rectangle;
import dev.satchel.display.Region;
import dev.satchel.display.Screen;
import dev.satchel.linux.Fd;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The screen of an Xvfb in a session: its pixels mapped ({@link Framebuffer}), what is drawn told by the DAMAGE extension, the pointer's picture by
 * XFIXES, which also keeps it out of the pixels; input by XTEST, sizes by RANDR. Sources: the protocol documents of these extensions
 * (damageproto, fixesproto, xtest, randrproto).
 */
public final class X11Screen implements Screen {
    private static final int STRUCTURE_NOTIFY = 1 << 17;
    private static final int CONFIGURE_NOTIFY = 22;
    private static final int SELECTION_REQUEST = 30;
    private static final int SELECTION_NOTIFY = 31;
    private static final int PROPERTY_NOTIFY = 28;
    private static final int DESTROY_NOTIFY = 17;
    private static final int REPORT_NON_EMPTY = 3;
    private static final int BUTTON_PRESS = 4;
    private static final int BUTTON_RELEASE = 5;
    private static final int MOTION = 6;
    private static final int BUTTONS = 9;
    private static final int CURSOR_SIDE_MAX = 256;
    /** Room for one that is a good deal larger, to be cropped. */
    private static final int CURSOR_BYTES_MAX = 4 << 20;

    private static final int DAMAGE_RECTANGLES_MAX = 2048;
    private static final int RECTANGLE_BYTES = 8;
    private static final int MODES_BYTES_MAX = 1 << 20;
    private static final long CLOSE_MILLIS_MAX = 1000;
    /** How often it is asked for where the pointer is, at most. */
    private static final long POINTER_NANOS = 40_000_000;

    private static final double MILLIMETERS_PER_PIXEL = 25.4 / 96;

    private final Screen.Listener listener;
    private final X11Connection connection;
    private final Framebuffer framebuffer;
    private final X11Connection.Extension damage;
    private final X11Connection.Extension fixes;
    private final X11Connection.Extension randr;
    private final int testOpcode;
    private final int damageId;
    private final int damageRegion;
    private final Rectangle maximum;
    private final Keyboard keyboard;
    private final Clipboard clipboard;
    private final AtomicBoolean closed = new AtomicBoolean();
    private volatile Rectangle bounds;

    // Of the reading thread.
    private boolean cursorAsked;
    private boolean cursorOutdated;

    /** Of the thread that takes what was drawn. */
    private long pointerAskedNanos = System.nanoTime() - POINTER_NANOS;

    // Guarded by this.
    private int pointerX = -1;
    private int pointerY = -1;
    private int buttons;

    /**
     * Connects to a session's X server.
     *
     * @param root the session's root directory: the socket is looked for within it only, whatever links are there
     * @param socket of the server, relative to {@code root}
     * @param pid of the server, in this process's pid namespace
     */
    public static X11Screen open(Path root, String socket, long pid, Screen.Listener listener) throws IOException {
        Framebuffer framebuffer = Framebuffer.of(pid);
        try (Fd directory = Fd.open(root, Fd.O_PATH | Fd.O_DIRECTORY);
                Fd found = directory.openInRoot(socket, Fd.O_PATH, 0, false)) {
            X11Screen screen = new X11Screen(UnixDomainSocketAddress.of(found.path()), framebuffer, listener);
            screen.connection.start(screen.new Events());
            try {
                screen.clipboard.restore();
            } catch (IOException e) {
                screen.close();
                throw e;
            }
            return screen;
        } catch (IOException | RuntimeException e) {
            framebuffer.close();
            throw e;
        }
    }

    private X11Screen(UnixDomainSocketAddress address, Framebuffer framebuffer, Screen.Listener listener)
            throws IOException {
        this.listener = listener;
        this.framebuffer = framebuffer;
        connection = new X11Connection(address);
        try {
            damage = connection.extension("DAMAGE");
            fixes = connection.extension("XFIXES");
            randr = connection.extension("RANDR");
            testOpcode = connection.extension("XTEST").opcode();
            int root = connection.rootWindow();
            // QueryVersion of each, which servers want to hear before all else.
            ByteBuffer ignored =
                    connection.ask(new Request(damage.opcode(), 0).u32(1).u32(1));
            ignored = connection.ask(new Request(fixes.opcode(), 0).u32(4).u32(0));
            ignored = connection.ask(new Request(randr.opcode(), 0).u32(1).u32(3));
            // GetScreenSizeRange.
            ByteBuffer range = connection.ask(new Request(randr.opcode(), 6).u32(root));
            maximum = new Rectangle(0, 0, range.getShort(12) & 0xffff, range.getShort(14) & 0xffff)
                    .intersect(framebuffer.bounds());
            keyboard = new Keyboard(connection, testOpcode);
            clipboard = new Clipboard(connection, fixes.opcode());
            damageId = connection.newId();
            damageRegion = connection.newId();
            connection.send(
                    // ChangeWindowAttributes: the root's size.
                    new Request(2, 0).u32(root).u32(1 << 11).u32(STRUCTURE_NOTIFY),
                    // HideCursor, of this client; SelectCursorInput.
                    new Request(fixes.opcode(), 29).u32(root),
                    new Request(fixes.opcode(), 3).u32(root).u32(1),
                    // CreateRegion, empty; Create, of the root with all that is in it.
                    new Request(fixes.opcode(), 5).u32(damageRegion),
                    new Request(damage.opcode(), 1)
                            .u32(damageId)
                            .u32(root)
                            .u8(REPORT_NON_EMPTY)
                            .pad());
            // GetGeometry: after what tells of changes, so that none is missed.
            ByteBuffer geometry = connection.ask(new Request(14, 0).u32(root));
            bounds = new Rectangle(0, 0, geometry.getShort(16) & 0xffff, geometry.getShort(18) & 0xffff)
                    .intersect(framebuffer.bounds());
            if (bounds.isEmpty()) {
                throw new IOException("the session's screen has no pixels");
            }
        } catch (IOException | RuntimeException e) {
            connection.close();
            throw e;
        }
    }

    private final class Events implements X11Connection.Handler {
        @Override
        public void event(ByteBuffer event) throws IOException {
            int type = event.get(0) & 0xff;
            if (type == damage.firstEvent()) {
                listener.damaged(); // the server says so once until it is subtracted
            } else if (type == fixes.firstEvent() + 1) {
                cursorOutdated = true;
                askCursor();
            } else if (type == fixes.firstEvent()) {
                if (clipboard.ownerChanged(event)) {
                    listener.clipboardChanged();
                }
            } else if (keyboard.isBell(event)) {
                listener.bell();
            } else if (!keyboard.isLayoutChange(event)) {
                core(type, event);
            }
        }

        private void core(int type, ByteBuffer event) throws IOException {
            switch (type) {
                case CONFIGURE_NOTIFY -> resized(event);
                case SELECTION_NOTIFY -> clipboard.answered(event);
                case SELECTION_REQUEST -> clipboard.requested(event);
                case PROPERTY_NOTIFY -> clipboard.propertyChanged(event);
                case DESTROY_NOTIFY -> clipboard.windowGone(event);
                default -> {} // of windows that programs share their events of, and what all are sent
            }
        }

        @Override
        public void ended(IOException reason) {
            listener.lost(reason);
        }
    }

    private void resized(ByteBuffer event) {
        if (event.getInt(8) != connection.rootWindow()) {
            return;
        }
        Rectangle now = new Rectangle(0, 0, event.getShort(20) & 0xffff, event.getShort(22) & 0xffff)
                .intersect(framebuffer.bounds());
        if (!now.isEmpty() && !now.equals(bounds)) {
            bounds = now;
            listener.resized(now.width(), now.height());
        }
    }

    /** One picture at a time, the last one in the end, however fast they change. */
    private void askCursor() throws IOException {
        if (cursorAsked || !cursorOutdated) {
            return;
        }
        cursorAsked = true;
        cursorOutdated = false;
        connection.askLater(new Request(fixes.opcode(), 4), CURSOR_BYTES_MAX, reply -> {
            cursorAsked = false;
            listener.cursorChanged(reply == null ? Arrow.IMAGE : cursor(reply));
            try {
                askCursor();
            } catch (IOException e) {
                return; // the reading thread finds the same
            }
        });
    }

    @Override
    public Rectangle bounds() {
        return bounds;
    }

    @Override
    public Rectangle maximum() {
        return maximum;
    }

    /** GetCursorImage, XFIXES: ARGB, premultiplied. */
    @Override
    public CursorImage cursor() throws IOException {
        try {
            return cursor(connection.ask(CURSOR_BYTES_MAX, new Request(fixes.opcode(), 4)));
        } catch (X11Connection.RefusedException e) {
            return Arrow.IMAGE; // of a program that has ended, xsetroot say: servers refuse to tell it, with BadAccess
        }
    }

    private static CursorImage cursor(ByteBuffer reply) {
        int width = reply.getShort(12) & 0xffff;
        int height = reply.getShort(14) & 0xffff;
        int hotX = reply.getShort(16) & 0xffff;
        int hotY = reply.getShort(18) & 0xffff;
        if (width == 0 || height == 0 || reply.capacity() < 32 + 4L * width * height) {
            return CursorImage.NONE;
        }
        int shownWidth = Math.min(width, CURSOR_SIDE_MAX);
        int shownHeight = Math.min(height, CURSOR_SIDE_MAX);
        int[] pixels = new int[shownWidth * shownHeight];
        boolean any = false;
        for (int y = 0; y < shownHeight; y++) {
            for (int x = 0; x < shownWidth; x++) {
                int pixel = reply.getInt(32 + 4 * (y * width + x));
                any |= pixel >>> 24 != 0;
                pixels[y * shownWidth + x] = pixel;
            }
        }
        return any
                ? new CursorImage(
                        shownWidth,
                        shownHeight,
                        Math.min(hotX, shownWidth - 1),
                        Math.min(hotY, shownHeight - 1),
                        pixels)
                : CursorImage.NONE;
    }

    @Override
    public Region takeDamage() throws IOException {
        askPointer();
        // Subtract: all of it into the region; FetchRegion.
        ByteBuffer reply = connection.ask(
                RECTANGLE_BYTES * DAMAGE_RECTANGLES_MAX,
                new Request(damage.opcode(), 3).u32(damageId).u32(0).u32(damageRegion),
                new Request(fixes.opcode(), 19).u32(damageRegion));
        Rectangle now = bounds;
        long count = (reply.getInt(4) & 0xffffffffL) / 2;
        if (count > DAMAGE_RECTANGLES_MAX) {
            return Region.of(rectangle(reply, 8).intersect(now)); // its extents
        }
        List<Rectangle> rectangles = new ArrayList<>((int) count);
        for (int i = 0; i < count; i++) {
            rectangles.add(rectangle(reply, 32 + RECTANGLE_BYTES * i).intersect(now));
        }
        return Region.of(rectangles);
    }

    private static Rectangle rectangle(ByteBuffer from, int at) {
        return new Rectangle(
                from.getShort(at),
                from.getShort(at + 2),
                from.getShort(at + 4) & 0xffff,
                from.getShort(at + 6) & 0xffff);
    }

    @Override
    public void read(Rectangle area, int[] into, int offset, int stride) throws IOException {
        framebuffer.read(area, into, offset, stride);
    }

    @Override
    public synchronized void pointer(int x, int y, int nowButtons) throws IOException {
        List<Request> requests = new ArrayList<>();
        int changes = (nowButtons ^ buttons) & (1 << BUTTONS) - 1;
        // With a button in any case: a program may have put the pointer somewhere else.
        if (x != pointerX || y != pointerY || changes != 0) {
            requests.add(Keyboard.fake(testOpcode, MOTION, 0, connection.rootWindow(), x, y));
        }
        for (int i = 0; i < BUTTONS; i++) {
            if ((changes >> i & 1) != 0) {
                boolean down = (nowButtons >> i & 1) != 0;
                requests.add(Keyboard.fake(testOpcode, down ? BUTTON_PRESS : BUTTON_RELEASE, i + 1, 0, 0, 0));
            }
        }
        pointerX = x;
        pointerY = y;
        buttons = nowButtons & (1 << BUTTONS) - 1;
        connection.send(requests.toArray(Request[]::new));
        listener.pointerMoved(x, y);
    }

    /** Programs move it as well, and nothing tells of that; but hardly without drawing something, or once in a while is soon enough. */
    private void askPointer() throws IOException {
        long now = System.nanoTime();
        if (now - pointerAskedNanos < POINTER_NANOS) {
            return;
        }
        pointerAskedNanos = now;
        // QueryPointer.
        connection.askLater(new Request(38, 0).u32(connection.rootWindow()), 0, reply -> {
            if (reply != null) {
                listener.pointerMoved(reply.getShort(16), reply.getShort(18));
            }
        });
    }

    @Override
    public void key(int keysym, boolean down) throws IOException {
        keyboard.key(keysym, down);
    }

    @Override
    public void releaseAll() throws IOException {
        keyboard.releaseAll();
        synchronized (this) {
            if (buttons != 0) {
                pointer(pointerX, pointerY, 0);
            }
        }
    }

    @Override
    public synchronized void resize(int width, int height) throws IOException {
        if (width <= 0 || height <= 0 || width > maximum.width() || height > maximum.height()) {
            throw new IOException("the session's screen can't be " + width + "x" + height + ": it can be "
                    + maximum.width() + "x" + maximum.height() + " at most");
        }
        if (bounds.width() == width && bounds.height() == height) {
            return;
        }
        Modes modes = new Modes();
        int mode = modes.find(width, height);
        if (mode == 0) {
            mode = modes.create(width, height);
        }
        int millimetersWide = (int) Math.round(width * MILLIMETERS_PER_PIXEL);
        int millimetersHigh = (int) Math.round(height * MILLIMETERS_PER_PIXEL);
        // GrabServer: so that no program sees a screen without an output.
        connection.send(new Request(36, 0));
        try {
            modes.set(0);
            // SetScreenSize.
            connection.send(new Request(randr.opcode(), 7)
                    .u32(connection.rootWindow())
                    .u16(width)
                    .u16(height)
                    .u32(millimetersWide)
                    .u32(millimetersHigh));
            modes.set(mode);
        } catch (IOException e) {
            modes.set(modes.find(bounds.width(), bounds.height()));
            throw e;
        } finally {
            connection.send(new Request(37, 0)); // UngrabServer
        }
        modes.forgetOthers(mode);
    }

    /** A size that the screen can have. */
    private record Mode(int id, int width, int height, String name) {}

    /** The screen's one output and its modes: GetScreenResourcesCurrent, randrproto. */
    private final class Modes {
        /** What those are called that are made here. */
        private static final String OURS = "satchel-";

        private static final int NAMES_MAX = 8;

        private final int configTimestamp;
        private final int crtc;
        private final int output;
        private final List<Mode> modes = new ArrayList<>();

        Modes() throws IOException {
            ByteBuffer reply =
                    connection.ask(MODES_BYTES_MAX, new Request(randr.opcode(), 25).u32(connection.rootWindow()));
            configTimestamp = reply.getInt(12);
            int crtcs = reply.getShort(16) & 0xffff;
            int outputs = reply.getShort(18) & 0xffff;
            int count = reply.getShort(20) & 0xffff;
            int first = 32 + 4 * (crtcs + outputs);
            if (crtcs == 0 || outputs == 0 || reply.capacity() < first + 32L * count) {
                throw new IOException("the session's screen can't be resized: it has no output");
            }
            crtc = reply.getInt(32);
            output = reply.getInt(32 + 4 * crtcs);
            int name = first + 32 * count;
            for (int i = 0; i < count; i++) {
                int at = first + 32 * i;
                int length = Math.min(reply.getShort(at + 26) & 0xffff, reply.capacity() - name);
                modes.add(new Mode(
                        reply.getInt(at),
                        reply.getShort(at + 4) & 0xffff,
                        reply.getShort(at + 6) & 0xffff,
                        new String(reply.array(), reply.arrayOffset() + name, length, StandardCharsets.ISO_8859_1)));
                name += length;
            }
        }

        /** @return 0 if there is none */
        int find(int width, int height) {
            for (Mode mode : modes) {
                if (mode.width == width && mode.height == height) {
                    return mode.id;
                }
            }
            return 0;
        }

        /** CreateMode, AddOutputMode; a mode's timing means nothing to a screen in memory. */
        int create(int width, int height) throws IOException {
            String name = OURS + width + "x" + height;
            for (int i = 1; ; i++) {
                byte[] ascii = name.getBytes(StandardCharsets.US_ASCII);
                try {
                    ByteBuffer reply = connection.ask(new Request(randr.opcode(), 16)
                            .u32(connection.rootWindow())
                            .u32(0)
                            .u16(width)
                            .u16(height)
                            .u32(60 * width * height)
                            .u16(width)
                            .u16(width)
                            .u16(width)
                            .u16(0)
                            .u16(height)
                            .u16(height)
                            .u16(height)
                            .u16(ascii.length)
                            .u32(0)
                            .bytes(ascii, 0, ascii.length));
                    int mode = reply.getInt(8);
                    connection.send(new Request(randr.opcode(), 18).u32(output).u32(mode));
                    return mode;
                } catch (IOException e) {
                    // There may be one of that name that no output has, of a supervisor that died.
                    if (i == NAMES_MAX) {
                        throw e;
                    }
                    name = OURS + width + "x" + height + "." + i;
                }
            }
        }

        /** SetCrtcConfig; mode 0: off. */
        void set(int mode) throws IOException {
            Request request = new Request(randr.opcode(), 21)
                    .u32(crtc)
                    .u32(0)
                    .u32(configTimestamp)
                    .u16(0)
                    .u16(0)
                    .u32(mode)
                    .u16(1)
                    .u16(0);
            int status =
                    connection.ask(mode == 0 ? request : request.u32(output)).get(1);
            if (status != 0) {
                throw new IOException("the session's screen can't be resized: status " + status);
            }
        }

        /** Those of ours that are not in use: DeleteOutputMode, DestroyMode. */
        void forgetOthers(int used) throws IOException {
            for (Mode mode : modes) {
                if (mode.id != used && mode.name.startsWith(OURS)) {
                    connection.send(
                            new Request(randr.opcode(), 19).u32(output).u32(mode.id),
                            new Request(randr.opcode(), 17).u32(mode.id));
                }
            }
        }
    }

    @Override
    public String clipboard(int bytesMax) throws IOException {
        return clipboard.fetch(bytesMax);
    }

    @Override
    public void setClipboard(String text) throws IOException {
        clipboard.offer(text);
    }

    @Override
    public boolean offersClipboard() {
        return clipboard.offers();
    }

    @Override
    public void close() {
        if (!closed.compareAndSet(false, true)) {
            return;
        }
        // What is not undone here ends with the connection. A server that is stopped is not waited for.
        Thread undoing = Thread.ofVirtual().start(() -> {
            try {
                releaseAll();
                keyboard.restore();
                // A reply says that all before has been done: GetInputFocus.
                ByteBuffer ignored = connection.ask(new Request(43, 0));
            } catch (IOException e) {
                return; // it is gone, and with it what there was to undo
            }
        });
        try {
            boolean ignored = undoing.join(java.time.Duration.ofMillis(CLOSE_MILLIS_MAX));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        connection.close();
        framebuffer.close();
    }
}
