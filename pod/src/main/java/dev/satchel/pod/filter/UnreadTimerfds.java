package dev.satchel.pod.filter;

import java.io.IOException;
import java.util.Optional;

/**
 * Keeps a periodic timer of timerfd_create(2) going that has expired and was not read yet. The kernel starts it again when it is
 * read, and until then has no time left in {@code fdinfo} (fs/timerfd.c); CRIU sets that as the time, which stops the timer.
 */
public final class UnreadTimerfds implements ImageFilter {
    private static final int FILE_TIMERFD = 12;

    // timerfd_entry, images/timerfd.proto
    private static final int TICKS = 5;
    private static final int VALUE_SECONDS = 7;
    private static final int VALUE_NANOS = 8;
    private static final int INTERVAL_SECONDS = 9;
    private static final int INTERVAL_NANOS = 10;

    @Override
    public String name() {
        return "expired timers";
    }

    @Override
    public void apply(ImageDirectory images) throws IOException {
        for (Message file : images.files()) {
            Optional<Message> found = file.message(FILE_TIMERFD);
            if (found.isEmpty()) {
                continue;
            }
            Message timer = found.get();
            boolean unread = timer.number(TICKS) != 0;
            boolean stopped = timer.number(VALUE_SECONDS) == 0 && timer.number(VALUE_NANOS) == 0;
            if (unread && stopped) {
                timer.set(VALUE_SECONDS, timer.number(INTERVAL_SECONDS));
                timer.set(VALUE_NANOS, timer.number(INTERVAL_NANOS));
            }
        }
    }
}
