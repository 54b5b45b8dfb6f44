package dev.satchel.display.record;

import dev.satchel.display.CursorImage;
import dev.satchel.display.Rectangle;
import dev.satchel.display.codec.Decoder;
import dev.satchel.display.web.ViewerClient;
import dev.satchel.display.web.ViewerServer;
import dev.satchel.linux.vpx.Scaler;
import dev.satchel.linux.vpx.Vp8Encoder;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.URI;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Records what a session shows, as one of its viewers, in a process of its own: the session's supervisor does for it what it does for a
 * browser, and the video is made here. A frame is written when something has changed, so that nothing costs nothing.
 *
 * <p>Two threads: one carries out what the session tells, the one that called {@link #record} makes frames of it. What both touch is
 * guarded by {@code lock}.
 */
public final class Recording {
    /** Why one ended; its file is whole in any case. */
    public enum End {
        /** It was as long as it was to be. */
        TIME,
        /** Its thread was interrupted. */
        INTERRUPTED,
        /** The session was suspended. */
        SUSPENDED,
        /** The session's programs ended. */
        STOPPED,
        /** Nothing is heard of the session, or of its display, any more. */
        LOST
    }

    /**
     * A recording that has ended.
     *
     * @param millis how long it is
     * @param frames how many different pictures are in it
     * @param bytes of the file
     * @param why in words, empty but for {@link End#LOST}
     */
    public record Result(End end, long millis, long frames, long bytes, int width, int height, String why) {}

    /** How it goes, told some times a second by the thread that records. */
    public interface Progress {
        void at(long millis, long bytes);
    }

    /** Of VP8's 0 to 63: text as it is to the eye, moving pictures at half a byte a pixel or less. */
    private static final int QUANTIZER = 12;

    private static final int SPEED = 6;
    /** Players begin there when one seeks: as often as this, if something changes. */
    private static final long KEY_MILLIS = 5_000;
    /** After so long a frame is written in which nothing has changed: players that seek go back no further than this. */
    private static final long STILL_MILLIS = 10_000;
    /** What was drawn together came by now, or else it is another frame's. */
    private static final long QUIET_NANOS = 8_000_000;

    private static final long PROGRESS_NANOS = 250_000_000;
    /** Without anything to record after so long, there will be nothing. */
    private static final long FIRST_NANOS_MAX = 30_000_000_000L;

    private final Path file;
    private final long millisMax;
    private final long frameNanos;
    private final Progress progress;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final Arena arena = Arena.ofShared();

    // All guarded by lock.
    private final Decoder decoder = new Decoder();
    private CursorImage cursor = CursorImage.NONE;
    private int pointerX = -1;
    private int pointerY;
    private boolean dirty;
    private long dirtyNanos;
    private long changedNanos;
    private @Nullable End end;
    private String why = "";

    // Of the thread that records.
    private int width;
    private int height;
    private MemorySegment frame = MemorySegment.NULL;
    private @Nullable Arena screenArena;
    private MemorySegment screen = MemorySegment.NULL;
    private long beganNanos;
    private long lastMillis = -1;
    private long keyMillis;
    private long frames;

    private Recording(Path file, long millisMax, int framesPerSecondMax, Progress progress) {
        this.file = file;
        this.millisMax = millisMax;
        this.frameNanos = 1_000_000_000L / framesPerSecondMax;
        this.progress = progress;
    }

    /**
     * Records until the time is over, the calling thread is interrupted, or the session ends or is suspended.
     *
     * @param link that lets a viewer in, of this host
     * @param file what is there is overwritten; what was recorded until then can be played at any time, whatever becomes of this process
     * @param millisMax from the first picture on
     * @param framesPerSecondMax 1 to 60
     * @throws IOException if nothing could be recorded, or no more, since the file could not be written
     */
    public static Result record(URI link, Path file, long millisMax, int framesPerSecondMax, Progress progress)
            throws IOException {
        if (millisMax < 1 || framesPerSecondMax < 1 || framesPerSecondMax > 60) {
            throw new IllegalArgumentException(millisMax + " ms with " + framesPerSecondMax + " frames/s");
        }
        Recording recording = new Recording(file, millisMax, framesPerSecondMax, progress);
        Thread reader = null;
        try (ViewerClient client = ViewerClient.connect(link)) {
            reader = Thread.ofPlatform().name("recording").daemon().start(() -> recording.read(client));
            return recording.run();
        } finally {
            // The client has been closed: it ends at once.
            if (reader != null) {
                join(reader);
            }
            recording.letGo();
        }
    }

    private static void join(Thread thread) {
        boolean interrupted = Thread.interrupted();
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void letGo() {
        decoder.close();
        if (screenArena != null) {
            screenArena.close();
        }
        arena.close();
    }

    // ---- What is told

    private void read(ViewerClient client) {
        End ended = End.LOST;
        String text = "it closed the connection";
        try {
            client.run(new Told());
        } catch (IOException | RuntimeException e) {
            text = e.getMessage() == null ? e.toString() : e.getMessage();
        }
        end(ended, text);
    }

    private void end(End how, String text) {
        lock.lock();
        try {
            if (end == null) {
                end = how;
                why = text;
            }
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    private final class Told implements ViewerClient.Handler {
        @Override
        public void size(int newWidth, int newHeight) {
            lock.lock();
            try {
                decoder.size(newWidth, newHeight);
            } finally {
                lock.unlock();
            }
        }

        @Override
        public void update(byte[] bytes, int from, int to) throws IOException {
            lock.lock();
            try {
                decoder.draw(bytes, from, to);
                touched();
            } finally {
                lock.unlock();
            }
        }

        @Override
        public void cursor(CursorImage image) {
            lock.lock();
            try {
                cursor = image;
                touched();
            } finally {
                lock.unlock();
            }
        }

        @Override
        public void pointer(int x, int y) {
            lock.lock();
            try {
                pointerX = x;
                pointerY = y;
                touched();
            } finally {
                lock.unlock();
            }
        }

        @Override
        public void state(int state) {
            switch (state) {
                case ViewerServer.STATE_SUSPENDED -> end(End.SUSPENDED, "");
                case ViewerServer.STATE_STOPPED -> end(End.STOPPED, "");
                case ViewerServer.STATE_LOST -> end(End.LOST, "its display server ended");
                default -> {} // while it is being suspended, or a snapshot taken, nothing changes
            }
        }

        private void touched() {
            changedNanos = System.nanoTime();
            if (!dirty) {
                dirty = true;
                dirtyNanos = changedNanos;
            }
            changed.signalAll();
        }
    }

    // ---- What is made of it

    private Result run() throws IOException {
        // Opened before the first picture has come: what can't be written is to be told at once.
        try (WebmFile webm = WebmFile.open(file)) {
            End ended = await(System.nanoTime() + FIRST_NANOS_MAX, false);
            Rectangle bounds = bounds();
            if (bounds.isEmpty()) {
                throw new IOException("nothing was recorded: "
                        + (ended == End.INTERRUPTED
                                ? "interrupted before the first picture"
                                : "the session shows nothing" + (why.isEmpty() ? "" : ", " + why)));
            }
            width = bounds.width();
            height = bounds.height();
            frame = arena.allocate(4 * bounds.area(), 16);
            try (Vp8Encoder encoder =
                    new Vp8Encoder(width, height, Vp8Encoder.Rate.constantQuality(QUANTIZER), SPEED)) {
                webm.begin(width, height);
                beganNanos = System.nanoTime();
                ended = follow(webm, encoder);
                long millis = Math.max(ended == End.TIME ? millisMax : millisAt(System.nanoTime()), lastMillis + 2);
                // The last picture again, so that it is shown as long as it was there: players go by what frames say.
                write(webm, encoder, millis - 1, false);
                webm.finish(millis);
                return new Result(ended, millis, frames, webm.bytes(), width, height, ended == End.LOST ? why : "");
            }
        }
    }

    /** Of the screen, nothing if it is not known yet. */
    private Rectangle bounds() {
        lock.lock();
        try {
            return decoder.isWhole() ? decoder.bounds() : new Rectangle(0, 0, 0, 0);
        } finally {
            lock.unlock();
        }
    }

    private End follow(WebmFile webm, Vp8Encoder encoder) throws IOException {
        long frameDue = beganNanos;
        long told = beganNanos;
        long endNanos = beganNanos + TimeUnit.MILLISECONDS.toNanos(millisMax);
        while (true) {
            long at = drawIfChanged(frameDue);
            if (at >= 0) {
                write(webm, encoder, millisAt(at), true);
                frameDue = Math.max(frameDue + frameNanos, System.nanoTime() - frameNanos);
            } else if (millisAt(System.nanoTime()) - lastMillis >= STILL_MILLIS) {
                write(webm, encoder, millisAt(System.nanoTime()), false);
                webm.duration(lastMillis);
            }
            long now = System.nanoTime();
            if (now - told >= PROGRESS_NANOS) {
                told = now;
                progress.at(millisAt(now), webm.bytes());
            }
            if (now - endNanos >= 0) {
                return End.TIME;
            }
            long wake = Math.min(told + PROGRESS_NANOS, endNanos);
            lock.lock();
            try {
                wake = dirty ? Math.min(wake, due(frameDue)) : wake;
            } finally {
                lock.unlock();
            }
            End ended = await(wake, true);
            if (ended != null) {
                // What came last is to be seen.
                long last = drawIfChanged(Long.MIN_VALUE);
                if (last >= 0) {
                    write(webm, encoder, millisAt(last), true);
                }
                return ended;
            }
        }
    }

    /** Under lock: when what has changed is to become a frame. */
    private long due(long frameDue) {
        return Math.max(frameDue, Math.min(changedNanos + QUIET_NANOS, dirtyNanos + frameNanos));
    }

    /**
     * Waits until that time, or something else is to be done.
     *
     * @param whole whether there is a picture already, which is else waited for
     * @return how it ended, null if it has not
     */
    private @Nullable End await(long untilNanos, boolean whole) {
        if (Thread.interrupted()) {
            end(End.INTERRUPTED, "");
        }
        lock.lock();
        try {
            boolean wasDirty = dirty;
            while (end == null && (whole ? dirty == wasDirty : !decoder.isWhole())) {
                long nanos = untilNanos - System.nanoTime();
                if (nanos <= 0) {
                    return null;
                }
                long ignored = changed.awaitNanos(nanos);
            }
            return end;
        } catch (InterruptedException e) {
            // That is how it is ended: what comes now is not to be disturbed by it.
            end(End.INTERRUPTED, "");
            return end;
        } finally {
            lock.unlock();
        }
    }

    private long millisAt(long nanos) {
        return Math.max(0, (nanos - beganNanos) / 1_000_000);
    }

    /** @return when it changed, of {@link System#nanoTime}, at least 0; negative if it is not to be drawn yet */
    private long drawIfChanged(long frameDue) {
        lock.lock();
        try {
            boolean first = lastMillis < 0;
            if (!decoder.isWhole()
                    || (!first && !dirty)
                    || (!first && frameDue != Long.MIN_VALUE && System.nanoTime() - due(frameDue) < 0)) {
                return -1;
            }
            dirty = false;
            draw();
            return Math.max(changedNanos, beganNanos);
        } finally {
            lock.unlock();
        }
    }

    /** Under lock: makes the frame of the screen and the pointer. */
    private void draw() {
        Rectangle bounds = decoder.bounds();
        boolean same = bounds.width() == width && bounds.height() == height;
        MemorySegment into = frame;
        if (!same) {
            long bytes = 4 * bounds.area();
            if (screen.byteSize() != bytes) {
                if (screenArena != null) {
                    screenArena.close();
                }
                Arena other = Arena.ofShared();
                screenArena = other;
                screen = other.allocate(bytes, 16);
            }
            into = screen;
        }
        int[] pixels = decoder.pixels();
        MemorySegment.copy(pixels, 0, into, ValueLayout.JAVA_INT, 0, pixels.length);
        if (pointerX >= 0) {
            drawCursor(into, bounds);
        }
        if (!same) {
            // As large as it goes into the video, in its middle.
            double scale = Math.min(width / (double) bounds.width(), height / (double) bounds.height());
            int shownWidth = Math.clamp(Math.round(bounds.width() * scale), 1, width);
            int shownHeight = Math.clamp(Math.round(bounds.height() * scale), 1, height);
            frame.fill((byte) 0);
            long at = (long) (height - shownHeight) / 2 * width + (width - shownWidth) / 2;
            Scaler.draw(screen, bounds.width(), bounds.height(), frame.asSlice(4 * at), width, shownWidth, shownHeight);
        }
    }

    private void drawCursor(MemorySegment into, Rectangle bounds) {
        Rectangle place =
                new Rectangle(pointerX - cursor.hotX(), pointerY - cursor.hotY(), cursor.width(), cursor.height());
        Rectangle part = place.intersect(bounds);
        for (int y = part.y(); y < part.bottom(); y++) {
            for (int x = part.x(); x < part.right(); x++) {
                int over = cursor.pixels()[(y - place.y()) * cursor.width() + x - place.x()];
                long at = (long) y * bounds.width() + x;
                into.setAtIndex(ValueLayout.JAVA_INT, at, blend(into.getAtIndex(ValueLayout.JAVA_INT, at), over));
            }
        }
    }

    private static int blend(int below, int over) {
        int rest = 255 - (over >>> 24);
        int mixed = 0;
        for (int shift = 0; shift < 24; shift += 8) {
            int value = (over >> shift & 0xff) + ((below >> shift & 0xff) * rest + 127) / 255;
            mixed |= Math.min(255, value) << shift;
        }
        return mixed;
    }

    /** @param fresh whether it is another picture than the one before */
    private void write(WebmFile webm, Vp8Encoder encoder, long wantedMillis, boolean fresh) throws IOException {
        long millis = Math.max(wantedMillis, lastMillis + 1);
        boolean key = webm.needsKey(millis) || (fresh && millis - keyMillis >= KEY_MILLIS);
        Vp8Encoder.Frame encoded = encoder.encode(frame, width, millis, TimeUnit.NANOSECONDS.toMillis(frameNanos), key);
        webm.frame(encoded.data(), millis, encoded.key());
        keyMillis = encoded.key() ? millis : keyMillis;
        lastMillis = millis;
        frames += fresh ? 1 : 0;
    }
}
