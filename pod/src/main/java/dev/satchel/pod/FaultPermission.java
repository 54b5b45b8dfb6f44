package dev.satchel.pod;

import dev.satchel.linux.Fd;
import dev.satchel.linux.Userfaultfd;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The permission of processes in user namespaces to make a userfaultfd(2), which CRIU needs while it restores. It is the whole
 * host's ({@code vm.unprivileged_userfaultfd}): given as long as some restore needs it, and taken back by the last. A file in
 * {@code /run} keeps what the host had; a shared lock on it says that somebody needs the permission, an exclusive one that it is
 * being changed. What a killed process left is put back by the next.
 */
final class FaultPermission implements Closeable {
    private static final Path FILE = Path.of("/run/satchel/userfaultfd");
    private static final String REFUSED = "0";
    private static final String GIVEN = "1";

    private final Path file;
    private final Path setting;
    private final Fd lock;

    private FaultPermission(Path file, Path setting, Fd lock) {
        this.file = file;
        this.setting = setting;
        this.lock = lock;
    }

    static FaultPermission give() throws IOException {
        return give(FILE, Userfaultfd.PERMISSION);
    }

    static FaultPermission give(Path file, Path setting) throws IOException {
        while (true) {
            FaultPermission permission = open(file, setting);
            try {
                if (permission.lock.tryLock()) {
                    if (!GIVEN.equals(permission.now())) {
                        Files.writeString(file, REFUSED);
                        Files.writeString(setting, GIVEN);
                    }
                }
                permission.lock.lockShared();
                if (GIVEN.equals(permission.now())) {
                    return permission;
                }
                permission.lock.close(); // taken back before we had our lock
            } catch (IOException | RuntimeException e) {
                permission.lock.close();
                throw e;
            }
        }
    }

    /** Puts back what a process left that was killed. */
    static void settle() throws IOException {
        settle(FILE, Userfaultfd.PERMISSION);
    }

    static void settle(Path file, Path setting) throws IOException {
        if (Files.exists(file)) {
            open(file, setting).close();
        }
    }

    private static FaultPermission open(Path file, Path setting) throws IOException {
        Path directory = file.getParent();
        if (directory != null) {
            Files.createDirectories(directory);
        }
        return new FaultPermission(file, setting, Fd.open(file, Fd.O_RDWR | Fd.O_CREAT | Fd.O_CLOEXEC));
    }

    private String now() throws IOException {
        return Files.readString(setting).strip();
    }

    /** Takes it back if nobody else needs it. */
    @Override
    public void close() throws IOException {
        try (lock) {
            if (lock.tryLock() && REFUSED.equals(Files.readString(file))) {
                Files.writeString(setting, REFUSED);
                Files.writeString(file, "");
            }
        }
    }
}
