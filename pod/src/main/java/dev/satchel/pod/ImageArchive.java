package dev.satchel.pod;

import dev.satchel.vault.ChunkMap;
import dev.satchel.vault.ChunkMapRef;
import dev.satchel.vault.ChunkRef;
import dev.satchel.vault.ChunkStore;
import dev.satchel.vault.ChunkWriter;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * CRIU's images but for the pages files, one after another in one stream of chunks, and where the pages files are. A desktop has
 * some hundred of them, most of them small. All numbers are big-endian:
 *
 * <pre>
 *   "SATCHKP2"                                8 bytes
 *   files F, pages files P                    2 × u32
 *   F × { name length u16, name, size u64 }
 *   P × { name length u16, name, first slot u64, slots u64, size u64 }
 *   F × contents
 * </pre>
 */
final class ImageArchive {
    /** "SATCHKP", without the digit behind it, which is the format. */
    private static final long MAGIC = 0x53_4154_4348_4b50L;

    /** The format that is written. */
    static final int FORMAT = 2;

    private static final int FILES_MAX = 1_000_000;
    private static final int NAME_BYTES_MAX = 255;
    private static final int HEADER_BYTES_MAX = 64 << 20;
    private static final int ARRAY_BYTES_MAX = 64 << 20;
    private static final long SLOTS_MAX = (long) PageWindows.WINDOWS_MAX * PageWindows.SLOTS;
    private static final int ANNOUNCED_CHUNKS = 32;

    private ImageArchive() {}

    /** Stores the files. */
    static ChunkMapRef store(List<Path> files, List<PagesFile> pagesFiles, ChunkStore chunks, ChunkWriter writer)
            throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            Sink sink = new Sink(arena.allocate(ChunkRef.LENGTH_MAX, 64), chunks, writer);
            sink.take(MemorySegment.ofArray(header(files, pagesFiles)));
            for (Path file : files) {
                try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
                    sink.take(channel, channel.size());
                }
            }
            return sink.finish();
        }
    }

    private static byte[] header(List<Path> files, List<PagesFile> pagesFiles) throws IOException {
        ByteBuffer out = ByteBuffer.allocate(16 + (files.size() + pagesFiles.size()) * (NAME_BYTES_MAX + 26));
        out.putLong(magic(FORMAT)).putInt(files.size()).putInt(pagesFiles.size());
        for (Path file : files) {
            name(out, String.valueOf(file.getFileName()));
            out.putLong(Files.size(file));
        }
        for (PagesFile file : pagesFiles) {
            name(out, file.name());
            out.putLong(file.firstSlot()).putLong(file.slots()).putLong(file.sizeBytes());
        }
        return java.util.Arrays.copyOf(out.array(), out.position());
    }

    private static long magic(int format) {
        return MAGIC << 8 | ('0' + format);
    }

    /**
     * Which format a stream has, 1 to 9.
     *
     * @throws IOException when it is none of ours
     */
    static int format(ChunkStore chunks, ChunkMapRef archive) throws IOException {
        try (Source source = new Source(chunks, archive)) {
            return format(source.bytes(Long.BYTES).getLong());
        }
    }

    private static int format(long magic) throws IOException {
        int format = (int) (magic & 0xff) - '0';
        if (magic >>> 8 != MAGIC || format < 1 || format > 9) {
            throw new IOException(
                    "the session's memory is not stored in a form that Satchel has ever used: boot the session on"
                            + " its files with 'satchel resume --fresh'");
        }
        return format;
    }

    /** What an older format says about a pages file, in the words of the next. */
    interface Conversion {
        PagesFile convert(PagesFile file);
    }

    /** Writes a stream of one format anew as the next one's, if they differ in what is said about pages files only. */
    static ChunkMapRef convert(
            ChunkStore chunks, ChunkMapRef archive, int from, Conversion conversion, ChunkWriter writer)
            throws IOException {
        try (Source source = new Source(chunks, archive);
                Arena arena = Arena.ofConfined()) {
            Table table = table(source, from);
            List<PagesFile> converted = new ArrayList<>();
            long headBytes = 16;
            for (PagesFile before : table.pagesFiles()) {
                PagesFile after = conversion.convert(before);
                converted.add(after);
                headBytes += 26 + after.name().length();
            }
            for (String name : table.names()) {
                headBytes += 10 + name.length();
            }
            if (headBytes > HEADER_BYTES_MAX) {
                throw damagedTable();
            }
            ByteBuffer head = ByteBuffer.allocate((int) headBytes);
            head.putLong(magic(from + 1))
                    .putInt(table.names().size())
                    .putInt(table.pagesFiles().size());
            for (int i = 0; i < table.names().size(); i++) {
                name(head, table.names().get(i));
                head.putLong(table.sizes()[i]);
            }
            for (PagesFile after : converted) {
                name(head, after.name());
                head.putLong(after.firstSlot()).putLong(after.slots()).putLong(after.sizeBytes());
            }
            Sink sink = new Sink(arena.allocate(ChunkRef.LENGTH_MAX, 64), chunks, writer);
            sink.take(MemorySegment.ofArray(java.util.Arrays.copyOf(head.array(), head.position())));
            for (long size : table.sizes()) {
                source.transfer(size, sink);
            }
            return sink.finish();
        }
    }

    /** Where the pages files are, of a stream of that format. */
    static List<PagesFile> pagesFiles(ChunkStore chunks, ChunkMapRef archive, int format) throws IOException {
        try (Source source = new Source(chunks, archive)) {
            return table(source, format).pagesFiles();
        }
    }

    private static void name(ByteBuffer out, String name) throws IOException {
        byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
        if (bytes.length > NAME_BYTES_MAX) {
            throw new IOException("an image's name is too long: " + name);
        }
        out.putShort((short) bytes.length).put(bytes);
    }

    /** What is to be done with a file, which must be taken from the source to its end. */
    private interface Receiver {
        void take(String name, long size, Source source) throws IOException;
    }

    /** Writes the files into {@code directory}. @return where the pages files are */
    static List<PagesFile> extract(ChunkStore chunks, ChunkMapRef archive, Path directory) throws IOException {
        return read(chunks, archive, (name, size, source) -> {
            try (FileChannel out = FileChannel.open(
                    directory.resolve(name), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
                source.transfer(size, out);
            }
        });
    }

    /** Reads the pagemaps. @return where the pages files are */
    static List<PagesFile> pagemaps(ChunkStore chunks, ChunkMapRef archive, Map<String, byte[]> pagemaps)
            throws IOException {
        long[] left = {ARRAY_BYTES_MAX};
        return read(chunks, archive, (name, size, source) -> {
            if (name.startsWith(Pagemap.PREFIX)) {
                left[0] -= size;
                if (left[0] < 0) {
                    throw damagedTable();
                }
                pagemaps.put(name, source.array(size));
            } else {
                source.skip(size);
            }
        });
    }

    private static List<PagesFile> read(ChunkStore chunks, ChunkMapRef archive, Receiver receiver) throws IOException {
        try (Source source = new Source(chunks, archive)) {
            Table table = table(source, FORMAT);
            for (int i = 0; i < table.names().size(); i++) {
                receiver.take(table.names().get(i), table.sizes()[i], source);
            }
            return table.pagesFiles();
        }
    }

    /** What a stream begins with. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Table(List<String> names, long[] sizes, List<PagesFile> pagesFiles) {}

    private static Table table(Source source, int format) throws IOException {
        ByteBuffer head = source.bytes(16);
        int found = format(head.getLong());
        if (found != format) {
            throw new IOException("the session's memory is stored in format " + found + ", here format " + format
                    + " is read: resume it with "
                    + (found > FORMAT ? "a newer version of Satchel" : "'satchel resume', which converts it"));
        }
        int fileCount = head.getInt();
        int pagesCount = head.getInt();
        if (fileCount < 0 || fileCount > FILES_MAX || pagesCount < 0 || pagesCount > FILES_MAX) {
            throw damagedTable();
        }
        List<String> names = new ArrayList<>();
        // Grows with what is there, whatever number of files is claimed.
        long[] sizes = new long[Math.min(fileCount, 1024)];
        for (int i = 0; i < fileCount; i++) {
            names.add(name(source));
            if (i == sizes.length) {
                sizes = java.util.Arrays.copyOf(sizes, Math.min(fileCount, 2 * i));
            }
            sizes[i] = source.bytes(8).getLong();
            if (sizes[i] < 0) {
                throw damagedTable();
            }
        }
        List<PagesFile> pagesFiles = new ArrayList<>();
        long end = 0;
        for (int i = 0; i < pagesCount; i++) {
            String name = name(source);
            ByteBuffer fields = source.bytes(24);
            long firstSlot = fields.getLong();
            long slots = fields.getLong();
            long sizeBytes = fields.getLong();
            // One behind the other: no slot is two files'.
            if (firstSlot < end
                    || firstSlot > SLOTS_MAX
                    || slots < 0
                    || slots > SLOTS_MAX - firstSlot
                    || sizeBytes < 0) {
                throw damagedTable();
            }
            end = firstSlot + slots;
            pagesFiles.add(new PagesFile(name, firstSlot, slots, sizeBytes));
        }
        return new Table(names, sizes, pagesFiles);
    }

    private static String name(Source source) throws IOException {
        int length = source.bytes(2).getShort();
        if (length <= 0 || length > NAME_BYTES_MAX) {
            throw damagedTable();
        }
        byte[] bytes = new byte[length];
        source.bytes(length).get(bytes);
        for (byte each : bytes) {
            // CRIU's names are letters, digits, dots and dashes.
            if (each <= ' ' || each > '~' || each == '/') {
                throw new IOException(
                        "the checkpoint names a file that can't be: its host is hostile, or its version another");
            }
        }
        String name = new String(bytes, StandardCharsets.US_ASCII);
        if (name.equals(".") || name.equals("..")) {
            throw new IOException("the checkpoint names a file that can't be: " + name);
        }
        return name;
    }

    private static IOException damagedTable() {
        return new IOException("the checkpoint's table of files is damaged");
    }

    /** Cuts a stream into chunks. */
    private static final class Sink {
        private final MemorySegment buffer;
        private final ChunkWriter writer;
        private final ChunkMap.Editor map;
        private long filled;
        private long slot;

        Sink(MemorySegment buffer, ChunkStore chunks, ChunkWriter writer) {
            this.buffer = buffer;
            this.writer = writer;
            this.map = ChunkMap.load(chunks, ChunkMapRef.EMPTY).edit();
        }

        void take(MemorySegment bytes) throws IOException {
            long taken = 0;
            while (taken < bytes.byteSize()) {
                long step = Math.min(bytes.byteSize() - taken, buffer.byteSize() - filled);
                MemorySegment.copy(bytes, taken, buffer, filled, step);
                taken += step;
                advance(step);
            }
        }

        void take(FileChannel channel, long length) throws IOException {
            long left = length;
            while (left > 0) {
                long step = Math.min(left, buffer.byteSize() - filled);
                int count = channel.read(buffer.asSlice(filled, step).asByteBuffer());
                if (count < 0) {
                    throw new IOException("an image of the checkpoint became shorter while it was read");
                }
                left -= count;
                advance(count);
            }
        }

        private void advance(long step) throws IOException {
            filled += step;
            if (filled == buffer.byteSize()) {
                cut();
            }
        }

        private void cut() throws IOException {
            map.set(slot++, writer.put(buffer.asSlice(0, filled)));
            filled = 0;
        }

        ChunkMapRef finish() throws IOException {
            if (filled > 0) {
                cut();
            }
            return map.store(writer);
        }
    }

    /** Puts a stream together again. */
    private static final class Source implements AutoCloseable {
        private final Arena arena = Arena.ofConfined();
        private final MemorySegment buffer = arena.allocate(ChunkRef.LENGTH_MAX, 64);
        private final ChunkStore chunks;
        private final ChunkMap map;
        private final ByteBuffer small = ByteBuffer.allocate(NAME_BYTES_MAX + 1);
        private final long slots;
        private long slot;

        /** Up to which slot is said to be read soon. */
        private long announced;

        private long position;
        private long filled;
        private long header;

        Source(ChunkStore chunks, ChunkMapRef ref) {
            this.chunks = chunks;
            this.map = ChunkMap.load(chunks, ref);
            this.slots = ref.slots();
        }

        /** Who reads more than the beginning reads all of it: a place that is far away is asked for many chunks at once. */
        private void announce() throws IOException {
            if (slot > 0 && slot + ANNOUNCED_CHUNKS / 2 > announced && announced < slots) {
                List<ChunkRef> ahead = new ArrayList<>();
                long from = Math.max(slot, announced);
                announced = Math.min(slots, slot + ANNOUNCED_CHUNKS);
                map.forEach(from, announced, (at, ref) -> ahead.add(ref));
                chunks.announce(ahead);
            }
        }

        private void fill() throws IOException {
            if (position == filled) {
                if (slot == ChunkMap.SLOTS_MAX) {
                    throw new IOException("the checkpoint's images end early");
                }
                announce();
                ChunkRef ref = map.get(slot++).orElseThrow(() -> new IOException("the checkpoint's images end early"));
                filled = chunks.read(ref, buffer);
                position = 0;
            }
        }

        /** The next bytes, at most 256; valid until the next call. */
        ByteBuffer bytes(int count) throws IOException {
            header += count;
            if (header > HEADER_BYTES_MAX) {
                throw damagedTable();
            }
            small.clear();
            for (int i = 0; i < count; i++) {
                fill();
                small.put(buffer.get(ValueLayout.JAVA_BYTE, position++));
            }
            return small.flip();
        }

        byte[] array(long length) throws IOException {
            if (length < 0 || length > ARRAY_BYTES_MAX) {
                throw damagedTable();
            }
            // Grows with what is there, whatever length is claimed.
            byte[] array = new byte[(int) Math.min(length, ChunkRef.LENGTH_MAX)];
            int done = 0;
            while (done < length) {
                fill();
                if (done == array.length) {
                    array = java.util.Arrays.copyOf(array, (int) Math.min(length, 2L * done));
                }
                int step = (int) Math.min(array.length - done, filled - position);
                MemorySegment.copy(buffer, ValueLayout.JAVA_BYTE, position, array, done, step);
                position += step;
                done += step;
            }
            return array;
        }

        void skip(long length) throws IOException {
            long left = length;
            while (left > 0) {
                fill();
                long step = Math.min(left, filled - position);
                position += step;
                left -= step;
            }
        }

        void transfer(long length, Sink out) throws IOException {
            long left = length;
            while (left > 0) {
                fill();
                long step = Math.min(left, filled - position);
                out.take(buffer.asSlice(position, step));
                position += step;
                left -= step;
            }
        }

        void transfer(long length, FileChannel out) throws IOException {
            long left = length;
            while (left > 0) {
                fill();
                long step = Math.min(left, filled - position);
                ByteBuffer part = buffer.asSlice(position, step).asByteBuffer();
                while (part.hasRemaining()) {
                    out.write(part);
                }
                position += step;
                left -= step;
            }
        }

        @Override
        public void close() {
            arena.close();
        }
    }
}
