package dev.satchel.vault;

import org.jspecify.annotations.Nullable;

/** Well-formed, but not by a holder of the keys, or older than what this host has seen (CLI exit 4). The message names the object. */
public final class ForgedException extends VaultException {
    private static final long serialVersionUID = 1;

    /** The message is a line for people, see {@link VaultException}. */
    public ForgedException(String message) {
        this(message, null);
    }

    /** The message is a line for people, see {@link VaultException}. */
    public ForgedException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
