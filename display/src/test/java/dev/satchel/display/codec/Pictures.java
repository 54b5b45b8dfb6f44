package dev.satchel.display.codec;

import java.util.Random;

/** Pictures of all kinds. */
final class Pictures {
    static final int KINDS = 9;

    private Pictures() {}

    static int[] picture(int kind, int width, int height, Random random) {
        int[] pixels = new int[width * height];
        int colors = switch (kind) {
            case 0 -> 1;
            case 1 -> 2;
            case 2 -> 3 + random.nextInt(14);
            case 3 -> 17 + random.nextInt(260);
            default -> 2 + random.nextInt(5);
        };
        int[] palette = random.ints(colors, 0, 1 << 24).toArray();
        int tileWidth = 1 + random.nextInt(17);
        int tileHeight = 1 + random.nextInt(17);
        int run = 1 + random.nextInt(12);
        int a = random.nextInt(256);
        int b = random.nextInt(7) - 3;
        int c = random.nextInt(7) - 3;
        int[] tile = random.ints((long) tileWidth * tileHeight, 0, colors).toArray();
        int last = 0;
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                pixels[y * width + x] = switch (kind) {
                    // runs of few colours, like drawn things
                    case 0, 1, 2, 3 -> {
                        if (random.nextInt(run) == 0) {
                            last = random.nextInt(colors);
                        }
                        yield palette[last];
                    }
                    case 4 -> palette[tile[y % tileHeight * tileWidth + x % tileWidth]];
                    // gradients, plain and disturbed, like photographs
                    case 5 -> (clamp(a + x * b) << 16) | (clamp(a + y * c) << 8) | clamp(a + x * c + y * b);
                    case 6 -> {
                        int noise = random.nextInt(5);
                        yield (clamp(a + x * b + noise) << 16)
                                | (clamp(a + y * c + noise) << 8)
                                | clamp(a + (x + y) * c + random.nextInt(3));
                    }
                    case 7 -> random.nextInt(1 << 24);
                    // a disturbed pattern
                    default -> {
                        int color = palette[tile[y % tileHeight * tileWidth + x % tileWidth]];
                        yield random.nextInt(400) == 0 ? color ^ 1 : color;
                    }
                };
            }
        }
        return pixels;
    }

    private static int clamp(int value) {
        return Math.clamp(value, 0, 255);
    }
}
