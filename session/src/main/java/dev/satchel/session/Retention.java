package dev.satchel.session;

import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.temporal.IsoFields;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * Which of a session's snapshots are kept. Each rule keeps the newest snapshot of each of that many hours, days and so on that have any,
 * counted from the newest back, as restic's {@code forget} does; {@code last} keeps that many. What any rule keeps is kept. Hours and days
 * are those of UTC, so that all hosts agree; weeks are those of ISO 8601.
 *
 * @param counts as many as there are {@link Rule rules}, in their order; 0 for a rule that keeps nothing
 */
public record Retention(List<Integer> counts) {
    private static final int COUNT_MAX = 100_000;

    /** In the order of their counts. */
    private static final List<Rule> RULES = List.of(Rule.values());

    /** Keeps all: there are no rules. */
    public static final Retention ALL = new Retention(List.of(0, 0, 0, 0, 0, 0));

    private enum Rule {
        LAST,
        HOURLY,
        DAILY,
        WEEKLY,
        MONTHLY,
        YEARLY;

        String text() {
            return name().toLowerCase(Locale.ROOT);
        }

        /** A number that is the same for all instants of one period, and another for those of the next. */
        long period(Instant instant, int index) {
            LocalDateTime time = LocalDateTime.ofInstant(instant, ZoneOffset.UTC);
            return switch (this) {
                case LAST -> index;
                case HOURLY -> time.toLocalDate().toEpochDay() * 24 + time.getHour();
                case DAILY -> time.toLocalDate().toEpochDay();
                case WEEKLY -> time.get(IsoFields.WEEK_BASED_YEAR) * 100L + time.get(IsoFields.WEEK_OF_WEEK_BASED_YEAR);
                case MONTHLY -> time.getYear() * 12L + time.getMonthValue();
                case YEARLY -> time.getYear();
            };
        }
    }

    public Retention {
        counts = List.copyOf(counts);
        if (counts.size() != RULES.size()) {
            throw new IllegalArgumentException(counts.size() + " rules");
        }
    }

    /** What is asked about. */
    interface Dated {
        Instant created();
    }

    /**
     * Reads {@code last=10,hourly=24,daily=30,weekly=8,monthly=12,yearly=5}, any of them in any order; {@code all} for no rules.
     *
     * @throws IllegalArgumentException when it is none, with a message for people
     */
    public static Retention parse(String text) {
        List<Integer> counts = new ArrayList<>(ALL.counts);
        if (text.equals("all")) {
            return ALL;
        }
        for (String part : text.split(",", -1)) {
            int equals = part.indexOf('=');
            int rule = -1;
            for (Rule each : RULES) {
                if (equals > 0 && each.text().equals(part.substring(0, equals))) {
                    rule = RULES.indexOf(each);
                }
            }
            int count = rule < 0 ? -1 : count(part.substring(equals + 1));
            if (count < 1) {
                throw new IllegalArgumentException("'" + text
                        + "' does not say what to keep: write e.g. last=10,hourly=24,daily=30,weekly=8,monthly=12,yearly=5,"
                        + " or all");
            }
            counts.set(rule, count);
        }
        return new Retention(counts);
    }

    private static int count(String digits) {
        int count = 0;
        for (int i = 0; i < digits.length(); i++) {
            char c = digits.charAt(i);
            if (c < '0' || c > '9' || count > COUNT_MAX) {
                return -1;
            }
            count = count * 10 + c - '0';
        }
        return count > COUNT_MAX ? -1 : count;
    }

    /** Whether it ever lets anything go. */
    public boolean keepsAll() {
        return equals(ALL);
    }

    /** As {@link #parse} reads it. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        for (Rule rule : RULES) {
            int count = counts.get(RULES.indexOf(rule));
            if (count > 0) {
                text.append(text.isEmpty() ? "" : ",")
                        .append(rule.text())
                        .append('=')
                        .append(count);
            }
        }
        return text.isEmpty() ? "all" : text.toString();
    }

    /**
     * What is to go.
     *
     * @param newestFirst by {@link Dated#created}
     */
    <T extends Dated> List<T> excess(List<T> newestFirst) {
        if (keepsAll()) {
            return List.of();
        }
        Set<Integer> kept = new HashSet<>();
        for (Rule rule : RULES) {
            int left = counts.get(RULES.indexOf(rule));
            long before = Long.MIN_VALUE;
            for (int i = 0; i < newestFirst.size() && left > 0; i++) {
                long period = rule.period(newestFirst.get(i).created(), i);
                if (i == 0 || period != before) {
                    before = period;
                    kept.add(i);
                    left--;
                }
            }
        }
        List<T> excess = new ArrayList<>();
        for (int i = 0; i < newestFirst.size(); i++) {
            if (!kept.contains(i)) {
                excess.add(newestFirst.get(i));
            }
        }
        return excess;
    }
}
