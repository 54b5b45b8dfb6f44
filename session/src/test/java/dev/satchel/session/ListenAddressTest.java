package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ListenAddressTest {
    @ParameterizedTest
    @CsvSource({
        "192.0.2.7, 192.0.2.7, 0",
        "192.0.2.7:8443, 192.0.2.7, 8443",
        "desk.example:1, desk.example, 1",
        "::, ::, 0",
        "[::1]:65535, ::1, 65535",
        "2001:db8::7, 2001:db8::7, 0"
    })
    void addressesToListenAt(String text, String host, int port) {
        ListenAddress address = ListenAddress.parse(text);
        assertThat(address).isEqualTo(new ListenAddress(host, port));
        assertThat(ListenAddress.parse(address.toString())).isEqualTo(address);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", ":80", "a:", "a:b", "a:65536", "a:999999", "[::1", "[::1]x", "[]:80"})
    void whatIsNoAddressToListenAt(String text) {
        assertThatThrownBy(() -> ListenAddress.parse(text)).hasMessageContaining("is no address to listen at");
    }
}
