package dev.satchel.display.web;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayDeque;
import org.junit.jupiter.api.Test;

class PaceTest {
    private static final long MILLI = 1_000_000;

    private final Pace pace = new Pace();
    private long now = 1_000_000_000;

    /** A link with a queue without end: bytes leave it at a rate, and arrive some time later; ACKs take no room. */
    private final class Link {
        double bytesPerNano;
        long roundTripNanos;
        private long freeAt;
        private final ArrayDeque<long[]> acks = new ArrayDeque<>();
        long delivered;
        long mostInFlight;
        double queuedNanos;

        Link(double megabits, long roundTripMillis) {
            rate(megabits);
            roundTripNanos = roundTripMillis * MILLI;
        }

        void rate(double megabits) {
            bytesPerNano = megabits * 1e6 / 8 / 1e9;
        }

        /** Sends updates of that size for a while, as many as may be, or one each time that passes. */
        void run(long millis, int size, long everyMillis) {
            run(millis, size, everyMillis, false);
        }

        /** The same of pictures that are drawn, which takes some time, when one may be sent. */
        void play(long millis, int size, long everyMillis) {
            run(millis, size, everyMillis, true);
        }

        private void run(long millis, int size, long everyMillis, boolean drawn) {
            long end = now + millis * MILLI;
            long due = drawn ? Long.MAX_VALUE : now;
            delivered = 0;
            mostInFlight = 0;
            double queued = 0;
            long steps = 0;
            while (now < end) {
                while (pace.room(now) > 0 && now >= due) {
                    freeAt = Math.max(freeAt, now) + (long) (size / bytesPerNano);
                    acks.add(new long[] {pace.sent(size, now), freeAt + roundTripNanos, size});
                    due = drawn ? Long.MAX_VALUE : due + everyMillis * MILLI;
                }
                mostInFlight = Math.max(mostInFlight, pace.inFlight());
                if (everyMillis > 0 && pace.room(now) > 0) {
                    pace.idle();
                    due = Math.min(due, now + everyMillis * MILLI);
                }
                queued += Math.max(0, freeAt - now);
                steps++;
                long next = now + MILLI / 10;
                while (!acks.isEmpty() && acks.peek()[1] <= next) {
                    long[] ack = acks.poll();
                    assertThat(pace.acknowledged(ack[0], Math.max(now, ack[1]))).isTrue();
                    delivered += ack[2];
                }
                now = next;
            }
            queuedNanos = queued / steps;
        }

        double megabits(long millis) {
            return delivered * 8 / 1e3 / millis;
        }
    }

    @Test
    void fillsLongAndShortLinksWithoutFillingTheirQueues() {
        for (double[] kind : new double[][] {{100, 66}, {100, 1}, {5, 66}, {5, 200}, {900, 20}}) {
            PaceTest fresh = new PaceTest();
            Link link = fresh.new Link(kind[0], (long) kind[1]);
            link.run(3000, 16_000, 0);
            link.run(60_000, 16_000, 0);
            assertThat(link.megabits(60_000))
                    .as("%s Mb/s, %s ms", kind[0], kind[1])
                    .isGreaterThan(0.93 * kind[0]);
            // A quarter of a round trip, what may be on its way besides, and one update.
            double allowed = 0.25 * kind[1] * 1e6 + (Pace.WINDOW_FLOOR + 2 * 16_000) / link.bytesPerNano;
            assertThat(link.queuedNanos).as("%s Mb/s, %s ms", kind[0], kind[1]).isLessThan(1.1 * allowed);
        }
    }

    @Test
    void isFastWithinSomeRoundTrips() {
        Link link = new Link(100, 66);
        link.run(600, 16_000, 0);
        link.run(500, 16_000, 0);
        assertThat(link.megabits(500)).isGreaterThan(80);
    }

    @Test
    void followsALinkThatChanges() {
        Link link = new Link(100, 30);
        link.run(3000, 16_000, 0);
        link.rate(10);
        link.run(3000, 16_000, 0);
        link.run(20_000, 16_000, 0);
        assertThat(link.megabits(20_000)).isBetween(9.0, 10.2);
        assertThat(link.queuedNanos / 1e6).isLessThan(50);
        link.rate(100);
        link.run(3000, 16_000, 0);
        link.run(5000, 16_000, 0);
        assertThat(link.megabits(5000)).isGreaterThan(90);
    }

    @Test
    void followsAWayThatGetsLonger() {
        Link link = new Link(50, 10);
        link.run(3000, 16_000, 0);
        link.roundTripNanos = 100 * MILLI;
        link.run(25_000, 16_000, 0);
        link.run(10_000, 16_000, 0);
        assertThat(link.megabits(10_000)).isGreaterThan(45);
    }

    @Test
    void littleToSendIsNoSlowLink() {
        Link link = new Link(100, 66);
        link.run(3000, 16_000, 0);
        link.run(60_000, 500, 100);
        assertThat(pace.room(now)).isGreaterThan(600_000);
        link.run(1000, 16_000, 0);
        assertThat(link.megabits(1000)).isGreaterThan(80);
    }

    /** As of a film's pictures, each of which waits for the one before. */
    @Test
    void aLinkThatIsFullIsKnownThoughThereIsNothingMoreToSend() {
        Link slow = new Link(5, 66);
        slow.run(1000, 500, 100);
        slow.play(3000, 62_000, 10);
        assertThat(pace.bytesPerSecond()).isBetween(550_000L, 650_000L);
        PaceTest fresh = new PaceTest();
        Link fast = fresh.new Link(100, 66);
        fast.run(1000, 500, 100);
        fast.play(3000, 62_000, 10);
        assertThat(fresh.pace.bytesPerSecond()).isZero();
    }

    @Test
    void nothingMoreForWhoDoesNotAcknowledge() {
        long sent = 0;
        while (pace.room(now) > 0) {
            pace.sent(10_000, now);
            sent += 10_000;
            now += MILLI;
        }
        assertThat(sent).isBetween(Pace.WINDOW_START - 10_000L, Pace.WINDOW_START + 10_000L);
        now += 3_600_000 * MILLI;
        assertThat(pace.room(now)).isZero();
        assertThat(pace.acknowledged(1000, now)).isFalse();
        assertThat(pace.acknowledged(2, now)).isTrue();
        assertThat(pace.acknowledged(1, now)).isTrue();
        assertThat(pace.inFlight()).isEqualTo(sent - 20_000);
        assertThat(pace.room(now)).isPositive();
    }

    @Test
    void smallUpdatesAreBoundedByNumber() {
        int count = 0;
        while (pace.room(now) > 0) {
            pace.sent(1, now);
            count++;
        }
        assertThat(count).isEqualTo(Pace.UPDATES_MAX / 2);
    }
}
