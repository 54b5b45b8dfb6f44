package dev.satchel.pod;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.satchel.linux.crypto.AesGcm;
import dev.satchel.linux.crypto.SecretBytes;
import dev.satchel.vault.ChunkMapRef;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Knows the windows of memory of one checkpoint again by fingerprints of them, which take an eighth of the time that their names as
 * chunks do: as long as this process lives, what it resumed a pod from, or took last, is the checkpoint that the next is compared with.
 *
 * <p>A fingerprint is the tag of GMAC (NIST SP 800-38D, §6.4) under a random key and one nonce. That hides nothing from who sees tags,
 * so that nobody may: they and the key stay here, and end with the process. Of two windows that differ, chosen by whoever knows neither,
 * the tags are equal with a probability of at most 2<sup>-115</sup> (4,097 blocks to 2<sup>128</sup>).
 *
 * <p>Any thread may call it.
 */
final class WindowPrints implements AutoCloseable {
    private final SecretBytes key = SecretBytes.random(AesGcm.KEY_BYTES);

    /** Guarded by itself. */
    private final ArrayDeque<Printer> free = new ArrayDeque<>();

    private volatile @Nullable Table table;

    /** What a window is known by. All zeros: unknown. */
    record Print(long high, long low) {}

    /** One thread's at a time. */
    private static final class Printer {
        private final AesGcm cipher = new AesGcm();
        private final Arena arena = Arena.ofShared();
        private final MemorySegment nonce = arena.allocate(AesGcm.NONCE_BYTES);
        private final MemorySegment tag = arena.allocate(AesGcm.TAG_BYTES, Long.BYTES);
        private boolean keyed;

        Print of(SecretBytes key, MemorySegment window) {
            cipher.seal(keyed ? MemorySegment.NULL : key.segment(), nonce, window, MemorySegment.NULL, tag);
            keyed = true;
            return new Print(tag.get(JAVA_LONG, 0), tag.get(JAVA_LONG, Long.BYTES));
        }

        void close() {
            cipher.close();
            arena.close();
        }
    }

    /**
     * Those of one checkpoint, as far as they are known. Threads that set and those that compare need not agree: what has not been seen
     * yet, or only in half, is taken for different.
     */
    static final class Table {
        private final ChunkMapRef pages;
        private final Map<Long, long[]> files = new HashMap<>();

        /** @param pages the checkpoint's */
        Table(ChunkMapRef pages) {
            this.pages = pages;
        }

        /** Has room for a pages file; before anybody else has the table. */
        void add(long file, int windows) {
            files.put(file, new long[Math.multiplyExact(2, windows)]);
        }

        /** @param window by its number in the pages file */
        void set(long file, int window, Print print) {
            long[] prints = files.get(file);
            if (prints != null) {
                prints[2 * window] = print.high();
                prints[2 * window + 1] = print.low();
            }
        }

        /** Null if it is not known. */
        @Nullable
        Print get(long file, int window) {
            long[] prints = files.get(file);
            if (prints == null || (prints[2 * window] | prints[2 * window + 1]) == 0) {
                return null;
            }
            return new Print(prints[2 * window], prints[2 * window + 1]);
        }
    }

    /** Of a window's bytes, native memory. */
    Print of(MemorySegment window) {
        Printer printer;
        synchronized (free) {
            printer = free.pollLast();
        }
        if (printer == null) {
            printer = new Printer();
        }
        Print print = printer.of(key, window);
        synchronized (free) {
            free.addLast(printer);
        }
        return print;
    }

    /** From now on it is that checkpoint which is compared with. */
    void compareWith(Table checkpoint) {
        table = checkpoint;
    }

    /** What is known of the windows of a checkpoint; null if that is another one than is compared with. */
    @Nullable
    Table tableOf(Checkpoint checkpoint) {
        Table present = table;
        return present != null && present.pages.equals(checkpoint.pages()) ? present : null;
    }

    /** Nobody may be calling it. */
    @Override
    public void close() {
        synchronized (free) {
            free.forEach(Printer::close);
            free.clear();
        }
        key.close();
    }
}
