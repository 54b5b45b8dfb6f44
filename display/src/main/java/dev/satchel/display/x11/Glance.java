package dev.satchel.display.x11;

import dev.satchel.display.Rectangle;
import dev.satchel.linux.Fd;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * What a session shows at one moment, small, and what its windows are called: for its history. Nothing of the session is held any more
 * when it has been taken, and it takes milliseconds where the X server answers.
 *
 * @param pixels {@code width} × {@code height} of them, 0x00RRGGBB
 * @param titles of the windows that the window manager manages, the oldest first; without those that have none, panels and the desktop
 */
@SuppressWarnings("ArrayRecordComponent") // handed through, never compared
public record Glance(int width, int height, int[] pixels, List<String> titles) {
    private static final int TITLES_MAX = 32;
    private static final int TITLE_BYTES_MAX = 256;
    private static final int WINDOWS_MAX = 256;
    private static final int WM_NAME = 39;

    public Glance {
        titles = List.copyOf(titles);
    }

    /**
     * Looks. The arguments are those of {@link X11Screen#open}, and how large the picture may be: it keeps the screen's proportions.
     *
     * @throws IOException if there is no X server, or it does not answer
     */
    public static Glance of(Path root, String socket, long pid, int widthMax, int heightMax) throws IOException {
        try (Framebuffer framebuffer = Framebuffer.of(pid);
                Fd directory = Fd.open(root, Fd.O_PATH | Fd.O_DIRECTORY);
                Fd found = directory.openInRoot(socket, Fd.O_PATH, 0, false);
                X11Connection connection = new X11Connection(UnixDomainSocketAddress.of(found.path()))) {
            // GetGeometry: the screen may be smaller than the memory for it.
            ByteBuffer geometry = connection.ask(new Request(14, 0).u32(connection.rootWindow()));
            Rectangle screen = new Rectangle(0, 0, geometry.getShort(16) & 0xffff, geometry.getShort(18) & 0xffff)
                    .intersect(framebuffer.bounds());
            if (screen.isEmpty()) {
                throw new IOException("the session's screen has no pixels");
            }
            int width = Math.min(widthMax, screen.width());
            int height = Math.max(1, screen.height() * width / screen.width());
            if (height > heightMax) {
                height = heightMax;
                width = Math.max(1, screen.width() * height / screen.height());
            }
            return new Glance(width, height, smaller(framebuffer, screen, width, height), titles(connection));
        }
    }

    /** Each pixel is the mean of those that it stands for; a few rows at a time, as the screen may be large. */
    private static int[] smaller(Framebuffer from, Rectangle screen, int width, int height) throws IOException {
        int[] pixels = new int[width * height];
        int[] rows = new int[screen.width() * ((screen.height() + height - 1) / height + 1)];
        for (int y = 0; y < height; y++) {
            int top = (int) ((long) y * screen.height() / height);
            int bottom = Math.max(top + 1, (int) ((y + 1L) * screen.height() / height));
            from.read(new Rectangle(0, top, screen.width(), bottom - top), rows, 0, screen.width());
            for (int x = 0; x < width; x++) {
                int left = (int) ((long) x * screen.width() / width);
                int right = Math.max(left + 1, (int) ((x + 1L) * screen.width() / width));
                pixels[y * width + x] = mean(rows, screen.width(), left, right, bottom - top);
            }
        }
        return pixels;
    }

    private static int mean(int[] rows, int stride, int left, int right, int height) {
        int red = 0;
        int green = 0;
        int blue = 0;
        for (int y = 0; y < height; y++) {
            for (int x = left; x < right; x++) {
                int pixel = rows[y * stride + x];
                red += (pixel >> 16) & 0xff;
                green += (pixel >> 8) & 0xff;
                blue += pixel & 0xff;
            }
        }
        int count = height * (right - left);
        return ((red / count) << 16) | ((green / count) << 8) | (blue / count);
    }

    /** _NET_CLIENT_LIST, _NET_WM_WINDOW_TYPE and _NET_WM_NAME of the Extended Window Manager Hints, else WM_NAME. */
    private static List<String> titles(X11Connection connection) throws IOException {
        int name = connection.atom("_NET_WM_NAME");
        int type = connection.atom("_NET_WM_WINDOW_TYPE");
        Set<Integer> furniture =
                Set.of(connection.atom("_NET_WM_WINDOW_TYPE_DOCK"), connection.atom("_NET_WM_WINDOW_TYPE_DESKTOP"));
        ByteBuffer windows =
                property(connection, connection.rootWindow(), connection.atom("_NET_CLIENT_LIST"), 4 * WINDOWS_MAX);
        List<String> titles = new ArrayList<>();
        for (int at = 0; at + 4 <= windows.remaining() && titles.size() < TITLES_MAX; at += 4) {
            int window = windows.getInt(windows.position() + at);
            try {
                ByteBuffer types = property(connection, window, type, 4);
                boolean apart = types.remaining() == 4 && furniture.contains(types.getInt(types.position()));
                String title = apart ? "" : title(connection, window, name);
                if (!title.isEmpty()) {
                    titles.add(title);
                }
            } catch (X11Connection.RefusedException e) {
                // It has just been closed.
            }
        }
        return titles;
    }

    private static String title(X11Connection connection, int window, int name) throws IOException {
        String title = text(property(connection, window, name, TITLE_BYTES_MAX), true);
        return title.isEmpty() ? text(property(connection, window, WM_NAME, TITLE_BYTES_MAX), false) : title;
    }

    /** GetProperty of any type. @return its bytes, none if there is no such property */
    private static ByteBuffer property(X11Connection connection, int window, int property, int bytesMax)
            throws IOException {
        ByteBuffer reply = connection.ask(
                bytesMax,
                new Request(20, 0).u32(window).u32(property).u32(0).u32(0).u32(bytesMax / 4));
        long length = (reply.getInt(16) & 0xffffffffL) * (reply.get(1) & 0xff) / 8;
        return reply.slice(32, (int) Math.min(length, reply.capacity() - 32)).order(reply.order());
    }

    /** Without what would not be seen, or would be more than it seems. */
    private static String text(ByteBuffer bytes, boolean utf8) {
        String raw = (utf8 ? StandardCharsets.UTF_8 : StandardCharsets.ISO_8859_1)
                .decode(bytes)
                .toString();
        StringBuilder text = new StringBuilder(raw.length());
        for (int i = 0; i < raw.length(); i++) {
            char c = raw.charAt(i);
            // A character that was cut through, or was none.
            if (c != '\ufffd') {
                text.append(Character.isISOControl(c) ? ' ' : c);
            }
        }
        return text.toString().strip();
    }
}
