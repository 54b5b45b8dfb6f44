package dev.satchel.vault;

import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * Something is wrong with a vault or with what is asked of it. The message is a whole line for people:
 * {@code <what happened>: <what to do>}. Any other {@link IOException} is the device's.
 */
public abstract sealed class VaultException extends IOException
        permits AwayException,
                CollectedException,
                DamagedException,
                ExistsException,
                ForgedException,
                InUseException,
                LogInUseException,
                NoSuchException,
                VaultFullException,
                WrongPassphraseException {
    private static final long serialVersionUID = 1;

    VaultException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
