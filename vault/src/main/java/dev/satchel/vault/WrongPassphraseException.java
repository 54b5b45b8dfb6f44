package dev.satchel.vault;

import org.jspecify.annotations.Nullable;

/** No key slot opens with this passphrase (CLI exit 4). Says nothing of what is inside. */
public final class WrongPassphraseException extends VaultException {
    private static final long serialVersionUID = 1;

    /** The message is a line for people, see {@link VaultException}. */
    public WrongPassphraseException(String message) {
        this(message, null);
    }

    /** The message is a line for people, see {@link VaultException}. */
    public WrongPassphraseException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
