package dev.satchel.vault;

/** A garbage collection has removed a chunk between its having been found and its being named: what depends on it must be stored again. */
public final class CollectedException extends VaultException {
    private static final long serialVersionUID = 1;

    CollectedException(String message) {
        super(message, null);
    }
}
