package dev.satchel.pod.net;

import dev.satchel.linux.Fd;
import dev.satchel.linux.Uninterruptible;
import java.io.IOException;
import java.net.Inet4Address;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * The network of one running session. {@link #create} makes its router; {@link #plug} and {@link #unplug} put the session's
 * interface into the network namespace of a pod and take it away, as often as the session is booted, frozen, restored.
 *
 * <p><b>Inside</b> there is {@code lo} and {@code eth0} with an address and a MAC that stay the same for the session's life, whatever
 * the host; a gateway; IPv4 only ({@code ::1} excepted). <b>On the host</b> the session has an address of its own, free there, so that
 * any number of sessions with the same inner address run side by side.
 *
 * <p><b>Containment.</b> From inside can be reached: the Internet; the gateway's port 53 (a relay to the host's name servers); and
 * what {@link Config#allowedPrivate} opens. Not: any address of the host, other sessions, private networks, networks that the host is
 * directly in. Into the session, only this host can connect; who has access to the host can thus use what the session offers. All of
 * this is enforced in the router's and the host's namespaces; root inside can change neither.
 *
 * <p><b>Connections</b> of the session go on while the same {@code PodNetwork} is unplugged and plugged in again (a snapshot of a
 * running session), also those to the outside. Those made through another one (before a suspend) can't go on: segments of such
 * are answered with a reset, to the session and to the far end, and {@link #resetEstablished} ends those that are silent.
 *
 * <p><b>What it holds</b>: the router's network namespace, which has no name, only a descriptor of this process; so if this process
 * dies, the kernel takes the router, its rules, all interfaces and with them the pod's eth0 away. Only the host's nftables table and
 * forwarding, which sessions share, can be left over, until {@link #cleanUpAfterCrash} or the end of the next session.
 *
 * <p>As root. Safe for several threads, any of them, virtual ones too; "the host" is the network namespace of the thread that calls
 * {@code create}. Needs ip(8), ss(8) and nft(8), and a kernel from 5.13 on with nf_tables' NAT, conntrack, fib and reject.
 */
public final class PodNetwork implements AutoCloseable {
    /**
     * How a session is connected.
     *
     * @param shortId names the session in {@code ip link} of the host: 1 to 64 of {@code [A-Za-z0-9._-]}
     * @param virtualAddress of eth0, for life
     * @param prefixLength of the network that it and the gateway are in, 8 to 30
     * @param gateway as seen from inside, for life
     * @param mac of eth0, for life: {@code 02:…}, unicast and locally administered
     * @param pool where the host's side takes addresses from, two a session: 10 to 30 bits long
     * @param dns whether the gateway answers DNS queries
     * @param resolvConf the host's resolv.conf(5), read again when it changes
     * @param allowedPrivate networks that the session may reach although they are private; the host's own addresses and other
     *     sessions stay out of reach
     */
    public record Config(
            String shortId,
            Inet4Address virtualAddress,
            int prefixLength,
            Inet4Address gateway,
            String mac,
            Ipv4Prefix pool,
            boolean dns,
            Path resolvConf,
            List<Ipv4Prefix> allowedPrivate) {
        /**
         * Addresses for benchmarks, RFC 2544, which no network uses. (100.64.0.0/10 would do too, but VPNs made of it drop packets with
         * these addresses that come by other ways.)
         */
        public static final Ipv4Prefix DEFAULT_POOL = Ipv4Prefix.parse("198.18.0.0/15");

        public static final Path DEFAULT_RESOLV_CONF = Path.of("/etc/resolv.conf");

        private static final int ID_LENGTH_MAX = 64;

        public Config {
            Objects.requireNonNull(virtualAddress);
            Objects.requireNonNull(gateway);
            Objects.requireNonNull(resolvConf);
            allowedPrivate = List.copyOf(allowedPrivate);
            // These go into the input of ip and nft: nothing may pass that means something else there.
            check(isName(shortId), "a short id has 1 to 64 letters, digits, dots, dashes, not '" + shortId + "'");
            check(isUnicastMac(mac), "a session's MAC looks like 02:00:00:12:34:56 (locally administered), not " + mac);
            check(prefixLength >= 8 && prefixLength <= 30, "a session's network has 8 to 30 bits, not " + prefixLength);
            check(
                    Ipv4Prefix.of(virtualAddress, prefixLength).contains(gateway) && !gateway.equals(virtualAddress),
                    "the gateway " + gateway.getHostAddress() + " is no neighbour of " + virtualAddress.getHostAddress()
                            + "/" + prefixLength);
            check(pool.length() >= 10 && pool.length() <= 30, "a pool has 10 to 30 bits, not " + pool);
            check(
                    !pool.overlaps(Ipv4Prefix.of(virtualAddress, prefixLength)),
                    "the session's network is inside of the pool " + pool);
        }

        private static void check(boolean valid, String message) {
            if (!valid) {
                throw new IllegalArgumentException(message);
            }
        }

        private static boolean isName(String text) {
            for (int i = 0; i < text.length(); i++) {
                char c = text.charAt(i);
                boolean letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
                if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.') {
                    return false;
                }
            }
            return !text.isEmpty() && text.length() <= ID_LENGTH_MAX;
        }

        private static boolean isUnicastMac(String text) {
            if (text.length() != 17) {
                return false;
            }
            for (int i = 0; i < 17; i++) {
                char c = text.charAt(i);
                if (i % 3 == 2 ? c != ':' : !HexFormat.isHexDigit(c)) {
                    return false;
                }
            }
            return (HexFormat.fromHexDigit(text.charAt(1)) & 3) == 2;
        }
    }

    /** In the state directory: {@code NAME MAC} of the host's interface, so that a crash's leftovers can be told from others' things. */
    private static final String RECORD = "network";

    private static final String IN_ROUTER = "inside";
    private static final String BLOCKADE = "satchel_blockade";

    private static final long CARRIER_TIMEOUT_NANOS = 100_000_000L;
    private static final long CARRIER_POLL_NANOS = 200_000L;

    private final Config config;
    private final Path record;
    private final NetworkNamespace host;
    private final NetworkNamespace router;
    private final HostNetwork.Link link;
    private final Optional<DnsRelay> relay;

    /** Guards the interface inside, and what follows. */
    private final Object plugging = new Object();

    private boolean plugged;
    private boolean blocked;
    private @Nullable Removal removal;
    private boolean closed;

    private PodNetwork(
            Config config,
            Path record,
            NetworkNamespace host,
            NetworkNamespace router,
            HostNetwork.Link link,
            Optional<DnsRelay> relay) {
        this.config = config;
        this.record = record;
        this.host = host;
        this.router = router;
        this.link = link;
        this.relay = relay;
    }

    /**
     * Makes the router, and connects it to the host. If that fails half-way, what was made is undone.
     *
     * @param stateDir an existing directory of this session alone, where a note for {@link #cleanUpAfterCrash} is left till {@link
     *     #close}
     * @throws IOException also if the host has no free address in the pool
     */
    public static PodNetwork create(Config config, Path stateDir) throws IOException {
        Path record = stateDir.resolve(RECORD);
        NetworkNamespace host = NetworkNamespace.current();
        try {
            NetworkNamespace router = NetworkNamespace.create();
            try {
                HostNetwork.Link link = host.call(() -> connect(config, record, host, router));
                try {
                    Optional<DnsRelay> relay = configureRouter(config, link, router);
                    relay.ifPresent(DnsRelay::serve);
                    return new PodNetwork(config, record, host, router, link, relay);
                } catch (IOException | RuntimeException e) {
                    undo(e, () -> disconnect(host, link.interfaceName(), record));
                    throw e;
                }
            } catch (IOException | RuntimeException e) {
                undo(e, router::close);
                throw e;
            }
        } catch (IOException | RuntimeException e) {
            undo(e, host::close);
            throw e;
        }
    }

    /** In the host's namespace. The router's rules are loaded meanwhile, before there is anything for them to hold back. */
    private static HostNetwork.Link connect(Config config, Path record, NetworkNamespace host, NetworkNamespace router)
            throws IOException {
        try (Fd _ = HostNetwork.lock(host)) {
            HostNetwork.Link link =
                    HostNetwork.choose(config.pool(), config.shortId().hashCode());
            List<Ipv4Prefix> neighbours = new ArrayList<>();
            for (Route route : Route.list()) {
                if (route.onLink() && route.destination().length() >= 8) {
                    neighbours.add(route.destination());
                }
            }
            String mac = randomMac();
            Files.writeString(record, link.interfaceName() + " " + mac + "\n");
            try {
                NetworkCommand rules = NetworkCommand.nft(router, RouterRules.of(config, link, neighbours));
                try {
                    HostNetwork.connect(link, router, mac, "satchel session " + config.shortId());
                } finally {
                    rules.finish();
                }
                return link;
            } catch (IOException | RuntimeException e) {
                undo(e, () -> HostNetwork.disconnect(host, link.interfaceName()));
                undo(e, () -> Files.delete(record));
                throw e;
            }
        }
    }

    private static Optional<DnsRelay> configureRouter(Config config, HostNetwork.Link link, NetworkNamespace router)
            throws IOException {
        String gateway = config.gateway().getHostAddress();
        router.call(() -> {
            Path settings = Path.of("/proc/sys/net");
            if (Files.exists(settings.resolve("ipv6"))) {
                Files.writeString(settings.resolve("ipv6/conf/all/disable_ipv6"), "1");
                Files.writeString(settings.resolve("ipv6/conf/default/disable_ipv6"), "1");
            }
            // Connections are known from their beginning, or not at all; but once known, a late segment is no
            // stranger, which would be answered with a reset.
            Files.writeString(settings.resolve("netfilter/nf_conntrack_tcp_loose"), "0");
            Files.writeString(settings.resolve("netfilter/nf_conntrack_tcp_be_liberal"), "1");
            // Refusals go to the session alone, and each program that tries is to have its own at once.
            Files.writeString(settings.resolve("ipv4/icmp_ratelimit"), "0");
            return Files.writeString(settings.resolve("ipv4/ip_forward"), "1");
        });
        NetworkCommand.ip(
                        router,
                        "link set dev lo up\n"
                                // On lo, so that the relay can listen while the session is unplugged.
                                + "address add " + gateway + "/32 dev lo\n"
                                // While unplugged, what comes for the session is lost, and not refused: senders try
                                // again.
                                + "route add blackhole "
                                + config.virtualAddress().getHostAddress() + "/32 metric 1000\n"
                                + "address add " + Ipv4Prefix.text(link.router()) + "/31 dev outside\n"
                                + "link set dev outside up\n"
                                + "route add default via " + Ipv4Prefix.text(link.host()) + "\n")
                .finish();
        return config.dns()
                ? Optional.of(router.call(() -> DnsRelay.listen(
                        new InetSocketAddress(config.gateway(), DnsRelay.PORT),
                        new Resolvers(config.resolvConf()),
                        DnsRelay.ANSWER_TIMEOUT_MILLIS)))
                : Optional.empty();
    }

    /**
     * Gives the network namespace of that process its eth0, and sets lo up. For CRIU this is {@code setup-namespaces}.
     *
     * @param initPid a process in the pod's network namespace, which has no eth0
     * @throws IllegalStateException if plugged in already, or closed
     */
    public void plug(long initPid) throws IOException {
        synchronized (plugging) {
            if (closed || plugged) {
                throw new IllegalStateException("the network of " + config.shortId() + " is "
                        + (closed ? "closed" : "plugged into a pod already"));
            }
            awaitRemoval();
            try (NetworkNamespace pod = NetworkNamespace.of(initPid)) {
                pod.call(() -> {
                    // Of interfaces to come; lo keeps ::1, which many programs listen on.
                    Path ipv6 = Path.of("/proc/sys/net/ipv6/conf/default/disable_ipv6");
                    if (Files.exists(ipv6)) {
                        Files.writeString(ipv6, "1");
                    }
                    return ipv6;
                });
                String address = config.virtualAddress().getHostAddress();
                String gateway = config.gateway().getHostAddress();
                NetworkCommand.ip(
                                router,
                                "link add name " + IN_ROUTER + " type veth peer name eth0 address "
                                        + config.mac() + " netns " + pod.path() + "\n"
                                        + "link set dev " + IN_ROUTER + " up\n"
                                        // The gateway's address again: Java sees no interface without one, see
                                        // awaitCarrier.
                                        + "address add " + gateway + "/32 dev " + IN_ROUTER + "\n"
                                        + "route add " + address + "/32 dev " + IN_ROUTER + " src " + gateway + "\n")
                        .finish();
                try {
                    NetworkCommand.ip(
                                    pod,
                                    "link set dev lo up\n"
                                            + "link set dev eth0 up\n"
                                            + "address add " + address + "/" + config.prefixLength() + " dev eth0\n"
                                            + "route add default via " + gateway + "\n")
                            .finish();
                } catch (IOException | RuntimeException e) {
                    undo(e, () -> removeInside(router));
                    throw e;
                }
                plugged = true;
                router.call(PodNetwork::awaitCarrier);
            }
        }
    }

    /**
     * Of a veth pair, the end that came up first drops what it sends until the kernel's link watch has noticed that the other is up
     * too: usually within a millisecond, but a SYN lost here is a second lost there. In the router's namespace.
     */
    private static boolean awaitCarrier() throws IOException {
        long deadline = System.nanoTime() + CARRIER_TIMEOUT_NANOS;
        while (true) {
            NetworkInterface inside = NetworkInterface.getByName(IN_ROUTER);
            boolean up = inside != null && inside.isUp();
            // Not worth failing for: it comes up a little later.
            if (up || System.nanoTime() - deadline > 0) {
                return up;
            }
            LockSupport.parkNanos(CARRIER_POLL_NANOS);
        }
    }

    /**
     * From return on no packet passes in either direction, and nobody inside is told: eth0 keeps its carrier. CRIU can't dump a
     * netlink socket with a message waiting (criu/sk-netlink.c), and a desktop has programs that listen for changes of interfaces, so
     * that the interface must not change under frozen programs. Senders on both sides try again, later. A second call does nothing.
     */
    public void block() throws IOException {
        synchronized (plugging) {
            if (!blocked && plugged) {
                NetworkCommand.nft(
                                router,
                                "table inet " + BLOCKADE + " {\n"
                                        + "chain in { type filter hook prerouting priority -500; iifname " + IN_ROUTER
                                        + " drop; }\n"
                                        + "chain out { type filter hook postrouting priority 500; oifname " + IN_ROUTER
                                        + " drop; }\n"
                                        + "}\n")
                        .finish();
                blocked = true;
            }
        }
    }

    /** Lets packets pass again; does nothing when they do. */
    public void unblock() throws IOException {
        synchronized (plugging) {
            if (blocked) {
                NetworkCommand.nft(router, "delete table inet " + BLOCKADE + "\n")
                        .finish();
                blocked = false;
            }
        }
    }

    /**
     * Takes eth0 away. On return no packet passes any more in either direction; the interface
     * itself may stay for some 20 ms, which need not be waited for while the session is frozen. {@link #plug} and {@link #close} wait for
     * it. Does nothing if unplugged.
     */
    public void unplug() throws IOException {
        synchronized (plugging) {
            if (!plugged) {
                return;
            }
            HostNetwork.changeInterface(router, IN_ROUTER, "link set dev " + IN_ROUTER + " down");
            plugged = false;
            removal = new Removal(router);
        }
    }

    /** The deletion of the interface, which the kernel takes its time for. */
    private static final class Removal {
        private final Thread thread;
        private @Nullable Exception failure;

        Removal(NetworkNamespace router) {
            thread = Thread.ofPlatform().daemon().name("unplug").start(() -> {
                try {
                    removeInside(router);
                } catch (IOException | RuntimeException e) {
                    failure = e;
                }
            });
        }

        void await() throws IOException {
            Uninterruptible.join(thread);
            if (failure != null) {
                throw new IOException("the session's interface could not be removed", failure);
            }
        }
    }

    private static void removeInside(NetworkNamespace router) throws IOException {
        HostNetwork.removeInterface(router, IN_ROUTER);
    }

    private void awaitRemoval() throws IOException {
        if (removal != null) {
            removal.await();
            removal = null;
        }
    }

    /**
     * Ends the TCP connections inside whose far end is outside, as they are after a resume: read and write fail at once
     * (ECONNABORTED), also where a program only waits. Connections within the session, and listening sockets, stay untouched.
     *
     * <p>Call it when CRIU has restored all sockets, and best before programs run ({@code pre-resume}): what they connect afterwards
     * can't be told from what they had connected before.
     *
     * @param initPid a process in the pod's network namespace
     * @return how many were ended
     * @throws IOException also if the kernel can't do it (CONFIG_INET_DIAG_DESTROY); programs then learn when they send
     */
    public int resetEstablished(long initPid) throws IOException {
        try (NetworkNamespace pod = NetworkNamespace.of(initPid)) {
            // Prints a line for each that it ends, and nothing for those that the kernel does not let it end.
            String ended = outsideConnections(pod, "-K");
            String left = outsideConnections(pod, "-a");
            if (!left.isEmpty()) {
                throw new IOException("connections to the outside that can't go on could not be reset (does the"
                        + " kernel have CONFIG_INET_DIAG_DESTROY?): " + left.strip());
            }
            return (int) ended.lines().count();
        }
    }

    private String outsideConnections(NetworkNamespace pod, String what) throws IOException {
        return NetworkCommand.start(
                        pod,
                        "",
                        "ss",
                        what,
                        "-H",
                        "-n",
                        "-t",
                        "state",
                        "connected",
                        "exclude",
                        "time-wait",
                        "not ( dst 127.0.0.0/8 or dst [::1] or dst "
                                + config.virtualAddress().getHostAddress() + " )")
                .finish();
    }

    /** The address by which this host reaches the session, any protocol and port; constant till {@link #close}. */
    public Inet4Address hostSideAddress() {
        return Ipv4Prefix.address(link.router());
    }

    /** The host's interface towards the session. */
    public String hostInterface() {
        return link.interfaceName();
    }

    /** What /etc/resolv.conf inside has to be, the same for life; empty if there is no DNS. */
    public Optional<String> resolvConf() {
        return config.dns() ? Optional.of("nameserver " + config.gateway().getHostAddress() + "\n") : Optional.empty();
    }

    /** Unplugs, and takes all of it away; what sessions share, with the last one. Does all it can and then throws the first failure. */
    @Override
    public void close() throws IOException {
        synchronized (plugging) {
            if (closed) {
                return;
            }
            closed = true;
            // In reverse order of creation, each whatever becomes of the others.
            try (host;
                    router;
                    Step _ = () -> disconnect(host, link.interfaceName(), record);
                    Step _ = this::awaitRemoval;
                    Step _ = this::unplug) {
                if (relay.isPresent()) {
                    relay.get().close();
                }
            }
        }
    }

    private static void disconnect(NetworkNamespace host, String interfaceName, Path record) throws IOException {
        host.call(() -> {
            try (Fd _ = HostNetwork.lock(host)) {
                HostNetwork.disconnect(host, interfaceName);
            }
            return interfaceName;
        });
        Files.deleteIfExists(record);
    }

    /**
     * After a supervisor has died: takes away what it left, as its state directory tells; and what sessions share, if no session is
     * left. Harmless if there is nothing. The calling thread's network namespace is the host's.
     *
     * @param stateDir as given to {@link #create}; no {@code PodNetwork} made with it may be in use
     */
    public static void cleanUpAfterCrash(Path stateDir) throws IOException {
        Path record = stateDir.resolve(RECORD);
        String[] left;
        try {
            left = Files.readString(record).strip().split(" ", -1);
        } catch (NoSuchFileException e) {
            left = new String[0];
        }
        String[] noted = left;
        try (NetworkNamespace host = NetworkNamespace.current()) {
            host.call(() -> {
                try (Fd _ = HostNetwork.lock(host)) {
                    // Usually the kernel has taken it away already, and the name may be another session's by now.
                    if (noted.length == 2 && macOf(noted[0]).equals(noted[1])) {
                        HostNetwork.disconnect(host, noted[0]);
                    } else {
                        HostNetwork.removeUnused();
                    }
                }
                return host;
            });
        }
        Files.deleteIfExists(record);
    }

    private static String macOf(String interfaceName) throws IOException {
        NetworkInterface found = NetworkInterface.getByName(interfaceName);
        byte[] mac = found == null ? null : found.getHardwareAddress();
        return mac == null ? "" : HexFormat.ofDelimiter(":").formatHex(mac);
    }

    /** Locally administered and unicast, IEEE 802 §8.2.2. */
    private static String randomMac() {
        byte[] mac = new byte[6];
        ThreadLocalRandom.current().nextBytes(mac);
        mac[0] = (byte) ((mac[0] & 0xfc) | 2);
        return HexFormat.ofDelimiter(":").formatHex(mac);
    }

    /** Something to undo. */
    private interface Step extends AutoCloseable {
        @Override
        void close() throws IOException;
    }

    /** Undoes something because of a failure, which stays the one that is told. */
    private static void undo(Exception failure, Step step) {
        try {
            step.close();
        } catch (IOException | RuntimeException e) {
            failure.addSuppressed(e);
        }
    }
}
