package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Mounting, binding, unmounting, and what is mounted: mount(2), umount2(2), mount_setattr(2), proc_pid_mountinfo(5). All of it
 * in the mount namespace of the calling process, and as root.
 */
public final class Mounts {
    public static final long MS_RDONLY = 1;
    public static final long MS_NOSUID = 2;
    public static final long MS_NODEV = 4;
    public static final long MS_NOEXEC = 8;
    public static final long MS_REMOUNT = 0x20;
    public static final long MS_NOATIME = 0x400;
    public static final long MS_NODIRATIME = 0x800;
    public static final long MS_RELATIME = 0x200000;
    public static final long MS_LAZYTIME = 0x2000000;
    private static final long MS_BIND = 0x1000;
    private static final long MS_REC = 0x4000;
    private static final long MS_PRIVATE = 1 << 18;
    private static final long MS_SLAVE = 1 << 19;

    /** umount2(2): abort pending requests where the file system can (FUSE), then unmount. */
    public static final int MNT_FORCE = 1;
    /** umount2(2): detach now, let go when nobody uses it any more. */
    public static final int MNT_DETACH = 2;
    /** umount2(2): don't follow a symbolic link. */
    public static final int UMOUNT_NOFOLLOW = 8;

    private static final int AT_FDCWD = -100;
    private static final int AT_EMPTY_PATH = 0x1000;
    private static final int AT_RECURSIVE = 0x8000;
    private static final int OPEN_TREE_CLONE = 1;
    private static final int MOVE_MOUNT_F_EMPTY_PATH = 4;
    private static final long MOUNT_ATTR_IDMAP = 0x100000;

    private static final MemorySegment MOUNT = Libc.function("mount");
    private static final MemorySegment UMOUNT2 = Libc.function("umount2");

    private Mounts() {}

    /** mount(2) with {@code MS_} flags; {@code data} are the file system's own options. */
    public static void mount(String source, Path target, String type, long flags, @Nullable String data)
            throws LinuxException {
        call(source, target, type, flags, data);
    }

    /** Shows a directory or file at a second place, with what is mounted below it if {@code recursive}. */
    public static void bind(Path source, Path target, boolean recursive) throws LinuxException {
        call(source.toString(), target, null, MS_BIND | (recursive ? MS_REC : 0), null);
    }

    /** Changes the flags (such as {@link #MS_RDONLY}) of one mount, not of its file system. */
    public static void remountBind(Path target, long flags) throws LinuxException {
        call(null, target, null, MS_BIND | MS_REMOUNT | flags, null);
    }

    /** Mounts and unmounts propagate neither in nor out any more, below too. */
    public static void makePrivate(Path target) throws LinuxException {
        call(null, target, null, MS_PRIVATE | MS_REC, null);
    }

    /** Mounts and unmounts propagate in, but not out any more, below too. */
    public static void makeSlave(Path target) throws LinuxException {
        call(null, target, null, MS_SLAVE | MS_REC, null);
    }

    private static void call(
            @Nullable String source, Path target, @Nullable String type, long flags, @Nullable String data)
            throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            long a = source == null ? 0 : Libc.string(arena, source);
            long b = Libc.string(arena, target.toString());
            long c = type == null ? 0 : Libc.string(arena, type);
            long e = data == null ? 0 : Libc.string(arena, data);
            ServedDevices.Call<Integer, RuntimeException> mount =
                    () -> (int) Libc.call(MOUNT, a, b, c, flags, e) < 0 ? Libc.errno() : 0;
            // FUSE itself needs the device, and does not wait for its server.
            int errno = "fuse".equals(type) ? mount.call() : ServedDevices.callWithout(mount);
            if (errno != 0) {
                throw new LinuxException(
                        "mount(" + source + ", " + target + ", " + type + ", " + flags(flags)
                                + (data == null ? ")" : ", " + data + ")"),
                        errno);
            }
        }
    }

    /** umount2(2) with {@code MNT_} flags. */
    public static void unmount(Path target, int flags) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            long path = Libc.string(arena, target.toString());
            int errno = ServedDevices.callWithout(() -> (int) Libc.call(UMOUNT2, path, flags) < 0 ? Libc.errno() : 0);
            if (errno != 0) {
                throw new LinuxException("umount2(" + target + ", " + flags(flags) + ")", errno);
            }
        }
    }

    /**
     * Shows a directory at a second place with shifted ids: a file of user <i>u</i> appears as what the user namespace maps
     * <i>u</i> to. The file system underneath must allow it (ext4, xfs, btrfs, overlay of late; see mount_setattr(2)).
     *
     * @param userNamespace from {@link Namespaces#user}; may be closed afterwards
     */
    public static void idmappedBind(Path source, Path target, Fd userNamespace, boolean recursive)
            throws LinuxException {
        ServedDevices.<Integer, LinuxException>callWithout(() -> {
            cloneShifted(source, target, userNamespace, recursive);
            return 0;
        });
    }

    private static void cloneShifted(Path source, Path target, Fd userNamespace, boolean recursive)
            throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            long empty = Libc.string(arena, "");
            int tree = (int) Libc.call(
                    Idmap.OPEN_TREE,
                    AT_FDCWD,
                    Libc.string(arena, source.toString()),
                    OPEN_TREE_CLONE | Fd.O_CLOEXEC | (recursive ? AT_RECURSIVE : 0));
            if (tree < 0) {
                throw new LinuxException("open_tree(" + source + ", OPEN_TREE_CLONE)", Libc.errno());
            }
            try (Fd clone = Fd.owning(tree, "clone of " + source)) {
                // struct mount_attr: attr_set, attr_clr, propagation, userns_fd
                MemorySegment attributes = arena.allocate(32, 8);
                attributes.set(JAVA_LONG, 0, MOUNT_ATTR_IDMAP);
                attributes.set(JAVA_LONG, 24, userNamespace.number());
                int result = (int) Libc.call(
                        Idmap.MOUNT_SETATTR,
                        clone.number(),
                        empty,
                        AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0),
                        attributes.address(),
                        attributes.byteSize());
                if (result < 0) {
                    throw new LinuxException(
                            "mount_setattr(" + source + ", MOUNT_ATTR_IDMAP, " + userNamespace + ")", Libc.errno());
                }
                result = (int) Libc.call(
                        Idmap.MOVE_MOUNT,
                        clone.number(),
                        empty,
                        AT_FDCWD,
                        Libc.string(arena, target.toString()),
                        MOVE_MOUNT_F_EMPTY_PATH);
                if (result < 0) {
                    throw new LinuxException("move_mount(" + source + ", " + target + ")", Libc.errno());
                }
            }
        }
    }

    /** Everything mounted in this process's mount namespace, in the order of mounting. */
    public static List<Mount> list() throws IOException {
        return parse(Files.readAllBytes(Path.of("/proc/self/mountinfo")));
    }

    /** Everything mounted in the mount namespace of that process, paths as that process sees them. */
    public static List<Mount> list(long pid) throws IOException {
        return parse(Files.readAllBytes(Path.of("/proc/" + pid + "/mountinfo")));
    }

    /** Whether something is mounted exactly there; the path must be absolute and without symbolic links. */
    public static boolean isMountPoint(Path target) throws IOException {
        Path absolute = target.toAbsolutePath().normalize();
        for (Mount mount : list()) {
            if (mount.target().equals(absolute)) {
                return true;
            }
        }
        return false;
    }

    /** Parses the contents of a mountinfo file. */
    static List<Mount> parse(byte[] mountinfo) {
        List<Mount> mounts = new ArrayList<>();
        int start = 0;
        for (int i = 0; i < mountinfo.length; i++) {
            if (mountinfo[i] == '\n') {
                mounts.add(parseLine(new Fields(mountinfo, start, i)));
                start = i + 1;
            }
        }
        return mounts;
    }

    private static Mount parseLine(Fields fields) {
        int id = Integer.parseInt(fields.next());
        int parentId = Integer.parseInt(fields.next());
        String device = fields.next();
        int colon = device.indexOf(':');
        String root = fields.next();
        String target = fields.next();
        String options = fields.next();
        StringBuilder propagation = new StringBuilder();
        for (String field = fields.next(); !field.equals("-"); field = fields.next()) {
            if (!propagation.isEmpty()) {
                propagation.append(' ');
            }
            propagation.append(field);
        }
        return new Mount(
                id,
                parentId,
                Integer.parseInt(device, 0, colon, 10),
                Integer.parseInt(device, colon + 1, device.length(), 10),
                root,
                Path.of(target),
                options,
                propagation.toString(),
                fields.next(),
                fields.next(),
                fields.next());
    }

    /** The fields of one line: separated by one space; space, tab, newline and backslash inside as three octal digits. */
    private static final class Fields {
        private final byte[] bytes;
        private final int end;
        private int position;

        Fields(byte[] bytes, int start, int end) {
            this.bytes = bytes;
            this.position = start;
            this.end = end;
        }

        String next() {
            if (position > end) {
                throw new IllegalArgumentException("a line of mountinfo has too few fields");
            }
            byte[] field = new byte[end - position];
            int length = 0;
            int i = position;
            while (i < end && bytes[i] != ' ') {
                if (bytes[i] == '\\' && i + 3 < end && isOctal(i + 1) && isOctal(i + 2) && isOctal(i + 3)) {
                    field[length++] =
                            (byte) ((bytes[i + 1] - '0') << 6 | (bytes[i + 2] - '0') << 3 | (bytes[i + 3] - '0'));
                    i += 4;
                } else {
                    field[length++] = bytes[i++];
                }
            }
            position = i + 1;
            return new String(field, 0, length, StandardCharsets.UTF_8);
        }

        private boolean isOctal(int index) {
            return bytes[index] >= '0' && bytes[index] <= '7';
        }
    }

    private static String flags(long flags) {
        return flags == 0 ? "0" : "0x" + Long.toHexString(flags);
    }

    /** Looked up only when ids are mapped. */
    private static final class Idmap {
        static final MemorySegment OPEN_TREE = Libc.function("open_tree");
        static final MemorySegment MOUNT_SETATTR = Libc.function("mount_setattr");
        static final MemorySegment MOVE_MOUNT = Libc.function("move_mount");

        private Idmap() {}
    }
}
