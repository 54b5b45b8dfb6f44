package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class RetentionTest {
    private record At(Instant created) implements Retention.Dated {}

    private static List<At> at(String... instants) {
        List<At> all = new ArrayList<>();
        for (String instant : instants) {
            all.add(new At(Instant.parse(instant)));
        }
        return all;
    }

    private static List<String> kept(String rules, String... newestFirst) {
        List<At> all = at(newestFirst);
        List<At> kept = new ArrayList<>(all);
        kept.removeAll(Retention.parse(rules).excess(all));
        return kept.stream().map(one -> one.created().toString()).toList();
    }

    @Test
    void eachRuleKeepsTheNewestOfItsPeriods() {
        String[] all = {
            "2026-03-02T10:50:00Z",
            "2026-03-02T10:40:00Z",
            "2026-03-02T09:59:59Z",
            "2026-03-02T07:10:00Z",
            "2026-03-01T23:00:00Z",
            "2026-03-01T01:00:00Z",
            "2026-02-20T12:00:00Z",
            "2025-12-31T23:59:59Z",
            "2025-12-29T00:00:00Z",
            "2024-06-01T00:00:00Z"
        };
        assertThat(kept("all", all)).hasSize(10);
        assertThat(kept("last=2", all)).containsExactly(all[0], all[1]);
        // Hours that have none don't count.
        assertThat(kept("hourly=3", all)).containsExactly(all[0], all[2], all[3]);
        assertThat(kept("daily=3", all)).containsExactly(all[0], all[4], all[6]);
        // 2 March 2026 is a Monday; 29 to 31 December 2025 are of the first week of 2026.
        assertThat(kept("weekly=4", all)).containsExactly(all[0], all[4], all[6], all[7]);
        assertThat(kept("monthly=3", all)).containsExactly(all[0], all[6], all[7]);
        assertThat(kept("yearly=9", all)).containsExactly(all[0], all[7], all[9]);
        assertThat(kept("last=1,daily=2,yearly=2", all)).containsExactly(all[0], all[4], all[7]);
        assertThat(kept("last=100", all)).hasSize(10);
        assertThat(kept("last=1")).isEmpty();
    }

    @Test
    void rulesAreReadAndWritten() {
        assertThat(Retention.parse("daily=30,last=10")).hasToString("last=10,daily=30");
        assertThat(Retention.parse("last=10,hourly=24,daily=30,weekly=8,monthly=12,yearly=5"))
                .hasToString("last=10,hourly=24,daily=30,weekly=8,monthly=12,yearly=5");
        assertThat(Retention.parse("all")).hasToString("all").isEqualTo(Retention.ALL);
        for (String wrong : new String[] {
            "", "last", "last=", "last=0", "last=-1", "last=x", "minutely=3", "last=1,,", "last=1000000"
        }) {
            assertThatThrownBy(() -> Retention.parse(wrong))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("write e.g.");
        }
    }
}
