package dev.satchel.linux.fuse;

import dev.satchel.linux.Errno;
import dev.satchel.linux.LinuxException;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;

/**
 * A mounted directory of {@link FuseFile}s, served by threads of this process until it is closed. If the process dies, I/O on the
 * files fails (ENOTCONN), it does not hang.
 */
public final class FuseMount implements Closeable {
    /**
     * How it is served.
     *
     * @param threads that serve requests, each with a buffer of 1 MiB outside the heap
     * @param allowOther whether users other than this one may enter
     */
    public record Options(int threads, boolean allowOther) {
        /** Two threads; this user only. */
        public static final Options DEFAULT = new Options(2, false);

        public Options {
            if (threads < 1 || threads > 64) {
                throw new IllegalArgumentException(threads + " threads: 1 to 64 are possible");
            }
        }
    }

    private FuseMount() {}

    /**
     * Mounts on an existing directory, as root.
     *
     * @param fsName what /proc/self/mountinfo names as the source
     * @param files by name
     */
    public static FuseMount mount(Path directory, String fsName, Map<String, FuseFile> files, Options options)
            throws IOException {
        return serve(directory, fsName, files, options);
    }

    /** Unmounts (detaches it if somebody has files open, whose I/O then fails), and ends the threads. */
    @Override
    public void close() throws IOException {}

    private static FuseMount serve(Path directory, String fsName, Map<String, FuseFile> files, Options options)
            throws IOException {
        throw new LinuxException(
                "mount(" + fsName + ", " + directory + ", " + files.size() + ", " + options + ")", Errno.ENOSYS);
    }
}
