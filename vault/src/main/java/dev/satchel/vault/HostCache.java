package dev.satchel.vault;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.satchel.linux.Errno;
import dev.satchel.linux.Fd;
import dev.satchel.linux.FileSystems;
import dev.satchel.linux.LinuxException;
import java.io.Closeable;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Sealed chunks on the host's own disk, of all vaults and sessions that run there: one file of a fixed size, used by any number of
 * threads and processes at once, without locks. Thread-safe.
 *
 * <p>The file is a ring that chunks are appended to, over the oldest ones, and a table that says where each is. A chunk that is read
 * after half the ring has been written since is appended again, so that those go first that nobody has asked for: one that is read
 * at least once while half the ring is written stays. Positions in the ring only grow; what lies further back than the ring is
 * long has been overwritten.
 *
 * <p>Nothing is synced and nothing in the file is believed: every record says which chunk it is, and its user authenticates that. So whatever a
 * crash, a killed process, two writers at one place or somebody's hand leave there costs a chunk that must be fetched again. Its layout is in
 * docs/FORMAT.md.
 */
public final class HostCache implements Closeable {
    /** No cache is smaller. */
    public static final long BYTES_MIN = 4 << 20;

    /** Nor larger: 1 TiB. */
    public static final long BYTES_MAX = 1L << 40;

    /** The largest that is made unless another size is asked for: 8 GiB. */
    private static final long DEFAULT_BYTES_MAX = 8L << 30;

    /** What is made unless another size is asked for is this part of the free space. */
    private static final int DEFAULT_SHARE = 10;

    /** Records begin at multiples of this, and entries count in it. */
    static final int UNIT = 64;

    private static final long MAGIC = 0x5341_5443_4143_4831L; // "SATCACH1"
    private static final String FILE = "chunks";
    private static final String LOCK = "lock";
    private static final int HEADER_BYTES = 4096;
    private static final int RING_BYTES_AT = 8;
    private static final int BUCKETS_AT = 16;
    private static final int HEAD_AT = 64;
    private static final int FLOOR_AT = 128;

    private static final long ENTRY_BYTES = 16;
    private static final int BUCKET_ENTRIES = 8;
    private static final long BUCKET_BYTES = BUCKET_ENTRIES * ENTRY_BYTES;

    /** So many bytes of the file have an entry. */
    private static final int BYTES_PER_ENTRY = 8192;

    private static final int UNITS_BITS = 13;
    private static final long POSITION_MAX = 1L << 56;
    private static final long LOCK_WAIT_NANOS_MAX = 10_000_000_000L;

    private static final VarHandle NUMBER = JAVA_LONG.varHandle();

    private final Path path;
    private final Fd file;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment header;
    private final long ringBytes;
    private final long buckets;
    private final long ringAt;
    private volatile boolean full;

    /** @param file its size and header have been checked */
    private HostCache(Path path, Fd file, long ringBytes, long buckets) throws LinuxException {
        this.path = path;
        this.file = file;
        this.ringBytes = ringBytes;
        this.buckets = buckets;
        this.ringAt = HEADER_BYTES + buckets * BUCKET_BYTES;
        this.header = file.map(HEADER_BYTES, true, arena);
    }

    /**
     * Opens the cache in a directory, making it if it is not there, or not of that size: what was in it is then gone, and processes that use
     * it keep using the old file, which nobody else does, until they end.
     *
     * @param directory made if need be, with mode 0700
     * @param bytesMax how large its file is at most, {@link #BYTES_MIN} to {@link #BYTES_MAX}; empty: as it is, or a share of the free space
     * @return empty if there is too little space for one of no certain size
     */
    public static Optional<HostCache> open(Path directory, OptionalLong bytesMax) throws IOException {
        if (bytesMax.isPresent() && (bytesMax.getAsLong() < BYTES_MIN || bytesMax.getAsLong() > BYTES_MAX)) {
            throw new IllegalArgumentException(
                    "a cache has " + BYTES_MIN + " to " + BYTES_MAX + " bytes, not " + bytesMax.getAsLong());
        }
        makeDirectory(directory);
        Path path = directory.resolve(FILE);
        try (Fd _ = lock(directory)) {
            Optional<HostCache> present = existing(path);
            if (present.isPresent()
                    && (bytesMax.isEmpty()
                            || present.get().bytes()
                                    == Shape.of(bytesMax.getAsLong()).bytes())) {
                return present;
            }
            if (present.isPresent()) {
                present.get().close();
            }
            long bytes = bytesMax.isPresent() ? bytesMax.getAsLong() : share(directory);
            if (bytes < BYTES_MIN) {
                return Optional.empty();
            }
            make(directory, path, Shape.of(bytes));
            return existing(path);
        }
    }

    /** How a file of some bytes is divided. */
    private record Shape(long ringBytes, long buckets) {
        static Shape of(long bytes) {
            long buckets = Long.highestOneBit(bytes / BYTES_PER_ENTRY / BUCKET_ENTRIES);
            long ring = (bytes - HEADER_BYTES - buckets * BUCKET_BYTES) / HEADER_BYTES * HEADER_BYTES;
            return new Shape(ring, buckets);
        }

        long bytes() {
            return HEADER_BYTES + buckets * BUCKET_BYTES + ringBytes;
        }
    }

    private static long share(Path directory) throws IOException {
        FileSystems.Usage usage = FileSystems.usage(directory);
        return Math.min(usage.availableBlocks() * usage.blockSizeBytes() / DEFAULT_SHARE, DEFAULT_BYTES_MAX);
    }

    private static void makeDirectory(Path directory) throws IOException {
        if (!Files.isDirectory(directory)) {
            Files.createDirectories(
                    directory, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        }
    }

    /** Held for the moments of opening only. */
    private static Fd lock(Path directory) throws IOException {
        Fd lock = Fd.open(directory.resolve(LOCK), Fd.O_RDWR | Fd.O_CREAT);
        long start = System.nanoTime();
        try {
            while (!lock.tryLock()) {
                if (System.nanoTime() - start > LOCK_WAIT_NANOS_MAX) {
                    throw new IOException("another process keeps " + directory.resolve(LOCK)
                            + " locked: see with fuser(1) which, and end it");
                }
                Thread.sleep(1);
            }
            return lock;
        } catch (InterruptedException e) {
            lock.close();
            Thread.currentThread().interrupt();
            throw (IOException) new InterruptedIOException("interrupted while waiting for " + lock).initCause(e);
        } catch (IOException | RuntimeException e) {
            lock.close();
            throw e;
        }
    }

    /** What is there, if it is a cache of this version; whatever else is there is of no use to anybody. */
    private static Optional<HostCache> existing(Path path) throws IOException {
        Fd file;
        try {
            file = Fd.open(path, Fd.O_RDWR);
        } catch (LinuxException e) {
            if (e.errno() == Errno.ENOENT) {
                return Optional.empty();
            }
            throw e;
        }
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment start = scratch.allocate(HEADER_BYTES, 8);
            boolean whole = file.pread(start, 0) == HEADER_BYTES && start.get(Bytes.LONG, 0) == MAGIC;
            long ring = start.get(JAVA_LONG, RING_BYTES_AT);
            long buckets = start.get(JAVA_LONG, BUCKETS_AT);
            long size = Files.size(path);
            if (whole
                    && size <= BYTES_MAX
                    && Long.bitCount(buckets) == 1
                    && buckets > 0
                    && buckets <= size / BUCKET_BYTES
                    && ring % HEADER_BYTES == 0
                    && ring > SealedChunk.SEALED_BYTES_MAX * 4L
                    && new Shape(ring, buckets).bytes() == size
                    && isPosition(start.get(JAVA_LONG, HEAD_AT), ring)) {
                return Optional.of(new HostCache(path, file, ring, buckets));
            }
        } catch (IOException | RuntimeException e) {
            file.close();
            throw e;
        }
        file.close();
        return Optional.empty();
    }

    private static boolean isPosition(long head, long ring) {
        return head >= ring && head < POSITION_MAX && head % UNIT == 0;
    }

    private static void make(Path directory, Path path, Shape shape) throws IOException {
        Path fresh = directory.resolve(FILE + ".new");
        try (Fd file = Fd.open(fresh, Fd.O_RDWR | Fd.O_CREAT | Fd.O_TRUNC);
                Arena scratch = Arena.ofConfined()) {
            MemorySegment start = scratch.allocate(HEADER_BYTES, 8);
            start.set(Bytes.LONG, 0, MAGIC);
            start.set(JAVA_LONG, RING_BYTES_AT, shape.ringBytes());
            start.set(JAVA_LONG, BUCKETS_AT, shape.buckets());
            // So that 0 is nobody's position.
            start.set(JAVA_LONG, HEAD_AT, shape.ringBytes());
            file.writeFully(start, 0);
            file.truncate(shape.bytes());
        }
        Files.move(fresh, path, StandardCopyOption.ATOMIC_MOVE);
    }

    /** Where its file is. */
    public String location() {
        return path.toString();
    }

    /** How large its file is at most. */
    public long bytes() {
        return ringAt + ringBytes;
    }

    private long head() {
        return (long) NUMBER.getVolatile(header, (long) HEAD_AT);
    }

    private long floor() {
        return (long) NUMBER.getVolatile(header, (long) FLOOR_AT);
    }

    /** Whether what was appended there is there still. */
    private boolean isLive(long position, long length) {
        long head = head();
        return position >= head - ringBytes && position >= floor() && position + length <= head;
    }

    private long bucketAt(KeyDomainId domain, ChunkId id) {
        return HEADER_BYTES + ((id.b() ^ domain.low()) & (buckets - 1)) * BUCKET_BYTES;
    }

    /** Never 0, which is a free entry's. */
    private static long tag(KeyDomainId domain, ChunkId id) {
        return (id.a() ^ domain.high()) | 1;
    }

    /** A chunk that was found, and where. */
    record Found(SealedChunk chunk, long position) {}

    /**
     * Looks a chunk up; what is found has to be authenticated, and {@link #drop dropped} if it is not authentic.
     *
     * @param buffer its record is put there
     */
    Optional<Found> find(KeyDomainId domain, ChunkId id, ChunkBuffer buffer) throws IOException {
        MemorySegment bucket = buffer.scratch();
        long bucketAt = bucketAt(domain, id);
        if (file.pread(bucket, bucketAt) != BUCKET_BYTES) {
            return Optional.empty();
        }
        long tag = tag(domain, id);
        for (int i = 0; i < BUCKET_ENTRIES; i++) {
            if (bucket.get(JAVA_LONG, i * ENTRY_BYTES) != tag) {
                continue;
            }
            long place = bucket.get(JAVA_LONG, i * ENTRY_BYTES + 8);
            long position = position(place);
            long length = length(place);
            if (!isLive(position, length) || length <= SealedChunk.HEADER_BYTES) {
                continue;
            }
            MemorySegment record = buffer.record();
            if (length > record.byteSize()) {
                continue;
            }
            record = record.asSlice(0, length);
            long at = ringAt + position % ringBytes;
            if (at + length > bytes() || file.pread(record, at) != length || !isLive(position, length)) {
                continue;
            }
            try {
                int sealedBytes = SealedChunk.sealedBytes(record, 0);
                if (SealedChunk.HEADER_BYTES + sealedBytes <= length) {
                    SealedChunk chunk =
                            SealedChunk.read(record, 0, record.asSlice(SealedChunk.HEADER_BYTES, sealedBytes));
                    if (chunk.domain().equals(domain) && chunk.id().equals(id)) {
                        return Optional.of(new Found(chunk, position));
                    }
                }
            } catch (DamagedException e) {
                // As below: what a crash left, or another chunk that begins alike.
                erase(bucketAt, i, tag, place, buffer);
                continue;
            }
            erase(bucketAt, i, tag, place, buffer);
        }
        return Optional.empty();
    }

    /** Whether it most probably has the chunk. */
    boolean mayHave(KeyDomainId domain, ChunkId id, ChunkBuffer buffer) throws IOException {
        MemorySegment bucket = buffer.scratch();
        if (file.pread(bucket, bucketAt(domain, id)) != BUCKET_BYTES) {
            return false;
        }
        long tag = tag(domain, id);
        for (int i = 0; i < BUCKET_ENTRIES; i++) {
            long place = bucket.get(JAVA_LONG, i * ENTRY_BYTES + 8);
            if (bucket.get(JAVA_LONG, i * ENTRY_BYTES) == tag && isLive(position(place), length(place))) {
                return true;
            }
        }
        return false;
    }

    /** Whether a chunk that was found will be overwritten before long, and should be {@link #put put} again if it is to stay. */
    boolean isOld(Found found) {
        return head() - found.position() > ringBytes / 2;
    }

    /** Forgets a chunk that was found and is not authentic. */
    void drop(Found found, ChunkBuffer buffer) throws IOException {
        SealedChunk chunk = found.chunk();
        long bucketAt = bucketAt(chunk.domain(), chunk.id());
        long tag = tag(chunk.domain(), chunk.id());
        MemorySegment bucket = buffer.scratch();
        if (file.pread(bucket, bucketAt) != BUCKET_BYTES) {
            return;
        }
        for (int i = 0; i < BUCKET_ENTRIES; i++) {
            long place = bucket.get(JAVA_LONG, i * ENTRY_BYTES + 8);
            if (bucket.get(JAVA_LONG, i * ENTRY_BYTES) == tag && position(place) == found.position()) {
                erase(bucketAt, i, tag, place, buffer);
            }
        }
    }

    /** Frees an entry, unless it is another's by now. */
    private void erase(long bucketAt, int entry, long tag, long place, ChunkBuffer buffer) throws IOException {
        MemorySegment now = buffer.scratch().asSlice(entry * ENTRY_BYTES, ENTRY_BYTES);
        long at = bucketAt + entry * ENTRY_BYTES;
        if (file.pread(now, at) == ENTRY_BYTES && now.get(JAVA_LONG, 0) == tag && now.get(JAVA_LONG, 8) == place) {
            now.fill((byte) 0);
            file.writeFully(now, at);
        }
    }

    /**
     * Takes a chunk in, if there is space on the disk; a chunk that was found before in this file's older half is put again.
     *
     * @param chunk its sealed bytes are in {@link ChunkBuffer#sealed} of {@code buffer}
     */
    void put(SealedChunk chunk, ChunkBuffer buffer) throws IOException {
        if (full) {
            return;
        }
        int sealedBytes = (int) chunk.sealed().byteSize();
        long length = (SealedChunk.HEADER_BYTES + (long) sealedBytes + UNIT - 1) / UNIT * UNIT;
        MemorySegment record = buffer.record().asSlice(0, length);
        chunk.writeHeader(record, 0);
        // Nothing that the buffer held before gets out.
        record.asSlice(SealedChunk.HEADER_BYTES + sealedBytes).fill((byte) 0);
        long position = reserve(length);
        try {
            file.writeFully(record, ringAt + position % ringBytes);
            enter(chunk.domain(), chunk.id(), position, length, buffer);
        } catch (LinuxException e) {
            if (e.errno() != Errno.ENOSPC && e.errno() != Errno.EDQUOT) {
                throw e;
            }
            // A cache must not be what fills a disk up: it stays as large as it got, for this process.
            full = true;
        }
    }

    /** A place in the ring that is nobody else's as long as not a whole ring is written meanwhile. */
    private long reserve(long length) throws IOException {
        while (true) {
            long head = head();
            if (!isPosition(head, ringBytes)) {
                throw new DamagedException("the cache " + path
                        + " is damaged: 'satchel vault clear-cache' empties it, and the next resume makes it anew");
            }
            long inRing = head % ringBytes;
            long position = inRing + length > ringBytes ? head + ringBytes - inRing : head;
            if (NUMBER.compareAndSet(header, (long) HEAD_AT, head, position + length)) {
                return position;
            }
        }
    }

    /** Puts an entry where the chunk has one, or where there is none that counts, or over the oldest. */
    private void enter(KeyDomainId domain, ChunkId id, long position, long length, ChunkBuffer buffer)
            throws IOException {
        MemorySegment bucket = buffer.scratch();
        long bucketAt = bucketAt(domain, id);
        if (file.pread(bucket, bucketAt) != BUCKET_BYTES) {
            throw new DamagedException("the cache " + path + " has been cut short: delete it");
        }
        long tag = tag(domain, id);
        int chosen = 0;
        long oldest = Long.MAX_VALUE;
        for (int i = 0; i < BUCKET_ENTRIES; i++) {
            long place = bucket.get(JAVA_LONG, i * ENTRY_BYTES + 8);
            if (bucket.get(JAVA_LONG, i * ENTRY_BYTES) == tag) {
                chosen = i;
                break;
            }
            long age = isLive(position(place), length(place)) ? position(place) : -1;
            if (age < oldest) {
                oldest = age;
                chosen = i;
            }
        }
        MemorySegment entry = bucket.asSlice(0, ENTRY_BYTES);
        entry.set(JAVA_LONG, 0, tag);
        entry.set(JAVA_LONG, 8, ((position / UNIT) << UNITS_BITS) | (length / UNIT));
        file.writeFully(entry, bucketAt + chosen * ENTRY_BYTES);
    }

    private static long position(long place) {
        return (place >>> UNITS_BITS) * UNIT;
    }

    private static long length(long place) {
        return (place & ((1L << UNITS_BITS) - 1)) * UNIT;
    }

    /**
     * What a cache takes.
     *
     * @param bytesMax how large its file can become
     * @param bytesUsed how much of the ring holds chunks that can be found, roughly
     */
    public record Usage(String location, long bytesMax, long bytesUsed) {}

    /** The cache in a directory, if there is one. */
    public static Optional<Usage> usage(Path directory) throws IOException {
        Optional<HostCache> present = existing(directory.resolve(FILE));
        if (present.isEmpty()) {
            return Optional.empty();
        }
        try (HostCache cache = present.get()) {
            return Optional.of(cache.usage());
        }
    }

    Usage usage() {
        long head = head();
        long oldest = Math.max(Math.max(head - ringBytes, floor()), ringBytes);
        return new Usage(location(), bytes(), Math.max(0, head - oldest));
    }

    /**
     * Forgets all chunks and gives their space back; those who use the cache go on using it.
     *
     * @return how many bytes it had used
     */
    public static long clear(Path directory) throws IOException {
        Path path = directory.resolve(FILE);
        if (!Files.isDirectory(directory)) {
            return 0;
        }
        try (Fd _ = lock(directory)) {
            Optional<HostCache> present = existing(path);
            if (present.isEmpty()) {
                try {
                    long size = Files.size(path);
                    Files.delete(path); // no cache that anybody could use
                    return size;
                } catch (NoSuchFileException e) {
                    return 0;
                }
            }
            try (HostCache cache = present.get()) {
                long used = cache.usage().bytesUsed();
                NUMBER.setVolatile(cache.header, (long) FLOOR_AT, cache.head());
                cache.file.punchHole(HEADER_BYTES, cache.bytes() - HEADER_BYTES);
                return used;
            }
        }
    }

    /** Not while others use it. */
    @Override
    public void close() throws IOException {
        arena.close();
        file.close();
    }
}
