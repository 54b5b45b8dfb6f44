package dev.satchel.display.rfb;

import dev.satchel.display.Command;

/** Raw (RFC 6143 §7.7.1): what every client understands. */
final class RawEncoder implements PictureEncoder {
    static final int NUMBER = 0;

    private PixelLayout layout = PixelFormat.OWN.plain();

    @Override
    public int number() {
        return NUMBER;
    }

    @Override
    public void use(PixelFormat format) {
        layout = format.plain();
    }

    @Override
    public void encode(Command command, RfbMessage out) {
        int[] pixels = PictureEncoder.pixels(command);
        out.pixels(layout, pixels, 0, pixels.length);
    }

    @Override
    public void close() {}
}
