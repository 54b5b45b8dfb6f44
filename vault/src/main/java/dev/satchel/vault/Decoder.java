package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.Arrays;
import java.util.Optional;

/** Reads what {@link Encoder} wrote. The bytes are authentic by then, so what is malformed was written by another version. */
final class Decoder {
    private final byte[] bytes;
    private final String name;
    private int at;

    /** The name is what error messages call the object. */
    Decoder(byte[] bytes, String name) {
        this.bytes = bytes;
        this.name = name;
    }

    private int take(int count) throws DamagedException {
        if (count < 0 || count > bytes.length - at) {
            throw malformed();
        }
        int from = at;
        at += count;
        return from;
    }

    DamagedException malformed() {
        return new DamagedException(name + " is not as this version of Satchel writes it: use a newer version");
    }

    int u8() throws DamagedException {
        return bytes[take(1)] & 0xff;
    }

    int u32() throws DamagedException {
        return Bytes.getInt(bytes, take(4));
    }

    long u64() throws DamagedException {
        return Bytes.getLong(bytes, take(8));
    }

    byte[] bytes() throws DamagedException {
        int length = u32();
        int from = take(length);
        return Arrays.copyOfRange(bytes, from, from + length);
    }

    String text() throws DamagedException {
        return new String(bytes(), UTF_8);
    }

    boolean flag() throws DamagedException {
        int value = u8();
        if (value > 1) {
            throw malformed();
        }
        return value == 1;
    }

    Optional<SnapshotId> snapshotId() throws DamagedException {
        return flag() ? Optional.of(new SnapshotId(u64(), u64(), u64(), u64())) : Optional.empty();
    }

    SessionId sessionId() throws DamagedException {
        return new SessionId(u64(), u64());
    }

    ChunkMapRef mapRef() throws DamagedException {
        long slots = u64();
        long logicalBytes = u64();
        try {
            Optional<ChunkRef> root = Optional.empty();
            if (flag()) {
                KeyDomainId domain = new KeyDomainId(u64(), u64());
                root = Optional.of(new ChunkRef(domain, new ChunkId(u64(), u64(), u64(), u64()), u32()));
            }
            return new ChunkMapRef(root, slots, logicalBytes);
        } catch (IllegalArgumentException e) {
            throw malformed();
        }
    }

    void end() throws DamagedException {
        if (at != bytes.length) {
            throw malformed();
        }
    }
}
