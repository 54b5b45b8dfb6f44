package dev.satchel.vault;

import static java.util.Objects.requireNonNull;

/** Another holder has the session, or has taken it over (CLI exit 6). */
public final class InUseException extends VaultException {
    private static final long serialVersionUID = 1;
    private final transient LeaseHolder holder;

    /** The message is a line for people, see {@link VaultException}. */
    public InUseException(String message, LeaseHolder holder) {
        super(message, null);
        this.holder = requireNonNull(holder, "holder");
    }

    /** Who has it. */
    public LeaseHolder holder() {
        return holder;
    }
}
