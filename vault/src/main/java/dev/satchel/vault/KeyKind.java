package dev.satchel.vault;

/** What a key slot is opened with. */
public enum KeyKind {
    /** A passphrase, made slow to guess by Argon2id. */
    PASSPHRASE(1),
    /** A {@link RecoveryKey}, which nobody can guess. */
    RECOVERY(2),
    /** What a security key answers through a browser (WebAuthn's PRF extension). */
    SECURITY_KEY(3);

    /** The number in a slot's file. */
    final int code;

    KeyKind(int code) {
        this.code = code;
    }
}
