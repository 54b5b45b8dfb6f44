package dev.satchel.linux;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/**
 * Secrets kept by the kernel for this user (the user keyring, user-keyring(7)): every process of the same uid in the same user
 * namespace finds them, whatever login session it belongs to, until they expire, are forgotten, or the machine goes down. They
 * are never swapped out or written to disk.
 */
public final class Keyring {
    private static final int KEY_SPEC_THREAD_KEYRING = -1;
    private static final int KEY_SPEC_USER_KEYRING = -4;
    private static final int KEYCTL_REVOKE = 3;
    private static final int KEYCTL_SETPERM = 5;
    private static final int KEYCTL_LINK = 8;
    private static final int KEYCTL_UNLINK = 9;
    private static final int KEYCTL_SEARCH = 10;
    private static final int KEYCTL_READ = 11;
    private static final int KEYCTL_SET_TIMEOUT = 15;

    /** view, read, write, search, link, setattr for the possessor and the user; nothing for group and others. */
    private static final int PERMISSIONS = 0x3f3f0000;

    private static final boolean ARM = "aarch64".equals(System.getProperty("os.arch"));
    private static final int SYS_ADD_KEY = ARM ? 217 : 248;
    private static final int SYS_KEYCTL = ARM ? 219 : 250;
    private static final MemorySegment SYSCALL = Libc.function("syscall");

    private Keyring() {}

    /**
     * A key in the keyring.
     *
     * @param serial the kernel's number for it
     * @param description what it was put under
     */
    public record Key(int serial, String description) {}

    /**
     * Keeps a secret under that description, replacing one that is there; it appears at once with its time limit.
     *
     * @param secret native memory, 1 to 32767 bytes, copied
     * @param timeoutSeconds after which the kernel forgets it; 0 means never
     */
    public static Key put(String description, MemorySegment secret, int timeoutSeconds) throws LinuxException {
        if (timeoutSeconds < 0) {
            throw new IllegalArgumentException("a time limit of " + timeoutSeconds + " s");
        }
        try (Arena arena = Arena.ofConfined()) {
            // Made in the keyring of this thread first, so that there is never a key for others without limit and
            // permissions.
            int serial = (int) Libc.callWith(
                    secret,
                    SYSCALL,
                    SYS_ADD_KEY,
                    Libc.string(arena, "user"),
                    Libc.string(arena, description),
                    secret.address(),
                    secret.byteSize(),
                    KEY_SPEC_THREAD_KEYRING);
            if (serial < 0) {
                throw new LinuxException("add_key(user, " + description + ")", Libc.errno());
            }
            try {
                // A process that does not possess the key (its session keyring is another) has the user's rights only.
                keyctl(KEYCTL_SETPERM, "KEYCTL_SETPERM", description, serial, PERMISSIONS, 0, 0);
                keyctl(KEYCTL_SET_TIMEOUT, "KEYCTL_SET_TIMEOUT", description, serial, timeoutSeconds, 0, 0);
                keyctl(KEYCTL_LINK, "KEYCTL_LINK", description, serial, KEY_SPEC_USER_KEYRING, 0, 0);
            } finally {
                keyctl(KEYCTL_UNLINK, "KEYCTL_UNLINK", description, serial, KEY_SPEC_THREAD_KEYRING, 0, 0);
            }
            return new Key(serial, description);
        }
    }

    /** The key of that description, if there is one that is neither expired nor forgotten. */
    public static Optional<Key> find(String description) throws LinuxException {
        try (Arena arena = Arena.ofConfined()) {
            long serial = Libc.call(
                    SYSCALL,
                    SYS_KEYCTL,
                    KEYCTL_SEARCH,
                    KEY_SPEC_USER_KEYRING,
                    Libc.string(arena, "user"),
                    Libc.string(arena, description),
                    0);
            if ((int) serial >= 0) {
                return Optional.of(new Key((int) serial, description));
            }
            if (isGone(Libc.errno())) {
                return Optional.empty();
            }
            throw new LinuxException("keyctl(KEYCTL_SEARCH, @u, user, " + description + ")", Libc.errno());
        }
    }

    /**
     * Copies the secret into the caller's native memory.
     *
     * @return its length in bytes; more than {@code dst} holds means that nothing was copied; -1 if it has expired or was
     *     forgotten meanwhile
     */
    public static long read(Key key, MemorySegment dst) throws LinuxException {
        long length =
                Libc.callWith(dst, SYSCALL, SYS_KEYCTL, KEYCTL_READ, key.serial(), dst.address(), dst.byteSize(), 0);
        if (length < 0) {
            if (isGone(Libc.errno())) {
                return -1;
            }
            throw new LinuxException("keyctl(KEYCTL_READ, " + key.description() + ")", Libc.errno());
        }
        return length;
    }

    /** Starts a new time limit from now; 0 means none. */
    public static void setTimeout(Key key, int timeoutSeconds) throws LinuxException {
        keyctl(KEYCTL_SET_TIMEOUT, "KEYCTL_SET_TIMEOUT", key.description(), key.serial(), timeoutSeconds, 0, 0);
    }

    /** Forgets it now and for everybody: the kernel overwrites the secret. No matter if it is gone already. */
    public static void forget(Key key) throws LinuxException {
        try {
            keyctl(KEYCTL_REVOKE, "KEYCTL_REVOKE", key.description(), key.serial(), 0, 0, 0);
            keyctl(KEYCTL_UNLINK, "KEYCTL_UNLINK", key.description(), key.serial(), KEY_SPEC_USER_KEYRING, 0, 0);
        } catch (LinuxException e) {
            // ENOENT: not linked (any more).
            if (!isGone(e.errno()) && e.errno() != Errno.ENOENT) {
                throw e;
            }
        }
    }

    private static boolean isGone(int errno) {
        return errno == Errno.ENOKEY || errno == Errno.EKEYEXPIRED || errno == Errno.EKEYREVOKED;
    }

    private static void keyctl(int operation, String name, String description, long a, long b, long c, long d)
            throws LinuxException {
        if ((int) Libc.call(SYSCALL, SYS_KEYCTL, operation, a, b, c, d) < 0) {
            throw new LinuxException("keyctl(" + name + ", " + description + ")", Libc.errno());
        }
    }
}
