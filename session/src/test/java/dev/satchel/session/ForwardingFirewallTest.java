package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** On what nft(8) and iptables(8) print, of hosts with and without a container engine. */
class ForwardingFirewallTest {
    private static final String OWN = """
            table inet satchel {
            \tchain forward {
            \t\ttype filter hook forward priority filter; policy drop;
            \t\tiifname "satchel-*" accept
            \t}
            }
            """;
    private static final String DOCKER = """
            table ip nat {
            \tchain POSTROUTING {
            \t\ttype nat hook postrouting priority srcnat; policy accept;
            \t}
            }
            table ip filter {
            \tchain DOCKER-USER {
            \t\tcounter packets 0 bytes 0 return
            \t}

            \tchain FORWARD {
            \t\ttype filter hook forward priority filter; policy drop;
            \t\tcounter packets 0 bytes 0 jump DOCKER-USER
            \t}
            }
            """;

    @Test
    void aContainerEnginesChainIsNamed() {
        assertThat(ForwardingFirewall.droppingIn(DOCKER + OWN)).contains("table ip filter chain FORWARD");
        assertThat(ForwardingFirewall.droppingIn(OWN + DOCKER)).contains("table ip filter chain FORWARD");
    }

    @Test
    void oneThatLetsSessionsThroughIsNot() {
        String mended = DOCKER.replace("policy drop;", """
                policy drop;
                \t\toifname "satchel-*" counter packets 0 bytes 0 accept
                \t\tiifname "satchel-*" counter packets 0 bytes 0 accept""");
        assertThat(mended).isNotEqualTo(DOCKER);
        assertThat(ForwardingFirewall.droppingIn(mended)).isEmpty();
        assertThat(ForwardingFirewall.droppingIn(OWN)).isEmpty();
        assertThat(ForwardingFirewall.droppingIn("")).isEmpty();
        assertThat(ForwardingFirewall.droppingIn(DOCKER.replace("policy drop", "policy accept")))
                .isEmpty();
        // Another hook's policy is another matter.
        assertThat(ForwardingFirewall.droppingIn(DOCKER.replace("hook forward", "hook input")))
                .isEmpty();
    }

    @Test
    void theOlderKindOfTablesIsLookedAtToo() {
        assertThat(ForwardingFirewall.dropsLegacy("-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n"))
                .isTrue();
        assertThat(ForwardingFirewall.dropsLegacy("-P FORWARD ACCEPT\n")).isFalse();
        assertThat(ForwardingFirewall.dropsLegacy(
                        "-P FORWARD DROP\n-A FORWARD -i satchel-+ -j ACCEPT\n-A FORWARD -o satchel-+ -j ACCEPT\n"))
                .isFalse();
    }
}
