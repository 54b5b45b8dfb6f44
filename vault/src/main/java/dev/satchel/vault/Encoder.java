package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.util.Optional;

/** Writes the payloads of sealed objects: big-endian numbers, lengths before what has one. See docs/FORMAT.md. */
final class Encoder {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream(512);

    Encoder u8(int value) {
        out.write(value);
        return this;
    }

    Encoder u32(int value) {
        return u8(value >>> 24).u8(value >>> 16).u8(value >>> 8).u8(value);
    }

    Encoder u64(long value) {
        return u32((int) (value >>> 32)).u32((int) value);
    }

    Encoder bytes(byte[] value) {
        u32(value.length);
        out.write(value, 0, value.length);
        return this;
    }

    Encoder text(String value) {
        return bytes(value.getBytes(UTF_8));
    }

    Encoder snapshotId(Optional<SnapshotId> id) {
        if (id.isEmpty()) {
            return u8(0);
        }
        SnapshotId value = id.get();
        return u8(1).u64(value.a()).u64(value.b()).u64(value.c()).u64(value.d());
    }

    Encoder mapRef(ChunkMapRef ref) {
        u64(ref.slots()).u64(ref.logicalBytes());
        if (ref.root().isEmpty()) {
            return u8(0);
        }
        ChunkRef root = ref.root().get();
        return u8(1).u64(root.domain().high())
                .u64(root.domain().low())
                .u64(root.id().a())
                .u64(root.id().b())
                .u64(root.id().c())
                .u64(root.id().d())
                .u32(root.length());
    }

    byte[] toBytes() {
        return out.toByteArray();
    }
}
