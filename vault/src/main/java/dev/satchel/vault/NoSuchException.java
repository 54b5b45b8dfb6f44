package dev.satchel.vault;

import org.jspecify.annotations.Nullable;

/** No such vault, session, snapshot, image or object (CLI exit 3). */
public final class NoSuchException extends VaultException {
    private static final long serialVersionUID = 1;

    /** The message is a line for people, see {@link VaultException}. */
    public NoSuchException(String message) {
        this(message, null);
    }

    /** The message is a line for people, see {@link VaultException}. */
    public NoSuchException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
