package dev.satchel.session;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads a tar archive from beginning to end: ustar and pax (POSIX.1-2017, pax), with GNU's long names, large numbers and sparse files of
 * version 1.0 (tar manual, "Storing Sparse Files"). Bounded memory, whatever the archive says.
 */
final class TarReader {
    /** Types of entries. */
    static final char FILE = '0';

    static final char HARD_LINK = '1';
    static final char LINK = '2';
    static final char CHARACTER_DEVICE = '3';
    static final char BLOCK_DEVICE = '4';
    static final char DIRECTORY = '5';
    static final char FIFO = '6';

    private static final int BLOCK = 512;
    private static final int HEADER_BYTES_MAX = 1 << 20;
    private static final int HOLES_MAX = 100_000;
    private static final int NAME_CHARS_MAX = 4096;

    /**
     * @param name as it is there: may begin with a slash, and have {@code ..} in it
     * @param mode the twelve bits of permissions
     * @param bytes of its contents; of a sparse file with the holes
     * @param attributes extended attributes by name
     * @param pieces of a sparse file: offset and length of what is there, by turns; empty for others
     */
    record Entry(
            String name,
            char type,
            String target,
            int mode,
            long uid,
            long gid,
            long seconds,
            int nanos,
            long bytes,
            int major,
            int minor,
            Map<String, byte[]> attributes,
            List<Long> pieces) {}

    private final InputStream in;
    private final byte[] block = new byte[BLOCK];

    /** What is left of the present entry's contents, and of what fills its last block up. */
    private long left;

    private int padding;

    /** Of all headers that belong to the present entry. */
    private long headerBytes;

    TarReader(InputStream in) {
        this.in = in;
    }

    /** The next entry, of which the contents have not been read; null at the end. */
    @Nullable
    Entry next() throws IOException {
        skip(left);
        skip(padding);
        left = 0;
        padding = 0;
        headerBytes = 0;
        Map<String, byte[]> pax = new LinkedHashMap<>();
        String longName = null;
        String longTarget = null;
        while (true) {
            if (in.readNBytes(block, 0, BLOCK) < BLOCK) {
                throw new EOFException("the archive ends in the middle");
            }
            if (isZero()) {
                return null;
            }
            checkSum();
            char type = (char) block[156];
            long size = number(124, 12);
            switch (type) {
                case 'x' -> pax(header(size), pax);
                case 'g' -> pax(header(size), new LinkedHashMap<>());
                case 'L' -> longName = zeroEnded(header(size));
                case 'K' -> longTarget = zeroEnded(header(size));
                case 0, '7', FILE, HARD_LINK, LINK, CHARACTER_DEVICE, BLOCK_DEVICE, DIRECTORY, FIFO -> {
                    return entry(type == 0 || type == '7' ? FILE : type, size, pax, longName, longTarget);
                }
                default ->
                    throw new IOException("the archive has an entry of type '" + type + "', which is not known here");
            }
        }
    }

    private Entry entry(
            char type,
            long sizeInHeader,
            Map<String, byte[]> pax,
            @Nullable String longName,
            @Nullable String longTarget)
            throws IOException {
        String prefix = text(345, 155);
        String name = longName != null
                ? longName
                : isUstar() && !prefix.isEmpty() ? prefix + "/" + text(0, 100) : text(0, 100);
        String target = longTarget != null ? longTarget : text(157, 100);
        name = pax.containsKey("path") ? decoded(pax.get("path")) : name;
        target = pax.containsKey("linkpath") ? decoded(pax.get("linkpath")) : target;
        long size = paxNumber(pax, "size", sizeInHeader);
        boolean sparse = pax.containsKey("GNU.sparse.major") || pax.containsKey("GNU.sparse.map");
        long mtimeSeconds = number(136, 12);
        int nanos = 0;
        if (pax.containsKey("mtime")) {
            String time = decoded(pax.get("mtime"));
            int dot = time.indexOf('.');
            mtimeSeconds = parse(dot < 0 ? time : time.substring(0, dot));
            if (dot >= 0) {
                nanos = (int) parse((time.substring(dot + 1) + "000000000").substring(0, 9));
                if (nanos < 0) {
                    throw new IOException("the archive says '" + time + "' where a time belongs");
                }
            }
        }
        Map<String, byte[]> attributes = new LinkedHashMap<>();
        for (Map.Entry<String, byte[]> record : pax.entrySet()) {
            if (record.getKey().startsWith("SCHILY.xattr.")) {
                attributes.put(record.getKey().substring("SCHILY.xattr.".length()), record.getValue());
            }
        }
        if (type != FILE) {
            // Some writers give links the size of what they lead to, without any contents.
            size = 0;
        }
        if (size < 0) {
            throw new IOException("the archive's " + name + " has " + size + " bytes");
        }
        left = size;
        padding = (int) ((BLOCK - size % BLOCK) % BLOCK);
        List<Long> pieces = List.of();
        if (sparse) {
            if (!"1".equals(decoded(pax.getOrDefault("GNU.sparse.major", new byte[0])))) {
                throw new IOException("the archive's " + name
                        + " is sparse in an old form: make the archive with --format=posix --sparse-version=1.0");
            }
            name = decoded(pax.getOrDefault("GNU.sparse.name", pax.getOrDefault("path", new byte[0])));
            size = paxNumber(pax, "GNU.sparse.realsize", -1);
            pieces = pieces(name, size);
        }
        if (name.length() > NAME_CHARS_MAX
                || target.length() > NAME_CHARS_MAX
                || name.indexOf(0) >= 0
                || target.indexOf(0) >= 0) {
            throw new IOException("the archive has a name that no file can have");
        }
        return new Entry(
                name,
                type,
                target,
                (int) number(100, 8) & 07777,
                paxNumber(pax, "uid", number(108, 8)),
                paxNumber(pax, "gid", number(116, 8)),
                mtimeSeconds,
                nanos,
                size,
                isUstar() ? (int) number(329, 8) : 0,
                isUstar() ? (int) number(337, 8) : 0,
                attributes,
                pieces);
    }

    /** The map of a sparse file, which its contents begin with: lines of numbers that fill whole blocks. */
    private List<Long> pieces(String name, long size) throws IOException {
        long[] read = {0};
        long count = line(read);
        if (count < 0 || count > HOLES_MAX || size < 0) {
            throw new IOException("the archive's " + name + " has " + count + " holes");
        }
        List<Long> pieces = new ArrayList<>();
        long end = 0;
        long stored = 0;
        for (int i = 0; i < count; i++) {
            long offset = line(read);
            long length = line(read);
            if (offset < end || length < 0 || offset > size || length > size - offset) {
                throw new IOException("the archive's " + name + " is sparse in a way that can't be");
            }
            pieces.add(offset);
            pieces.add(length);
            end = offset + length;
            stored += length;
        }
        long rest = (BLOCK - read[0] % BLOCK) % BLOCK;
        skip(rest);
        left -= rest;
        if (left != stored) {
            throw new IOException("the archive's " + name + " is sparse in a way that can't be");
        }
        return pieces;
    }

    private long line(long[] read) throws IOException {
        StringBuilder digits = new StringBuilder();
        while (digits.length() < 20) {
            int c = left > 0 ? in.read() : -1;
            left--;
            read[0]++;
            if (c == '\n') {
                return parse(digits.toString());
            }
            if (c < 0) {
                break;
            }
            digits.append((char) c);
        }
        throw new IOException("the archive has a sparse file whose map is malformed");
    }

    /** Reads contents of the present entry. @return −1 at their end */
    int read(byte[] target, int from, int count) throws IOException {
        if (left == 0) {
            return -1;
        }
        int got = in.read(target, from, (int) Math.min(count, left));
        if (got < 0) {
            throw new EOFException("the archive ends in the middle");
        }
        left -= got;
        return got;
    }

    private void skip(long bytes) throws IOException {
        try {
            in.skipNBytes(bytes);
        } catch (EOFException e) {
            // The JDK's says nothing.
            EOFException told = new EOFException("the archive ends in the middle");
            told.initCause(e);
            throw told;
        }
    }

    private byte[] header(long size) throws IOException {
        if (size < 0 || size > HEADER_BYTES_MAX - headerBytes) {
            throw new IOException("the archive has a header of more than " + HEADER_BYTES_MAX + " bytes");
        }
        headerBytes += size;
        byte[] bytes = in.readNBytes((int) size);
        if (bytes.length < size) {
            throw new EOFException("the archive ends in the middle");
        }
        skip((BLOCK - size % BLOCK) % BLOCK);
        return bytes;
    }

    /** Records are {@code "<length> <key>=<value>\n"}. */
    private static void pax(byte[] bytes, Map<String, byte[]> into) throws IOException {
        for (int at = 0; at < bytes.length; ) {
            int space = at;
            while (space < bytes.length && bytes[space] != ' ') {
                space++;
            }
            long length = space - at > 10 ? -1 : parse(new String(bytes, at, space - at, StandardCharsets.US_ASCII));
            int end = (int) Math.min(at + Math.max(length, 0), bytes.length);
            int equals = space + 1;
            while (equals < end && bytes[equals] != '=') {
                equals++;
            }
            if (length < 5 || at + length > bytes.length || equals >= end || bytes[end - 1] != '\n') {
                throw new IOException("the archive has a pax header that is malformed");
            }
            into.put(
                    new String(bytes, space + 1, equals - space - 1, StandardCharsets.UTF_8),
                    java.util.Arrays.copyOfRange(bytes, equals + 1, end - 1));
            at = end;
        }
    }

    private static long paxNumber(Map<String, byte[]> pax, String key, long otherwise) throws IOException {
        byte[] value = pax.get(key);
        return value == null ? otherwise : parse(decoded(value));
    }

    private static long parse(String number) throws IOException {
        try {
            return Long.parseLong(number);
        } catch (NumberFormatException e) {
            throw new IOException("the archive says '" + number + "' where a number belongs", e);
        }
    }

    private static String decoded(byte @Nullable [] bytes) throws IOException {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes == null ? new byte[0] : bytes))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new IOException("the archive has a name that is not UTF-8: rename the file", e);
        }
    }

    private static String zeroEnded(byte[] bytes) throws IOException {
        int end = 0;
        while (end < bytes.length && bytes[end] != 0) {
            end++;
        }
        return decoded(java.util.Arrays.copyOf(bytes, end));
    }

    private String text(int at, int length) throws IOException {
        return zeroEnded(java.util.Arrays.copyOfRange(block, at, at + length));
    }

    private boolean isUstar() {
        return block[257] == 'u' && block[258] == 's' && block[259] == 't' && block[260] == 'a' && block[261] == 'r';
    }

    private boolean isZero() {
        for (byte b : block) {
            if (b != 0) {
                return false;
            }
        }
        return true;
    }

    private void checkSum() throws IOException {
        int sum = 0;
        for (int i = 0; i < BLOCK; i++) {
            sum += i >= 148 && i < 156 ? ' ' : block[i] & 0xff;
        }
        if (sum != number(148, 8)) {
            throw new IOException("this is no tar archive, or a damaged one");
        }
    }

    /** Octal digits, or (GNU) the first bit set and a binary number. */
    private long number(int at, int length) throws IOException {
        if ((block[at] & 0x80) != 0) {
            long value = (block[at] & 0x40) != 0 ? -1 : 0;
            for (int i = 0; i < length; i++) {
                int first = (block[at] & 0x7f) | (value < 0 ? 0x80 : 0);
                value = (value << 8) | (i == 0 ? first : block[at + i] & 0xff);
            }
            return value;
        }
        long value = 0;
        for (int i = at; i < at + length && block[i] != 0; i++) {
            if (block[i] == ' ') {
                continue;
            }
            if (block[i] < '0' || block[i] > '7') {
                throw new IOException("this is no tar archive, or a damaged one");
            }
            value = (value << 3) | (block[i] - '0');
        }
        return value;
    }
}
