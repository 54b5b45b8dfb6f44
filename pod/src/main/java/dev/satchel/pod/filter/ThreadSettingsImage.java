package dev.satchel.pod.filter;

import dev.satchel.linux.ThreadSettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Threads' I/O priority and timer slack, of which CRIU 4.2.1 knows nothing, in an image of our own beside its: {@code
 * satchel-threads.img}, of the same make, with a message for each thread that has not the defaults, and missing where all have:
 *
 * <pre>
 *   uint32 thread = 1;           // inside
 *   uint32 io_priority = 2;      // ioprio_set(2)
 *   uint64 timer_slack_ns = 3;
 * </pre>
 */
public final class ThreadSettingsImage implements ImageFilter {
    private static final String FILE = "satchel-threads.img";
    private static final int MAGIC = 0x53544852;
    private static final int THREAD = 1;
    private static final int IO_PRIORITY = 2;
    private static final int TIMER_SLACK = 3;

    /** By thread, inside. */
    private final Map<Long, ThreadSettings> settings;

    private ThreadSettingsImage(Map<Long, ThreadSettings> settings) {
        this.settings = settings;
    }

    /**
     * Notes those of threads that stand still.
     *
     * @param threads in the host's pid namespace
     */
    public static ThreadSettingsImage of(List<Long> threads) throws IOException {
        Map<Long, ThreadSettings> found = new HashMap<>();
        for (long thread : threads) {
            Path directory = InnerIds.directory(thread);
            try {
                ThreadSettings settings = ThreadSettings.of(thread);
                if (!settings.areDefault()) {
                    found.put(InnerIds.of(directory), settings);
                }
            } catch (IOException e) {
                if (Files.exists(directory)) {
                    throw e;
                }
            }
        }
        return new ThreadSettingsImage(found);
    }

    /** Those that the images in {@code directory} tell. */
    public static ThreadSettingsImage read(Path directory) throws IOException {
        Map<Long, ThreadSettings> found = new HashMap<>();
        Path file = directory.resolve(FILE);
        if (Files.exists(file)) {
            for (Message message : ImageFile.read(file, MAGIC).messages()) {
                found.put(
                        message.number(THREAD),
                        new ThreadSettings((int) message.number(IO_PRIORITY), message.number(TIMER_SLACK)));
            }
        }
        return new ThreadSettingsImage(found);
    }

    /** Whether all threads have the defaults, so that {@link #set} has nothing to do. */
    public boolean isEmpty() {
        return settings.isEmpty();
    }

    /**
     * Gives them to the threads.
     *
     * @param threads the pod's, in the host's pid namespace; others among them are left alone
     * @param initPid its first process, in the host's pid namespace
     */
    public void set(List<Long> threads, long initPid) throws IOException {
        Map<Long, Long> outer = InnerIds.toOuter(threads, initPid);
        for (Map.Entry<Long, ThreadSettings> entry : settings.entrySet()) {
            Long thread = outer.get(entry.getKey());
            if (thread == null) {
                throw new IOException("thread " + entry.getKey() + " of the session did not come back");
            }
            entry.getValue().apply(thread);
        }
    }

    @Override
    public String name() {
        return "I/O priorities and timer slack";
    }

    @Override
    public void apply(ImageDirectory images) throws IOException {
        if (settings.isEmpty()) {
            return;
        }
        ImageFile image = images.add(FILE, MAGIC);
        for (Map.Entry<Long, ThreadSettings> entry : settings.entrySet()) {
            Message message = image.add();
            message.set(THREAD, entry.getKey());
            message.set(IO_PRIORITY, entry.getValue().ioPriority());
            message.set(TIMER_SLACK, entry.getValue().timerSlackNanos());
        }
    }
}
