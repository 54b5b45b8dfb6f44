package dev.satchel.pod.filter;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * What CRIU counted during a dump (its images/stats.proto).
 *
 * @param frozenMicros from the first process that was to stand still to the last that went on again
 */
public record DumpStatistics(long frozenMicros) {
    private static final String FILE = "stats-dump";

    /** Two magic numbers, and the length of the one message. */
    private static final int HEADER_BYTES = 12;

    private static final int DUMP = 1;
    private static final int FREEZING_TIME = 1;
    private static final int FROZEN_TIME = 2;

    /** @param directory CRIU's working directory */
    public static DumpStatistics read(Path directory) throws IOException {
        Path file = directory.resolve(FILE);
        byte[] bytes = Files.readAllBytes(file);
        if (bytes.length < HEADER_BYTES) {
            throw new IOException(file + " is shorter than its header");
        }
        Message dump = new Message(file.toString(), bytes, HEADER_BYTES, bytes.length)
                .message(DUMP)
                .orElseThrow(() -> new IOException(file + " tells nothing of a dump"));
        return new DumpStatistics(dump.number(FREEZING_TIME) + dump.number(FROZEN_TIME));
    }
}
