package dev.satchel.session;

import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** A failure that a person can act on: its message says what happened and what to do; its kind decides the exit code. */
public final class SatchelException extends IOException {
    private static final long serialVersionUID = 1;

    /** What went wrong, as the exit codes of the command line tell it apart. */
    public enum Kind {
        /** Anything not below. */
        FAILED(1),
        /** What was to be made is there already. */
        EXISTS(1),
        /** What was asked for can't be: a key that there is none of, a place that is not on the screen. */
        WRONG_USAGE(2),
        /** No such vault, session, snapshot or image. */
        NOT_FOUND(3),
        /** Wrong passphrase, or data damaged or forged. */
        NOT_AUTHENTIC(4),
        /** This host lacks something. */
        HOST_LACKS(5),
        /** In use elsewhere. */
        IN_USE(6);

        private final int exitCode;

        Kind(int exitCode) {
            this.exitCode = exitCode;
        }

        /** The exit code of a command that failed so. */
        public int exitCode() {
            return exitCode;
        }
    }

    private final Kind kind;

    public SatchelException(Kind kind, String message) {
        this(kind, message, null);
    }

    /** {@code message} reads {@code <what happened>: <what to do>}. */
    public SatchelException(Kind kind, String message, @Nullable Throwable cause) {
        super(message, cause);
        this.kind = kind;
    }

    public Kind kind() {
        return kind;
    }
}
