package dev.satchel.linux.fuse;

import dev.satchel.linux.Errno;
import dev.satchel.linux.Fd;
import dev.satchel.linux.FileSystems;
import dev.satchel.linux.LinuxException;
import dev.satchel.linux.Mounts;
import dev.satchel.linux.Processes;
import dev.satchel.linux.ServedDevices;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A mounted directory of {@link FuseFile}s, served by threads of this process until it is closed. If the process dies, I/O on the
 * files fails (ENOTCONN), it does not hang.
 *
 * <p>A thread of the same process that uses the files, or a file system on a loop device over one, goes through {@link
 * ServedDevices#callWithout}, which says why.
 */
public final class FuseMount implements Closeable {
    private static final Path DEVICE = Path.of("/dev/fuse");
    /** How long others may take to let go of the files after unmounting, before their I/O is made to fail. */
    private static final long RELEASE_MILLIS_MAX = 1_000;

    private static final long ABORT_MILLIS_MAX = 5_000;

    /** Is told what went wrong while a request was served; called by the serving threads. */
    @FunctionalInterface
    public interface FailureListener {
        /** Whoever made the request got an error already. Must not throw: it would end the serving thread. */
        void failed(String what, Throwable cause);
    }

    /**
     * How it is served.
     *
     * @param threads that serve requests, each with a buffer of 1 MiB outside the heap
     * @param readBytesMax a longer read comes in pieces of so many bytes, which several threads serve at the same time; a multiple of
     *     the page size, up to {@link #READ_BYTES_MAX}
     * @param allowOther whether users other than this one may enter and read, those of user namespaces below too
     * @param failures is told of failed requests
     */
    public record Options(int threads, int readBytesMax, boolean allowOther, FailureListener failures) {
        /** Longer ones the kernel cuts by itself. */
        public static final int READ_BYTES_MAX = FuseWorker.PAYLOAD_BYTES_MAX;

        /** Two threads; this user only; failures go to standard error. */
        public static final Options DEFAULT = new Options(
                2,
                READ_BYTES_MAX,
                false,
                (what, cause) -> System.err.println("satchel: " + what + " failed: " + cause));

        public Options {
            if (threads < 1 || threads > 64) {
                throw new IllegalArgumentException(threads + " threads: 1 to 64 are possible");
            }
            if (readBytesMax < 4096 || readBytesMax > READ_BYTES_MAX || readBytesMax % 4096 != 0) {
                throw new IllegalArgumentException("reads of " + readBytesMax + " bytes: multiples of 4096 up to "
                        + READ_BYTES_MAX + " are possible");
            }
        }
    }

    private final Path directory;
    private final Fd device;
    private final EagerDevice eager;
    private final ServedDirectory served;
    private final int connection;
    private final Thread[] workers;
    private final AtomicInteger serving;
    private boolean closed;

    private FuseMount(
            Path directory, Fd device, EagerDevice eager, int connection, ServedDirectory served, Options options) {
        this.directory = directory;
        this.device = device;
        this.eager = eager;
        this.served = served;
        this.connection = connection;
        serving = new AtomicInteger(options.threads());
        workers = new Thread[options.threads()];
        for (int i = 0; i < workers.length; i++) {
            workers[i] = Thread.ofPlatform()
                    .daemon()
                    .name("fuse-" + connection + "-" + i)
                    .unstarted(new FuseWorker(
                            device,
                            eager,
                            served,
                            options.allowOther(),
                            options.failures(),
                            () -> ended(options.failures())));
        }
    }

    /**
     * Mounts on an existing directory, as root.
     *
     * @param fsName what /proc/self/mountinfo names as the source
     * @param files by name
     */
    public static FuseMount mount(Path directory, String fsName, Map<String, FuseFile> files, Options options)
            throws IOException {
        ServedDirectory served = new ServedDirectory(files);
        Fd device = ServedDevices.open(DEVICE, 0);
        EagerDevice eager = null;
        try {
            Mounts.mount(
                    fsName,
                    directory,
                    "fuse",
                    Mounts.MS_NOSUID | Mounts.MS_NODEV | Mounts.MS_NOATIME,
                    "fd=" + device.number() + ",rootmode=40000,user_id=" + Processes.uid() + ",group_id=0"
                            + ",default_permissions,max_read=" + options.readBytesMax()
                            + (options.allowOther() ? ",allow_other" : ""));
        } catch (LinuxException | RuntimeException | Error e) {
            ServedDevices.close(device);
            throw e;
        }
        try {
            eager = EagerDevice.of(device, DEVICE);
            FuseMount mount =
                    new FuseMount(directory, device, eager, FileSystems.deviceMinor(directory), served, options);
            for (Thread worker : mount.workers) {
                worker.start();
            }
            return mount;
        } catch (LinuxException | RuntimeException | Error e) {
            if (eager != null) {
                eager.close();
            }
            ServedDevices.close(device);
            Mounts.unmount(directory, Mounts.MNT_DETACH);
            throw e;
        }
    }

    /** The directory where the files are. */
    public Path directory() {
        return directory;
    }

    /**
     * Puts parts of files that are {@link FuseFile#cached() cached} into the kernel's page cache before anybody asks for them
     * (FUSE_NOTIFY_STORE). One thread at a time; must be closed before the mount is, and not be used by what serves a read:
     * the kernel waits in it for pages that are being read.
     */
    public PageCache pageCache() {
        return new PageCache(this, device, served);
    }

    /** How many requests a thread was awake for already. */
    long foundAwake() {
        return eager.found();
    }

    /** Makes all I/O on the files fail now and ever (ENOTCONN, ECONNABORTED); it stays mounted until {@link #close}. */
    public void abort() throws IOException {
        FuseConnections.abort(connection);
    }

    /**
     * Unmounts and ends the threads. If somebody still has files open (a loop device, a mount in another namespace), it is
     * detached from the directory, they get a second to let go, and then their I/O fails.
     */
    @Override
    public void close() throws IOException {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
        }
        try {
            Mounts.unmount(directory, Mounts.UMOUNT_NOFOLLOW);
        } catch (LinuxException e) {
            switch (e.errno()) {
                case Errno.EBUSY -> Mounts.unmount(directory, Mounts.MNT_DETACH | Mounts.UMOUNT_NOFOLLOW);
                case Errno.EINVAL -> {} // somebody else has unmounted it
                default -> throw e;
            }
        }
        if (!join(RELEASE_MILLIS_MAX)) {
            abort();
            if (!join(ABORT_MILLIS_MAX)) {
                throw new IOException("threads that serve " + directory + " did not end within " + ABORT_MILLIS_MAX
                        + " ms of the connection's end: one hangs in a read, write or flush");
            }
        }
    }

    private boolean join(long millisMax) {
        long deadline = System.nanoTime() + millisMax * 1_000_000;
        boolean interrupted = false;
        boolean ended = true;
        for (Thread worker : workers) {
            while (worker.isAlive()) {
                long remaining = (deadline - System.nanoTime()) / 1_000_000;
                if (remaining <= 0) {
                    ended = false;
                    break;
                }
                try {
                    worker.join(remaining);
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        return ended;
    }

    /** The last thread to end lets go of the device: if anybody still waits for an answer, the kernel fails it. */
    private void ended(FailureListener failures) {
        if (serving.decrementAndGet() > 0) {
            return;
        }
        try {
            eager.close();
            ServedDevices.close(device);
        } catch (LinuxException e) {
            failures.failed("end of " + directory, e);
        }
    }
}
