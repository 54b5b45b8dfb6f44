package dev.satchel.linux;

import java.io.IOException;

/**
 * A system call that failed: names the call with its arguments, and the errno, as in
 * {@code mount(/dev/loop3, /x, ext4, 0): No space left on device (ENOSPC)}.
 */
public final class LinuxException extends IOException {
    private static final long serialVersionUID = 1;
    private final int errno;

    /**
     * Describes a failed call.
     *
     * @param call the call as strace(1) would show it, arguments included
     * @param errno the errno value it left, see {@link Errno}
     */
    public LinuxException(String call, int errno) {
        super(call + ": " + Errno.describe(errno) + " (" + Errno.name(errno) + ")");
        this.errno = errno;
    }

    /** The errno value, see {@link Errno} and errno(3). */
    public int errno() {
        return errno;
    }
}
