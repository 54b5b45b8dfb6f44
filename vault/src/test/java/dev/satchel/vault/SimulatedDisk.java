package dev.satchel.vault;

import dev.satchel.linux.Errno;
import dev.satchel.linux.Fd;
import dev.satchel.linux.LinuxException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;

/**
 * A disk that keeps no more than POSIX promises. Contents are safe after a sync of the file, names after a sync of their
 * directory, and nothing else is: at a power cut each 512 bytes that were written since may be there or not, in any order, as
 * may each name that was made, renamed or removed. (Not even ext4 is as careless: what holds here holds on anything.) A failed
 * sync of a file leaves in doubt what it was to make safe, for ever, as fsync(2) does on Linux.
 *
 * <p>Processes use it, each with open files and locks of its own; one can be killed, which loses nothing of what it wrote, and
 * the power can be cut. Both, and failures of calls, can be set to happen so many calls ahead. All that is random comes from
 * the seed.
 */
public final class SimulatedDisk {
    private static final int SECTOR = 512;

    /** What a name costs, in bytes, so that a full disk takes no new ones. */
    private static final int NAME_BYTES = 64;

    /** What happens when the fuse has burned down. */
    public enum Fault {
        /** The power is cut before or after the call, or in the middle. */
        POWER,
        /** The process that makes the call is killed. */
        KILL,
        /** The call fails with EIO; a write may have done a part. */
        ERROR;

        /** One of them. */
        public static Fault any(Random random) {
            return switch (random.nextInt(3)) {
                case 0 -> POWER;
                case 1 -> KILL;
                default -> ERROR;
            };
        }
    }

    private abstract static class Node {
        int links;
        int opens;
    }

    private static final class Directory extends Node {
        final Map<String, Node> names = new LinkedHashMap<>();
        Map<String, Node> safe = new HashMap<>();

        /** What each name has stood for since the last sync; null: nothing. */
        final Map<String, List<Node>> changes = new LinkedHashMap<>();

        void set(String name, Node node) {
            if (node == null) {
                names.remove(name);
            } else {
                names.put(name, node);
            }
            changes.computeIfAbsent(name, _ -> new ArrayList<>()).add(node);
        }
    }

    /** A write, or (without bytes) a cut or growth to {@code at}. */
    private static final class Change {
        final long at;
        final byte[] bytes;

        Change(long at, byte[] bytes) {
            this.at = at;
            this.bytes = bytes;
        }
    }

    private static final class Regular extends Node {
        byte[] now = new byte[0];
        int size;
        long aside;
        byte[] safe = new byte[0];
        List<Change> changes = new ArrayList<>();

        /** A sync of it failed: what was in doubt then stays so. */
        boolean doubtful;

        Handle lockedBy;

        void resize(int next) {
            if (next > now.length) {
                now = Arrays.copyOf(now, Math.max(next, now.length * 2));
            }
            if (next < size) {
                Arrays.fill(now, next, size, (byte) 0);
            }
            size = next;
        }

        long space() {
            return Math.max(size, aside);
        }
    }

    private final Random random;
    private Directory root = new Directory();
    private final Set<Program> processes = new HashSet<>();
    private long capacity;
    private long used;
    private long calls;
    private Fault fault;
    private long faultAt;
    private boolean faulted;
    private int namesLeft;

    /** An empty disk with room for so many bytes. */
    public SimulatedDisk(long seed, long capacity) {
        random = new Random(seed * 0x9E3779B97F4A7C15L); // the first numbers of near seeds are near
        this.capacity = capacity;
    }

    /** A process that uses it. */
    public synchronized Program process() {
        Program process = new Program();
        processes.add(process);
        return process;
    }

    /** Calls made so far. */
    public synchronized long calls() {
        return calls;
    }

    /** Bytes taken. */
    public synchronized long used() {
        return used;
    }

    /** Changes how many bytes there is room for. */
    public synchronized void resize(long bytes) {
        capacity = bytes;
    }

    /** Has something happen at a call: 1 is the next one. */
    public synchronized void light(Fault next, long inCalls) {
        fault = next;
        faultAt = calls + inCalls;
        namesLeft = 0;
        faulted = false;
    }

    /** Has something happen between a name's change, the so many-th from now, and the call after it. */
    public synchronized void lightAtName(Fault next, int inNames) {
        light(next, Long.MAX_VALUE / 2);
        namesLeft = inNames;
    }

    private void nameChanged() {
        if (--namesLeft == 0 && fault != null) {
            faultAt = calls + 1;
        }
    }

    /** Whether the fuse has burned down. */
    public synchronized boolean hasBurned() {
        return faulted;
    }

    /** Takes the fuse away. */
    public synchronized void defuse() {
        fault = null;
        faulted = false;
    }

    /** The power goes, and what is not safe with it, or a part of that. Ends all processes. */
    public synchronized void cutPower() {
        for (Program process : processes) {
            process.dead = true;
            process.unplugged = true;
        }
        processes.clear();
        int mode = random.nextInt(4);
        root = (Directory) afterPowerCut(root, mode, new HashMap<>());
        used = 0;
        count(root, new HashSet<>());
    }

    private void count(Node node, Set<Node> seen) {
        if (node instanceof Directory directory) {
            used += (long) NAME_BYTES * directory.names.size();
            directory.names.values().forEach(child -> count(child, seen));
        } else if (node instanceof Regular file && seen.add(node)) {
            used += file.space();
        }
    }

    /** What the disk has of it when the power is back. */
    private Node afterPowerCut(Node node, int mode, Map<Node, Node> done) {
        Node before = done.get(node);
        if (before != null) {
            before.links++;
            return before;
        }
        if (node instanceof Regular file) {
            Regular left = new Regular();
            left.links = 1;
            done.put(node, left);
            byte[] contents = leftOf(file, mode);
            left.now = contents;
            left.size = contents.length;
            left.safe = contents.clone();
            return left;
        }
        Directory directory = (Directory) node;
        Directory left = new Directory();
        left.links = 1;
        done.put(node, left);
        Map<String, Node> names = new LinkedHashMap<>(directory.safe);
        for (Map.Entry<String, List<Node>> change : directory.changes.entrySet()) {
            List<Node> later = change.getValue();
            int kept = switch (mode) {
                case 0 -> 0;
                case 1 -> later.size();
                default -> random.nextInt(later.size() + 1);
            };
            if (kept > 0) {
                Node value = later.get(kept - 1);
                if (value == null) {
                    names.remove(change.getKey());
                } else {
                    names.put(change.getKey(), value);
                }
            }
        }
        for (Map.Entry<String, Node> name : names.entrySet()) {
            left.names.put(name.getKey(), afterPowerCut(name.getValue(), mode, done));
        }
        left.safe = new HashMap<>(left.names);
        return left;
    }

    private byte[] leftOf(Regular file, int mode) {
        byte[] left = file.safe.clone();
        int whole = mode == 2 ? random.nextInt(file.changes.size() + 1) : 0;
        for (int i = 0; i < file.changes.size(); i++) {
            Change change = file.changes.get(i);
            boolean all = mode == 1 || (mode == 2 && i < whole);
            boolean some = mode == 3 || (mode == 2 && i == whole);
            if (change.bytes == null) {
                if (all || (some && random.nextBoolean())) {
                    left = Arrays.copyOf(left, (int) change.at);
                }
                continue;
            }
            for (int from = 0; from < change.bytes.length; ) {
                // Sectors of the file, not of the write.
                int to = (int) Math.min(change.bytes.length, (change.at + from) / SECTOR * SECTOR + SECTOR - change.at);
                if (all || (some && random.nextBoolean())) {
                    int end = (int) change.at + to;
                    if (end > left.length) {
                        left = Arrays.copyOf(left, end);
                    }
                    System.arraycopy(change.bytes, from, left, (int) change.at + from, to - from);
                }
                from = to;
            }
        }
        // The length may have been written, and the contents not.
        return mode >= 2 && file.size > left.length && random.nextInt(4) == 0 ? Arrays.copyOf(left, file.size) : left;
    }

    /** The contents of all files, safe or not, by path. */
    public synchronized Map<String, byte[]> contents() {
        Map<String, byte[]> contents = new LinkedHashMap<>();
        collect(root, "", contents);
        return contents;
    }

    /** Puts a file there, or takes one away, behind everybody's back; its directory must be there. */
    public synchronized void tamper(String path, byte[] contents) {
        Path at = Path.of(path);
        Directory directory = at.getNameCount() == 1 ? root : (Directory) find(at.getParent());
        if (contents == null) {
            directory.names.remove(last(at));
            directory.safe.remove(last(at));
            return;
        }
        Regular file = new Regular();
        file.links = 1;
        file.now = contents.clone();
        file.size = contents.length;
        file.safe = contents.clone();
        directory.names.put(last(at), file);
        directory.safe.put(last(at), file);
    }

    private static void collect(Directory directory, String prefix, Map<String, byte[]> contents) {
        directory.names.forEach((name, node) -> {
            if (node instanceof Directory below) {
                collect(below, prefix + "/" + name, contents);
            } else if (node instanceof Regular file) {
                contents.put(prefix + "/" + name, Arrays.copyOf(file.now, file.size));
            }
        });
    }

    private static LinuxException errno(String call, Object of, int errno) {
        return new LinuxException(call + "(" + of + ") on the simulated disk", errno);
    }

    private void release(Node node) {
        if (node instanceof Regular file && file.links == 0 && file.opens == 0) {
            used -= file.space();
        }
    }

    private Node find(Path path) {
        Node node = root;
        for (Path part : path) {
            if (!(node instanceof Directory directory)) {
                return null;
            }
            node = directory.names.get(part.toString());
        }
        return node;
    }

    private Directory parent(Path path) throws IOException {
        Path parent = path.getParent();
        Node node = parent == null ? root : find(parent);
        if (!(node instanceof Directory directory)) {
            throw new NoSuchFileException(path.toString());
        }
        return directory;
    }

    private static String last(Path path) {
        return path.getFileName().toString();
    }

    /** One that has the disk's files open. */
    public final class Program implements Disk {
        private boolean dead;

        /** It was killed, so that what the same process has on other disks is dead, too; a device without power kills nobody. */
        private volatile boolean killed;

        /** Of the same process. */
        private final List<Program> others = new ArrayList<>();

        /** Its files are of a tree that is no more. */
        private boolean unplugged;

        private final Set<Handle> handles = new HashSet<>();

        private Program() {}

        /** A directory on this disk as a vault's place. */
        public DirectoryBackend backend(String directory) {
            return new DirectoryBackend(Path.of(directory), this);
        }

        /** A directory on this disk as a host's memory of heads. */
        public HeadWitness witness(String directory) {
            return new FileHeadWitness(new DirectoryBackend(Path.of(directory), this));
        }

        /** Says that this is a part of a process that has files on another disk, too: when that is killed, this does no more calls. */
        public void dieWith(Program onAnotherDisk) {
            synchronized (SimulatedDisk.this) {
                others.add(onAnotherDisk);
            }
        }

        /** Ends it: its files are closed, its locks gone. */
        public void kill() {
            killed = true;
            synchronized (SimulatedDisk.this) {
                dead = true;
                processes.remove(this);
                for (Handle handle : List.copyOf(handles)) {
                    handle.letGo();
                }
            }
        }

        /** Whether it was killed, or the power cut. */
        public boolean isDead() {
            synchronized (SimulatedDisk.this) {
                return dead;
            }
        }

        private boolean isKilledElsewhere() {
            for (Program other : others) {
                if (other.killed) {
                    return true;
                }
            }
            return false;
        }

        /** To be called first in each call. @return whether the call is to fail */
        private boolean call(String what, Object of) throws IOException {
            if (dead || isKilledElsewhere()) {
                throw errno(what, of, Errno.EIO);
            }
            calls++;
            if (fault == null || calls < faultAt) {
                return false;
            }
            Fault due = fault;
            fault = null;
            faulted = true;
            if (due == Fault.ERROR) {
                return true;
            }
            if (due == Fault.POWER) {
                cutPower();
            } else {
                kill();
            }
            throw errno(what, of, Errno.EIO);
        }

        private void callWhole(String what, Object of) throws IOException {
            if (call(what, of)) {
                throw errno(what, of, Errno.EIO);
            }
        }

        private void take(long bytes, Object of) throws IOException {
            if (bytes > 0 && used + bytes > capacity) {
                throw new FileSystemException(String.valueOf(of), null, "No space left on device");
            }
            used += bytes;
        }

        @Override
        public Disk.File open(Path path, int flags) throws IOException {
            synchronized (SimulatedDisk.this) {
                callWhole("open", path);
                Node node = find(path);
                if (node == null && (flags & Fd.O_CREAT) != 0) {
                    Directory directory;
                    try {
                        directory = parent(path);
                    } catch (NoSuchFileException e) {
                        throw errno("open", path, Errno.ENOENT);
                    }
                    take(NAME_BYTES, path);
                    node = new Regular();
                    node.links = 1;
                    directory.set(last(path), node);
                } else if (node == null) {
                    throw errno("open", path, Errno.ENOENT);
                } else if ((flags & Fd.O_EXCL) != 0) {
                    throw errno("open", path, Errno.EEXIST);
                }
                if (!(node instanceof Regular file)) {
                    throw errno("open", path, Errno.EISDIR);
                }
                Handle handle = new Handle(this, file, path);
                handles.add(handle);
                file.opens++;
                return handle;
            }
        }

        @Override
        public boolean exists(Path path) {
            synchronized (SimulatedDisk.this) {
                return !dead && find(path) != null;
            }
        }

        @Override
        public boolean isDirectory(Path path) {
            synchronized (SimulatedDisk.this) {
                return !dead && find(path) instanceof Directory;
            }
        }

        @Override
        public boolean isFile(Path path) {
            synchronized (SimulatedDisk.this) {
                return !dead && find(path) instanceof Regular;
            }
        }

        @Override
        public long size(Path path) throws IOException {
            synchronized (SimulatedDisk.this) {
                callWhole("stat", path);
                Node node = find(path);
                if (node == null) {
                    throw new NoSuchFileException(path.toString());
                }
                return node instanceof Regular file ? file.size : SECTOR;
            }
        }

        @Override
        public List<Path> entries(Path path) throws IOException {
            synchronized (SimulatedDisk.this) {
                callWhole("readdir", path);
                Node node = find(path);
                if (node == null) {
                    throw new NoSuchFileException(path.toString());
                }
                if (!(node instanceof Directory directory)) {
                    throw new NotDirectoryException(path.toString());
                }
                return directory.names.keySet().stream().map(path::resolve).toList();
            }
        }

        @Override
        public void createDirectory(Path path) throws IOException {
            synchronized (SimulatedDisk.this) {
                callWhole("mkdir", path);
                if (find(path) != null) {
                    throw new FileAlreadyExistsException(path.toString());
                }
                Directory parent = parent(path);
                take(NAME_BYTES, path);
                Directory made = new Directory();
                made.links = 1;
                parent.set(last(path), made);
                nameChanged();
            }
        }

        @Override
        public void rename(Path from, Path to) throws IOException {
            synchronized (SimulatedDisk.this) {
                callWhole("rename", to);
                Node node = find(from);
                if (node == null) {
                    throw new NoSuchFileException(from.toString());
                }
                Directory target = parent(to);
                Node replaced = target.names.get(last(to));
                target.set(last(to), node);
                parent(from).set(last(from), null);
                if (replaced != null) {
                    used -= NAME_BYTES;
                    replaced.links--;
                    SimulatedDisk.this.release(replaced);
                }
                nameChanged();
            }
        }

        @Override
        public boolean delete(Path path) throws IOException {
            synchronized (SimulatedDisk.this) {
                callWhole("unlink", path);
                Node node = find(path);
                if (node == null) {
                    return false;
                }
                parent(path).set(last(path), null);
                used -= NAME_BYTES;
                node.links--;
                SimulatedDisk.this.release(node);
                nameChanged();
                return true;
            }
        }

        @Override
        public void syncDirectory(Path path) throws IOException {
            synchronized (SimulatedDisk.this) {
                callWhole("fsync", path);
                if (!(find(path) instanceof Directory directory)) {
                    throw errno("open", path, Errno.ENOENT);
                }
                directory.safe = new HashMap<>(directory.names);
                directory.changes.clear();
            }
        }
    }

    private final class Handle implements Disk.File {
        private final Program owner;
        private final Regular file;
        private final Path path;
        private boolean open = true;

        Handle(Program owner, Regular file, Path path) {
            this.owner = owner;
            this.file = file;
            this.path = path;
        }

        private void letGo() {
            if (open) {
                open = false;
                owner.handles.remove(this);
                if (file.lockedBy == this) {
                    file.lockedBy = null;
                }
                file.opens--;
                if (!owner.unplugged) {
                    SimulatedDisk.this.release(file);
                }
            }
        }

        @Override
        public long pread(MemorySegment target, long offset) throws IOException {
            synchronized (SimulatedDisk.this) {
                owner.callWhole("pread", path);
                int n = (int) Math.max(0, Math.min(target.byteSize(), file.size - offset));
                MemorySegment.copy(file.now, (int) Math.min(offset, file.size), target, ValueLayout.JAVA_BYTE, 0, n);
                return n;
            }
        }

        @Override
        public void writeFully(MemorySegment bytes, long offset) throws IOException {
            synchronized (SimulatedDisk.this) {
                Fault due = fault;
                boolean inside = due != null && calls + 1 >= faultAt && random.nextBoolean();
                if (inside && !owner.dead) {
                    // Some of it is written before the power goes or the device fails.
                    write(bytes.asSlice(0, random.nextLong(bytes.byteSize() + 1)), offset);
                }
                owner.callWhole("pwrite", path);
                long room = capacity - used;
                long grows = offset + bytes.byteSize() - file.space();
                if (grows > room) {
                    long fits = Math.max(0, Math.min(bytes.byteSize(), bytes.byteSize() - (grows - Math.max(0, room))));
                    write(bytes.asSlice(0, fits), offset);
                    throw errno("pwrite", path, Errno.ENOSPC);
                }
                write(bytes, offset);
            }
        }

        private void write(MemorySegment bytes, long offset) {
            if (bytes.byteSize() == 0) {
                return;
            }
            long before = file.space();
            byte[] copy = bytes.toArray(ValueLayout.JAVA_BYTE);
            file.changes.add(new Change(offset, copy));
            file.resize(Math.max(file.size, (int) offset + copy.length));
            System.arraycopy(copy, 0, file.now, (int) offset, copy.length);
            used += file.space() - before;
        }

        @Override
        public void sync() throws IOException {
            synchronized (SimulatedDisk.this) {
                if (owner.call("fsync", path)) {
                    file.doubtful = true;
                    throw errno("fsync", path, Errno.EIO);
                }
                if (!file.doubtful) {
                    file.safe = Arrays.copyOf(file.now, file.size);
                    file.changes.clear();
                }
            }
        }

        @Override
        public void dataSync() throws IOException {
            sync();
        }

        @Override
        public void truncate(long size) throws IOException {
            synchronized (SimulatedDisk.this) {
                owner.callWhole("ftruncate", path);
                long before = file.space();
                file.changes.add(new Change(size, null));
                file.resize((int) size);
                file.aside = 0;
                used += file.space() - before;
            }
        }

        @Override
        public void setAside(long offset, long length) throws IOException {
            synchronized (SimulatedDisk.this) {
                owner.callWhole("fallocate", path);
                long grows = offset + length - file.space();
                if (grows > capacity - used) {
                    throw errno("fallocate", path, Errno.ENOSPC);
                }
                file.aside = Math.max(file.aside, offset + length);
                used += Math.max(0, grows);
            }
        }

        @Override
        public void willNeed(long offset, long length) {}

        @Override
        public void dropCached() {}

        @Override
        public void startWriteback(long offset, long length) {}

        @Override
        public boolean tryLock() throws IOException {
            synchronized (SimulatedDisk.this) {
                owner.callWhole("flock", path);
                if (file.lockedBy != null && file.lockedBy != this) {
                    return false;
                }
                file.lockedBy = this;
                return true;
            }
        }

        @Override
        public void close() throws IOException {
            synchronized (SimulatedDisk.this) {
                letGo();
            }
        }
    }
}
