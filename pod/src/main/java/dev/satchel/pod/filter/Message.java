package dev.satchel.pod.filter;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A message of Protocol Buffers without its description (protobuf.dev/programming-guides/encoding): fields are found by number, and
 * those that are not asked for stay byte for byte. Read by hand because a library's start would cost more than all images of a
 * desktop. Looks at its bytes only when it is asked, and at one level only. For one thread at a time.
 */
final class Message {
    private static final int VARINT = 0;
    private static final int FIXED64 = 1;
    private static final int BYTES = 2;
    private static final int FIXED32 = 5;
    private static final int FIELDS_TYPICAL = 32;

    private final String origin;
    private final byte[] bytes;
    private final int from;
    private final int to;

    // Field i has keys[i]; a varint's value is in values[i], everything else is bytes starts[i] to ends[i].
    private int count = -1;
    private int[] keys = {};
    private int[] starts = {};
    private int[] ends = {};
    private long[] values = {};
    private @Nullable Message[] children = {};
    private byte[] @Nullable [] replacements = {};
    private boolean changed;
    private int position;

    /** @param origin what it is part of, for errors */
    Message(String origin, byte[] bytes, int from, int to) {
        this.origin = origin;
        this.bytes = bytes;
        this.from = from;
        this.to = to;
    }

    boolean has(int field) throws IOException {
        return find(field) >= 0;
    }

    /** A number, or {@code absent}. Signed types come sign-extended, as they are encoded. */
    long number(int field, long absent) throws IOException {
        int at = find(field);
        if (at < 0) {
            return absent;
        }
        return value(at);
    }

    /** A number that must be there. */
    long number(int field) throws IOException {
        int at = find(field);
        if (at < 0) {
            throw new IOException(origin + " lacks field " + field);
        }
        return value(at);
    }

    /** All numbers of a repeated field, packed or not. */
    long[] numbers(int field) throws IOException {
        index();
        long[] found = new long[count];
        int length = 0;
        for (int i = 0; i < count; i++) {
            if (keys[i] >>> 3 != field) {
                continue;
            }
            if ((keys[i] & 7) != BYTES) {
                found = room(found, length);
                found[length++] = value(i);
                continue;
            }
            position = starts[i];
            while (position < ends[i]) {
                found = room(found, length);
                found[length++] = varint(ends[i]);
            }
        }
        return Arrays.copyOf(found, length);
    }

    private static long[] room(long[] array, int length) {
        return length < array.length ? array : Arrays.copyOf(array, 2 * length + 1);
    }

    /** Changes a number that is there, or adds it. */
    void set(int field, long value) throws IOException {
        int at = find(field);
        if (at < 0) {
            grow();
            at = count++;
            keys[at] = field << 3 | VARINT;
        } else if (value(at) == value) {
            return;
        }
        values[at] = value;
        changed = true;
    }

    /** A message inside; what is changed there is changed here. */
    Optional<Message> message(int field) throws IOException {
        int at = find(field);
        return at < 0 ? Optional.empty() : Optional.of(child(at));
    }

    /** All messages of a repeated field. */
    List<Message> messages(int field) throws IOException {
        index();
        List<Message> found = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            if (keys[i] >>> 3 == field) {
                found.add(child(i));
            }
        }
        return found;
    }

    /** The bytes of a field, little-endian, read-only. */
    ByteBuffer bytes(int field) throws IOException {
        int at = find(field);
        if (at < 0 || (keys[at] & 7) != BYTES) {
            throw new IOException(origin + " lacks field " + field);
        }
        byte[] replacement = replacements[at];
        if (replacement != null) {
            return ByteBuffer.wrap(replacement).asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
        }
        return ByteBuffer.wrap(bytes, starts[at], ends[at] - starts[at])
                .slice()
                .asReadOnlyBuffer()
                .order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Changes the bytes of a field, or adds it. */
    void set(int field, byte[] content) throws IOException {
        int at = find(field);
        if (at < 0) {
            grow();
            at = count++;
            keys[at] = field << 3 | BYTES;
        } else if ((keys[at] & 7) != BYTES) {
            throw new IOException(origin + ": field " + field + " has no bytes");
        }
        replacements[at] = content;
        children[at] = null;
        changed = true;
    }

    /** Takes all fields of that number away. */
    void remove(int field) throws IOException {
        index();
        int kept = 0;
        for (int i = 0; i < count; i++) {
            if (keys[i] >>> 3 == field) {
                changed = true;
                continue;
            }
            keys[kept] = keys[i];
            starts[kept] = starts[i];
            ends[kept] = ends[i];
            values[kept] = values[i];
            children[kept] = children[i];
            replacements[kept] = replacements[i];
            kept++;
        }
        count = kept;
    }

    private long value(int at) throws IOException {
        if ((keys[at] & 7) != VARINT) {
            throw new IOException(origin + ": field " + (keys[at] >>> 3) + " is no number");
        }
        return values[at];
    }

    private Message child(int at) throws IOException {
        Message child = children[at];
        if (child == null) {
            if ((keys[at] & 7) != BYTES) {
                throw new IOException(origin + ": field " + (keys[at] >>> 3) + " is no message");
            }
            byte[] replacement = replacements[at];
            if (replacement != null) {
                throw new IllegalStateException("field " + (keys[at] >>> 3) + " was replaced as a whole");
            }
            child = new Message(origin, bytes, starts[at], ends[at]);
            children[at] = child;
        }
        return child;
    }

    private int find(int field) throws IOException {
        index();
        for (int i = 0; i < count; i++) {
            if (keys[i] >>> 3 == field) {
                return i;
            }
        }
        return -1;
    }

    private void index() throws IOException {
        if (count >= 0) {
            return;
        }
        count = 0;
        position = from;
        while (position < to) {
            long key = varint(to);
            if (key >>> 3 == 0 || key > Integer.MAX_VALUE) {
                throw damaged();
            }
            grow();
            keys[count] = (int) key;
            switch ((int) key & 7) {
                case VARINT -> values[count] = varint(to);
                case FIXED64 -> skip(8);
                case FIXED32 -> skip(4);
                case BYTES -> skip(varint(to));
                default -> throw damaged();
            }
            count++;
        }
    }

    private void skip(long length) throws IOException {
        if (length < 0 || length > to - position) {
            throw damaged();
        }
        starts[count] = position;
        position += (int) length;
        ends[count] = position;
    }

    private void grow() {
        if (count == keys.length) {
            int length = Math.max(FIELDS_TYPICAL, 2 * count);
            keys = Arrays.copyOf(keys, length);
            starts = Arrays.copyOf(starts, length);
            ends = Arrays.copyOf(ends, length);
            values = Arrays.copyOf(values, length);
            children = Arrays.copyOf(children, length);
            replacements = Arrays.copyOf(replacements, length);
        }
    }

    private long varint(int end) throws IOException {
        long value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            if (position >= end) {
                throw damaged();
            }
            byte next = bytes[position++];
            value |= (next & 0x7fL) << shift;
            if (next >= 0) {
                return value;
            }
        }
        throw damaged();
    }

    private IOException damaged() {
        return new IOException(origin + " is damaged at byte " + position);
    }

    /** Whether anything in it, at any depth, is not as it was read. */
    boolean changed() {
        if (changed) {
            return true;
        }
        for (int i = 0; i < count; i++) {
            Message child = children[i];
            if (child != null && child.changed()) {
                return true;
            }
        }
        return false;
    }

    /** How many bytes it is encoded. */
    int size() {
        if (!changed()) {
            return to - from;
        }
        int size = 0;
        for (int i = 0; i < count; i++) {
            size += size(keys[i]) + contentSize(i);
        }
        return size;
    }

    private int contentSize(int i) {
        return switch (keys[i] & 7) {
            case VARINT -> size(values[i]);
            case BYTES -> size((long) length(i)) + length(i);
            default -> ends[i] - starts[i];
        };
    }

    private int length(int i) {
        byte[] replacement = replacements[i];
        if (replacement != null) {
            return replacement.length;
        }
        Message child = children[i];
        return child == null ? ends[i] - starts[i] : child.size();
    }

    private static int size(long varint) {
        return varint == 0 ? 1 : (70 - Long.numberOfLeadingZeros(varint)) / 7;
    }

    /** Encodes it. @return where it ends */
    int write(byte[] out, int at) {
        if (!changed()) {
            System.arraycopy(bytes, from, out, at, to - from);
            return at + to - from;
        }
        int end = at;
        for (int i = 0; i < count; i++) {
            end = write(keys[i], out, end);
            Message child = children[i];
            switch (keys[i] & 7) {
                case VARINT -> end = write(values[i], out, end);
                case BYTES -> {
                    end = write((long) length(i), out, end);
                    end = child == null ? copy(i, out, end) : child.write(out, end);
                }
                default -> end = copy(i, out, end);
            }
        }
        return end;
    }

    private int copy(int i, byte[] out, int at) {
        byte[] replacement = replacements[i];
        if (replacement != null) {
            System.arraycopy(replacement, 0, out, at, replacement.length);
            return at + replacement.length;
        }
        System.arraycopy(bytes, starts[i], out, at, ends[i] - starts[i]);
        return at + ends[i] - starts[i];
    }

    private static int write(long varint, byte[] out, int at) {
        int end = at;
        long left = varint;
        while ((left & ~0x7fL) != 0) {
            out[end++] = (byte) ((left & 0x7f) | 0x80);
            left >>>= 7;
        }
        out[end++] = (byte) left;
        return end;
    }
}
