package dev.satchel.vault;

/**
 * Names a copy of a vault: the vault's id says which vault, this one says which of its copies. 128 bits; its text is 32 lower-case hex
 * digits.
 *
 * @param high the first eight bytes, big-endian
 * @param low the last eight bytes, big-endian
 */
public record ReplicaId(long high, long low) {
    /** The copy that was made by {@link Vault#init}. */
    public static final ReplicaId ORIGINAL = new ReplicaId(0, 0);

    /** A new one, from the cryptographic random source. */
    public static ReplicaId random() {
        byte[] bytes = RandomBytes.of(16);
        return new ReplicaId(Bytes.getLong(bytes, 0), Bytes.getLong(bytes, 8));
    }

    /**
     * Reads the text form.
     *
     * @throws IllegalArgumentException when it is not 32 hex digits
     */
    public static ReplicaId parse(String hex) {
        return new ReplicaId(Bytes.parseHex(hex, 32, 0), Bytes.parseHex(hex, 32, 16));
    }

    @Override
    public String toString() {
        return Bytes.hex(high, low);
    }
}
