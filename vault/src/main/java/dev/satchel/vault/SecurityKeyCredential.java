package dev.satchel.vault;

/**
 * What a browser must be told to have a security key answer as it did when it was enrolled (WebAuthn level 3, §10.1.4). Not secret.
 *
 * @param relyingParty the relying party's id, which is a host name
 * @param credential the credential's id, 1 to 1023 bytes
 * @param salt the 32 bytes that the key's pseudo-random function is evaluated on
 */
@SuppressWarnings("ArrayRecordComponent") // nobody compares them by equals
public record SecurityKeyCredential(String relyingParty, byte[] credential, byte[] salt) {
    /** Length of the salt, and of what the key answers. */
    public static final int PRF_BYTES = 32;

    private static final int CREDENTIAL_BYTES_MAX = 1023;

    public SecurityKeyCredential {
        if (relyingParty.isEmpty() || relyingParty.length() > 253) {
            throw new IllegalArgumentException("a relying party's id has 1 to 253 characters");
        }
        if (credential.length < 1 || credential.length > CREDENTIAL_BYTES_MAX || salt.length != PRF_BYTES) {
            throw new IllegalArgumentException("a credential's id has 1 to " + CREDENTIAL_BYTES_MAX
                    + " bytes, its salt " + PRF_BYTES + ": these have " + credential.length + " and " + salt.length);
        }
    }
}
