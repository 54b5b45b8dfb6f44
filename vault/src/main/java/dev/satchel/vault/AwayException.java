package dev.satchel.vault;

/**
 * The place of a vault that was there before is not there just now: its device has been taken away, or its directory moved. Nothing is
 * known of what is in it; it may come back as it was (CLI exit 3).
 */
public final class AwayException extends VaultException {
    private static final long serialVersionUID = 1;

    /** The message is a line for people, see {@link VaultException}. */
    public AwayException(String message) {
        super(message, null);
    }
}
