package dev.satchel.display.web;

import dev.satchel.display.Command;
import dev.satchel.display.Display;
import dev.satchel.display.Motions;
import dev.satchel.display.Rectangle;
import dev.satchel.display.Viewer;
import dev.satchel.display.codec.FilmEncoder;
import dev.satchel.display.web.WebSocketInput.Violation;
import java.io.IOException;
import java.io.OutputStream;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One viewer's connection. The thread that runs {@link #run} reads; another one, which is the only one that sends, takes commands from
 * the viewer's queue as fast as {@link Pace} lets it. Whatever a peer does or leaves, it holds up these two threads and nobody else.
 */
final class ViewerStream {
    private static final long CLOSE_MILLIS_MAX = 1_000;
    private static final long TAKE_MILLIS = 3_600_000;
    /** About so much is one update: small enough that acknowledgements come while more is sent. */
    private static final int UPDATE_BYTES = 32 << 10;

    /** A display that can't be had is tried again after so long, and each time after twice that... */
    private static final long RETRY_NANOS_MIN = 100_000_000;
    /** ...up to this. */
    private static final long RETRY_NANOS_MAX = 2_000_000_000;

    private static final int PONGS_MAX = 16;
    private static final int STATES_MAX = 8;

    private final ViewerServer server;
    private final Socket raw;
    private final DeadlineInput in;
    private final WebSocketInput frames;
    private final WebSocketOutput out;
    private final boolean control;

    /** The lock for all below it, up to {@link #viewer}; never held while something is sent or the viewer is called. */
    private final Object lock = new Object();

    private final ArrayDeque<byte[]> pongs = new ArrayDeque<>();
    private final ArrayDeque<byte[]> states = new ArrayDeque<>();
    private byte @Nullable [] webSocketPong;
    private int closeCode;
    private boolean signalled;
    private boolean gone;
    private Viewer.@Nullable Options options;
    /** Streams that this one takes the place of. */
    private List<ViewerStream> earlier = List.of();

    /** When a display is tried next. */
    private long retryAtNanos = System.nanoTime();

    /** Made and closed by the thread that sends. */
    private volatile @Nullable Viewer viewer;

    private final Pace pace = new Pace();
    private volatile boolean filmsWanted;
    // Of the thread that sends.
    private boolean helloSent;
    private boolean ended;
    /** Whether the viewer was told that there is no display. */
    private boolean lost;

    private long retryNanos = RETRY_NANOS_MIN;

    private final Film film = new Film();

    /** @param raw below TLS if there is that: closing it never waits */
    ViewerStream(
            ViewerServer server,
            Socket raw,
            DeadlineInput in,
            OutputStream out,
            boolean control,
            long silenceMillisMax) {
        this.server = server;
        this.raw = raw;
        this.in = in;
        this.frames = new WebSocketInput(in, silenceMillisMax);
        this.out = new WebSocketOutput(out);
        this.control = control;
    }

    /** Serves the viewer until it goes, or is sent away; the socket is closed then. */
    void run() {
        // A thread of the system's, not a virtual one: encoding would keep others off their carriers.
        Thread sender = Thread.ofPlatform().daemon().name("viewer").start(this::send);
        boolean counted = false;
        try {
            readHello();
            counted = true;
            server.viewerCame();
            readMessages();
            leave(1000);
        } catch (Violation e) {
            leave(e.code);
        } catch (SocketTimeoutException e) {
            leave(1001);
        } catch (IOException e) {
            // It is gone without a word.
        } catch (RuntimeException e) {
            server.log("a viewer's message could not be handled: " + e);
            leave(1011);
        } finally {
            synchronized (lock) {
                gone = true;
            }
            wake();
            ViewerServer.closeQuietly(raw);
            ViewerServer.joinUninterruptibly(sender);
            if (counted) {
                server.viewerLeft(this);
            }
        }
    }

    /** Has the peer told why it is sent away, and gives it a moment to hear that: what is unread when a socket is closed destroys it. */
    private void leave(int code) {
        close(code);
        in.deadlineIn(CLOSE_MILLIS_MAX);
        in.drain();
    }

    // ---- What the server calls, from any thread

    void tellState(int state, String text) {
        synchronized (lock) {
            if (states.size() == STATES_MAX) {
                states.removeFirst();
            }
            states.addLast(Messages.state(state, text));
        }
        wake();
    }

    /** Has the connection closed once what was told before is sent. */
    void close(int code) {
        synchronized (lock) {
            if (closeCode == 0) {
                closeCode = code;
            }
        }
        wake();
    }

    /** Closes it at once. */
    void abort() {
        ViewerServer.closeQuietly(raw);
    }

    /** Has a display that could not be had tried now, not later. */
    void tryDisplay() {
        synchronized (lock) {
            retryAtNanos = System.nanoTime();
        }
        wake();
    }

    /** Has the sending thread look again what there is to do. */
    void wake() {
        synchronized (lock) {
            signalled = true;
            lock.notifyAll();
        }
        Viewer now = viewer;
        if (now != null) {
            now.wakeUp();
        }
    }

    // ---- Reading

    private void readHello() throws IOException {
        int kind;
        while ((kind = frames.nextWithin(server.helloMillisMax())) != WebSocketInput.BINARY) {
            if (!handleControl(kind)) {
                throw new IOException("the viewer left");
            }
        }
        ByteBuffer message = message();
        if (!message.hasRemaining()
                || message.get() != Messages.CLIENT_HELLO
                || (message.remaining() != 7 && message.remaining() != 7 + Messages.PAGE_BYTES)
                || u16(message) != Messages.VERSION) {
            throw new Violation(1002, "no HELLO of version " + Messages.VERSION);
        }
        message.getInt();
        int wants = message.get();
        filmsWanted = (wants & Messages.WANTS_FILMS) != 0;
        byte[] page = new byte[message.remaining()];
        message.get(page);
        List<ViewerStream> same = page.length == 0 ? List.of() : server.earlier(this, ByteBuffer.wrap(page));
        synchronized (lock) {
            earlier = same;
            options = new Viewer.Options(
                    control, (wants & Messages.WANTS_VIDEO) != 0, (wants & Messages.WANTS_POINTER) != 0);
        }
        wake();
    }

    private void readMessages() throws IOException {
        Motions motions = new Motions(this::pointer);
        while (true) {
            if (!frames.frameWaiting()) {
                motions.flush();
            }
            int kind = frames.next();
            ByteBuffer message = message();
            if (kind == WebSocketInput.BINARY && message.hasRemaining() && message.get(0) == Messages.CLIENT_POINTER) {
                message.get();
                require(message.remaining() == 6);
                motions.add(u16(message), u16(message), u16(message));
                continue;
            }
            motions.flush();
            if (kind != WebSocketInput.BINARY) {
                if (!handleControl(kind)) {
                    return;
                }
            } else {
                handle(message);
            }
        }
    }

    private ByteBuffer message() {
        return ByteBuffer.wrap(frames.message(), 0, frames.length()).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** @return false if the peer leaves */
    private boolean handleControl(int kind) {
        if (kind == WebSocketInput.PING) {
            synchronized (lock) {
                // Only the last must be answered (RFC 6455 §5.5.3).
                webSocketPong = frames.control();
            }
            wake();
        }
        return kind != WebSocketInput.CLOSE;
    }

    private void handle(ByteBuffer message) throws IOException {
        require(message.hasRemaining());
        int type = message.get();
        int length = message.remaining();
        Viewer now = viewer;
        switch (type) {
            case Messages.CLIENT_ACK -> {
                require(length == 4);
                acknowledge(message.getInt() & 0xffffffffL);
            }
            case Messages.CLIENT_KEY -> {
                require(length == 5);
                int keysym = message.getInt();
                int down = message.get();
                require(down == 0 || down == 1);
                if (control && now != null) {
                    ask(() -> now.key(keysym, down == 1));
                }
            }
            case Messages.CLIENT_CLIPBOARD -> {
                String text = text(message);
                if (control && now != null) {
                    ask(() -> now.setClipboard(text));
                }
            }
            case Messages.CLIENT_RESIZE -> {
                require(length == 4);
                int width = u16(message);
                int height = u16(message);
                if (control && now != null) {
                    ask(() -> now.resize(width, height));
                }
            }
            case Messages.CLIENT_PING -> {
                require(length <= Messages.PING_BYTES_MAX);
                synchronized (lock) {
                    if (pongs.size() == PONGS_MAX) {
                        pongs.removeFirst();
                    }
                    pongs.addLast(Messages.pong(frames.message(), message.position(), length));
                }
                wake();
            }
            case Messages.CLIENT_CONTROL -> {
                require(length == 1);
                int alone = message.get();
                require(alone == 0 || alone == 1);
                if (control && now != null) {
                    now.controlAlone(alone == 1);
                }
            }
            case Messages.CLIENT_REFRESH -> {
                require(length == 0);
                if (now != null) {
                    now.refresh();
                } else {
                    tryDisplay();
                }
            }
            default -> throw new Violation(1002, "a message of type " + type);
        }
    }

    private void acknowledge(long serial) throws IOException {
        boolean roomNow;
        synchronized (pace) {
            long now = System.nanoTime();
            boolean roomBefore = pace.room(now) > 0;
            if (!pace.acknowledged(serial, now)) {
                throw new Violation(1002, "an ACK of what was not sent");
            }
            roomNow = !roomBefore && pace.room(now) > 0;
        }
        if (roomNow) {
            wake();
        }
    }

    private void pointer(int x, int y, int buttons) {
        Viewer now = viewer;
        if (control && now != null) {
            ask(() -> now.pointer(x, y, buttons));
        }
    }

    private interface Input {
        void give() throws IOException;
    }

    /** What is typed at a display that is just being lost goes nowhere; that it is lost is told by the other direction. */
    private static void ask(Input input) {
        try {
            input.give();
        } catch (IOException e) {
            // See above.
        }
    }

    private static void require(boolean wellFormed) throws Violation {
        if (!wellFormed) {
            throw new Violation(1002, "a malformed message");
        }
    }

    private static int u16(ByteBuffer message) {
        return message.getShort() & 0xffff;
    }

    private static String text(ByteBuffer message) throws Violation {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .onMalformedInput(CodingErrorAction.REPORT)
                    .decode(message)
                    .toString();
        } catch (CharacterCodingException e) {
            throw new Violation(1002, "text that is not UTF-8");
        }
    }

    // ---- Sending

    private void send() {
        try {
            while (sendWaiting()) {
                Viewer to = viewer != null ? viewer : attach();
                if (to == null) {
                    awaitSignal();
                    continue;
                }
                long room;
                long before = System.nanoTime();
                synchronized (pace) {
                    room = pace.room(before);
                }
                Viewer.Update update = to.take(room, TAKE_MILLIS);
                if (room > 0 && System.nanoTime() - before > 1_000_000) {
                    synchronized (pace) {
                        pace.idle();
                    }
                }
                send(update);
            }
        } catch (IOException e) {
            // The peer is gone; whoever reads will see it too.
            abort();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            abort();
        } catch (RuntimeException e) {
            server.log("a viewer is given up: " + e);
            abort();
        } finally {
            film.end();
            Viewer last = viewer;
            viewer = null;
            if (last != null) {
                last.close();
            }
        }
    }

    /** Sends what goes before pixels. @return false if nothing is to be sent any more */
    private boolean sendWaiting() throws IOException {
        while (true) {
            byte[] message;
            byte[] pong;
            int close;
            synchronized (lock) {
                if (gone || ended) {
                    return false;
                }
                pong = webSocketPong;
                webSocketPong = null;
                // States only after HELLO.
                message = helloSent ? states.pollFirst() : null;
                if (message == null) {
                    message = pongs.pollFirst();
                }
                close = closeCode;
            }
            if (pong != null) {
                out.control(WebSocketOutput.PONG, pong);
            }
            if (message != null) {
                out.message(message, List.of());
            } else if (pong == null) {
                if (close == 0) {
                    return true;
                }
                out.control(WebSocketOutput.CLOSE, new byte[] {(byte) (close >> 8), (byte) close});
                raw.shutdownOutput();
                ended = true;
                return false;
            }
        }
    }

    /** Waits until there is something to do, or a display is to be tried. */
    private void awaitSignal() throws InterruptedException {
        synchronized (lock) {
            while (!signalled) {
                if (options == null) {
                    lock.wait();
                    continue;
                }
                long nanos = retryAtNanos - System.nanoTime();
                if (nanos <= 0) {
                    break;
                }
                lock.wait(nanos / 1_000_000 + 1);
            }
            signalled = false;
        }
    }

    /** @return null if there is no display, and the viewer has been told so */
    private @Nullable Viewer attach() throws IOException {
        Viewer.Options wanted;
        List<ViewerStream> replaced;
        synchronized (lock) {
            wanted = options;
            if (wanted == null || System.nanoTime() - retryAtNanos < 0) {
                return null;
            }
            retryAtNanos = System.nanoTime() + retryNanos;
            replaced = earlier;
            earlier = List.of();
        }
        Viewer attached;
        byte[] hello;
        try {
            Display display = server.display();
            hello = Messages.hello(display.bounds(), display.maximum(), control, server.session());
            attached = display.attach(wanted);
            for (ViewerStream stream : replaced) {
                Viewer given = stream.viewer;
                if (given != null) {
                    attached.takeOver(given);
                }
            }
        } catch (IOException e) {
            retryNanos = Math.min(2 * retryNanos, RETRY_NANOS_MAX);
            if (!helloSent) {
                Rectangle none = new Rectangle(0, 0, 0, 0);
                out.message(Messages.hello(none, none, control, server.session()), List.of());
                helloSent = true;
            }
            tellLost(e.getMessage() == null ? "there is no display" : e.getMessage());
            return null;
        } finally {
            replaced.forEach(ViewerStream::abort);
        }
        // Before it is told: what it does from then on must arrive.
        viewer = attached;
        out.message(hello, List.of());
        byte[] state = server.state(lost);
        if (state != null && (lost || !helloSent)) {
            out.message(state, List.of());
        }
        helloSent = true;
        lost = false;
        retryNanos = RETRY_NANOS_MIN;
        synchronized (lock) {
            if (signalled) {
                // By somebody who saw no viewer to wake.
                attached.wakeUp();
            }
        }
        return attached;
    }

    private void tellLost(String why) throws IOException {
        if (!lost) {
            // Of a session that is suspended it is no news; who comes only now does not know that yet.
            byte[] state = server.state(false);
            out.message(state != null ? state : Messages.state(ViewerServer.STATE_LOST, why), List.of());
        }
        lost = true;
    }

    private void send(Viewer.Update update) throws IOException, InterruptedException {
        if (update.size().isPresent()) {
            out.message(Messages.size(update.size().get()), List.of());
        }
        if (update.cursor().isPresent()) {
            out.message(Messages.cursor(update.cursor().get()), List.of());
        }
        if (update.pointer().isPresent()) {
            out.message(Messages.pointer(update.pointer().get()), List.of());
        }
        if (control && update.clipboard().isPresent()) {
            Viewer.Copied copied = update.clipboard().get();
            byte[] text = copied.text().getBytes(StandardCharsets.UTF_8);
            if (text.length <= Messages.CLIPBOARD_BYTES_MAX) {
                int type = copied.there() ? Messages.CLIPBOARD_THERE : Messages.CLIPBOARD;
                out.message(Messages.text(type, text), List.of());
            }
        }
        if (control && update.controls().isPresent()) {
            out.message(Messages.control(update.controls().get()), List.of());
        }
        if (update.bell()) {
            out.message(new byte[] {Messages.BELL}, List.of());
        }
        film.next(update);
        List<byte[]> batch = new ArrayList<>();
        int bytes = 0;
        for (Command command : update.commands()) {
            byte[] encoded = film.encode(command);
            if (encoded == null) {
                encoded = server.encoded().encode(command, server.viewers() > 1);
            }
            if (bytes > 0 && bytes + encoded.length > UPDATE_BYTES && maySplit()) {
                sendUpdate(batch, bytes);
                batch.clear();
                bytes = 0;
                if (!sendWaiting()) {
                    return;
                }
            }
            batch.add(encoded);
            bytes += encoded.length;
        }
        if (bytes > 0) {
            sendUpdate(batch, bytes);
        }
        if (update.ended().isPresent()) {
            Viewer ended = viewer;
            viewer = null;
            if (ended != null) {
                ended.close();
            }
            tellLost(update.ended().get());
        }
    }

    private boolean maySplit() {
        synchronized (pace) {
            return pace.unacknowledged() < Pace.UPDATES_MAX - 2;
        }
    }

    private void sendUpdate(List<byte[]> commands, int bytes) throws IOException {
        long serial;
        synchronized (pace) {
            serial = pace.sent(WebSocketOutput.framed(5L + bytes), System.nanoTime());
        }
        out.message(Messages.update(serial), commands);
    }

    /**
     * The moving picture that a viewer is sent as VP8, if its link is too slow for pictures by themselves. Of the thread that sends.
     */
    private final class Film {
        /** Of JPEG, about what a film needs. */
        private static final double BYTES_PER_PIXEL = 0.16;

        private static final double PER_SECOND = 24;
        /** Of what the link carries: the rest is for all else, and for frames that are longer than others. */
        private static final double SHARE = 0.75;
        /** As long as nothing waits on the link, each second so much more: what is sent does not tell what more the link would carry. */
        private static final double GROWTH = 1.25;

        private static final double GROWTH_MAX = 32;
        private static final long GROWTH_NANOS = 1_000_000_000;
        /** After so long without it, it has come to rest. */
        private static final long REST_NANOS = 500_000_000;

        /** From now on pictures come whole. */
        private boolean begun;

        private @Nullable FilmEncoder encoder;
        private long lastNanos;
        private double growth;
        private long grownNanos;

        private long bytesPerSecond() {
            synchronized (pace) {
                return pace.bytesPerSecond();
            }
        }

        private int kilobits(long bytesPerSecond) {
            boolean queued;
            synchronized (pace) {
                queued = pace.queued();
            }
            long now = System.nanoTime();
            if (queued) {
                growth = 1;
                grownNanos = now;
            } else if (now - grownNanos > GROWTH_NANOS) {
                growth = Math.min(growth * GROWTH, GROWTH_MAX);
                grownNanos = now;
            }
            return (int) Math.min(Integer.MAX_VALUE, (long) (bytesPerSecond * growth * SHARE * 8 / 1000));
        }

        /** Before an update is sent. */
        void next(Viewer.Update update) {
            boolean moves = false;
            for (Command command : update.commands()) {
                moves |= command instanceof Command.Video;
            }
            if (begun && !update.commands().isEmpty() && !moves && System.nanoTime() - lastNanos > REST_NANOS) {
                end();
            }
        }

        /** @return null if it is to be encoded as for everybody */
        byte @Nullable [] encode(Command command) {
            if (!filmsWanted || !(command instanceof Command.Video video)) {
                return null;
            }
            double needed = video.area().area() * BYTES_PER_PIXEL * PER_SECOND;
            long rate = bytesPerSecond();
            if (!begun) {
                if (rate > 0 && rate < needed && server.beginFilm()) {
                    begun = true;
                    lastNanos = System.nanoTime();
                    growth = 1;
                    grownNanos = lastNanos;
                    whole(true);
                }
                return null; // this one is not whole yet
            }
            if (rate > 2 * needed) {
                end();
                return null;
            }
            FilmEncoder now = encoder;
            if (now != null && !video.area().equals(now.area())) {
                if (video.area().area() < now.area().area() && System.nanoTime() - lastNanos < REST_NANOS) {
                    return null; // another, smaller one
                }
                now.close();
                now = null;
            }
            int kilobits = kilobits(rate);
            try {
                encoder = now == null ? new FilmEncoder(video.area(), kilobits) : now;
            } catch (UnsupportedOperationException e) {
                encoder = null;
                filmsWanted = false;
                server.log("films are sent as pictures: " + e.getMessage());
                end();
                return null;
            }
            lastNanos = System.nanoTime();
            return encoder.encode(video, kilobits, lastNanos / 1_000_000);
        }

        private void whole(boolean wanted) {
            Viewer to = viewer;
            if (to != null) {
                to.wholePictures(wanted);
            }
        }

        void end() {
            FilmEncoder last = encoder;
            encoder = null;
            if (last != null) {
                last.close();
            }
            if (begun) {
                begun = false;
                server.endFilm();
                whole(false);
            }
        }
    }
}
