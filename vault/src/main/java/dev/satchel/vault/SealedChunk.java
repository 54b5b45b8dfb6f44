package dev.satchel.vault;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.util.Objects.requireNonNull;

import dev.satchel.linux.crypto.AesGcm;
import java.lang.foreign.MemorySegment;

/**
 * A chunk as it lies in a pack somewhere, with what is needed to open it without that pack: ciphertext only. Whoever has the
 * keys of the domain can tell whether it is the chunk that it says it is, wherever it came from: see {@link ChunkStore#open}.
 * Until then it is whatever somebody sent, within the bounds below.
 *
 * <p>Its form outside this process, in caches and on the network, is {@link #HEADER_BYTES} and then the sealed bytes; see
 * "Sealed chunk" in docs/FORMAT.md.
 *
 * @param domain whose keys open it
 * @param id its id in that domain
 * @param packHigh first half of the id of the pack that it was sealed in
 * @param packLow second half
 * @param wrappedKey the pack's nonce and sealed key, {@link #WRAPPED_KEY_BYTES}, as in the pack's header; read-only
 * @param offset where in the pack it is, in bytes: its nonce
 * @param codec how its plaintext is stored, 0 to 255
 * @param length length of its plaintext in bytes, 1 to {@link ChunkRef#LENGTH_MAX}
 * @param sealed its sealed bytes, tag included, 17 to {@link #SEALED_BYTES_MAX}: native memory that belongs to whoever gave
 *     the buffer to {@link ChunkSource#fetch}
 */
@SuppressWarnings("ArrayRecordComponent") // 60 bytes that are handed through, never compared
public record SealedChunk(
        KeyDomainId domain,
        ChunkId id,
        long packHigh,
        long packLow,
        byte[] wrappedKey,
        int offset,
        int codec,
        int length,
        MemorySegment sealed) {
    /** The most that the sealed bytes can have: nobody needs a larger buffer. */
    public static final int SEALED_BYTES_MAX = ChunkCodec.STORED_BYTES_MAX;

    /** Length of a pack's wrapped key. */
    public static final int WRAPPED_KEY_BYTES = Pack.WRAPPED_BYTES;

    /** Length of what is before the sealed bytes in a cache and on the network. */
    public static final int HEADER_BYTES = 16 + ChunkId.BYTES + 16 + Pack.WRAPPED_BYTES + 4 + 4 + 4;

    private static final int ID_AT = 16;
    private static final int PACK_AT = ID_AT + ChunkId.BYTES;
    private static final int WRAPPED_AT = PACK_AT + 16;
    private static final int OFFSET_AT = WRAPPED_AT + Pack.WRAPPED_BYTES;
    private static final int CODEC_AT = OFFSET_AT + 4;
    private static final int SEALED_LENGTH_AT = CODEC_AT + 4;

    public SealedChunk {
        requireNonNull(domain, "domain");
        requireNonNull(id, "id");
        if (wrappedKey.length != WRAPPED_KEY_BYTES
                || offset < Pack.HEADER_BYTES
                || codec < 0
                || codec > 255
                || length < 1
                || length > ChunkRef.LENGTH_MAX
                || sealed.byteSize() <= AesGcm.TAG_BYTES
                || sealed.byteSize() > SEALED_BYTES_MAX) {
            throw new IllegalArgumentException(
                    "no sealed chunk has these numbers: offset " + offset + ", codec " + codec + ", length " + length
                            + ", sealed " + sealed.byteSize() + ", wrapped key " + wrappedKey.length);
        }
    }

    /** Puts the header into {@code target} from {@code at}: {@link #HEADER_BYTES}. The sealed bytes belong behind it. */
    public void writeHeader(MemorySegment target, long at) {
        target.set(Bytes.LONG, at, domain.high());
        target.set(Bytes.LONG, at + 8, domain.low());
        id.write(target, at + ID_AT);
        target.set(Bytes.LONG, at + PACK_AT, packHigh);
        target.set(Bytes.LONG, at + PACK_AT + 8, packLow);
        MemorySegment.copy(wrappedKey, 0, target, JAVA_BYTE, at + WRAPPED_AT, WRAPPED_KEY_BYTES);
        target.set(Bytes.INT, at + OFFSET_AT, offset);
        target.set(Bytes.INT, at + CODEC_AT, codec << 24 | length);
        target.set(Bytes.INT, at + SEALED_LENGTH_AT, (int) sealed.byteSize());
    }

    /**
     * How many sealed bytes follow the header at {@code at}.
     *
     * @throws DamagedException when no chunk has so many: nothing must be allocated for it
     */
    public static int sealedBytes(MemorySegment header, long at) throws DamagedException {
        int sealedBytes = header.get(Bytes.INT, at + SEALED_LENGTH_AT);
        if (sealedBytes <= AesGcm.TAG_BYTES || sealedBytes > SEALED_BYTES_MAX) {
            throw new DamagedException("a sealed chunk can't have " + Integer.toUnsignedString(sealedBytes) + " bytes");
        }
        return sealedBytes;
    }

    /**
     * What a header at {@code at} says.
     *
     * @param sealed the sealed bytes, as many as {@link #sealedBytes} tells
     * @throws DamagedException when it can't be a sealed chunk's
     */
    public static SealedChunk read(MemorySegment header, long at, MemorySegment sealed) throws DamagedException {
        if (sealedBytes(header, at) != sealed.byteSize()) {
            throw new DamagedException("a sealed chunk has another length than its header says");
        }
        byte[] wrappedKey = new byte[WRAPPED_KEY_BYTES];
        MemorySegment.copy(header, JAVA_BYTE, at + WRAPPED_AT, wrappedKey, 0, WRAPPED_KEY_BYTES);
        int codecAndLength = header.get(Bytes.INT, at + CODEC_AT);
        try {
            return new SealedChunk(
                    new KeyDomainId(header.get(Bytes.LONG, at), header.get(Bytes.LONG, at + 8)),
                    ChunkId.read(header, at + ID_AT),
                    header.get(Bytes.LONG, at + PACK_AT),
                    header.get(Bytes.LONG, at + PACK_AT + 8),
                    wrappedKey,
                    header.get(Bytes.INT, at + OFFSET_AT),
                    codecAndLength >>> 24,
                    codecAndLength & 0xffffff,
                    sealed);
        } catch (IllegalArgumentException e) {
            throw new DamagedException("what should be a sealed chunk is none: " + e.getMessage(), e);
        }
    }
}
