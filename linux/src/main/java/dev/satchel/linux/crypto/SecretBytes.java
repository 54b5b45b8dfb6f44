package dev.satchel.linux.crypto;

import dev.satchel.linux.Libc;
import java.lang.foreign.MemorySegment;

/**
 * A secret outside the Java heap: not swapped and not in core dumps as far as the host's limits allow, overwritten on
 * {@link #close}. May be read by many threads; the owner sees to it that none does at and after close.
 *
 * <p>Kept in OpenSSL's secure heap, OPENSSL_secure_malloc(3), which locks its pages, keeps them out of core dumps and puts
 * guard pages around them; in ordinary memory when that is full or can't be had.
 */
public final class SecretBytes implements AutoCloseable {
    /** The longest secret. */
    public static final int SIZE_MAX = 4096;

    private static final int HEAP_BYTES = 256 * 1024;
    private static final int HEAP_BLOCK_BYTES = 32;
    private static final MemorySegment ALLOCATE = OpenSsl.function("CRYPTO_secure_malloc");
    private static final MemorySegment ALLOCATE_ORDINARY = OpenSsl.function("CRYPTO_malloc");
    private static final MemorySegment CLEAR_AND_FREE = OpenSsl.function("CRYPTO_secure_clear_free");

    static {
        // Its result is of no use: without a secure heap CRYPTO_secure_malloc gives ordinary memory.
        Libc.call(OpenSsl.function("CRYPTO_secure_malloc_init"), HEAP_BYTES, HEAP_BLOCK_BYTES);
    }

    private final MemorySegment bytes;
    private volatile boolean closed;

    private SecretBytes(MemorySegment bytes) {
        this.bytes = bytes;
    }

    /** Zero bytes, 1 to {@link #SIZE_MAX} of them. */
    public static SecretBytes allocate(long size) {
        if (size < 1 || size > SIZE_MAX) {
            throw new IllegalArgumentException("a secret has 1 to " + SIZE_MAX + " bytes, not " + size);
        }
        long address = Libc.call(ALLOCATE, size, 0, 0);
        if (address == 0) {
            address = OpenSsl.nonNull(Libc.call(ALLOCATE_ORDINARY, size, 0, 0), "CRYPTO_malloc");
        }
        MemorySegment bytes = MemorySegment.ofAddress(address).reinterpret(size);
        bytes.fill((byte) 0);
        return new SecretBytes(bytes);
    }

    /** A copy; the caller overwrites its own. */
    public static SecretBytes copyOf(MemorySegment source) {
        SecretBytes copy = allocate(source.byteSize());
        copy.bytes.copyFrom(source);
        return copy;
    }

    /** Random bytes, 1 to {@link #SIZE_MAX} of them. */
    public static SecretBytes random(long size) {
        SecretBytes random = allocate(size);
        SecureRandom.fill(random.bytes);
        return random;
    }

    /**
     * The bytes themselves; not to be used after {@link #close}.
     *
     * @throws IllegalStateException when closed
     */
    public MemorySegment segment() {
        if (closed) {
            throw new IllegalStateException("this secret has been closed");
        }
        return bytes;
    }

    /** Overwrites and frees it; the second time does nothing. */
    @Override
    public void close() {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
        }
        Libc.call(CLEAR_AND_FREE, bytes.address(), bytes.byteSize(), 0, 0);
    }
}
