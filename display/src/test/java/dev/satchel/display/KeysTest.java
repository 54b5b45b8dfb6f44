package dev.satchel.display;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class KeysTest {
    @ParameterizedTest
    @CsvSource({
        "a, 61",
        "A, 41",
        "é, e9",
        "€, 10020ac",
        "Return, ff0d",
        "F1, ffbe",
        "f12, ffc9",
        "F35, ffe0",
        "+, 2b",
        "Page_Up, ff55",
        "漢, 1006f22"
    })
    void oneKey(String text, String keysym) {
        assertThat(Keys.chord(text).orElseThrow()).containsExactly(Integer.parseInt(keysym, 16));
    }

    @Test
    void chords() {
        assertThat(Keys.chord("ctrl+shift+t").orElseThrow()).containsExactly(0xffe3, 0xffe1, 0x74);
        assertThat(Keys.chord("Ctrl++").orElseThrow()).containsExactly(0xffe3, 0x2b);
        assertThat(Keys.chord("alt+F4").orElseThrow()).containsExactly(0xffe9, 0xffc1);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "ctrl+", "ctrl+nothing", "F0", "F36", "Fx"})
    void noKeys(String text) {
        assertThat(Keys.chord(text)).isEmpty();
    }
}
