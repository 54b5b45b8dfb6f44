package dev.satchel.session;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import javax.imageio.ImageIO;

/**
 * What a session shows: the frame buffer of its X server, which Xvfb keeps in a mapped file or in shared memory
 * ({@code -fbdir}, {@code -shmem}; Xvfb(1)) as an X window
 * dump, read from outside through {@code /proc/PID/mem}. Nothing inside is asked or stopped; a picture taken while something is
 * drawn may show half of it.
 */
final class Screen {
    private static final int HEADER_FIELDS = 25;
    private static final int XWD_VERSION = 7;
    private static final int COLOR_BYTES = 12;
    private static final int SIDE_MAX = 16384;

    private final int width;
    private final int height;
    private final int[] pixels;

    private Screen(int width, int height, int[] pixels) {
        this.width = width;
        this.height = height;
        this.pixels = pixels;
    }

    /** @param processes of the session, in the host's pid namespace */
    static Screen of(String session, List<Long> processes) throws IOException {
        for (long pid : processes) {
            if (isServer(pid)) {
                return read(pid);
            }
        }
        throw new SatchelException(
                SatchelException.Kind.FAILED,
                "'" + session + "' has no screen: no X server runs in it; see 'satchel logs " + session + "'");
    }

    private static boolean isServer(long pid) throws IOException {
        try {
            return Files.readString(Path.of("/proc/" + pid + "/comm")).strip().equals("Xvfb");
        } catch (NoSuchFileException e) {
            return false; // it has just ended
        }
    }

    private static Screen read(long pid) throws IOException {
        try (FileChannel memory = FileChannel.open(Path.of("/proc/" + pid + "/mem"), StandardOpenOption.READ)) {
            for (String line : Files.readAllLines(Path.of("/proc/" + pid + "/maps"))) {
                // proc_pid_maps(5): FROM-TO perms offset device inode /SYSV00000000 (deleted)
                // or, with -fbdir as the images have it: ... /run/satchel/display/Xvfb_screen0
                if (!line.contains(" /SYSV") && !line.endsWith("/Xvfb_screen0")) {
                    continue;
                }
                long from = Long.parseUnsignedLong(line.substring(0, line.indexOf('-')), 16);
                ByteBuffer header = fill(memory, ByteBuffer.allocate(4 * HEADER_FIELDS), from);
                if (header.getInt(4) == XWD_VERSION) {
                    return read(memory, from, header);
                }
            }
        }
        throw new IOException(
                "the session's X server does not share its screen: its image starts Xvfb without -fbdir or -shmem");
    }

    /** An X window dump: XWDFile.h; header fields are big-endian, pixels in the server's own order. */
    private static Screen read(FileChannel memory, long from, ByteBuffer header) throws IOException {
        int headerBytes = header.getInt(0);
        int width = header.getInt(4 * 4);
        int height = header.getInt(5 * 4);
        int bitsPerPixel = header.getInt(11 * 4);
        int bytesPerLine = header.getInt(12 * 4);
        int colors = header.getInt(19 * 4);
        if (width <= 0
                || width > SIDE_MAX
                || height <= 0
                || height > SIDE_MAX
                || bitsPerPixel != 32
                || bytesPerLine < 4 * width
                || bytesPerLine > 8 * SIDE_MAX
                || headerBytes < 0
                || colors < 0
                || colors > 4096) {
            throw new IOException("the session's screen is of a form that is not known: " + width + "x" + height + ", "
                    + bitsPerPixel + " bits");
        }
        int[] pixels = new int[width * height];
        ByteBuffer line = ByteBuffer.allocate(bytesPerLine).order(ByteOrder.LITTLE_ENDIAN);
        long start = from + headerBytes + (long) colors * COLOR_BYTES;
        for (int y = 0; y < height; y++) {
            fill(memory, line.clear(), start + (long) y * bytesPerLine);
            line.asIntBuffer().get(pixels, y * width, width);
        }
        return new Screen(width, height, pixels);
    }

    private static ByteBuffer fill(FileChannel memory, ByteBuffer buffer, long address) throws IOException {
        while (buffer.hasRemaining()) {
            if (memory.read(buffer, address + buffer.position()) < 0) {
                throw new IOException("the session's X server ended");
            }
        }
        return buffer.flip();
    }

    void writePng(Path file) throws IOException {
        BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        image.setRGB(0, 0, width, height, pixels, 0, width);
        if (!ImageIO.write(image, "png", file.toFile())) {
            throw new IOException("this Java has no PNG writer: install a full JDK");
        }
    }
}
