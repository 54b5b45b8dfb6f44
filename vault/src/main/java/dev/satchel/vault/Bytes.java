package dev.satchel.vault;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Big-endian numbers and hex digits, without the start-up cost of {@code HexFormat} and {@code VarHandle}s on arrays. */
final class Bytes {
    /** All numbers of the format are big-endian; records are packed, so nothing is aligned. */
    static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    private Bytes() {}

    static long getLong(byte[] bytes, int at) {
        long value = 0;
        for (int i = 0; i < 8; i++) {
            value = value << 8 | (bytes[at + i] & 0xff);
        }
        return value;
    }

    static void putLong(byte[] bytes, int at, long value) {
        for (int i = 7; i >= 0; i--) {
            bytes[at + i] = (byte) value;
            value >>>= 8;
        }
    }

    static int getInt(byte[] bytes, int at) {
        return ((bytes[at] & 0xff) << 24)
                | ((bytes[at + 1] & 0xff) << 16)
                | ((bytes[at + 2] & 0xff) << 8)
                | (bytes[at + 3] & 0xff);
    }

    static void putInt(byte[] bytes, int at, int value) {
        bytes[at] = (byte) (value >>> 24);
        bytes[at + 1] = (byte) (value >>> 16);
        bytes[at + 2] = (byte) (value >>> 8);
        bytes[at + 3] = (byte) value;
    }

    /** Sixteen digits from {@code at}, of a text that must have {@code length} of them. */
    static long parseHex(String text, int length, int at) {
        if (text.length() != length) {
            throw new IllegalArgumentException("not " + length + " hex digits: " + text);
        }
        long value = 0;
        for (int i = at; i < at + 16; i++) {
            char c = text.charAt(i);
            int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
            if (digit < 0) {
                throw new IllegalArgumentException("not " + length + " hex digits: " + text);
            }
            value = value << 4 | digit;
        }
        return value;
    }

    static String hex(long... words) {
        byte[] text = new byte[words.length * 16];
        for (int i = 0; i < text.length; i++) {
            int digit = (int) (words[i / 16] >>> (60 - i % 16 * 4)) & 15;
            text[i] = (byte) (digit < 10 ? '0' + digit : 'a' + digit - 10);
        }
        return new String(text, java.nio.charset.StandardCharsets.ISO_8859_1);
    }

    static byte[] copy(MemorySegment segment) {
        return segment.toArray(ValueLayout.JAVA_BYTE);
    }
}
