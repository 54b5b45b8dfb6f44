package dev.satchel.display.codec;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;

/** Pictures as files: Portable Network Graphics (W3C), 8 bits a colour. The JDK's own writer brings all of AWT into the process. */
public final class Png {
    private static final byte[] SIGNATURE = {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    private static final int TRUE_COLOR = 2;
    private static final int SUB = 1;

    private Png() {}

    /**
     * Writes a picture; the stream stays open.
     *
     * @param pixels 0x00RRGGBB, rows from the top
     */
    public static void write(OutputStream out, int width, int height, int[] pixels) throws IOException {
        out.write(SIGNATURE);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream header = new DataOutputStream(bytes);
        header.writeInt(width);
        header.writeInt(height);
        header.write(new byte[] {8, TRUE_COLOR, 0, 0, 0});
        chunk(out, "IHDR", bytes.toByteArray());
        bytes.reset();
        Deflater deflater = new Deflater(Deflater.DEFAULT_COMPRESSION);
        try (DeflaterOutputStream packed = new DeflaterOutputStream(bytes, deflater)) {
            // Each colour less that of the pixel to the left of it: of plain areas nothing is left.
            byte[] row = new byte[1 + 3 * width];
            row[0] = SUB;
            for (int y = 0; y < height; y++) {
                int left = 0;
                for (int x = 0; x < width; x++) {
                    int pixel = pixels[y * width + x];
                    row[1 + 3 * x] = (byte) ((pixel >> 16) - (left >> 16));
                    row[2 + 3 * x] = (byte) ((pixel >> 8) - (left >> 8));
                    row[3 + 3 * x] = (byte) (pixel - left);
                    left = pixel;
                }
                packed.write(row);
            }
        } finally {
            deflater.end();
        }
        chunk(out, "IDAT", bytes.toByteArray());
        chunk(out, "IEND", new byte[0]);
    }

    private static void chunk(OutputStream out, String type, byte[] data) throws IOException {
        byte[] name = type.getBytes(StandardCharsets.US_ASCII);
        CRC32 crc = new CRC32();
        crc.update(name);
        crc.update(data);
        DataOutputStream written = new DataOutputStream(out);
        written.writeInt(data.length);
        written.write(name);
        written.write(data);
        written.writeInt((int) crc.getValue());
        written.flush();
    }
}
