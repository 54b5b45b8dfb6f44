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

    /** Of a checkpoint: 256 GiB of memory, or 16 GiB of which no two pages are beside each other. */
    static final int WINDOWS_MAX = 1 << 22;

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

    /** Reads those of a checkpoint: of what its pagemaps tell no more than its map of pages has. */
    static PageWindows of(ChunkStore chunks, Checkpoint checkpoint) throws IOException {
        Map<String, byte[]> pagemaps = new HashMap<>();
        List<PagesFile> files = ImageArchive.pagemaps(chunks, checkpoint.images(), pagemaps);
        Map<Long, String> names = new HashMap<>();
        for (Map.Entry<String, byte[]> pagemap : pagemaps.entrySet()) {
            long id = Pagemap.read(pagemap.getKey(), ByteBuffer.wrap(pagemap.getValue()), (_, _, _) -> {});
            names.put(id, pagemap.getKey());
        }
        ChunkMap map = ChunkMap.load(chunks, checkpoint.pages());
        long end = files.isEmpty() ? 0 : files.getLast().endSlot();
        try (Names left = new Names(chunks, map, end)) {
            Map<String, Known> known = new HashMap<>();
            for (PagesFile file : files) {
                String name = names.get(file.id());
                byte[] pagemap = name == null ? null : pagemaps.get(name);
                if (name == null || pagemap == null) {
                    throw notWhole(file);
                }
                WindowForm[] forms = forms(map, file, left);
                long[] windows = new long[forms.length];
                int[] count = {0};
                long id = cut(name, pagemap, (window, _) -> {
                    if (count[0] == windows.length) {
                        throw notWhole(file);
                    }
                    windows[count[0]++] = window;
                });
                if (count[0] < windows.length) {
                    throw notWhole(file);
                }
                known.put(name, new Known(id, windows, forms));
            }
            return new PageWindows(known);
        }
    }

    private static WindowForm[] forms(ChunkMap map, PagesFile file, Names left) throws IOException {
        List<WindowForm> forms = new ArrayList<>();
        map.forEach(file.firstSlot(), file.endSlot(), (slot, ref) -> {
            long at = slot - file.firstSlot();
            if (at == (long) forms.size() * SLOTS) {
                forms.add(new WindowForm(ref));
            } else if (at == (long) forms.size() * SLOTS - 1) {
                forms.add(
                        new WindowForm(forms.removeLast().chunk(), new WindowForm.Over(ref, left.next(), left.next())));
            } else {
                throw notWhole(file);
            }
        });
        if ((long) forms.size() * SLOTS != file.slots()) {
            throw notWhole(file);
        }
        return forms.toArray(new WindowForm[0]);
    }

    private static IOException notWhole(PagesFile file) {
        return new IOException("the checkpoint's " + file.name() + " is not whole");
    }

    /** The names of windows with something over their base, in order; has one chunk of them at a time. */
    private static final class Names implements AutoCloseable {
        private final Arena arena = Arena.ofConfined();
        private final MemorySegment bytes = arena.allocate(ChunkRef.LENGTH_MAX);
        private final ChunkStore chunks;
        private final ChunkMap map;
        private long slot;
        private long at;
        private long filled;

        Names(ChunkStore chunks, ChunkMap map, long firstSlot) {
            this.chunks = chunks;
            this.map = map;
            this.slot = firstSlot;
        }

        long next() throws IOException {
            if (at == filled) {
                filled = chunks.read(map.get(slot++).orElseThrow(Names::notWhole), bytes);
                at = 0;
            }
            if (filled - at < Long.BYTES) {
                throw notWhole();
            }
            long next = bytes.get(LONG, at);
            at += Long.BYTES;
            return next;
        }

        private static IOException notWhole() {
            return new IOException("the checkpoint's names of windows are not whole");
        }

        @Override
        public void close() {
            arena.close();
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
        /** @param windowsMax so many the checkpoint can still have */
        static Layout of(String name, byte[] pagemap, int windowsMax) throws IOException {
            long[][] starts = {new long[256]};
            int[] count = {0};
            long id = cut(name, pagemap, (_, length) -> {
                int at = count[0]++;
                if (at == windowsMax) {
                    throw new IOException(name + " tells of more memory than the checkpoint has");
                }
                if (at + 1 == starts[0].length) {
                    starts[0] = Arrays.copyOf(starts[0], 2 * starts[0].length);
                }
                starts[0][at + 1] = starts[0][at] + length;
            });
            return new Layout(id, Arrays.copyOf(starts[0], count[0] + 1));
        }

        int windows() {
            return starts.length - 1;
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
        return of == null || i < 0 ? null : new Stored(of.file, i, of.forms[i]);
    }
}
