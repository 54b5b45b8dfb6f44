package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.satchel.linux.crypto.AesGcm;

/**
 * A pack as its readers know it: its name and its wrapped key. The layout of a pack file is header, sealed chunks one behind
 * the other, sealed directory, trailer; see docs/FORMAT.md.
 *
 * @param domain whose keys wrap its key
 * @param high first half of its random id
 * @param low second half
 * @param wrapped nonce, then the pack's key sealed under the domain's wrap key: {@link #WRAPPED_BYTES}
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record Pack(KeyDomainId domain, long high, long low, byte[] wrapped) {
    static final byte[] MAGIC = "SATPACK1".getBytes(US_ASCII);
    static final byte[] TRAILER_MAGIC = "SATPEND1".getBytes(US_ASCII);

    /** Magic, domain, id: what the wrapped key is bound to. */
    static final int BOUND_BYTES = 8 + 16 + 16;

    static final int WRAPPED_BYTES = AesGcm.NONCE_BYTES + AesGcm.KEY_BYTES + AesGcm.TAG_BYTES;
    static final int HEADER_BYTES = BOUND_BYTES + WRAPPED_BYTES;

    /** Length of the sealed directory, magic. */
    static final int TRAILER_BYTES = 4 + 8;

    /** A pack takes chunks until it has this many bytes. */
    static final int TARGET_BYTES = 16 << 20;

    /** An entry of a directory or index: id, offset, length of the sealed form, codec and length of the plaintext. */
    static final int ENTRY_BYTES = ChunkId.BYTES + 4 + 4 + 4;

    /** No directory is longer: a pack full of chunks of one byte. */
    static final int DIRECTORY_BYTES_MAX = 64 << 20;

    static final int CODEC_RAW = 0;
    static final int CODEC_ZSTD = 1;

    String name() {
        return directory(domain) + "/packs/" + Bytes.hex(high, low);
    }

    static String directory(KeyDomainId domain) {
        return "domains/" + domain;
    }
}
