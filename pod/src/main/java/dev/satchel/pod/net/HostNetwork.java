package dev.satchel.pod.net;

import dev.satchel.linux.Fd;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * What all sessions of a host share, and the host's side of each: interfaces {@code satchel-*}, the nftables table {@code inet
 * satchel}, and forwarding.
 *
 * <p>The interfaces are the only register of who is there: each belongs to a router namespace that its supervisor alone holds, so
 * that the kernel takes it away with the supervisor, however that dies. The last to leave removes the table and turns forwarding off
 * again; after a crash the next one does.
 *
 * <p><b>Forwarding.</b> {@code net.ipv4.ip_forward} is left alone. It is turned on for each interface there is, and for those to
 * come ({@code conf.default}), and the table's set {@code forwarding} remembers where it was off. So it can be told at the end whether
 * somebody else (a container engine) has come to need forwarding meanwhile: then {@code conf.all} is on, and stays so. And as long
 * as it is on because of us, strangers can't use this host as their router: the table refuses new connections between those
 * interfaces.
 */
final class HostNetwork {
    /** Of the host's end of each session's link; the number of its address pair in the pool follows. */
    static final String INTERFACE_PREFIX = "satchel-";

    static final String TABLE = "inet satchel";

    private static final Path CONFIGURATION = Path.of("/proc/sys/net/ipv4/conf");
    private static final long LOCK_TIMEOUT_NANOS = 10_000_000_000L;
    private static final long LOCK_RETRY_MILLIS = 1;

    /** Routes of fewer bits are ways to everywhere (such as a VPN's 0.0.0.0/1), and don't occupy what they cover. */
    private static final int OCCUPYING_BITS_MIN = 8;

    /**
     * The same for all sessions, and given again by each: adding what is there already changes nothing, and chains are emptied first,
     * all in one transaction.
     *
     * <p>prerouting, at "mangle": after connection tracking and before anybody's destination NAT, so that an address of the host
     * counts as one even where the host passes it on to a container.
     */
    private static final String RULES = """
            add table inet satchel
            add set inet satchel forwarding { type ifname; }
            add chain inet satchel prerouting { type filter hook prerouting priority mangle; }
            add chain inet satchel input { type filter hook input priority filter; }
            add chain inet satchel forward { type filter hook forward priority filter; }
            add chain inet satchel postrouting { type nat hook postrouting priority srcnat; }
            flush chain inet satchel prerouting
            flush chain inet satchel input
            flush chain inet satchel forward
            flush chain inet satchel postrouting
            add rule inet satchel prerouting iifname "satchel-*" meta nfproto ipv6 drop
            add rule inet satchel prerouting iifname "satchel-*" ct state established,related accept
            add rule inet satchel prerouting iifname "satchel-*" fib daddr type != unicast reject with icmp type admin-prohibited
            add rule inet satchel input iifname "satchel-*" ct state new,invalid,untracked drop
            add rule inet satchel forward iifname "satchel-*" oifname "satchel-*" reject with icmp type admin-prohibited
            add rule inet satchel forward oifname "satchel-*" ct state new,invalid,untracked drop
            add rule inet satchel forward iifname "satchel-*" tcp flags syn tcp option maxseg size set rt mtu
            add rule inet satchel forward iifname != "satchel-*" iifname @forwarding oifname != "satchel-*" ct state new ct status & dnat == 0 drop
            add rule inet satchel postrouting iifname "satchel-*" oifname != "satchel-*" masquerade
            """;

    private HostNetwork() {}

    /**
     * The link of one session: a pair of addresses of the pool.
     *
     * @param number of the pair in the pool, from 0
     * @param host the host's address, even; the router's, by which the host reaches the session, is the next one
     */
    record Link(int number, int host) {
        String interfaceName() {
            return INTERFACE_PREFIX + number;
        }

        int router() {
            return host + 1;
        }
    }

    /**
     * Waits for its turn among all processes that work on this host's network, flock(2) on the network namespace itself: nothing to
     * create or to leave behind, and nothing that two state directories could disagree about. Closing the descriptor ends the turn.
     */
    static Fd lock(NetworkNamespace host) throws IOException {
        long deadline = System.nanoTime() + LOCK_TIMEOUT_NANOS;
        Fd lock = host.reopen();
        try {
            while (!lock.tryLock()) {
                if (System.nanoTime() - deadline > 0) {
                    throw new IOException("another session has been working on this host's network for 10 s: does its"
                            + " ip or nft hang?");
                }
                Thread.sleep(LOCK_RETRY_MILLIS);
            }
            return lock;
        } catch (IOException | RuntimeException e) {
            lock.close();
            throw e;
        } catch (InterruptedException e) {
            lock.close();
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while waiting for this host's network", e);
        }
    }

    /**
     * A pair of the pool that nothing on this host has to do with. Locked, and in the host's namespace.
     *
     * @param seed where to begin to look: the same session gets the same addresses where it can
     */
    static Link choose(Ipv4Prefix pool, int seed) throws IOException {
        List<Ipv4Prefix> occupied = new ArrayList<>();
        for (Route route : Route.list()) {
            if (route.destination().length() >= OCCUPYING_BITS_MIN) {
                occupied.add(route.destination());
            }
        }
        List<String> interfaces = interfaces();
        int pairs = 1 << (31 - pool.length());
        int start = Math.floorMod(seed, pairs);
        for (int i = 0; i < pairs; i++) {
            int number = (start + i) & (pairs - 1);
            Link link = new Link(number, pool.first() + 2 * number);
            Ipv4Prefix pair = new Ipv4Prefix(link.host(), 31);
            boolean free = !interfaces.contains(link.interfaceName());
            for (int j = 0; free && j < occupied.size(); j++) {
                free = !occupied.get(j).overlaps(pair);
            }
            if (free) {
                return link;
            }
        }
        throw new IOException("this host uses the addresses " + pool
                + " itself, so that none is free for a session: choose another pool");
    }

    /** Makes the link, with its other end in the router's namespace as {@code outside}. Locked, and in the host's namespace. */
    static void connect(Link link, NetworkNamespace router, String mac, String alias) throws IOException {
        String name = link.interfaceName();
        List<String> switched = forwardingOff();
        StringBuilder rules = new StringBuilder(RULES);
        for (String switchedOn : switched) {
            // Remembered before it is done: who dies in between leaves a note too many, not one too few.
            rules.append("add element inet satchel forwarding { \"")
                    .append(switchedOn)
                    .append("\" }\n");
        }
        NetworkCommand table = NetworkCommand.nft(rules.toString());
        NetworkCommand ip = NetworkCommand.ip("link add name " + name + " address " + mac
                + " type veth peer name outside netns " + router.path() + "\n"
                // No link-local address: no IPv6 between host and router.
                + "link set dev " + name + " addrgenmode none alias \"" + alias + "\" up\n"
                + "address add " + Ipv4Prefix.text(link.host()) + "/31 dev " + name + "\n");
        try {
            table.finish();
        } finally {
            ip.finish();
        }
        for (String off : switched) {
            setForwarding(off, "1");
        }
        setForwarding(name, "1");
    }

    /** Takes a link away. Locked, and in the host's namespace. */
    static void disconnect(NetworkNamespace host, String interfaceName) throws IOException {
        removeInterface(host, interfaceName);
        removeUnused();
    }

    static void removeInterface(NetworkNamespace where, String name) throws IOException {
        changeInterface(where, name, "link delete dev " + name);
    }

    /** Does that with an interface, unless it is gone, or goes meanwhile with its other end. */
    static void changeInterface(NetworkNamespace where, String name, String command) throws IOException {
        if (!where.call(HostNetwork::interfaces).contains(name)) {
            return;
        }
        try {
            NetworkCommand.ip(where, command + "\n").finish();
        } catch (IOException e) {
            if (where.call(HostNetwork::interfaces).contains(name)) {
                throw e;
            }
        }
    }

    /** If no session is left, takes away what they shared. Locked, and in the host's namespace. */
    static void removeUnused() throws IOException {
        for (String name : interfaces()) {
            if (name.startsWith(INTERFACE_PREFIX)) {
                return;
            }
        }
        String tables = NetworkCommand.start("", "nft", "list", "tables").finish();
        if (!("\n" + tables).contains("\ntable " + TABLE + "\n")) {
            return;
        }
        List<String> switched = quoted(NetworkCommand.start("", "nft", "list", "set", "inet", "satchel", "forwarding")
                .finish());
        if (!forwards("all")) {
            for (String name : switched) {
                setForwarding(name, "0");
            }
        }
        NetworkCommand.nft("delete table inet satchel\n").finish();
    }

    /** Where forwarding is off now and has to be on: interfaces, and {@code default} for those to come. */
    private static List<String> forwardingOff() throws IOException {
        List<String> off = new ArrayList<>();
        try (DirectoryStream<Path> directories = Files.newDirectoryStream(CONFIGURATION)) {
            for (Path directory : directories) {
                String name = directory.getFileName().toString();
                if (!name.equals("all")
                        && !name.equals("lo")
                        && !name.startsWith(INTERFACE_PREFIX)
                        && !forwards(name)) {
                    off.add(name);
                }
            }
        } catch (DirectoryIteratorException e) {
            throw e.getCause();
        }
        return off;
    }

    private static boolean forwards(String name) throws IOException {
        return switch (read(name)) {
            case "1" -> true;
            // Gone meanwhile: nothing has to be turned on for it.
            case "" -> true;
            default -> false;
        };
    }

    private static String read(String name) throws IOException {
        Path file = CONFIGURATION.resolve(name).resolve("forwarding");
        return Files.exists(file) ? Files.readString(file).strip() : "";
    }

    private static void setForwarding(String name, String value) throws IOException {
        Path file = CONFIGURATION.resolve(name).resolve("forwarding");
        // An interface may have gone.
        if (Files.exists(file)) {
            Files.writeString(file, value);
        }
    }

    /** The names of this namespace's interfaces, proc_pid_net(5): sysfs would show those of the namespace it was mounted in. */
    static List<String> interfaces() throws IOException {
        List<String> names = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of("/proc/thread-self/net/dev"))) {
            int colon = line.indexOf(':');
            if (colon > 0) {
                names.add(line.substring(0, colon).strip());
            }
        }
        return names;
    }

    /** All that stands between double quotes. */
    private static List<String> quoted(String text) {
        List<String> found = new ArrayList<>();
        for (int open = text.indexOf('"'); open >= 0; ) {
            int close = text.indexOf('"', open + 1);
            if (close < 0) {
                throw new UncheckedIOException(new IOException("nft printed a quote that does not end: " + text));
            }
            found.add(text.substring(open + 1, close));
            open = text.indexOf('"', close + 1);
        }
        return found;
    }
}
