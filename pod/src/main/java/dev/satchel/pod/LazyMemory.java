package dev.satchel.pod;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.satchel.linux.Fd;
import dev.satchel.linux.Poll;
import dev.satchel.linux.Processes;
import dev.satchel.linux.Uninterruptible;
import dev.satchel.linux.UnixSocket;
import dev.satchel.linux.Userfaultfd;
import dev.satchel.vault.ChunkRef;
import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * The memory that processes are restored without: brought when they touch it, and all the rest behind that, until nothing is
 * missing. Stands where CRIU expects its own {@code lazy-pages} daemon (criu/uffd.c): for each process CRIU passes a userfaultfd(2)
 * over a socket, and at last says that all are restored.
 *
 * <p>As long as something is missing the processes depend on this one: they would read zeros if it ended. A page that can't be read
 * stops the whole session until it can.
 */
final class LazyMemory implements Closeable {
    /** What CRIU connects to, in its working directory. */
    static final String SOCKET = "lazy-pages.socket";

    /** What CRIU sends behind the last process: "RSTF". */
    private static final int RESTORED = 0x5253_5446;

    private static final int FILLERS_MAX = 4;
    private static final int FILLER_NICE = 10;
    private static final int ANNOUNCED_BEHIND = 8; // windows
    private static final long EVENT_MILLIS = 1;
    private static final long RETRY_MILLIS_FIRST = 250;
    private static final long RETRY_MILLIS_MAX = 5_000;

    /** Stops and continues the processes that depend on what can't be read. Called by any thread, one at a time. */
    interface Valve {
        /** Something can't be read that none of them has asked for yet. */
        void missing(IOException cause);

        void stop(IOException cause) throws IOException;

        /** What they were stopped for has been read. */
        void go() throws IOException;

        /** What was {@link #missing} has been read before any of them asked for it. */
        void found();
    }

    /** What may be ready to be read, in {@link #poll}. */
    private sealed interface Ready {
        record Woken() implements Ready {}

        record Asked() implements Ready {}

        record Told(UnixSocket criu) implements Ready {}

        record Happened(ServedMemory memory) implements Ready {}
    }

    private Map<Integer, AddressSpace> spaces; // the listener's
    private final Closeable images;
    private final MemoryGuard guard;
    private final Valve valve;
    private final Fd directory;
    private final UnixSocket server;
    private final Fd.Pipe wake;
    private final Poll<Ready> poll = new Poll<>();
    private final Thread listener;
    private final List<Thread> fillers = new ArrayList<>(); // the listener's, until it has ended
    private final AtomicBoolean released = new AtomicBoolean();

    // Guarded by this.
    private final List<Progress> served = new ArrayList<>();
    private boolean restored;
    private boolean whole;
    private boolean closed;
    private int helpers;
    private @Nullable IOException failure;

    /** What is the matter as long as nothing can be read. */
    private @Nullable IOException unreadable;

    /** Held while the valve is told something. Not taken by who holds the outer one. */
    private final Object telling = new Object();

    private Told told = Told.NOTHING; // guarded by telling

    private enum Told {
        NOTHING,
        MISSING,
        STOPPED,
    }

    /** How far filling has come with a process. Guarded by the outer one. */
    private static final class Progress {
        private final ServedMemory memory;
        private int next; // window
        private int announced; // up to which window

        Progress(ServedMemory memory) {
            this.memory = memory;
        }
    }

    /**
     * A window that a filler is to bring.
     *
     * @param announcing whether what comes behind it is to be announced
     */
    private record Task(ServedMemory memory, int window, boolean announcing) {}

    private LazyMemory(
            Map<Integer, AddressSpace> spaces,
            Closeable images,
            MemoryGuard guard,
            Valve valve,
            Fd directory,
            UnixSocket server)
            throws IOException {
        this.spaces = spaces;
        this.images = images;
        this.guard = guard;
        this.valve = valve;
        this.directory = directory;
        this.server = server;
        wake = Fd.pipe();
        listener = Thread.ofPlatform().name("memory").daemon().start(this::listen);
    }

    /**
     * Begins to listen for CRIU.
     *
     * @param work CRIU's working directory
     * @param spaces by pid in the pod
     * @param images what they are read from; closed when nothing is missing any more, or by {@link #close}
     * @param guard closed likewise
     */
    static LazyMemory listen(
            Path work, Map<Integer, AddressSpace> spaces, Closeable images, MemoryGuard guard, Valve valve)
            throws IOException {
        Files.deleteIfExists(work.resolve(SOCKET));
        Fd directory = Fd.open(work, Fd.O_PATH | Fd.O_DIRECTORY | Fd.O_CLOEXEC);
        try {
            // By a name that is short enough for a socket's address wherever the directory is.
            return new LazyMemory(
                    spaces,
                    images,
                    guard,
                    valve,
                    directory,
                    UnixSocket.listen(directory.path().resolve(SOCKET)));
        } catch (IOException | RuntimeException e) {
            directory.close();
            throw e;
        }
    }

    private void listen() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment window = arena.allocate(ChunkRef.LENGTH_MAX, 64);
            poll.add(wake.reader(), new Ready.Woken());
            poll.add(server.fd(), new Ready.Asked());
            while (!ended()) {
                poll.await();
                for (int i = poll.size() - 1; i >= 0; i--) {
                    if (poll.ready(i)) {
                        attend(i, window);
                    }
                }
            }
            if (!isClosed()) {
                release();
            }
        } catch (IOException | RuntimeException e) {
            fail(e);
        }
    }

    private synchronized boolean isClosed() {
        return closed;
    }

    private synchronized boolean ended() {
        return closed || whole;
    }

    /** Nothing can be brought any more: nobody is to go on without. */
    private void fail(Exception e) {
        IOException cause = e instanceof IOException known ? known : new IOException(e);
        synchronized (this) {
            if (failure != null || closed) {
                return;
            }
            failure = cause;
            notifyAll();
        }
        try {
            stop(cause);
        } catch (IOException | RuntimeException again) {
            e.addSuppressed(again);
        }
    }

    private void attend(int index, MemorySegment window) throws IOException {
        switch (poll.member(index)) {
            case Ready.Woken _ -> settle();
            case Ready.Asked _ -> {
                UnixSocket criu = server.accept();
                poll.add(criu.fd(), new Ready.Told(criu));
            }
            case Ready.Told told -> {
                if (!hear(told.criu())) {
                    poll.remove(index);
                    told.criu().close();
                }
            }
            case Ready.Happened happened -> follow(happened.memory(), window);
        }
    }

    /** @return false if CRIU has said all it has to say */
    private boolean hear(UnixSocket criu) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment number = arena.allocate(4, 4);
            if (!criu.receive(number)) {
                return false;
            }
            int pid = number.get(JAVA_INT, 0);
            if (pid == RESTORED) {
                fillUp();
                return true;
            }
            if (pid < 0) {
                return true; // a zombie has no memory
            }
            Userfaultfd faults = new Userfaultfd(criu.receiveDescriptor("userfaultfd of process " + pid));
            AddressSpace space = spaces.get(pid);
            if (space == null) {
                faults.close();
                throw new IOException("the checkpoint has no memory of process " + pid);
            }
            serve(ServedMemory.of(space, faults));
            return true;
        }
    }

    private void serve(ServedMemory memory) throws IOException {
        guard.keep(memory.faults());
        synchronized (this) {
            served.add(new Progress(memory));
            notifyAll();
        }
        poll.add(memory.faults().fd(), new Ready.Happened(memory));
    }

    /** Does what a process waits for. */
    private void follow(ServedMemory memory, MemorySegment window) throws IOException {
        ArrayDeque<Long> waiting = new ArrayDeque<>();
        while (!ended()) {
            ServedMemory.Request request = memory.next();
            switch (request) {
                case null -> {
                    if (waiting.isEmpty()) {
                        return;
                    }
                    if (bring(memory, waiting.getFirst(), window) == ServedMemory.Outcome.DONE) {
                        waiting.removeFirst();
                    }
                }
                case ServedMemory.Request.Page page -> waiting.addLast(page.address());
                case ServedMemory.Request.Child child -> serve(child.memory());
                case ServedMemory.Request.Nothing _ -> {}
            }
        }
    }

    private ServedMemory.Outcome bring(ServedMemory memory, long address, MemorySegment buffer) throws IOException {
        int window = memory.window(address);
        if (window < 0) {
            return memory.zero(address);
        }
        decodeForSure(memory, window, buffer);
        return memory.bring(window, buffer, isRestored());
    }

    /** Has everybody stand still as long as a page that somebody needs can't be read. */
    private void decodeForSure(ServedMemory memory, int window, MemorySegment buffer) throws IOException {
        boolean stopped = false;
        for (long pause = RETRY_MILLIS_FIRST; ; pause = Math.min(2 * pause, RETRY_MILLIS_MAX)) {
            try {
                announce(memory, window + 1, ANNOUNCED_BEHIND); // who reads on there need not wait as long again
                memory.space().pages().decode(window, buffer);
                readable(null);
                break;
            } catch (IOException e) {
                readable(e);
                if (!stopped) {
                    stopped = true;
                    stop(e);
                }
                if (!pause(pause)) {
                    throw e;
                }
            }
        }
        if (stopped) {
            allIsWell();
        }
    }

    private void stop(IOException cause) throws IOException {
        synchronized (telling) {
            told = Told.STOPPED;
            valve.stop(cause);
        }
    }

    private void tellMissing(IOException cause) {
        synchronized (telling) {
            if (told == Told.NOTHING) {
                told = Told.MISSING;
                valve.missing(cause);
            }
        }
    }

    private void allIsWell() throws IOException {
        synchronized (telling) {
            Told before = told;
            told = Told.NOTHING;
            switch (before) {
                case NOTHING -> {}
                case MISSING -> valve.found();
                case STOPPED -> valve.go();
            }
        }
    }

    private synchronized void readable(@Nullable IOException trouble) {
        boolean was = unreadable != null;
        unreadable = trouble;
        if (was || trouble != null) {
            notifyAll();
        }
    }

    /** @return false if this was closed meanwhile */
    private synchronized boolean pause(long millis) {
        long end = System.nanoTime() + millis * 1_000_000;
        for (long left = millis; !closed && left > 0; left = (end - System.nanoTime()) / 1_000_000) {
            try {
                wait(left);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return false;
            }
        }
        return !closed;
    }

    private synchronized boolean isRestored() {
        return restored;
    }

    /** All processes are there: begins to bring what none of them has asked for. */
    private synchronized void fillUp() {
        restored = true;
        for (int i = 0; i < FILLERS_MAX && i < Runtime.getRuntime().availableProcessors(); i++) {
            fillers.add(Thread.ofPlatform().name("memory-" + i).daemon().start(this::fill));
        }
    }

    private void fill() {
        Processes.beNice(FILLER_NICE); // programs first
        try {
            bringTheRest(true);
        } catch (IOException | RuntimeException e) {
            fail(e);
        }
    }

    /**
     * Brings what nobody has asked for, until there is no more of it, or this is closed.
     *
     * @param patient whether to try again, for ever, what can't be read
     */
    private void bringTheRest(boolean patient) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(ChunkRef.LENGTH_MAX, 64);
            long pause = RETRY_MILLIS_FIRST;
            for (Task task = nextTask(); task != null; task = nextTask()) {
                try {
                    if (task.announcing()) {
                        announce(task.memory(), task.window(), CheckpointPages.ANNOUNCED);
                    }
                    task.memory().space().pages().decode(task.window(), buffer);
                    readable(null);
                    pause = RETRY_MILLIS_FIRST;
                } catch (IOException e) {
                    readable(e);
                    tellMissing(e); // no program has asked for it yet
                    if (!patient || !pause(pause)) {
                        return;
                    }
                    pause = Math.min(2 * pause, RETRY_MILLIS_MAX);
                    continue;
                }
                if (task.memory().bring(task.window(), buffer, true) == ServedMemory.Outcome.EVENT) {
                    pause(EVENT_MILLIS); // the listener reads it
                }
            }
        }
    }

    /** @return null if there is nothing to do any more */
    private synchronized @Nullable Task nextTask() {
        if (closed) {
            return null;
        }
        for (Progress one : served) {
            int window = one.memory.nextMissing(one.next);
            if (window < 0 && one.next > 0) {
                window = one.memory.nextMissing(0); // what could not be brought at once
            }
            if (window >= 0) {
                boolean announcing = window + CheckpointPages.ANNOUNCED / 2 > one.announced || window < one.next - 1;
                if (announcing) {
                    one.announced = window + CheckpointPages.ANNOUNCED;
                }
                one.next = window + 1;
                return new Task(one.memory, window, announcing);
            }
        }
        wake();
        return null;
    }

    /** Has a place that is far away asked for what is missing of so many windows. */
    private static void announce(ServedMemory memory, int window, int count) throws IOException {
        CheckpointPages pages = memory.space().pages();
        if (pages.isAnnouncing()) {
            pages.announce(memory.missing(window, count));
        }
    }

    /** Has the listener look around; it is there, or nobody but {@link #close} calls this. */
    private void wake() {
        try (Arena arena = Arena.ofConfined()) {
            wake.writer().write(arena.allocate(1));
        } catch (IOException e) {
            fail(e);
        }
    }

    /** Looks whether nothing is missing any more. Until then processes that have all are served, too: the guard has a part in them. */
    private void settle() throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            wake.reader().read(arena.allocate(64));
        }
        synchronized (this) {
            for (Progress one : served) {
                if (!restored || !one.memory.isWhole()) {
                    return;
                }
            }
        }
        allIsWell(); // before anybody, whom it makes go on, freezes them
        synchronized (this) {
            whole = true;
            notifyAll();
        }
    }

    /**
     * Waits until nothing is missing any more, and helps.
     *
     * @throws IOException at once if what is missing can't be read now
     */
    void complete() throws IOException {
        if (beginToHelp()) {
            try {
                bringTheRest(false);
            } finally {
                endHelp();
            }
        }
        awaitWhole();
    }

    private synchronized boolean beginToHelp() {
        boolean needed = restored && !whole && !closed && failure == null && unreadable == null;
        helpers += needed ? 1 : 0;
        return needed;
    }

    private synchronized void endHelp() {
        helpers--;
        notifyAll();
    }

    private synchronized void awaitHelpers() {
        boolean interrupted = false;
        while (helpers > 0) {
            try {
                wait();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private synchronized void awaitWhole() throws IOException {
        while (!whole) {
            IOException cause = failure != null ? failure : unreadable;
            if (cause != null) {
                throw new IOException(
                        "part of the session's memory is still in the vault and can't be read (" + cause.getMessage()
                                + "): make it reachable and try again",
                        cause);
            }
            if (closed) {
                throw new IOException("the session has ended");
            }
            try {
                wait();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException("interrupted while the session's memory was being brought", e);
            }
        }
    }

    /** When something is missing yet, the processes must have ended: whoever waits reads zeros. */
    @Override
    public void close() throws IOException {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            notifyAll();
        }
        if (!released.get()) {
            wake();
        }
        Uninterruptible.join(listener);
        release();
    }

    /** Gives back what is not needed any more. By the listener, or when that has ended. */
    private void release() throws IOException {
        if (!released.compareAndSet(false, true)) {
            return;
        }
        fillers.forEach(Uninterruptible::join);
        awaitHelpers();
        guard.close();
        // What it knows of the processes' memory is megabytes; the session may run for weeks.
        for (int i = poll.size() - 1; i >= 0; i--) {
            switch (poll.member(i)) {
                case Ready.Told told -> told.criu().close();
                case Ready.Happened happened -> happened.memory().close();
                case Ready.Woken _, Ready.Asked _ -> {}
            }
            poll.remove(i);
        }
        spaces = Map.of();
        synchronized (this) {
            served.clear();
        }
        wake.close();
        server.close();
        directory.close();
        images.close();
    }
}
