package dev.satchel.display;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;

/** A screen in this process's memory, for what is to be drawn exactly so. */
public final class MemoryScreen implements Screen {
    private final Screen.Listener listener;
    private final Rectangle maximum;
    private Rectangle bounds;
    private int[] pixels;
    private Region damage = Region.EMPTY;
    private boolean told;
    private boolean closed;
    private int reads;

    private final List<String> input = new CopyOnWriteArrayList<>();
    private volatile Runnable beforeKeys = () -> {};

    private CursorImage cursor = CursorImage.NONE;
    private String clipboard = "";
    private Runnable afterClipboard = () -> {};
    private boolean offers;

    public MemoryScreen(int width, int height, Screen.Listener listener) {
        this.listener = listener;
        this.bounds = new Rectangle(0, 0, width, height);
        this.maximum = new Rectangle(0, 0, 2 * width, 2 * height);
        this.pixels = new int[width * height];
    }

    public synchronized int[] pixels() {
        return pixels.clone();
    }

    public synchronized boolean isClosed() {
        return closed;
    }

    /** How often its pixels were fetched. */
    public synchronized int reads() {
        return reads;
    }

    /** @param action from now on run before each key that is pressed or released */
    public void beforeKeys(Runnable action) {
        beforeKeys = action;
    }

    /** What viewers did. */
    public List<String> input() {
        return List.copyOf(input);
    }

    public void fill(Rectangle area, int color) {
        draw(area, (x, y) -> color);
    }

    public void noise(Rectangle area, long seed) {
        Random random = new Random(seed);
        draw(area, (x, y) -> random.nextInt(1 << 24));
    }

    /** Moves what is there, as an X server does for CopyArea. */
    public void move(Rectangle from, int dx, int dy) {
        int[] before = pixels();
        int width = bounds().width();
        draw(from.translate(dx, dy).intersect(bounds()), (x, y) -> {
            int fromX = Math.clamp(x - dx, 0, width - 1);
            int fromY = Math.clamp(y - dy, 0, bounds().height() - 1);
            return before[fromY * width + fromX];
        });
    }

    public interface Painter {
        int color(int x, int y);
    }

    public void draw(Rectangle area, Painter painter) {
        boolean tell;
        synchronized (this) {
            Rectangle part = area.intersect(bounds);
            for (int y = part.y(); y < part.bottom(); y++) {
                for (int x = part.x(); x < part.right(); x++) {
                    pixels[y * bounds.width() + x] = painter.color(x, y);
                }
            }
            damage = damage.union(part);
            tell = !told && !damage.isEmpty();
            told |= tell;
        }
        if (tell) {
            listener.damaged();
        }
    }

    public void setCursor(CursorImage image) {
        synchronized (this) {
            cursor = image;
        }
        listener.cursorChanged(image);
    }

    /** As if a program of the session offered it. */
    public void offerClipboard(String text) {
        synchronized (this) {
            clipboard = text;
            offers = false;
        }
        listener.clipboardChanged();
    }

    public void ring() {
        listener.bell();
    }

    public void end() {
        listener.lost(new IOException("ended"));
    }

    @Override
    public synchronized Rectangle bounds() {
        return bounds;
    }

    @Override
    public Rectangle maximum() {
        return maximum;
    }

    @Override
    public synchronized CursorImage cursor() {
        return cursor;
    }

    @Override
    public synchronized Region takeDamage() {
        Region taken = damage;
        damage = Region.EMPTY;
        told = false;
        return taken;
    }

    @Override
    public synchronized void read(Rectangle area, int[] into, int offset, int stride) {
        reads++;
        Rectangle part = area.intersect(bounds);
        for (int y = 0; y < part.height(); y++) {
            System.arraycopy(
                    pixels, (part.y() + y) * bounds.width() + part.x(), into, offset + y * stride, part.width());
        }
    }

    @Override
    public void pointer(int x, int y, int buttons) {
        input.add("pointer " + x + " " + y + " " + buttons);
        listener.pointerMoved(x, y);
    }

    @Override
    public void key(int keysym, boolean down) {
        beforeKeys.run();
        input.add((down ? "press " : "release ") + Integer.toHexString(keysym));
    }

    @Override
    public void releaseAll() {
        input.add("release all");
    }

    @Override
    public void resize(int width, int height) {
        synchronized (this) {
            int[] larger = new int[width * height];
            for (int y = 0; y < Math.min(height, bounds.height()); y++) {
                System.arraycopy(pixels, y * bounds.width(), larger, y * width, Math.min(width, bounds.width()));
            }
            bounds = new Rectangle(0, 0, width, height);
            pixels = larger;
            damage = Region.of(bounds);
        }
        listener.resized(width, height);
    }

    @Override
    public String clipboard(int bytesMax) {
        String text;
        Runnable then;
        synchronized (this) {
            text = clipboard;
            then = afterClipboard;
            afterClipboard = () -> {};
        }
        then.run();
        return text;
    }

    /** Runs this once the text of the clipboard has been read for the next time. */
    synchronized void afterClipboard(Runnable next) {
        afterClipboard = next;
    }

    @Override
    public void setClipboard(String text) {
        synchronized (this) {
            clipboard = text;
            offers = true;
        }
        listener.clipboardChanged();
    }

    @Override
    public synchronized boolean offersClipboard() {
        return offers;
    }

    @Override
    public synchronized void close() {
        closed = true;
        Arrays.fill(pixels, 0xdead);
    }
}
