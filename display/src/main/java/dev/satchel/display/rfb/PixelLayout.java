package dev.satchel.display.rfb;

/**
 * How a pixel becomes bytes: its channels by table, then the bytes of that number in an order. Not thread-safe only in that nobody may
 * change the tables.
 */
final class PixelLayout {
    private final int[] red;
    private final int[] green;
    private final int[] blue;
    /** Of each byte in turn, by how many bits the number is shifted for it. */
    private final int[] shifts;

    PixelLayout(int[] red, int[] green, int[] blue, int... shifts) {
        this.red = red;
        this.green = green;
        this.blue = blue;
        this.shifts = shifts;
    }

    /** A pixel's. */
    int bytes() {
        return shifts.length;
    }

    /** @return where the next byte would go */
    int put(int[] pixels, int from, int count, byte[] into, int offset) {
        int at = offset;
        int end = from + count;
        int first = shifts[0];
        switch (shifts.length) {
            case 1 -> {
                for (int i = from; i < end; i++) {
                    into[at++] = (byte) (number(pixels[i]) >> first);
                }
            }
            case 2 -> {
                int second = shifts[1];
                for (int i = from; i < end; i++) {
                    int number = number(pixels[i]);
                    into[at++] = (byte) (number >> first);
                    into[at++] = (byte) (number >> second);
                }
            }
            case 3 -> {
                int second = shifts[1];
                int third = shifts[2];
                for (int i = from; i < end; i++) {
                    int number = number(pixels[i]);
                    into[at++] = (byte) (number >> first);
                    into[at++] = (byte) (number >> second);
                    into[at++] = (byte) (number >> third);
                }
            }
            default -> {
                int second = shifts[1];
                int third = shifts[2];
                int fourth = shifts[3];
                for (int i = from; i < end; i++) {
                    int number = number(pixels[i]);
                    into[at++] = (byte) (number >> first);
                    into[at++] = (byte) (number >> second);
                    into[at++] = (byte) (number >> third);
                    into[at++] = (byte) (number >> fourth);
                }
            }
        }
        return at;
    }

    private int number(int pixel) {
        return red[(pixel >> 16) & 0xff] | green[(pixel >> 8) & 0xff] | blue[pixel & 0xff];
    }
}
