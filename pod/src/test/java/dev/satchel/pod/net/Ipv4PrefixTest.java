package dev.satchel.pod.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class Ipv4PrefixTest {
    @Property
    void textAndValueAreTheSame(@ForAll int address, @ForAll @IntRange(max = 32) int length) {
        Ipv4Prefix prefix = Ipv4Prefix.of(Ipv4Prefix.address(address), length);
        assertThat(Ipv4Prefix.parse(prefix.toString())).isEqualTo(prefix);
        assertThat(prefix.contains(Ipv4Prefix.address(address))).isTrue();
    }

    @Property
    void overlapIsASharedAddress(
            @ForAll int address, @ForAll @IntRange(max = 32) int first, @ForAll @IntRange(max = 32) int second) {
        Ipv4Prefix one = Ipv4Prefix.of(Ipv4Prefix.address(address), first);
        assertThat(one.overlaps(Ipv4Prefix.of(Ipv4Prefix.address(address), second)))
                .isTrue();
        if (first > 0 && second > 0) {
            // Another first bit: nothing in common.
            Ipv4Prefix other = Ipv4Prefix.of(Ipv4Prefix.address(address ^ Integer.MIN_VALUE), second);
            assertThat(one.overlaps(other)).isFalse();
        }
    }

    @Test
    void refusesWhatIsNoPrefix() {
        for (String text :
                List.of("10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "::/0", "example.org", "", "10.0.0.0/8x")) {
            assertThatThrownBy(() -> Ipv4Prefix.parse(text))
                    .as(text)
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining(text);
        }
    }

    @Test
    void readsTheKernelsRoutes() {
        assertThat(Route.parse(List.of(
                        "Main:",
                        "  +-- 0.0.0.0/0 3 0 5",
                        "     |-- 0.0.0.0",
                        "        /0 universe UNICAST",
                        "     +-- 192.0.2.0/24 2 0 2",
                        "        |-- 192.0.2.0",
                        "           /24 link UNICAST",
                        "        |-- 192.0.2.2",
                        "           /32 host LOCAL")))
                .containsExactly(
                        new Route(Ipv4Prefix.parse("0.0.0.0/0"), false),
                        new Route(Ipv4Prefix.parse("192.0.2.0/24"), true),
                        new Route(Ipv4Prefix.parse("192.0.2.2/32"), false));
    }
}
