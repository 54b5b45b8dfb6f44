package dev.satchel.vault;

/** Another process of this machine has a log open (CLI exit 6). */
public final class LogInUseException extends VaultException {
    private static final long serialVersionUID = 1;

    LogInUseException(String message) {
        super(message, null);
    }
}
