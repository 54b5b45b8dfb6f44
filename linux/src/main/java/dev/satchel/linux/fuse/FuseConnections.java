package dev.satchel.linux.fuse;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.satchel.linux.Errno;
import dev.satchel.linux.Fd;
import dev.satchel.linux.Libc;
import dev.satchel.linux.LinuxException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The kernel's control file system for FUSE connections (kernel documentation, filesystems/fuse/fuse, "Control filesystem"). It is
 * opened without being mounted anywhere: hosts need not have it at /sys/fs/fuse/connections.
 */
final class FuseConnections {
    private static final int FSOPEN_CLOEXEC = 1;
    private static final int FSMOUNT_CLOEXEC = 1;
    private static final int FSCONFIG_CMD_CREATE = 6;

    private FuseConnections() {}

    /** Ends a connection, named by the minor device number of its mount; no matter if it has ended already. */
    static void abort(int connection) throws LinuxException {
        try (Arena arena = Arena.ofConfined();
                Fd context = Fd.owning(
                        check(
                                "fsopen(fusectl)",
                                Libc.call(Libc.function("fsopen"), Libc.string(arena, "fusectl"), FSOPEN_CLOEXEC)),
                        "fusectl")) {
            check(
                    "fsconfig(fusectl, CMD_CREATE)",
                    Libc.call(Libc.function("fsconfig"), context.number(), FSCONFIG_CMD_CREATE, 0, 0, 0));
            try (Fd root = Fd.owning(
                            check(
                                    "fsmount(fusectl)",
                                    Libc.call(Libc.function("fsmount"), context.number(), FSMOUNT_CLOEXEC, 0)),
                            "fusectl");
                    Fd file = root.openInRoot(connection + "/abort", Fd.O_WRONLY, 0, false)) {
                MemorySegment one = arena.allocate(1);
                one.set(JAVA_BYTE, 0, (byte) '1');
                file.write(one);
            } catch (LinuxException e) {
                if (e.errno() != Errno.ENOENT) {
                    throw e;
                }
            }
        }
    }

    private static int check(String call, long result) throws LinuxException {
        if ((int) result < 0) {
            throw new LinuxException(call, Libc.errno());
        }
        return (int) result;
    }
}
