package dev.satchel.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;

/** Text from standard input, where an argument may be {@code -}. */
final class StandardInput {
    /** A request to a supervisor holds no more. */
    private static final int BYTES_MAX = 1 << 19;

    private StandardInput() {}

    /** @return the argument, or all of standard input if it is {@code -} */
    static String orElse(String argument) throws IOException {
        if (!argument.equals("-")) {
            return argument;
        }
        byte[] bytes = System.in.readNBytes(BYTES_MAX + 1);
        if (bytes.length > BYTES_MAX) {
            throw new IOException("standard input is longer than " + BYTES_MAX / 1024 + " KiB: give less of it");
        }
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
