package dev.satchel.pod.filter;

import dev.satchel.linux.Errno;
import dev.satchel.linux.Fd;
import dev.satchel.linux.FileSystems;
import dev.satchel.linux.LinuxException;
import dev.satchel.linux.MessageQueue;
import dev.satchel.linux.Namespaces;
import dev.satchel.linux.Processes;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * POSIX message queues, mq_overview(7), of which CRIU 4.2.1 knows nothing. A dump is told that their file system and their
 * descriptors are somebody else's; what is in them is taken out and put back while all stands still, into an image of our own,
 * {@code satchel-queues.img}. Then the images are made to say that each descriptor is a file opened by its name in {@code
 * /dev/mqueue}. At a restore the queues are made in the new IPC namespace before anything opens them. The image is of the make of
 * CRIU's; the first of these is there for each queue, and as many of the second as it has messages follow:
 *
 * <pre>
 *   string name = 1;  uint32 user = 2;  uint32 group = 3;  uint32 mode = 4;      // inside
 *   uint64 messages_max = 5;  uint64 message_bytes_max = 6;  uint64 messages = 7;
 *
 *   uint64 priority = 8;  bytes content = 9;                                     // in the order of receiving
 * </pre>
 *
 * A queue that is open but has no name any more is not known here, so CRIU refuses it.
 */
public final class MessageQueues implements ImageFilter {
    private static final String DIRECTORY = "/dev/mqueue";
    private static final long MQUEUE_MAGIC = 0x19800202; // linux/magic.h
    private static final String KEY = "satchel-mqueue";
    private static final String FILE = "satchel-queues.img";
    private static final int MAGIC = 0x534d5155;

    /** Of one user's queues, the usual RLIMIT_MSGQUEUE: whoever makes them again is one. */
    private static final long BYTES_MAX = 819_200;

    /** What the kernel counts for a message beyond its longest content, at least; ipc/mqueue.c, mqueue_get_inode. */
    private static final long MESSAGE_OVERHEAD_BYTES = 64;

    private static final int NAME = 1;
    private static final int USER = 2;
    private static final int GROUP = 3;
    private static final int MODE = 4;
    private static final int MESSAGES_MAX = 5;
    private static final int MESSAGE_BYTES_MAX = 6;
    private static final int MESSAGES = 7;
    private static final int PRIORITY = 8;
    private static final int CONTENT = 9;

    // file_entry and reg_file_entry, images/fdinfo.proto and images/regfile.proto
    private static final int FILE_REGULAR = 3;
    private static final int REGULAR_NAME = 6;
    private static final int REGULAR_MOUNT = 7;
    private static final int[] REGULAR_OF_OTHERS = {8, 9, 11, 12, 13, 14}; // size, ext and sums

    // mnt_entry, images/mnt.proto
    private static final int MOUNT_ID = 2;
    private static final int MOUNT_KEY = 18;

    private record Queue(
            String name,
            long inode,
            long user,
            long group,
            int mode,
            MessageQueue.Limits limits,
            List<MessageQueue.Message> messages) {}

    /** The pod's first process; 0 where they are an image's. */
    private final long initPid;

    private final List<String> external;
    private List<Queue> queues;

    private MessageQueues(long initPid, List<String> external, List<Queue> queues) {
        this.initPid = initPid;
        this.external = external;
        this.queues = queues;
    }

    /** Looks for them in a pod that runs. */
    public static MessageQueues find(long initPid) throws IOException {
        Optional<Fd> found = directory(initPid);
        if (found.isEmpty()) {
            return new MessageQueues(initPid, List.of(), List.of());
        }
        List<String> external = new ArrayList<>();
        try (Fd directory = found.get()) {
            List<String> names = names(directory);
            if (names.isEmpty()) {
                return new MessageQueues(initPid, List.of(), List.of());
            }
            external.add("mnt[" + DIRECTORY + "]:" + KEY);
            Set<Long> mounts = new HashSet<>(Set.of(mount(directory.number())));
            Namespaces.within(initPid, Namespaces.Kind.IPC, () -> {
                for (String name : names) {
                    try (MessageQueue queue = MessageQueue.open(name)) {
                        // mq_open(2) goes by a mount of the kernel's own; a restored one was opened by /dev/mqueue.
                        mounts.add(mount(queue.number()));
                        for (long mount : mounts) {
                            external.add("file[" + Long.toHexString(mount) + ":"
                                    + Long.toHexString(attribute(queue.path(), "ino")) + "]");
                        }
                    } catch (LinuxException e) {
                        if (e.errno() != Errno.ENOENT) { // the pod runs: it has just been removed
                            throw e;
                        }
                    }
                }
                return names;
            });
        }
        return new MessageQueues(initPid, external, List.of());
    }

    /** The file system that shows them, if it is where it should be: nothing that a program puts there leads out of the pod. */
    private static Optional<Fd> directory(long initPid) throws IOException {
        Path root = InnerIds.directory(initPid).resolve("root");
        try (Fd rootDirectory = Fd.open(root, Fd.O_PATH | Fd.O_DIRECTORY | Fd.O_CLOEXEC)) {
            Fd directory = rootDirectory.openInRoot(DIRECTORY, Fd.O_RDONLY | Fd.O_DIRECTORY, 0, false);
            if (FileSystems.usage(directory.path()).type() == MQUEUE_MAGIC) {
                return Optional.of(directory);
            }
            directory.close();
        } catch (LinuxException e) {
            if (e.errno() != Errno.ENOENT && e.errno() != Errno.ENOTDIR) {
                throw e;
            }
        }
        return Optional.empty();
    }

    private static List<String> names(Fd directory) throws IOException {
        List<String> names = new ArrayList<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory.path())) {
            for (Path file : files) {
                names.add(String.valueOf(file.getFileName()));
            }
        }
        return names;
    }

    /** The mount that a descriptor of this process was opened by, proc_pid_fdinfo(5). */
    private static long mount(int fd) throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/fdinfo", Integer.toString(fd)))) {
            if (line.startsWith("mnt_id:")) {
                return Long.parseLong(line.substring("mnt_id:".length()).strip());
            }
        }
        throw new IOException("this kernel does not tell a descriptor's mount");
    }

    private static long attribute(Path file, String name) throws IOException {
        return ((Number) Files.getAttribute(file, "unix:" + name)).longValue();
    }

    /** What CRIU must be told with {@code --external}; nothing where there are none. */
    public List<String> external() {
        return external;
    }

    /**
     * Takes what is in them, and puts it back: they are as before when this returns or throws. The pod's programs stand still.
     *
     * @param idBase the host's id for 0 inside
     * @return why they can't be carried, if so
     */
    public Optional<String> capture(long idBase) throws IOException {
        if (external.isEmpty()) {
            return Optional.empty();
        }
        List<String> names;
        try (Fd directory = directory(initPid).orElseThrow(() -> new IOException(DIRECTORY + " is gone"))) {
            names = names(directory);
        }
        return Namespaces.within(initPid, Namespaces.Kind.IPC, () -> {
            List<Queue> captured = new ArrayList<>();
            long bytes = 0;
            for (String name : names) {
                try (MessageQueue queue = MessageQueue.open(name)) {
                    long notified = queue.notified();
                    if (notified != 0) {
                        // Putting the messages back would tell it of them.
                        return Optional.of("a program waits to be notified by the message queue /" + name + " (process "
                                + notified + name(notified) + ")");
                    }
                    MessageQueue.Limits limits = queue.limits();
                    bytes += limits.messagesMax() * (limits.messageBytesMax() + MESSAGE_OVERHEAD_BYTES);
                    if (bytes > BYTES_MAX) {
                        return Optional.of(
                                "the POSIX message queues (mqueue) have room for more than " + BYTES_MAX + " bytes");
                    }
                    captured.add(capture(name, queue, limits, idBase));
                }
            }
            queues = captured;
            return Optional.empty();
        });
    }

    private static Queue capture(String name, MessageQueue queue, MessageQueue.Limits limits, long idBase)
            throws IOException {
        Path file = queue.path();
        long inode = attribute(file, "ino");
        long user = attribute(file, "uid") - idBase;
        long group = attribute(file, "gid") - idBase;
        int mode = (int) attribute(file, "mode") & 07777;
        List<MessageQueue.Message> messages = queue.take(Arena.ofAuto());
        queue.put(messages);
        return new Queue(name, inode, user, group, mode, limits, messages);
    }

    private static String name(long process) {
        return Processes.commandName(InnerIds.directory(process))
                .map(" "::concat)
                .orElse("");
    }

    @Override
    public String name() {
        return "message queues";
    }

    @Override
    public void apply(ImageDirectory images) throws IOException {
        if (external.isEmpty()) {
            return;
        }
        long mount = -1;
        for (Message entry : images.mounts()) {
            if (entry.has(MOUNT_KEY) && text(entry, MOUNT_KEY).equals(KEY)) {
                entry.remove(MOUNT_KEY);
                mount = entry.number(MOUNT_ID);
            }
        }
        Map<String, String> names = new HashMap<>();
        for (Queue queue : queues) {
            names.put(":" + Long.toHexString(queue.inode()) + "]", queue.name());
        }
        for (Message file : images.files()) {
            Optional<Message> regular = file.message(FILE_REGULAR);
            if (regular.isEmpty()) {
                continue;
            }
            String name = text(regular.get(), REGULAR_NAME);
            if (name.startsWith("file[")) {
                String queue = names.get(name.substring(name.indexOf(':')));
                if (queue == null || mount < 0) {
                    throw new IOException("a message queue was removed while the session was being frozen");
                }
                rename(regular.get(), queue, mount);
            }
        }
        ImageFile image = images.add(FILE, MAGIC);
        for (Queue queue : queues) {
            write(queue, image);
        }
    }

    private static void rename(Message file, String queue, long mount) throws IOException {
        file.set(REGULAR_NAME, (DIRECTORY + "/" + queue).getBytes(StandardCharsets.UTF_8));
        for (int field : REGULAR_OF_OTHERS) {
            file.remove(field);
        }
        file.set(REGULAR_MOUNT, mount << 1); // sint32
    }

    private static String text(Message message, int field) throws IOException {
        return StandardCharsets.UTF_8.decode(message.bytes(field)).toString();
    }

    private static void write(Queue queue, ImageFile image) throws IOException {
        Message head = image.add();
        head.set(NAME, queue.name().getBytes(StandardCharsets.UTF_8));
        head.set(USER, queue.user());
        head.set(GROUP, queue.group());
        head.set(MODE, queue.mode());
        head.set(MESSAGES_MAX, queue.limits().messagesMax());
        head.set(MESSAGE_BYTES_MAX, queue.limits().messageBytesMax());
        head.set(MESSAGES, queue.messages().size());
        for (MessageQueue.Message message : queue.messages()) {
            Message entry = image.add();
            entry.set(PRIORITY, message.priority());
            entry.set(CONTENT, message.bytes().toArray(ValueLayout.JAVA_BYTE));
        }
    }

    /** Those that the images in {@code directory} tell. */
    public static MessageQueues read(Path directory) throws IOException {
        List<Queue> queues = new ArrayList<>();
        Path file = directory.resolve(FILE);
        if (Files.exists(file)) {
            Arena arena = Arena.ofAuto();
            List<Message> entries = ImageFile.read(file, MAGIC).messages();
            for (int at = 0; at < entries.size(); at++) {
                Message head = entries.get(at);
                List<MessageQueue.Message> messages = new ArrayList<>();
                for (long left = head.number(MESSAGES); left > 0; left--) {
                    at++;
                    if (at == entries.size()) {
                        throw new IOException(file + " ends early");
                    }
                    ByteBuffer content = entries.get(at).bytes(CONTENT);
                    MemorySegment bytes =
                            arena.allocate(Math.max(content.remaining(), 1)).asSlice(0, content.remaining());
                    bytes.copyFrom(MemorySegment.ofBuffer(content));
                    messages.add(new MessageQueue.Message(entries.get(at).number(PRIORITY), bytes));
                }
                queues.add(new Queue(
                        text(head, NAME),
                        0,
                        head.number(USER),
                        head.number(GROUP),
                        (int) head.number(MODE),
                        new MessageQueue.Limits(head.number(MESSAGES_MAX), head.number(MESSAGE_BYTES_MAX)),
                        messages));
            }
        }
        return new MessageQueues(0, List.of(), queues);
    }

    /**
     * Makes them in the IPC namespace of a process, where there are none.
     *
     * @param idBase the host's id for 0 inside
     */
    public void create(long pid, long idBase) throws IOException {
        if (queues.isEmpty()) {
            return;
        }
        Namespaces.within(pid, Namespaces.Kind.IPC, () -> {
            for (Queue queue : queues) {
                try (MessageQueue made = MessageQueue.create(
                        queue.name(), idBase + queue.user(), idBase + queue.group(), queue.mode(), queue.limits())) {
                    made.put(queue.messages());
                } catch (LinuxException e) {
                    String hint = e.errno() == Errno.EMFILE
                            ? "; other sessions' queues take all that RLIMIT_MSGQUEUE gives: end one of them"
                            : "";
                    throw new IOException(
                            "message queue /" + queue.name() + " of the session could not be made again: "
                                    + e.getMessage() + hint,
                            e);
                }
            }
            return queues;
        });
    }
}
