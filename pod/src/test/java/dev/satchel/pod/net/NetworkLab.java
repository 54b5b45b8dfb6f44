package dev.satchel.pod.net;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * A small world of network namespaces, none of them the machine's own: a host, and behind its uplink (MTU 1400, on a private
 * network) a LAN, the Internet and all sorts of private addresses, which are one namespace with many addresses. Everywhere TCP port 80
 * says who it is and then echoes, and so does UDP port 9.
 */
final class NetworkLab implements Closeable {
    static final String INTERNET = "93.184.216.34";
    static final String OPENED = "192.168.50.5";

    /** Addresses on the other side of the host that no session may reach. */
    static final List<String> PRIVATE = List.of(
            "192.168.77.1", // the host's router: a way, not a destination
            "198.51.100.9", // a neighbour of the host with a public address
            "10.9.9.9",
            "100.64.1.1",
            "169.254.169.254",
            "172.16.5.5",
            "192.168.200.1",
            OPENED);

    static final List<String> OF_HOST = List.of("192.168.77.2", "198.51.100.1", "203.0.113.2");

    final NetworkNamespace host;
    final NetworkNamespace world;
    final ConcurrentLinkedQueue<Socket> acceptedByWorld = new ConcurrentLinkedQueue<>();
    private final List<Closeable> opened = new ArrayList<>();
    private final String hostBefore;

    NetworkLab() throws IOException {
        host = forwardingNothing(NetworkNamespace.create());
        world = forwardingNothing(NetworkNamespace.create());
        world.call(() -> NetworkCommand.ip("link set lo up\n"
                        + "link add lan mtu 1400 type veth peer name up0 mtu 1400 netns " + host.path() + "\n"
                        + "link add dmz type veth peer name up1 netns " + host.path() + "\n"
                        + "address add 192.168.77.1/24 dev lan\n"
                        + "address add 198.51.100.9/24 dev dmz\n"
                        + "link set lan up\nlink set dmz up\n"
                        + addresses(INTERNET, "10.9.9.9", "100.64.1.1", "169.254.169.254", "172.16.5.5")
                        + addresses("192.168.200.1", OPENED)
                        + "route add 198.18.0.0/15 via 192.168.77.2\n"
                        + "route add 203.0.113.2/32 via 192.168.77.2\n")
                .finish());
        host.call(() -> NetworkCommand.ip("link set lo up\n"
                        // What IPv6 sets up by itself and by and by is not to be taken for a session's leftovers.
                        + "link set up0 addrgenmode none up\nlink set up1 addrgenmode none up\n"
                        + addresses("203.0.113.2")
                        + "address add 192.168.77.2/24 dev up0\n"
                        + "address add 198.51.100.1/24 dev up1\n"
                        + "route add default via 192.168.77.1\n")
                .finish());
        serve(world, "world", acceptedByWorld);
        serve(host, "host", new ConcurrentLinkedQueue<>());
        echoUdp(world, INTERNET);
        for (String address : PRIVATE) {
            echoUdp(world, address);
        }
        for (String address : OF_HOST) {
            echoUdp(host, address);
        }
        hostBefore = hostState();
    }

    /** New namespaces take over this from the machine's own, where a session may be running. */
    private static NetworkNamespace forwardingNothing(NetworkNamespace namespace) throws IOException {
        for (String name : List.of("all", "default", "lo")) {
            namespace.call(() -> Files.writeString(Path.of("/proc/sys/net/ipv4/conf", name, "forwarding"), "0"));
        }
        return namespace;
    }

    private static String addresses(String... addresses) {
        StringBuilder batch = new StringBuilder();
        for (String address : addresses) {
            batch.append("address add ").append(address).append("/32 dev lo\n");
        }
        return batch.toString();
    }

    /** Everything in the host's namespace that a session could leave behind. */
    String hostState() throws IOException {
        return host.call(() -> {
            StringBuilder state = new StringBuilder();
            state.append(NetworkCommand.start("", "nft", "list", "ruleset").finish());
            // The kernel notes the links' states when it has time for that.
            state.append(NetworkCommand.start("", "ip", "-o", "link")
                    .finish()
                    .replaceAll(" state [A-Z]+", "")
                    .replace("NO-CARRIER,", "")
                    .replace(",LOWER_UP", ""));
            state.append(NetworkCommand.start("", "ip", "-o", "address").finish());
            state.append(NetworkCommand.start("", "ip", "route", "list", "table", "all")
                    .finish());
            TreeMap<String, String> forwarding = new TreeMap<>();
            try (DirectoryStream<Path> all = Files.newDirectoryStream(Path.of("/proc/sys/net/ipv4/conf"))) {
                for (Path path : all) {
                    forwarding.put(
                            path.getFileName().toString(),
                            Files.readString(path.resolve("forwarding")).strip());
                }
            }
            return state.append(forwarding).toString();
        });
    }

    String hostStateBefore() {
        return hostBefore;
    }

    PodNetwork create(PodNetwork.Config config, Path stateDir) throws IOException {
        return host.call(() -> PodNetwork.create(config, stateDir));
    }

    /** A process alone in a new network namespace, in the place of a pod's init. */
    Pod pod() throws IOException {
        NetworkNamespace namespace = forwardingNothing(NetworkNamespace.create());
        Process init = namespace.call(() -> new ProcessBuilder("sleep", "300").start());
        Pod pod = new Pod(namespace, init);
        opened.add(pod);
        return pod;
    }

    record Pod(NetworkNamespace namespace, Process init) implements Closeable {
        long pid() {
            return init.pid();
        }

        @Override
        public void close() throws IOException {
            init.destroyForcibly();
            namespace.close();
        }
    }

    // --- Traffic
    // --------------------------------------------------------------------------------------------------------------

    void serve(NetworkNamespace where, String name, ConcurrentLinkedQueue<Socket> accepted) throws IOException {
        ServerSocket server = where.call(() -> new ServerSocket(80, 50, InetAddress.ofLiteral("0.0.0.0")));
        opened.add(server);
        Thread.ofVirtual().start(() -> {
            while (!server.isClosed()) {
                try {
                    Socket socket = server.accept();
                    accepted.add(socket);
                    Thread.ofVirtual().start(() -> echo(socket, name));
                } catch (IOException e) {
                    return;
                }
            }
        });
    }

    /** On that address alone: what an answer to another one comes from would be up to routing. */
    void echoUdp(NetworkNamespace where, String address) throws IOException {
        DatagramSocket datagrams = where.call(() -> new DatagramSocket(9, InetAddress.ofLiteral(address)));
        opened.add(datagrams);
        Thread.ofVirtual().start(() -> {
            byte[] data = new byte[2048];
            while (!datagrams.isClosed()) {
                try {
                    DatagramPacket packet = new DatagramPacket(data, data.length);
                    datagrams.receive(packet);
                    datagrams.send(packet);
                } catch (IOException e) {
                    if (datagrams.isClosed()) {
                        return;
                    }
                }
            }
        });
    }

    private static void echo(Socket socket, String name) {
        try {
            OutputStream output = socket.getOutputStream();
            output.write(
                    (name + " " + socket.getInetAddress().getHostAddress() + "\n").getBytes(StandardCharsets.UTF_8));
            socket.getInputStream().transferTo(output);
            socket.shutdownOutput();
        } catch (IOException e) {
            // The tests end connections in every way there is.
            return;
        }
    }

    /** A TCP connection; reads give up after 3 s. */
    static Socket connect(NetworkNamespace from, String to, int port) throws IOException {
        return from.call(() -> {
            Socket socket = new Socket();
            try {
                socket.setSoTimeout(3000);
                socket.setTcpNoDelay(true);
                // More than the second after which a lost SYN is sent again: busy machines lose the first.
                socket.connect(new InetSocketAddress(InetAddress.ofLiteral(to), port), 1300);
                return socket;
            } catch (IOException e) {
                socket.close();
                throw e;
            }
        });
    }

    /** What TCP port 80 says there, or why it does not. */
    static String tcp(NetworkNamespace from, String to) {
        try (Socket socket = connect(from, to, 80)) {
            return line(socket);
        } catch (IOException e) {
            return "unreachable: " + e.getMessage();
        }
    }

    /** Whether UDP port 9 echoes: a busy machine may take its time, and lose one. */
    static boolean udpEventually(NetworkNamespace from, String to) throws IOException {
        for (int tries = 0; tries < 50; tries++) {
            if (udp(from, to)) {
                return true;
            }
        }
        return false;
    }

    /** Whether UDP port 9 echoes at once. */
    static boolean udp(NetworkNamespace from, String to) throws IOException {
        return from.call(() -> {
            try (DatagramSocket socket = new DatagramSocket()) {
                socket.setSoTimeout(60);
                socket.connect(InetAddress.ofLiteral(to), 9);
                socket.send(new DatagramPacket(new byte[] {1, 2, 3}, 3));
                DatagramPacket answer = new DatagramPacket(new byte[10], 10);
                socket.receive(answer);
                return answer.getLength() == 3;
            } catch (IOException e) {
                return false;
            }
        });
    }

    static String line(Socket socket) throws IOException {
        StringBuilder line = new StringBuilder();
        InputStream input = socket.getInputStream();
        for (int c = input.read(); c >= 0 && c != '\n'; c = input.read()) {
            line.append((char) c);
        }
        return line.toString();
    }

    /** Sends a line to an echoing server and gives what comes back. */
    static String say(Socket socket, String line) throws IOException {
        socket.getOutputStream().write((line + "\n").getBytes(StandardCharsets.UTF_8));
        return line(socket);
    }

    static Inet4Address address(String text) {
        return Inet4Address.ofLiteral(text);
    }

    @Override
    public void close() throws IOException {
        for (Closeable each : opened) {
            each.close();
        }
        for (Socket socket : acceptedByWorld) {
            socket.close();
        }
        host.close();
        world.close();
    }
}
