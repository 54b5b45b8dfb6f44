package dev.satchel.pod.net;

import java.util.List;

/** What a session's router lets through, as nft(8) input: address translation and containment. */
final class RouterRules {
    /**
     * Networks that are nobody's on the Internet: RFC 6890 (and what it lists: private, shared, loopback, link-local, protocol
     * assignments, benchmarking), multicast, reserved and broadcast. TEST-NETs are left out: nobody's at all.
     */
    private static final String PRIVATE = "0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16,"
            + " 172.16.0.0/12, 192.0.0.0/24, 192.88.99.0/24, 192.168.0.0/16, 198.18.0.0/15, 224.0.0.0/3";

    /** Connections at a time: a session must not fill the host's connection table, which has 262,144 entries or less. */
    private static final int CONNECTIONS_MAX = 8192;

    private RouterRules() {}

    /**
     * The rules of one router.
     *
     * @param neighbours networks that the host is directly in, closed like private ones
     */
    static String of(PodNetwork.Config config, HostNetwork.Link link, List<Ipv4Prefix> neighbours) {
        String inside = config.virtualAddress().getHostAddress();
        String outside = Ipv4Prefix.text(link.router());
        String gateway = config.gateway().getHostAddress();
        StringBuilder rules = new StringBuilder(2048);
        rules.append("table ip satchel {\n");
        rules.append("set closed { type ipv4_addr; flags interval; auto-merge; elements = { ")
                .append(PRIVATE)
                .append(", ")
                .append(config.pool())
                .append(", ")
                .append(Ipv4Prefix.of(config.virtualAddress(), config.prefixLength()));
        append(rules, ", ", neighbours);
        rules.append(" }; }\n");
        rules.append("set opened { type ipv4_addr; flags interval; auto-merge; ");
        if (!config.allowedPrivate().isEmpty()) {
            rules.append("elements = { ");
            append(rules, "", config.allowedPrivate());
            rules.append(" }; ");
        }
        rules.append("}\n");
        rules.append("chain prerouting { type nat hook prerouting priority dstnat;\n");
        rules.append("iifname outside ip daddr ")
                .append(outside)
                .append(" dnat to ")
                .append(inside)
                .append("\n}\n");
        rules.append("chain postrouting { type nat hook postrouting priority srcnat;\n");
        rules.append("oifname outside ip saddr ")
                .append(inside)
                .append(" snat to ")
                .append(outside)
                .append("\n}\n");
        // A segment of a connection that this router has not seen begin, on its way in or out, is "invalid" (tcp_loose
        // is off): the
        // session was elsewhere when it began, and whoever sent it learns that it has ended.
        rules.append("chain known {\n")
                .append("ct state established,related accept\n")
                .append("meta l4proto tcp ct state invalid reject with tcp reset\n")
                .append("ct state invalid drop\n}\n");
        rules.append("chain forward { type filter hook forward priority filter; policy drop;\n");
        rules.append("iifname inside ip saddr != ").append(inside).append(" drop\n");
        rules.append("jump known\n");
        rules.append("iifname inside oifname outside jump outward\n");
        // Only what was addressed to the session; that it comes from this host and not through it, the host's table
        // sees to.
        rules.append("iifname outside oifname inside ct status dnat accept\n}\n");
        rules.append("chain outward {\n");
        rules.append("ct count over ").append(CONNECTIONS_MAX).append(" reject with icmp type admin-prohibited\n");
        rules.append("ip daddr @opened accept\n");
        rules.append("ip daddr @closed reject with icmp type admin-prohibited\n");
        rules.append("accept\n}\n");
        rules.append("chain input { type filter hook input priority filter; policy drop;\n");
        rules.append("iifname inside ip saddr != ").append(inside).append(" drop\n");
        rules.append("jump known\n");
        if (config.dns()) {
            rules.append("iifname inside ip daddr ").append(gateway).append(" udp dport 53 accept\n");
            rules.append("iifname inside ip daddr ").append(gateway).append(" tcp dport 53 accept\n");
        }
        rules.append("iifname inside reject with icmp type admin-prohibited\n}\n}\n");
        return rules.toString();
    }

    private static void append(StringBuilder rules, String separator, List<Ipv4Prefix> prefixes) {
        String before = separator;
        for (Ipv4Prefix prefix : prefixes) {
            rules.append(before).append(prefix);
            before = ", ";
        }
    }
}
