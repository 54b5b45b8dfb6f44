package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * What the kernel keeps for a thread and lets others with CAP_SYS_NICE read and change.
 *
 * @param ioPriority class and level as ioprio_set(2) encodes them; {@link #NO_IO_PRIORITY} where the thread never set one, and its
 *     nice value counts
 * @param timerSlackNanos how much later than asked its sleeps may end, PR_SET_TIMERSLACK(2const)
 */
public record ThreadSettings(int ioPriority, long timerSlackNanos) {
    public static final int NO_IO_PRIORITY = 0;

    /** Of a thread whose ancestors never set another. */
    public static final long DEFAULT_TIMER_SLACK_NANOS = 50_000;

    private static final boolean ARM = "aarch64".equals(System.getProperty("os.arch"));
    private static final int SYS_IOPRIO_SET = ARM ? 30 : 251;
    private static final int SYS_IOPRIO_GET = ARM ? 31 : 252;
    private static final int IOPRIO_WHO_PROCESS = 1;
    private static final int DIGITS_MAX = 32;

    /** Whether a thread has them that has set nothing. Without slack is a thread with a real-time policy, sched(7). */
    public boolean areDefault() {
        return ioPriority == NO_IO_PRIORITY && (timerSlackNanos == DEFAULT_TIMER_SLACK_NANOS || timerSlackNanos == 0);
    }

    /**
     * A thread's.
     *
     * @param thread its id in the caller's pid namespace
     * @throws LinuxException ESRCH or ENOENT if it has ended
     */
    public static ThreadSettings of(long thread) throws IOException {
        int priority = (int) Libc.call(Calls.SYSCALL, SYS_IOPRIO_GET, IOPRIO_WHO_PROCESS, thread);
        if (priority < 0) {
            throw new LinuxException("ioprio_get(IOPRIO_WHO_PROCESS, " + thread + ")", Libc.errno());
        }
        try (Fd file = Fd.open(slackFile(thread), Fd.O_RDONLY | Fd.O_CLOEXEC);
                Arena arena = Arena.ofConfined()) {
            MemorySegment digits = arena.allocate(DIGITS_MAX);
            long count = file.read(digits);
            long slack = 0;
            for (long at = 0; at < count && digits.get(JAVA_BYTE, at) != '\n'; at++) {
                slack = slack * 10 + digits.get(JAVA_BYTE, at) - '0';
            }
            return new ThreadSettings(priority, slack);
        }
    }

    /** Gives them to a thread; a slack of 0 stands for what it began with. */
    public void apply(long thread) throws IOException {
        if ((int) Libc.call(Calls.SYSCALL, SYS_IOPRIO_SET, IOPRIO_WHO_PROCESS, thread, ioPriority) < 0) {
            throw new LinuxException(
                    "ioprio_set(IOPRIO_WHO_PROCESS, " + thread + ", " + ioPriority + ")", Libc.errno());
        }
        try (Fd file = Fd.open(slackFile(thread), Fd.O_WRONLY | Fd.O_CLOEXEC);
                Arena arena = Arena.ofConfined()) {
            file.write(arena.allocateFrom(Long.toString(timerSlackNanos), StandardCharsets.US_ASCII));
        }
    }

    /** proc_pid_timerslack_ns(5): a thread's, although only processes are listed there. */
    private static Path slackFile(long thread) {
        return Path.of("/proc", Long.toString(thread), "timerslack_ns");
    }

    private static final class Calls {
        static final MemorySegment SYSCALL = Libc.function("syscall");

        private Calls() {}
    }
}
