package dev.satchel.vault;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.satchel.linux.crypto.AesGcm;
import dev.satchel.linux.crypto.HmacSha256;
import dev.satchel.linux.crypto.SecretBytes;
import dev.satchel.linux.crypto.SecureRandom;
import dev.satchel.linux.zstd.Zstd;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Turns chunks into their stored form and back: name, compress, seal. One thread at a time; holds the contexts and buffers
 * that this needs (about 1.5 MiB), so that nothing is allocated for a chunk.
 */
final class ChunkCodec implements AutoCloseable {
    /** The longest stored form. */
    static final int STORED_BYTES_MAX = ChunkRef.LENGTH_MAX + AesGcm.TAG_BYTES;

    /** Measured on page images and root file systems: see docs/FORMAT.md, "why these numbers". */
    private static final int ZSTD_LEVEL = 1;

    /** Kept compressed only if a sixteenth is gained: what it saves must pay for decompressing it. */
    private static final int GAIN_SHIFT = 4;

    /** Chunks from here on are tried in a part first. */
    private static final int PROBE_FROM_BYTES = 64 * 1024;

    private static final int PROBE_BYTES = 4096;

    /**
     * So many packs are read by turns without unwrapping their keys again: several threads write the chunks of one checkpoint, each to
     * a pack of its own, and windows of memory that changed are in the packs of two checkpoints.
     */
    private static final int PACK_KEYS = 16;

    private final AesGcm cipher = new AesGcm();
    private final Zstd zstd = new Zstd();
    private final Arena arena = Arena.ofShared();
    private final MemorySegment buffer = arena.allocate(STORED_BYTES_MAX, 64);
    private final MemorySegment nonce = arena.allocate(AesGcm.NONCE_BYTES);
    private final MemorySegment associated = arena.allocate(ChunkId.BYTES + 4);
    private final MemorySegment code = arena.allocate(HmacSha256.BYTES);

    /** Of the packs that were read last, and their keys side by side; the next one unwrapped takes the place of the oldest. */
    private final @Nullable Pack[] unwrapped = new Pack[PACK_KEYS];

    private final SecretBytes packKeys = SecretBytes.allocate((long) PACK_KEYS * AesGcm.KEY_BYTES);
    private int oldest;
    private @Nullable HmacSha256 hmac;
    private @Nullable KeyDomain hmacDomain;

    /** Codec of the last {@link #encode}. */
    private int codec;

    /** The name of a plaintext in a domain. */
    ChunkId idOf(KeyDomain domain, MemorySegment plaintext) {
        HmacSha256 current = hmac;
        if (current == null || hmacDomain != domain) {
            if (current != null) {
                current.close();
            }
            current = new HmacSha256(domain.chunkIdKey().segment());
            hmac = current;
            hmacDomain = domain;
        }
        current.code(plaintext, code);
        return ChunkId.read(code, 0);
    }

    /**
     * Compresses (if it shrinks) and seals a chunk.
     *
     * @param position its offset in the pack: the nonce
     * @param target room for {@link #STORED_BYTES_MAX}
     * @return length of the stored form; {@link #codec} tells its codec
     */
    int encode(SecretBytes key, ChunkId id, long position, MemorySegment plaintext, MemorySegment target) {
        int length = (int) plaintext.byteSize();
        int compressed = compress(plaintext, target.asSlice(0, Math.max(0, length - (length >> GAIN_SHIFT) - 1)));
        codec = compressed < 0 ? Pack.CODEC_RAW : Pack.CODEC_ZSTD;
        int stored = compressed < 0 ? length : compressed;
        MemorySegment body = target.asSlice(0, stored);
        cipher.seal(
                key.segment(),
                position(position),
                associated(id, codec, length),
                compressed < 0 ? plaintext : body,
                target.asSlice(0, stored + AesGcm.TAG_BYTES));
        return stored + AesGcm.TAG_BYTES;
    }

    int codec() {
        return codec;
    }

    private int compress(MemorySegment plaintext, MemorySegment target) {
        long length = plaintext.byteSize();
        if (length >= PROBE_FROM_BYTES) {
            MemorySegment small = target.asSlice(0, PROBE_BYTES - (PROBE_BYTES >> GAIN_SHIFT));
            if (zstd.compress(plaintext.asSlice(0, PROBE_BYTES), small, ZSTD_LEVEL) < 0
                    && zstd.compress(plaintext.asSlice(length / 2, PROBE_BYTES), small, ZSTD_LEVEL) < 0
                    && zstd.compress(plaintext.asSlice(length - PROBE_BYTES, PROBE_BYTES), small, ZSTD_LEVEL) < 0) {
                return -1;
            }
        }
        return zstd.compress(plaintext, target, ZSTD_LEVEL);
    }

    /** Where {@link #decode} finds the stored form. */
    MemorySegment buffer(int storedBytes) {
        return buffer.asSlice(0, storedBytes);
    }

    /**
     * Opens the chunk whose stored form is in the buffer.
     *
     * @return false when it is not authentic
     */
    boolean decode(KeyDomain domain, ChunkIndex.Place place, ChunkId id, MemorySegment target) {
        return decode(domain, place, id, buffer.asSlice(0, place.storedBytes()), target);
    }

    /**
     * Opens the chunk whose stored form is anywhere, and stays there as it is.
     *
     * @param sealed of {@link ChunkIndex.Place#storedBytes}
     * @return false when it is not authentic
     */
    boolean decode(KeyDomain domain, ChunkIndex.Place place, ChunkId id, MemorySegment sealed, MemorySegment target) {
        MemorySegment key = unwrap(domain, place.pack());
        if (key == null) {
            return false;
        }
        int bodyBytes = place.storedBytes() - AesGcm.TAG_BYTES;
        MemorySegment plaintext = target.asSlice(0, place.length());
        MemorySegment bound = associated(id, place.codec(), place.length());
        return switch (place.codec()) {
            case Pack.CODEC_RAW ->
                bodyBytes == place.length() && cipher.open(key, position(place.offset()), bound, sealed, plaintext);
            case Pack.CODEC_ZSTD -> {
                MemorySegment body = buffer.asSlice(0, bodyBytes);
                boolean whole = cipher.open(key, position(place.offset()), bound, sealed, body)
                        && zstd.decompress(body, plaintext) == place.length();
                yield whole;
            }
            default -> false;
        };
    }

    /**
     * Whether a sealed chunk is what its pack's directory says, without making plaintext of its body.
     *
     * @param sealed the stored form; stays as it is
     * @param scratch room for {@link ChunkRef#LENGTH_MAX}; what it then holds is undefined
     */
    boolean isAuthentic(
            KeyDomain domain, ChunkIndex.Place place, ChunkId id, MemorySegment sealed, MemorySegment scratch) {
        MemorySegment key = unwrap(domain, place.pack());
        long body = sealed.byteSize() - AesGcm.TAG_BYTES;
        return key != null
                && body > 0
                && body <= ChunkRef.LENGTH_MAX
                && cipher.open(
                        key,
                        position(place.offset()),
                        associated(id, place.codec(), place.length()),
                        sealed,
                        scratch.asSlice(0, body));
    }

    /** A pack's key, the codec's own until it unwraps others; null when what is in the pack's header is not authentic. */
    @SuppressWarnings("ReferenceEquality") // the same pack read twice is only unwrapped once more
    private @Nullable MemorySegment unwrap(KeyDomain domain, Pack pack) {
        for (int i = 0; i < PACK_KEYS; i++) {
            if (unwrapped[i] == pack) {
                return packKey(i);
            }
        }
        int place = oldest;
        unwrapped[place] = null;
        MemorySegment key = packKey(place);
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment wrapped = scratch.allocateFrom(JAVA_BYTE, pack.wrapped());
            if (!cipher.open(
                    domain.packWrapKey().segment(),
                    wrapped.asSlice(0, AesGcm.NONCE_BYTES),
                    bound(scratch, pack.domain(), pack.high(), pack.low()),
                    wrapped.asSlice(AesGcm.NONCE_BYTES),
                    key)) {
                return null;
            }
        }
        unwrapped[place] = pack;
        oldest = (place + 1) % PACK_KEYS;
        return key;
    }

    private MemorySegment packKey(int place) {
        return packKeys.segment().asSlice((long) place * AesGcm.KEY_BYTES, AesGcm.KEY_BYTES);
    }

    /** A new pack with the given key, which it wraps. */
    Pack wrap(KeyDomain domain, SecretBytes key) {
        try (Arena scratch = Arena.ofConfined()) {
            byte[] id = RandomBytes.of(16);
            long high = Bytes.getLong(id, 0);
            long low = Bytes.getLong(id, 8);
            MemorySegment wrapped = scratch.allocate(Pack.WRAPPED_BYTES);
            SecureRandom.fill(wrapped.asSlice(0, AesGcm.NONCE_BYTES));
            cipher.seal(
                    domain.packWrapKey().segment(),
                    wrapped.asSlice(0, AesGcm.NONCE_BYTES),
                    bound(scratch, domain.id(), high, low),
                    key.segment(),
                    wrapped.asSlice(AesGcm.NONCE_BYTES));
            return new Pack(domain.id(), high, low, Bytes.copy(wrapped));
        }
    }

    static MemorySegment bound(Arena arena, KeyDomainId domain, long high, long low) {
        MemorySegment bound = arena.allocate(Pack.BOUND_BYTES);
        MemorySegment.copy(Pack.MAGIC, 0, bound, JAVA_BYTE, 0, Pack.MAGIC.length);
        bound.set(Bytes.LONG, 8, domain.high());
        bound.set(Bytes.LONG, 16, domain.low());
        bound.set(Bytes.LONG, 24, high);
        bound.set(Bytes.LONG, 32, low);
        return bound;
    }

    /** Seals a pack's directory at its position. */
    void sealDirectory(SecretBytes key, Pack pack, long position, MemorySegment directory, MemorySegment target) {
        cipher.seal(key.segment(), position(position), directoryBound(pack), directory, target);
    }

    /** Opens a pack's directory. */
    boolean openDirectory(KeyDomain domain, Pack pack, long position, MemorySegment sealed, MemorySegment directory) {
        MemorySegment key = unwrap(domain, pack);
        return key != null && cipher.open(key, position(position), directoryBound(pack), sealed, directory);
    }

    private MemorySegment directoryBound(Pack pack) {
        MemorySegment.copy(Pack.TRAILER_MAGIC, 0, associated, JAVA_BYTE, 0, Pack.TRAILER_MAGIC.length);
        associated.set(Bytes.LONG, 8, pack.high());
        associated.set(Bytes.LONG, 16, pack.low());
        return associated.asSlice(0, 24);
    }

    private MemorySegment position(long position) {
        nonce.set(Bytes.LONG, AesGcm.NONCE_BYTES - 8, position);
        return nonce;
    }

    private MemorySegment associated(ChunkId id, int chunkCodec, int length) {
        id.write(associated, 0);
        associated.set(Bytes.INT, ChunkId.BYTES, chunkCodec << 24 | length);
        return associated;
    }

    @Override
    public void close() {
        buffer.fill((byte) 0);
        cipher.close();
        zstd.close();
        packKeys.close();
        if (hmac != null) {
            hmac.close();
        }
        arena.close();
    }
}
