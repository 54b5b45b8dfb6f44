package dev.satchel.volume;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import dev.satchel.linux.crypto.AesGcm;
import dev.satchel.linux.crypto.SecretBytes;
import dev.satchel.linux.crypto.SecureRandom;
import dev.satchel.linux.crypto.Sha256;
import dev.satchel.vault.AppendLog;
import dev.satchel.vault.Backend;
import dev.satchel.vault.DamagedException;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultFullException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * One file of the write log. Sealed piece by piece (see {@link LogCipher}) under a key derived from the vault's key, the
 * segment's name and the 32 random bytes at its beginning: SHA-256(salt, name) is the context of {@link Vault#deriveKey}.
 *
 * <pre>
 * preamble   "SATCHLOG" · version u32 = 1 · 0 u32 · salt 32 bytes                          in clear
 * record     header: sealed { type u32 · count u32 · block u64 · durable u64 · range u64 }  48 bytes with its tag
 *   STATE    sealed {@link LogState} of count bytes with its tag
 *   WRITE    count × sealed block                                                           4112 bytes each
 *   DISCARD  nothing: range blocks from block on read as zeros
 * </pre>
 *
 * All numbers are big-endian. {@code durable} is the length of the segment that was on stable storage when the record was
 * written: what is found broken before that is damage, what is found broken behind it is what the crash tore.
 *
 * <p>Appending is for one thread at a time (the volume's append lock); {@link #seal}, {@link #readBlocks} and {@link #sync}
 * are for many.
 */
final class LogSegment implements AutoCloseable {
    static final int SEALED_BLOCK_BYTES = Geometry.BLOCK_BYTES + AesGcm.TAG_BYTES;
    static final int PREAMBLE_BYTES = 48;
    static final int HEADER_BYTES = 32 + AesGcm.TAG_BYTES;
    /** Blocks in one record: 1 MiB, the most that the kernel writes at once. */
    static final int BLOCKS_MAX = 256;

    static final int RECORD_BYTES_MAX = HEADER_BYTES + BLOCKS_MAX * SEALED_BLOCK_BYTES;

    /** The first record, a state, ends here; it is durable before another one is appended. */
    static final int FIRST_RECORD_END = PREAMBLE_BYTES + HEADER_BYTES + LogState.BYTES + AesGcm.TAG_BYTES;

    static final int TYPE_STATE = 1;
    static final int TYPE_WRITE = 2;
    static final int TYPE_DISCARD = 3;

    /** How far behind a broken header a later one is looked for. */
    static final long SCAN_BYTES_MAX = 64L << 20;

    /** Runs of so many blocks are taken for a part of a stream. */
    private static final int STREAM_BLOCKS_MIN = 16;

    private static final long READ_AHEAD_BYTES = 4L << 20;

    /** So much space at least is kept set aside behind the end, while there is some, */
    private static final long ASIDE_BYTES_MIN = 4L << 20;

    /** and so much at once. */
    private static final long ASIDE_BYTES = 8L << 20;

    /** After how many further bytes it is tried again when there was none. */
    private static final long ASIDE_RETRY_BYTES = 1L << 20;

    private static final int SALT_AT = 16;
    private static final int SALT_BYTES = 32;
    private static final long MAGIC = 0x53415443484c4f47L; // "SATCHLOG"
    private static final int VERSION = 1;
    private static final String KEY_PURPOSE = "volume log segment 1";

    private static final ValueLayout.OfInt INT = JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final ValueLayout.OfLong LONG = JAVA_LONG_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    private final String name;
    private final long sequence;
    private final Backend backend;
    private final AppendLog log;
    private final SecretBytes key;
    /** Where the last {@link #askAhead} ended; a hint, so races don't matter. */
    private volatile long askedAhead;

    /** Where the next record begins. Changed by the appending thread only. */
    private volatile long end;

    /** Where the last promised place ends, if that is behind the end. Guarded by the append lock. */
    private long reserved;

    /** Up to where space is set aside. Guarded by the append lock. */
    private long asideEnd;

    /** Where the end must be for space to be set aside again. Guarded by the append lock. */
    private long asideRetry;

    private final Object syncLock = new Object();
    /** Up to here it is on stable storage. Guarded by {@link #syncLock} for writing. */
    private volatile long durable;

    private boolean syncing;
    private @Nullable IOException syncFailure;

    private LogSegment(Backend backend, String name, long sequence, AppendLog log, SecretBytes key) {
        this.backend = backend;
        this.name = name;
        this.sequence = sequence;
        this.log = log;
        this.key = key;
    }

    /**
     * Space set aside for a segment that will be: a log of its name with nothing in it, which a crash may leave.
     *
     * @param bytes so much
     */
    record Spare(String name, AppendLog log, long bytes) {
        /**
         * Sets up to {@code bytesMax} aside, on a device with less space less, but {@code bytesMin} at least.
         *
         * @throws dev.satchel.vault.VaultFullException when there is not so much
         */
        static Spare make(Backend backend, String name, long bytesMin, long bytesMax) throws IOException {
            AppendLog log = backend.openLog(name, true);
            try {
                checkNew(name, log);
                for (long bytes = bytesMax; ; bytes >>= 1) {
                    try {
                        boolean ignored = log.setAside(bytes); // where there is no such thing there is no reserve
                        return new Spare(name, log, bytes);
                    } catch (VaultFullException e) {
                        if (bytes >> 1 < bytesMin) {
                            throw e;
                        }
                        log.truncate(0);
                    }
                }
            } catch (IOException | RuntimeException e) {
                giveUp(backend, name, log, e);
                throw e;
            }
        }

        /** Gives the space back. */
        void discard(Backend backend) throws IOException {
            log.close();
            backend.delete(name);
        }
    }

    private static void checkNew(String name, AppendLog log) throws IOException {
        if (log.size() != 0) {
            throw new DamagedException(name + " exists already: somebody else writes this session's log");
        }
    }

    private static void giveUp(Backend backend, String name, AppendLog log, Exception because) {
        try {
            log.close();
            backend.delete(name);
        } catch (IOException suppressed) {
            because.addSuppressed(suppressed);
        }
    }

    /** Makes an empty segment, which {@link #appendState} must begin. */
    static LogSegment create(Vault vault, String name, long sequence, LogWriter writer) throws IOException {
        return create(vault, new Spare(name, vault.backend().openLog(name, true), 0), sequence, writer);
    }

    /** Makes an empty segment where space is set aside for it; the spare is used up, also when this fails. */
    static LogSegment create(Vault vault, Spare spare, long sequence, LogWriter writer) throws IOException {
        String name = spare.name();
        AppendLog log = spare.log();
        try {
            checkNew(name, log);
            MemorySegment preamble = writer.buffer().asSlice(0, PREAMBLE_BYTES);
            preamble.set(LONG, 0, MAGIC);
            preamble.set(INT, 8, VERSION);
            preamble.set(INT, 12, 0);
            MemorySegment salt = preamble.asSlice(SALT_AT, SALT_BYTES);
            SecureRandom.fill(salt);
            LogSegment segment = new LogSegment(vault.backend(), name, sequence, log, key(vault, name, salt));
            try {
                log.append(preamble);
                segment.end = PREAMBLE_BYTES;
                segment.asideEnd = spare.bytes();
                return segment;
            } catch (IOException | RuntimeException e) {
                segment.key.close();
                throw e;
            }
        } catch (IOException | RuntimeException e) {
            giveUp(vault.backend(), name, log, e);
            throw e;
        }
    }

    /** What a segment found on opening tells, in the order in which it was written. */
    interface Visitor {
        void state(LogState state) throws IOException;

        void write(long block, int count, long logOffset) throws IOException;

        void discard(long block, long count, long logOffset) throws IOException;
    }

    /**
     * Opens a segment that is there.
     *
     * @param own whether nobody else may open it meanwhile
     * @return null when it has no whole preamble: a crash tore it before anything in it was durable
     */
    static @Nullable LogSegment open(Vault vault, String name, long sequence, boolean own, LogWriter writer)
            throws IOException {
        AppendLog log =
                own ? vault.backend().openLog(name, false) : vault.backend().readLog(name);
        try {
            MemorySegment preamble = writer.buffer().asSlice(0, PREAMBLE_BYTES);
            if (log.read(0, preamble) < PREAMBLE_BYTES || isZero(preamble)) {
                log.close();
                return null;
            }
            if (preamble.get(LONG, 0) != MAGIC) {
                throw new DamagedException(name + " is no volume log: restore the vault from a copy");
            }
            if (preamble.get(INT, 8) != VERSION) {
                throw new DamagedException(name + " has version " + preamble.get(INT, 8)
                        + ", this program reads version " + VERSION + ": use a newer program");
            }
            MemorySegment salt = preamble.asSlice(SALT_AT, SALT_BYTES);
            return new LogSegment(vault.backend(), name, sequence, log, key(vault, name, salt));
        } catch (IOException | RuntimeException e) {
            log.close();
            throw e;
        }
    }

    /** Of the salt and the name, so that a segment put under another session's or another number's name opens nothing. */
    static SecretBytes key(Vault vault, String name, MemorySegment salt) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            byte[] nameBytes = name.getBytes(StandardCharsets.US_ASCII);
            MemorySegment named = arena.allocate(SALT_BYTES + (long) nameBytes.length);
            MemorySegment.copy(salt, 0, named, 0, SALT_BYTES);
            MemorySegment.copy(nameBytes, 0, named, JAVA_BYTE, SALT_BYTES, nameBytes.length);
            MemorySegment context = arena.allocate(Sha256.BYTES);
            Sha256.hash(named, context);
            return vault.deriveKey(KEY_PURPOSE, context.toArray(JAVA_BYTE));
        }
    }

    private static boolean isZero(MemorySegment segment) {
        for (long i = 0; i < segment.byteSize(); i++) {
            if (segment.get(JAVA_BYTE, i) != 0) {
                return false;
            }
        }
        return true;
    }

    /**
     * Reads the whole segment, every byte of it authenticated, up to where the crash tore it.
     *
     * @param knownEnd where it ends, as a later segment says, all of it durable; 0 if there is no later one
     * @throws DamagedException when something is broken that had been durable
     */
    void replay(long knownEnd, LogWriter writer, Visitor visitor) throws IOException {
        long size = knownEnd > 0 ? knownEnd : log.size();
        MemorySegment record = writer.buffer();
        MemorySegment header = writer.header();
        long at = PREAMBLE_BYTES;
        while (at < size) {
            long next = readRecord(at, size, record, header, writer.cipher(), visitor);
            if (next < 0) {
                break;
            }
            at = next;
        }
        end = at;
        if (at < size) {
            // Nothing follows the first record before that is durable.
            if (knownEnd > 0
                    || (at == PREAMBLE_BYTES && size > FIRST_RECORD_END)
                    || durableSaidBehind(at, size, record, header, writer.cipher()) > at) {
                throw new DamagedException(name + " is damaged at byte " + at
                        + ", inside of what was safely stored: restore the vault from a copy, or resume the newest"
                        + " snapshot without what was written since");
            }
        }
    }

    /** Returns where the next record begins, or -1 when this one is not whole. */
    private long readRecord(
            long at, long size, MemorySegment record, MemorySegment header, LogCipher cipher, Visitor visitor)
            throws IOException {
        if (!openHeader(at, size, record, header, cipher)) {
            return -1;
        }
        int count = header.get(INT, 4);
        long block = header.get(LONG, 8);
        long body = at + HEADER_BYTES;
        return switch (header.get(INT, 0)) {
            case TYPE_STATE -> readState(body, count, size, record, cipher, visitor);
            case TYPE_WRITE -> readWrite(body, block, count, size, record, cipher, visitor);
            case TYPE_DISCARD -> {
                visitor.discard(block, header.get(LONG, 24), body);
                yield body;
            }
            default ->
                throw new DamagedException(name + " has a record of type " + header.get(INT, 0)
                        + ", which this program does not know: use a newer program");
        };
    }

    private long readState(long body, int count, long size, MemorySegment record, LogCipher cipher, Visitor visitor)
            throws IOException {
        if (count < 0 || count > LogState.BYTES_MAX) {
            throw senseless(body);
        }
        long bodyBytes = (long) count + AesGcm.TAG_BYTES;
        MemorySegment sealed = record.asSlice(0, bodyBytes);
        MemorySegment plain = record.asSlice(0, count);
        if (body + bodyBytes > size
                || log.read(body, sealed) < bodyBytes
                || !cipher.open(key, LogCipher.STATE, body, sealed, plain)) {
            return -1;
        }
        visitor.state(LogState.fromBytes(plain.toArray(JAVA_BYTE)));
        return body + bodyBytes;
    }

    private long readWrite(
            long body, long block, int count, long size, MemorySegment record, LogCipher cipher, Visitor visitor)
            throws IOException {
        if (count < 1 || count > BLOCKS_MAX) {
            throw senseless(body);
        }
        long bodyBytes = (long) count * SEALED_BLOCK_BYTES;
        MemorySegment sealed = record.asSlice(0, bodyBytes);
        if (body + bodyBytes > size || log.read(body, sealed) < bodyBytes) {
            return -1;
        }
        for (int i = 0; i < count; i++) {
            long from = (long) i * SEALED_BLOCK_BYTES;
            MemorySegment sealedBlock = record.asSlice(from, SEALED_BLOCK_BYTES);
            MemorySegment plain = record.asSlice(from, Geometry.BLOCK_BYTES);
            if (!cipher.open(key, LogCipher.BLOCK, body + from, sealedBlock, plain)) {
                return -1;
            }
        }
        visitor.write(block, count, body);
        return body + bodyBytes;
    }

    private DamagedException senseless(long at) {
        return senseless(name, at);
    }

    /** Of a record that is authentic: its writer had the vault's keys. */
    static DamagedException senseless(String name, long at) {
        return new DamagedException(name + " has a record before byte " + at
                + " that is authentic and makes no sense: it was written by a hostile host or another version of the program,"
                + " resume the newest snapshot without what was written since");
    }

    private boolean openHeader(long at, long size, MemorySegment buffer, MemorySegment header, LogCipher cipher)
            throws IOException {
        MemorySegment sealed = buffer.asSlice(0, HEADER_BYTES);
        return at + HEADER_BYTES <= size
                && log.read(at, sealed) == HEADER_BYTES
                && cipher.open(key, LogCipher.HEADER, at, sealed, header);
    }

    /**
     * Looks behind a broken record for whole headers, which begin at multiples of 16.
     *
     * @return how much had been durable, as the last of them says
     */
    private long durableSaidBehind(long broken, long size, MemorySegment buffer, MemorySegment header, LogCipher cipher)
            throws IOException {
        long said = 0;
        long limit = Math.min(size, broken + SCAN_BYTES_MAX);
        int windowBytes = RECORD_BYTES_MAX & -16;
        // The broken record's own header may be whole; what it says counts too.
        for (long window = broken; window < limit; window += windowBytes - HEADER_BYTES) {
            int got = log.read(window, buffer.asSlice(0, Math.min(windowBytes, limit - window)));
            for (long at = 0; at + HEADER_BYTES <= got; at += 16) {
                if (cipher.open(key, LogCipher.HEADER, window + at, buffer.asSlice(at, HEADER_BYTES), header)) {
                    said = Math.max(said, header.get(LONG, 16));
                    if (said > broken) {
                        return said;
                    }
                }
            }
        }
        return said;
    }

    private void putHeader(LogWriter writer, long at, int type, int count, long block, long range) {
        MemorySegment header = writer.header();
        header.set(INT, 0, type);
        header.set(INT, 4, count);
        header.set(LONG, 8, block);
        header.set(LONG, 16, durable);
        header.set(LONG, 24, range);
        writer.cipher().seal(key, LogCipher.HEADER, at, header, writer.buffer().asSlice(0, HEADER_BYTES));
    }

    /**
     * Appends what lies in the writer's buffer. When this fails, the segment is over: bytes may have been sealed for this
     * offset, and other ones sealed for it again would use a nonce twice.
     */
    private void append(LogWriter writer, long bytes) throws IOException {
        long at = log.append(writer.buffer().asSlice(0, bytes));
        if (at != end) {
            throw new DamagedException(name + " got a record at " + at + " instead of " + end
                    + ": somebody else writes this session's log");
        }
        end = at + bytes;
        keepSpaceAside();
    }

    /**
     * Keeps space set aside ahead of the end: what else fills the device up, a suspend first of all, must not take it from what
     * programs still want to make durable.
     */
    private void keepSpaceAside() throws IOException {
        if (asideEnd - end >= ASIDE_BYTES_MIN || end < asideRetry) {
            return;
        }
        try {
            asideEnd = log.setAside(ASIDE_BYTES) ? end + ASIDE_BYTES : Long.MAX_VALUE;
        } catch (VaultFullException e) {
            // Nothing is lost yet: the append that finds no space tells.
            asideRetry = end + ASIDE_RETRY_BYTES;
        }
    }

    /** Gives back the space that nothing will be appended to. Append lock held, the segment's layer frozen. */
    void releaseSpaceAside() throws IOException {
        if (asideEnd > end && asideEnd != Long.MAX_VALUE) {
            asideEnd = end;
            log.truncate(end);
        }
    }

    void appendState(LogWriter writer, LogState state) throws IOException {
        byte[] bytes = state.toBytes();
        putHeader(writer, end, TYPE_STATE, bytes.length, 0, 0);
        MemorySegment body = writer.buffer().asSlice(HEADER_BYTES, (long) bytes.length + AesGcm.TAG_BYTES);
        MemorySegment plain = body.asSlice(0, bytes.length);
        MemorySegment.copy(bytes, 0, plain, JAVA_BYTE, 0, bytes.length);
        writer.cipher().seal(key, LogCipher.STATE, end + HEADER_BYTES, plain, body);
        append(writer, HEADER_BYTES + body.byteSize());
    }

    /** Length of a record of so many blocks. */
    static long recordBytes(int blocks) {
        return HEADER_BYTES + (long) blocks * SEALED_BLOCK_BYTES;
    }

    /**
     * Promises a place in the segment, behind all promised before. Either {@link #appendSealed} fills it, when all before are
     * filled, or nothing is appended to this segment any more.
     */
    long reserve(long bytes) {
        long at = reservedEnd();
        reserved = at + bytes;
        return at;
    }

    /** Where the next record begins once all promised places are filled. */
    long reservedEnd() {
        return Math.max(end, reserved);
    }

    /**
     * Seals blocks that follow each other on the volume into the writer's buffer, for one place in the segment only.
     *
     * @param at from {@link #reserve}
     * @param blocks 1 to {@link #BLOCKS_MAX} of them
     */
    void seal(LogWriter writer, long at, long firstBlock, MemorySegment blocks) {
        int count = (int) (blocks.byteSize() >>> Geometry.BLOCK_SHIFT);
        putHeader(writer, at, TYPE_WRITE, count, firstBlock, 0);
        MemorySegment buffer = writer.buffer();
        LogCipher cipher = writer.cipher();
        long body = at + HEADER_BYTES;
        for (int i = 0; i < count; i++) {
            long to = (long) i * SEALED_BLOCK_BYTES;
            cipher.seal(
                    key,
                    LogCipher.BLOCK,
                    body + to,
                    blocks.asSlice((long) i << Geometry.BLOCK_SHIFT, Geometry.BLOCK_BYTES),
                    buffer.asSlice(HEADER_BYTES + to, SEALED_BLOCK_BYTES));
        }
    }

    /**
     * Appends what {@link #seal} has put into the writer's buffer for the place that is now the end.
     *
     * @return where in the segment the first block is, the others following every {@link #SEALED_BLOCK_BYTES}
     */
    long appendSealed(LogWriter writer, int blocks) throws IOException {
        long body = end + HEADER_BYTES;
        append(writer, recordBytes(blocks));
        return body;
    }

    void appendDiscard(LogWriter writer, long firstBlock, long count) throws IOException {
        putHeader(writer, end, TYPE_DISCARD, 0, firstBlock, count);
        append(writer, HEADER_BYTES);
    }

    /**
     * Reads blocks that lie one behind the other in the segment.
     *
     * @param scratch for the sealed bytes, {@code count} × {@link #SEALED_BLOCK_BYTES} or more
     * @throws DamagedException when they are not what was written
     */
    void readBlocks(long logOffset, int count, MemorySegment dst, MemorySegment scratch, LogCipher cipher)
            throws IOException {
        MemorySegment sealed = scratch.asSlice(0, (long) count * SEALED_BLOCK_BYTES);
        if (count >= STREAM_BLOCKS_MIN) {
            askAhead(logOffset + sealed.byteSize());
        }
        int got = log.read(logOffset, sealed);
        if (got < sealed.byteSize()) {
            throw new DamagedException(name + " ends at byte " + (logOffset + got)
                    + ", though more had been written: check the device, then resume");
        }
        for (int i = 0; i < count; i++) {
            long from = (long) i * SEALED_BLOCK_BYTES;
            if (!cipher.open(
                    key,
                    LogCipher.BLOCK,
                    logOffset + from,
                    scratch.asSlice(from, SEALED_BLOCK_BYTES),
                    dst.asSlice((long) i << Geometry.BLOCK_SHIFT, Geometry.BLOCK_BYTES))) {
                throw new DamagedException(name + " is damaged at byte " + (logOffset + from)
                        + ": restore the vault from a copy, or resume the newest snapshot");
            }
        }
    }

    /** Long runs come one behind the other: the device may fetch the next ones while this one is decrypted. */
    private void askAhead(long from) {
        long asked = askedAhead;
        if (from > asked - READ_AHEAD_BYTES / 2 || from < asked - READ_AHEAD_BYTES) {
            long start = from > asked || from < asked - READ_AHEAD_BYTES ? from : asked;
            askedAhead = from + READ_AHEAD_BYTES;
            if (start < end) {
                backend.willNeed(name, start, Math.min(end, askedAhead) - start);
            }
        }
    }

    /**
     * Everything appended before is on stable storage on return. Callers that come while a sync runs share the next one.
     *
     * @throws IOException also ever after: what a failed sync has lost can't be known (fsync(2) reports it once)
     */
    void sync() throws IOException {
        long wanted = end;
        if (durable >= wanted) {
            return;
        }
        long goal;
        synchronized (syncLock) {
            while (syncing && durable < wanted) {
                try {
                    syncLock.wait();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new IOException("interrupted while waiting for " + name + " to be durable", e);
                }
            }
            if (syncFailure != null) {
                throw new IOException("an earlier sync of " + name + " failed", syncFailure);
            }
            if (durable >= wanted) {
                return;
            }
            syncing = true;
            goal = end;
        }
        @Nullable IOException failure = new IOException("the sync ended without an answer");
        try {
            log.sync();
            failure = null;
        } catch (IOException e) {
            failure = e;
            throw e;
        } finally {
            synchronized (syncLock) {
                syncing = false;
                if (failure == null) {
                    durable = goal;
                } else {
                    syncFailure = failure;
                }
                syncLock.notifyAll();
            }
        }
    }

    boolean syncHasFailed() {
        synchronized (syncLock) {
            return syncFailure != null;
        }
    }

    /** Cuts off what a failed append may have left, so that its space is free again. */
    void cutToEnd() throws IOException {
        log.truncate(end);
    }

    String name() {
        return name;
    }

    long sequence() {
        return sequence;
    }

    /** Bytes in whole records. */
    long end() {
        return end;
    }

    /** Bytes on stable storage. */
    long durable() {
        return durable;
    }

    @Override
    public void close() throws IOException {
        key.close();
        log.close();
    }
}
