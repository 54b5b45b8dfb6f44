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
    private static final int MAPPING_NOTIFY = 34;
    private static final int REPORT_NON_EMPTY = 3;
    private static final int BUTTON_PRESS = 4;
    private static final int BUTTON_RELEASE = 5;
    private static final int MOTION = 6;
    private static final int BUTTONS = 9;
    private static final int CURSOR_SIDE_MAX = 256;
    private static final int DAMAGE_RECTANGLES_MAX = 4096;
    private static final long CLOSE_MILLIS_MAX = 1000;
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
    private volatile boolean ready;

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
            return new X11Screen(UnixDomainSocketAddress.of(found.path()), framebuffer, listener);
        } catch (IOException | RuntimeException e) {
            framebuffer.close();
            throw e;
        }
    }

    @SuppressWarnings("this-escape") // what is told before all is set is not passed on
    private X11Screen(UnixDomainSocketAddress address, Framebuffer framebuffer, Screen.Listener listener)
            throws IOException {
        this.listener = listener;
        this.framebuffer = framebuffer;
        connection = new X11Connection(address, new Events());
        try {
            connection.start();
            damage = connection.extension("DAMAGE");
            fixes = connection.extension("XFIXES");
            randr = connection.extension("RANDR");
            testOpcode = connection.extension("XTEST").opcode();
            int root = connection.rootWindow();
            // QueryVersion of each, which servers want to hear before all else.
            connection.askInVain(new Request(damage.opcode(), 0).u32(1).u32(1));
            connection.askInVain(new Request(fixes.opcode(), 0).u32(4).u32(0));
            connection.askInVain(new Request(randr.opcode(), 0).u32(1).u32(2));
            // GetScreenSizeRange.
            ByteBuffer range = connection.ask(new Request(randr.opcode(), 6).u32(root));
            maximum = new Rectangle(0, 0, range.getShort(12) & 0xffff, range.getShort(14) & 0xffff)
                    .intersect(framebuffer.bounds());
            // ChangeWindowAttributes: the root's size.
            connection.send(new Request(2, 0).u32(root).u32(1 << 11).u32(STRUCTURE_NOTIFY));
            keyboard = new Keyboard(connection, testOpcode);
            clipboard = new Clipboard(connection, fixes.opcode());
            // HideCursor; SelectCursorInput.
            connection.send(new Request(fixes.opcode(), 29).u32(root));
            connection.send(new Request(fixes.opcode(), 3).u32(root).u32(1));
            damageId = connection.newId();
            damageRegion = connection.newId();
            connection.send(new Request(fixes.opcode(), 5).u32(damageRegion)); // CreateRegion, empty
            connection.send(new Request(damage.opcode(), 1)
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
            ready = true;
        } catch (IOException | RuntimeException e) {
            connection.close();
            throw e;
        }
    }

    private final class Events implements X11Connection.Handler {
        @Override
        public void event(ByteBuffer event) {
            if (!ready) {
                return; // all is fetched anyway once it is
            }
            try {
                int type = event.get(0);
                if (type == damage.firstEvent()) {
                    listener.damaged();
                } else if (type == fixes.firstEvent() + 1) {
                    Thread.ofVirtual().start(X11Screen.this::tellCursor);
                } else if (type == fixes.firstEvent()) {
                    if (clipboard.isForeign(event)) {
                        listener.clipboardChanged();
                    }
                } else if (type == CONFIGURE_NOTIFY) {
                    resized(event);
                } else if (type == MAPPING_NOTIFY) {
                    Thread.ofVirtual().start(keyboard::layoutChanged);
                } else if (type == SELECTION_NOTIFY) {
                    clipboard.answered(event);
                } else if (type == SELECTION_REQUEST) {
                    clipboard.requested(event);
                } else if (type == PROPERTY_NOTIFY) {
                    clipboard.propertyChanged(event);
                }
            } catch (IOException e) {
                return; // the reading thread finds the same
            }
        }

        @Override
        public void ended(IOException reason) {
            if (ready && !closed.get()) {
                listener.lost(reason);
            }
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

    private void tellCursor() {
        try {
            CursorImage image = cursor();
            if (!closed.get()) {
                listener.cursorChanged(image);
            }
        } catch (IOException e) {
            return; // the reading thread finds the same
        }
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
        ByteBuffer reply = connection.ask(new Request(fixes.opcode(), 4));
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
        // Subtract all into the region, and fetch that.
        Request subtract = new Request(damage.opcode(), 3).u32(damageId).u32(0).u32(damageRegion);
        connection.send(subtract);
        ByteBuffer reply = connection.ask(new Request(fixes.opcode(), 19).u32(damageRegion));
        Rectangle now = bounds;
        int count = Math.min((reply.capacity() - 32) / 8, reply.getInt(4) / 2);
        if (count > DAMAGE_RECTANGLES_MAX) {
            return Region.of(rectangle(reply, 8).intersect(now)); // its extents
        }
        List<Rectangle> rectangles = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            rectangles.add(rectangle(reply, 32 + 8 * i).intersect(now));
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
        if (x != pointerX || y != pointerY) {
            pointerX = x;
            pointerY = y;
            connection.send(Keyboard.fake(testOpcode, MOTION, 0, connection.rootWindow(), x, y));
        }
        for (int i = 0; i < BUTTONS; i++) {
            int change = (nowButtons ^ buttons) >> i & 1;
            if (change != 0) {
                boolean down = (nowButtons >> i & 1) != 0;
                connection.send(Keyboard.fake(testOpcode, down ? BUTTON_PRESS : BUTTON_RELEASE, i + 1, 0, 0, 0));
            }
        }
        buttons = nowButtons & (1 << BUTTONS) - 1;
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
        // With the server to itself, so that no program sees a screen without an output.
        connection.sendTogether(
                new Request(36, 0),
                modes.set(0),
                new Request(randr.opcode(), 7)
                        .u32(connection.rootWindow())
                        .u16(width)
                        .u16(height)
                        .u32(millimetersWide)
                        .u32(millimetersHigh),
                modes.set(mode),
                new Request(37, 0));
        modes.forgetOthers(mode);
    }

    /** The screen's one output and its modes: GetScreenResourcesCurrent, randrproto. */
    private final class Modes {
        private final int configTimestamp;
        private final int crtc;
        private final int output;
        private final List<int[]> sizes = new ArrayList<>();

        Modes() throws IOException {
            ByteBuffer reply = connection.ask(new Request(randr.opcode(), 25).u32(connection.rootWindow()));
            configTimestamp = reply.getInt(12);
            int crtcs = reply.getShort(16) & 0xffff;
            int outputs = reply.getShort(18) & 0xffff;
            int count = reply.getShort(20) & 0xffff;
            if (crtcs == 0 || outputs == 0 || reply.capacity() < 32 + 4 * (crtcs + outputs) + 32L * count) {
                throw new IOException("the session's screen can't be resized: it has no output");
            }
            crtc = reply.getInt(32);
            output = reply.getInt(32 + 4 * crtcs);
            for (int i = 0; i < count; i++) {
                int at = 32 + 4 * (crtcs + outputs) + 32 * i;
                sizes.add(
                        new int[] {reply.getInt(at), reply.getShort(at + 4) & 0xffff, reply.getShort(at + 6) & 0xffff});
            }
        }

        int find(int width, int height) {
            for (int[] size : sizes) {
                if (size[1] == width && size[2] == height) {
                    return size[0];
                }
            }
            return 0;
        }

        /** CreateMode, AddOutputMode; a mode's timing means nothing to a screen in memory. */
        int create(int width, int height) throws IOException {
            byte[] name = (width + "x" + height).getBytes(StandardCharsets.US_ASCII);
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
                    .u16(name.length)
                    .u32(0)
                    .bytes(name, 0, name.length));
            int mode = reply.getInt(8);
            connection.send(new Request(randr.opcode(), 18).u32(output).u32(mode));
            return mode;
        }

        /** SetCrtcConfig; mode 0: off. */
        Request set(int mode) {
            Request request = new Request(randr.opcode(), 21)
                    .u32(crtc)
                    .u32(0)
                    .u32(configTimestamp)
                    .u16(0)
                    .u16(0)
                    .u32(mode)
                    .u16(1)
                    .u16(0);
            return mode == 0 ? request : request.u32(output);
        }

        /** Those between the largest, the server's own, and the one in use: DeleteOutputMode, DestroyMode. */
        void forgetOthers(int mode) throws IOException {
            for (int[] size : sizes) {
                if (size[0] != mode && (size[1] != maximum.width() || size[2] != maximum.height())) {
                    connection.send(new Request(randr.opcode(), 19).u32(output).u32(size[0]));
                    connection.send(new Request(randr.opcode(), 17).u32(size[0]));
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
                connection.askInVain(new Request(43, 0));
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
