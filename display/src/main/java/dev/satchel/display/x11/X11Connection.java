package dev.satchel.display.x11;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A connection to an X server: requests out, replies and events in (X11 protocol, version 11, release 6.7, "Protocol Formats" and
 * "Encoding"). Requests may be sent by any thread; events are given to the handler by the one thread that reads, which is not to wait
 * for replies. Owned by who opened it.
 */
final class X11Connection implements AutoCloseable {
    /** What is told of a connection, on its reading thread. */
    interface Handler {
        /** @param event 32 bytes, little-endian; its first byte without the mark of events that clients sent */
        void event(ByteBuffer event);

        /** Once, if the server ended the connection or sent nonsense; not after {@link X11Connection#close}. */
        void ended(IOException reason);
    }

    /** An extension's numbers, as the server gave them out. */
    record Extension(int opcode, int firstEvent) {}

    private static final int SETUP_BYTES_MAX = 4 * 65535;
    /** The largest reply that is asked for, a keyboard's map or a part of a selection, and some. */
    private static final int REPLY_BYTES_MAX = 4 << 20;

    private static final int PENDING_MAX = 4096;
    private static final int UNIT = 32;
    private static final int ERROR = 0;
    private static final int REPLY = 1;
    private static final int GENERIC_EVENT = 35;
    private static final long REPLY_SECONDS_MAX = 5;

    private final SocketChannel channel;
    private final DataInputStream in;
    private final Handler handler;
    private final int rootWindow;
    private final int rootDepth;
    private final int width;
    private final int height;
    private final int keycodeMin;
    private final int keycodeMax;
    private final int idBase;
    private final int idMask;

    /** Orders requests, so that their numbers are in the order in which they go out. Guards what is below, and the channel's sending. */
    private final ReentrantLock sending = new ReentrantLock();

    private final Map<Integer, CompletableFuture<ByteBuffer>> pending = new HashMap<>();
    private int sequence;
    private int ids;
    private @Nullable IOException broken;
    private volatile boolean closed;

    /**
     * Connects and reads the server's setup; {@link #start} begins to read events.
     *
     * @throws IOException if there is no server, it refuses, or does not speak X11
     */
    X11Connection(UnixDomainSocketAddress address, Handler handler) throws IOException {
        this.handler = handler;
        channel = SocketChannel.open(address);
        // A server that is stopped must not hold up whoever connects: nothing of its setup would ever come.
        Thread watchdog = Thread.ofVirtual().start(this::giveUpLater);
        try {
            in = new DataInputStream(new BufferedInputStream(Channels.newInputStream(channel), 1 << 14));
            ByteBuffer hello = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
            hello.put((byte) 'l').put((byte) 0).putShort((short) 11).putShort((short) 0);
            writeFully(hello.position(12).flip());
            byte[] head = in.readNBytes(8);
            if (head.length < 8) {
                throw new IOException("the X server closed the connection");
            }
            ByteBuffer start = ByteBuffer.wrap(head).order(ByteOrder.LITTLE_ENDIAN);
            int length = 4 * (start.getShort(6) & 0xffff);
            byte[] setup = in.readNBytes(Math.min(length, SETUP_BYTES_MAX));
            if (head[0] != 1) {
                int said = Math.min(head[1] & 0xff, setup.length);
                throw new IOException(
                        "the X server refuses: " + printable(new String(setup, 0, said, StandardCharsets.ISO_8859_1)));
            }
            ByteBuffer body = ByteBuffer.wrap(setup).order(ByteOrder.LITTLE_ENDIAN);
            try {
                idBase = body.getInt(4);
                idMask = body.getInt(8);
                int vendor = body.getShort(16) & 0xffff;
                int screens = body.get(20) & 0xff;
                int formats = body.get(21) & 0xff;
                keycodeMin = body.get(26) & 0xff;
                keycodeMax = body.get(27) & 0xff;
                int screen = 32 + (vendor + 3) / 4 * 4 + 8 * formats;
                rootWindow = body.getInt(screen);
                width = body.getShort(screen + 20) & 0xffff;
                height = body.getShort(screen + 22) & 0xffff;
                rootDepth = body.get(screen + 38) & 0xff;
                if (screens == 0 || keycodeMin < 8 || keycodeMax < keycodeMin || idMask == 0) {
                    throw new IOException("the X server's setup makes no sense");
                }
            } catch (IndexOutOfBoundsException e) {
                throw new IOException("the X server's setup is too short", e);
            }
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e;
        } finally {
            watchdog.interrupt();
        }
    }

    private static String printable(String text) {
        StringBuilder shown = new StringBuilder();
        text.chars().forEach(c -> shown.append(c >= ' ' && c < 0x7f ? (char) c : '?'));
        return shown.toString();
    }

    private void giveUpLater() {
        try {
            TimeUnit.SECONDS.sleep(REPLY_SECONDS_MAX);
            channel.close();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt(); // it has come
        } catch (IOException e) {
            return; // closed all the same
        }
    }

    void start() {
        Thread.ofPlatform().name("x11").daemon().start(this::read);
    }

    int rootWindow() {
        return rootWindow;
    }

    int rootDepth() {
        return rootDepth;
    }

    /** As it was when connected. */
    int width() {
        return width;
    }

    int height() {
        return height;
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

    /** Sends a request that has no reply; what is wrong with it comes as an error nobody waits for. */
    void send(Request request) throws IOException {
        byte[] bytes = request.finish();
        sending.lock();
        try {
            requireOpen();
            sequence++;
            writeFully(ByteBuffer.wrap(bytes));
        } finally {
            sending.unlock();
        }
    }

    /** Sends requests with nobody else's between them. */
    void sendTogether(Request... requests) throws IOException {
        sending.lock();
        try {
            for (Request request : requests) {
                send(request);
            }
        } finally {
            sending.unlock();
        }
    }

    /** @return the reply, 32 bytes at least, little-endian */
    ByteBuffer ask(Request request) throws IOException {
        CompletableFuture<ByteBuffer> reply = new CompletableFuture<>();
        byte[] bytes = request.finish();
        sending.lock();
        try {
            requireOpen();
            if (pending.size() == PENDING_MAX) {
                throw new IOException("the X server does not answer");
            }
            pending.put(++sequence & 0xffff, reply);
            writeFully(ByteBuffer.wrap(bytes));
        } finally {
            sending.unlock();
        }
        try {
            return reply.get(REPLY_SECONDS_MAX, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw e.getCause() instanceof IOException cause
                    ? new IOException(cause.getMessage(), cause)
                    : new IOException(e);
        } catch (TimeoutException e) {
            throw new IOException("the X server does not answer", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw (IOException) new InterruptedIOException("interrupted").initCause(e);
        }
    }

    /** Waits for a reply that says nothing but that all before it is done. */
    void askInVain(Request request) throws IOException {
        ByteBuffer ignored = ask(request);
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

    /** A server that reads nothing, because it is stopped, holds up who writes, until {@link #close}. */
    private void writeFully(ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    private void read() {
        IOException reason;
        try {
            while (true) {
                readOne();
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
            broken = new IOException("the session's X server ended the connection", reason);
            for (CompletableFuture<ByteBuffer> waiting : pending.values()) {
                waiting.completeExceptionally(broken);
            }
            pending.clear();
        } finally {
            sending.unlock();
        }
        if (mine) {
            handler.ended(broken);
        }
    }

    private void readOne() throws IOException {
        byte[] unit = in.readNBytes(UNIT);
        if (unit.length < UNIT) {
            throw new IOException("the X server ended");
        }
        ByteBuffer message = ByteBuffer.wrap(unit).order(ByteOrder.LITTLE_ENDIAN);
        int type = unit[0] & 0x7f;
        if (type == REPLY || type == GENERIC_EVENT) {
            long more = 4 * (message.getInt(4) & 0xffffffffL);
            if (more > REPLY_BYTES_MAX) {
                throw new IOException("the X server sent a reply of " + more + " bytes");
            }
            if (more > 0) {
                byte[] whole = new byte[(int) (UNIT + more)];
                System.arraycopy(unit, 0, whole, 0, UNIT);
                in.readFully(whole, UNIT, (int) more);
                message = ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN);
            }
        }
        if (type == REPLY || type == ERROR) {
            CompletableFuture<ByteBuffer> waiting;
            sending.lock();
            try {
                waiting = pending.remove(message.getShort(2) & 0xffff);
            } finally {
                sending.unlock();
            }
            if (waiting == null) {
                return; // an error of a request without a reply: the window it was about is gone, mostly
            }
            if (type == REPLY) {
                waiting.complete(message);
            } else {
                waiting.completeExceptionally(new IOException("the X server refused request " + (unit[10] & 0xff) + "."
                        + (message.getShort(8) & 0xffff) + ": error " + (unit[1] & 0xff)));
            }
            return;
        }
        message.put(0, (byte) type);
        handler.event(message);
    }

    /** Ends it at once, whatever the server does. */
    @Override
    public void close() {
        // Without the lock: who holds it may be waiting for a server that is stopped.
        closed = true;
        try {
            channel.close();
        } catch (IOException e) {
            return; // closed all the same
        }
    }
}
