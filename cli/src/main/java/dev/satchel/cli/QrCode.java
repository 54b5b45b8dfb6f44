package dev.satchel.cli;

import com.google.zxing.WriterException;
import com.google.zxing.qrcode.decoder.ErrorCorrectionLevel;
import com.google.zxing.qrcode.encoder.ByteMatrix;
import com.google.zxing.qrcode.encoder.Encoder;
import dev.satchel.display.codec.Png;
import java.io.IOException;
import java.io.OutputStream;

/** A QR code (ISO/IEC 18004), for terminals and as a picture. */
final class QrCode {
    /** Light modules around it, of which the standard wants four. */
    private static final int MARGIN = 4;

    private static final int PNG_PIXELS = 8;
    private static final String BLACK_ON_WHITE = "\u001b[30;107m";
    private static final String OWN_COLOURS = "\u001b[0m";

    private final ByteMatrix modules;

    private QrCode(ByteMatrix modules) {
        this.modules = modules;
    }

    /** @param text that fits, of which some hundred characters do */
    static QrCode of(String text) {
        try {
            return new QrCode(Encoder.encode(text, ErrorCorrectionLevel.M).getMatrix());
        } catch (WriterException e) {
            throw new IllegalArgumentException(e);
        }
    }

    /** Modules in a row, with the margin. */
    private int size() {
        return modules.getWidth() + 2 * MARGIN;
    }

    private boolean dark(int x, int y) {
        int column = x - MARGIN;
        int row = y - MARGIN;
        return column >= 0
                && row >= 0
                && column < modules.getWidth()
                && row < modules.getHeight()
                && modules.get(column, row) == 1;
    }

    /**
     * Writes lines of two rows of modules each.
     *
     * @param colour dark modules are drawn, in black on white; else light ones are, which is right where text is light on a dark ground
     */
    void appendTo(StringBuilder text, boolean colour) {
        for (int y = 0; y < size(); y += 2) {
            text.append(colour ? BLACK_ON_WHITE : "");
            for (int x = 0; x < size(); x++) {
                boolean upper = dark(x, y) == colour;
                boolean lower = (y + 1 < size() ? dark(x, y + 1) : !colour) == colour;
                text.append(upper ? lower ? '█' : '▀' : lower ? '▄' : ' ');
            }
            text.append(colour ? OWN_COLOURS : "").append('\n');
        }
    }

    /** Writes a picture. */
    void writePng(OutputStream out) throws IOException {
        int width = size() * PNG_PIXELS;
        int[] pixels = new int[width * width];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = dark(i % width / PNG_PIXELS, i / width / PNG_PIXELS) ? 0 : 0xffffff;
        }
        Png.write(out, width, width, pixels);
    }
}
