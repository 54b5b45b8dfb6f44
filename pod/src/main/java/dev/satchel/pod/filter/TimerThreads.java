package dev.satchel.pod.filter;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Names the threads that timers of timer_create(2) notify (SIGEV_THREAD_ID). CRIU 4.2.1 looks their ids inside the pod up before it
 * has written them (criu/timer.c, encode_notify_thread_id), so an image has any number, and a restore fails.
 */
public final class TimerThreads implements ImageFilter {
    // images/core.proto and images/timer.proto
    private static final int CORE_TASK = 3;
    private static final int TASK_TIMERS = 7;
    private static final int TIMERS_POSIX = 4;
    private static final int TIMER_ID = 1;
    private static final int TIMER_THREAD = 11;

    /** For each process that has such timers, each one's thread. */
    private final Map<Long, Map<Long, Long>> threads;

    TimerThreads(Map<Long, Map<Long, Long>> threads) {
        this.threads = threads;
    }

    /**
     * Notes the timers of processes that stand still, proc_pid_timers(5).
     *
     * @param processes in the host's pid namespace
     */
    public static TimerThreads of(List<Long> processes) throws IOException {
        Map<Long, Map<Long, Long>> threads = new HashMap<>();
        for (long process : processes) {
            Path directory = InnerIds.directory(process);
            byte[] text;
            try {
                text = Files.readAllBytes(directory.resolve("timers"));
            } catch (IOException e) {
                continue; // It was killed while frozen. Were it another reason, apply() would miss the timer's thread.
            }
            if (text.length > 0) {
                note(directory, new String(text, StandardCharsets.US_ASCII), threads);
            }
        }
        return new TimerThreads(threads);
    }

    private static void note(Path directory, String text, Map<Long, Map<Long, Long>> threads) throws IOException {
        long timer = -1;
        for (String line : text.split("\n", -1)) {
            int target = line.indexOf("/tid.");
            if (line.startsWith("ID: ")) {
                timer = Long.parseLong(line.substring(4));
            } else if (line.startsWith("notify: ") && target > 0) {
                String thread = line.substring(target + 5);
                if (!thread.equals("0")) { // which has ended
                    threads.computeIfAbsent(InnerIds.of(directory), key -> new HashMap<>())
                            .put(timer, InnerIds.of(directory.resolve("task").resolve(thread)));
                }
            }
        }
    }

    @Override
    public String name() {
        return "threads of timers";
    }

    @Override
    public void apply(ImageDirectory images) throws IOException {
        for (ImageDirectory.Task process : images.tasks()) {
            Optional<Message> task = images.core(process.id()).message(CORE_TASK);
            Optional<Message> timers =
                    task.isEmpty() ? Optional.empty() : task.get().message(TASK_TIMERS);
            if (timers.isEmpty()) {
                continue;
            }
            Map<Long, Long> known = threads.getOrDefault(process.id(), Map.of());
            for (Message timer : timers.get().messages(TIMERS_POSIX)) {
                if (!timer.has(TIMER_THREAD)) {
                    continue;
                }
                long id = timer.number(TIMER_ID);
                long thread = known.getOrDefault(id, timer.number(TIMER_THREAD));
                if (!process.threads().contains(thread)) {
                    throw new IOException("timer " + id + " of the session's process " + process.id()
                            + " notifies a thread that is not there");
                }
                timer.set(TIMER_THREAD, thread);
            }
        }
    }
}
