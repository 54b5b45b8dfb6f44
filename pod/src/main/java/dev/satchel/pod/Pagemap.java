package dev.satchel.pod;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalInt;

/**
 * A {@code pagemap-*.img}: which pages of an address space are in a pages file, in the order they are there. The format is CRIU's
 * (images/pagemap.proto): two magic numbers, then messages of Protocol Buffers with their lengths before them, first a
 * {@code pagemap_head}, then {@code pagemap_entry}s. Read by hand: two messages of varints are not worth the start of a library.
 */
final class Pagemap {
    /** How their names begin; then comes a process's id, or "shmem-" and a shared memory's. */
    static final String PREFIX = "pagemap-";

    private static final String SUFFIX = ".img";

    private static final int MAGIC_COMMON = 0x54564319;
    private static final int MAGIC_PAGEMAP = 0x56084025;
    private static final int LAZY = 2;
    private static final int PRESENT = 4;
    private static final int PAGE_BYTES = 4096;
    private static final int FILE_BYTES_MAX = 256 << 20;

    /** Called for each run of pages that the pages file holds, in file order. */
    interface RunListener {
        /**
         * @param address of the first page in its address space; for shared memory, from the object's start
         * @param lazy whether the process can run before it has them: private memory, but for stacks
         */
        void run(long address, long lengthBytes, boolean lazy) throws IOException;
    }

    private final String file;
    private final ByteBuffer bytes;

    private Pagemap(String file, ByteBuffer bytes) {
        this.file = file;
        this.bytes = bytes;
    }

    /** Whose memory a file's name says it is; empty if it is no process's. */
    static OptionalInt pid(String name) {
        if (!name.startsWith(PREFIX) || !name.endsWith(SUFFIX)) {
            return OptionalInt.empty();
        }
        String pid = name.substring(PREFIX.length(), name.length() - SUFFIX.length());
        for (int i = 0; i < pid.length(); i++) {
            if (pid.charAt(i) < '0' || pid.charAt(i) > '9') {
                return OptionalInt.empty();
            }
        }
        return pid.isEmpty() || pid.length() > 9 ? OptionalInt.empty() : OptionalInt.of(Integer.parseInt(pid));
    }

    /** What is in a file, whole. */
    static byte[] bytes(Path file) throws IOException {
        if (Files.size(file) > FILE_BYTES_MAX) {
            throw new IOException(file + " is too large for a pagemap");
        }
        return Files.readAllBytes(file);
    }

    /**
     * Reads one.
     *
     * @return the number of its pages file, N in {@code pages-N.img}
     */
    static long read(String file, ByteBuffer bytes, RunListener listener) throws IOException {
        return new Pagemap(file, bytes.order(ByteOrder.LITTLE_ENDIAN)).read(listener);
    }

    private long read(RunListener listener) throws IOException {
        if (bytes.remaining() < 8 || bytes.getInt() != MAGIC_COMMON || bytes.getInt() != MAGIC_PAGEMAP) {
            throw unexpected("its magic number");
        }
        long pagesId = -1;
        while (bytes.hasRemaining()) {
            int end = messageEnd();
            long[] fields = new long[6];
            boolean flagged = false;
            while (bytes.position() < end) {
                int key = (int) varint();
                if ((key & 7) != 0 || key >>> 3 >= fields.length) {
                    throw unexpected("field " + (key >>> 3));
                }
                fields[key >>> 3] = varint();
                flagged |= key >>> 3 == 4;
            }
            if (pagesId < 0) {
                pagesId = fields[1];
                continue;
            }
            // pagemap_entry: 1 vaddr, 2 compat_nr_pages, 3 in_parent, 4 flags, 5 nr_pages; older images have no flags,
            // or no 5.
            long pages = fields[5] != 0 ? fields[5] : fields[2];
            boolean present = flagged ? (fields[4] & PRESENT) != 0 : fields[3] == 0;
            if (pages < 0 || pages > Long.MAX_VALUE / PAGE_BYTES) {
                throw unexpected(pages + " pages");
            }
            if (present && pages > 0) {
                listener.run(fields[1], pages * PAGE_BYTES, (fields[4] & LAZY) != 0);
            }
        }
        if (pagesId < 0) {
            throw unexpected("its end");
        }
        return pagesId;
    }

    private int messageEnd() throws IOException {
        int length = bytes.remaining() < 4 ? -1 : bytes.getInt();
        if (length < 0 || length > bytes.remaining()) {
            throw unexpected("a message's length");
        }
        return bytes.position() + length;
    }

    private long varint() throws IOException {
        long value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            if (!bytes.hasRemaining()) {
                throw unexpected("its end");
            }
            byte next = bytes.get();
            value |= (next & 0x7fL) << shift;
            if (next >= 0) {
                return value;
            }
        }
        throw unexpected("a number");
    }

    private IOException unexpected(String what) {
        return new IOException(file + " is not a pagemap as CRIU writes it: " + what + " at byte " + bytes.position());
    }
}
