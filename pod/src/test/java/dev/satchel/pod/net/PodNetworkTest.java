package dev.satchel.pod.net;

import static dev.satchel.pod.net.NetworkLab.INTERNET;
import static dev.satchel.pod.net.NetworkLab.OF_HOST;
import static dev.satchel.pod.net.NetworkLab.OPENED;
import static dev.satchel.pod.net.NetworkLab.PRIVATE;
import static dev.satchel.pod.net.NetworkLab.address;
import static dev.satchel.pod.net.NetworkLab.connect;
import static dev.satchel.pod.net.NetworkLab.line;
import static dev.satchel.pod.net.NetworkLab.say;
import static dev.satchel.pod.net.NetworkLab.tcp;
import static dev.satchel.pod.net.NetworkLab.udp;
import static dev.satchel.pod.net.NetworkLab.udpEventually;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.BufferedReader;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
class PodNetworkTest {
    private static final String VIRTUAL = "10.101.37.2";
    private static final String GATEWAY = "10.101.37.1";
    private static final String MAC = "02:5a:00:12:34:56";

    @TempDir
    Path stateDir;

    private final NetworkLab lab = new NetworkLab();

    PodNetworkTest() throws IOException {}

    @AfterEach
    void leavesNothingBehind() throws IOException {
        try (lab) {
            assertThat(lab.hostState()).isEqualTo(lab.hostStateBefore());
            assertThat(stateDir).isEmptyDirectory();
        }
    }

    static PodNetwork.Config config(String id, boolean dns, String... allowed) {
        List<Ipv4Prefix> allowedPrivate = new ArrayList<>();
        for (String cidr : allowed) {
            allowedPrivate.add(Ipv4Prefix.parse(cidr));
        }
        return new PodNetwork.Config(
                id,
                address(VIRTUAL),
                30,
                address(GATEWAY),
                MAC,
                PodNetwork.Config.DEFAULT_POOL,
                dns,
                Path.of("/etc/resolv.conf"),
                allowedPrivate);
    }

    private void serve(NetworkLab.Pod pod, String name) throws IOException {
        lab.serve(pod.namespace(), name, new ConcurrentLinkedQueue<>());
        lab.echoUdp(pod.namespace(), VIRTUAL);
    }

    @Test
    void podHasItsAddressForLifeAndNothingElse() throws IOException {
        try (NetworkLab.Pod pod = lab.pod()) {
            NetworkNamespace inside = pod.namespace();
            try (PodNetwork network = lab.create(config("a", true), stateDir)) {
                network.plug(pod.pid());

                String links = inside.call(
                        () -> NetworkCommand.start("", "ip", "-o", "address").finish());
                assertThat(links.lines().map(line -> line.split("\\s+", 5)[1] + " " + line.split("\\s+", 5)[3]))
                        .containsExactly("lo 127.0.0.1/8", "lo ::1/128", "eth0 " + VIRTUAL + "/30");
                assertThat(inside.call(() -> NetworkCommand.start("", "ip", "link", "show", "eth0")
                                .finish()))
                        .contains(MAC);
                assertThat(inside.call(
                                () -> NetworkCommand.start("", "ip", "route").finish()))
                        .startsWith("default via " + GATEWAY + " dev eth0");
                assertThat(network.resolvConf()).contains("nameserver " + GATEWAY + "\n");

                network.unplug();
                network.unplug();
            }
            assertThat(inside.call(HostNetwork::interfaces)).containsExactly("lo");
        }
    }

    @Test
    void reachesTheInternetAndNothingPrivate() throws IOException {
        try (PodNetwork network = lab.create(config("a", true), stateDir);
                NetworkLab.Pod pod = lab.pod()) {
            network.plug(pod.pid());
            NetworkNamespace inside = pod.namespace();

            assertThat(tcp(inside, INTERNET)).isEqualTo("world 192.168.77.2");
            assertThat(udpEventually(inside, INTERNET)).isTrue();
            for (String target : PRIVATE) {
                // What the host itself could not reach would prove nothing.
                assertThat(tcp(lab.host, target)).as(target).startsWith("world");
                assertThat(udpEventually(lab.host, target)).as(target).isTrue();
                assertThat(tcp(inside, target)).as(target).startsWith("unreachable");
                assertThat(udp(inside, target)).as(target).isFalse();
            }
            String hostSide = network.hostSideAddress().getHostAddress();
            String hostEnd = Ipv4Prefix.text(Ipv4Prefix.number(network.hostSideAddress()) - 1);
            List<String> ofHost = new ArrayList<>(OF_HOST);
            ofHost.add(hostEnd);
            for (String target : ofHost) {
                assertThat(tcp(lab.host, target)).as(target).startsWith("host");
                assertThat(tcp(inside, target)).as(target).startsWith("unreachable");
                assertThat(udp(inside, target)).as(target).isFalse();
            }
            for (String target : List.of(GATEWAY, hostSide, "224.0.0.1", "255.255.255.255", "10.101.37.3")) {
                assertThat(tcp(inside, target)).as(target).startsWith("unreachable");
                assertThat(udp(inside, target)).as(target).isFalse();
            }
        }
    }

    @Test
    void refusalsComeAtOnce() throws IOException {
        try (PodNetwork network = lab.create(config("a", true), stateDir);
                NetworkLab.Pod pod = lab.pod()) {
            network.plug(pod.pid());
            // Not after the time-out of a connection that nobody answers.
            for (String target : List.of("10.9.9.9", "203.0.113.2", GATEWAY)) {
                assertThat(tcp(pod.namespace(), target))
                        .startsWith("unreachable")
                        .doesNotContain("timed out");
            }
        }
    }

    @Test
    void opensOnlyThePrivateNetworksAskedFor() throws IOException {
        // One of them is a network that the host is in: its neighbours then, but never the host.
        try (PodNetwork network =
                        lab.create(config("a", true, OPENED + "/32", "192.168.77.0/24", "203.0.113.0/24"), stateDir);
                NetworkLab.Pod pod = lab.pod()) {
            network.plug(pod.pid());
            assertThat(tcp(pod.namespace(), OPENED)).startsWith("world");
            assertThat(tcp(pod.namespace(), "192.168.77.1")).startsWith("world");
            assertThat(tcp(pod.namespace(), "192.168.200.1")).startsWith("unreachable");
            assertThat(tcp(pod.namespace(), "192.168.77.2")).startsWith("unreachable");
            assertThat(tcp(pod.namespace(), "203.0.113.2")).startsWith("unreachable");
        }
    }

    @Test
    void rootInsideGainsNothingByChangingItsOwnSide() throws IOException {
        try (PodNetwork network = lab.create(config("a", true), stateDir);
                NetworkLab.Pod pod = lab.pod()) {
            network.plug(pod.pid());
            NetworkNamespace inside = pod.namespace();
            inside.call(() -> NetworkCommand.ip("address add 10.101.37.77/24 dev eth0\n"
                            + "route add 192.168.77.2/32 via " + GATEWAY + " dev eth0 onlink\n"
                            + "route add 10.101.37.0/24 via " + GATEWAY + " src 10.101.37.77 metric 5\n")
                    .finish());
            assertThatThrownBy(() -> inside.call(() -> {
                        try (Socket socket = new Socket()) {
                            socket.bind(new InetSocketAddress(InetAddress.ofLiteral("10.101.37.77"), 0));
                            socket.connect(new InetSocketAddress(InetAddress.ofLiteral(INTERNET), 80), 500);
                            return "connected";
                        }
                    }))
                    .isInstanceOf(IOException.class);
            assertThat(tcp(inside, "192.168.77.2")).startsWith("unreachable");
            assertThat(tcp(inside, INTERNET)).startsWith("world");
        }
    }

    @Test
    void twoSessionsWithOneAddressBothServePort80() throws IOException {
        Path other = Files.createDirectory(stateDir.resolve("other"));
        try (PodNetwork second = lab.create(config("same", true), other);
                NetworkLab.Pod firstPod = lab.pod();
                NetworkLab.Pod secondPod = lab.pod()) {
            second.plug(secondPod.pid());
            serve(secondPod, "second");
            String secondAddress = second.hostSideAddress().getHostAddress();
            try (PodNetwork first = lab.create(config("same", true), stateDir)) {
                first.plug(firstPod.pid());
                serve(firstPod, "first");

                String firstAddress = first.hostSideAddress().getHostAddress();
                assertThat(firstAddress).isNotEqualTo(secondAddress);
                assertThat(tcp(lab.host, firstAddress)).startsWith("first");
                assertThat(tcp(lab.host, secondAddress)).startsWith("second");
                assertThat(udpEventually(lab.host, firstAddress)).isTrue();
                assertThat(tcp(firstPod.namespace(), INTERNET)).startsWith("world");
                assertThat(tcp(secondPod.namespace(), INTERNET)).startsWith("world");

                assertThat(tcp(firstPod.namespace(), secondAddress)).startsWith("unreachable");
                // The LAN has a route to them through the host, and yet no way.
                assertThat(tcp(lab.world, firstAddress)).startsWith("unreachable");
                assertThat(udp(lab.world, firstAddress)).isFalse();
            }
            assertThat(tcp(secondPod.namespace(), INTERNET)).startsWith("world");
            assertThat(tcp(lab.host, secondAddress)).startsWith("second");
        }
        Files.delete(other);
    }

    @Test
    void privateAddressesAreClosedToASessionEvenIfAnotherOpensThem() throws IOException {
        Path other = Files.createDirectory(stateDir.resolve("other"));
        try (PodNetwork open = lab.create(config("open", true, "198.18.0.0/15"), stateDir);
                PodNetwork target = lab.create(config("target", true), other);
                NetworkLab.Pod openPod = lab.pod();
                NetworkLab.Pod targetPod = lab.pod()) {
            open.plug(openPod.pid());
            target.plug(targetPod.pid());
            serve(targetPod, "target");
            // Its own router lets it pass, the host does not.
            String address = target.hostSideAddress().getHostAddress();
            assertThat(tcp(lab.host, address)).startsWith("target");
            assertThat(tcp(openPod.namespace(), address))
                    .startsWith("unreachable")
                    .doesNotContain("timed out");
        }
        Files.delete(other);
    }

    @Test
    void strangersCannotUseTheHostAsTheirRouter() throws IOException {
        try (NetworkLab.Pod stranger = lab.pod()) {
            stranger.namespace()
                    .call(() -> NetworkCommand.ip("link set lo up\n"
                                    + "link add s0 type veth peer name up2 netns " + lab.host.path() + "\n"
                                    + "link set s0 up\naddress add 172.31.0.2/24 dev s0\n")
                            .finish());
            lab.host.call(() -> NetworkCommand.ip("link set up2 up\naddress add 172.31.0.1/24 dev up2\n")
                    .finish());
            stranger.namespace()
                    .call(() -> NetworkCommand.ip("route add default via 172.31.0.1\n")
                            .finish());
            lab.world.call(() -> NetworkCommand.ip("route add 172.31.0.0/24 via 192.168.77.2\n")
                    .finish());
            try (PodNetwork network = lab.create(config("a", true), stateDir)) {
                assertThat(tcp(stranger.namespace(), "192.168.77.1")).startsWith("unreachable");
                assertThat(tcp(stranger.namespace(), network.hostSideAddress().getHostAddress()))
                        .startsWith("unreachable");
                // Nothing but the guard kept it out: an interface that forwarded before is none of our business.
                lab.host.call(() -> NetworkCommand.nft("delete element inet satchel forwarding { \"up2\" }\n")
                        .finish());
                assertThat(tcp(stranger.namespace(), "192.168.77.1")).startsWith("world");
            }
            lab.host.call(() -> NetworkCommand.ip("link delete up2\n").finish());
        }
    }

    @Test
    void forwardingStaysOnIfSomebodyElseNeedsItMeanwhile() throws IOException {
        Path all = Path.of("/proc/sys/net/ipv4/ip_forward");
        Path uplink = Path.of("/proc/sys/net/ipv4/conf/up0/forwarding");
        try (PodNetwork network = lab.create(config("a", false), stateDir)) {
            assertThat(network.resolvConf()).isEmpty();
            assertThat(lab.host.call(() -> Files.readString(all))).isEqualTo("0");
            assertThat(lab.host.call(() -> Files.readString(uplink))).isEqualTo("1");
            lab.host.call(() -> Files.writeString(all, "1"));
        }
        assertThat(lab.host.call(() -> Files.readString(uplink))).isEqualTo("1");
        lab.host.call(() -> Files.writeString(all, "0"));
    }

    @Test
    void largeTransfersPassTheNarrowUplinkBothWays() throws Exception {
        byte[] sent = new byte[1 << 20];
        for (int i = 0; i < sent.length; i++) {
            sent[i] = (byte) ((i * 31) >> 7);
        }
        try (PodNetwork network = lab.create(config("a", true), stateDir);
                NetworkLab.Pod pod = lab.pod()) {
            network.plug(pod.pid());
            try (Socket socket = connect(pod.namespace(), INTERNET, 80)) {
                assertThat(line(socket)).startsWith("world");
                Thread writer = Thread.ofVirtual().start(() -> {
                    try {
                        socket.getOutputStream().write(sent);
                    } catch (IOException e) {
                        throw new AssertionError(e);
                    }
                });
                assertThat(socket.getInputStream().readNBytes(sent.length)).isEqualTo(sent);
                writer.join();
            }
        }
    }

    @Test
    void connectionsGoOnWhenPluggedInAgain() throws IOException {
        try (PodNetwork network = lab.create(config("a", true), stateDir);
                NetworkLab.Pod pod = lab.pod()) {
            network.plug(pod.pid());
            serve(pod, "inside");
            try (Socket outward = connect(pod.namespace(), INTERNET, 80);
                    Socket inward = connect(lab.host, network.hostSideAddress().getHostAddress(), 80);
                    Socket loopback = connect(pod.namespace(), "127.0.0.1", 80)) {
                assertThat(line(outward)).startsWith("world");
                assertThat(line(inward)).startsWith("inside");
                assertThat(line(loopback)).startsWith("inside");

                network.unplug();
                // Cut off at once; sent meanwhile, it arrives later.
                assertThat(say(loopback, "alone")).isEqualTo("alone");
                inward.getOutputStream().write("sent meanwhile\n".getBytes(java.nio.charset.StandardCharsets.UTF_8));
                outward.setSoTimeout(100);
                assertThatThrownBy(() -> say(outward, "too early")).isInstanceOf(SocketTimeoutException.class);
                assertThat(tcp(pod.namespace(), INTERNET)).startsWith("unreachable");
                network.plug(pod.pid());

                outward.setSoTimeout(5000);
                inward.setSoTimeout(5000);
                assertThat(line(outward)).isEqualTo("too early");
                assertThat(line(inward)).isEqualTo("sent meanwhile");
                assertThat(say(outward, "on")).isEqualTo("on");
                assertThat(say(loopback, "on")).isEqualTo("on");
            }
        }
    }

    @Test
    void staleConnectionsAreResetWhoeverSends() throws IOException {
        try (NetworkLab.Pod pod = lab.pod()) {
            PodNetwork before = lab.create(config("a", true), stateDir);
            before.plug(pod.pid());
            serve(pod, "inside");
            try (Socket outward = connect(pod.namespace(), INTERNET, 80);
                    Socket silent = connect(pod.namespace(), INTERNET, 80);
                    Socket inward = connect(lab.host, before.hostSideAddress().getHostAddress(), 80);
                    Socket loopback = connect(pod.namespace(), "127.0.0.1", 80)) {
                assertThat(line(outward)).startsWith("world");
                assertThat(line(silent)).startsWith("world");
                assertThat(line(inward)).startsWith("inside");
                assertThat(line(loopback)).startsWith("inside");
                Socket farEnd = null;
                for (Socket accepted : lab.acceptedByWorld) {
                    if (accepted.getPort() == silent.getLocalPort()) {
                        farEnd = accepted;
                    }
                }
                assertThat(farEnd).isNotNull();
                before.close();

                try (PodNetwork after = lab.create(config("a", true), stateDir)) {
                    after.plug(pod.pid());
                    assertThatThrownBy(() -> say(outward, "on"))
                            .isInstanceOf(SocketException.class)
                            .hasMessageContaining("reset");
                    Socket sender = farEnd;
                    assertThatThrownBy(() -> untilRefused(sender)).isInstanceOf(SocketException.class);
                    assertThatThrownBy(() -> untilRefused(inward)).isInstanceOf(SocketException.class);
                    assertThat(say(loopback, "on")).isEqualTo("on");
                    // Only what is stale.
                    assertThat(tcp(pod.namespace(), INTERNET)).startsWith("world");
                }
            }
        }
    }

    /** Writes till TCP says that it is of no use; silence is a failure after 3 s. */
    private static void untilRefused(Socket socket) throws IOException {
        for (int i = 0; i < 60; i++) {
            socket.getOutputStream().write('x');
            try {
                Thread.sleep(50);
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }
    }

    @Test
    void silentStaleConnectionsAreEndedAndNoOthers() throws Exception {
        try (NetworkLab.Pod pod = lab.pod();
                ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            PodNetwork before = lab.create(config("a", true), stateDir);
            before.plug(pod.pid());
            serve(pod, "inside");
            try (Socket waiting = connect(pod.namespace(), INTERNET, 80);
                    Socket inward = connect(lab.host, before.hostSideAddress().getHostAddress(), 80);
                    Socket loopback = connect(pod.namespace(), "127.0.0.1", 80);
                    Socket loopback6 = connect6(pod);
                    Socket itself = connect(pod.namespace(), VIRTUAL, 80)) {
                for (Socket each : List.of(waiting, inward, loopback, itself)) {
                    line(each);
                }
                waiting.setSoTimeout(0);
                Future<Integer> read =
                        threads.submit(() -> waiting.getInputStream().read());
                before.close();

                try (PodNetwork after = lab.create(config("a", true), stateDir)) {
                    after.plug(pod.pid());
                    assertThat(after.resetEstablished(pod.pid())).isEqualTo(2);
                    assertThatThrownBy(() -> read.get(20, TimeUnit.SECONDS)).hasCauseInstanceOf(SocketException.class);
                    assertThat(say(loopback, "on")).isEqualTo("on");
                    assertThat(say(itself, "on")).isEqualTo("on");
                    assertThat(loopback6.isConnected()).isTrue();
                    assertThat(after.resetEstablished(pod.pid())).isZero();
                    // Listening sockets too stay what they were.
                    assertThat(tcp(lab.host, after.hostSideAddress().getHostAddress()))
                            .startsWith("inside");
                }
            }
        }
    }

    private static Socket connect6(NetworkLab.Pod pod) throws IOException {
        try (ServerSocket server = pod.namespace().call(() -> new ServerSocket(6, 1, InetAddress.ofLiteral("::1")))) {
            return connect(pod.namespace(), "::1", server.getLocalPort());
        }
    }

    @Test
    void failuresLeaveNothing() throws IOException {
        assertThatThrownBy(() -> lab.create(config("a", true), stateDir.resolve("missing")))
                .isInstanceOf(IOException.class);

        lab.host.call(() ->
                NetworkCommand.ip("route add 198.18.0.0/15 via 192.168.77.1\n").finish());
        assertThatThrownBy(() -> lab.create(config("a", true), stateDir)).hasMessageContaining("choose another pool");
        lab.host.call(() -> NetworkCommand.ip("route delete 198.18.0.0/15\n").finish());

        try (PodNetwork network = lab.create(config("a", true), stateDir);
                NetworkLab.Pod occupied = lab.pod();
                NetworkLab.Pod pod = lab.pod()) {
            occupied.namespace()
                    .call(() -> NetworkCommand.ip("link add eth0 type bridge\n").finish());
            assertThatThrownBy(() -> network.plug(occupied.pid())).isInstanceOf(IOException.class);
            assertThatThrownBy(() -> network.plug(Integer.MAX_VALUE)).isInstanceOf(IOException.class);
            network.plug(pod.pid());
            assertThatThrownBy(() -> network.plug(pod.pid())).isInstanceOf(IllegalStateException.class);
            assertThat(tcp(pod.namespace(), INTERNET)).startsWith("world");
        }
    }

    @Test
    void addressesInUseOnTheHostAreAvoided() throws IOException {
        PodNetwork first = lab.create(config("a", true), stateDir);
        String preferred = first.hostSideAddress().getHostAddress();
        first.close();
        lab.host.call(() ->
                NetworkCommand.ip("address add " + preferred + "/32 dev lo\n").finish());
        try (PodNetwork second = lab.create(config("a", true), stateDir)) {
            assertThat(second.hostSideAddress().getHostAddress()).isNotEqualTo(preferred);
        }
        lab.host.call(() -> NetworkCommand.ip("address delete " + preferred + "/32 dev lo\n")
                .finish());
        try (PodNetwork third = lab.create(config("a", true), stateDir)) {
            assertThat(third.hostSideAddress().getHostAddress()).isEqualTo(preferred);
        }
    }

    @Test
    void sessionsThatStartAndEndAtOnceDontCollide() throws Exception {
        int sessions = 6;
        Set<String> addresses = new HashSet<>();
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<PodNetwork>> starting = new ArrayList<>();
            for (int i = 0; i < sessions; i++) {
                Path dir = Files.createDirectory(stateDir.resolve("s" + i));
                starting.add(threads.submit(() -> lab.create(config("same", true), dir)));
            }
            List<Future<Object>> ending = new ArrayList<>();
            for (Future<PodNetwork> each : starting) {
                PodNetwork network = each.get();
                addresses.add(network.hostSideAddress().getHostAddress());
                ending.add(threads.submit(() -> {
                    network.close();
                    return network;
                }));
            }
            for (Future<Object> each : ending) {
                each.get();
            }
        }
        for (int i = 0; i < sessions; i++) {
            Files.delete(stateDir.resolve("s" + i));
        }
        // An address may be given again once its session has ended, which by then some have.
        assertThat(addresses).isNotEmpty();
    }

    @Test
    void aKilledSupervisorLeavesNothingThatCantBeCleanedUp() throws Exception {
        Path other = Files.createDirectory(stateDir.resolve("other"));
        try (NetworkLab.Pod pod = lab.pod()) {
            Process supervisor = lab.host.call(() -> new ProcessBuilder(
                            Path.of(System.getProperty("java.home"), "bin", "java")
                                    .toString(),
                            "--enable-native-access=ALL-UNNAMED",
                            "-XX:TieredStopAtLevel=1",
                            "-cp",
                            System.getProperty("java.class.path"),
                            SupervisorThatDies.class.getName(),
                            stateDir.toString(),
                            Long.toString(pod.pid()))
                    .redirectErrorStream(true)
                    .start());
            try (BufferedReader output = supervisor.inputReader()) {
                String line = output.readLine();
                assertThat(line).matches("198\\.1[89]\\.[0-9.]+ [0-9]+");
                System.out.println("in a cold JVM: " + line + " ms");
                assertThat(tcp(pod.namespace(), INTERNET)).startsWith("world");
            } finally {
                supervisor.destroyForcibly().waitFor();
            }
            try (PodNetwork living = lab.create(config("dies", true), other)) {
                lab.host.call(() -> {
                    PodNetwork.cleanUpAfterCrash(stateDir);
                    return stateDir;
                });
                assertThat(lab.host.call(HostNetwork::interfaces))
                        .containsExactlyInAnyOrder("lo", "up0", "up1", living.hostInterface());
                try (NetworkLab.Pod second = lab.pod()) {
                    living.plug(second.pid());
                    assertThat(tcp(second.namespace(), INTERNET)).startsWith("world");
                }
            }
            for (int i = 0;
                    i < 100 && pod.namespace().call(HostNetwork::interfaces).size() > 1;
                    i++) {
                Thread.sleep(20);
            }
            assertThat(pod.namespace().call(HostNetwork::interfaces)).containsExactly("lo");
        }
        Files.delete(other);
    }

    @Test
    void theLastTracesOfACrashGoWithoutAnotherSession() throws Exception {
        PodNetwork lost = lab.create(config("a", true), stateDir);
        // As if its interface had gone with its process, and nothing else.
        lab.host.call(() ->
                NetworkCommand.ip("link delete " + lost.hostInterface() + "\n").finish());
        assertThat(lab.hostState()).isNotEqualTo(lab.hostStateBefore());
        for (int i = 0; i < 2; i++) {
            lab.host.call(() -> {
                PodNetwork.cleanUpAfterCrash(stateDir);
                return stateDir;
            });
            assertThat(lab.hostState()).isEqualTo(lab.hostStateBefore());
        }
        lost.close();
    }

    @Test
    void dnsIsRelayedFromTheGateway() throws IOException {
        // The relay asks from this process's namespace, which here is the machine's own.
        try (DnsServer _ = DnsServer.start("127.77.3.53")) {
            Path resolvConf = Files.writeString(stateDir.resolve("resolv.conf"), "nameserver 127.77.3.53\n");
            PodNetwork.Config config = config("a", true);
            PodNetwork.Config withServer = new PodNetwork.Config(
                    config.shortId(),
                    config.virtualAddress(),
                    config.prefixLength(),
                    config.gateway(),
                    config.mac(),
                    config.pool(),
                    true,
                    resolvConf,
                    List.of());
            try (PodNetwork network = lab.create(withServer, stateDir);
                    NetworkLab.Pod pod = lab.pod()) {
                network.plug(pod.pid());
                byte[] query = DnsServer.query(7, 300);
                assertThat(pod.namespace().call(() -> DnsServer.askUdp(GATEWAY, 53, query, 2000)))
                        .hasSize(300);
                assertThat(pod.namespace().call(() -> DnsServer.askTcp(GATEWAY, 53, DnsServer.query(8, 50_000))))
                        .hasSize(50_000);
            }
            Files.delete(resolvConf);
        }
    }

    @Test
    void configurationIsCheckedAtTheDoor() {
        assertThatThrownBy(() -> config("a b\ndelete table", true)).hasMessageContaining("short id");
        assertThatThrownBy(() -> config("", true)).hasMessageContaining("short id");
        assertThatThrownBy(() -> new PodNetwork.Config(
                        "a",
                        address(VIRTUAL),
                        30,
                        address("10.101.37.5"),
                        MAC,
                        PodNetwork.Config.DEFAULT_POOL,
                        true,
                        Path.of("/etc/resolv.conf"),
                        List.of()))
                .hasMessageContaining("no neighbour");
        assertThatThrownBy(() -> new PodNetwork.Config(
                        "a",
                        address(VIRTUAL),
                        30,
                        address(GATEWAY),
                        "01:00:00:00:00:01",
                        PodNetwork.Config.DEFAULT_POOL,
                        true,
                        Path.of("/etc/resolv.conf"),
                        List.of()))
                .hasMessageContaining("MAC");
    }
}
