package dev.satchel.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class QuantitiesTest {
    @ParameterizedTest
    @CsvSource({
        "4096,4096",
        "1k,1024",
        "512M,536870912",
        "8G,8589934592",
        "8GiB,8589934592",
        "8gb,8589934592",
        "1.5G,1610612736",
        "1T,1099511627776"
    })
    void sizes(String text, long bytes) {
        assertThat(Quantities.parseBytes(text)).isEqualTo(bytes);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "G", "8X", "-1", "0", "1.2.3G", "8 G", "1e9", "9999999T", "NaN", "0x10", "."})
    void whatIsNoSize(String text) {
        assertThatThrownBy(() -> Quantities.parseBytes(text)).isInstanceOf(TypeConversionException.class);
    }

    @ParameterizedTest
    @CsvSource({"90s,90", "30m,1800", "8h,28800", "1h30m,5400", "2d,172800", "0.5h,1800"})
    void times(String text, long seconds) {
        assertThat(Quantities.parseDuration(text)).isEqualTo(Duration.ofSeconds(seconds));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "8", "h", "8x", "-1h", "0s", "8h30", "1h m", "11000d"})
    void whatIsNoTime(String text) {
        assertThatThrownBy(() -> Quantities.parseDuration(text)).isInstanceOf(TypeConversionException.class);
    }

    @ParameterizedTest
    @CsvSource({
        "0,0 B",
        "999,999 B",
        "1000,0.98 KiB",
        "1024,1.00 KiB",
        "10188,9.95 KiB",
        "10240,10.0 KiB",
        "1048576,1.00 MiB",
        "432013312,412 MiB",
        "15354600000,14.3 GiB",
        "9223372036854775807,8.00 EiB"
    })
    void sizesForPeople(long bytes, String text) {
        assertThat(Quantities.bytes(bytes)).isEqualTo(text);
    }

    @ParameterizedTest
    @CsvSource({"0,0.00 s", "7,0.01 s", "580,0.58 s", "9994,9.99 s", "9995,10.0 s", "12345,12.3 s", "245000,4 min 5 s"})
    void timesForPeople(long millis, String text) {
        assertThat(Quantities.millis(millis)).isEqualTo(text);
    }

    @ParameterizedTest
    @CsvSource({
        "-3600,in the future",
        "-5,just now",
        "0,just now",
        "45,45 seconds ago",
        "150,2 minutes ago",
        "7200,2 hours ago",
        "172800,2 days ago",
        "1209600,2 weeks ago",
        "7776000,3 months ago",
        "94608000,3 years ago"
    })
    void instantsForPeople(long secondsAgo, String text) {
        Instant now = Instant.parse("2026-11-20T10:00:00Z");
        assertThat(Quantities.ago(now.minusSeconds(secondsAgo), now)).isEqualTo(text);
    }

    @Test
    void durationsForPeople() {
        assertThat(Quantities.duration(Duration.ofHours(8))).isEqualTo("8 h");
        assertThat(Quantities.duration(Duration.ofSeconds(90061))).isEqualTo("1 d 1 h 1 min 1 s");
    }
}
