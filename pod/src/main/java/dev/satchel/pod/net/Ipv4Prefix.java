package dev.satchel.pod.net;

import java.io.UncheckedIOException;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.UnknownHostException;

/**
 * A range of IPv4 addresses in CIDR notation, RFC 4632.
 *
 * @param first its lowest address, most significant byte first
 * @param length bits that all its addresses share, 0 to 32
 */
public record Ipv4Prefix(int first, int length) {
    public Ipv4Prefix {
        if (length < 0 || length > 32) {
            throw new IllegalArgumentException("a prefix has 0 to 32 bits, not " + length);
        }
        if ((first & ~mask(length)) != 0) {
            throw new IllegalArgumentException(
                    text(first) + "/" + length + " has bits set behind the prefix: did you mean "
                            + text(first & mask(length)) + "/" + length + "?");
        }
    }

    /** The range of that length that the address is in. */
    public static Ipv4Prefix of(Inet4Address address, int length) {
        return new Ipv4Prefix(number(address) & mask(length), length);
    }

    /** Parses {@code 10.0.0.0/8}, or {@code 10.1.2.3} for that address alone. */
    public static Ipv4Prefix parse(String cidr) {
        int slash = cidr.indexOf('/');
        try {
            String address = slash < 0 ? cidr : cidr.substring(0, slash);
            int length = slash < 0 ? 32 : Integer.parseInt(cidr, slash + 1, cidr.length(), 10);
            return new Ipv4Prefix(number(Inet4Address.ofLiteral(address)), length);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "'" + cidr + "' is no range of IPv4 addresses such as 192.168.1.0/24: " + e.getMessage(), e);
        }
    }

    public boolean contains(Inet4Address address) {
        return contains(number(address));
    }

    boolean contains(int address) {
        return (address & mask(length)) == first;
    }

    /** Whether they have an address in common. */
    public boolean overlaps(Ipv4Prefix other) {
        return length <= other.length ? contains(other.first) : other.contains(first);
    }

    @Override
    public String toString() {
        return text(first) + "/" + length;
    }

    static int mask(int length) {
        return length == 0 ? 0 : -1 << (32 - length);
    }

    static int number(Inet4Address address) {
        byte[] b = address.getAddress();
        return (b[0] & 0xff) << 24 | (b[1] & 0xff) << 16 | (b[2] & 0xff) << 8 | (b[3] & 0xff);
    }

    static Inet4Address address(int number) {
        try {
            return (Inet4Address) InetAddress.getByAddress(
                    new byte[] {(byte) (number >>> 24), (byte) (number >>> 16), (byte) (number >>> 8), (byte) number});
        } catch (UnknownHostException e) {
            throw new UncheckedIOException("four bytes are an address", e);
        }
    }

    static String text(int address) {
        return (address >>> 24) + "." + (address >>> 16 & 0xff) + "." + (address >>> 8 & 0xff) + "." + (address & 0xff);
    }
}
