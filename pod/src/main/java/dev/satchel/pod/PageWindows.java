package dev.satchel.pod;

import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkStore;
import dev.satchel.vault.ChunkWriter;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Memory is cut at multiples of {@link #BYTES} of each address space: a window is the pages present between two multiples. Has those
 * of a checkpoint by where they are, for the next checkpoint to store only what is different. Immutable.
 */
final class PageWindows {
    /** Two slots a window: the chunk, then the {@link PageDelta} over it, if there is one. */
    static final int SLOTS = 2;

    /**
     * Smaller windows store less of memory that is new here and there, for more chunks. What changed is stored by pages.
     */
    static final long BYTES = 64 << 10;

    /** Of a pages file: a tebibyte and more. */
    private static final int WINDOWS_MAX = 1 << 24;

    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    /** Of a first checkpoint: nothing is known. */
    static final PageWindows NONE = new PageWindows(Map.of());

    /** By a pagemap's name: windows in ascending order, and how each is stored. */
    private final Map<String, Known> known;

    private static final class Known {
        private final long file;
        private final long[] windows;
        private final WindowForm[] forms;

        Known(long file, long[] windows, WindowForm[] forms) {
            this.file = file;
            this.windows = windows;
            this.forms = forms;
        }
    }

    /**
     * A window of the checkpoint.
     *
     * @param file its pages file
     * @param number from the beginning of that
     */
    record Stored(long file, int number, WindowForm form) {}

    /** Is told of the windows of a pages file, in file order. */
    interface Cuts {
        /** @param window its address by {@link #BYTES} */
        void window(long window, int lengthBytes) throws IOException;
    }

    private PageWindows(Map<String, Known> known) {
        this.known = known;
    }

    /** Reads those of a checkpoint. */
    static PageWindows of(ChunkStore chunks, Checkpoint checkpoint) throws IOException {
        Map<String, byte[]> pagemaps = new HashMap<>();
        List<PagesFile> files = ImageArchive.pagemaps(chunks, checkpoint.images(), pagemaps);
        Map<Long, String> names = new HashMap<>();
        Map<String, long[]> windows = new HashMap<>();
        for (Map.Entry<String, byte[]> pagemap : pagemaps.entrySet()) {
            List<Long> found = new ArrayList<>();
            long id = cut(pagemap.getKey(), pagemap.getValue(), (window, length) -> found.add(window));
            names.put(id, pagemap.getKey());
            windows.put(
                    pagemap.getKey(), found.stream().mapToLong(Long::longValue).toArray());
        }
        ChunkMap map = ChunkMap.load(chunks, checkpoint.pages());
        long end = 0;
        for (PagesFile file : files) {
            end = Math.max(end, file.firstSlot() + file.slots());
        }
        try (Arena arena = Arena.ofConfined()) {
            Names left = new Names(chunks, map, end, arena);
            Map<String, Known> known = new HashMap<>();
            for (PagesFile file : files) {
                String name = names.get(file.id());
                long[] of = name == null ? null : windows.get(name);
                if (name == null || of == null || of.length * (long) SLOTS != file.slots()) {
                    throw new IOException("the checkpoint's " + file.name() + " is not whole");
                }
                WindowForm[] forms = new WindowForm[of.length];
                map.forEach(file.firstSlot(), file.firstSlot() + file.slots(), (slot, ref) -> {
                    long at = slot - file.firstSlot();
                    int i = (int) (at / SLOTS);
                    if (at % SLOTS == 0) {
                        forms[i] = new WindowForm(ref);
                    } else if (forms[i] != null) {
                        forms[i] = new WindowForm(forms[i].chunk(), new WindowForm.Over(ref, left.next(), left.next()));
                    } else {
                        throw new IOException("the checkpoint's " + file.name() + " is not whole");
                    }
                });
                known.put(name, new Known(file.id(), of, forms));
            }
            return new PageWindows(known);
        }
    }

    /** The names of windows with something over their base, in order. */
    private static final class Names {
        private final MemorySegment bytes;
        private long at;

        Names(ChunkStore chunks, ChunkMap map, long firstSlot, Arena arena) throws IOException {
            List<ChunkRef> refs = new ArrayList<>();
            map.forEach(firstSlot, Math.max(firstSlot, map.ref().slots()), (_, ref) -> refs.add(ref));
            bytes = arena.allocate((long) refs.size() * ChunkRef.LENGTH_MAX);
            for (int i = 0; i < refs.size(); i++) {
                chunks.read(refs.get(i), bytes.asSlice((long) i * ChunkRef.LENGTH_MAX));
            }
        }

        long next() throws IOException {
            if (at == bytes.byteSize()) {
                throw new IOException("the checkpoint's names of windows are not whole");
            }
            long next = bytes.get(LONG, at);
            at += Long.BYTES;
            return next;
        }
    }

    /** Puts the windows of a checkpoint into its map, from slot 0 on, and the names behind them. */
    static void store(List<@Nullable WindowForm> forms, ChunkMap.Editor map, ChunkWriter writer) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment names = arena.allocate(ChunkRef.LENGTH_MAX);
            long filled = 0;
            long end = (long) forms.size() * SLOTS;
            for (int i = 0; i < forms.size(); i++) {
                WindowForm form = forms.get(i);
                if (form == null) {
                    throw new IllegalStateException("window " + i + " of the pages was never stored");
                }
                map.set((long) i * SLOTS, form.chunk());
                WindowForm.Over over = form.over();
                if (over == null) {
                    continue;
                }
                map.set((long) i * SLOTS + 1, over.delta());
                names.set(LONG, filled, over.nameHigh());
                names.set(LONG, filled + Long.BYTES, over.nameLow());
                filled += 2 * Long.BYTES;
                if (filled == names.byteSize()) {
                    map.set(end++, writer.put(names));
                    filled = 0;
                }
            }
            if (filled > 0) {
                map.set(end, writer.put(names.asSlice(0, filled)));
            }
        }
    }

    /** The same; of a checkpoint that can't be read nothing is known. */
    static PageWindows ofReadable(ChunkStore chunks, Checkpoint checkpoint) {
        try {
            return of(chunks, checkpoint);
        } catch (IOException e) {
            return NONE; // whoever resumes it is told; all that is lost here is space
        }
    }

    /**
     * Where each window of a pages file begins in it, and at the end its size.
     *
     * @param id the pages file's number
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Layout(long id, long[] starts) {
        static Layout of(String name, byte[] pagemap) throws IOException {
            long[][] starts = {new long[256]};
            int[] count = {0};
            long id = cut(name, pagemap, (_, length) -> {
                int at = count[0]++;
                if (at == WINDOWS_MAX) {
                    throw new IOException(name + " tells of more memory than a process can have");
                }
                if (at + 1 == starts[0].length) {
                    starts[0] = Arrays.copyOf(starts[0], 2 * starts[0].length);
                }
                starts[0][at + 1] = starts[0][at] + length;
            });
            return new Layout(id, Arrays.copyOf(starts[0], count[0] + 1));
        }
    }

    /** Cuts a pages file. @return its number */
    static long cut(String name, byte[] pagemap, Cuts cuts) throws IOException {
        long[] at = {-1, 0}; // window, its length
        long id = Pagemap.read(name, ByteBuffer.wrap(pagemap), (address, length, _) -> {
            long from = address;
            long left = length;
            while (left > 0) {
                long window = from / BYTES;
                long step = Math.min(left, (window + 1) * BYTES - from);
                if (window != at[0] && at[1] > 0) {
                    cuts.window(at[0], (int) at[1]);
                    at[1] = 0;
                }
                at[0] = window;
                at[1] += step;
                from += step;
                left -= step;
            }
        });
        if (at[1] > 0) {
            cuts.window(at[0], (int) at[1]);
        }
        return id;
    }

    /** How the same window is stored; null if there is none. */
    @Nullable
    Stored find(String pagemap, long window) {
        Known of = known.get(pagemap);
        int i = of == null ? -1 : Arrays.binarySearch(of.windows, window);
        return of == null || i < 0 || of.forms[i] == null ? null : new Stored(of.file, i, of.forms[i]);
    }
}
