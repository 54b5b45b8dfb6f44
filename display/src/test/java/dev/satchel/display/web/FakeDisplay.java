package dev.satchel.display.web;

import dev.satchel.display.Command;
import dev.satchel.display.CursorImage;
import dev.satchel.display.Display;
import dev.satchel.display.Rectangle;
import dev.satchel.display.Viewer;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;

/** A display whose viewers get what a test gives them. */
final class FakeDisplay implements Display {
    final List<FakeViewer> viewers = new CopyOnWriteArrayList<>();

    @Override
    public Viewer attach(Viewer.Options options) {
        FakeViewer viewer = new FakeViewer(options);
        viewers.add(viewer);
        return viewer;
    }

    @Override
    public void await() {}

    @Override
    public Rectangle bounds() {
        return new Rectangle(0, 0, 640, 480);
    }

    @Override
    public Rectangle maximum() {
        return new Rectangle(0, 0, 3840, 2160);
    }

    @Override
    public void close() {}

    void draw(Command command) {
        for (FakeViewer viewer : viewers) {
            viewer.add(command);
        }
    }

    /** Pixels that take about so many bytes. */
    static Command pixels(int bytes) {
        return new Command.Pixels(new Rectangle(0, 0, bytes / 4, 1), new int[bytes / 4]);
    }

    /** As the plainest packing has it; nothing but pixels and fills. */
    static byte[] encode(Command command) {
        return switch (command) {
            case Command.Pixels pixels -> new byte[14 + 4 * pixels.pixels().length];
            case Command.Fill fill ->
                new byte[] {
                    2,
                    (byte) fill.area().x(),
                    0,
                    (byte) fill.area().y(),
                    0,
                    (byte) fill.area().width(),
                    0,
                    (byte) fill.area().height(),
                    0,
                    (byte) (fill.color() >> 16),
                    (byte) (fill.color() >> 8),
                    (byte) fill.color()
                };
            default -> throw new IllegalArgumentException(command.toString());
        };
    }

    static final class FakeViewer implements Viewer {
        final Options options;
        final List<String> input = new CopyOnWriteArrayList<>();
        volatile long taken;
        volatile boolean closed;
        volatile boolean broken;
        /** Takes no input any more. */
        volatile boolean deaf;

        private final ArrayDeque<Command> queue = new ArrayDeque<>();
        private Optional<CursorImage> cursor = Optional.empty();
        private Optional<Copied> clipboard = Optional.empty();
        private Optional<Rectangle> size = Optional.empty();
        private Optional<String> ended = Optional.empty();
        private boolean awake;

        FakeViewer(Options options) {
            this.options = options;
        }

        synchronized void add(Command command) {
            queue.add(command);
            notifyAll();
        }

        synchronized void tell(CursorImage newCursor, String newClipboard, Rectangle newSize) {
            cursor = Optional.of(newCursor);
            clipboard = Optional.of(new Copied(newClipboard, false));
            size = Optional.of(newSize);
            notifyAll();
        }

        synchronized void end(String reason) {
            ended = Optional.of(reason);
            notifyAll();
        }

        @Override
        public synchronized Update take(long bytesMax, long millisMax) throws InterruptedException {
            if (broken) {
                throw new IllegalStateException("a viewer that is broken");
            }
            while (!awake
                    && (bytesMax == 0 || queue.isEmpty())
                    && cursor.isEmpty()
                    && clipboard.isEmpty()
                    && size.isEmpty()
                    && ended.isEmpty()) {
                wait();
            }
            awake = false;
            List<Command> commands = new ArrayList<>();
            long bytes = 0;
            while (!queue.isEmpty() && bytesMax > 0) {
                int next = encode(queue.peek()).length;
                if (!commands.isEmpty() && bytes + next > bytesMax) {
                    break;
                }
                bytes += next;
                commands.add(queue.poll());
            }
            taken += bytes;
            Update update =
                    new Update(size, cursor, Optional.empty(), clipboard, Optional.empty(), false, commands, ended);
            size = Optional.empty();
            cursor = Optional.empty();
            clipboard = Optional.empty();
            ended = Optional.empty();
            return update;
        }

        @Override
        public synchronized void wakeUp() {
            awake = true;
            notifyAll();
        }

        @Override
        public void refresh() {
            input.add("refresh");
        }

        @Override
        public void wholePictures(boolean whole) {}

        @Override
        public void pointer(int x, int y, int buttons) throws IOException {
            input.add("pointer " + x + " " + y + " " + buttons);
            if (deaf) {
                throw new IOException("gone");
            }
        }

        @Override
        public void key(int keysym, boolean down) {
            input.add("key " + keysym + " " + down);
        }

        @Override
        public void resize(int width, int height) {
            input.add("resize " + width + " " + height);
        }

        @Override
        public void controlAlone(boolean alone) {
            input.add("control " + alone);
        }

        @Override
        public void takeOver(Viewer earlier) {
            input.add("take over");
            earlier.close();
        }

        @Override
        public void setClipboard(String text) {
            input.add("clipboard " + (text.length() > 100 ? text.length() + " characters" : text));
        }

        @Override
        public void close() {
            closed = true;
        }
    }
}
