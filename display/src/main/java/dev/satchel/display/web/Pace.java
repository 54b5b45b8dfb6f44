package dev.satchel.display.web;

/**
 * How many bytes may be on their way to a viewer: what its link carries in one round trip, and a bit. As in BBR
 * (draft-cardwell-iccrg-bbr-congestion-control-02) that is the largest rate of delivery seen lately times the smallest round trip,
 * both measured by the viewer's acknowledgements, so that the time it takes to draw counts too. Not thread-safe.
 */
public final class Pace {
    /** To begin with, in bytes; it is doubled each round trip as long as that makes delivery faster. */
    static final int WINDOW_START = 64 << 10;
    /** What may be on its way beyond the rest: so that something is there to be sent when acknowledgements come in bursts. */
    static final int WINDOW_FLOOR = 24 << 10;
    /** What is never exceeded: 100 Mb/s over 600 ms. */
    static final int WINDOW_MAX = 8 << 20;
    /** So many updates at most are unacknowledged. */
    public static final int UPDATES_MAX = 1024;

    private static final double GAIN = 1.25;
    /** Half of the draft's: a link that became slower is noticed after so many round trips, which its full queue makes long ones. */
    private static final int ROUNDS = 5;

    private static final long MIN_RTT_LIFE_NANOS = 10_000_000_000L;
    private static final long PROBE_NANOS = 200_000_000L;
    private static final int STARTUP_PATIENCE = 3;
    /** Waiting no longer than this, or than half of the smallest round trip, is chance; so is what fewer bytes waited for. */
    private static final long QUEUED_NANOS_MIN = 50_000_000L;

    private static final int QUEUED_BYTES_MIN = 12 << 10;

    private final long[] bytes = new long[UPDATES_MAX];
    private final long[] sentNanos = new long[UPDATES_MAX];
    private final long[] deliveredBefore = new long[UPDATES_MAX];
    private final long[] deliveredNanosBefore = new long[UPDATES_MAX];
    private final long[] firstSentBefore = new long[UPDATES_MAX];
    private final boolean[] limited = new boolean[UPDATES_MAX];

    private long oldest = 1;
    private long next = 1;
    private long inFlight;

    private long delivered;
    private long deliveredNanos;
    private long firstSentNanos;
    /** Until so much is delivered, what is measured tells how little there was to send, not how fast the link is; 0: not so. */
    private long limitedUntil;

    private final double[] roundRates = new double[ROUNDS];
    private int round;
    private long roundEnd;
    private long minRtt = Long.MAX_VALUE;
    private long minRttAt;
    private long lastRtt;

    private boolean queued;
    /** Whether it ever was. */
    private boolean filled;

    private boolean starting = true;
    private double fullRate;
    private int roundsWithoutGrowth;
    private long startWindow = WINDOW_START;

    private boolean probing;
    private long probeEnd;
    private long probeRtt;

    /** How many bytes may be sent now; 0 if so few that they are not worth a message. */
    public long room(long now) {
        if (unacknowledged() >= UPDATES_MAX / 2) {
            return 0;
        }
        long window = window(now);
        long room = window - inFlight;
        return room < window / 8 ? 0 : room;
    }

    private long window(long now) {
        if (starting) {
            return startWindow;
        }
        double product = rate() * minRtt;
        if (probing || (now - minRttAt > MIN_RTT_LIFE_NANOS && limitedUntil == 0)) {
            // What stands in queues of the link counts into each round trip since; it shows only if there is less for a
            // moment (§4.3.4.4).
            if (!probing) {
                probing = true;
                probeEnd = 0;
                probeRtt = Long.MAX_VALUE;
            }
            return Math.clamp((long) (product / 2), WINDOW_FLOOR, WINDOW_MAX);
        }
        return Math.min((long) (GAIN * product) + WINDOW_FLOOR, WINDOW_MAX);
    }

    /** Bytes a nanosecond. */
    private double rate() {
        double most = 0;
        for (double rate : roundRates) {
            most = Math.max(most, rate);
        }
        return most;
    }

    /** How many bytes a second the link carries; 0 as long as that is not known. */
    public long bytesPerSecond() {
        return starting && !filled ? 0 : (long) (rate() * 1e9);
    }

    /** There was nothing to send although more could have been. */
    public void idle() {
        limitedUntil = delivered + inFlight + 1;
    }

    /** How many updates; fewer than {@link #UPDATES_MAX} for another to be {@link #sent}. */
    public int unacknowledged() {
        return (int) (next - oldest);
    }

    /** @return the serial of an update of so many bytes, which is sent now */
    public long sent(long size, long now) {
        if (unacknowledged() >= UPDATES_MAX) {
            throw new IllegalStateException("more than " + UPDATES_MAX + " updates are not acknowledged");
        }
        int i = (int) (next % UPDATES_MAX);
        if (inFlight == 0) {
            firstSentNanos = now;
            deliveredNanos = now;
        }
        bytes[i] = size;
        sentNanos[i] = now;
        deliveredBefore[i] = delivered;
        deliveredNanosBefore[i] = deliveredNanos;
        firstSentBefore[i] = firstSentNanos;
        limited[i] = limitedUntil != 0;
        inFlight += size;
        return next++;
    }

    /** @return false if no such update was sent */
    public boolean acknowledged(long serial, long now) {
        if (serial >= next) {
            return false;
        }
        if (serial < oldest) {
            return true;
        }
        for (; oldest <= serial; oldest++) {
            long size = bytes[(int) (oldest % UPDATES_MAX)];
            delivered += size;
            inFlight -= size;
        }
        deliveredNanos = now;
        if (limitedUntil != 0 && delivered >= limitedUntil) {
            limitedUntil = 0;
        }
        int i = (int) (serial % UPDATES_MAX);
        firstSentNanos = sentNanos[i];
        lastRtt = Math.max(1, now - sentNanos[i]);
        measureRtt(i, now);
        queued = lastRtt - minRtt > Math.max(QUEUED_NANOS_MIN, minRtt / 2)
                && delivered - deliveredBefore[i] > QUEUED_BYTES_MIN;
        filled |= queued;
        long interval = Math.max(now - deliveredNanosBefore[i], sentNanos[i] - firstSentBefore[i]);
        measureRate((delivered - deliveredBefore[i]) / (double) Math.max(1, interval), i);
        return true;
    }

    private void measureRtt(int i, long now) {
        if (probing) {
            probeRtt = Math.min(probeRtt, lastRtt);
            if (probeEnd == 0) {
                if (inFlight <= Math.max((long) (rate() * minRtt / 2), WINDOW_FLOOR)) {
                    probeEnd = now + Math.max(PROBE_NANOS, lastRtt);
                    probeRtt = lastRtt;
                }
            } else if (now >= probeEnd) {
                probing = false;
                minRtt = probeRtt;
                minRttAt = now;
            }
        }
        // With little on its way, none of it waits behind the rest: such a round trip is as good as one of a probe.
        if (lastRtt <= minRtt || (limited[i] && now - minRttAt > MIN_RTT_LIFE_NANOS)) {
            minRtt = lastRtt;
            minRttAt = now;
            probing = false;
        }
    }

    /** Whether what was acknowledged last had to wait for what was sent before, so that the link is full. */
    public boolean queued() {
        return queued;
    }

    private void measureRate(double sample, int i) {
        boolean full = !limited[i] || queued;
        if (!full && sample <= rate()) {
            return;
        }
        boolean roundBegins = deliveredBefore[i] >= roundEnd;
        if (roundBegins) {
            roundEnd = delivered;
            round = (round + 1) % ROUNDS;
            roundRates[round] = 0;
        }
        roundRates[round] = Math.max(roundRates[round], sample);
        if (starting && roundBegins && full) {
            if (rate() >= fullRate * GAIN) {
                fullRate = rate();
                roundsWithoutGrowth = 0;
                startWindow = Math.min(2 * startWindow, WINDOW_MAX);
            } else if (++roundsWithoutGrowth == STARTUP_PATIENCE) {
                starting = false;
            }
        }
    }

    /** Sent, and not acknowledged. */
    long inFlight() {
        return inFlight;
    }

    /** The last, in nanoseconds; 0 if none was measured. */
    long lastRtt() {
        return lastRtt;
    }
}
