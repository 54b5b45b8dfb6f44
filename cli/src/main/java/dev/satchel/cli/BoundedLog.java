package dev.satchel.cli;

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** Appends to a file that never becomes longer than {@value #BYTES_MAX} bytes: when it would, it begins anew and says so. */
final class BoundedLog extends OutputStream {
    static final int BYTES_MAX = 256 << 10;
    private static final byte[] DROPPED =
            "satchel: what was written here before was dropped\n".getBytes(StandardCharsets.US_ASCII);

    /** Guarded by this. */
    private final FileOutputStream file;

    BoundedLog(Path file) throws IOException {
        this.file = new FileOutputStream(file.toFile(), true);
    }

    @Override
    public void write(int b) throws IOException {
        write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public synchronized void write(byte[] bytes, int from, int count) throws IOException {
        int last = Math.min(count, BYTES_MAX - DROPPED.length);
        if (file.getChannel().size() + last > BYTES_MAX) {
            file.getChannel().truncate(0);
            file.write(DROPPED);
        }
        file.write(bytes, from + count - last, last);
    }

    @Override
    public synchronized void close() throws IOException {
        file.close();
    }
}
