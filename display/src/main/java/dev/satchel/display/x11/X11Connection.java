package dev.satchel.display.x11;

import java.io.EOFException;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ClosedSelectorException;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A connection to an X server: requests out, replies and events in (X Window System Protocol, version 11, "Protocol Formats" and
 * appendix B, "Protocol Encoding"). Requests may be sent by any thread; once it is started, one thread reads, and gives events to the
 * handler, who is not to wait for replies. Owned by who opened it.
 *
 * <p>The server is not trusted. A reply is kept up to the size that was asked for, the rest of it is skipped; what is waited for is waited for
 * five seconds at most, that the server takes what is sent to it included; what does not follow the protocol ends the connection.
 */
final class X11Connection implements AutoCloseable {
    /** What is told of a connection, on its reading thread. */
    interface Handler {
        /** @param event 32 bytes, little-endian, of use only until this returns; its first byte without the mark of events that clients sent */
        void event(ByteBuffer event) throws IOException;

        /** Once, if the server ended the connection or sent nonsense; not after {@link X11Connection#close}. */
        void ended(IOException reason);
    }

    /** An extension's numbers, as the server gave them out. */
    record Extension(int opcode, int firstEvent) {}

    /** The server answered with an error; the connection goes on. */
    static final class RefusedException extends IOException {
        private static final long serialVersionUID = 1;

        RefusedException(String message, @Nullable Throwable cause) {
            super(message, cause);
        }
    }

    private static final int SETUP_BYTES_MAX = 4 * 65535;
    /** What is asked for without saying how much it may be. */
    private static final int REPLY_BYTES_MAX = 64 << 10;
    /** Nothing that is longer was ever meant to be read. */
    private static final long MESSAGE_BYTES_MAX = 64 << 20;

    private static final int PENDING_MAX = 1024;
    private static final int EARLY_MAX = 1024;
    /** So that the sixteen bits of a request's number that come back tell which one is meant. */
    private static final int UNASKED_MAX = 1 << 14;

    private static final int BUFFER_BYTES = 16 << 10;
    private static final int UNIT = 32;
    private static final int ERROR = 0;
    private static final int REPLY = 1;
    private static final int GENERIC_EVENT = 35;
    private static final int KEYMAP_NOTIFY = 11;
    private static final int WAIT_MILLIS_MAX = 5000;
    private static final int READER_END_MILLIS_MAX = 500;

    /** A reply that somebody waits for, or an error instead. */
    private record Pending(long number, int bytesMax, CompletableFuture<ByteBuffer> answer) {}

    private final SocketChannel channel;
    private final Selector readable;
    private final Selector writable;
    private final int rootWindow;
    private final int keycodeMin;
    private final int keycodeMax;
    private final int idBase;
    private final int idMask;

    // Of the one thread that reads: who opened it, until there is one for that.
    private final ByteBuffer in = ByteBuffer.allocateDirect(BUFFER_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    private final ByteBuffer unit = ByteBuffer.allocate(UNIT).order(ByteOrder.LITTLE_ENDIAN);
    private final ArrayDeque<byte[]> early = new ArrayDeque<>();
    private long heard;

    /** Orders requests, so that their numbers are in the order in which they go out. Guards what is below, and the channel's sending. */
    private final ReentrantLock sending = new ReentrantLock();

    private final ByteBuffer out = ByteBuffer.allocateDirect(BUFFER_BYTES);
    private final ArrayDeque<Pending> pending = new ArrayDeque<>();
    private long sent;
    private long asked;
    private int ids;
    private @Nullable IOException broken;

    private volatile boolean closed;
    private volatile @Nullable Thread reader;

    /**
     * Connects and reads the server's setup. Until {@link #start}, replies are read by who asks for them, and events kept.
     *
     * @throws IOException if there is no server, it refuses, does not answer, or does not speak X11
     */
    X11Connection(UnixDomainSocketAddress address) throws IOException {
        channel = SocketChannel.open(java.net.StandardProtocolFamily.UNIX);
        @Nullable Selector reads = null;
        @Nullable Selector writes = null;
        try {
            channel.configureBlocking(false);
            reads = Selector.open();
            writes = Selector.open();
            // unix(7): EAGAIN if as many wait already as the server lets.
            if (!channel.connect(address)) {
                throw new IOException("the X server takes no connections");
            }
            channel.register(reads, SelectionKey.OP_READ);
            channel.register(writes, SelectionKey.OP_WRITE);
            readable = reads;
            writable = writes;
            long deadline = deadline();
            in.limit(0);
            // "Connection Setup": byte order, version 11.0, no authority.
            out.put((byte) 'l').put((byte) 0).put((byte) 11).put(new byte[9]);
            flush();
            byte[] head = new byte[8];
            read(head, 0, 8, deadline);
            ByteBuffer start = ByteBuffer.wrap(head).order(ByteOrder.LITTLE_ENDIAN);
            byte[] setup = new byte[Math.min(4 * (start.getShort(6) & 0xffff), SETUP_BYTES_MAX)];
            read(setup, 0, setup.length, deadline);
            if (head[0] != 1) {
                throw new IOException(
                        "the X server refuses: " + printable(setup, Math.min(head[1] & 0xff, setup.length)));
            }
            ByteBuffer body = ByteBuffer.wrap(setup).order(ByteOrder.LITTLE_ENDIAN);
            idBase = body.getInt(4);
            idMask = body.getInt(8);
            int vendorBytes = body.getShort(16) & 0xffff;
            int screens = body.get(20) & 0xff;
            int formats = body.get(21) & 0xff;
            keycodeMin = body.get(26) & 0xff;
            keycodeMax = body.get(27) & 0xff;
            rootWindow = body.getInt(32 + (vendorBytes + 3) / 4 * 4 + 8 * formats);
            if (screens == 0 || keycodeMin < 8 || keycodeMax < keycodeMin || idMask == 0 || (idBase & idMask) != 0) {
                throw new IOException("the X server's setup makes no sense");
            }
        } catch (IOException | RuntimeException e) {
            channel.close();
            if (reads != null) {
                reads.close();
            }
            if (writes != null) {
                writes.close();
            }
            if (e instanceof IndexOutOfBoundsException) {
                throw new IOException("the X server's setup is too short", e);
            }
            throw e;
        }
    }

    private static String printable(byte[] text, int length) {
        StringBuilder shown = new StringBuilder(new String(text, 0, length, StandardCharsets.ISO_8859_1));
        for (int i = 0; i < shown.length(); i++) {
            if (shown.charAt(i) < ' ' || shown.charAt(i) > '~') {
                shown.setCharAt(i, '?');
            }
        }
        return shown.toString();
    }

    /** From now on a thread reads, and tells what comes, first what came already. */
    void start(Handler handler) {
        Thread thread = Thread.ofPlatform().name("x11").daemon().unstarted(() -> follow(handler));
        reader = thread;
        thread.start();
    }

    int rootWindow() {
        return rootWindow;
    }

    int keycodeMin() {
        return keycodeMin;
    }

    int keycodeMax() {
        return keycodeMax;
    }

    /** @return an id for a new resource */
    int newId() {
        sending.lock();
        try {
            return idBase | (++ids & idMask);
        } finally {
            sending.unlock();
        }
    }

    /**
     * Sends requests, with nobody else's between them. What is wrong with one comes as an error that nobody waits for.
     *
     * @param requests without replies
     */
    void send(Request... requests) throws IOException {
        sending.lock();
        try {
            requireOpen();
            for (Request request : requests) {
                put(request);
            }
            if (sent - asked > UNASKED_MAX) {
                put(new Request(43, 0), REPLY_BYTES_MAX, new CompletableFuture<>()); // GetInputFocus
            }
            flush();
        } finally {
            sending.unlock();
        }
    }

    /** @return the reply, 32 bytes at least, little-endian */
    ByteBuffer ask(Request request) throws IOException {
        return ask(REPLY_BYTES_MAX, request);
    }

    /**
     * @param bytesMax of the reply behind its first 32 bytes; what more there is gets lost
     * @param requests of which the last one has a reply, and no other; nobody else's go between them
     */
    ByteBuffer ask(int bytesMax, Request... requests) throws IOException {
        CompletableFuture<ByteBuffer> answer = new CompletableFuture<>();
        sending.lock();
        try {
            requireOpen();
            for (int i = 0; i < requests.length - 1; i++) {
                put(requests[i]);
            }
            put(requests[requests.length - 1], bytesMax, answer);
            flush();
        } finally {
            sending.unlock();
        }
        if (reader == null) {
            long deadline = deadline();
            while (!answer.isDone()) {
                readOne(deadline, event -> {
                    if (early.size() == EARLY_MAX) {
                        throw new IOException("the X server sends too many events");
                    }
                    byte[] kept = new byte[UNIT];
                    event.get(0, kept);
                    early.add(kept);
                });
            }
        }
        try {
            return answer.get(WAIT_MILLIS_MAX, TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            Throwable cause = e.getCause();
            String message =
                    cause == null ? "the session's X server does not answer" : String.valueOf(cause.getMessage());
            throw cause instanceof RefusedException
                    ? new RefusedException(message, cause)
                    : new IOException(message, cause);
        } catch (TimeoutException e) {
            throw new IOException("the session's X server does not answer", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw (IOException) new InterruptedIOException("interrupted").initCause(e);
        }
    }

    /**
     * Asks without waiting.
     *
     * @param bytesMax as for {@link #ask}
     * @param told the answer, on the reading thread; null if it is an error; nothing once the connection has ended
     */
    void askLater(Request request, int bytesMax, Consumer<@Nullable ByteBuffer> told) throws IOException {
        CompletableFuture<ByteBuffer> answer = new CompletableFuture<>();
        CompletableFuture<Void> ignored = answer.handle((reply, error) -> {
            if (error == null || error instanceof RefusedException) {
                told.accept(reply);
            }
            return null;
        });
        sending.lock();
        try {
            requireOpen();
            put(request, bytesMax, answer);
            flush();
        } finally {
            sending.unlock();
        }
    }

    /** @throws IOException if the server has not got it */
    Extension extension(String name) throws IOException {
        byte[] ascii = name.getBytes(StandardCharsets.US_ASCII);
        ByteBuffer reply = ask(new Request(98, 0).u16(ascii.length).u16(0).bytes(ascii, 0, ascii.length));
        if (reply.get(8) == 0) {
            throw new IOException("the session's X server has no " + name + " extension");
        }
        return new Extension(reply.get(9) & 0xff, reply.get(10) & 0xff);
    }

    int atom(String name) throws IOException {
        byte[] ascii = name.getBytes(StandardCharsets.US_ASCII);
        return ask(new Request(16, 0).u16(ascii.length).u16(0).bytes(ascii, 0, ascii.length))
                .getInt(8);
    }

    private void requireOpen() throws IOException {
        if (closed) {
            throw new IOException("the connection to the X server is closed");
        }
        if (broken != null) {
            throw new IOException(broken.getMessage(), broken);
        }
    }

    private void put(Request request, int bytesMax, CompletableFuture<ByteBuffer> answer) throws IOException {
        if (pending.size() == PENDING_MAX) {
            throw new IOException("the session's X server does not answer");
        }
        pending.add(new Pending(sent + 1, bytesMax, answer));
        asked = sent + 1;
        put(request);
    }

    private void put(Request request) throws IOException {
        ByteBuffer bytes = request.finished();
        sent++;
        while (bytes.hasRemaining()) {
            if (!out.hasRemaining()) {
                flush();
            }
            int count = Math.min(bytes.remaining(), out.remaining());
            out.put(out.position(), bytes, bytes.position(), count);
            out.position(out.position() + count);
            bytes.position(bytes.position() + count);
        }
    }

    /** Sends what is in the buffer; a server that takes nothing for too long has lost the connection, of which part of a request is gone. */
    private void flush() throws IOException {
        out.flip();
        try {
            long deadline = 0;
            while (out.hasRemaining()) {
                if (channel.write(out) > 0) {
                    continue;
                }
                if (deadline == 0) {
                    deadline = deadline();
                }
                await(writable, deadline);
            }
        } catch (IOException e) {
            broken = e;
            shutDown();
            throw e;
        } finally {
            out.clear();
        }
    }

    private static long deadline() {
        return System.nanoTime() + WAIT_MILLIS_MAX * 1_000_000L;
    }

    /** @param deadline of nanoTime; {@link Long#MAX_VALUE}: none */
    private void await(Selector selector, long deadline) throws IOException {
        long millis = deadline == Long.MAX_VALUE ? 0 : (deadline - System.nanoTime()) / 1_000_000;
        if (deadline != Long.MAX_VALUE && millis <= 0) {
            throw new IOException("the session's X server does not answer");
        }
        try {
            int ignored = selector.select(key -> {}, millis);
        } catch (ClosedSelectorException e) {
            throw new IOException("the connection to the X server is closed", e);
        }
        if (closed) {
            throw new IOException("the connection to the X server is closed");
        }
    }

    private interface EventSink {
        void event(ByteBuffer event) throws IOException;
    }

    private void follow(Handler handler) {
        IOException reason;
        try {
            while (!early.isEmpty()) {
                handler.event(ByteBuffer.wrap(early.remove()).order(ByteOrder.LITTLE_ENDIAN));
            }
            while (true) {
                readOne(Long.MAX_VALUE, handler::event);
            }
        } catch (IOException e) {
            reason = e;
        } catch (RuntimeException e) {
            reason = new IOException("the X server sent what can't be understood", e);
        }
        boolean mine;
        sending.lock();
        try {
            mine = !closed;
            if (broken == null) {
                broken = new IOException("the session's X server ended the connection: " + reason.getMessage(), reason);
            }
            reason = broken;
            failAll(reason);
        } finally {
            sending.unlock();
        }
        if (mine) {
            handler.ended(reason);
        }
    }

    private void failAll(IOException reason) {
        for (Pending waiting : pending) {
            waiting.answer.completeExceptionally(reason);
        }
        pending.clear();
    }

    /** Until that many bytes, no more than the buffer's size, are there. */
    private void fill(int count, long deadline) throws IOException {
        while (in.remaining() < count) {
            in.compact();
            int n;
            try {
                n = channel.read(in);
            } finally {
                in.flip();
            }
            if (n < 0) {
                throw new EOFException("it is gone");
            }
            if (n == 0) {
                await(readable, deadline);
            }
        }
    }

    private void read(byte[] into, int offset, int count, long deadline) throws IOException {
        for (int done = 0; done < count; ) {
            fill(1, deadline);
            int part = Math.min(in.remaining(), count - done);
            in.get(into, offset + done, part);
            done += part;
        }
    }

    private void skip(long count, long deadline) throws IOException {
        for (long left = count; left > 0; ) {
            fill(1, deadline);
            int part = (int) Math.min(in.remaining(), left);
            in.position(in.position() + part);
            left -= part;
        }
    }

    private void readOne(long deadline, EventSink events) throws IOException {
        fill(UNIT, deadline);
        in.get(unit.array(), 0, UNIT);
        int type = unit.get(0) & 0x7f;
        if (type != KEYMAP_NOTIFY) {
            heard(unit.getShort(2));
        }
        if (type != REPLY && type != ERROR) {
            if (type == GENERIC_EVENT) {
                skip(more(), deadline); // of extensions that are not used here
            }
            unit.put(0, (byte) type);
            events.event(unit);
            return;
        }
        @Nullable Pending waiting;
        sending.lock();
        try {
            waiting = pending.peek();
            if (waiting != null && waiting.number < heard) {
                throw new IOException("the X server left out a reply");
            }
            if (waiting != null && waiting.number == heard) {
                waiting = pending.remove();
            } else {
                waiting = null;
            }
        } finally {
            sending.unlock();
        }
        if (type == ERROR) {
            // Without a reply nobody waits for: the window that it was about is gone, mostly.
            if (waiting != null) {
                waiting.answer.completeExceptionally(new RefusedException(
                        "the session's X server refuses request "
                                + (unit.get(10) & 0xff) + "." + (unit.getShort(8) & 0xffff) + ": error "
                                + (unit.get(1) & 0xff),
                        null));
            }
            return;
        }
        if (waiting == null) {
            throw new IOException("the X server answers what it was not asked");
        }
        try {
            long more = more();
            int kept = (int) Math.min(more, waiting.bytesMax);
            byte[] whole = new byte[UNIT + kept];
            unit.get(0, whole, 0, UNIT);
            read(whole, UNIT, kept, deadline);
            skip(more - kept, deadline);
            waiting.answer.complete(ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN));
        } catch (IOException e) {
            waiting.answer.completeExceptionally(e);
            throw e;
        }
    }

    private void heard(short number) throws IOException {
        heard += (number - heard) & 0xffff;
        sending.lock();
        try {
            if (heard > sent) {
                throw new IOException("the X server answers what was not sent");
            }
        } finally {
            sending.unlock();
        }
    }

    /** How much comes behind the first 32 bytes. */
    private long more() throws IOException {
        long more = 4 * (unit.getInt(4) & 0xffffffffL);
        if (more > MESSAGE_BYTES_MAX) {
            throw new IOException("the X server sends " + more + " bytes");
        }
        return more;
    }

    private void shutDown() {
        try {
            channel.close();
            // A channel lets go of its descriptor once no selector has it any more; who waits wakes up.
            readable.close();
            writable.close();
        } catch (IOException e) {
            return; // closed all the same
        }
    }

    /** Ends it at once, whatever the server does. When this returns the handler is not called any more, unless it is the handler that calls this. */
    @Override
    public void close() {
        // Without the lock: who holds it may be waiting for a server that is stopped.
        closed = true;
        shutDown();
        sending.lock();
        try {
            failAll(new IOException("the connection to the X server is closed"));
        } finally {
            sending.unlock();
        }
        Thread thread = reader;
        if (thread != null && !thread.equals(Thread.currentThread())) {
            try {
                thread.join(READER_END_MILLIS_MAX);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
