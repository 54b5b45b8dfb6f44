package dev.satchel.vault;

import org.jspecify.annotations.Nullable;

/** A vault, session or image of that name is there already. */
public final class ExistsException extends VaultException {
    private static final long serialVersionUID = 1;

    /** The message is a line for people, see {@link VaultException}. */
    public ExistsException(String message) {
        this(message, null);
    }

    /** The message is a line for people, see {@link VaultException}. */
    public ExistsException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
