package dev.satchel.linux;

import java.io.IOException;

/** A system call that failed: names the call, its arguments and the errno. */
public final class LinuxException extends IOException {
    private static final long serialVersionUID = 1;
    private final int errno;

    public LinuxException(String call, int errno, String errnoText) {
        super(call + ": " + errnoText);
        this.errno = errno;
    }

    /** The errno value, see errno(3). */
    public int errno() {
        return errno;
    }
}
