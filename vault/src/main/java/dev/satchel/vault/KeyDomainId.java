package dev.satchel.vault;

/**
 * Names a key domain: derived from the domain's secret, so that the same keys have the same name everywhere. 128 bits; its text is 32 lower-case hex digits.
 *
 * @param high the first eight bytes, big-endian
 * @param low the last eight bytes, big-endian
 */
public record KeyDomainId(long high, long low) {
    /** A new one, from the cryptographic random source. */
    public static KeyDomainId random() {
        byte[] bytes = RandomBytes.of(16);
        return new KeyDomainId(Bytes.getLong(bytes, 0), Bytes.getLong(bytes, 8));
    }

    /**
     * Reads the text form.
     *
     * @throws IllegalArgumentException when it is not 32 hex digits
     */
    public static KeyDomainId parse(String hex) {
        return new KeyDomainId(Bytes.parseHex(hex, 32, 0), Bytes.parseHex(hex, 32, 16));
    }

    @Override
    public String toString() {
        return Bytes.hex(high, low);
    }
}
