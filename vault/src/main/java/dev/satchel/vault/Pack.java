package dev.satchel.vault;

import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.satchel.linux.crypto.AesGcm;
import org.jspecify.annotations.Nullable;

/**
 * A pack as its readers know it: its name and its wrapped key. The layout of a pack file is header, sealed chunks one behind
 * the other, sealed directory, trailer; see docs/FORMAT.md.
 */
final class Pack {
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

    private final KeyDomainId domain;
    private final long high;
    private final long low;
    private final byte[] wrapped;

    /** Made when a chunk is read, for all that are read after it: of a large vault few packs are. By any thread: strings are immutable. */
    private @Nullable String name;

    /**
     * @param domain whose keys wrap its key
     * @param high first half of its random id
     * @param low second half
     * @param wrapped nonce, then the pack's key sealed under the domain's wrap key: {@link #WRAPPED_BYTES}
     */
    Pack(KeyDomainId domain, long high, long low, byte[] wrapped) {
        this.domain = domain;
        this.high = high;
        this.low = low;
        this.wrapped = wrapped;
    }

    KeyDomainId domain() {
        return domain;
    }

    long high() {
        return high;
    }

    long low() {
        return low;
    }

    byte[] wrapped() {
        return wrapped;
    }

    String name() {
        String made = name;
        if (made == null) {
            made = directory(domain) + "/packs/" + Bytes.hex(high, low);
            name = made;
        }
        return made;
    }

    static String directory(KeyDomainId domain) {
        return "domains/" + domain;
    }
}
