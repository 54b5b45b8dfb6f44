package dev.satchel.vault;

import static java.util.Objects.requireNonNull;

/** Another holder has the session, or has taken it over (CLI exit 6). */
public final class InUseException extends VaultException {
    private static final long serialVersionUID = 1;
    private final transient LeaseHolder holder;
    private final boolean inAnotherCopy;

    /** The message is a line for people, see {@link VaultException}. */
    public InUseException(String message, LeaseHolder holder) {
        this(message, holder, false);
    }

    InUseException(String message, LeaseHolder holder, boolean inAnotherCopy) {
        super(message, null);
        this.holder = requireNonNull(holder, "holder");
        this.inAnotherCopy = inAnotherCopy;
    }

    /** Whether the holder had it in another copy of the vault, when this copy was last brought up to date. */
    public boolean inAnotherCopy() {
        return inAnotherCopy;
    }

    /** Who has it. */
    public LeaseHolder holder() {
        return holder;
    }
}
