package dev.satchel.vault;

import org.jspecify.annotations.Nullable;

/** The device that holds the vault is full. What was being written is gone; all that was there is whole. */
public final class VaultFullException extends VaultException {
    private static final long serialVersionUID = 1;

    /** The message is a line for people, see {@link VaultException}. */
    public VaultFullException(String message) {
        this(message, null);
    }

    /** The message is a line for people, see {@link VaultException}. */
    public VaultFullException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
