package dev.satchel.vault;

/**
 * Names a key slot; chosen at random when it is made. 128 bits; its text, 32 lower-case hex digits, is the name of its file.
 *
 * @param high the first eight bytes, big-endian
 * @param low the last eight bytes, big-endian
 */
public record KeySlotId(long high, long low) {
    /** A new one, from the cryptographic random source. */
    public static KeySlotId random() {
        byte[] bytes = RandomBytes.of(16);
        return new KeySlotId(Bytes.getLong(bytes, 0), Bytes.getLong(bytes, 8));
    }

    /**
     * Reads the text form.
     *
     * @throws IllegalArgumentException when it is not 32 hex digits
     */
    public static KeySlotId parse(String hex) {
        return new KeySlotId(Bytes.parseHex(hex, 32, 0), Bytes.parseHex(hex, 32, 16));
    }

    @Override
    public String toString() {
        return Bytes.hex(high, low);
    }
}
