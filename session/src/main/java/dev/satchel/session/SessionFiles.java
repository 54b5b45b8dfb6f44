package dev.satchel.session;

import dev.satchel.linux.DirectoryNames;
import dev.satchel.linux.Errno;
import dev.satchel.linux.Fd;
import dev.satchel.linux.FileStatus;
import dev.satchel.linux.LinuxException;
import dev.satchel.linux.UserRights;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The files of a running session, read and written from outside with the rights of its user. Paths are the session's own: links and
 * {@code ..} lead nowhere but inside, whoever changes them meanwhile, and of the kernel's own file systems there nothing is seen. What
 * is open ends before the session's disk is let go of. Thread-safe.
 */
final class SessionFiles implements AutoCloseable {
    /** By convention of the images (images/README.md). */
    private static final int USER = 1000;

    private static final int ROOT = 0;
    private static final int PASSWD_BYTES_MAX = 1 << 18;
    private static final int ENAMETOOLONG = 36;
    private static final int NAME_BYTES_MAX = 255;
    private static final int PATH_CHARS_MAX = 4096;
    private static final int SAME_NAMES_MAX = 1000;
    private static final int ENTRIES_MAX = 2000;
    private static final int TRANSFERS_MAX = 8;
    private static final int BUFFER_BYTES = 128 << 10;
    /** What is left to programs of the session, and to the suspend that comes after. */
    private static final long DISK_BYTES_LEFT = 64L << 20;

    private static final long VAULT_BYTES_LEFT = 512L << 20;
    private static final long LOOK_AGAIN_BYTES = 32L << 20;

    /** Why a file is not to be had, or not taken, in words for a person. */
    static final class Refused extends IOException {
        private static final long serialVersionUID = 1;
        private final int status;

        Refused(int status, String message) {
            super(message);
            this.status = status;
        }

        /** As in HTTP. */
        int status() {
            return status;
        }
    }

    /** Who works in the session. */
    private record User(UserRights rights, String home) {}

    /**
     * A file that is being read.
     *
     * @param content ends after {@code bytes}, or fails if the session ends before; to be closed
     */
    record Opened(String name, long bytes, InputStream content) {}

    /** A file that was written, its path in the session. */
    record Written(String path, long bytes) {}

    private final Path root;
    private final Path vault;
    private final long fileBytesMax;

    /** The lock for what follows. */
    private final Object lock = new Object();

    private final Set<Transfer> transfers = new HashSet<>();
    private String ended = "";
    private long received;

    /**
     * @param root the session's disk, with the ids that are on it
     * @param vault where what is written there comes to be
     * @param fileBytesMax of a file that is sent
     */
    SessionFiles(Path root, Path vault, long fileBytesMax) {
        this.root = root;
        this.vault = vault;
        this.fileBytesMax = fileBytesMax;
    }

    // ---- What is open

    /** One open file; whoever reads or writes holds its lock, so that it is closed in between. */
    private final class Transfer implements AutoCloseable {
        private final Fd file;
        private String why = "";

        Transfer(Fd file) {
            this.file = file;
        }

        synchronized void write(MemorySegment bytes, long offset) throws IOException {
            requireOpen();
            file.writeFully(bytes, offset);
        }

        synchronized long read(MemorySegment into, long offset) throws IOException {
            requireOpen();
            return file.pread(into, offset);
        }

        synchronized boolean name(Fd directory, String name) throws IOException {
            requireOpen();
            return file.linkInto(directory, name);
        }

        private void requireOpen() throws Refused {
            if (!why.isEmpty()) {
                throw new Refused(409, why);
            }
        }

        synchronized void end(String reason) throws LinuxException {
            if (why.isEmpty()) {
                why = reason;
                file.close();
            }
        }

        @Override
        public void close() throws LinuxException {
            synchronized (lock) {
                transfers.remove(this);
            }
            end("it is closed");
        }
    }

    private Transfer begin(Fd file) throws IOException {
        String why;
        synchronized (lock) {
            why = ended;
            if (why.isEmpty() && transfers.size() >= TRANSFERS_MAX) {
                why = "as many files as can be are under way already: wait for one";
            }
            if (why.isEmpty()) {
                Transfer transfer = new Transfer(file);
                transfers.add(transfer);
                return transfer;
            }
        }
        file.close();
        throw new Refused(409, why);
    }

    /** Before the disk is let go of: nothing of it is open when this returns, nor is opened again. */
    void end(String why) throws IOException {
        List<Transfer> all;
        synchronized (lock) {
            ended = why;
            all = new ArrayList<>(transfers);
        }
        for (Transfer transfer : all) {
            transfer.end(why);
        }
    }

    /** After {@link #end}, when the session goes on. */
    void goOn() {
        synchronized (lock) {
            ended = "";
        }
    }

    @Override
    public void close() throws IOException {
        end("the session has ended");
    }

    /** @return the session's disk, counted as something open */
    private Transfer rootDirectory() throws IOException {
        synchronized (lock) {
            if (!ended.isEmpty()) {
                throw new Refused(409, ended);
            }
            Transfer transfer = new Transfer(Fd.open(root, Fd.O_PATH | Fd.O_DIRECTORY | Fd.O_CLOEXEC));
            transfers.add(transfer);
            return transfer;
        }
    }

    /** How many files have been put into the session, though none of its programs may have noticed. */
    long received() {
        synchronized (lock) {
            return received;
        }
    }

    // ---- Who, and where

    /** passwd(5) */
    private static User user(Fd root) throws IOException {
        try (Fd file = root.openInRoot("etc/passwd", Fd.O_RDONLY | Fd.O_NONBLOCK | Fd.O_CLOEXEC, 0, true);
                Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(PASSWD_BYTES_MAX);
            long length = file.pread(bytes, 0);
            String text = new String(bytes.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8);
            for (String line : text.split("\n", -1)) {
                String[] fields = line.split(":", -1);
                if (fields.length >= 7 && fields[2].equals(Integer.toString(USER)) && isNumber(fields[3])) {
                    return new User(new UserRights(USER, Integer.parseInt(fields[3])), fields[5]);
                }
            }
        } catch (LinuxException e) {
            if (e.errno() != Errno.ENOENT) {
                throw e;
            }
        }
        return new User(new UserRights(ROOT, ROOT), "/root");
    }

    private static boolean isNumber(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (text.charAt(i) < '0' || text.charAt(i) > '9') {
                return false;
            }
        }
        return !text.isEmpty() && text.length() < 10;
    }

    /** The whole path, from the session's root, of one that may begin in the home directory. */
    private static String absolute(User user, String path) throws Refused {
        if (path.length() > PATH_CHARS_MAX || path.indexOf('\0') >= 0) {
            throw new Refused(400, "that is no path");
        }
        Deque<String> names = new ArrayDeque<>();
        for (String name : (path.startsWith("/") ? path : user.home() + "/" + path).split("/", -1)) {
            if (name.equals("..")) {
                names.pollLast();
            } else if (!name.isEmpty() && !name.equals(".")) {
                names.addLast(name);
            }
        }
        return "/" + String.join("/", names);
    }

    private static Fd open(User user, Fd root, String path, int flags, int mode) throws IOException {
        // Here, not in there: what a class needs to be loaded may be where this user can't read.
        String relative = path.equals("/") ? "." : path.substring(1);
        try {
            return user.rights().call(() -> root.openInRoot(relative, flags | Fd.O_CLOEXEC, mode, true));
        } catch (LinuxException e) {
            throw refused(path, e);
        }
    }

    private static IOException refused(String path, LinuxException e) {
        return switch (e.errno()) {
            case Errno.ENOENT, Errno.ENOTDIR, Errno.ELOOP ->
                new Refused(404, "there is no " + path + " in the session");
            case Errno.EACCES, Errno.EPERM, Errno.EROFS ->
                new Refused(403, "the session's user has no right to " + path);
            case Errno.EISDIR -> new Refused(409, path + " is a directory: fetch a file");
            case ENAMETOOLONG -> new Refused(400, "that name is too long");
            case Errno.ENOSPC, Errno.EDQUOT, Errno.EFBIG ->
                new Refused(507, "the session's disk is full: remove something there");
            default -> e;
        };
    }

    // ---- Looking

    /**
     * What is in a directory.
     *
     * @param path from the home directory, or a whole one; empty: the home directory
     */
    Map<String, Object> list(String path) throws IOException {
        try (Transfer held = rootDirectory()) {
            User user = user(held.file);
            String whole = absolute(user, path);
            List<Object> entries = new ArrayList<>();
            boolean all;
            try (Fd directory = open(user, held.file, whole, Fd.O_RDONLY | Fd.O_DIRECTORY, 0)) {
                DirectoryNames names = DirectoryNames.read(directory, ENTRIES_MAX);
                all = names.whole();
                for (String name : names.names()) {
                    describe(held.file, directory, whole, name).ifPresent(entries::add);
                }
            }
            Map<String, Object> answer = new LinkedHashMap<>();
            answer.put("path", whole);
            answer.put("home", absolute(user, ""));
            answer.put("entries", entries);
            answer.put("whole", all);
            answer.put("room", Math.max(0, Math.min(fileBytesMax, Math.min(diskRoom(), vaultRoom()))));
            return answer;
        }
    }

    private static Optional<Map<String, Object>> describe(Fd root, Fd directory, String parent, String name)
            throws IOException {
        try {
            FileStatus status = FileStatus.of(directory, name);
            if (status.isLink()) {
                String path = (parent.equals("/") ? "" : parent.substring(1) + "/") + name;
                try (Fd target = root.openInRoot(path, Fd.O_PATH | Fd.O_CLOEXEC, 0, true)) {
                    status = FileStatus.of(target);
                }
            }
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("name", name);
            entry.put("type", status.isDirectory() ? "directory" : status.isRegular() ? "file" : "other");
            if (status.isRegular()) {
                entry.put("bytes", status.sizeBytes());
            }
            entry.put("modified", Instant.ofEpochMilli(status.modifiedMillis()).toString());
            return Optional.of(entry);
        } catch (LinuxException e) {
            return Optional.empty(); // it has just gone, or leads nowhere
        }
    }

    // ---- Out

    /** Opens a file to be read. */
    Opened open(String path) throws IOException {
        try (Transfer held = rootDirectory()) {
            String whole = absolute(user(held.file), path);
            // Not to wait for who writes into a pipe.
            Transfer transfer = begin(open(user(held.file), held.file, whole, Fd.O_RDONLY | Fd.O_NONBLOCK, 0));
            try {
                FileStatus status = FileStatus.of(transfer.file);
                if (!status.isRegular()) {
                    throw new Refused(
                            409,
                            whole + " is " + (status.isDirectory() ? "a directory" : "no file") + ": fetch a file");
                }
                return new Opened(
                        whole.substring(whole.lastIndexOf('/') + 1),
                        status.sizeBytes(),
                        new Content(transfer, status.sizeBytes()));
            } catch (IOException | RuntimeException e) {
                transfer.close();
                throw e;
            }
        }
    }

    private static final class Content extends InputStream {
        private final Transfer transfer;
        private final long bytes;
        private final Arena arena = Arena.ofShared();
        private final MemorySegment buffer = arena.allocate(BUFFER_BYTES);
        private long offset;
        private long from;
        private long to;

        Content(Transfer transfer, long bytes) {
            this.transfer = transfer;
            this.bytes = bytes;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] into, int at, int length) throws IOException {
            if (from == to) {
                if (offset == bytes) {
                    return -1;
                }
                from = 0;
                to = transfer.read(buffer.asSlice(0, Math.min(BUFFER_BYTES, bytes - offset)), offset);
                offset += to;
                if (to == 0) {
                    return -1; // it has become shorter
                }
            }
            int count = (int) Math.min(length, to - from);
            MemorySegment.copy(buffer, ValueLayout.JAVA_BYTE, from, into, at, count);
            from += count;
            return count;
        }

        @Override
        public void close() throws IOException {
            try {
                transfer.close();
            } finally {
                if (arena.scope().isAlive()) {
                    arena.close();
                }
            }
        }
    }

    // ---- In

    /**
     * Takes a file into the user's Downloads, or Desktop, or home directory, the first that is there, under its name or, where there is
     * one of that name, {@code name (1)}. It appears there once it is whole; if it does not come to that, nothing was there.
     *
     * @param content ends after {@code bytes}, or fails
     */
    Written receive(String name, long bytes, InputStream content) throws IOException {
        requireName(name);
        if (bytes > fileBytesMax) {
            throw new Refused(
                    413, "a file sent into this session may have " + fileBytesMax + " bytes, this has " + bytes);
        }
        requireRoom(bytes);
        String directory;
        Fd target;
        Transfer transfer;
        try (Transfer held = rootDirectory()) {
            User user = user(held.file);
            directory = downloads(user, held.file);
            transfer = begin(open(user, held.file, directory, Fd.O_TMPFILE | Fd.O_WRONLY, 0644));
            try {
                target = open(user, held.file, directory, Fd.O_PATH | Fd.O_DIRECTORY, 0);
            } catch (IOException | RuntimeException e) {
                transfer.close();
                throw e;
            }
        }
        try (transfer;
                Transfer where = begin(target)) {
            write(transfer, bytes, content);
            Written written = new Written(path(directory, named(transfer, where.file, name)), bytes);
            synchronized (lock) {
                received++;
            }
            return written;
        } catch (LinuxException e) {
            throw refused(directory + "/" + name, e);
        }
    }

    private static String path(String directory, String name) {
        return (directory.equals("/") ? "" : directory) + "/" + name;
    }

    private static void requireName(String name) throws Refused {
        boolean fine = !name.isEmpty()
                && !name.equals(".")
                && !name.equals("..")
                && name.getBytes(StandardCharsets.UTF_8).length <= NAME_BYTES_MAX;
        for (int i = 0; i < name.length(); i++) {
            fine &= name.charAt(i) != '/' && name.charAt(i) >= ' ' && name.charAt(i) != 0x7f;
        }
        if (!fine) {
            throw new Refused(400, "a file can't have that name: rename it");
        }
    }

    private static String downloads(User user, Fd root) throws IOException {
        for (String name : new String[] {"Downloads", "Desktop", ""}) {
            String path = absolute(user, name);
            try {
                open(user, root, path, Fd.O_PATH | Fd.O_DIRECTORY, 0).close();
                return path;
            } catch (Refused e) {
                if (e.status() != 404) {
                    throw e;
                }
            }
        }
        throw new Refused(409, "the session's user has no home directory");
    }

    private void write(Transfer transfer, long bytes, InputStream content) throws IOException {
        byte[] chunk = new byte[BUFFER_BYTES];
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(BUFFER_BYTES);
            long offset = 0;
            long lookAgainAt = LOOK_AGAIN_BYTES;
            while (offset < bytes) {
                int count = content.read(chunk, 0, (int) Math.min(BUFFER_BYTES, bytes - offset));
                if (count < 0) {
                    throw new IOException("the file ended before it was whole");
                }
                MemorySegment.copy(chunk, 0, buffer, ValueLayout.JAVA_BYTE, 0, count);
                transfer.write(buffer.asSlice(0, count), offset);
                offset += count;
                if (offset >= lookAgainAt) {
                    requireRoom(bytes - offset);
                    lookAgainAt += LOOK_AGAIN_BYTES;
                }
            }
        }
    }

    /** @return the name that it got */
    private static String named(Transfer transfer, Fd directory, String name) throws IOException {
        int dot = name.lastIndexOf('.');
        String stem = dot > 0 ? name.substring(0, dot) : name;
        String ending = dot > 0 ? name.substring(dot) : "";
        String candidate = name;
        for (int i = 1; i <= SAME_NAMES_MAX; i++) {
            if (transfer.name(directory, candidate)) {
                return candidate;
            }
            candidate = stem + " (" + i + ")" + ending;
        }
        throw new Refused(409, "there are " + SAME_NAMES_MAX + " files named " + name + " already: rename it");
    }

    private void requireRoom(long bytes) throws IOException {
        if (diskRoom() < bytes) {
            throw new Refused(507, "the session's disk has not that much room: remove something there");
        }
        if (vaultRoom() < bytes) {
            throw new Refused(507, "the vault's device has not that much room: remove something there");
        }
    }

    private long diskRoom() throws IOException {
        return Files.getFileStore(root).getUsableSpace() - DISK_BYTES_LEFT;
    }

    private long vaultRoom() throws IOException {
        return Files.getFileStore(vault).getUsableSpace() - VAULT_BYTES_LEFT;
    }
}
