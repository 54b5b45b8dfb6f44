package dev.satchel.session;

import java.util.Optional;

/**
 * A firewall of the host that lets no packet through that is not the host's own, as container engines set one up: the chain of the
 * hook {@code forward} has the policy {@code drop}. What the host's own rules for sessions accept is dropped there all the same, as
 * each of a hook's chains must accept a packet (nft(8)).
 */
final class ForwardingFirewall {
    /** What lets a session's packets through where such a chain is iptables'. */
    static final String FIX =
            "let sessions through: iptables -I FORWARD -i 'satchel-+' -j ACCEPT; iptables -I FORWARD -o 'satchel-+' -j ACCEPT"
                    + " (with an nftables rule set: accept iifname and oifname \"satchel-*\" in that chain)";

    private static final String OWN_TABLE = "table inet satchel {";
    private static final String INTERFACES = "satchel-";

    private ForwardingFirewall() {}

    /**
     * The first chain that drops what sessions send; none when each such chain has rules about sessions' interfaces.
     *
     * @param ruleset what {@code nft list ruleset} prints
     */
    static Optional<String> droppingIn(String ruleset) {
        String table = "";
        String chain = "";
        String dropping = "";
        boolean own = false;
        boolean exempted = false;
        for (String line : ruleset.split("\n", -1)) {
            String words = line.strip();
            if (words.startsWith("table ")) {
                table = name(words);
                own = words.equals(OWN_TABLE);
            } else if (words.startsWith("chain ")) {
                chain = name(words);
                dropping = "";
                exempted = false;
            } else if (words.startsWith("type filter hook forward") && words.contains("policy drop") && !own) {
                dropping = table + " " + chain;
            } else if (words.contains(INTERFACES) && words.contains("accept")) {
                exempted = true;
            } else if (words.equals("}")) {
                if (!dropping.isEmpty() && !exempted) {
                    return Optional.of(dropping);
                }
                dropping = "";
            }
        }
        return Optional.empty();
    }

    /**
     * The same of iptables' older kind, which nft does not show.
     *
     * @param rules what {@code iptables-legacy -S FORWARD} prints
     */
    static boolean dropsLegacy(String rules) {
        return rules.contains("-P FORWARD DROP") && !(rules.contains(INTERFACES) && rules.contains("-j ACCEPT"));
    }

    /** Without the brace that opens it. */
    private static String name(String words) {
        int brace = words.indexOf('{');
        return (brace < 0 ? words : words.substring(0, brace)).strip();
    }
}
