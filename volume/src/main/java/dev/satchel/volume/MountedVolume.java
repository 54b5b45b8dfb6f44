package dev.satchel.volume;

import static java.util.Objects.requireNonNull;

import dev.satchel.linux.Errno;
import dev.satchel.linux.FileSystems;
import dev.satchel.linux.LinuxException;
import dev.satchel.linux.LoopDevice;
import dev.satchel.linux.Mount;
import dev.satchel.linux.Mounts;
import dev.satchel.linux.fuse.FuseFile;
import dev.satchel.linux.fuse.FuseMount;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A volume's ext4 in the tree of files: volume, served by FUSE as one file in a private directory, under a loop device with
 * direct I/O, mounted. Owns all of these but the volume; undoes them in reverse, also when mounting fails half-way.
 *
 * <p>For one thread at a time, but for {@link #sync}.
 */
public final class MountedVolume implements AutoCloseable {
    private static final String DISK = "disk";
    private static final String FILE = "volume";
    private static final String FS_NAME = "satchel-volume";
    /** How many requests are with the device at the same time; each thread's buffer costs what its largest request needed. */
    private static final int THREADS = 8;

    /** A long read comes slot by slot, so that as many are decoded at the same time as there are processors. */
    private static final int READ_BYTES_MAX = Geometry.SLOT_BYTES;

    private static final int EXT4_BLOCK_BYTES = 4096;
    private static final long FORMAT_BYTES_MIN = 16L << 20;
    /** How long the last users of a file system may take to let go of it: a dying mount namespace does so a little later. */
    private static final long RELEASE_MILLIS_MAX = 1_000;

    private final FuseMount fuse;
    /**
     * The kernel takes 2.5 MB for a device of this kind, and reads as much around each page of a program that is not there yet: a
     * desktop's resume then decoded five times what its programs touch. Who reads on and on is read ahead of by the volume.
     */
    private static final int READ_AHEAD_BYTES = 256 << 10;

    private final LoopDevice loop;
    private final Path mountPoint;
    private final Refusals refused;

    private boolean mounted;
    private boolean closed;

    private MountedVolume(FuseMount fuse, LoopDevice loop, Path mountPoint, Refusals refused) {
        this.fuse = fuse;
        this.loop = loop;
        this.mountPoint = mountPoint;
        this.refused = refused;
    }

    /**
     * Mounts a volume that has a file system ({@link #format}). What a crash left in its journal is replayed.
     *
     * @param volume stays the caller's, and open until after {@link #close}
     * @param directory private to this volume, made with mode 0700 if it is not there; what {@link #cleanUpAfterCrash} is given
     * @param mountPoint an existing directory
     */
    public static MountedVolume mount(Volume volume, Path directory, Path mountPoint) throws IOException {
        Path target = mountPoint.toRealPath();
        MountedVolume made = attach(volume, directory, target, false);
        boolean done = false;
        try {
            // Barriers and relatime are the defaults (ext4(5)).
            Mounts.mount(made.loop.path().toString(), target, "ext4", Mounts.MS_NODEV, "errors=remount-ro");
            made.mounted = true;
            done = true;
            return made;
        } catch (LinuxException e) {
            made.refused.rethrowFor(e); // the kernel knows but that a read failed
            throw e;
        } finally {
            if (!done) {
                made.close();
            }
        }
    }

    /**
     * Makes an empty ext4 as large as the volume on it, with mke2fs(8); whatever was there is discarded.
     *
     * @param directory as in {@link #mount}
     */
    public static void format(Volume volume, Path directory) throws IOException {
        if (volume.sizeBytes() < FORMAT_BYTES_MIN) {
            throw new IllegalArgumentException(
                    "a file system on " + volume.sizeBytes() + " bytes: " + FORMAT_BYTES_MIN + " are needed");
        }
        volume.discard(0, volume.sizeBytes());
        try (MountedVolume made = attach(volume, directory, directory, false)) {
            // Features that every kernel since 5.4 can mount: sessions travel. No 64bit: a volume has 16 TiB at most.
            // Nothing
            // reserved for root. The volume reads as zeros, so nothing is zeroed now or after the first mount.
            run(List.of(
                    "mke2fs",
                    "-q",
                    "-F",
                    "-t",
                    "ext4",
                    "-b",
                    Integer.toString(EXT4_BLOCK_BYTES),
                    "-m",
                    "0",
                    "-J",
                    "size=" + journalMib(volume.sizeBytes()),
                    "-O",
                    "^64bit,^orphan_file,^metadata_csum_seed",
                    "-E",
                    "nodiscard,assume_storage_prezeroed=1",
                    made.loop.path().toString(),
                    Long.toString(volume.sizeBytes() / 1024) + "k"));
        }
        volume.flush();
    }

    /**
     * Makes a volume and the ext4 on it larger, with resize2fs(8). It must not be mounted.
     *
     * @param directory as in {@link #mount}
     * @param sizeBytes a multiple of 4096, not below the present size
     */
    public static void grow(Volume volume, Path directory, long sizeBytes) throws IOException {
        volume.grow(sizeBytes);
        // Growing while mounted needs CAP_SYS_RESOURCE (EXT4_IOC_RESIZE_FS), which containers lack.
        Path mountPoint = Files.createDirectories(directory.resolve("grown"));
        // resize2fs wants a file system that was unmounted.
        mount(volume, directory, mountPoint).close();
        Files.delete(mountPoint);
        try (MountedVolume made = attach(volume, directory, directory, false)) {
            // Forced: it otherwise wants an e2fsck after each mount.
            run(List.of("resize2fs", "-f", made.loop.path().toString()));
        }
        volume.flush();
    }

    private static long journalMib(long sizeBytes) {
        return sizeBytes >= 4L << 30 ? 64 : sizeBytes >= 256L << 20 ? 16 : 4;
    }

    private static void run(List<String> command) throws IOException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        try {
            process.getOutputStream().close();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            int status = process.waitFor();
            if (status != 0) {
                throw new IOException(command.getFirst() + " failed with status " + status + " (" + output
                        + "): check the volume's size and the vault's free space");
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while " + command.getFirst() + " ran", e);
        }
    }

    /**
     * Mounts a snapshot read-only, e.g. to look files up in it. Its file system must have been {@link #settle settled} or
     * unmounted when it was taken: a journal can't be replayed here.
     *
     * @param snapshot stays the caller's, and open until after {@link #close}
     */
    public static MountedVolume mountReadOnly(Frozen snapshot, Path directory, Path mountPoint) throws IOException {
        Path target = mountPoint.toRealPath();
        MountedVolume made = attach(snapshot, directory, target, true);
        boolean done = false;
        try {
            Mounts.mount(
                    made.loop.path().toString(),
                    target,
                    "ext4",
                    Mounts.MS_NODEV | Mounts.MS_RDONLY,
                    "errors=remount-ro,noload");
            made.mounted = true;
            done = true;
            return made;
        } finally {
            if (!done) {
                made.close();
            }
        }
    }

    private static MountedVolume attach(FuseFile disk, Path directory, Path target, boolean readOnly)
            throws IOException {
        requireNonNull(disk, "disk");
        Path private0700 = Files.createDirectories(
                        directory, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")))
                .toRealPath();
        Path at = private0700.resolve(DISK);
        Files.createDirectories(at);
        Refusals refused = new Refusals();
        FuseMount fuse = FuseMount.mount(
                at, FS_NAME, Map.of(FILE, disk), new FuseMount.Options(THREADS, READ_BYTES_MAX, false, refused));
        LoopDevice loop = null;
        boolean whole = false;
        try {
            loop = LoopDevice.attach(
                    at.resolve(FILE), new LoopDevice.Options(readOnly, true, Geometry.BLOCK_BYTES, true));
            loop.setReadAhead(READ_AHEAD_BYTES);
            MountedVolume mounted = new MountedVolume(fuse, loop, target, refused);
            whole = true;
            return mounted;
        } finally {
            if (!whole) {
                try {
                    if (loop != null) {
                        loop.close();
                    }
                } finally {
                    fuse.close();
                }
            }
        }
    }

    /** When the vault could not answer the kernel. */
    public Refusals refusals() {
        return refused;
    }

    /** Where the file system is mounted. */
    public Path mountPoint() {
        return mountPoint;
    }

    /** The block device, {@code /dev/loopN}. */
    public Path device() {
        return loop.path();
    }

    /** Everything written to the file system is durable on return. */
    public void sync() throws IOException {
        FileSystems.sync(mountPoint);
    }

    /**
     * Writes everything out and empties the journal. If nobody writes meanwhile, a {@link Volume#snapshot} after it has all files as
     * they are, and mounting it has nothing to replay. FIFREEZE would do no more then, and waits for three grace periods of the
     * kernel's RCU, 40 ms and more.
     */
    public void settle() throws IOException {
        FileSystems.sync(mountPoint);
        FileSystems.checkpointJournal(mountPoint);
    }

    /** Discards what the file system does not use, so that no snapshot carries it. @return bytes discarded */
    public long trim() throws IOException {
        return FileSystems.trim(mountPoint);
    }

    /**
     * Unmounts, detaches, ends serving. If somebody uses the file system still, everything is written out, it is taken from the
     * tree all the same, their later I/O fails, and this throws, having undone everything. A second call does nothing.
     */
    @Override
    public void close() throws IOException {
        if (closed) {
            return;
        }
        closed = true;
        IOException failure = null;
        if (mounted) {
            try {
                unmount();
            } catch (IOException e) {
                failure = e;
            }
        }
        try {
            loop.close();
        } catch (IOException e) {
            failure = first(failure, e);
        }
        try {
            fuse.close();
        } catch (IOException e) {
            failure = first(failure, e);
        }
        if (failure != null) {
            throw failure;
        }
    }

    private void unmount() throws IOException {
        long deadline = System.nanoTime() + RELEASE_MILLIS_MAX * 1_000_000;
        while (true) {
            try {
                Mounts.unmount(mountPoint, Mounts.UMOUNT_NOFOLLOW);
                return;
            } catch (LinuxException e) {
                if (e.errno() == Errno.EINVAL) {
                    return; // somebody else has unmounted it
                }
                if (e.errno() != Errno.EBUSY) {
                    throw e;
                }
                if (System.nanoTime() > deadline) {
                    FileSystems.sync(mountPoint);
                    Mounts.unmount(mountPoint, Mounts.MNT_DETACH | Mounts.UMOUNT_NOFOLLOW);
                    throw e;
                }
            }
            try {
                Thread.sleep(10);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                deadline = System.nanoTime();
            }
        }
    }

    private static IOException first(@Nullable IOException first, IOException next) {
        if (first == null) {
            return next;
        }
        first.addSuppressed(next);
        return first;
    }

    /**
     * Unmounts and detaches what a killed process left of a mounted volume. Does nothing when there is nothing. The volume must
     * not be served any more by anybody.
     *
     * @param directory that it was mounted with
     */
    public static void cleanUpAfterCrash(Path directory) throws IOException {
        if (!Files.isDirectory(directory)) {
            return;
        }
        Path disk = directory.toRealPath().resolve(DISK);
        // The file's name is how the device is found: so the device goes before what serves the file.
        for (LoopDevice loop : LoopDevice.find(disk.resolve(FILE))) {
            String source = loop.path().toString();
            for (Mount mount : Mounts.list().reversed()) {
                if (mount.source().equals(source)) {
                    Mounts.unmount(mount.target(), Mounts.MNT_DETACH | Mounts.UMOUNT_NOFOLLOW);
                }
            }
            loop.close();
        }
        if (Mounts.isMountPoint(disk)) {
            Mounts.unmount(disk, Mounts.MNT_DETACH | Mounts.UMOUNT_NOFOLLOW);
        }
    }
}
