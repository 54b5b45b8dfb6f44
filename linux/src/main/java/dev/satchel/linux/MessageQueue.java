package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A POSIX message queue, mq_overview(7), of the calling thread's IPC namespace. Its descriptor does not wait: what would fails with
 * EAGAIN. For one thread at a time.
 */
public final class MessageQueue implements Closeable {
    private static final int ATTRIBUTES_BYTES = 64;
    private static final int NOTE_BYTES_MAX = 160;

    /** What mq_getattr(3) tells, in its order. */
    private static final int MESSAGES_MAX = 1;

    private static final int MESSAGE_BYTES_MAX = 2;
    private static final int MESSAGES = 3;

    private final String name;
    private final Fd fd;

    private MessageQueue(String name, Fd fd) {
        this.name = name;
        this.fd = fd;
    }

    /** How many messages it holds at most, and how long they are at most. */
    public record Limits(long messagesMax, long messageBytesMax) {}

    /** A message. Equal ones are compared by identity. */
    public record Message(long priority, MemorySegment bytes) {}

    /**
     * Opens one that is there, for reading and writing, mq_open(3).
     *
     * @param name without the slash before it
     */
    public static MessageQueue open(String name) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            int number = (int)
                    Libc.call(Calls.OPEN, Libc.string(arena, "/" + name), Fd.O_RDWR | Fd.O_NONBLOCK | Fd.O_CLOEXEC);
            if (number < 0) {
                throw new LinuxException("mq_open(/" + name + ")", Libc.errno());
            }
            return new MessageQueue(name, Fd.owning(number, "message queue " + name));
        }
    }

    /**
     * Makes one. Its owner's ids must be there in the user namespace of the IPC namespace; the calling thread, a platform thread made
     * for it, is left with them as its file system ids, setfsuid(2).
     *
     * @param user the owner's, in the caller's user namespace
     * @param mode permissions, whatever the umask
     * @throws LinuxException EEXIST if there is one, EINVAL or EMFILE beyond limits, mq_overview(7)
     */
    public static MessageQueue create(String name, long user, long group, int mode, Limits limits)
            throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment attributes = arena.allocate(ATTRIBUTES_BYTES, 8);
            attributes.setAtIndex(JAVA_LONG, MESSAGES_MAX, limits.messagesMax());
            attributes.setAtIndex(JAVA_LONG, MESSAGE_BYTES_MAX, limits.messageBytesMax());
            Libc.call(Calls.SETFSGID, group);
            Libc.call(Calls.SETFSUID, user);
            int flags = Fd.O_RDWR | Fd.O_NONBLOCK | Fd.O_CLOEXEC | Fd.O_CREAT | Fd.O_EXCL;
            int number = (int) Libc.call(Calls.OPEN, Libc.string(arena, "/" + name), flags, mode, attributes.address());
            if (number < 0) {
                throw new LinuxException(
                        "mq_open(/" + name + ", O_CREAT, " + limits.messagesMax() + " of " + limits.messageBytesMax()
                                + " bytes)",
                        Libc.errno());
            }
            MessageQueue queue = new MessageQueue(name, Fd.owning(number, "message queue " + name));
            if ((int) Libc.call(Calls.FCHMOD, number, mode) < 0) {
                int errno = Libc.errno();
                queue.close();
                throw new LinuxException("fchmod(" + name + ", 0" + Integer.toOctalString(mode) + ")", errno);
            }
            return queue;
        }
    }

    /** Its file in the queues' file system: ids, mode and inode number are there. */
    public Path path() {
        return fd.path();
    }

    /** Its descriptor's number; stays owned by this. */
    public int number() {
        return fd.number();
    }

    public Limits limits() throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment attributes = attributes(arena);
            return new Limits(
                    attributes.getAtIndex(JAVA_LONG, MESSAGES_MAX),
                    attributes.getAtIndex(JAVA_LONG, MESSAGE_BYTES_MAX));
        }
    }

    private MemorySegment attributes(Arena arena) throws LinuxException {
        MemorySegment attributes = arena.allocate(ATTRIBUTES_BYTES, 8);
        if ((int) Libc.call(Calls.GETATTR, fd.number(), attributes.address()) < 0) {
            throw new LinuxException("mq_getattr(" + name + ")", Libc.errno());
        }
        return attributes;
    }

    /** The process that mq_notify(3) is to tell of the next message, in the caller's pid namespace; 0 if there is none. */
    public long notified() throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment note = arena.allocate(NOTE_BYTES_MAX);
            long length = fd.pread(note, 0);
            String text = new String(note.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.US_ASCII);
            int at = text.indexOf("NOTIFY_PID:");
            if (at < 0) {
                throw new IOException("the kernel says of message queue " + name + ": " + text.strip());
            }
            return Long.parseLong(text.substring(at + "NOTIFY_PID:".length()).strip());
        }
    }

    /** Takes all messages, in the order in which they are to be received, mq_receive(3). */
    public List<Message> take(Arena arena) throws LinuxException {
        List<Message> messages = new ArrayList<>();
        try (Arena own = Arena.ofConfined()) {
            MemorySegment attributes = attributes(own);
            long room = attributes.getAtIndex(JAVA_LONG, MESSAGE_BYTES_MAX);
            MemorySegment buffer = own.allocate(room);
            MemorySegment priority = own.allocate(JAVA_INT);
            for (long left = attributes.getAtIndex(JAVA_LONG, MESSAGES); left > 0; left--) {
                long length = Libc.callWith(
                        buffer, Calls.RECEIVE, fd.number(), buffer.address(), room, priority.address(), 0, 0);
                if (length < 0) {
                    int errno = Libc.errno();
                    put(messages);
                    throw new LinuxException("mq_receive(" + name + ")", errno);
                }
                MemorySegment bytes = arena.allocate(Math.max(length, 1)).asSlice(0, length);
                bytes.copyFrom(buffer.asSlice(0, length));
                messages.add(new Message(priority.get(JAVA_INT, 0), bytes));
            }
        }
        return messages;
    }

    /** Puts messages in, which are received in that order where their priorities are equal, mq_send(3). */
    public void put(List<Message> messages) throws LinuxException {
        for (Message message : messages) {
            MemorySegment bytes = message.bytes();
            int result = (int) Libc.callWith(
                    bytes, Calls.SEND, fd.number(), bytes.address(), bytes.byteSize(), message.priority(), 0, 0);
            if (result < 0) {
                throw new LinuxException("mq_send(" + name + ", " + bytes.byteSize() + " bytes)", Libc.errno());
            }
        }
    }

    @Override
    public void close() throws LinuxException {
        fd.close();
    }

    private static final class Calls {
        static final MemorySegment OPEN = Libc.function("mq_open");
        static final MemorySegment GETATTR = Libc.function("mq_getattr");
        static final MemorySegment RECEIVE = Libc.function("mq_receive");
        static final MemorySegment SEND = Libc.function("mq_send");
        static final MemorySegment FCHMOD = Libc.function("fchmod");
        static final MemorySegment SETFSUID = Libc.function("setfsuid");
        static final MemorySegment SETFSGID = Libc.function("setfsgid");

        private Calls() {}
    }
}
