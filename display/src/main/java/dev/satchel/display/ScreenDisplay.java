package dev.satchel.display;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;

/**
 * The display of a session's {@link Screen}. Holds the screen only while there are viewers, or programs have text from it, and it has not
 * been told to let go; follows what is drawn at the pace of the fastest viewer, never by polling.
 *
 * <p>One thread, only while the screen is held, fetches what was drawn and compares; a viewer's own thread makes the commands it takes. What both
 * touch is guarded by {@code lock}; the display server is never waited for while that is held. Whoever opens or lets go of the screen
 * does so in a {@code transition}, which is locked first.
 */
public final class ScreenDisplay implements Display {
    /** Connects to the session's display server. */
    public interface Opener {
        /** @throws IOException if there is none, or it does not answer */
        Screen open(Screen.Listener listener) throws IOException;
    }

    private static final int VIEWERS_MAX = 64;
    private static final int SIDE_MIN = 64;
    private static final int CLIPBOARD_BYTES_MAX = 1 << 20;
    /** Between two looks at what was drawn: a program's drawing comes in many small steps. */
    private static final long PAUSE_NANOS_MIN = 4_000_000;
    /** What was drawn has been waiting for viewers: their links are slow. */
    private static final long LATE_NANOS = 150_000_000;
    /** What viewers don't wait for yet is looked at no sooner than that after it was drawn... */
    private static final long AHEAD_NANOS = 80_000_000;
    /** ...and so often at most between two updates that somebody takes: enough to tell a moving picture by. */
    private static final int AHEAD_MAX = 10;
    /** A program may ring as often as it likes; it is told so often. */
    private static final long BELL_NANOS = 200_000_000;
    /** Characters that are typed while nobody else has the screen. */
    private static final int TYPED_MAX = 64;
    /** How long the screen stays held after {@link #withScreen}. */
    private static final long LINGER_NANOS = 2_000_000_000;

    private static final Rectangle NOTHING = new Rectangle(0, 0, 0, 0);

    private final Opener opener;
    private final BiFunction<Rectangle, int[], Command> classifier;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition work = lock.newCondition();
    /** Fair: who types without end is not always the next one. */
    private final ReentrantLock transition = new ReentrantLock(true);

    private final Condition there = transition.newCondition();

    // All guarded by lock.
    private final List<Attached> viewers = new ArrayList<>();
    private @Nullable Held held;
    /** Of all that may control, the only one that does; null: all do. */
    private @Nullable Attached alone;

    /** What the session's programs offer or have been offered, as viewers know; outlives {@link #held}. */
    private String clipboard = "";

    private boolean closed;

    // Guarded by transition.
    private boolean letGo;
    /** Whether programs had text from here when it was let go. */
    private boolean offered;

    private boolean lingering;
    private long lingerUntilNanos;

    /** @param classifier makes the cheapest command of an area's pixels */
    public ScreenDisplay(Opener opener, BiFunction<Rectangle, int[], Command> classifier) {
        this.opener = opener;
        this.classifier = classifier;
    }

    @Override
    public Viewer attach(Viewer.Options options) throws IOException {
        Attached viewer = new Attached(options);
        transition.lock();
        try {
            lock.lock();
            try {
                requireOpen();
                if (viewers.size() == VIEWERS_MAX) {
                    throw new IOException("there are " + VIEWERS_MAX + " viewers already");
                }
            } finally {
                lock.unlock();
            }
            hold();
            lock.lock();
            try {
                Held now = held;
                if (now != null) {
                    now.look();
                    viewer.show(now);
                }
                viewers.add(viewer);
                if (options.control() && !clipboard.isEmpty()) {
                    viewer.clipboard = new Viewer.Copied(clipboard, true);
                }
                if (alone != null) {
                    viewer.tellControls();
                }
            } finally {
                lock.unlock();
            }
        } finally {
            transition.unlock();
        }
        return viewer;
    }

    /**
     * Lets go of all that is held inside the session, until {@link #takeHold}; viewers stay and are told nothing. When this returns nothing
     * of it is there any more.
     */
    public void letGo() {
        transition.lock();
        try {
            letGo = true;
            offered = offersClipboard();
            release();
        } finally {
            transition.unlock();
        }
    }

    /** Holds the session's screen again, if there are viewers, who are sent all of it, or programs had text from here. */
    public void takeHold() throws IOException {
        transition.lock();
        try {
            letGo = false;
            there.signalAll();
            boolean seen;
            lock.lock();
            try {
                requireOpen();
                seen = !viewers.isEmpty();
            } finally {
                lock.unlock();
            }
            if (seen || offered) {
                hold();
            }
        } finally {
            transition.unlock();
        }
    }

    @Override
    public void await() throws IOException {
        transition.lock();
        try {
            requireOpen();
            while (letGo) {
                there.awaitUninterruptibly();
                requireOpen();
            }
        } finally {
            transition.unlock();
        }
    }

    /**
     * Does something with the screen, which is held a little longer than that: what a program types must have arrived before the keys that it
     * was given are taken back. Waits while the screen is let go.
     *
     * @throws IOException what it throws, or if there is no screen
     */
    public <T> T withScreen(ScreenUse<T> use) throws IOException {
        transition.lock();
        try {
            await();
            hold();
            lingerUntilNanos = System.nanoTime() + LINGER_NANOS;
            if (!lingering && nobodyLooks()) {
                lingering = true;
                Thread.ofVirtual().name("display-linger").start(this::linger);
            }
            return use.use(present(held).screen);
        } finally {
            transition.unlock();
        }
    }

    /** Types text as a person would; a new line is the Return key. Whoever wants the screen meanwhile waits for a part of it at most. */
    public void type(String text) throws IOException {
        int[] characters = text.codePoints().toArray();
        for (int from = 0; from < characters.length; from += TYPED_MAX) {
            int begin = from;
            int end = Math.min(begin + TYPED_MAX, characters.length);
            withScreen(screen -> {
                for (int i = begin; i < end; i++) {
                    int keysym = Keys.ofCharacter(characters[i]);
                    screen.key(keysym, true);
                    screen.key(keysym, false);
                }
                return true;
            });
        }
    }

    /** As {@link #withScreen}, but fails while the screen is let go. */
    private <T> T withScreenNow(ScreenUse<T> use) throws IOException {
        transition.lock();
        try {
            requireOpen();
            if (letGo) {
                throw new IOException("the session stands still for a moment");
            }
            return withScreen(use);
        } finally {
            transition.unlock();
        }
    }

    private void linger() {
        boolean wait = true;
        while (wait) {
            long nanos;
            transition.lock();
            try {
                nanos = lingerUntilNanos - System.nanoTime();
                wait = nanos > 0;
                if (!wait) {
                    lingering = false;
                    releaseUnused();
                }
            } finally {
                transition.unlock();
            }
            LockSupport.parkNanos(nanos);
        }
    }

    /** See {@link #withScreen}. */
    public interface ScreenUse<T> {
        T use(Screen screen) throws IOException;
    }

    @Override
    public Rectangle bounds() throws IOException {
        return withScreenNow(Screen::bounds);
    }

    @Override
    public Rectangle maximum() throws IOException {
        return withScreenNow(Screen::maximum);
    }

    private void requireOpen() throws IOException {
        lock.lock();
        try {
            if (closed) {
                throw new IOException("the session's display has ended");
            }
        } finally {
            lock.unlock();
        }
    }

    /** Whether one viewer has taken control from all others, see {@link Viewer#controlAlone}. */
    public boolean isControlledByOne() {
        lock.lock();
        try {
            return alone != null;
        } finally {
            lock.unlock();
        }
    }

    private static <T> T present(@Nullable T part) throws IOException {
        if (part == null) {
            throw new IOException("the session's display server ended");
        }
        return part;
    }

    /** Within a transition. */
    private void hold() throws IOException {
        Held now;
        lock.lock();
        try {
            now = held;
        } finally {
            lock.unlock();
        }
        if (now != null || letGo) {
            return;
        }
        Held opened = new Held();
        boolean looking = false;
        lock.lock();
        try {
            if (!viewers.isEmpty()) {
                opened.look();
            }
            looking = true;
            held = opened;
            for (Attached viewer : viewers) {
                viewer.show(opened);
            }
        } finally {
            lock.unlock();
            if (!looking) {
                opened.screen.close();
            }
        }
        opened.start();
        opened.learnClipboard(); // there may be other text than was known
    }

    /** Within a transition. Text that programs have from here is there as long as the screen is held, which costs nothing else. */
    private void releaseUnused() {
        if (!lingering && nobodyLooks() && !offersClipboard()) {
            release();
        }
    }

    private boolean offersClipboard() {
        lock.lock();
        try {
            Held now = held;
            return now != null && now.screen.offersClipboard();
        } finally {
            lock.unlock();
        }
    }

    /** Within a transition. */
    private void release() {
        Held now;
        lock.lock();
        try {
            now = held;
            held = null;
            for (Attached viewer : viewers) {
                viewer.pressed.clear();
                viewer.buttons = 0;
            }
            work.signalAll();
        } finally {
            lock.unlock();
        }
        if (now != null) {
            now.screen.close();
        }
    }

    @Override
    public void close() {
        transition.lock();
        try {
            release();
            lock.lock();
            try {
                closed = true;
                end("the session's display has ended");
            } finally {
                lock.unlock();
            }
            there.signalAll();
        } finally {
            transition.unlock();
        }
    }

    /** Under lock. */
    private void end(String why) {
        for (Attached viewer : viewers) {
            viewer.ended = why;
            viewer.changed.signalAll();
        }
        viewers.clear();
    }

    /** The screen while it is held, and what is known of it. All but {@code screen} guarded by lock. */
    private final class Held implements Screen.Listener {
        private final Screen screen;
        /** Of no size until somebody looks: who only types needs none. */
        private Shadow shadow = new Shadow(NOTHING);

        private Activity activity = new Activity(NOTHING);
        private final SharedCommands shared = new SharedCommands();
        private CursorImage cursor;
        private Viewer.@Nullable Position pointer;
        private long rungNanos = System.nanoTime() - BELL_NANOS;
        /** What was drawn while the screen was being opened may not have been told. */
        private boolean damaged = true;

        private long damagedNanos = System.nanoTime();
        /** How long what was drawn has waited for somebody to take it, all in all. */
        private long waitedNanos;

        private boolean late;
        /** How often what was drawn has been looked at since somebody waited for it. */
        private int ahead;

        private boolean clipboardDue;
        private boolean clipboardFetched;
        /** What is offered now came while the screen was held. */
        private boolean clipboardKnown;

        /** How often a viewer has given a text. Guarded by the lock. */
        private long given;

        private Rectangle size;
        private long pauseNanos = PAUSE_NANOS_MIN;

        Held() throws IOException {
            screen = opener.open(this);
            try {
                size = screen.bounds();
                cursor = screen.cursor();
            } catch (IOException | RuntimeException e) {
                screen.close();
                throw e;
            }
        }

        /** From now on it is known what viewers have been told of. Under lock. */
        private void look() throws IOException {
            if (shadow.bounds().isEmpty()) {
                lookAnew();
            }
        }

        private void lookAnew() throws IOException {
            shadow = new Shadow(size);
            activity = new Activity(size);
            shared.clear();
            shadow.read(screen);
        }

        void start() {
            Thread.ofPlatform().name("display").daemon().start(this::follow);
        }

        @Override
        public void damaged() {
            lock.lock();
            try {
                drawnOn();
            } finally {
                lock.unlock();
            }
        }

        private void drawnOn() {
            if (!damaged) {
                damaged = true;
                damagedNanos = System.nanoTime();
            }
            work.signalAll();
        }

        @Override
        public void resized(int width, int height) {
            lock.lock();
            try {
                size = new Rectangle(0, 0, width, height);
                drawnOn();
            } finally {
                lock.unlock();
            }
        }

        @Override
        public void cursorChanged(CursorImage changed) {
            lock.lock();
            try {
                cursor = changed;
                for (Attached viewer : viewers) {
                    viewer.cursor = changed;
                    viewer.changed.signalAll();
                }
            } finally {
                lock.unlock();
            }
        }

        @Override
        public void pointerMoved(int x, int y) {
            lock.lock();
            try {
                Viewer.Position moved = new Viewer.Position(x, y);
                if (!moved.equals(pointer)) {
                    pointer = moved;
                    for (Attached viewer : viewers) {
                        viewer.tell(moved);
                    }
                }
            } finally {
                lock.unlock();
            }
        }

        @Override
        public void bell() {
            lock.lock();
            try {
                long now = System.nanoTime();
                if (now - rungNanos >= BELL_NANOS) {
                    rungNanos = now;
                    for (Attached viewer : viewers) {
                        viewer.bellDue = true;
                        viewer.changed.signalAll();
                    }
                }
            } finally {
                lock.unlock();
            }
        }

        @Override
        public void clipboardChanged() {
            lock.lock();
            try {
                clipboardKnown = true;
                learnClipboard();
            } finally {
                lock.unlock();
            }
        }

        void learnClipboard() {
            lock.lock();
            try {
                clipboardDue = true;
                if (!clipboardFetched) {
                    clipboardFetched = true;
                    // By itself: a program that does not answer is not to hold up what is drawn.
                    Thread.ofVirtual().name("display-clipboard").start(this::fetchClipboard);
                }
            } finally {
                lock.unlock();
            }
        }

        private void fetchClipboard() {
            try {
                while (clipboardWanted()) {
                    long before = given();
                    offer(copied(), before);
                }
            } catch (IOException e) {
                lost(e);
                return;
            }
            // Programs may have text from elsewhere now.
            transition.lock();
            try {
                releaseUnused();
            } finally {
                transition.unlock();
            }
        }

        private long given() {
            lock.lock();
            try {
                return given;
            } finally {
                lock.unlock();
            }
        }

        private String copied() throws IOException {
            try {
                return screen.clipboard(CLIPBOARD_BYTES_MAX);
            } catch (Screen.TooLongException e) {
                return "";
            }
        }

        private boolean clipboardWanted() {
            lock.lock();
            try {
                boolean due = clipboardDue && held == this;
                clipboardDue = false;
                clipboardFetched = due;
                return due;
            } finally {
                lock.unlock();
            }
        }

        @Override
        public void lost(IOException reason) {
            lock.lock();
            try {
                if (held == this) {
                    held = null;
                    end("the session's display server ended: " + reason.getMessage());
                    work.signalAll();
                }
            } finally {
                lock.unlock();
            }
        }

        private void follow() {
            try {
                while (true) {
                    lock.lock();
                    try {
                        boolean wanted = false;
                        while (held == this) {
                            wanted = wanted();
                            // Without a moving picture that may come to rest, for ever; nor does one rest that waits.
                            long nanos = !damaged
                                    ? TimeUnit.MILLISECONDS.toNanos(activity.restMillis() - activityMillis())
                                    : wanted ? 0 : aheadNanos();
                            if (damaged && nanos <= 0) {
                                break;
                            }
                            if (nanos > 0) {
                                long ignored = work.awaitNanos(nanos);
                            }
                            if (!activity.look(activityMillis()).isEmpty()) {
                                for (Attached viewer : viewers) {
                                    viewer.changed.signalAll();
                                }
                            }
                        }
                        if (held != this) {
                            return;
                        }
                        if (wanted) {
                            long waited = waitingNanos(System.nanoTime());
                            late = waited - waitedNanos > LATE_NANOS;
                            waitedNanos = waited;
                            ahead = 0;
                        } else {
                            // It has not waited: what became of it is seen now.
                            late = false;
                            ahead++;
                        }
                        damaged = false;
                    } finally {
                        lock.unlock();
                    }
                    fetch();
                    TimeUnit.NANOSECONDS.sleep(pauseNanos);
                }
            } catch (IOException e) {
                lost(e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            } finally {
                screen.close();
            }
        }

        /**
         * How long until what was drawn is looked at although nobody waits for it. On a slow link a picture is long on its way; that it moves
         * is to be known before the next one is sent.
         */
        private long aheadNanos() {
            return viewers.isEmpty() || ahead >= AHEAD_MAX
                    ? Long.MAX_VALUE
                    : damagedNanos + AHEAD_NANOS - System.nanoTime();
        }

        private long waitingNanos(long now) {
            return damaged ? waitedNanos + now - damagedNanos : waitedNanos;
        }

        /**
         * The time for {@link #activity}, which stands still while what was drawn waits for viewers: how often it would have changed meanwhile
         * can't be told, and on a slow link all pictures are slow ones.
         */
        private long activityMillis() {
            long now = System.nanoTime();
            return (now - waitingNanos(now)) / 1_000_000;
        }

        /** What draws an area as viewers are to have it. */
        private Command command(ViewerQueue.Piece piece) {
            Command made = shared.find(piece);
            if (made == null) {
                int[] pixels = shadow.copy(piece.area());
                made = piece.moving()
                        ? new Command.Video(piece.area(), pixels)
                        : classifier.apply(piece.area(), pixels);
                if (viewers.size() > 1) {
                    shared.add(piece, made);
                }
            }
            return made;
        }

        /** Whether somebody waits for what was drawn. */
        private boolean wanted() {
            for (Attached viewer : viewers) {
                if (viewer.hungry) {
                    return true;
                }
            }
            return false;
        }

        private void fetch() throws IOException {
            long began = System.nanoTime();
            Region damage = screen.takeDamage();
            lock.lock();
            try {
                if (held != this) {
                    return;
                }
                if (size.equals(shadow.bounds())) {
                    Shadow.Changes changes = shadow.update(screen, damage, activity.moving());
                    activity.changed(changes.changed(), activityMillis(), late);
                    if (changes.moves().isEmpty() && changes.changed().isEmpty()) {
                        return;
                    }
                    shared.changed(changes.changed());
                    for (Shadow.Move move : changes.moves()) {
                        shared.changed(Region.of(move.to()));
                    }
                    for (Attached viewer : viewers) {
                        viewer.queue.add(changes);
                    }
                } else {
                    lookAnew();
                    for (Attached viewer : viewers) {
                        viewer.queue.reset(size);
                        viewer.sizeDue = true;
                    }
                }
                for (Attached viewer : viewers) {
                    viewer.changed.signalAll();
                }
            } finally {
                lock.unlock();
                // At most half of a processor, and less where a program draws without end.
                pauseNanos = Math.max(PAUSE_NANOS_MIN, System.nanoTime() - began);
            }
        }

        /** @param givenBefore {@link #given} before the text was read: what a viewer has given since is newer */
        private void offer(String text, long givenBefore) {
            lock.lock();
            try {
                if (held == this) {
                    if (given == givenBefore) {
                        tell(new Viewer.Copied(text, !clipboardKnown), null);
                    }
                    clipboardKnown = true;
                }
            } finally {
                lock.unlock();
            }
        }

        /** Under lock: has all have this text but who gave it, unless they have it. */
        private void tell(Viewer.Copied copied, @Nullable Attached giver) {
            if (copied.text().equals(clipboard)) {
                return;
            }
            clipboard = copied.text();
            if (giver != null) {
                given++;
                giver.clipboard = null;
            }
            for (Attached viewer : viewers) {
                if (viewer != giver && viewer.options.control() && !clipboard.isEmpty()) {
                    viewer.clipboard = copied;
                    viewer.changed.signalAll();
                }
            }
        }
    }

    private static long nowMillis() {
        return System.nanoTime() / 1_000_000;
    }

    /** A viewer; all guarded by lock. */
    private final class Attached implements Viewer {
        private final Options options;
        /** Held, and taken before lock, while the screen is given keys and buttons: none is pressed once all have been released. */
        private final ReentrantLock input = new ReentrantLock();

        private final Condition changed = lock.newCondition();
        private final ViewerQueue queue;
        private final Set<Integer> pressed = new HashSet<>();
        private int buttons;
        private int pointerX;
        private int pointerY;
        private @Nullable CursorImage cursor;
        private @Nullable Position pointer;
        private @Nullable Copied clipboard;
        private @Nullable String ended;
        private boolean sizeDue;
        private boolean woken;
        private boolean hungry;
        private boolean controlsDue;
        private boolean bellDue;

        Attached(Options options) {
            this.options = options;
            this.queue = new ViewerQueue(new Rectangle(0, 0, 0, 0), options.video());
        }

        void show(Held screen) {
            queue.reset(screen.shadow.bounds());
            sizeDue = true;
            cursor = screen.cursor;
            tell(screen.pointer);
            changed.signalAll();
        }

        void tell(@Nullable Position moved) {
            if (options.pointer() && moved != null) {
                pointer = moved;
                changed.signalAll();
            }
        }

        @Override
        public Update take(long bytesMax, long millisMax) throws InterruptedException {
            long deadline = System.nanoTime() + millisMax * 1_000_000;
            lock.lockInterruptibly();
            try {
                while (true) {
                    Held now = held;
                    if (now != null) {
                        queue.settle(now.activity.moving());
                    }
                    boolean toDraw = now != null && bytesMax > 0 && !queue.isEmpty();
                    if (toDraw
                            || sizeDue
                            || cursor != null
                            || pointer != null
                            || clipboard != null
                            || controlsDue
                            || bellDue
                            || ended != null
                            || woken) {
                        return update(toDraw ? now : null, bytesMax);
                    }
                    long nanos = deadline - System.nanoTime();
                    if (nanos <= 0) {
                        return update(null, 0);
                    }
                    if (bytesMax > 0 && !hungry) {
                        hungry = true;
                        work.signalAll();
                    }
                    long ignored = changed.awaitNanos(nanos);
                }
            } finally {
                hungry = false;
                lock.unlock();
            }
        }

        private Update update(@Nullable Held drawn, long bytesMax) {
            List<Command> commands = new ArrayList<>();
            Held now = held;
            Optional<Rectangle> size = sizeDue && now != null ? Optional.of(now.shadow.bounds()) : Optional.empty();
            if (drawn != null) {
                Region moving = drawn.activity.moving();
                for (ViewerQueue.Piece piece : queue.take(bytesMax, moving, nowMillis(), commands)) {
                    commands.add(drawn.command(piece));
                }
            }
            Update update = new Update(
                    size,
                    Optional.ofNullable(cursor),
                    Optional.ofNullable(pointer),
                    Optional.ofNullable(clipboard),
                    controlsDue ? Optional.of(controls()) : Optional.empty(),
                    bellDue,
                    commands,
                    Optional.ofNullable(ended));
            sizeDue = sizeDue && now == null;
            cursor = null;
            pointer = null;
            clipboard = null;
            controlsDue = false;
            bellDue = false;
            woken = false;
            return update;
        }

        @Override
        public void wakeUp() {
            lock.lock();
            try {
                woken = true;
                changed.signalAll();
            } finally {
                lock.unlock();
            }
        }

        @Override
        public void wholePictures(boolean whole) {
            lock.lock();
            try {
                queue.wholePictures(whole);
            } finally {
                lock.unlock();
            }
        }

        @Override
        public void refresh() {
            lock.lock();
            try {
                Held now = held;
                if (now != null) {
                    show(now);
                }
            } finally {
                lock.unlock();
            }
        }

        /** @return the screen if this viewer may control it, and it is there */
        private @Nullable Screen controlled() {
            Held now = held;
            return options.control() && (alone == null || alone == this) && now != null ? now.screen : null;
        }

        @Override
        public void pointer(int x, int y, int nowButtons) throws IOException {
            input.lock();
            try {
                Screen screen;
                lock.lock();
                try {
                    screen = controlled();
                    if (screen != null) {
                        Rectangle bounds = present(held).size;
                        pointerX = Math.clamp(x, 0, bounds.width() - 1);
                        pointerY = Math.clamp(y, 0, bounds.height() - 1);
                        buttons = nowButtons;
                    }
                } finally {
                    lock.unlock();
                }
                if (screen != null) {
                    screen.pointer(pointerX, pointerY, nowButtons);
                }
            } finally {
                input.unlock();
            }
        }

        @Override
        public void key(int keysym, boolean down) throws IOException {
            input.lock();
            try {
                Screen screen;
                lock.lock();
                try {
                    screen = controlled();
                    if (screen != null) {
                        // What is not held can't be released: of a viewer that came with keys down.
                        boolean known = down ? pressed.add(keysym) : pressed.remove(keysym);
                        if (!known && !down) {
                            return;
                        }
                    }
                } finally {
                    lock.unlock();
                }
                if (screen != null) {
                    screen.key(keysym, down);
                }
            } finally {
                input.unlock();
            }
        }

        @Override
        public void resize(int width, int height) throws IOException {
            Screen screen;
            lock.lock();
            try {
                screen = controlled();
            } finally {
                lock.unlock();
            }
            if (screen != null) {
                Rectangle most = screen.maximum();
                screen.resize(
                        Math.clamp(width, Math.min(SIDE_MIN, most.width()), most.width()),
                        Math.clamp(height, Math.min(SIDE_MIN, most.height()), most.height()));
            }
        }

        @Override
        public void setClipboard(String text) throws IOException {
            Screen screen;
            lock.lock();
            try {
                screen = controlled();
                if (screen != null) {
                    present(held).tell(new Copied(text, false), this);
                }
            } finally {
                lock.unlock();
            }
            if (screen != null) {
                screen.setClipboard(text);
            }
        }

        private Controls controls() {
            return alone == null ? Controls.ALL : alone == this ? Controls.THIS_ALONE : Controls.ANOTHER_ALONE;
        }

        @Override
        public void controlAlone(boolean wanted) {
            List<Attached> losers = new ArrayList<>();
            lock.lock();
            try {
                if (!options.control() || !viewers.contains(this) || (wanted ? alone == this : alone != this)) {
                    return;
                }
                alone = wanted ? this : null;
                for (Attached viewer : viewers) {
                    viewer.tellControls();
                    if (wanted && viewer != this) {
                        losers.add(viewer);
                    }
                }
            } finally {
                lock.unlock();
            }
            for (Attached loser : losers) {
                loser.releaseAll();
            }
        }

        @Override
        public void takeOver(Viewer earlier) {
            lock.lock();
            try {
                if (alone == earlier && options.control() && viewers.contains(this)) {
                    alone = this;
                    tellControls();
                }
            } finally {
                lock.unlock();
            }
            earlier.close();
        }

        /** Under lock. */
        void tellControls() {
            controlsDue = true;
            changed.signalAll();
        }

        /** What it holds down. */
        private void releaseAll() {
            input.lock();
            try {
                releaseDown();
            } finally {
                input.unlock();
            }
        }

        private void releaseDown() {
            List<Integer> down;
            boolean buttonsDown;
            Held now;
            lock.lock();
            try {
                now = held;
                if (now != null && viewers.size() < 2) {
                    now.shared.clear();
                }
                down = List.copyOf(pressed);
                pressed.clear();
                buttonsDown = buttons != 0;
                buttons = 0;
            } finally {
                lock.unlock();
            }
            if (now == null) {
                return;
            }
            try {
                for (int keysym : down) {
                    now.screen.key(keysym, false);
                }
                if (buttonsDown) {
                    now.screen.pointer(pointerX, pointerY, 0);
                }
            } catch (IOException e) {
                now.lost(e);
            }
        }

        @Override
        public void close() {
            boolean there;
            lock.lock();
            try {
                if (!viewers.remove(this)) {
                    return;
                }
                ended = "closed";
                changed.signalAll();
                if (alone == this) {
                    alone = null;
                    for (Attached viewer : viewers) {
                        viewer.tellControls();
                    }
                }
                there = held != null;
            } finally {
                lock.unlock();
            }
            if (!there) {
                return;
            }
            releaseAll();
            transition.lock();
            try {
                releaseUnused();
            } finally {
                transition.unlock();
            }
        }
    }

    private boolean nobodyLooks() {
        lock.lock();
        try {
            return viewers.isEmpty();
        } finally {
            lock.unlock();
        }
    }
}
