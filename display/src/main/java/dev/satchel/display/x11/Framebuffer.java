package dev.satchel.display.x11;

import dev.satchel.display.Rectangle;
import dev.satchel.linux.Fd;
import dev.satchel.linux.vpx.Alpha;
import java.io.BufferedReader;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The pixels of an Xvfb, which keeps them in System V shared memory ({@code -shmem}, Xvfb(1)) as an X window dump (XWDFile.h), mapped
 * from outside by way of {@code /proc/PID/map_files} (proc_pid_map_files(5)): the very memory that it draws on. Thread-safe; closing it
 * waits for reads that go on.
 */
final class Framebuffer implements AutoCloseable {
    private static final ValueLayout.OfInt BIG = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final ValueLayout.OfInt LITTLE = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    /**
     * Where the kernel keeps shared memory, its own tmpfs: the first device without a number of its own (mm/shmem.c, shmem_init). A
     * session's file can have any name, but it can't lie there; what else does, memfd_create(2), is named so. Only a System V segment
     * can't be cut short while it is mapped.
     */
    private static final long SHARED_MEMORY_DEVICE = 1;

    private static final String SHARED_MEMORY_NAME = "/SYSV";
    private static final int HEADER_BYTES = 100;
    private static final int XWD_VERSION = 7;
    private static final int COLOR_BYTES = 12;
    private static final int COLORS_MAX = 4096;
    private static final int SIDE_MAX = 16384;

    private final Arena arena;
    private final MemorySegment memory;
    private final long start;
    private final int bytesPerLine;
    private final Rectangle bounds;

    private Framebuffer(Arena arena, MemorySegment memory) throws IOException {
        this.arena = arena;
        this.memory = memory;
        // Each field once: the session can write there at any time.
        long headerBytes = field(0);
        long width = field(4);
        long height = field(5);
        long bitsPerPixel = field(11);
        long line = field(12);
        long colors = field(19);
        if (width <= 0
                || width > SIDE_MAX
                || height <= 0
                || height > SIDE_MAX
                || bitsPerPixel != 32
                || line < 4 * width
                || line > 8L * SIDE_MAX
                || line % 4 != 0
                || colors > COLORS_MAX
                || headerBytes + colors * COLOR_BYTES + height * line > memory.byteSize()) {
            throw new IOException("the session's screen is of a form that is not known: " + width + "x" + height + ", "
                    + bitsPerPixel + " bits");
        }
        start = headerBytes + colors * COLOR_BYTES;
        bytesPerLine = (int) line;
        bounds = new Rectangle(0, 0, (int) width, (int) height);
    }

    private long field(int index) {
        return memory.get(BIG, 4L * index) & 0xffffffffL;
    }

    /** @param pid of an Xvfb, in this process's pid namespace */
    static Framebuffer of(long pid) throws IOException {
        // A line at a time: a process can have as many mappings as it likes.
        try (BufferedReader maps =
                Files.newBufferedReader(Path.of("/proc/" + pid + "/maps"), StandardCharsets.ISO_8859_1)) {
            for (String line = maps.readLine(); line != null; line = maps.readLine()) {
                // proc_pid_maps(5): FROM-TO perms offset device inode   /SYSV00000000 (deleted)
                if (line.contains(SHARED_MEMORY_NAME)) {
                    Framebuffer found =
                            map(Path.of("/proc/" + pid + "/map_files/" + line.substring(0, line.indexOf(' '))));
                    if (found != null) {
                        return found;
                    }
                }
            }
        }
        throw new IOException("the session's X server does not share its screen: its image starts Xvfb without -shmem");
    }

    /** @return null if it is something else */
    private static @org.jspecify.annotations.Nullable Framebuffer map(Path file) throws IOException {
        try (Fd fd = Fd.open(file, Fd.O_RDONLY)) {
            // Of what has been opened, whatever was mapped there a moment before.
            boolean shared = Files.readSymbolicLink(fd.path()).toString().startsWith(SHARED_MEMORY_NAME)
                    && Files.getAttribute(fd.path(), "unix:dev").equals(SHARED_MEMORY_DEVICE);
            long size = shared ? Files.size(fd.path()) : 0;
            if (size < HEADER_BYTES) {
                return null;
            }
            Arena arena = Arena.ofShared();
            boolean kept = false;
            try {
                MemorySegment memory = fd.map(size, false, arena);
                if (memory.get(BIG, 4) != XWD_VERSION) {
                    return null;
                }
                Framebuffer framebuffer = new Framebuffer(arena, memory);
                kept = true;
                return framebuffer;
            } finally {
                if (!kept) {
                    arena.close();
                }
            }
        }
    }

    /** The largest that the screen can be. */
    Rectangle bounds() {
        return bounds;
    }

    /** See {@link dev.satchel.display.Screen#read}. */
    void read(Rectangle area, int[] into, int offset, int stride) throws IOException {
        Rectangle part = area.intersect(bounds);
        int first = offset + (part.y() - area.y()) * stride + part.x() - area.x();
        try {
            for (int y = 0; y < part.height(); y++) {
                long from = start + (long) (part.y() + y) * bytesPerLine + 4L * part.x();
                MemorySegment.copy(memory, LITTLE, from, into, first + y * stride, part.width());
            }
        } catch (IllegalStateException e) {
            throw new IOException("the session's screen was let go", e);
        }
        // The fourth byte is of no meaning.
        Alpha.clear(into, first, stride, part.width(), part.height());
    }

    @Override
    public void close() {
        // What reads in another thread must have ended: it takes microseconds.
        while (arena.scope().isAlive()) {
            try {
                arena.close();
            } catch (IllegalStateException e) {
                Thread.onSpinWait();
            }
        }
    }
}
