package dev.satchel.pod.filter;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What processes and threads are called inside the pod: {@code NSpid} of proc_pid_status(5), all their ids from outside to inside. */
final class InnerIds {
    private static final byte[] FIELD = "\nNSpid:".getBytes(StandardCharsets.US_ASCII);

    /** Of pid namespaces in one another: 32 below the first, pid_namespaces(7). */
    private static final int LEVELS_MAX = 33;

    private InnerIds() {}

    /** The id in the innermost pid namespace. */
    static long of(Path thread) throws IOException {
        long[] ids = all(thread);
        return ids[ids.length - 1];
    }

    /**
     * The host's ids by those inside.
     *
     * @param outer processes or threads, in the host's namespace; some may be none of the pod's, or have ended
     * @param initPid the pod's first process, in the host's namespace
     */
    static Map<Long, Long> toOuter(List<Long> outer, long initPid) throws IOException {
        int levels = all(directory(initPid)).length;
        Map<Long, Long> found = new HashMap<>();
        for (long id : outer) {
            try {
                long[] ids = all(directory(id));
                // CRIU and what it has started are in the control group, too.
                if (ids.length == levels) {
                    found.put(ids[levels - 1], id);
                }
            } catch (IOException e) {
                if (Files.exists(directory(id))) {
                    throw e;
                }
            }
        }
        return found;
    }

    static Path directory(long id) {
        return Path.of("/proc", Long.toString(id));
    }

    private static long[] all(Path thread) throws IOException {
        byte[] text = Files.readAllBytes(thread.resolve("status"));
        for (int at = 0; at + FIELD.length < text.length; at++) {
            if (startsAt(text, at)) {
                return numbers(text, at + FIELD.length);
            }
        }
        throw new IOException(thread + "/status has no NSpid: this kernel has no pid namespaces");
    }

    private static boolean startsAt(byte[] text, int at) {
        for (int i = 0; i < FIELD.length; i++) {
            if (text[at + i] != FIELD[i]) {
                return false;
            }
        }
        return true;
    }

    private static long[] numbers(byte[] text, int from) {
        long[] numbers = new long[LEVELS_MAX];
        int count = -1;
        for (int at = from; at < text.length && text[at] != '\n'; at++) {
            if (text[at] == '\t') {
                count++;
            } else {
                numbers[count] = numbers[count] * 10 + text[at] - '0';
            }
        }
        return Arrays.copyOf(numbers, count + 1);
    }
}
