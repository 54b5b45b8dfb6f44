package dev.satchel.pod.net;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A destination in the routing tables of the calling thread's network namespace: of all of them, those of policy routing (VPNs)
 * too.
 *
 * @param onLink whether its addresses are neighbours, reached without a gateway
 */
record Route(Ipv4Prefix destination, boolean onLink) {
    /** Of /proc/net/fib_trie, whose leaves are an address, then a line for each prefix that begins there. */
    static List<Route> list() throws IOException {
        return parse(Files.readAllLines(Path.of("/proc/thread-self/net/fib_trie")));
    }

    /**
     * Leaves look so, scope and type as in rtnetlink(7):
     *
     * <pre>
     *   |-- 192.0.2.0
     *      /24 link UNICAST
     * </pre>
     */
    static List<Route> parse(List<String> trie) {
        List<Route> routes = new ArrayList<>();
        String address = "";
        for (String line : trie) {
            String entry = line.strip();
            if (entry.startsWith("|-- ")) {
                address = entry.substring(4);
            } else if (entry.startsWith("/")) {
                int space = entry.indexOf(' ');
                Ipv4Prefix destination = Ipv4Prefix.parse(address + entry.substring(0, space));
                routes.add(new Route(destination, entry.endsWith(" link UNICAST")));
            }
        }
        return routes;
    }
}
