package dev.satchel.vault;

import org.jspecify.annotations.Nullable;

/** Bytes are not what was written, or are missing (CLI exit 4). The message names the object. */
public final class DamagedException extends VaultException {
    private static final long serialVersionUID = 1;

    /** The message is a line for people, see {@link VaultException}. */
    public DamagedException(String message) {
        this(message, null);
    }

    /** The message is a line for people, see {@link VaultException}. */
    public DamagedException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
